"""``ophamin drift``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ophamin.comparing._output import json_line
from ophamin.comparing.drift.family import Correction
from ophamin.proof.errors import UsageError
from ophamin.proof.printable import printable
from ophamin.protocols import Settings

__all__ = ["drift"]

JSON = Any
DRIFTED, OVER_BUDGET, SHOWN = 1, 4, 20
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Whether a stream or a table drifted.")
@click.option("--stream", type=_FILE, help="CSV or JSON-lines file to read a stream from.")
@click.option("--column", help="Its column; needed when it has several.")
@click.option("--observable", help="Read this observable of a proof instead, such as latency_s.")
@click.option("--proof", help="Id or path of that proof.")
@click.option("--table", type=_FILE, help="CSV, JSON-lines or Parquet file to compare with --reference.")
@click.option("--reference", type=_FILE, help="File in which nothing drifted.")
@click.option("--reference-rows", type=click.IntRange(min=10), help="Or: so many points from the stream's beginning.")
@click.option(
    "--detector", default="adwin", show_default=True, help="adwin, kswin, page-hinkley, ddm, eddm, hddm-a or hddm-w."
)
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Parameter of the detector, as river names it."
)
@click.option("--budget", help="At most so many false alarms a point, such as 1/100000; calibrates the detector.")
@click.option("--smallest", default=0.1, show_default=True, help="Table: smallest difference of a share that matters.")
@click.option("--alpha", type=float, help="Table: share of wrong findings accepted.  [default: that of the project]")
@click.option(
    "--method",
    type=click.Choice(["by", "bh"]),
    default="by",
    show_default=True,
    help="Table: correction over the columns.",
)
@click.option("--group", help="Table: column of the unit rows were drawn in; one row of each is used.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of what is drawn or simulated.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else your own]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.pass_context
def drift(
    ctx: click.Context,
    stream: Path | None,
    column: str | None,
    observable: str | None,
    proof: str | None,
    table: Path | None,
    reference: Path | None,
    reference_rows: int | None,
    detector: str,
    pairs: tuple[str, ...],
    budget: str | None,
    smallest: float,
    alpha: float | None,
    method: Correction,
    group: str | None,
    seed: int,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Watch a stream of numbers with a drift detector, or compare a table with a reference; a signed record either way.

    With --budget the detector is made just strict enough on simulated points like the reference, and that is checked on
    fresh ones. A column of a table drifted when its largest difference of a share is shown to be more than --smallest.

    Exits 1 when something drifted, else 4 when the alarm budget could not be shown to be kept, else 0.

    \b
    Example:
      ophamin drift --stream latency.csv --budget 1/100000 --reference-rows 2000
      ophamin drift --observable latency_s --proof 3f2a --detector page-hinkley
      ophamin drift --table today.csv --reference training.csv --smallest 0.05
    """
    settings: Settings = ctx.obj
    _check_one_source(stream, observable, table)
    if table is not None:
        from ophamin.comparing.drift_detection.report import report_table

        if reference is None:
            raise UsageError("a table is compared with a reference; give one with --reference")
        kept = report_table(
            reference, table, settings, alpha=settings.alpha if alpha is None else alpha, smallest=smallest,
            method=method, group=group, seed=seed, key_file=key_file,
        )  # fmt: skip
        code = DRIFTED if kept.record["summary"]["drift"] else 0
        said = _table_lines(kept.record)
    else:
        from ophamin.comparing.drift_detection.report import report_stream
        from ophamin.comparing.drift_detection.streams import from_file

        source, points = _stream(settings, stream, column, observable, proof)
        if reference is not None and reference_rows is not None:
            raise UsageError("give --reference or --reference-rows, not both")
        known = from_file(reference, column) if reference is not None else reference_rows
        if reference_rows is not None and reference_rows >= len(points.values):
            raise UsageError(f"the stream has {len(points.values)} points, so {reference_rows} leave none to scan")
        kept = report_stream(
            points, source, settings, detector=detector, config=dict(map(_pair, pairs)), rate=_rate(budget),
            reference=known, seed=seed, key_file=key_file, progress=_progress,
        )  # fmt: skip
        _progress("", 1.0)
        unkept = kept.record["budget"] is not None and kept.record["budget"]["outcome"] != "VALIDATED"
        code = DRIFTED if kept.record["events"] else OVER_BUDGET if unkept else 0
        said = _stream_lines(kept.record)
    if as_json:
        body = {k: v for k, v in kept.record.items() if k not in ("signature", "attestations")}
        click.echo(json_line({"exit_code": code, "record": str(kept.path), **body}))
    else:
        for line in said:
            click.echo(printable(line))
        click.echo(f"record: {kept.path}")
    ctx.exit(code)


