"""``ophamin verify``: is this installation healthy?"""

from __future__ import annotations

import click

from ophamin.cli._output import as_json, emit_json, emit_table
from ophamin.protocols import Settings

__all__ = ["verify_command"]


@click.command("verify")
@as_json
@click.pass_context
def verify_command(ctx: click.Context, as_json: bool) -> None:
    """Check this installation: Python, wheels and versions, plug-ins, tools, keys, ledger.

    Exits 1 when something required is broken; what is merely not installed is listed as missing.
    To verify a record: ophamin record verify RECORD.

    Example: ophamin verify
    """
    from ophamin.verify import health

    settings: Settings = ctx.obj
    lines = health(settings)
    broken = any(state == "broken" for _, state, _ in lines)
    if as_json:
        emit_json(
            {"healthy": not broken, "checks": [dict(zip(("name", "state", "detail"), c, strict=True)) for c in lines]}
        )
    else:
        emit_table(["CHECK", "STATE", "DETAIL"], lines)
    ctx.exit(1 if broken else 0)
