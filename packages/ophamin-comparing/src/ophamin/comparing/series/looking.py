"""A look at commits that are pooled under a registration: what ``ophamin cumulative look`` does.

Every commit is a step that spends its share of α, whether somebody looks after it or not, so how often and when it is
looked at changes nothing. Once taken, a commit keeps its place: what comes later is appended.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from ophamin.comparing._signed import Kept, identity, keep, reproduction, signer_of
from ophamin.comparing.drift.pairing import measured_records
from ophamin.comparing.drift.proofs import Proof
from ophamin.comparing.series.cumulative_record import CUMULATIVE
from ophamin.comparing.series.points import Point, Series, point_of, series_of
from ophamin.comparing.series.pooling import Step, pool
from ophamin.comparing.series.registering import LOOK, Registered, find, since, spent
from ophamin.proof.decision import outcome
from ophamin.proof.errors import OphaminError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.proof.reading import read_object
from ophamin.proof.signed import read, verify
from ophamin.proof.store import Store
from ophamin.proof.types import Threshold
from ophamin.protocols import Settings

__all__ = ["Looked", "choose", "look"]

JSON = Any
Sized = tuple[Point, int]
"""A commit, and how much was observed of it."""
_ENDED = "measured after the last look of the registration"
OVERLAP = 0.05
"""Share of a commit's records that commits before it may have measured too; more, and it is no sample of its own."""


@dataclass(frozen=True)
class Looked:
    """A look and its record.

    Args:
        kept: The signed record.
        repeated: Whether the same commits had been looked at before, so that nothing was spent.
        beyond: Commits that came after the end of the registration, and are not pooled.
    """

    kept: Kept
    repeated: bool
    beyond: int = 0


def choose(proofs: Sequence[Proof], metric: str, claim: str = "") -> Series:
    """The one series of a metric, by the beginning of its claim's digest where there are several.

    Raises:
        UsageError: There is none, or more than one.
    """
    every = [s for s in series_of(proofs) if s.metric == metric]
    found = [s for s in every if s.key.claim.removeprefix("sha256:").startswith(claim.removeprefix("sha256:"))]
    if not found:
        names = ", ".join(sorted({s.metric for s in series_of(proofs)})[:20]) or "none"
        what = f"no claim that begins with {claim!r} has" if every else "no proof here has"
        raise UsageError(f"{what} a metric called {metric!r}; there are {names}")
    if len(found) > 1:
        listed = "; ".join(f"{s.key.claim.removeprefix('sha256:')[:12]} {s.key.scenario} {s.key.substrate} "
                           f"{s.comparator} {s.theta}" for s in found[:10])  # fmt: skip
        raise UsageError(f"{len(found)} series have this metric; name one by --claim, or give a folder of it: {listed}")
    return found[0]


def look(
    proofs: Sequence[Proof], metric: str, settings: Settings, *, claim: str = "", key_file: Path | None = None
) -> Looked:
    """Pool the commits of a registered series and keep a signed record of it.

    Args:
        proofs: Verified proofs.
        metric: Name of the metric.
        settings: Of the project, whose ledger has the registration.
        claim: Beginning of the digest of the claim, where several have the metric.
        key_file: Signing key.

    Raises:
        UsageError: Nothing is registered, or a commit of an earlier look is not among the proofs.
        UnknownPlugin: The pillars of synthesis are not installed (``ophamin-comparing[stats]``).
    """
    signer = signer_of(key_file)
    series = choose(proofs, metric, claim)
    ledger = Ledger(Project(Path(settings.project)).ledger_dir)
    while True:
        registered = find(ledger, series)
        if registered is None:
            raise UsageError(f"register the maximum of {metric!r} before the first look: ophamin cumulative register")
        points, left_out = _points(proofs, series, registered)
        if not points:
            why = "; ".join(sorted({row["reason"] for row in left_out}))
            raise UsageError(f"there is no commit to pool yet{f' ({why})' if why else ''}: measure one, then look")
        body = _body(registered, points, left_out)
        added = [p["proof_id"] for p in body["points"][len(registered.pooled) :]]
        beyond = sum(row["reason"] == _ENDED for row in left_out)
        number = len(registered.looks) + bool(added)
        kept = None if added else _kept(settings, ledger, registered.index, number)
        if kept is not None:
            return Looked(kept, True, beyond)
        with ledger.exclusive():
            ledger.check()
            again = find(ledger, series)
            if again is None or (again.index, len(again.looks)) != (registered.index, len(registered.looks)):
                continue  # someone else looked meanwhile
            if added:
                said = {name: body["result"][name] for name in ("fraction", "outcome", "ended")}
                ledger.append({"type": LOOK, "registration": registered.index, "look": number, "added": added, **said})
            body["registration"] |= {"look": number, "ledger": _place(ledger, registered.index)}
        return Looked(keep(body, CUMULATIVE, settings, signer), not added, beyond)