def _check_one_source(*sources: object) -> None:
    if sum(source is not None for source in sources) != 1:
        raise UsageError("give one of --stream FILE, --observable NAME (with --proof), or --table FILE")


def _stream(
    settings: Settings, stream: Path | None, column: str | None, observable: str | None, proof: str | None
) -> tuple[dict[str, str], Any]:
    from ophamin.comparing.drift_detection.streams import from_file, from_observations

    if stream is not None:
        return {"kind": "file", "name": str(stream)}, from_file(stream, column)
    if proof is None or observable is None:
        raise UsageError("an observable is read from a proof; give one with --proof")
    from ophamin.registry.gathering import gather

    found, left_out = gather(settings, [proof])
    proofs = [item for item in found if item.record.kind.name == "proof" and not item.bad]
    if len(proofs) != 1 or proofs[0].record.path is None:
        why = left_out[0].reason if left_out else f"there are {len(proofs)} sound ones"
        raise UsageError(f"{proof} does not name one proof: {why}")
    return {"kind": "observations", "name": proofs[0].record.id}, from_observations(proofs[0].record.path, observable)


def _pair(words: str) -> tuple[str, JSON]:
    name, sign, value = words.partition("=")
    if not sign or not name:
        raise UsageError(f"--set takes NAME=VALUE, not {words!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _rate(words: str | None) -> float | None:
    if words is None:
        return None
    try:
        above, _, below = words.replace(",", "").replace("_", "").partition("/")
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"a budget is a rate such as 1/100000 or 1e-5, not {words!r}") from None


def _progress(words: str, share: float) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{f'calibrating: {words}' if words else ''}", end="", file=sys.stderr, flush=True)


def _stream_lines(record: Mapping[str, JSON]) -> list[str]:
    events, n = record["events"], record["n_samples"] - record["first_sample"]
    config = record["detector_config"].items()
    setting = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in config) or "river's defaults"
    lines = [f"{record['detector_name']} ({setting}): {len(events)} alarms in {n} points of {record['stream_name']}"]
    lines += [f"  point {e['sample_index']}: {e['value_at_event']:g}" for e in events[:SHOWN]]
    lines += [f"  … and {len(events) - SHOWN} more in the record"] if len(events) > SHOWN else []
    lines += [f"{record['n_missing']} points without a number were left out"] if record["n_missing"] else []
    if budget := record["budget"]:
        lines += _budget_lines(budget)
    return lines


def _budget_lines(budget: Mapping[str, JSON]) -> list[str]:
    tried, reference = budget["tried"], budget["reference"]
    said = f"alarm budget {budget['rate']:g} a point: {budget['outcome']}"
    if budget["outcome"] == "VALIDATED":
        last = tried[-1]
        said += f"; {last['alarms']} false alarms in {last['points']:,} fresh points, so at most {last['upper']:.3g}"
    else:
        said += f"; the least rate reached is at most {min(t['upper'] for t in tried):.3g}"
    few = "; model-based: too few real points to draw blocks from" if reference["model_based"] else ""
    return [said, f"  points simulated from {reference['n']} reference points by {reference['method']}{few}"]


def _table_lines(record: Mapping[str, JSON]) -> list[str]:
    summary, settings, units, columns = (record[name] for name in ("summary", "settings", "units", "columns"))
    lines = [
        f"{len(columns)} columns, {units[0]} against {units[1]} rows: {len(summary['drift'])} drifted, "
        f"{summary['stable']} stable, {summary['undecided']} undecided "
        f"(beyond {settings['smallest']:g}, {settings['method'].upper()} at {settings['alpha']:g})"
    ]
    order = {"drift": 0, "undecided": 1, "stable": 2}
    for c in sorted(columns, key=lambda c: (order[c["state"]], -c["effect"]))[:SHOWN]:
        effect = f"{c['effect']:.3f} [{c['lower']:.3f}, {c['upper']:.3f}]"
        lines.append(f"  {c['state']:<9} {c['name']}: {effect}, PSI {c['psi']:.3f}, p of equality {c['p_equal']:.2g}")
    lines += [f"  … and {len(columns) - SHOWN} more in the record"] if len(columns) > SHOWN else []
    for where, word in (("only_reference", "only in the reference"), ("only_current", "only in the current table")):
        lines += [f"  {word}: {', '.join(record[where][:SHOWN])}"] if record[where] else []
    lines += [f"  not compared: {s['name']}: {s['reason']}" for s in record["skipped"]]
    if joint := record["joint"]:
        drawn = f"{joint['columns']} columns, {joint['rows'][0]} and {joint['rows'][1]} rows drawn"
        lines.append(f"  jointly ({drawn}): MMD² {joint['value']:.3g}, p {joint['p']:.3g}")
    return lines
