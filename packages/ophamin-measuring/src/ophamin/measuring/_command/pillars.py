"""``ophamin pillar run``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ophamin.measuring._command.road import emit, pairs

__all__ = ["pillar_run"]


@click.command("run")
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path), required=True,
              help="CSV, TSV, JSON lines or Parquet file; each may end in .gz.")  # fmt: skip
@click.option("--column", "columns", multiple=True, metavar="NAME=COLUMN",
              help="Where a column of the pillar lies in the file; default: the column of the same name.")  # fmt: skip
@click.option("--set", "options", multiple=True, metavar="NAME=VALUE", help="Option of the pillar.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Where chance takes part."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, tables included.")
def pillar_run(
    name: str, data: Path, columns: tuple[str, ...], options: tuple[str, ...], seed: int, as_json: bool
) -> None:
    """Analyse a file by one pillar. Nothing is registered or decided: pillars give evidence.

    `ophamin pillar show NAME` lists its columns and options.

    \b
    Example:
      ophamin pillar run N.bootstrap --data times.csv --column value=seconds --set statistic=median
    """
    from ophamin import registry
    from ophamin.measuring.pillars._data import read_table

    pillar = registry.get_pillar(name)()
    table = read_table(data, pairs(columns, "--column", "--column value=seconds"), pillar.columns)
    found = pillar.compute(table, seed=seed, **pairs(options, "--set", "--set confidence=0.99"))
    if as_json:
        emit({"pillar": name, "data": str(data), "seed": seed, **found.to_dict()})
        return
    click.echo(found.summary())
    for key, value in found.diagnostics.items():
        click.echo(f"{key}: {json.dumps(value, ensure_ascii=False)}")
