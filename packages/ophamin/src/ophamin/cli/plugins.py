"""``ophamin plugins``: what is installed, from where, and what does not load."""

from __future__ import annotations

import click

from ophamin import registry
from ophamin.cli._output import as_json, emit_json, emit_table

__all__ = ["plugins"]


@click.command()
@click.option("--group", "only", help="One group, e.g. scenarios.")
@as_json
def plugins(only: str | None, as_json: bool) -> None:
    """List every plug-in, its distribution, and why it does not load if it does not.

    A broken plug-in breaks nothing but itself; this command always exits 0 and says so.

    Example: ophamin plugins --group scenarios
    """
    if only is not None and only not in registry.GROUPS:
        raise click.UsageError(f"no group is called {only!r}; groups: {', '.join(registry.GROUPS)}")
    groups = [registry.GROUPS[only]] if only else list(registry.GROUPS.values())
    states = [state for group in groups for state in group.states()]
    if as_json:
        emit_json({"plugins": [dict(zip(("group", "name", "origin", "problem"), s, strict=True)) for s in states]})
        return
    emit_table(["GROUP", "NAME", "FROM", "PROBLEM"], states)
