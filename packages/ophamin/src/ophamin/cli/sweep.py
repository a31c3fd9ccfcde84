"""``ophamin sweep``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ophamin import registry
from ophamin.proof.errors import MissingDependency
from ophamin.proof.printable import printable
from ophamin.protocols import Progress, Settings

__all__ = ["sweep"]

JSON = Any
SHOWN = 40


@click.command(short_help="Run a whole grid of claims, on this machine or a cluster.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--executor", default="process", show_default=True, help="serial, process, dask or dask=tcp://HOST:PORT.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes.  [default: one a CPU]")
@click.option("--parquet", type=click.Path(path_type=Path, dir_okay=False), help="Also write the table of cells there.")
@click.option("--key-file", default="", help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else the installation's]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def sweep(
    ctx: click.Context,
    file: Path,
    overrides: tuple[str, ...],
    executor: str,
    workers: int | None,
    parquet: Path | None,
    key_file: str,
    as_json: bool,
) -> None:
    """Run every cell of a sweep file, and decide their claims as one family.

    All cells are registered before the first one runs. Interrupted or killed, the same command goes on: what is
    finished is neither lost nor run again. Exits 6 when a cell failed, else 1 when one is REFUTED, else 4 when one is
    INCONCLUSIVE, after correction by Holm.

    \b
    Example:
      ophamin sweep sweep.yaml base.n=200 'grid.options.claim=["accuracy >= 0.8","accuracy >= 0.9"]'
      ophamin sweep sweep.yaml --executor dask=tcp://head:8786 --parquet cells.parquet
    """
    from ophamin.config import load_sweep

    settings: Settings = ctx.obj
    spec = load_sweep(file, overrides)
    if "sweep" not in registry.runners.names():
        raise MissingDependency("a sweep", "ophamin-comparing", "ophamin[comparing,measuring]")
    base = replace(
        spec.base,
        project=settings.project,
        store=settings.store,
        data_root=spec.base.data_root or settings.data_root,
        fields={**settings.fields, **spec.base.fields},
        key_file=key_file,
        argv=["ophamin", "sweep", str(file), *overrides],
    )
    run: Any = registry.runners.get("sweep")
    kept = run(replace(spec, base=base), progress=_ticker(), executor=executor, workers=workers, parquet=parquet)
    record = kept.record
    code = next((c for name, c in (("FAILED", 6), ("REFUTED", 1), ("INCONCLUSIVE", 4)) if name in record["summary"]), 0)
    if as_json:
        body = {k: v for k, v in record.items() if k not in ("signature", "attestations")}
        click.echo(json.dumps({"exit_code": code, "record": str(kept.path), **body}, ensure_ascii=False))
    else:
        for line in _lines(record):
            click.echo(printable(line))
        click.echo(f"record: {kept.path}")
    ctx.exit(code)


def _ticker() -> Callable[[Progress], None] | None:
    """Counts, time and time left on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        return None

    def tick(progress: Progress) -> None:
        done, total = progress.done, progress.total or 0
        left = f", {progress.elapsed_s * (total - done) / done:.0f} s left" if 0 < done < total else ""
        end = "\n" if done >= total else ""
        words = f"\r\x1b[2K{progress.phase}: {done} of {total}, {progress.elapsed_s:.0f} s{left}{end}"
        print(words, end="", file=sys.stderr, flush=True)

    return tick


def _lines(record: Mapping[str, JSON]) -> list[str]:
    cells, family, effects = record["cells"], record["family"], record["effects"]
    counts = ", ".join(f"{n} {name}" for name, n in sorted(record["summary"].items()))
    reused = sum(cell["reused"] for cell in cells)
    lines = [
        f"{len(cells)} cells ({reused} finished before): {counts} (Holm over {family['m']} at {family['alpha']:g})"
    ]
    for cell in sorted(cells, key=lambda c: json.dumps([c["assignment"], c["block"]], sort_keys=True))[:SHOWN]:
        at = ", ".join(f"{name}={value}" for name, value in cell["assignment"].items())
        if cell["outcome"] == "FAILED":
            lines.append(f"  FAILED after {cell['tries']} tries  {at}: {cell['error']}")
            continue
        weaker = f" (alone {cell['outcome']})" if cell["corrected"] != cell["outcome"] else ""
        value, low, high = (
            "–" if v is None else f"{v:.4g}" for v in (cell[k] for k in ("observed_value", "lower", "upper"))
        )
        lines.append(f"  {cell['corrected']}{weaker}  {at}: {cell['metric']} {value} [{low}, {high}]")
    lines += [f"  … and {len(cells) - SHOWN} more in the record"] if len(cells) > SHOWN else []
    for e in effects["found"][:SHOWN]:
        p = "–" if e["p_holm"] is None else f"{e['p_holm']:.2g}"
        ends = " to ".join("–" if e[k] is None else f"{e[k]:.4g}" for k in ("lower", "upper"))
        lines.append(f"  effect {e['name']}: {e['value']:.4g} ({ends}), p {p} by Holm")
    return [*lines, *(f"  effects: {note}" for note in effects["notes"])]
