"""One defect found by two tools: reported once, counted once in the totals.

Which rules of two tools say the same is a table, not a guess; where they say it decides: the same file, overlapping
lines, and the same name where both give one. The worse severity stands, of equals the tool that is listed first; the
other finding stays in its tool's list and names the first one as ``duplicate_of``, and the first lists it under
``also_found_by``. Counts of one tool (``TOOL``, ``TOOL.RULE``, ``findings_per_pillar``) are of all that it found.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ophamin.auditing._counts import SEVERITIES

__all__ = ["EQUIVALENT", "mark", "meaning", "shared"]

JSON = Any

EQUIVALENT: Mapping[str, Sequence[tuple[str, str]]] = {
    "unused-import": (("ruff", "F401"), ("vulture", "unused-import")),
    "unused-variable": (("ruff", "F841"), ("vulture", "unused-variable")),
    "unused-argument": (
        ("ruff", "ARG001"), ("ruff", "ARG002"), ("ruff", "ARG003"), ("ruff", "ARG004"), ("ruff", "ARG005"),
        ("vulture", "unused-variable"),
    ),
    "unreachable": (("vulture", "unreachable-code"), ("mypy", "unreachable")),
    "undefined-name": (("ruff", "F821"), ("mypy", "name-defined")),
    "redefinition": (("ruff", "F811"), ("mypy", "no-redef")),
    "complexity": (("ruff", "C901"), ("radon", "CC-C"), ("radon", "CC-D"), ("radon", "CC-E"), ("radon", "CC-F")),
    "no-module-docstring": (("ruff", "D100"), ("ruff", "D104"), ("interrogate", "missing-module-docstring")),
    "no-class-docstring": (("ruff", "D101"), ("ruff", "D106"), ("interrogate", "missing-class-docstring")),
    "no-function-docstring": (
        ("ruff", "D102"), ("ruff", "D103"), ("ruff", "D105"), ("ruff", "D107"),
        ("interrogate", "missing-function-docstring"),
    ),
}  # fmt: skip
"""Meaning → rules that say it. Besides: ruff's ``S123`` is bandit's ``B123``, whose number it carries."""
_MEANINGS: dict[tuple[str, str], list[str]] = defaultdict(list)
for _name, _rules in EQUIVALENT.items():
    for _rule in _rules:
        _MEANINGS[_rule].append(_name)
_SECURITY = {"ruff": re.compile(r"S(\d{3})\Z"), "bandit": re.compile(r"B(\d{3})\Z")}
_QUOTED = re.compile(r"[`'\"]([\w.]+)[`'\"]")
_WHOLE_FILE = frozenset({"no-module-docstring"})


def meaning(tool: str, rule: str) -> list[str]:
    """What a rule says, in the words of the table; empty when no other tool says the same.

    Example:
        >>> meaning("ruff", "F401"), meaning("bandit", "B602"), meaning("ruff", "E711")
        (['unused-import'], ['security-602'], [])
    """
    if tool in _SECURITY and (match := _SECURITY[tool].match(rule)):
        return [f"security-{match[1]}"]
    return _MEANINGS.get((tool, rule), [])


def shared(finding: Mapping[str, JSON], tools: Iterable[str]) -> bool:
    """Whether one of these tools has a rule that could say the same as this finding."""
    said = meaning(finding["pillar_name"], finding["rule_id"])
    return any(
        tool != finding["pillar_name"] and (said_by(tool, m)) for m in said for tool in tools
    )  # fmt: skip


def said_by(tool: str, what: str) -> bool:
    """Whether a tool has a rule of this meaning."""
    if what.startswith("security-"):
        return tool in _SECURITY
    return any(t == tool for t, _ in EQUIVALENT[what])


def mark(pillars: Sequence[Mapping[str, JSON]]) -> None:
    """Mark duplicates in the findings of an audit, in place; earlier marks are forgotten.

    Args:
        pillars: Of the record, fingerprints included.
    """
    groups: dict[tuple[str, str], list[tuple[int, dict[str, JSON]]]] = defaultdict(list)
    for order, pillar in enumerate(pillars):
        for finding in pillar["findings"]:
            finding.pop("duplicate_of", None)
            finding.pop("also_found_by", None)
            for said in meaning(finding["pillar_name"], finding["rule_id"]):
                groups[finding["path"], said].append((order, finding))
    for (_, said), members in groups.items():
        if len({order for order, _ in members}) > 1:
            _merge(said, members)


def _merge(said: str, members: list[tuple[int, dict[str, JSON]]]) -> None:
    """Join findings of one meaning in one file; each joins one finding of another tool at most."""
    ranked = sorted(members, key=lambda m: (SEVERITIES.index(m[1]["severity"]), m[0]))
    for place, (order, first) in enumerate(ranked):
        if "duplicate_of" in first:
            continue
        taken = {order}
        for other_order, other in ranked[place + 1 :]:
            free = "duplicate_of" not in other and "also_found_by" not in other
            if other_order not in taken and free and (said in _WHOLE_FILE or _same_place(first, other)):
                taken.add(other_order)
                other["duplicate_of"] = first["fingerprint"]
                first.setdefault("also_found_by", []).append(
                    {
                        "pillar_name": other["pillar_name"],
                        "rule_id": other["rule_id"],
                        "fingerprint": other["fingerprint"],
                    }
                )


def _same_place(a: Mapping[str, JSON], b: Mapping[str, JSON]) -> bool:
    ends = [f["line"] if f["pillar_name"] in _POINTS else f.get("end_line") or f["line"] for f in (a, b)]
    if not (a["line"] <= ends[1] and b["line"] <= ends[0]):
        return False
    one, other = (_QUOTED.search(f["message"]) for f in (a, b))
    if one is None or other is None:
        return bool(a["line"] == b["line"])
    # `os.path` is the `os` of one tool and the `path` of another.
    return not {one[1], *one[1].split(".")}.isdisjoint({other[1], *other[1].split(".")})


_POINTS = frozenset({"radon", "interrogate"})
"""Tools that name a whole block: its first line is the place."""
