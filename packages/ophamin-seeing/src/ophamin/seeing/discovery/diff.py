"""What changed between two schema documents: added, removed, retyped; rates and ranges with an exact test.

What can be stated as a fact is: a field or a type that was never seen before is *added* or *retyped*. What can only be
inferred is tested: a field that came in every answer of A and in none of B is *removed*; one that was rarer is
*removed* only if its absence is no chance (Fisher's exact test), else *not seen*. Shares are compared by Fisher's exact
test, numbers and lengths by the two-sample Kolmogorov-Smirnov test; all p-values of one comparison are adjusted by
Holm's method. Answers to stimuli of one group (an author, a template) are not independent, so every test counts one
answer of each group: with few groups few changes can be proven, however many cycles there are. Rates and ranges that
are printed are of all cycles. The same two documents always give the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.seeing.discovery._tests import fisher_exact, holm, kolmogorov_smirnov

__all__ = ["CHANGES", "diff"]

JSON = Any
CHANGES = ("removed", "retyped", "added", "rate", "range", "length", "enumeration", "not_seen", "errors")
"""What a change can be, in the order they are listed."""


@dataclass(frozen=True)
class _Side:
    """How many good answers a document has, and from how many groups."""

    cycles: int
    groups: int


@dataclass
class _Change:
    change: str
    path: str
    detail: dict[str, JSON]
    p: float | None = None
    fact: bool = False


def diff(a: Mapping[str, JSON], b: Mapping[str, JSON], *, alpha: float = 0.05) -> dict[str, JSON]:
    """Compare two schema documents.

    Args:
        a: The earlier document.
        b: The later one.
        alpha: Family-wise error rate of all tests of this comparison together.

    Returns:
        ``changes`` (what changed, by kind and path, each with its adjusted p-value, ``None`` for a fact), ``counts``,
        ``n_tests``, ``n`` (of ``a`` and ``b``, the groups whose answers the tests count), ``notes`` on what makes the
        two hard to compare.

    Raises:
        UsageError: An alpha that is none, or a document without one good answer.

    Example:
        >>> field = {"path": "x", "n_cycles": 9, "types": {"string": {"n_cycles": 9}}, "values": None, "lengths": None,
        ...          "enumeration": None}
        >>> one = {"document_id": "a", "cycles": {"n": 9, "n_ok": 9}, "fields": [field], "n_fields_left_out": 0,
        ...        "corpus": {"selection_hash": "s", "name": "c"}, "substrate": {"name": "s"}, "options": {}}
        >>> [(c["change"], c["path"]) for c in diff(one, {**one, "fields": []})["changes"]]
        [('removed', 'x')]
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha lies between 0 and 1, not at {alpha:g}")
    sides = tuple(_Side(d["cycles"]["n_ok"], _groups(d)["n_ok"]) for d in (a, b))
    if not all(side.cycles for side in sides):
        raise UsageError(f"document {'B' if sides[0].cycles else 'A'} has no good answer to compare; discover it again")
    old, new = ({f["path"]: f for f in d["fields"]} for d in (a, b))
    found = [_errors(a, b)]
    for path in sorted({*old, *new}):
        if path not in new:
            found.append(_gone(path, old[path], *sides))
        elif path not in old:
            detail = {"types": sorted(new[path]["types"]), "rate_b": new[path]["n_cycles"] / sides[1].cycles}
            found.append(_Change("added", path, detail, fact=True))
        else:
            found += _both(path, old[path], new[path], *sides)
    tested = [c for c in found if c.p is not None]
    for change, adjusted in zip(tested, holm([c.p for c in tested if c.p is not None]), strict=True):
        change.p = adjusted
    kept = []
    for change in found:
        if change.fact or (change.p is not None and change.p <= alpha):
            kept.append(change)
        elif change.change == "removed":
            change.change = "not_seen"
            kept.append(change)
    kept.sort(key=lambda c: (CHANGES.index(c.change), c.path, str(sorted(c.detail.items()))))
    return {
        "a": a["document_id"],
        "b": b["document_id"],
        "alpha": alpha,
        "n_tests": len(tested),
        "n": {"a": sides[0].groups, "b": sides[1].groups},
        "changes": [{"change": c.change, "path": c.path, "p": None if c.fact else c.p, **c.detail} for c in kept],
        "counts": {name: sum(c.change == name for c in kept) for name in CHANGES},
        "notes": _notes(a, b),
    }


def _errors(a: Mapping[str, JSON], b: Mapping[str, JSON]) -> _Change:
    rates = [1 - d["cycles"]["n_ok"] / d["cycles"]["n"] for d in (a, b)]
    of_a, of_b = _groups(a), _groups(b)
    p = fisher_exact(of_a["n_failed"], of_a["n"], of_b["n_failed"], of_b["n"])
    return _Change("errors", "", {"rate_a": rates[0], "rate_b": rates[1]}, p)


def _groups(document: Mapping[str, JSON]) -> Mapping[str, int]:
    """Groups of a document; of one from before they were counted, its cycles."""
    cycles = document["cycles"]
    as_if = {"n": cycles["n"], "n_failed": cycles["n"] - cycles["n_ok"], "n_ok": cycles["n_ok"]}
    groups: Mapping[str, int] = cycles.get("groups", as_if)
    return groups


