"""``ophamin schema …``: what records look like, and moving old ones forward."""

from __future__ import annotations

from pathlib import Path

import click

from ophamin import registry
from ophamin.cli._output import as_json, emit_json, emit_table, printable
from ophamin.cli.records import open_record, problems_of
from ophamin.proof.errors import PluginError, UsageError
from ophamin.protocols import Settings

__all__ = ["schema_info", "schema_list", "schema_migrate", "schema_validate"]


@click.command("list")
@as_json
def schema_list(as_json: bool) -> None:
    """List the record kinds, the version written, and the wheel that owns each.

    Example: ophamin schema list
    """
    rows = []
    for name in registry.records.names():
        try:
            kind = registry.records.get(name)
            rows.append({"kind": name, "version": kind.version, "origin": registry.records.origin(name)})
        except PluginError as error:
            rows.append({"kind": name, "version": "?", "origin": str(error)})
    if as_json:
        emit_json({"schemas": rows})
        return
    emit_table(["KIND", "VERSION", "FROM"], [tuple(r.values()) for r in rows])


@click.command("info")
@click.argument("kind")
@as_json
def schema_info(kind: str, as_json: bool) -> None:
    """Print the JSON Schema of KIND, which is JSON with --json or without.

    Example: ophamin schema info proof > proof.schema.json
    """
    emit_json(registry.records.get(kind).schema)


@click.command("validate")
@click.argument("record")
@as_json
@click.pass_context
def schema_validate(ctx: click.Context, record: str, as_json: bool) -> None:
    """Check RECORD, of whatever kind, against its schema and its own consistency.

    Example: ophamin schema validate record.json
    """
    found = open_record(ctx.obj, record, "")
    problems = problems_of(found)
    if as_json:
        emit_json({"record": record, "kind": found.kind.name, "valid": not problems, "problems": problems})
    else:
        click.echo(f"{found.kind.name} {found.schema_version}: {'valid' if not problems else 'not valid'}")
        for problem in problems:
            click.echo(f"  {printable(problem)}")
    ctx.exit(2 if problems else 0)


@click.command("migrate")
@click.argument("source", metavar="IN")
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--key-file", type=click.Path(path_type=Path), help="Key to sign the new form with.")
@as_json
@click.pass_obj
def schema_migrate(settings: Settings, source: str, out: Path, key_file: Path | None, as_json: bool) -> None:
    """Rewrite the record IN, of an older version, as OUT in the version written today.

    The old record is verified first and stays as it is; the new one says which id it came from and
    is signed by you: it shows that you rewrote it, not who measured it.

    Example: ophamin schema migrate old.json new.json
    """
    from ophamin.proof.keys import Keyring
    from ophamin.proof.migrate import migrate
    from ophamin.proof.reading import write_object
    from ophamin.proof.signed import sign

    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.absolute().parent} to write it to")
    found = open_record(settings, source, "")
    body = migrate(found)
    record = sign(body, found.kind, Keyring().signer(key_file))
    write_object(out, record)
    result = {"from": found.id, "to": record[found.kind.id_field], "path": str(out)}
    if as_json:
        emit_json(result)
        return
    click.echo(f"{result['from'][:16]} → {result['to'][:16]} in {out}")
