"""``ophamin changes``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ophamin.comparing._command.synthesis import verified_index
from ophamin.comparing._output import json_line
from ophamin.proof.errors import UsageError
from ophamin.proof.printable import printable
from ophamin.protocols import Settings

__all__ = ["changes"]

JSON = Any
CHANGED, TAMPERED = 1, 3


@click.command(short_help="Since which commit a metric is different.")
@click.argument("metric")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--alpha", type=float, help="Chance of any false alarm.  [default: that of the project]")
@click.option("--watch", "watched", is_flag=True, help="Of all scans for ever: each spends a share of alpha.")
@click.option(
    "--order",
    type=click.File(encoding="utf-8"),
    help="File with revisions, old to new, one a line; - reads standard input.",
)
@click.option(
    "--chart", type=click.Choice(["individuals", "ewma", "cusum"]), help="Also list the signals of a control chart."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the permutations.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else your own]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.pass_context
def changes(
    ctx: click.Context,
    metric: str,
    directory: Path | None,
    alpha: float | None,
    watched: bool,
    order: Any,
    chart: str | None,
    seed: int,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Find the commits at which METRIC shifted, in every series of DIR that has it, as a signed record.

    The best split of a series is held against the best splits of its shuffled values, so that noise raises a false
    alarm in at most alpha of all scans; values that depend on their neighbours are whitened first. Several series are
    corrected as a family (Holm). Points are ordered by the time they were measured, unless --order says otherwise.

    Exits 3 when a proof is not what was signed (it is left out); else 1 when a change is shown; else 0.

    \b
    Example:
      ophamin changes accuracy
      git rev-list --reverse HEAD | ophamin changes latency_p95 proofs/ --order - --watch
    """
    from ophamin.comparing.series.report import report_changes

    settings: Settings = ctx.obj
    revisions = [line.strip() for line in order if line.strip()] if order is not None else []
    with verified_index(settings, directory) as index:
        # Of a large store most is of other metrics, and of a proof only its numbers are asked.
        proofs = [replace(index.load(entry), body={}) for entry in index.having(metric)]
        problems = index.problems()
    if not proofs:
        raise UsageError(f"no sound proof lies in {directory or settings.store}")
    kept = report_changes(
        proofs, metric, settings, alpha=settings.alpha if alpha is None else alpha, watched=watched, order=revisions,
        seed=seed, key_file=key_file,
    )  # fmt: skip
    charts = [_signals(series, chart) for series in kept.record["series"]] if chart else []
    code = CHANGED if kept.record["summary"]["changed"] else 0
    if any(problem.state == "forged" for problem in problems):
        code = TAMPERED
    if as_json:
        body = {k: v for k, v in kept.record.items() if k not in ("signature", "attestations")}
        left_out = [{"path": str(p.path), "state": p.state, "reason": p.reason} for p in problems]
        whole = {"exit_code": code, "record": str(kept.path), **body, "charts": charts, "problems": left_out}
        click.echo(json_line(whole))
    else:
        for i, series in enumerate(kept.record["series"]):
            for line in [*_lines(metric, series), *(_chart_lines(charts[i], chart, series) if chart else [])]:
                click.echo(printable(line))
        for problem in problems:
            click.echo(f"{problem.state}: {printable(problem.path)}: {printable(problem.reason)}", err=True)
        click.echo(f"record: {kept.path}")
    ctx.exit(code)


def _signals(series: Mapping[str, JSON], name: str | None) -> list[int]:
    """Positions at which a control chart signals."""
    from ophamin.comparing.series.charts import chart

    values = [point["value"] for point in series["points"]]
    if not values or max(values) - min(values) <= 1e-9 * max(map(abs, values)):
        # Limits around one value have no width, and rounding puts it beyond them.
        return []
    result = chart(values, name or "individuals")
    return sorted(set(_positions(result.diagnostics.get("signals"))))


def _positions(signals: JSON) -> Iterator[int]:
    """Positions in whatever a chart files them under: by chart and rule, or plainly."""
    if isinstance(signals, int):
        yield signals
    elif isinstance(signals, Mapping):
        for part in signals.values():
            yield from _positions(part)
    elif isinstance(signals, (list, tuple)):
        for part in signals:
            yield from _positions(part)


def _lines(metric: str, series: Mapping[str, JSON]) -> list[str]:
    key, points = series["key"], series["points"]
    level = f"level {series['alpha']:.3g} of this scan, {series['family_alpha']:.3g} of all"
    lines = [f"{metric} over {series['n']} points ({key['scenario'] or 'no scenario'}, {key['substrate']})"]
    for c in series["changes"]:
        at = points[c["index"]]
        first, last = (points[c[side]]["revision"][:12] or f"point {c[side]}" for side in ("first", "last"))
        lines.append(
            f"  changed at {at['revision'][:12] or at['created_at']}: {c['before']:.6g} -> {c['after']:.6g}, "
            f"p {c['p_value']:.3g}; 95 % set {first} to {last}"
        )
    if not series["changes"]:
        lines.append(f"  no change is shown: {series['problem'] or 'p {:.3g}'.format(series['corrected_p'])}")
    lines.append(f"  {level}; autocorrelation taken out {series['rho']:.2f}; scan {series['look']} of this series")
    return lines


def _chart_lines(signals: list[int], chart: str | None, series: Mapping[str, JSON]) -> list[str]:
    names = ", ".join(series["points"][i]["revision"][:12] or f"point {i}" for i in signals[:20])
    return [f"  {chart} chart: {f'signals at {names}' if signals else 'no signal'}"]
