"""``ophamin lineage note``, ``export`` and ``merge``: what several machines know, without a server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ophamin.comparing._command.lineage import as_json, opened, record_id_of
from ophamin.comparing._output import json_line
from ophamin.comparing._show import printable
from ophamin.protocols import Settings

__all__ = ["export", "merge", "note"]

TAMPERED = 3

library = click.option(
    "--library", "backend", default="", metavar="pycrdt|y-py", help="Which CRDT library; default: what is installed."
)


@click.command()
@click.argument("proof")
@click.argument("text")
@library
@click.pass_obj
def note(settings: Settings, proof: str, text: str, backend: str) -> None:
    """Add a paragraph to the note of a record; others may add theirs at the same time, and merging keeps both.

    Example: ophamin lineage note 3f2a "the flaky sensor was replaced after this run"
    """
    from ophamin.comparing.provenance.crdt.notes import add_note

    lineage, _ = opened(settings)
    add_note(lineage, record_id_of(settings, lineage, proof), text, backend=backend)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@library
@click.pass_obj
def export(settings: Settings, file: Path, backend: str) -> None:
    """Write records, their files, runs and notes to FILE, for `lineage merge` on another machine.

    Example: ophamin lineage export laptop.lineage
    """
    from ophamin.comparing.provenance.crdt.merging import snapshot
    from ophamin.comparing.provenance.filling import store_of
    from ophamin.proof.atomic import write_atomic
    from ophamin.proof.errors import UsageError

    lineage, _ = opened(settings)
    packed = snapshot(lineage, store_of(settings), backend=backend)
    try:
        write_atomic(file, packed)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}; name a file that can be written") from error


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@library
@as_json
@click.pass_context
def merge(ctx: click.Context, files: tuple[Path, ...], backend: str, as_json: bool) -> None:
    """Take what other machines exported into this project.

    FILES may be merged in any order and as often as one likes; the result is the same everywhere. Every record is
    verified first. Exits 3 when one is not what was signed (it is named and not stored).

    Example: ophamin lineage merge laptop.lineage server.lineage
    """
    from ophamin.comparing.provenance.crdt.merging import merge as merge_file
    from ophamin.comparing.provenance.filling import store_of
    from ophamin.proof.errors import UsageError

    lineage, _ = opened(ctx.obj)
    store, results, tampered = store_of(ctx.obj), {}, False
    for file in files:
        try:
            packed = file.read_bytes()
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror or error}; give a file that lineage export wrote") from error
        found = merge_file(packed, lineage, store, backend=backend)
        tampered = tampered or found.tampered
        results[str(file)] = found
        for record_id, reason in found.left_out.items():
            click.echo(f"left out: {printable(record_id)}: {printable(reason)}", err=True)
        for name, reason in found.files_left_out.items():
            click.echo(f"left out: file {printable(name)}: {printable(reason)}", err=True)
    if as_json:
        click.echo(json_line({name: asdict(found) for name, found in results.items()}))
    else:
        for name, found in results.items():
            said = f"{len(found.records)} records, {len(found.runs)} runs and {len(found.notes)} notes are new"
            click.echo(f"{printable(name)}: {said}, {len(found.left_out)} records were left out")
    ctx.exit(TAMPERED if tampered else 0)
