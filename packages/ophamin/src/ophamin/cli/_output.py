"""How results are printed: one JSON object, or lines and tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from ophamin.proof.printable import printable

__all__ = ["as_json", "emit_json", "emit_table", "printable"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


def emit_json(value: Any) -> None:
    """Print one object on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, sort_keys=False, default=str))


def emit_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; the last one is not padded."""
    cells = [tuple(header), *(tuple(printable(c) for c in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        click.echo("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())
