"""``ophamin compare``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.proof.errors import SchemaError
from ophamin.protocols import Settings

if TYPE_CHECKING:
    from ophamin.comparing.drift import Drift, Proof
    from ophamin.registry.gathering import Found, LeftOut

__all__ = ["compare"]

JSON = Any
REGRESSION, NOTHING, TAMPERED, UNCHECKED = 1, 2, 3, 5


@click.command()
@click.argument("before")
@click.argument("after")
@click.option(
    "--format", "format_", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True,
    help="How to print the result.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json: one object on standard output.")
@click.pass_context
def compare(ctx: click.Context, before: str, after: str, format_: str, as_json: bool) -> None:
    """Say what changed between two sets of proofs for the same claims.

    BEFORE and AFTER are files, folders of records, or ids of stored records. Proofs of the same claim, scenario,
    system (not its revision) and corpus are compared; what has no partner is listed. A regression is a verdict that
    became REFUTED, or a difference whose bound lies beyond the registered smallest difference, in the bad
    direction. Whether two intervals overlap is never asked.

    Exits 3 when a record is not what was signed (it is named and left out); else 1 on a regression; else 5 when
    nobody known signed one of the records; else 2 when nothing could be compared; else 0.

    Example: ophamin compare proofs-of-main/ proofs/
    """
    from ophamin.comparing._show import printable, to_json, to_markdown, to_text
    from ophamin.comparing.drift import compare as compare_proofs
    from ophamin.registry.gathering import gather

    settings: Settings = ctx.obj
    sides = [gather(settings, [word]) for word in (before, after)]
    found, left_out = [item for side in sides for item in side[0]], [item for side in sides for item in side[1]]
    drift = compare_proofs(*(_proofs(records, left_out) for records, _ in sides))
    code = _exit_code(drift, found)
    problems = _problems(found, left_out)
    if as_json or format_ == "json":
        click.echo(json.dumps({"exit_code": code, **to_json(drift), "problems": problems}, ensure_ascii=False))
    else:
        click.echo(to_markdown(drift) if format_ == "markdown" else to_text(drift))
        for problem in problems:
            click.echo(f"{problem['state']}: {printable(problem['path'])}: {printable(problem['reason'])}", err=True)
    ctx.exit(code)


def _proofs(found: Sequence[Found], left_out: list[LeftOut]) -> list[Proof]:
    """What can be compared; a proof that is not shaped as this version knows joins what was left out."""
    from ophamin.comparing.drift import proof_of
    from ophamin.registry.gathering import LeftOut

    proofs = []
    for item in found:
        if item.record.kind.name == "proof" and not item.bad:
            try:
                proofs.append(proof_of(item.record.object, item.record.path, verified=item.verification.ok))
            except SchemaError as error:
                left_out.append(LeftOut(item.record.path or Path(), str(error)))
    return proofs


def _exit_code(drift: Drift, found: Sequence[Found]) -> int:
    if any(item.bad for item in found):
        return TAMPERED
    if drift.transition == "regression":
        return REGRESSION
    if not all(item.verification.ok for item in found if item.record.kind.name == "proof"):
        return UNCHECKED
    return 0 if drift.pairs else NOTHING


def _problems(found: Sequence[Found], left_out: Sequence[LeftOut]) -> list[dict[str, str]]:
    """Files that were not compared, or not fully trusted, each with the reason."""
    problems = [{"state": "left out", "path": str(item.path), "reason": item.reason} for item in left_out]
    for item in found:
        path, kind = str(item.record.path), item.record.kind.name
        if item.bad:
            reason = "; ".join(f"{c.name}: {c.detail}" for c in item.verification.checks if c.state == "bad")
            problems.append({"state": "tampered, left out", "path": path, "reason": reason})
        elif kind != "proof":
            problems.append({"state": "left out", "path": path, "reason": f"an {kind} record; proofs are compared"})
        elif not item.verification.ok:
            reason = "nothing is bad, but nobody known signed it; ophamin record verify says more"
            problems.append({"state": "could not be checked", "path": path, "reason": reason})
    return problems
