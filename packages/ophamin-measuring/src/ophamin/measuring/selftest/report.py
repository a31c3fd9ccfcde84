"""The self-test as a table of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["text_report", "worst_errors"]

JSON = Any
_HEAD = ("check", "method", "guarantee", "below", "above", "bound", "limit", "sees", "worst", "n", "verdict")
_LEFT = 3


def text_report(record: Mapping[str, JSON]) -> str:
    """The whole record for a person.

    Rates are misses of an interval, rejections of a test, verdicts of a decision; in brackets those that are not
    judged. ``bound`` is what the method is said to keep, ``limit`` what may be counted by chance, ``sees`` the rate
    that would surely (99 %) have failed, ``worst`` the greatest error of a side of this method on the stress grid.
    """
    run, summary = record["run"], record["summary"]
    worst = worst_errors(record)
    by_method = {method: found for (_, method), found in worst.items()}
    lines = _table(
        [
            _HEAD,
            *(
                _cells(row, worst.get((row["family"], row["method"])) or by_method.get(row["method"]))
                for row in record["checks"]
            ),
        ]
    )
    if worst:
        lines += ["", "Beyond their promise (shown, not judged), the worst error of a side of each approximate method:"]
        lines += [f"  {family}, {method}: {s['worst']:.3f} ({s['law']})" for (family, method), s in worst.items()]
    lines += ["", f"{summary['n_references']} reference numbers compared."]
    for row in record["checks"]:
        if row["verdict"] == "FAIL":
            why = f": {row['unanswered']} unanswered, {row['why']}" if row["unanswered"] else ""
            lines.append(f"FAIL {row['label']}{why}")
    for row in record["references"]:
        if row["verdict"] == "FAIL":
            found = row["why"] or f"{row['value']} instead of {row['expected']}"
            lines.append(f"FAIL {row['label']}: {found} ({row['source']})")
    if record["not_checked"]:
        lines.append(f"No check knows these installed plug-ins: {', '.join(record['not_checked'])}")
    if record.get("not_simulated"):
        lines += ["", "Not tried:", *(f"  {what}: {why}" for what, why in record["not_simulated"].items()), ""]
    lines += _history(run)
    cpu = f" ({run['cpu_s']:.0f} s of one core)" if "cpu_s" in run else ""
    lines.append(
        f"{summary['verdict']}: {summary['n_checks']} checks, {run['mode']}, seed {run['seed']}, "
        f"{run['wall_s']:.0f} s{cpu}; "
        f"a right installation fails at most {run['false_failure_bound']:.2%} of the time"
    )
    return "\n".join(lines)


def _history(run: Mapping[str, JSON]) -> list[str]:
    """What befell the run; the counts are the same for all that."""
    told = []
    if run.get("resumed"):
        told.append(f"It went on from an interrupted one, which had done {run['resumed']} pieces.")
    if run.get("workers_lost"):
        told.append(f"{run['workers_lost']} workers were killed, and their pieces counted again.")
    return told


def _cells(row: Mapping[str, JSON], worst: Mapping[str, JSON] | None) -> tuple[str, ...]:
    n, bound, limit, sees = row["n"], row["bound"], row["limit"], row["sees"]
    rates = []
    for side in ("below", "above"):
        shown = f"{row[side] / (n or 1):.4f}"
        rates.append(shown if side in row["sides"] else f"({shown})")
    limits = _span(*((None if v is None else v / n) for v in (limit["least"], limit["most"]))) if n else "exact"
    return (
        row["label"] + {"type I": ", type I", "power": ", power"}.get(row["kind"], ""), row["method"],
        row["guarantee"], *rates, _span(bound["least"], bound["most"]), limits,
        _outside(sees["below"], sees["above"]) if n else "any",
        f"{worst['worst']:.3f}" if worst and row["guarantee"] == "approximate" else "",
        str(n) if n else "all", row["verdict"],
    )  # fmt: skip


def _span(least: float | None, most: float | None) -> str:
    low, high = ("" if v is None else f"{v:.4f}" for v in (least, most))
    if least is not None and least == most:
        return f"= {low}"
    return f"{low} … {high}" if low and high else f"<= {high}" if high else f">= {low}"


def _outside(below: float | None, above: float | None) -> str:
    words = [f"<= {below:.4f}"] if below is not None else []
    return ", ".join([*words, *([f">= {above:.4f}"] if above is not None else [])]) or "none"


def worst_errors(record: Mapping[str, JSON]) -> dict[tuple[str, str], Mapping[str, JSON]]:
    """By family and method, the stress law on which a side of it erred most."""
    found: dict[tuple[str, str], Mapping[str, JSON]] = {}
    for row in record["checks"]:
        for stress in row.get("stress", ()):
            key = row["family"], row["method"]
            if key not in found or stress["worst"] > found[key]["worst"]:
                found[key] = stress
    return found


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < _LEFT or i == len(row) - 1 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
