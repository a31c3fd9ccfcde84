"""``ophamin discover``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.protocols import Progress, Settings
from ophamin.seeing._command._settings import as_json, copy_to, key_file, settings_of, show_progress
from ophamin.seeing._command._settings import fail_on as chosen

if TYPE_CHECKING:
    from ophamin.seeing._signed import Kept
    from ophamin.seeing.discovery.discover import DiscoverSpec
    from ophamin.seeing.discovery.watch import Event

__all__ = ["discover"]

JSON = Any
SHOWN = 40


@click.command("discover", short_help="Mine the schema of what a system answers; compare two, or watch it change.")
@click.argument("substrate", required=False, default="")
@click.option("--corpus", default="", metavar="SPEC", help="Stimuli, e.g. table:rows.csv?text=prompt.")
@click.option("--n", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Stimuli, at most.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of sample and system.")
@click.option(
    "--examples",
    type=click.IntRange(0, 20),
    default=3,
    show_default=True,
    help="Examples kept of each field, cut to 80 characters; 0 keeps none, and no set of texts.",
)
@click.option("--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="Seconds one cycle may take.")
@click.option("--data-root", default="", help="Where corpora lie.  [default: $OPHAMIN_DATA_ROOT]")
@click.option("--diff", "pair", nargs=2, metavar="A B", help="Compare two schema documents: files or ids.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Error rate of all tests of a comparison.")
@click.option(
    "--fail-on",
    default="removed,retyped",
    show_default=True,
    metavar="CHANGES",
    help="Of --diff: exit 1 for these, joined by commas: removed, retyped, added, rate, range, length, enumeration, "
    "not_seen, errors; or any, none.",
)
@click.option("--watch", "watching", is_flag=True, help="Mine again whenever the system's revision changes.")
@click.option("--interval", type=float, default=10.0, show_default=True, help="Of --watch: seconds between two looks.")
@click.option("--checks", type=click.IntRange(min=1), help="Of --watch: end after so many looks.  [default: never]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the record there.")
@key_file
@as_json
@click.pass_context
def discover(
    ctx: click.Context,
    substrate: str,
    corpus: str,
    n: int,
    seed: int,
    examples: int,
    timeout_s: float,
    data_root: str,
    pair: tuple[str, str] | None,
    alpha: float,
    fail_on: str,
    watching: bool,
    interval: float,
    checks: int | None,
    out: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Run stimuli through SUBSTRATE and keep the schema of its raw answers as a signed record.

    Of every field: types, how often it is missing, range, lengths, examples, and its values where they are few. With
    --diff nothing is run: two such records are compared, and the exit code is 1 when something was removed or retyped.

    \b
    Example:
      ophamin discover mock --corpus 'table:rows.csv?text=prompt' --n 100
      ophamin discover --diff before.json after.json --fail-on removed,retyped,rate
      ophamin discover python:mine:answer --corpus 'table:rows.csv?text=prompt' --watch
    """
    from ophamin.proof.errors import UsageError
    from ophamin.seeing.discovery.discover import DiscoverSpec, Interrupted
    from ophamin.seeing.discovery.discover import discover as run_discover

    settings = settings_of(ctx.obj)
    if pair is not None:
        if substrate or watching:
            raise UsageError("--diff compares two records and runs nothing; leave out SUBSTRATE and --watch")
        ctx.exit(_diff(pair, alpha, fail_on, settings, as_json))
    if not substrate or not corpus:
        raise UsageError(
            "name a substrate and a corpus, such as: ophamin discover mock --corpus 'table:rows.csv?text=prompt'"
        )
    spec = DiscoverSpec(
        substrate, corpus, n, seed, examples, timeout_s, data_root, str(key_file.absolute()) if key_file else ""
    )
    if watching:
        if out is not None:
            raise UsageError("--watch makes a record of each revision; leave out --out, and read them from the store")
        _watch(spec, settings, interval, checks, as_json)
        return

    def tick(progress: Progress) -> None:
        done = progress.done == progress.total
        show_progress(f"discover: {progress.done} of {progress.total}, {progress.elapsed_s:.0f} s", last=done)

    code = 0
    try:
        kept = run_discover(spec, settings, progress=tick)
    except Interrupted as early:
        kept, code = early.kept, 130
        cycles, asked = kept.record["cycles"]["n"], kept.record["corpus"]["n_selected"]
        words = f"interrupted after {cycles} of {asked} cycles; what was answered is kept as a partial document"
        click.echo(f"ophamin: {words}", err=True)
    copy_to(kept.record, out)
    if as_json:
        names = ("substrate", "corpus", "cycles", "partial", "errors", "fields", "n_fields_left_out")
        found = {name: kept.record.get(name) for name in names}
        click.echo(
            json.dumps(
                {"document_id": kept.record["document_id"], "record": str(kept.path), **found}, ensure_ascii=False
            )
        )
    else:
        _show(kept)
    ctx.exit(code)


