"""``ophamin report``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ophamin import registry
from ophamin.proof.atomic import write_atomic
from ophamin.proof.errors import UsageError
from ophamin.protocols import Settings

if TYPE_CHECKING:
    from ophamin.registry.gathering import Found, LeftOut

__all__ = ["report"]

TAMPERED = 3


@click.command()
@click.argument("records", metavar="RECORD…", nargs=-1, required=True)
@click.option(
    "--format", "format_", metavar="NAME", default="html", show_default=True, help="html, markdown, or any renderer."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, - for standard output. Default: report.html here; for Markdown standard output.",
)
@click.option("--title", default="", help="Title of the report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.pass_context
def report(
    ctx: click.Context, records: tuple[str, ...], format_: str, out: Path | None, title: str, as_json: bool
) -> None:
    """Show records to people, as one self-contained HTML page or as Markdown.

    RECORD is a file, a folder of records, or the id of a stored record or its beginning. Every record is
    verified first, and the page says what was found; a tampered one is shown under a banner. The path of the
    report is printed last.

    Exits 0, or 3 when a record is not what was signed; 2 when there is no record to show. That nobody known
    signed a record is said on the page and is no failure of the report.

    Example: ophamin report proofs --out report.html
    """
    from ophamin.registry.gathering import gather

    settings: Settings = ctx.obj
    renderer = registry.renderers.get(format_)()
    found, left_out = gather(settings, records)
    found = _audits_by_time(found)
    for file in left_out:
        click.echo(f"left out: {_plain(f'{file.path}: {file.reason}')}", err=True)
    if not found:
        raise UsageError("there is no record to show; name a file, a folder with records, or an id")
    document = renderer.render(
        [item.record.object for item in found], title=title, verifications=[item.verification for item in found]
    )
    target = _target(out, renderer.suffix, as_json)
    if target is None:
        click.echo(document.rstrip(b"\n"))
    else:
        try:
            write_atomic(target, document)
        except OSError as error:
            raise UsageError(f"the report cannot be written to {target}: {error.strerror or error}") from error
    code = TAMPERED if any(item.bad for item in found) else 0
    for item in found:
        if item.bad:
            bad = "; ".join(f"{c.name}: {c.detail}" for c in item.verification.checks if c.state == "bad")
            click.echo(f"TAMPERED: {_plain(f'{item.record.path}: {bad}')}", err=True)
    if as_json:
        click.echo(json.dumps(_summary(target, format_, found, left_out, code), ensure_ascii=False))
    elif target is not None:
        click.echo(str(target))
    ctx.exit(code)


def _audits_by_time(found: Sequence[Found]) -> list[Found]:
    """Proofs and others where they were; the places of audits filled oldest first.

    Audits of one target follow each other like a log, and their paths are hashes.
    """
    audits = iter(sorted((item for item in found if item.record.kind.name == "audit"), key=_captured_at))
    return [next(audits) if item.record.kind.name == "audit" else item for item in found]


def _captured_at(item: Found) -> float:
    try:
        return datetime.fromisoformat(item.record.object["identity"]["captured_at"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):  # a tampered one may say anything
        return 0.0


def _target(out: Path | None, suffix: str, as_json: bool) -> Path | None:
    """Where to write; ``None`` is standard output, which --json keeps for itself."""
    if out is not None and str(out) != "-":
        return out.absolute()
    if out is None and (suffix != ".md" or as_json):
        return Path(f"report{suffix}").absolute()
    if as_json:
        raise UsageError("--json prints one object on standard output; give --out a file")
    return None


def _summary(
    target: Path | None, format_: str, found: Sequence[Found], left_out: Sequence[LeftOut], code: int
) -> dict[str, object]:
    return {
        "report": None if target is None else str(target),
        "format": format_,
        "exit_code": code,
        "records": [
            {
                "path": str(item.record.path),
                "kind": item.record.kind.name,
                "id": item.record.id,
                "exit_code": item.verification.exit_code,
                "signer": item.verification.signer,
            }
            for item in found
        ],
        "left_out": [{"path": str(item.path), "reason": item.reason} for item in left_out],
    }


def _plain(text: str) -> str:
    """Text that cannot steer a terminal."""
    from ophamin.reporting._text import visible

    return " ".join(visible(text).split())
