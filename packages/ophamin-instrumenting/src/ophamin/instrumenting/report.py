"""A profile for people: lines of text, or one HTML page with a line chart."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["html_report", "text_report"]

JSON = Any
_SCALES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
WIDTH, HEIGHT = 720, 160
STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2rem auto;max-width:48rem;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{text-align:right;padding:.2rem .7rem;border-bottom:1px solid #ccc}"
    "th[scope=row]{text-align:left;font-weight:400}code{overflow-wrap:anywhere}"
    "svg{width:100%;height:auto}polyline{fill:none;stroke:#1f5fa8;stroke-width:1.5}"
)


def _amount(value: float, unit: str) -> str:
    if unit == "B":
        for name, size in _SCALES:
            if abs(value) >= size:
                return f"{value / size:,.1f} {name}"
        return f"{value:,.0f} B"
    if unit == "s":
        for name, part in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
            if abs(value) >= part or name == "µs":
                return f"{value / part:,.3g} {name}" if value < 100 else f"{value:,.1f} s"
    if unit == "fraction":
        return f"{100 * value:.2f} %"
    return f"{value:,.0f}"


def _ending(record: Mapping[str, JSON]) -> str:
    ending = record.get("ending")
    if ending is None:
        return f"{record['target'].get('cycles', 0):,} cycles"
    words = (
        f"ended with exit code {ending['exit_code']}" if ending["signal"] is None else f"ended by {ending['signal']}"
    )
    if ending["left_running"]:
        words += f"; {ending['left_running']} processes went on"
    if not ending["complete"]:
        words += "; a process that nobody waited for ended unseen, so totals are lower bounds"
    return words


def _overhead(record: Mapping[str, JSON]) -> str:
    found = record.get("overhead")
    if found is None:
        return "not measured"
    unit = found["unit"]
    value = _amount(found["value"], unit)
    if found["lower"] is None:
        return f"{value} (no interval: {found['problem']})"
    bounds = f"[{_amount(found['lower'], unit)}, {_amount(found['upper'], unit)}]"
    per = " a cycle" if unit == "s" else " of the program's time"
    return f"{value}{per}, {bounds} at {100 * found['confidence']:g} % a side, {found['n']} pairs by {found['method']}"


def _rows(record: Mapping[str, JSON]) -> list[tuple[str, dict[str, str]]]:
    rows = []
    for name, found in record["resources"].items():
        told = {k: _amount(found[k], found["unit"]) for k in ("total", "min", "median", "max") if k in found}
        if name in ("rss_bytes", "rss_peak_bytes", "threads", "latency_s", "gpu_memory_bytes", "gpu_utilization"):
            told = {k: v for k, v in told.items() if k != "total"} or told  # a sum of states says nothing
        rows.append((name, told))
    return rows


def text_report(record: Mapping[str, JSON]) -> str:
    """What a profile says, in lines.

    Args:
        record: A profile record.
    """
    target = record["target"]
    name = " ".join(target["argv"]) if target.get("argv") else target["name"]
    lines = [f"{_printable(name)}: {_ending(record)}"]
    for row, told in _rows(record):
        lines.append(f"  {row:<32} " + "  ".join(f"{k} {v}" for k, v in told.items()))
    sampling = record["sampling"]
    what = "cycles" if target["kind"] == "run" else f"looks, one every {sampling['period_s']:g} s"
    lines += [f"  seen in {sampling['n_samples']} {what}", f"  overhead: {_overhead(record)}"]
    return "\n".join(lines)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def html_report(record: Mapping[str, JSON], series: bytes = b"") -> bytes:
    """One self-contained page: a table, and memory and CPU over time where there is a series.

    Args:
        record: A profile record.
        series: Its series as CSV, or nothing.
    """
    target = record["target"]
    name = html.escape(_printable(" ".join(target["argv"]) if target.get("argv") else target["name"]))
    cells = "".join(
        f"<tr><th scope=row>{html.escape(row)}<td>{told.get('total', '')}<td>{told.get('min', '')}"
        f"<td>{told.get('median', '')}<td>{told.get('max', '')}"
        for row, told in _rows(record)
    )
    charts = "".join(_charts(series)) if series else ""
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Profile of {name}</title><style>{STYLE}</style>"
        f"<h1>Profile</h1><p><code>{name}</code>: {html.escape(_ending(record))}."
        f"<p>Overhead: {html.escape(_overhead(record))}.{charts}"
        "<table><thead><tr><th scope=col>resource<th scope=col>total<th scope=col>least<th scope=col>median"
        f"<th scope=col>greatest<tbody>{cells}</table><p>Record <code>{record['profile_id']}</code>"
    )
    return page.encode("utf-8", "backslashreplace")


def _charts(series: bytes) -> list[str]:
    rows = list(csv.DictReader(io.StringIO(series.decode("ascii", "replace"))))
    charts = []
    for column, title, unit in (("rss_bytes", "Resident memory", "B"), ("cpu_s", "CPU time used", "s")):
        points = [(float(r["t_s"]), float(r[column])) for r in rows if r.get(column) and r.get("t_s")]
        if len(points) > 1:
            charts.append(_chart(points, title, unit))
    return charts


def _chart(points: Sequence[tuple[float, float]], title: str, unit: str) -> str:
    last, top = max(points[-1][0], 1e-9), max(max(v for _, v in points), 1e-9)
    line = " ".join(f"{WIDTH * t / last:.1f},{HEIGHT * (1 - v / top):.1f}" for t, v in points)
    label = html.escape(f"{title}: up to {_amount(top, unit)} over {last:.2f} s")
    return (
        f"<h2>{label}</h2><svg viewBox='0 -4 {WIDTH} {HEIGHT + 8}' role=img aria-label='{label}'>"
        f"<polyline points='{line}'/></svg>"
    )
