"""``ophamin substrate probe``."""

from __future__ import annotations

import json

import click

__all__ = ["substrate_probe"]


@click.command("probe")
@click.argument("spec")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def substrate_probe(ctx: click.Context, spec: str, as_json: bool) -> None:
    """Say what of a system can be measured: importable, constructible, signature, and why not.

    Nothing is measured. Exit code: 0 when at least one target can be used, 1 when none can.

    \b
    Example:
      ophamin substrate probe 'repo:../checkout?target=pkg.mod:Class.method&rev=v1.2'
      ophamin substrate probe kimera:../kimera --json
    """
    from ophamin.seeing.substrate._probe import probe_spec

    rows = probe_spec(spec)
    usable = [row for row in rows if row["applicable"] and row["importable"] and row["constructible"]]
    if as_json:
        click.echo(json.dumps({"substrate": spec, "usable": len(usable), "targets": rows}))
    else:
        for row in rows:
            state = (
                "ok"
                if row in usable
                else "not importable"
                if not row["importable"]
                else ("not constructible" if not row["constructible"] else "not applicable")
            )
            click.echo(f"{row['target']:<12} {state:<17} {row['signature']}".rstrip())
            if row["why"]:
                click.echo(f"  {row['why']}")
        click.echo(f"{len(usable)} of {len(rows)} can be used")
    ctx.exit(0 if usable else 1)
