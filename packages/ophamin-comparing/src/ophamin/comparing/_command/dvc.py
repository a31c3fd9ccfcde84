"""``ophamin dvc …``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ophamin.comparing._output import json_line
from ophamin.comparing._show import printable
from ophamin.protocols import Settings

if TYPE_CHECKING:
    from ophamin.comparing.provenance.dvc_data import Tracked

__all__ = ["status", "track"]

CHANGED = 1

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@as_json
@click.pass_obj
def track(settings: Settings, paths: tuple[Path, ...], as_json: bool) -> None:
    """Track corpora or the store as DVC data: the small .dvc files go into git, the data does not.

    Example: ophamin dvc track data/corpus proofs
    """
    from ophamin.comparing.provenance import dvc_data

    _print(dvc_data.track(Path(settings.project), paths), as_json)


@click.command()
@as_json
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say which tracked data is still the version that its .dvc file names; exits 1 when one is not.

    Example: ophamin dvc status
    """
    from ophamin.comparing.provenance import dvc_data

    found = dvc_data.status(Path(ctx.obj.project))
    _print(found, as_json)
    ctx.exit(0 if all(item.state == "same" for item in found) else CHANGED)


def _print(found: Sequence[Tracked], as_json: bool) -> None:
    if as_json:
        click.echo(json_line({"tracked": [asdict(item) for item in found]}))
    else:
        for item in found:
            click.echo(printable(f"{item.path}  {item.digest}  {item.state}"))
