"""``ophamin log …``: the ledger of what was registered before it was looked at."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ophamin.cli._output import as_json, emit_json, emit_table
from ophamin.proof.errors import UnknownRecord
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.protocols import Settings

__all__ = ["log_show", "log_verify"]

folder = click.argument("ledger", required=False, type=click.Path(path_type=Path))


def _open(settings: Settings, path: Path | None) -> Ledger:
    directory = path or Project(Path(settings.project)).ledger_dir
    if not directory.is_dir():
        raise UnknownRecord(f"no ledger lies in {directory}; the first 'ophamin run' of a project makes one")
    return Ledger(directory, create=False)


@click.command("show")
@folder
@click.option("--last", type=click.IntRange(min=1), help="Only the last so many entries.")
@as_json
@click.pass_obj
def log_show(settings: Settings, ledger: Path | None, last: int | None, as_json: bool) -> None:
    """Show the entries of LEDGER (default: this project's).

    Example: ophamin log show --last 10
    """
    log = _open(settings, ledger)
    entries = list(log.entries())
    entries = entries[-last:] if last else entries
    if as_json:
        rows: list[dict[str, Any]] = [{"index": e.index, "leaf_hash": e.leaf_hash, **e.value} for e in entries]
        emit_json({"log_id": log.log_id, "size": log.size, "root_hash": log.root_hash, "entries": rows})
        return
    click.echo(f"log {log.log_id}, {log.size} entries, root {log.root_hash}")
    table = []
    for entry in entries:
        value = entry.value
        when = next((str(value[k])[:19] for k in value if k.endswith("_at")), "")
        about = value.get("registration", "")
        what = value.get("scenario") or value.get("outcome") or ""
        detail = f"attempt {value['attempt']}" if "attempt" in value else str(value.get("proof_id", ""))[:16]
        table.append((entry.index, when, value.get("type", "?"), about, what, detail))
    emit_table(["INDEX", "WHEN", "ENTRY", "OF", "WHAT", "DETAIL"], table)


@click.command("verify")
@folder
@as_json
@click.pass_context
def log_verify(ctx: click.Context, ledger: Path | None, as_json: bool) -> None:
    """Recompute LEDGER (default: this project's) and find any rewritten, dropped or reordered entry.

    It cannot show runs that were made outside the log. Exits 3 when something is wrong.

    Example: ophamin log verify
    """
    report = _open(ctx.obj, ledger).verify()
    if as_json:
        emit_json({"ok": report.ok, **asdict(report)})
    elif report.ok:
        click.echo(f"good: {report.size} entries lead to root {report.root_hash}")
    else:
        click.echo(f"bad: {report.problem}")
    ctx.exit(0 if report.ok else 3)
