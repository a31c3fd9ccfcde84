"""``ophamin scrape``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.protocols import Settings
from ophamin.seeing._command._settings import as_json, copy_to, key_file, settings_of, show_progress

if TYPE_CHECKING:
    from ophamin.seeing._signed import Kept

__all__ = ["scrape"]

JSON = Any
SHOWN = 20


@click.command("scrape", short_help="What an endpoint exposes as metrics, once or over a window.")
@click.argument("url")
@click.option("--window", "window_s", type=float, help="Scrape twice, this many seconds apart, and tell the increases.")
@click.option("--timeout", "timeout_s", type=float, default=10.0, show_default=True, help="Seconds for a whole answer.")
@click.option(
    "--format",
    type=click.Choice(["auto", "text", "openmetrics"]),
    default="auto",
    show_default=True,
    help="What to ask for; auto prefers OpenMetrics, which alone carries exemplars.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the record there.")
@key_file
@as_json
@click.pass_context
def scrape(
    ctx: click.Context,
    url: str,
    window_s: float | None,
    timeout_s: float,
    format: str,
    out: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Read the metrics at URL, a Prometheus or OpenMetrics endpoint, into a signed snapshot.

    With --window, counters are told as increases, and a reset in between is accounted for. A series that vanished is
    missing, never 0.

    \b
    Example:
      ophamin scrape http://localhost:9100/metrics
      ophamin scrape http://localhost:8000/metrics --window 15 --json
    """
    from ophamin.seeing.telemetry.report import report_telemetry

    settings: Settings = settings_of(ctx.obj)

    def tick(waited: float, window: float) -> None:
        show_progress(f"scrape: {waited:.0f} of {window:g} s")

    kept = report_telemetry(
        url, settings, window_s=window_s, timeout_s=timeout_s, format=format, key_file=key_file, progress=tick
    )
    if window_s is not None:
        show_progress(f"scrape: {window_s:g} s", last=True)
    copy_to(kept.record, out)
    if as_json:
        names = ("source", "scrapes", "window_s", "families", "changes", "missing", "warnings")
        found = {name: kept.record[name] for name in names}
        click.echo(
            json.dumps(
                {"snapshot_id": kept.record["snapshot_id"], "record": str(kept.path), **found}, ensure_ascii=False
            )
        )
    else:
        _show(kept)


def _show(kept: Kept) -> None:
    from ophamin.seeing._signed import printable

    record = kept.record
    last = record["scrapes"][-1]
    click.echo(f"{last['n_families']} families, {last['n_samples']} series, {record['source']['format']} format")
    lines = []
    if record["window_s"] is None:
        for f in record["families"]:
            unit = f" in {f['unit']}" if f["unit"] else ""
            exemplars = sum("exemplar" in s for s in f["samples"])
            more = f", {exemplars} exemplars" if exemplars else ""
            lines.append(f"{f['type']:<9} {f['name']}{unit}: {len(f['samples'])} series{more}")
    else:
        moved = [c for c in record["changes"] if c["state"] != "ok" or c["delta"]]
        for c in sorted(moved, key=lambda c: (c["state"] == "ok", c["name"])):
            said = c["state"] if c["delta"] is None else f"+{c['delta']:g} ({c['rate_per_s']:.3g}/s)"
            lines.append(f"{c['name']}{_labels(c['labels'])}: {said}{', reset' if c['state'] == 'reset' else ''}")
        counted = {(c["name"], str(c["labels"])) for c in record["changes"]}
        gone = [m for m in record["missing"] if (m["name"], str(m["labels"])) not in counted]
        lines += [f"{m['name']}{_labels(m['labels'])}: missing" for m in gone]
    for line in lines[:SHOWN]:
        click.echo(printable(line))
    if len(lines) > SHOWN:
        click.echo(f"… and {len(lines) - SHOWN} more in the record")
    for warning in record["warnings"]:
        click.echo(printable(warning), err=True)
    click.echo(f"record: {kept.path}")


def _labels(labels: list[list[str]]) -> str:
    return "{" + ",".join(f'{k}="{v}"' for k, v in labels) + "}" if labels else ""
