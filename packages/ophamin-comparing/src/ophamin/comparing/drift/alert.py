"""From a comparison to the body of a regression alert."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ophamin.comparing._signed import identity, reproduction
from ophamin.comparing.drift.classes import Transition
from ophamin.comparing.drift.compare import Drift, Pair, PartDrift, Unmatched
from ophamin.comparing.drift.mover import Bounds
from ophamin.comparing.drift.proofs import Part, Proof
from ophamin.proof.printable import text

__all__ = ["CLASSES", "alert_body", "class_of", "pair_key", "summary_of"]

JSON = Any
CLASSES = ("regression", "recovery", "lateral", "unchanged")


def alert_body(
    drift: Drift, before_root: str, after_root: str, problems: Sequence[Mapping[str, str]] = ()
) -> dict[str, JSON]:
    """The body of a ``regression-alert/1.1`` record.

    Args:
        drift: The comparison.
        before_root: Where the first side was read, as the user named it.
        after_root: Where the second side was read.
        problems: Files that were left out or could not be checked: ``state``, ``path``, ``reason``.

    Example:
        >>> from ophamin.comparing.drift import compare
        >>> alert_body(compare([], []), "main", "head")["summary"]
        {'regression': 0, 'recovery': 0, 'lateral': 0, 'unchanged': 0}
    """
    who = identity()
    transitions = sorted((_transition(pair) for pair in drift.pairs), key=place)
    sides = {
        "before": (drift.before_only, drift.superseded_before),
        "after": (drift.after_only, drift.superseded_after),
    }
    return {
        "schema_version": "regression-alert/1.1",
        "before_root": text(before_root),
        "after_root": text(after_root),
        **{f"n_{side}": len(drift.pairs) + len(a) + len(b) for side, (a, b) in sides.items()},
        "generated_at": who["captured_at"],
        "ophamin_version": who["ophamin_version"],
        "ophamin_git_commit": who["ophamin_git_commit"],
        "code": who["code"],
        "settings": {"alpha": drift.alpha, "correction": drift.correction, "family": drift.family},
        "transitions": transitions,
        **{f"unmatched_in_{side}": sorted(pair_key(u.proof) for u in alone) for side, (alone, _) in sides.items()},
        "unmatched": [_unmatched(side, item) for side, (alone, _) in sides.items() for item in alone],
        "superseded": [
            {"side": side, "proof_id": proof.proof_id, "pair_key": pair_key(proof), "verdict": proof.outcome}
            for side, (_, earlier) in sides.items()
            for proof in earlier
        ],
        # A file may be called by bytes that are no UTF-8, which no record can hold.
        "problems": [{name: text(value) for name, value in problem.items()} for problem in problems],
        "summary": summary_of(transitions),
        "reproduction": reproduction(["ophamin", *sys.argv[1:]]),
    }


def summary_of(transitions: Sequence[Mapping[str, JSON]]) -> dict[str, int]:
    """How many transitions there are of each class."""
    found = [t["transition_class"] for t in transitions]
    return {name: found.count(name) for name in CLASSES}


def class_of(transition: Transition) -> str:
    """Class in the record, which knows four: better by more than δ is a recovery, as worse by it is a regression."""
    return "recovery" if transition == "improvement" else transition


def place(transition: Mapping[str, JSON]) -> tuple[str, str, str]:
    """What the transitions are sorted by."""
    return transition["pair_key"], transition["before_proof_id"], transition["after_proof_id"]


def pair_key(proof: Proof) -> str:
    """``family|metric|comparator|value``, with the scenario as the family, as version 1.0 has it."""
    first = proof.parts[0]
    return f"{proof.key.scenario}|{first.metric}|{first.comparator}|{first.theta}"


def _transition(pair: Pair) -> dict[str, JSON]:
    return {
        "pair_key": pair_key(pair.before),
        "family": pair.before.key.scenario,
        "threshold_metric": pair.before.parts[0].metric,
        **_side("before", pair.before),
        **_side("after", pair.after),
        "transition_class": class_of(pair.transition),
        "claim": pair.before.claim,
        "series": asdict(pair.before.key),
        "deltas": [_delta(part) for part in pair.parts],
        "differs": {name: list(both) for name, both in pair.differs.items()},
    }


def _side(side: str, proof: Proof) -> dict[str, JSON]:
    bounds = proof.parts[0].bounds
    return {
        f"{side}_verdict": proof.outcome,
        f"{side}_observed": None if bounds is None else bounds.value,
        f"{side}_commit": proof.facts.get("revision", ""),
        f"{side}_path": "" if proof.path is None else str(proof.path),
        f"{side}_proof_id": proof.proof_id,
        f"{side}_verified": proof.verified,
    }


def _delta(part: PartDrift) -> dict[str, JSON]:
    effect, sides = part.effect, part.effect.sides
    p_values = None
    if sides is not None and part.corrected is not None:
        names = ("worse", "better", "equivalent")
        raw = (*sides.beyond(part.before.comparator), sides.equivalent)
        p_values = {n: {"p": p, "adjusted": q} for n, p, q in zip(names, raw, part.corrected, strict=True)}
    return {
        "metric": part.before.metric,
        "comparator": part.before.comparator,
        "threshold": part.before.theta,
        "before": _bounds(part.before),
        "after": _bounds(part.after),
        "difference": None if part.difference is None else _stated(part.difference),
        "smallest_difference": part.before.smallest_difference,
        "method": part.method,
        "paired": effect.paired,
        "certain": effect.certain,
        "p_values": p_values,
        "transition": part.transition,
        "equivalent": part.equivalent,
    }


def _bounds(part: Part) -> dict[str, JSON] | None:
    return None if part.bounds is None else _stated(part.bounds)


def _stated(bounds: Bounds) -> dict[str, JSON]:
    return asdict(bounds)


def _unmatched(side: str, item: Unmatched) -> dict[str, JSON]:
    proof = item.proof
    return {
        "side": side,
        "proof_id": proof.proof_id,
        "pair_key": pair_key(proof),
        "claim": proof.claim,
        "verdict": proof.outcome,
        "nearest": None if item.nearest is None else item.nearest.proof_id,
        "differs": {name: list(both) for name, both in (item.differs or {}).items()},
    }