def _n(counted: Mapping[str, JSON]) -> int:
    """In how many groups a field or a type was seen; in a document from before they were counted, cycles."""
    n: int = counted.get("n_groups", counted["n_cycles"])
    return n


def _gone(path: str, field: Mapping[str, JSON], a: _Side, b: _Side) -> _Change:
    k = field["n_cycles"]
    detail: dict[str, JSON] = {"types": sorted(field["types"]), "rate_a": k / a.cycles, "rate_b": 0.0}
    # What came every time is part of the form, however few answers there were.
    if k == a.cycles:
        return _Change("removed", path, detail, fact=True)
    return _Change("removed", path, detail, fisher_exact(_n(field), a.groups, 0, b.groups))


def _both(path: str, old: Mapping[str, JSON], new: Mapping[str, JSON], a: _Side, b: _Side) -> list[_Change]:
    k_a, k_b = _n(old), _n(new)
    rates = {"rate_a": old["n_cycles"] / a.cycles, "rate_b": new["n_cycles"] / b.cycles}
    found = [_Change("rate", path, rates, fisher_exact(k_a, a.groups, k_b, b.groups))]
    kinds_a, kinds_b = _kinds(old), _kinds(new)
    fresh = sorted(kinds_b.keys() - kinds_a.keys())
    if fresh:
        found.append(
            _Change("retyped", path, {"types_a": sorted(kinds_a), "types_b": sorted(kinds_b), "new": fresh}, fact=True)
        )
    elif set(kinds_a) != set(kinds_b):
        # No new type, but one that is gone: a fact if all were of it, else for a test to say.
        gone = kinds_a.keys() - kinds_b.keys()
        p = min(fisher_exact(_n(kinds_a[k]), k_a, 0, k_b) for k in gone)
        detail = {"types_a": sorted(kinds_a), "types_b": sorted(kinds_b), "new": []}
        found.append(_Change("retyped", path, detail, min(1.0, p * len(gone))))
    for kind in sorted(kinds_a.keys() & kinds_b.keys()):
        if len(kinds_a) > 1 or len(kinds_b) > 1:
            of_a, of_b = kinds_a[kind], kinds_b[kind]
            shares = {
                "type": kind,
                "rate_a": of_a["n_cycles"] / old["n_cycles"],
                "rate_b": of_b["n_cycles"] / new["n_cycles"],
            }
            found.append(_Change("rate", path, shares, fisher_exact(_n(of_a), k_a, _n(of_b), k_b)))
    for name, change in (("values", "range"), ("lengths", "length")):
        left, right = old[name], new[name]
        if left and right and left["sample"] and right["sample"]:
            d, p = kolmogorov_smirnov(left["sample"], right["sample"])
            spans = {
                f"{end}_{side}": s[end] for side, s in (("a", left), ("b", right)) for end in ("min", "mean", "max")
            }
            found.append(_Change(change, path, {"d": d, **spans}, p))
    if old["enumeration"] and new["enumeration"] and set(kinds_a) == set(kinds_b):
        before, after = ([e["value"] for e in f["enumeration"]] for f in (old, new))
        words = [v for v in after if not _in(v, before)]
        if words:
            found.append(_Change("enumeration", path, {"new": words, "a": before, "b": after}, fact=True))
    return found


def _kinds(field: Mapping[str, JSON]) -> dict[str, Mapping[str, JSON]]:
    """Types with their cycles; an integer is a number, as JSON Schema has it: many a program prints 1.0 as 1."""
    kinds = dict(field["types"])
    if "integer" in kinds:
        both = [kinds.pop("integer"), *([kinds["number"]] if "number" in kinds else [])]
        kinds["number"] = {
            "n_cycles": min(field["n_cycles"], sum(k["n_cycles"] for k in both)),
            "n_groups": min(_n(field), sum(map(_n, both))),
        }
    return kinds


def _in(value: JSON, values: Sequence[JSON]) -> bool:
    return any(type(value) is type(v) and value == v for v in values)


def _notes(a: Mapping[str, JSON], b: Mapping[str, JSON]) -> list[str]:
    notes = []
    if a["corpus"]["selection_hash"] != b["corpus"]["selection_hash"]:
        notes.append("the two were given different stimuli, so a change may be theirs: use one corpus, n and seed")
    if a["options"].get("examples") != b["options"].get("examples"):
        notes.append("the two kept different examples, so enumerations may not be compared")
    for name, document in (("A", a), ("B", b)):
        cycles, groups = document["cycles"], document["cycles"].get("groups")
        if groups is None:
            notes.append(f"{name} does not say which of its answers belong together; they count as independent")
        elif groups["n"] < cycles["n"]:
            notes.append(f"{name}: {cycles['n']} cycles of {groups['n']} groups; the tests count one of each group")
        if document.get("partial") is not None:
            asked = document["corpus"]["n_selected"]
            notes.append(f"{name} is partial: {cycles['n']} of {asked} cycles ({document['partial']})")
        if document["n_fields_left_out"]:
            notes.append(f"{name} has {document['n_fields_left_out']} more fields than a document lists")
    return notes
