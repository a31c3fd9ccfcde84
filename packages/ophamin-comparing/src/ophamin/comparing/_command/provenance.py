"""``ophamin provenance``."""

from __future__ import annotations

from pathlib import Path

import click

from ophamin.protocols import Settings

__all__ = ["provenance"]

TAMPERED = 3
FORMATS = ("json", "provn", "jsonld", "turtle", "xml")


@click.command()
@click.argument("proofs", nargs=-1, required=True)
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="json", show_default=True,
    help="json: PROV-JSON; provn: PROV-N; jsonld and turtle: RDF in the terms of PROV-O; xml: PROV-XML.",
)  # fmt: skip
@click.option("--report", "reports", multiple=True, type=click.Path(path_type=Path), help="A file made of the proof.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: standard output.")
@click.pass_context
def provenance(
    ctx: click.Context, proofs: tuple[str, ...], format_: str, reports: tuple[Path, ...], out: Path | None
) -> None:
    """Write where proofs came from as a W3C PROV document.

    PROOFS are files, folders of records, or ids of stored records. Of several, each gets a bundle of its own. To what
    the record holds is added what it cannot: its own id, its signer where that is a trusted person, and the reports
    that are named. Exits 3 when a record is not what was signed: it is named and left out.

    Example: ophamin provenance 3f2a --format provn --report report.html
    """
    from ophamin.comparing._show import printable
    from ophamin.comparing.provenance.documents import write
    from ophamin.comparing.provenance.graph import bundle, provenance_of, report_of
    from ophamin.proof.atomic import write_atomic
    from ophamin.proof.errors import UnknownRecord, UsageError
    from ophamin.proof.keys import Keyring
    from ophamin.registry.gathering import gather

    settings: Settings = ctx.obj
    files = [report_of(path) for path in reports]
    found, left_out = gather(settings, proofs)
    for left in left_out:
        click.echo(f"left out: {printable(left.path)}: {printable(left.reason)}", err=True)
    if not found:
        raise UnknownRecord("no record was found there; name a record, a folder of records or an id")
    if files and len(found) > 1:
        raise UsageError("--report belongs to one proof, and several were named")
    trusted, graphs = Keyring().trusted(), {}
    bad = [item for item in found if item.bad]
    if len(bad) == len(found):
        bad[0].verification.require()
    for item in bad:
        why = "; ".join(f"{check.name}: {check.detail}" for check in item.verification.checks if check.state == "bad")
        click.echo(f"tampered, left out: {printable(item.record.path)}: {printable(why)}", err=True)
    for item in found:
        if item.bad:
            continue
        kind, person = item.record.kind, item.verification.signer
        graphs[item.record.id] = provenance_of(
            item.record.object, kind.name, kind.id_field, person=person if person in trusted else "", reports=files
        )
    written = write(next(iter(graphs.values())) if len(graphs) == 1 else bundle(graphs), format_)
    if out is None:
        click.echo(written, nl=False)
    else:
        try:
            write_atomic(out, written)
        except OSError as error:
            raise UsageError(f"{out}: {error.strerror or error}; name a file that can be written") from error
    ctx.exit(TAMPERED if bad else 0)
