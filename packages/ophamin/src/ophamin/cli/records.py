"""``ophamin record …`` on every kind of record; ``proof`` and ``audit-record`` fix the kind."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ophamin import registry
from ophamin.cli._output import as_json, emit_json, emit_table, printable
from ophamin.proof.errors import RecordError, SchemaError, UnsupportedVersion, UsageError
from ophamin.proof.keys import Keyring, read_key_file
from ophamin.proof.project import Project
from ophamin.proof.schemas import violations
from ophamin.proof.signed import SignedRecord, Verification, read, verify
from ophamin.proof.verification import schema_of
from ophamin.registry.gathering import ledger_of, locate

if TYPE_CHECKING:
    # The store is imported where it is used: `proof verify FILE` needs none.
    from ophamin.proof.store import Row, Store
    from ophamin.protocols import Settings

__all__ = ["open_record", "record_command"]

key_file = click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="The HMAC key the records were signed with; one that does not fit is bad.",
)
target = click.argument("record", metavar="RECORD")
ANSWERS = {0: "good", 3: "BAD", 5: "could not be checked, or nobody known signed it"}


def _store(settings: Settings) -> Store:
    from ophamin.proof.store import Store

    return Store(Path(settings.store), Project(Path(settings.project)).index)


def open_record(settings: Settings, text: str, kind: str) -> SignedRecord:
    """Read the record a RECORD argument means, of one kind or ("") of any.

    Raises:
        RecordError: It cannot be read, or is of another kind.
    """
    path = locate(settings, text)
    if not kind:
        return registry.read_record(path)
    try:
        return read(path, [registry.records.get(kind)])
    except UnsupportedVersion:
        raise
    except RecordError:
        other = registry.read_record(path)  # says what is wrong when it is no record at all
        if other.kind.name == kind:
            raise
        raise UsageError(f"{path} is a record of kind {other.kind.name}, not {kind}; use ophamin record …") from None


def _verify(noun: str, kind: str) -> click.Command:
    @click.command(
        "verify",
        help=f"""Verify {noun}s: id, signatures, schema, consistency, ledger, observations.

        Answers good, bad and could not be checked apart. Exits 0 good, 3 bad, 5 could not be checked or unknown
        signer, 2 not a record.

        Example: ophamin {noun} verify record.json""",
    )
    @click.argument("records", metavar="RECORD…", nargs=-1, required=True)
    @key_file
    @as_json
    @click.pass_context
    def command(ctx: click.Context, records: tuple[str, ...], key_file: Path | None, as_json: bool) -> None:
        ring = Keyring()
        extra = [read_key_file(key_file)] if key_file else []
        found: list[tuple[str, SignedRecord, Verification]] = []
        for text in records:
            record = open_record(ctx.obj, text, kind)
            ledger = ledger_of(ctx.obj, record)
            # Only a later attempt has earlier ones to be compared with.
            again = ledger is not None and record.object["preregistration"].get("attempt") != 1
            store = _store(ctx.obj) if again else None
            found.append((text, record, verify(record, ring, extra_keys=extra, ledger=ledger, store=store)))
        # Tampered outranks could-not-be-checked.
        worst = max((v.exit_code for _, _, v in found), key=(0, 5, 3).index)
        if as_json:
            rows = [
                {
                    "record": text,
                    "kind": record.kind.name,
                    "id": record.id,
                    "exit_code": checked.exit_code,
                    "signer": checked.signer,
                    "checks": [asdict(check) for check in checked.checks],
                }
                for text, record, checked in found
            ]
            emit_json({"exit_code": worst, "records": rows})
            ctx.exit(worst)
        for text, record, checked in found:
            click.echo(
                f"{printable(text)}: {record.kind.name} {printable(record.id)[:16]}: {ANSWERS[checked.exit_code]}"
            )
            for check in checked.checks:
                click.echo(f"  {check.state:<20} {check.name}  {printable(check.detail)}".rstrip())
        ctx.exit(worst)

    return command


def _show(noun: str, kind: str) -> click.Command:
    @click.command(
        "show",
        help=f"""Show one {noun} in short, or whole with --json. Reading is not verifying.

        Example: ophamin {noun} show record.json""",
    )
    @target
    @as_json
    @click.pass_obj
    def command(settings: Settings, record: str, as_json: bool) -> None:
        found = open_record(settings, record, kind)
        if as_json:
            emit_json(found.object)
            return
        if broken := violations(found.object, schema_of(found.kind, found.schema_version)):
            raise SchemaError(f"{record}: no {found.kind.name} record of its version: {broken[0]}; --json shows it raw")
        click.echo(f"{found.kind.name} {printable(found.id)}  (schema {found.schema_version})")
        if found.path:
            click.echo(f"file: {found.path}")
        for case in found.kind.cases(found.object):
            click.echo(f"{case['outcome']}: {printable(case['name'])}")
            if case.get("message"):
                click.echo(f"  {printable(case['message'])}")
        click.echo(f"verify it: ophamin {noun} verify {record}")

    return command


def _validate(noun: str, kind: str) -> click.Command:
    @click.command(
        "validate",
        help=f"""Check one {noun} against its schema and its own consistency; signatures are for verify.

        Exits 0 valid, 2 not valid.

        Example: ophamin {noun} validate record.json""",
    )
    @target
    @as_json
    @click.pass_context
    def command(ctx: click.Context, record: str, as_json: bool) -> None:
        problems = problems_of(open_record(ctx.obj, record, kind))
        if as_json:
            emit_json({"record": record, "valid": not problems, "problems": problems})
        elif problems:
            for problem in problems:
                click.echo(printable(problem))
        else:
            click.echo("valid")
        ctx.exit(2 if problems else 0)

    return command


def problems_of(record: SignedRecord) -> list[str]:
    """Schema errors and contradictions of a record, one sentence each."""
    broken = violations(record.object, schema_of(record.kind, record.schema_version))
    # Cross-checks take a record of the right shape for granted.
    return list(broken or record.kind.check(record.object))


def _rows(settings: Settings, directory: Path | None, kind: str) -> list[Row]:
    from ophamin.proof.store import Store

    store = Store(directory) if directory else _store(settings)
    return store.rows(kind or None)


def _about(row: Row) -> str:
    """What a record is about, in one line."""
    value = f"{row.observed_value:.4g}" if isinstance(row.observed_value, float) else row.observed_value
    measured = f"{row.metric} = {value} ({row.threshold})" if row.metric else ""
    return ", ".join(str(part) for part in (row.scenario, measured, row.substrate) if part)


def _list(noun: str, kind: str) -> click.Command:
    @click.command(
        "list",
        help=f"""List the {noun}s stored in DIRECTORY (default: this project's).

        Example: ophamin {noun} list""",
    )
    @click.argument("directory", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
    @as_json
    @click.pass_obj
    def command(settings: Settings, directory: Path | None, as_json: bool) -> None:
        rows = _rows(settings, directory, kind)
        if as_json:
            emit_json({"records": [row._asdict() for row in rows]})
            return
        emit_table(
            ["ID", "KIND", "CREATED", "OUTCOME", "WHAT"],
            [(r.id[:16], r.kind, (r.created_at or "")[:19], r.outcome or "", r.problem or _about(r)) for r in rows],
        )

    return command


def _index(noun: str, kind: str) -> click.Command:
    @click.command(
        "index",
        help=f"""Bring the index of stored {noun}s up to date; it also rebuilds itself when needed.

        Example: ophamin {noun} index""",
    )
    @as_json
    @click.pass_obj
    def command(settings: Settings, as_json: bool) -> None:
        store = _store(settings)
        store.refresh()
        rows = store.rows(kind or None)
        unreadable = sum(1 for r in rows if r.problem)
        if as_json:
            emit_json({"store": settings.store, "records": len(rows), "unreadable": unreadable})
            return
        click.echo(f"{len(rows)} {noun}s in {settings.store}, {unreadable} unreadable")

    return command


def record_command(noun: str, kind: str, name: str) -> click.Command:
    """One of the five commands on records.

    Args:
        noun: The word on the command line: ``record``, ``proof``, ``audit-record``.
        kind: The fixed kind, "" for any.
        name: ``verify``, ``show``, ``validate``, ``list`` or ``index``.
    """
    return {"verify": _verify, "show": _show, "validate": _validate, "list": _list, "index": _index}[name](noun, kind)
