"""Running the checks: the same counts for a seed, whatever the number of workers."""

from __future__ import annotations

import contextlib
import multiprocessing
import platform
import signal
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ophamin.measuring.selftest._check import Check, Reference, Tally
from ophamin.measuring.selftest._judging import agrees, limits, passes, union_bound
from ophamin.measuring.selftest._limits import sees_above, sees_below
from ophamin.measuring.selftest.catalogue import REFERENCES, catalogue
from ophamin.proof.errors import UsageError
from ophamin.proof.interrupts import interrupts_held
from ophamin.registry import estimators

__all__ = ["FALSE_FAILURES", "MODES", "SEED", "Progressed", "environment", "results"]

JSON = Any
Progressed = Callable[[int, int, str], None]

MODES = ("quick", "full")
SEED = 20_260_101
"""The seed when none is given, so that two installations can be compared count by count."""
FALSE_FAILURES = 0.01
"""How often a right installation fails anything in the whole table, at most."""
_PIECE = 4
"""Pieces each simulation is cut into."""
_STRESSED = {"quick": 250, "full": 10_000}
"""Most runs of a stress law, whose error is only shown."""


@dataclass(frozen=True)
class _Piece:
    """Part of one simulation; named, so that a worker finds it in its own catalogue."""

    label: str
    law: int  # −1: the check itself, else which stress law
    number: int
    runs: int


@cache
def _checks() -> Mapping[str, Check]:
    return {check.label: check for check in catalogue()}


def _pieces(checks: Sequence[Check], mode: str) -> list[_Piece]:
    pieces = []
    for check in checks:
        runs = check.runs(mode)
        if not runs:
            pieces.append(_Piece(check.label, -1, 0, 0))
        for law in range(-1 if runs else 0, len(check.stress)):
            here = runs if law < 0 else min(runs or _STRESSED[mode], _STRESSED[mode])
            cuts = [here * i // _PIECE for i in range(_PIECE + 1)]
            pieces += [_Piece(check.label, law, i, cuts[i + 1] - cuts[i]) for i in range(_PIECE)]
    return pieces


def _count(piece: _Piece, seed: int) -> Tally:
    """Count one piece; its numbers depend on the seed and on which piece it is, on nothing else."""
    check = _checks()[piece.label]
    try:
        if check.run is None and piece.law < 0:
            assert check.enumerate is not None
            return check.enumerate()
        rng = np.random.default_rng([seed, zlib.crc32(piece.label.encode()), piece.law + 1, piece.number])
        run = check.run if piece.law < 0 else check.stress[piece.law].run
        assert run is not None
        return run(rng, piece.runs)
    except Exception as error:  # noqa: BLE001 - what is tried may be broken in any way, and that is its result
        return Tally(0, 0, piece.runs, max(1, piece.runs), f"{type(error).__name__}: {error}")


def _uninterrupted() -> None:
    """Ctrl-C is for the parent, which then lets its workers go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _counted(pieces: Sequence[_Piece], seed: int, jobs: int) -> Iterator[tuple[_Piece, Tally]]:
    if jobs == 1:
        for piece in pieces:
            yield piece, _count(piece, seed)
        return
    # Spawned, not forked: a worker holds what is installed, whatever threads run here.
    context, before = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_uninterrupted) as pool:
        try:
            with interrupts_held():
                futures = {pool.submit(_count, piece, seed): piece for piece in pieces}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise UsageError("a worker was killed, perhaps for its memory; try fewer, such as --jobs 1") from None
        except BaseException:
            # Cancelling alone may leave the pool waiting for ever; its workers hold nothing worth waiting for.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - before:
                worker.terminate()
            raise


def results(
    mode: str = "quick",
    *,
    seed: int = SEED,
    jobs: int = 1,
    only: Collection[str] | None = None,
    progress: Progressed | None = None,
) -> dict[str, JSON]:
    """Run the checks and judge them.

    Args:
        mode: ``quick`` or ``full``.
        seed: Seed of every simulation, from 0 up.
        jobs: Worker processes; 1 runs here, and then also tries what this process has registered.
        only: Only these families or labels; the limits stay those of the whole table. ``None``: all.
        progress: Called with pieces done, pieces in all, and what was done last.

    Returns:
        The sections ``run``, ``checks``, ``references``, ``not_checked`` and ``summary`` of the record.

    Raises:
        UsageError: An unknown mode, family or label, or a number out of range.
    """
    if mode not in MODES or not 0 <= seed < 2**63 or jobs < 1:
        raise UsageError(f"a self-test is {' or '.join(MODES)}, with a seed from 0 up and at least one job")
    everything = tuple(_checks().values())
    known = {c.family for c in everything} | {r.family for r in REFERENCES}
    if only is not None and (unknown := set(only) - known - _checks().keys()):
        raise UsageError(f"no check is called {sorted(unknown)[0]!r}; there are {', '.join(sorted(known))}")
    chosen = [c for c in everything if only is None or c.family in only or c.label in only]
    share = FALSE_FAILURES / sum(c.limits for c in everything)
    began, totals = time.perf_counter(), dict[tuple[str, int], Tally]()
    pieces = _pieces(chosen, mode)
    for done, (piece, tally) in enumerate(_counted(pieces, seed, jobs), start=1):
        key = (piece.label, piece.law)
        totals[key] = totals[key] + tally if key in totals else tally
        if progress is not None:
            progress(done, len(pieces), piece.label)
    rows = [_row(check, totals, mode, share) for check in chosen]
    compared = [_compared(r) for r in REFERENCES if only is None or r.family in only]
    failed = [r["label"] for r in rows + compared if r["verdict"] == "FAIL"]
    return {
        "run": {
            "mode": mode, "seed": seed, "jobs": jobs, "wall_s": round(time.perf_counter() - began, 3),
            "complete": only is None, "share": share, "false_failures": FALSE_FAILURES,
            "false_failure_bound": union_bound(rows),
        },
        "checks": rows,
        "references": compared,
        "not_checked": sorted(set(estimators.names()) - {c.family for c in everything}),
        "summary": {
            "verdict": "FAIL" if failed else "ok", "n_checks": len(rows), "n_references": len(compared),
            "failed": failed,
        },
    }  # fmt: skip


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
