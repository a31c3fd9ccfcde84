"""``ophamin corpus sample``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ophamin.protocols import Settings
from ophamin.registry import get_corpus

__all__ = ["corpus_sample"]


@click.command("sample")
@click.argument("name")
@click.argument(
    "directory", metavar="[DIR]", required=False, default=None, type=click.Path(file_okay=False, path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="The same as DIR: folder to write into, new or empty.  [default: ophamin-sample-NAME]",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the generator.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def corpus_sample(
    settings: Settings | None, name: str, directory: Path | None, out: Path | None, seed: int, as_json: bool
) -> None:
    """Write a small generated sample of a corpus into DIR, in its genuine layout.

    Nothing is downloaded. The sample comes from a generator of our own and says so.

    \b
    Example:
      ophamin corpus sample cyber-payloads sample
      ophamin run concentrated-immune-siege --substrate 'payload-filter?data_root=sample' --data-root sample
    """
    from ophamin.proof.errors import UsageError

    plugin = get_corpus(name)
    if directory is not None and out is not None:
        raise UsageError(f"name one folder: {directory} or --out {out}")
    folder = directory or out or Path(f"ophamin-sample-{name}")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name a new folder by --out, so that no file of yours is overwritten")
    try:
        root = plugin("").write_sample(folder, seed)  # type: ignore[call-arg]
    except OSError as error:
        raise UsageError(f"cannot write the sample to {folder}: {error.strerror or error}") from error
    info = plugin("", data_root=root).describe()  # type: ignore[call-arg]
    licence = getattr(plugin, "sample_licence", "") or info.licence or "not stated"
    if as_json:
        click.echo(json.dumps({"corpus": name, "data_root": str(root), "seed": seed, "licence": licence}))
        return
    click.echo(f"Wrote a generated sample of {name} (seed {seed}); it is no real data. Licence: {licence}")
    click.echo(f"Use it by --data-root {root} or OPHAMIN_DATA_ROOT={root.resolve()}")
