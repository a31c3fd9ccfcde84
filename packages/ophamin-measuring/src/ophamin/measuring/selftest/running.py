"""Running the checks: the same counts for a seed, whatever the number of workers."""

from __future__ import annotations

import contextlib
import platform
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ophamin.measuring.selftest._check import Check, Reference, Tally
from ophamin.measuring.selftest._journal import Journal, source_digest
from ophamin.measuring.selftest._judging import agrees, limits, passes, union_bound
from ophamin.measuring.selftest._limits import sees_above, sees_below
from ophamin.measuring.selftest._pieces import Counted, Piece, all_checks, pieces_of
from ophamin.measuring.selftest._workers import counted
from ophamin.measuring.selftest.catalogue import REFERENCES
from ophamin.measuring.selftest.coverage import not_simulated, unknown
from ophamin.proof.errors import UsageError

__all__ = ["FALSE_FAILURES", "MODES", "SEED", "Progressed", "environment", "journal_name", "results"]

JSON = Any
Progressed = Callable[[int, int, str], None]

MODES = ("quick", "full")
SEED = 20_260_101
"""The seed when none is given, so that two installations can be compared count by count."""
FALSE_FAILURES = 0.01
"""How often a right installation fails anything in the whole table, at most."""


def journal_name(mode: str, seed: int) -> str:
    """File name of the journal a self-test goes on from."""
    return f"selftest-{mode}-{seed}.jsonl"


def results(
    mode: str = "quick",
    *,
    seed: int = SEED,
    jobs: int = 1,
    only: Collection[str] | None = None,
    progress: Progressed | None = None,
    journal: Path | None = None,
) -> dict[str, JSON]:
    """Run the checks and judge them.

    Args:
        mode: ``quick`` or ``full``.
        seed: Seed of every simulation, from 0 up.
        jobs: Worker processes; 1 runs here, and then also tries what this process has registered.
        only: Only these families or labels; the limits stay those of the whole table. ``None``: all.
        progress: Called with pieces done, pieces in all, and what was done last.
        journal: File that keeps every finished piece; one left by an interrupted self-test of the same mode, seed and
            installation is gone on from. Whoever stores the result removes it. ``None``: nothing is kept.

    Returns:
        The sections ``run``, ``checks``, ``references``, ``not_checked``, ``not_simulated``, ``cpu_s`` and ``summary``
        of the record.

    Raises:
        UsageError: An unknown mode, family or label, or a number out of range; workers are killed again and again; or
            another process is at this journal.
    """
    if mode not in MODES or not 0 <= seed < 2**63 or jobs < 1:
        raise UsageError(f"a self-test is {' or '.join(MODES)}, with a seed from 0 up and at least one job")
    everything = tuple(c for c in all_checks().values() if c.belongs_to(mode))
    known = {c.family for c in everything} | {r.family for r in REFERENCES}
    labels = {c.label for c in everything}
    if only is not None and (strange := set(only) - known - labels):
        raise UsageError(f"no check is called {sorted(strange)[0]!r}; there are {', '.join(sorted(known))}")
    chosen = [c for c in everything if only is None or c.family in only or c.label in only]
    share = FALSE_FAILURES / sum(c.limits for c in everything)
    began, pieces = time.perf_counter(), pieces_of(chosen, mode)
    with contextlib.ExitStack() as stack:
        kept = None
        if journal is not None:
            about = {"mode": mode, "seed": seed, "sources": source_digest(), "environment": environment()}
            kept = stack.enter_context(Journal(journal, about))
        found, resumed, lost = _all_counted(pieces, seed, jobs, kept, progress)
    totals, cpu_s = dict[tuple[str, int], Tally](), Counter[str]()
    for piece in pieces:  # in their order: the first reason of a check is the same however it was run
        key = (piece.label, piece.law)
        totals[key] = totals[key] + found[piece].tally if key in totals else found[piece].tally
        cpu_s[piece.label] += found[piece].cpu_s  # type: ignore[assignment]
    rows = [_row(check, totals, mode, share) for check in chosen]
    compared = [_compared(r) for r in REFERENCES if only is None or r.family in only]
    failed = [r["label"] for r in rows + compared if r["verdict"] == "FAIL"]
    return {
        "run": {
            "mode": mode, "seed": seed, "jobs": jobs, "wall_s": round(time.perf_counter() - began, 3),
            "cpu_s": round(sum(cpu_s.values()), 3), "resumed": resumed, "workers_lost": lost,
            "complete": only is None, "share": share, "false_failures": FALSE_FAILURES,
            "false_failure_bound": union_bound(rows),
        },
        "checks": rows,
        "references": compared,
        "not_checked": unknown(),
        "not_simulated": not_simulated(mode),
        "cpu_s": {label: round(seconds, 3) for label, seconds in cpu_s.items()},
        "summary": {
            "verdict": "FAIL" if failed else "ok", "n_checks": len(rows), "n_references": len(compared),
            "failed": failed,
        },
    }  # fmt: skip


