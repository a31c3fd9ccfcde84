"""``ophamin compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin import registry
from ophamin.comparing._output import json_line
from ophamin.comparing._signed import signer_of
from ophamin.proof.errors import SchemaError, UsageError
from ophamin.protocols import Exporter, Settings

if TYPE_CHECKING:
    from ophamin.comparing.drift import Correction, Drift, Proof
    from ophamin.proof.keys import Signer
    from ophamin.registry.gathering import Found, LeftOut

__all__ = ["compare"]

JSON = Any
REGRESSION, NOTHING, TAMPERED, UNCHECKED = 1, 2, 3, 5


@click.command()
@click.argument("before")
@click.argument("after")
@click.option(
    "--format", "format_", type=click.Choice(["text", "json", "markdown", "junit"]), default="text", show_default=True,
    help="How to print the result.",
)  # fmt: skip
@click.option(
    "--correction", type=click.Choice(["holm", "bh", "by", "none"]), default="holm", show_default=True,
    help="Over all differences: holm the chance of any wrong one, bh or by the share of wrong ones.",
)  # fmt: skip
@click.option(
    "--alpha", type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="Of the family of differences.  [default: that of the project]",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the record there.")
@click.option("--no-record", is_flag=True, help="Keep no record of the comparison.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else your own]"
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json: one object on standard output.")
@click.pass_context
def compare(
    ctx: click.Context,
    before: str,
    after: str,
    format_: str,
    correction: Correction,
    alpha: float | None,
    out: Path | None,
    no_record: bool,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Say what changed between two sets of proofs for the same claims, and keep it as a signed record.

    BEFORE and AFTER are files, folders of records, or ids of stored records. Proofs of the same claim, scenario,
    system (not its revision) and corpus are compared; what has no partner is listed. A regression is a verdict that
    went from VALIDATED to REFUTED, or a difference whose bound lies beyond the registered smallest difference, in the
    bad direction, also when corrected for how many differences there are. Whether two intervals overlap is never
    asked.

    Exits 3 when a record is not what was signed (it is named and left out); else 1 on a regression; else 5 when
    nobody known signed one of the records; else 2 when nothing could be compared; else 0.

    Example: ophamin compare proofs-of-main/ proofs/
    """
    from ophamin.comparing._show import printable, to_json, to_markdown, to_text
    from ophamin.comparing.drift import compare as compare_proofs
    from ophamin.registry.gathering import gather

    settings: Settings = ctx.obj
    format_ = "json" if as_json else format_
    if no_record and out is not None:
        raise UsageError("--no-record keeps no record, so there is none to write with --out")
    # An unknown exporter or an unusable key is told before any work.
    junit: type[Exporter] | None = registry.exporters.get("junit") if format_ == "junit" else None
    exporter = None if junit is None else junit()
    signer = None if no_record and exporter is None else signer_of(key_file)
    sides = [gather(settings, [word]) for word in (before, after)]
    found, left_out = [item for side in sides for item in side[0]], [item for side in sides for item in side[1]]
    drift = compare_proofs(
        *(_proofs(records, left_out) for records, _ in sides),
        alpha=settings.alpha if alpha is None else alpha,
        correction=correction,
    )
    code = _exit_code(drift, found)
    problems = _problems(found, left_out)
    record, path = None, None
    if signer is not None and (drift.pairs or exporter is not None):
        record, path = _record(drift, (before, after), problems, settings, signer, kept=not no_record and drift.pairs)
        _copy(record, out, path)
    if format_ == "json":
        said = {"exit_code": code, "record": path and str(path), **to_json(drift), "problems": problems}
        click.echo(json_line(said))
    elif exporter is not None and record is not None:
        exporter.export(record, document := BytesIO())
        click.echo(document.getvalue(), nl=False)
    else:
        click.echo(to_markdown(drift) if format_ == "markdown" else to_text(drift))
    if format_ != "json":
        for problem in problems:
            click.echo(f"{problem['state']}: {printable(problem['path'])}: {printable(problem['reason'])}", err=True)
        if path is not None:
            click.echo(f"record: {path}", err=format_ != "text")
    ctx.exit(code)


def _record(
    drift: Drift,
    roots: tuple[str, str],
    problems: Sequence[Mapping[str, str]],
    settings: Settings,
    signer: Signer,
    *,
    kept: object,
) -> tuple[Mapping[str, JSON], Path | None]:
    """The signed alert, and where it is stored if it is."""
    from ophamin.comparing._signed import keep
    from ophamin.comparing.drift.alert import alert_body
    from ophamin.comparing.drift.record import REGRESSION_ALERT
    from ophamin.proof.signed import sign

    body = alert_body(drift, *roots, problems)
    if not kept:
        return sign(body, REGRESSION_ALERT, signer), None
    stored = keep(body, REGRESSION_ALERT, settings, signer)
    return stored.record, stored.path


def _copy(record: Mapping[str, JSON], out: Path | None, path: Path | None) -> None:
    if out is None:
        return
    from ophamin.proof.reading import write_object

    try:
        write_object(out, record)
    except OSError as error:
        where = f"; the record itself is stored as {path}" if path else ""
        raise UsageError(f"{out}: {error.strerror or error}{where}") from error


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
        elif kind == "regression-alert":
            continue  # of an earlier comparison, in the same store: no news
        elif kind != "proof":
            problems.append({"state": "left out", "path": path, "reason": f"an {kind} record; proofs are compared"})
        elif not item.verification.ok:
            reason = "nothing is bad, but nobody known signed it; ophamin record verify says more"
            problems.append({"state": "could not be checked", "path": path, "reason": reason})
    return problems
