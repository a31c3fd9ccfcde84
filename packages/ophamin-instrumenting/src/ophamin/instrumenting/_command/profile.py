"""``ophamin instrument -- COMMAND`` and ``ophamin instrument report``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.proof.errors import IntegrityError, OphaminError, RecordError, UsageError

if TYPE_CHECKING:
    from ophamin.protocols import Settings

__all__ = ["report", "run"]

JSON = Any
FAILED, INTERRUPTED = 6, 130


def _code(ending: dict[str, JSON]) -> int:
    """0 when the program succeeded, 130 when it was interrupted, else 6; its own code stands in the record."""
    if ending["signal"] == "SIGINT" or ending["exit_code"] == INTERRUPTED:
        return INTERRUPTED
    return 0 if ending["exit_code"] == 0 else FAILED


def _proofs(settings: Settings | None) -> Path:
    from ophamin.proof.project import Project

    return Path(settings.store) if settings is not None else Project.find().proofs


@click.command("run", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--period", "period_s", type=float, default=0.02, show_default=True, help="Seconds between two looks.")
@click.option("--overhead", "pairs", type=click.IntRange(min=0), default=30, show_default=True,
              help="Pairs of work with and without looking, to measure what looking costs; 0: none.")  # fmt: skip
@click.option("--flamegraph", type=click.Choice(["cpu", "memory"]), default=None,
              help="Run the program once more for a flame graph, bound to the record.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Folder of records.  [default: proofs/]")
@click.option("--key-file", type=click.Path(path_type=Path), default=None, help="Signing key.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; the program's own output goes to stderr.")
@click.pass_context
def run(
    ctx: click.Context,
    command: tuple[str, ...],
    period_s: float,
    pairs: int,
    flamegraph: str | None,
    out: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Run COMMAND, look at its process tree while it runs, and keep what it cost as a signed profile.

    Its input and output are left alone; signals sent to Ophamin are passed on to it. Exit code: 0 when the program
    ended with 0, 130 when it was interrupted, 6 when it failed in any other way (its own exit code or signal stands in
    the record), 2 when it cannot be started.

    \b
    Example:
      ophamin instrument -- python train.py --epochs 3
      ophamin instrument --json -- ./server --once
    """
    from ophamin.instrumenting.profiling import profile
    from ophamin.instrumenting.report import text_report
    from ophamin.proof.store import Store

    def drawn() -> dict[str, bytes]:
        return _flame(list(command), str(flamegraph))

    store = Store(_proofs(ctx.obj) if out is None else out)
    try:
        done = profile(
            command, store, period_s=period_s, key_file=key_file, pairs=pairs, quiet=as_json,
            files=None if flamegraph is None else drawn,
        )  # fmt: skip
    except OphaminError:
        raise  # a key that cannot be used is an OSError too
    except OSError as error:
        raise UsageError(f"{store.root} cannot be written: {error.strerror or error}") from error
    if as_json:
        click.echo(json.dumps({"record": str(done.path), **done.record}, ensure_ascii=False))
    else:
        click.echo(f"{text_report(done.record)}\nrecord: {done.path}", err=True)
    ctx.exit(_code(done.record["ending"]))


def _flame(argv: list[str], what: str) -> dict[str, bytes]:
    from ophamin.instrumenting.flame import capture_cpu, capture_memory

    stacks = (capture_cpu(argv) if what == "cpu" else capture_memory(argv)).stacks
    name = f"flamegraph-{what}"
    speedscope = json.dumps(stacks.speedscope(), ensure_ascii=False, separators=(",", ":"))
    return {
        f"{name}.svg": stacks.svg(title=" ".join(argv)),
        f"{name}.speedscope.json": speedscope.encode(),
        f"{name}.collapsed.txt": stacks.collapsed().encode(),
    }


@click.command()
@click.argument("profile")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), default=None,
              help="Also write one HTML page with the numbers over time.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def report(ctx: click.Context, profile: str, page: Path | None, as_json: bool) -> None:
    """Show a profile: a record.json, its folder, or the beginning of its id.

    What is shown is verified as far as it can be: a profile that was changed is refused (exit 3).

    \b
    Example:
      ophamin instrument report 3fa9c1 --html profile.html
    """
    from ophamin.instrumenting.profiling import SERIES
    from ophamin.instrumenting.record import PROFILE
    from ophamin.instrumenting.report import html_report, text_report
    from ophamin.proof.atomic import write_atomic
    from ophamin.proof.signed import read
    from ophamin.proof.store import Store

    path = Path(profile)
    if not path.exists() and re.fullmatch(r"[0-9a-fA-F]{4,64}", profile):
        path = Store(_proofs(ctx.obj)).path(profile)
    if path.is_dir():
        path = path / "record.json"
    record = _checked(read(path, [PROFILE]).object, path)
    if page is not None:
        series = _bound_file(record, path.parent / SERIES)
        try:
            write_atomic(page, html_report(record, series))
        except OSError as error:
            raise UsageError(f"{page} cannot be written: {error.strerror or error}") from error
    if as_json:
        click.echo(json.dumps({"record": str(path), **record}, ensure_ascii=False))
        return
    click.echo(text_report(record))


def _checked(record: dict[str, JSON], path: Path) -> dict[str, JSON]:
    """The record, when its id and its sections are what they say; whose signature it is, ``record verify`` tells."""
    from ophamin.instrumenting.record import PROFILE
    from ophamin.proof.canonical import canonical_bytes, content_id
    from ophamin.proof.schemas import violations
    from ophamin.proof.signed import SignedRecord

    if broken := violations(record, PROFILE.schema):
        raise RecordError(f"{path} is no profile: {'; '.join(broken)}")
    if content_id(canonical_bytes(SignedRecord(PROFILE, record).body)) != record["profile_id"]:
        raise IntegrityError(f"{path} was changed after it was signed: its id is not that of its content")
    if wrong := list(PROFILE.check(record)):
        raise IntegrityError(f"{path} contradicts itself: {'; '.join(wrong)}")
    return record


def _bound_file(record: dict[str, JSON], file: Path) -> bytes:
    """A neighbour of the record, when it is the one that was bound."""
    import hashlib

    wanted = next((a["digest"] for a in record["artifacts"] if a["name"] == file.name), None)
    if wanted is None or not file.is_file():
        return b""
    data = file.read_bytes()
    if "sha256:" + hashlib.sha256(data).hexdigest() != wanted:
        raise IntegrityError(f"{file} is not the file that the profile was signed with")
    return data
