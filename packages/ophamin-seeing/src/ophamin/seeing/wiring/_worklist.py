"""What to do about a census: the counts a stratum, and a list sorted by what comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["ACTIONS", "strata_of", "summarise", "worklist"]

JSON = Any
ACTIONS = ("repair", "settle", "wire", "finish", "decide", "check", "tidy")
"""In the order of the list.

- ``repair``: it cannot be parsed, or imports a module that does not exist.
- ``settle``: archived, and yet used by what is live.
- ``wire``: declared a candidate, and not yet imported.
- ``finish``: wired, and all its functions are stubs.
- ``decide``: nobody uses it, or only tests do: wire it, archive it or delete it; the longest first.
- ``check``: nobody is seen to use it, but a dynamic import or a name in a text may.
- ``tidy``: declared a candidate, and wired by now.
"""


def strata_of(modules: Sequence[Mapping[str, JSON]], declared: Sequence[Mapping[str, JSON]]) -> list[dict[str, JSON]]:
    """Counts by stratum, those declared first and in their order.

    Args:
        modules: Of a census.
        declared: Strata of the configuration.

    Returns:
        One row each. Rates are shares of the modules that are no tests and could be parsed; ``None`` without any.
    """
    names = [s["name"] for s in declared]
    names += sorted({m["stratum"] for m in modules} - set(names))
    expected = {s["name"]: s["expected"] for s in declared}
    rows = []
    for name in names:
        members = [m for m in modules if m["stratum"] == name]
        counts = Counter(m["classification"] for m in members)
        code = len(members) - counts["test"] - counts["unparsed"]
        wanted = expected.get(name)
        rows.append(
            {
                "stratum": name,
                "n_total": len(members),
                "n_wired": counts["wired"],
                "n_wire_candidate": counts["wire_candidate"],
                "n_archived": counts["archived"],
                "n_stub": counts["stub"],
                "n_orphan": counts["orphan"],
                "n_test": counts["test"],
                "n_unparsed": counts["unparsed"],
                "n_with_stubs": sum(m["n_stubs"] > 0 for m in members),
                "expected": wanted,
                "as_expected": None if wanted is None else counts["wired"] >= wanted,
                "wired_rate": counts["wired"] / code if code else None,
                "orphan_rate": counts["orphan"] / code if code else None,
                "wire_candidate_rate": counts["wire_candidate"] / code if code else None,
            }
        )
    return rows


def summarise(modules: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """Counts of the whole tree by class, with files and lines."""
    counts = Counter(m["classification"] for m in modules)
    return {
        "n_modules": len(modules),
        "n_lines": sum(m["lines"] for m in modules),
        **{
            f"n_{name}": counts[name]
            for name in ("wired", "wire_candidate", "archived", "stub", "orphan", "test", "unparsed")
        },
        "n_test_only": sum(_tests_only(m) for m in modules),
    }


def worklist(modules: Sequence[Mapping[str, JSON]], broken: Sequence[Mapping[str, JSON]]) -> list[dict[str, JSON]]:
    """What to do, first things first; within one action the longest modules first, then by path."""
    items = []
    for m in modules:
        for action, reason in _work(m):
            items.append(
                {"action": action, "module": m["module"], "path": m["path"], "reason": reason, "lines": m["lines"]}
            )
    lines = {m["path"]: m for m in modules}
    for b in broken:
        module = lines[b["path"]]
        reason = f"line {b['line']}: {b['missing']} does not exist"
        if "leads out" in b["missing"]:
            reason = f"line {b['line']}: {b['missing']}"
        items.append(
            {
                "action": "repair",
                "module": module["module"],
                "path": b["path"],
                "reason": reason,
                "lines": module["lines"],
            }
        )
    items.sort(key=lambda i: (ACTIONS.index(i["action"]), -i["lines"], i["path"], i["reason"]))
    return items


def _tests_only(m: Mapping[str, JSON]) -> bool:
    return m["classification"] in ("orphan", "stub") and m["n_imported_by_tests"] > 0 and m["n_imported_by"] == 0


def _work(m: Mapping[str, JSON]) -> list[tuple[str, str]]:
    kind = m["classification"]
    if kind == "unparsed":
        return [("repair", m["problem"])]
    if kind == "archived":
        by = ", ".join(m["imported_by"][:2])
        return [("settle", f"archived, and used{f' by {by}' if by else ''}")] if m["live"] else []
    if kind == "wire_candidate":
        return [("wire", "declared a candidate, and not imported" + (", a stub" if m["is_stub"] else ""))]
    if kind == "wired":
        todo = [("finish", f"wired, and all {m['n_stubs']} functions are stubs")] if m["is_stub"] else []
        return [*todo, ("tidy", "declared a candidate, and wired by now")] if m["candidate"] else todo
    if kind == "test":
        return []
    return [_of_unused(m)]


def _of_unused(m: Mapping[str, JSON]) -> tuple[str, str]:
    if m["mentioned_at"]:
        return "check", f"its name stands as text at {m['mentioned_at']}"
    if m["maybe_dynamic"]:
        return "check", "an import whose module is not known before it runs may mean it"
    if m["runnable"]:
        return "check", "nobody imports it, and it can be run by itself"
    stub = "a stub, and " if m["is_stub"] else ""
    if m["n_imported_by"]:
        return "decide", f"{stub}used only by what nobody uses: {', '.join(m['imported_by'][:2])}"
    if m["n_imported_by_tests"]:
        return "decide", f"{stub}only tests use it: {', '.join(m['imported_by_tests'][:2])}"
    if m["n_imported_for_typing"]:
        return "decide", f"{stub}only type checkers import it"
    return "decide", f"{stub}nobody uses it"
