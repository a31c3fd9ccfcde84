"""``ophamin lineage …``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.comparing._output import json_line
from ophamin.comparing._show import printable
from ophamin.protocols import Settings

if TYPE_CHECKING:
    from ophamin.comparing.provenance.filling import Refreshed
    from ophamin.comparing.provenance.lineage import Fallen, LineageStore, Mark, Run

__all__ = ["impact", "list_", "refresh", "show", "stale", "why", "withdraw"]

JSON = Any
FALLEN, TAMPERED = 1, 3

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


def opened(settings: Settings) -> tuple[LineageStore, Refreshed]:
    """The lineage, with every new record of the store taken in; what was left out is said."""
    from ophamin.comparing.provenance.filling import lineage_of, refresh

    lineage = lineage_of(settings)
    found = refresh(lineage, settings, progress=_progress if sys.stderr.isatty() else None)
    for path, reason in found.left_out.items():
        click.echo(f"left out: {printable(path)}: {printable(reason)}", err=True)
    return lineage, found


def _progress(done: int, total: int) -> None:
    click.echo(f"\rrecords looked at: {done:,} of {total:,}", nl=done == total, err=True)


def record_id_of(settings: Settings, lineage: LineageStore, word: str) -> str:
    """The full id of the one known record whose id begins so, or that a file is."""
    from ophamin.proof.errors import UnknownRecord, UsageError

    if Path(word).exists():
        from ophamin.registry import read_record
        from ophamin.registry.gathering import locate

        return read_record(locate(settings, word)).id
    found = sorted(record_id for record_id in lineage.record_ids() if word and record_id.startswith(word.lower()))
    if len(found) > 1:
        raise UsageError(f"{word} is the beginning of {len(found)} ids; give more digits")
    if not found:
        raise UnknownRecord(f"no record whose lineage is known has an id that begins with {word!r:.80}")
    return found[0]


def _ended(run: Run) -> str:
    """How a run ended; a record without a verdict just ended."""
    return run.outcome or ("ended" if run.ended_at else "no end known")


@click.command("list")
@click.option("--kind", help="Only runs of this kind.")
@as_json
@click.pass_context
def list_(ctx: click.Context, kind: str | None, as_json: bool) -> None:
    """List runs with their parents; verdicts that went stale are marked.

    Exits 3 when a stored record is not what was signed (it is named and left out).

    Example: ophamin lineage list --kind proof
    """
    lineage, found = opened(ctx.obj)
    runs, marks = lineage.runs(kind), lineage.marks()
    if as_json:
        rows = [{**asdict(run), "stale": _stale(marks.get(run.run_id, ()))} for run in runs]
        click.echo(json_line({"runs": rows, "left_out": found.left_out}))
    else:
        for run in runs:
            stale = ", ".join(_stale(marks.get(run.run_id, ())))
            parent = f"  in {', '.join(p[:16] for p in run.parents)}" if run.parents else ""
            said = f"{run.run_id[:16]}  {run.kind}  {run.name}  {_ended(run)}  {run.started_at}"
            click.echo(printable(f"{said}{parent}{f'  STALE: {stale}' if stale else ''}"))
        click.echo(f"{len(runs)} runs")
    ctx.exit(TAMPERED if found.tampered else 0)


@click.command()
@click.argument("run")
@as_json
@click.pass_context
def show(ctx: click.Context, run: str, as_json: bool) -> None:
    """Show one run: its parents and children, what its record rests on, marks and notes.

    RUN is the id of a run, or of a record or its beginning.

    Example: ophamin lineage show 3f2a
    """
    from ophamin.proof.errors import UnknownRecord

    lineage, _ = opened(ctx.obj)
    try:
        shown = lineage.run(run)
    except UnknownRecord:
        shown = lineage.run(record_id_of(ctx.obj, lineage, run))
    marks = lineage.marks().get(shown.run_id, [])
    children = lineage.children(shown.run_id)
    rests, note = lineage.rests_on(shown.run_id), _note(lineage, shown.run_id)
    if as_json:
        nodes = [{**asdict(node), "distance": distance} for node, distance in rests]
        result = {**asdict(shown), "children": [c.run_id for c in children], "rests_on": nodes, "note": note}
        click.echo(json_line({**result, "marks": [asdict(m) for m in marks]}))
        return
    lines = [f"{shown.run_id}  {shown.kind}  {shown.name}", f"  {_ended(shown)}"]
    lines.append(f"  from {shown.started_at} to {shown.ended_at or '?'}")
    lines += [f"  parent {parent}" for parent in shown.parents]
    lines += [f"  child {child.run_id}  {child.name}  {child.outcome}" for child in children]
    lines += [f"  rests on {node.kind} {node.label or node.node_id}" for node, _ in rests if node.sort != "activity"]
    lines += [f"  {mark.cause}: {mark.state}: {mark.detail} ({mark.seen_at})" for mark in marks]
    lines += [f"  note: {line}" for line in note.splitlines()]
    click.echo("\n".join(printable(line) for line in lines))


def _note(lineage: LineageStore, record_id: str) -> str:
    """Its note; where the extra is missing, that one cannot be read is said."""
    from ophamin.proof.errors import MissingDependency

    try:
        from ophamin.comparing.provenance.crdt.notes import note_of

        return note_of(lineage, record_id)
    except MissingDependency as error:
        click.echo(f"notes are not shown: {error}", err=True)
        return ""


@click.command()
@click.argument("proof")
@as_json
@click.pass_context
def why(ctx: click.Context, proof: str, as_json: bool) -> None:
    """Say step by step what a verdict rests on, from the record back to corpus, code and people.

    Example: ophamin lineage why 3f2a
    """
    from ophamin.comparing.provenance.graph import SORTS, causes_of, edges, provenance_of, record_node
    from ophamin.proof.errors import UsageError
    from ophamin.registry.gathering import gather

    found, _ = gather(ctx.obj, [proof])
    if len(found) != 1:
        raise UsageError(f"{proof} means {len(found)} records; name one")
    record, checked = found[0].record, found[0].verification
    if found[0].bad:
        checked.require()
    graph = provenance_of(record.object, record.kind.name, record.kind.id_field)
    node = record_node(record.id)
    distances = {node: 0, **causes_of(graph, node)}
    steps = sorted({e for e in edges(graph) if e.effect in distances}, key=lambda e: (distances[e.effect], e))
    if as_json:
        rows = [{**e._asdict(), "distance": distances[e.cause]} for e in steps]
        click.echo(json_line({"record": record.id, "verified": checked.ok, "steps": rows}))
        return
    labels = {name: _label(name, stated) for sort in SORTS for name, stated in graph[sort].items()}
    last = ""
    for step in steps:
        if step.effect != last:
            click.echo(printable(labels.get(step.effect, step.effect)))
            last = step.effect
        click.echo(printable(f"  {step.relation} {labels.get(step.cause, step.cause)}"))


@click.command()
@click.argument("entity")
@as_json
@click.pass_context
def impact(ctx: click.Context, entity: str, as_json: bool) -> None:
    """List the verdicts that fall when a thing was wrong.

    ENTITY is what `lineage show` names: a corpus by name or content hash, a revision, a digest, software as
    "NAME VERSION", a record by its id, a key by its id. Records that rest on it through other records fall too.
    Exits 1 when something falls, 0 when nothing does.

    Example: ophamin lineage impact sha256:0a1b…
    """
    lineage, found = opened(ctx.obj)
    nodes = things(ctx.obj, lineage, entity)
    fallen = lineage.impact(nodes)
    if as_json:
        rows = [_fallen(item) for item in fallen]
        result = {"things": list(nodes), "fallen": rows, "left_out": found.left_out}
        click.echo(json_line(result))
    else:
        for item in fallen:
            known = item.known
            said = f"{known.record_id[:16]}  {known.kind}  {known.outcome or '-'}  {known.statement or known.scenario}"
            click.echo(printable(f"{said}  (by {item.node_id}, {item.distance} steps)"))
        click.echo(f"{len(fallen)} records rest on {printable(entity)}")
    ctx.exit(TAMPERED if found.tampered else FALLEN if fallen else 0)


def things(settings: Settings, lineage: LineageStore, word: str) -> Mapping[str, str]:
    """Ids of the things a word means, each with its kind.

    Raises:
        UnknownRecord: There is none.
    """
    from ophamin.comparing.provenance.graph import record_node
    from ophamin.proof.errors import OphaminError, UnknownRecord

    found = {node.node_id: node.kind for node in lineage.find(word)}
    if not found:
        try:
            found = {record_node(record_id_of(settings, lineage, word)): "record"}
        except OphaminError:
            raise UnknownRecord(
                f"nothing that a record rests on is called {word!r:.80}; ophamin lineage show PROOF names what there is"
            ) from None
    return found


@click.command()
@click.argument("entity")
@click.option("--reason", required=True, help="Why it is not to be relied on.")
@as_json
@click.pass_context
def withdraw(ctx: click.Context, entity: str, reason: str, as_json: bool) -> None:
    """Mark a thing as not to be relied on; every verdict that rests on it is stale from now on.

    Nothing is removed, and no record changes: the mark stands in the lineage beside them.

    Example: ophamin lineage withdraw sha256:0a1b… --reason "half of the labels were swapped"
    """
    lineage, _ = opened(ctx.obj)
    nodes = things(ctx.obj, lineage, entity)
    lineage.withdraw(nodes, reason)
    fallen = lineage.impact(nodes)
    if as_json:
        click.echo(json_line({"things": list(nodes), "fallen": [_fallen(item) for item in fallen]}))
    else:
        click.echo(f"withdrawn; {len(fallen)} records rest on it")


@click.command()
@click.argument("proofs", nargs=-1)
@click.option("--inputs", is_flag=True, help="Also read the corpora, to tell a shifted input from a changed one.")
@as_json
@click.pass_context
def stale(ctx: click.Context, proofs: tuple[str, ...], inputs: bool, as_json: bool) -> None:
    """Look whether corpus, code, environment and inputs are still what proofs recorded, and mark what left.

    Without PROOFS all known proofs are looked at. The systems are constructed, not run. `unknown` is what cannot be
    looked at from here. With --inputs a summary of each corpus (sizes, labels) is kept while it is the recorded one,
    and compared once it is not; it cannot see meaning. Exits 1 when a verdict is stale, 0 otherwise.

    Example: ophamin lineage stale 3f2a --inputs
    """
    from ophamin.comparing.provenance.filling import store_of
    from ophamin.comparing.provenance.staleness import look
    from ophamin.proof.errors import RecordError, UnknownRecord
    from ophamin.proof.keys import Keyring
    from ophamin.proof.signed import verify
    from ophamin.registry import read_record

    settings: Settings = ctx.obj
    lineage, found = opened(settings)
    store, keyring = store_of(settings), Keyring()
    if proofs:
        wanted = [record_id_of(settings, lineage, word) for word in proofs]
    else:
        wanted = [known.record_id for known in lineage.records() if known.kind == "proof"]
    bad: dict[str, str] = {}
    for record_id in wanted:
        try:
            record = read_record(store.path(record_id))
        except UnknownRecord:
            lineage.mark(record_id, "code", "unknown", "the record is not in this store any more")
            continue
        except RecordError as error:
            bad[record_id] = str(error)
            continue
        checked = verify(record, keyring)
        if checked.exit_code == 3 or record.id != record_id:
            found.tampered = True
            bad[record_id] = "it is not what was signed; ophamin record verify says more"
            continue
        if not checked.ok:
            # To look means to open the systems and corpora that the record names.
            lineage.mark(record_id, "code", "unknown", "nobody known signed it, so what it names is not opened")
            continue
        data_root = Path(settings.data_root) if settings.data_root else None
        seen, summaries = look(record.object, data_root, inputs=lineage.inputs(record_id), read=inputs)
        for dataset, summary in summaries.items():
            lineage.keep_inputs(record_id, dataset, summary)
        for item in seen:
            lineage.mark(record_id, *item)
    for record_id, reason in bad.items():
        click.echo(f"left out: {record_id}: {printable(reason)}", err=True)
    marks = lineage.marks()
    shown = {record_id: marks.get(record_id, []) for record_id in wanted if record_id not in bad}
    n_stale = sum(bool(_stale(some)) for some in shown.values())
    if as_json:
        rows = [{"record_id": r, "stale": _stale(m), "marks": [asdict(x) for x in m]} for r, m in shown.items()]
        click.echo(json_line({"proofs": rows, "n_stale": n_stale, "left_out": {**found.left_out, **bad}}))
    else:
        for record_id, some in shown.items():
            click.echo(f"{record_id[:16]}  {'STALE' if _stale(some) else 'nothing left what was recorded'}")
            for mark in some:
                click.echo(printable(f"  {mark.cause}: {mark.state}: {mark.detail}"))
        click.echo(f"{n_stale} of {len(shown)} proofs are stale")
    ctx.exit(TAMPERED if found.tampered else FALLEN if n_stale else 0)


@click.command()
@as_json
@click.pass_context
def refresh(ctx: click.Context, as_json: bool) -> None:
    """Take every stored record into the lineage that is not there yet, as every lineage command does.

    Example: ophamin lineage refresh
    """
    lineage, found = opened(ctx.obj)
    n = len(lineage.record_ids())
    if as_json:
        result = {"n_records": n, "added": found.added, "left_out": found.left_out}
        click.echo(json_line(result))
    else:
        click.echo(f"{len(found.added)} records are new, {n} are known, {len(found.left_out)} were left out")
    ctx.exit(TAMPERED if found.tampered else 0)


def _stale(marks: Sequence[Mark]) -> list[str]:
    return [mark.cause for mark in marks if mark.state == "left"]


def _fallen(item: Fallen) -> dict[str, JSON]:
    return {**asdict(item.known), "by": item.node_id, "distance": item.distance}


def _label(name: str, stated: JSON) -> str:
    attributes = stated if isinstance(stated, Mapping) else {}
    said = (attributes.get(a) for a in ("prov:label", "oph:name", "oph:content_hash", "oph:digest"))
    text = next((t for t in said if isinstance(t, str) and t), "")
    kind = name.removeprefix("oph:").partition("-")[0]
    version = attributes.get("oph:version", "")
    times = " to ".join(str(attributes[t]) for t in ("prov:startTime", "prov:endTime") if t in attributes)
    return " ".join(filter(None, (kind, text or name, str(version), f"({times})" if times else "")))