def _points(
    proofs: Iterable[Proof], series: Series, registered: Registered
) -> tuple[list[Sized], list[dict[str, str]]]:
    """Points in the order they were first looked at, then by time; what is left out, with its reason."""
    ours = {p.proof_id: p for p in proofs if p.key == series.key}
    index = {p.proof_id: next(i for i, part in enumerate(p.parts) if _is(part, series)) for p in ours.values()}
    before = registered.pooled
    for number, proof_id in enumerate(before):
        if proof_id not in ours:
            raise UsageError(
                f"proof {proof_id[:12]} is not here, but look {_look_of(registered, number)} took it; a look is not "
                "taken back: restore it, or register anew"
            )
    known = set(before)
    later = sorted((p for p in ours.values() if p.proof_id not in known), key=lambda p: (p.created_at, p.proof_id))
    taken: list[Sized] = []
    left_out: list[dict[str, str]] = []
    revisions: set[str] = set()
    seen: set[str] = set()
    selections: set[str] = set()
    for proof in [*(ours[i] for i in before), *later]:
        point = point_of(proof, index[proof.proof_id])
        revision, records, selection = proof.facts.get("revision", ""), measured_records(proof), _selection(proof)
        size, reason = proof.body["verdict"].get("n_used") or 0, ""
        if proof.proof_id not in known:
            if not registered.plan.include_earlier and not since(proof.created_at, registered):
                reason = "measured before the registration"
            elif registered.ended:
                reason = _ENDED
            elif point is None or point.se is None or not point.se > 0:
                reason = "it has no standard error"
            elif size < 1:
                reason = "it does not say how much was observed"
            elif revision and revision in revisions:
                reason = "its revision is pooled already; it counts once"
            elif selection and selection in selections:
                reason = "its records are those of a commit that is pooled already"
            elif records and len(records & seen) > OVERLAP * len(records):
                reason = (
                    f"{len(records & seen)} of its {len(records)} records belong to commits that are pooled already"
                )
        if reason or point is None:
            left_out.append(_left(proof.proof_id, revision, reason))
            continue
        taken.append((point, size))
        revisions.add(revision)
        seen |= records or frozenset()
        selections.add(selection)
    return taken, left_out


def _is(part: Any, series: Series) -> bool:
    return bool((part.metric, part.comparator, part.theta) == (series.metric, series.comparator, series.theta))


def _look_of(registered: Registered, position: int) -> int:
    """Which look took the point at this position."""
    total = 0
    for entry in registered.looks:
        total += len(entry["added"])
        if position < total:
            break
    return int(entry["look"])


def _selection(proof: Proof) -> str:
    chosen = [(d.get("selection") or {}).get("content_hash") for d in proof.body["data"]["datasets"]]
    known = [c for c in chosen if isinstance(c, str)]
    return " ".join(known) if len(known) == len(chosen) else ""


def _body(registered: Registered, points: Sequence[Sized], left_out: Sequence[Mapping[str, str]]) -> dict[str, JSON]:
    plan, said = registered.plan, registered.value
    # The first commit that reaches the maximum is the last that is pooled.
    sizes = list(accumulate(size for _, size in points))
    last = next((i + 1 for i, size in enumerate(sizes) if size >= plan.max_n), len(points))
    held, theta = points[:last], float(said["theta"])
    found = pool(
        [p.value for p, _ in held], [p.se or 0.0 for p, _ in held], [size for _, size in held], theta=theta,
        max_n=plan.max_n, alpha=registered.alpha_used, drift_alpha=plan.drift_alpha, spending=plan.spending,
    )  # fmt: skip
    value, lower, upper = (None if v is None else v + theta for v in (found.value, found.lower, found.upper))
    verdict = outcome(Threshold(said["metric"], said["comparator"], theta), lower, upper)
    steps = [_row(step, theta, registered) for step in found.steps] if found.one_truth else [None] * last
    fraction = sizes[last - 1] / plan.max_n
    return {
        "schema_version": "cumulative/1.0",
        "identity": identity(),
        "registration": {"index": registered.index, **{k: v for k, v in said.items() if k not in ("type", "key")}},
        "points": [{**asdict(p), "n": n, "step": step} for (p, n), step in zip(held, steps, strict=True)],
        "left_out": [
            *left_out,
            *(_left(p.proof_id, p.revision, "the registered maximum was reached before it") for p, _ in points[last:]),
        ],
        "result": {
            "outcome": verdict,
            "one_truth": found.one_truth,
            "reason": found.reason,
            "heterogeneity_p": found.heterogeneity_p,
            "change_p": found.change_p,
            "fraction": fraction,
            "value": value,
            "lower": lower,
            "upper": upper,
            "crossed": found.crossed,
            "ended": verdict != "INCONCLUSIVE" or fraction >= 1,
        },
        "reproduction": reproduction(["ophamin", *sys.argv[1:]]),
    }


def _row(step: Step, theta: float, registered: Registered) -> dict[str, JSON]:
    """A step, in units of the metric."""
    moved = {name: None if v is None else v + theta for name, v in
             (("value", step.value), ("lower", step.lower), ("upper", step.upper))}  # fmt: skip
    return {**asdict(step), **moved, "spent": spent(registered.plan.spending, step.fraction, registered.alpha_used)}


def _left(proof_id: str, revision: str, reason: str) -> dict[str, str]:
    return {"proof_id": proof_id, "revision": revision, "reason": reason}


def _place(ledger: Ledger, index: int) -> dict[str, JSON]:
    return {
        "log_id": ledger.log_id,
        "index": index,
        "leaf_hash": ledger.entry(index).leaf_hash,
        "tree_size": ledger.size,
        "root_hash": ledger.root_hash,
        "path": ledger.inclusion(index),
    }


def _kept(settings: Settings, ledger: Ledger, index: int, number: int) -> Kept | None:
    """The record of an earlier look, where a sound one lies in the store."""
    for row in Store(Path(settings.store)).rows(CUMULATIVE.name):
        if row.problem:
            continue
        try:
            record = read_object(row.location)
            said = record["registration"]
            ours = (said["ledger"]["log_id"], said["index"], said["look"]) == (ledger.log_id, index, number)
            if ours and verify(read(row.location, [CUMULATIVE]), Keyring()).ok:
                return Kept(record, Path(row.location))
        except (OphaminError, OSError, LookupError, TypeError):
            continue  # what cannot be trusted is made again
    return None
