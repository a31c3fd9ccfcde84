"""``ophamin mlflow …``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from ophamin.comparing._output import json_line
from ophamin.comparing._show import printable
from ophamin.protocols import Settings

__all__ = ["import_", "log"]

JSON = Any
NOTHING, TAMPERED = 2, 3

uri = click.option(
    "--uri",
    envvar="MLFLOW_TRACKING_URI",
    required=True,
    help="Tracking server or store; default: $MLFLOW_TRACKING_URI.",
)
experiment = click.option("--experiment", default="ophamin", show_default=True, help="Name of the experiment.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


@click.command()
@click.argument("records", nargs=-1, required=True)
@uri
@experiment
@as_json
@click.pass_context
def log(ctx: click.Context, records: tuple[str, ...], uri: str, experiment: str, as_json: bool) -> None:
    """Log records to an MLflow tracking server, each once.

    RECORDS are files, folders of records, or ids of stored records. Metrics carry the bounds of their intervals
    (NAME.lower, NAME.upper), tags the digests of claim and record, artifacts the record and what lies beside it. A
    sweep or campaign becomes the parent of the runs it names. Exits 3 when a record is not what was signed (it is
    named and not logged), 6 when no server answers.

    Example: ophamin mlflow log proofs/ --uri http://127.0.0.1:5000 --experiment nightly
    """
    from ophamin.comparing.provenance.tracking import ToLog, Tracking
    from ophamin.registry.gathering import gather

    settings: Settings = ctx.obj
    found, left_out = gather(settings, records)
    good = [item for item in found if not item.bad]
    problems = {str(item.path): item.reason for item in left_out}
    problems.update(
        {str(i.record.path): "it is not what was signed; ophamin record verify says more" for i in found if i.bad}
    )
    tracking = Tracking(uri, experiment)
    items = []
    for item in good:
        path = item.record.path
        own = path.parent if path is not None and path.name == "record.json" else None
        items.append(ToLog(item.record.object, item.record.kind, own))
    logged = tracking.log(items, progress=_progress if sys.stderr.isatty() else None)
    for path_, reason in problems.items():
        click.echo(f"left out: {printable(path_)}: {printable(reason)}", err=True)
    if as_json:
        result = {"tracking_uri": tracking.public_uri, "experiment": experiment, "left_out": problems}
        click.echo(json_line({**result, "runs": [asdict(item) for item in logged]}))
    else:
        for run in logged:
            lost = f"  (without {'; '.join(run.lost)})" if run.lost else ""
            said = f"{run.record_id[:16]}  run {run.run_id}  {'logged' if run.new else 'was there'}{lost}"
            click.echo(printable(said))
    ctx.exit(TAMPERED if any(i.bad for i in found) else 0 if logged else NOTHING)


@click.command("import")
@uri
@experiment
@as_json
@click.pass_context
def import_(ctx: click.Context, uri: str, experiment: str, as_json: bool) -> None:
    """Bring the runs of an MLflow experiment into the lineage, and the records among them into the store.

    Every record is verified first. Exits 3 when one is not what was signed (it is named and not stored), 6 when no
    server answers.

    Example: ophamin mlflow import --uri http://127.0.0.1:5000 --experiment nightly
    """
    from ophamin.comparing.provenance.filling import lineage_of, store_of
    from ophamin.comparing.provenance.tracking import Tracking

    settings: Settings = ctx.obj
    found = Tracking(uri, experiment).fetch(lineage_of(settings), store_of(settings))
    for run_id, reason in found.left_out.items():
        click.echo(f"left out: run {printable(run_id)}: {printable(reason)}", err=True)
    for name, reason in found.files_left_out.items():
        click.echo(f"left out: file {printable(name)}: {printable(reason)}", err=True)
    if as_json:
        click.echo(json_line(asdict(found)))
    else:
        click.echo(f"{len(found.runs)} runs, {len(found.records)} records, {len(found.left_out)} left out")
    ctx.exit(TAMPERED if found.tampered else 0)


def _progress(done: int, total: int) -> None:
    click.echo(f"\rlogged {done:,} of {total:,}", nl=done == total, err=True)