def _all_counted(
    pieces: Sequence[Piece], seed: int, jobs: int, kept: Journal | None, progress: Progressed | None
) -> tuple[dict[Piece, Counted], int, int]:
    """Every piece, how many of them a journal had already, and how many workers were killed."""
    wanted = set(pieces)
    found = {} if kept is None else {piece: done for piece, done in kept.done.items() if piece in wanted}
    resumed, deaths = len(found), list[None]()
    if progress is not None and resumed:
        progress(resumed, len(pieces), "done before")
    for piece, done in counted([p for p in pieces if p not in found], seed, jobs, lambda: deaths.append(None)):
        found[piece] = done
        if kept is not None:
            kept.append(piece, done)
        if progress is not None:
            progress(len(found), len(pieces), piece.label)
    return found, resumed, len(deaths)


# --- judging


def _row(check: Check, totals: Mapping[tuple[str, int], Tally], mode: str, share: float) -> dict[str, JSON]:
    tally, n = totals[(check.label, -1)], check.runs(mode)
    row: dict[str, JSON] = {
        "label": check.label, "family": check.family, "name": check.name, "kind": check.kind, "method": check.method,
        "guarantee": check.guarantee, "n": n, "sides": list(check.sides), "below": tally.below, "above": tally.above,
        "bound": {"least": check.least, "most": check.most}, "slack": 0.0 if n else check.slack,
        "limit": limits(n, check.least, check.most, share), "sees": _sees(check, n, share),
        "unanswered": tally.unanswered, "why": tally.why,
    }  # fmt: skip
    if check.stress:
        row["stress"] = [_stress(s.law, totals[(check.label, i)]) for i, s in enumerate(check.stress)]
    return {**row, "verdict": "ok" if passes(row) else "FAIL"}


def _sees(check: Check, n: int, share: float) -> dict[str, float | None]:
    """Rates that fail with chance 0.99: the smallest fault this many runs see."""
    limit = limits(n, check.least, check.most, share)
    if not n:
        return {"below": limit["least"], "above": limit["most"]}
    low, high = limit["least"], limit["most"]
    found = None if low is None else sees_below(n, int(low))
    return {
        "below": None if found is None or found < 0 else found,
        "above": None if high is None or high >= n else sees_above(n, int(high)),
    }


def _stress(law: str, tally: Tally) -> dict[str, JSON]:
    return {
        "law": law, "n": tally.n, "below": tally.below, "above": tally.above, "unanswered": tally.unanswered,
        "worst": max(tally.below, tally.above) / max(1, tally.n),
    }  # fmt: skip


def _compared(reference: Reference) -> dict[str, JSON]:
    row: dict[str, JSON] = {
        "label": f"{reference.family}: {reference.name}", "family": reference.family, "name": reference.name,
        "source": reference.source, "expected": float(reference.expected), "tolerance": reference.tolerance,
        "value": None, "why": "",
    }  # fmt: skip
    try:
        value = float(reference.compute())
        row["value"] = value if np.isfinite(value) else None
    except Exception as error:  # noqa: BLE001 - what is compared may be broken in any way, and that is its result
        row["why"] = f"{type(error).__name__}: {error}"
    return {**row, "verdict": "ok" if agrees(row) else "FAIL"}


def environment() -> dict[str, str]:
    """Versions of what was tried."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in ("ophamin", "ophamin-core", "ophamin-measuring", "numpy", "scipy", "scikit-learn", "statsmodels"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
