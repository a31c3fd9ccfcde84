"""``ophamin instrument flamegraph``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ophamin.proof.errors import UsageError

if TYPE_CHECKING:
    from ophamin.instrumenting.flame import Difference, Stacks

__all__ = ["flamegraph"]

MOST = 10
FORMATS = (".svg", ".json", ".txt")


def _read(path: Path, unit: str) -> Stacks:
    from ophamin.instrumenting.flame import parse_capture

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return parse_capture(data, name=path.name, unit=unit)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _bytes(graph: Stacks | Difference, suffix: str, title: str) -> bytes:
    from ophamin.instrumenting.flame import Stacks

    if suffix == ".svg":
        return graph.svg(title=title)
    if suffix == ".txt":
        return graph.collapsed().encode()
    if not isinstance(graph, Stacks):
        raise UsageError("speedscope has no form for a difference; write .svg or .txt")
    return json.dumps(graph.speedscope(), ensure_ascii=False, separators=(",", ":")).encode()


@click.command()
@click.argument("capture", type=click.Path(path_type=Path))
@click.argument("later", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="File to write: .svg (picture), .json (speedscope) or .txt (collapsed stacks).")  # fmt: skip
@click.option("--unit", type=click.Choice(["samples", "microseconds", "bytes"]), default="samples", show_default=True,
              help="What collapsed stacks count, which they do not tell themselves.")  # fmt: skip
@click.option("--title", default="", help="Headline of the picture.  [default: the file's name]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def flamegraph(capture: Path, later: Path | None, out: Path | None, unit: str, title: str, as_json: bool) -> None:
    """Draw a capture as a flame graph, or what changed from one capture to a LATER one.

    Captures are collapsed stacks or speedscope files, whoever made them: a run's artifacts, py-spy, perf, memray.
    Without --out it only says what is in them.

    \b
    Example:
      ophamin instrument flamegraph flamegraph-cpu.collapsed.txt --unit microseconds --out cpu.svg
      ophamin instrument flamegraph before.txt after.txt --out change.svg
    """
    from ophamin.instrumenting.flame import difference
    from ophamin.proof.atomic import write_atomic

    if out is not None and out.suffix not in FORMATS:
        raise UsageError(f"--out ends in one of {', '.join(FORMATS)}, not {out.name!r}")
    first = _read(capture, unit)
    second = None if later is None else _read(later, unit)
    compared = None if second is None else difference(first, second)
    graph = first if compared is None else compared
    if out is not None:
        data = _bytes(graph, out.suffix, title)
        try:
            write_atomic(out, data)
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror or error}") from error
    if as_json:
        found: dict[str, object] = {"capture": _about(first), "out": None if out is None else str(out)}
        if second is not None and compared is not None:
            changes = [{"frame": c.frame, "before": c.before, "after": c.after} for c in compared.changes()]
            found |= {"later": _about(second), "changes": changes, "removed": compared.removed()}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for line in _words(first) if compared is None else _change_words(compared):
        click.echo(line)
    if out is not None:
        click.echo(f"written to {out}")


def _about(stacks: Stacks) -> dict[str, object]:
    from ophamin.instrumenting.flame._tree import tree_of
    from ophamin.instrumenting.flame._words import heaviest

    top = [{"frame": frame, "self": weight} for frame, weight in heaviest(tree_of(stacks.weights), MOST)]
    return {"name": stacks.name, "unit": stacks.unit, "total": stacks.total, "stacks": len(stacks.weights), "top": top}


def _words(stacks: Stacks) -> list[str]:
    from ophamin.instrumenting.flame._tree import tree_of
    from ophamin.instrumenting.flame._words import amount, heaviest, percent

    if not stacks.total:
        return [f"{stacks.name}: nothing was captured"]
    lines = [f"{stacks.name}: {amount(stacks.total, stacks.unit)} in {len(stacks.weights):,} stacks"]
    for frame, weight in heaviest(tree_of(stacks.weights), MOST):
        lines.append(f"{percent(weight / stacks.total):>8}  {frame}")
    return lines


def _change_words(compared: Difference) -> list[str]:
    from ophamin.instrumenting.flame._words import percent

    moved = [c for c in compared.changes() if c.change][:MOST]
    lines = [f"{compared.before.name} → {compared.after.name}: own share of each frame, most changed first"]
    lines += [
        f"{percent(c.change, sign=True):>9}  {percent(c.before):>7} → {percent(c.after):>7}  {c.frame}" for c in moved
    ]
    gone = compared.removed()
    if gone:
        lines.append(f"gone: {', '.join(gone[:MOST])}{' and more' if len(gone) > MOST else ''}")
    return lines