def _say(words: str, *, err: bool = False) -> None:
    from ophamin.seeing._signed import printable

    click.echo(printable(words), err=err)


def _show(kept: Kept) -> None:
    record = kept.record
    cycles = record["cycles"]
    for field in record["fields"][:SHOWN]:
        parts = ["|".join(field["types"])]
        if field["missing_rate"]:
            parts.append(f"missing {field['missing_rate']:.1%}")
        if spread := field["values"]:
            parts.append(f"{spread['min']:g} … {spread['max']:g}")
        elif spread := field["lengths"]:
            parts.append(f"length {spread['min']:g} … {spread['max']:g}")
        if field["enumeration"]:
            parts.append("of " + ", ".join(json.dumps(e["value"], ensure_ascii=False) for e in field["enumeration"]))
        _say(f"{field['path'] or '(the answer)'}: {', '.join(parts)}"[:200])
    if (more := len(record["fields"]) - SHOWN) > 0:
        click.echo(f"… and {more} fields more in the record")
    if (reason := record.get("partial")) is not None:
        _say(f"partial: {cycles['n']} of {record['corpus']['n_selected']} cycles ({reason})"[:200])
    bad = f", {cycles['n_error']} failed, {cycles['n_unmeasured']} not measured"
    click.echo(f"{cycles['n_ok']} of {cycles['n']} cycles answered{bad if cycles['n_ok'] < cycles['n'] else ''}")
    for error in record["errors"][:3]:
        _say(f"{error['n']} × {error['message']}", err=True)
    click.echo(f"record: {kept.path}")


def _diff(pair: tuple[str, str], alpha: float, fail_on: str, settings: Settings, as_json: bool) -> int:
    from ophamin.proof.errors import UsageError
    from ophamin.registry.gathering import gather
    from ophamin.seeing.discovery.diff import CHANGES, diff
    from ophamin.seeing.discovery.record import SCHEMA_DOCUMENT

    wanted = chosen(fail_on, CHANGES)
    documents: list[Mapping[str, JSON]] = []
    for word in pair:
        found, _ = gather(settings, [word])
        if len(found) != 1 or found[0].record.kind.name != SCHEMA_DOCUMENT.name:
            raise UsageError(
                f"{word} is not one schema document; make one by: ophamin discover SUBSTRATE --corpus SPEC"
            )
        if found[0].verification.exit_code == 3:
            found[0].verification.require()  # what was changed afterwards is not compared
        documents.append(found[0].record.object)
    result = diff(documents[0], documents[1], alpha=alpha)
    code = 1 if any(c["change"] in wanted for c in result["changes"]) else 0
    if as_json:
        click.echo(json.dumps({**result, "exit_code": code}, ensure_ascii=False))
    else:
        for line in _changes(result):
            _say(line)
        for note in result["notes"]:
            _say(note, err=True)
    return code


def _changes(result: Mapping[str, JSON]) -> list[str]:
    lines = []
    for c in result["changes"]:
        detail = {k: v for k, v in c.items() if k not in ("change", "path", "p")}
        told = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {_words(v)}" for k, v in detail.items())
        p = "" if c["p"] is None else f"  (p = {c['p']:.2g})"
        lines.append(f"{c['change']:<11} {c['path'] or '(the answer)'}: {told}{p}")
    return lines or ["nothing changed"]


def _words(value: JSON) -> str:
    if isinstance(value, list):
        return "|".join(str(v) for v in value) or "-"
    return str(value)


def _watch(spec: DiscoverSpec, settings: Settings, interval: float, checks: int | None, as_json: bool) -> None:
    from ophamin.seeing.discovery.watch import watch

    for event in watch(spec, settings, interval_s=interval, checks=checks):
        if as_json:
            click.echo(json.dumps(_event(event), ensure_ascii=False))  # one object a line, as they come
            continue
        where = f"revision {event.revision or 'unknown'}, {event.document}"
        _say(f"{event.event}: {event.reason or where}")
        if event.changes is not None:
            for line in _changes(event.changes):
                _say(f"  {line}")


def _event(event: Event) -> dict[str, JSON]:
    return {
        "event": event.event,
        "revision": event.revision,
        "document": event.document,
        "changes": dict(event.changes) if event.changes is not None else None,
        "reason": event.reason,
    }
