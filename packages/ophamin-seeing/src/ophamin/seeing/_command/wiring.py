"""``ophamin wiring``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.protocols import Settings
from ophamin.seeing._command._settings import as_json, copy_to, key_file, settings_of, show_progress
from ophamin.seeing._command._settings import fail_on as chosen

if TYPE_CHECKING:
    from ophamin.seeing._signed import Kept

__all__ = ["wiring"]

JSON = Any
SHOWN = 20
_TICK = 200


@click.command("wiring", short_help="Which modules of a Python source tree are used, as a signed record.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What is archived, a candidate, an entry; strata.  [default: wiring.toml in PATH, if there is one]",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the record there.")
@click.option(
    "--fail-on",
    default="none",
    show_default=True,
    metavar="ACTIONS",
    help="Exit 1 when the worklist has one of these, joined by commas: repair, settle, wire, finish, decide, check, "
    "tidy; or below (a stratum below its expectation), any, none.",
)
@key_file
@as_json
@click.pass_context
def wiring(
    ctx: click.Context,
    path: Path,
    config: Path | None,
    out: Path | None,
    fail_on: str,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Say of every module under PATH whether it is wired, a wire candidate, archived, a stub or an orphan.

    Nothing is run: imports are read from the source. A module is wired when an entry point (declared in pyproject.toml,
    setup.cfg or installed metadata, __main__, a script, the face of a top-level package) leads to it; an import in a
    test or under TYPE_CHECKING wires nothing. Dynamic imports are listed as unknown unless their name is a literal.

    \b
    Example:
      ophamin wiring .
      ophamin wiring src --config wiring.toml --fail-on repair,settle,below
    """
    from ophamin.seeing.wiring._worklist import ACTIONS
    from ophamin.seeing.wiring.report import report_wiring

    wanted = chosen(fail_on, (*ACTIONS, "below"))
    settings: Settings = settings_of(ctx.obj)

    def tick(done: int, total: int) -> None:
        if done % _TICK == 0 or done == total:
            show_progress(f"wiring: {done} of {total} files", last=done == total)

    kept = report_wiring(path, settings, config=config, key_file=key_file, progress=tick)
    copy_to(kept.record, out)
    actions = {item["action"] for item in kept.record["worklist"]}
    if any(s["as_expected"] is False for s in kept.record["strata"]):
        actions.add("below")
    code = 1 if actions & wanted else 0
    if as_json:
        click.echo(json.dumps(_summary(kept, code), ensure_ascii=False))
    else:
        _show(kept)
    for note in kept.record["notes"]:
        _say(note, err=True)
    ctx.exit(code)


def _summary(kept: Kept, code: int) -> dict[str, JSON]:
    record = kept.record
    names = ("summary", "strata", "worklist", "dynamic_imports", "broken_imports", "skipped", "notes")
    return {
        "report_id": record["report_id"],
        "record": str(kept.path),
        "exit_code": code,
        **{name: record[name] for name in names},
    }


def _show(kept: Kept) -> None:
    record = kept.record
    for s in record["strata"]:
        _say(_row(s))
    todo = record["worklist"]
    for item in todo[:SHOWN]:
        _say(f"{item['action']:<7} {item['module']:<40} {item['lines']:>6}  {item['reason']}")
    if len(todo) > SHOWN:
        counts = Counter(i["action"] for i in todo[SHOWN:])
        click.echo(f"… and {', '.join(f'{n} to {a}' for a, n in counts.items())}: all in the record")
    if record["dynamic_imports"]:
        click.echo(f"{len(record['dynamic_imports'])} dynamic imports are unknown: what they load is not in the counts")
    if record["skipped"]:
        click.echo(f"{len(record['skipped'])} files were not looked at; the record says why")
    click.echo(f"record: {kept.path}")


def _row(s: Mapping[str, JSON]) -> str:
    parts = [f"{s['n_wired']} wired"]
    for name in ("wire_candidate", "archived", "stub", "orphan", "test", "unparsed"):
        if n := s[f"n_{name}"]:
            parts.append(f"{n} {name.replace('_', ' ')}")
    expected = "" if s["expected"] is None else f" (expected {s['expected']}{'' if s['as_expected'] else ': below'})"
    return f"{s['stratum'] or '(no stratum)'}: {', '.join(parts)} of {s['n_total']}{expected}"


def _say(words: str, *, err: bool = False) -> None:
    from ophamin.seeing._signed import printable

    click.echo(printable(words), err=err)
