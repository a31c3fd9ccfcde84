"""``ophamin audit`` and ``ophamin sbom``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ophamin.auditing.audit import Audited
    from ophamin.protocols import Settings

__all__ = ["audit", "sbom"]

EXIT = {"": 0, "VALIDATED": 0, "REFUTED": 1, "INCONCLUSIVE": 4}
SHOWN = 20


@click.command("audit", short_help="Static analysis of a path into a signed audit record.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--tool", "tools", multiple=True, help="Auditor to run; may be given again. Default: all installed.")
@click.option("--gate", "gates", multiple=True, help="Claim on the counts, such as 'high == 0'; may be given again.")
@click.option("--sarif", type=click.Path(path_type=Path, dir_okay=False), help="Also write the findings as SARIF.")
@click.option("--isolated", is_flag=True, help="Ignore the audited project's own settings of the tools.")
@click.option(
    "--timeout", "timeout_s", type=float, default=300.0, show_default=True, help="Seconds each tool may take."
)
@click.option("--key-file", type=click.Path(path_type=Path), help="Signing key; default: the installation's own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.pass_context
def audit(
    ctx: click.Context,
    path: Path,
    tools: tuple[str, ...],
    gates: tuple[str, ...],
    sarif: Path | None,
    isolated: bool,
    timeout_s: float,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Run static analysis on PATH and keep the findings as a signed, content-addressed record.

    A gate is registered before the tools run, and decided only by tools that finished. Metrics: total_findings,
    critical, high, medium, low, info, TOOL, TOOL.SEVERITY, TOOL.RULE.

    Exits 0 when all gates hold or there are none, 1 when one is refuted, 4 when one cannot be decided because a
    tool is missing, failed, or could not read everything.

    Example: ophamin audit src --gate 'high == 0' --sarif findings.sarif
    """
    from ophamin.auditing.audit import audit as run_audit

    settings: Settings = ctx.obj
    done = run_audit(
        path,
        settings,
        tools=tools,
        gates=gates,
        isolated=isolated,
        timeout_s=timeout_s,
        key_file=key_file,
    )
    if sarif is not None:
        _write_sarif(done, sarif)
    code = EXIT[done.outcome]
    if as_json:
        click.echo(json.dumps(_summary(done, code), ensure_ascii=False))
    else:
        _show(done)
    for pillar in done.record["pillars"]:
        for line in ([pillar["error_message"]] if pillar["error_message"] else []) + pillar["warnings"]:
            click.echo(f"{pillar['pillar_name']}: {_printable(line)}", err=True)
    ctx.exit(code)


def _write_sarif(done: Audited, file: Path) -> None:
    import io

    from ophamin.auditing.export.sarif import SarifExporter
    from ophamin.proof.atomic import write_atomic
    from ophamin.proof.errors import UsageError

    out = io.BytesIO()
    SarifExporter().export(done.record, out)
    try:
        write_atomic(file, out.getvalue())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}; the record itself is stored as {done.path}") from error


def _summary(done: Audited, code: int) -> dict[str, Any]:
    record = done.record
    return {
        "audit_id": record["audit_id"],
        "record": str(done.path),
        "outcome": done.outcome or None,
        "exit_code": code,
        "gates": record["verdict"]["gates"] if "verdict" in record else [],
        "summary": record["summary"],
        "pillars": [
            {k: p[k] for k in ("pillar_name", "tool_version", "status", "complete", "finding_count", "error_message")}
            for p in record["pillars"]
        ],
    }


def _show(done: Audited) -> None:
    from ophamin.auditing._counts import SEVERITIES

    record = done.record
    findings = [f for p in record["pillars"] for f in p["findings"]]
    findings.sort(key=lambda f: SEVERITIES.index(f["severity"]))  # stable: else as the record has them
    for f in findings[:SHOWN]:
        place = f"{f['path']}:{f['line']}:{f['column']}"
        click.echo(_printable(f"{f['severity']:<8} {f['rule_id']:<7} {place}  {f['message']}"))
    if len(findings) > SHOWN:
        click.echo(f"… and {len(findings) - SHOWN} more in the record")
    for pillar in record["pillars"]:
        counts = ", ".join(f"{n} {severity}" for severity, n in pillar["severity_histogram"].items())
        said = counts or "no findings"
        if pillar["status"] != "ok":
            said = f"{pillar['status'].upper()}: findings unknown"
        elif not pillar["complete"]:
            said += ", some files not examined"
        click.echo(_printable(f"{pillar['tool_version'] or pillar['tool_name']}: {said}"))
    if "verdict" in record:
        click.echo(_printable(f"{record['verdict']['outcome']}: {record['verdict']['reasoning']}"))
    click.echo(f"record: {done.path}")


def _printable(value: str) -> str:
    """A file name may hold anything; the terminal gets no control characters from it."""
    clean = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value)
    encoding = sys.stdout.encoding or "utf-8"
    return clean.encode(encoding, "backslashreplace").decode(encoding)


@click.command("sbom", short_help="Software bill of materials of a tree, as CycloneDX 1.6.")
@click.argument("tree", default=".", type=click.Path(path_type=Path))
@click.option(
    "--environment",
    type=click.Path(path_type=Path),
    help="Virtual environment to list; with a lock or requirements: the one they are for. Default: this one.",
)
@click.option("--lock", type=click.Path(path_type=Path), help="List a uv.lock instead.")
@click.option(
    "--requirements",
    multiple=True,
    type=click.Path(path_type=Path),
    help="List a hashed requirements file instead; may be given again.",
)
@click.option("--allow-unhashed", is_flag=True, help="List requirements without a hash as unhashed; else refuse them.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; default: standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on what was written; needs --out.")
def sbom(
    tree: Path,
    environment: Path | None,
    lock: Path | None,
    requirements: tuple[Path, ...],
    allow_unhashed: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write the bill of materials of TREE: every package with purl, licence, hashes, and who needs whom.

    Without options it lists the packages of the environment ophamin runs in. TREE itself is bound in by the hash of
    its content and its git revision. The same input gives the same bytes; SOURCE_DATE_EPOCH, when set, is its time.

    A lock or hashed requirements give the hashes of archives; an environment those of files, as RECORD states them.
    What has no hash is listed as such.

    Example: ophamin sbom . --lock uv.lock --out bom.cdx.json
    """
    from ophamin.auditing.sbom.make import make_sbom
    from ophamin.proof.atomic import write_atomic
    from ophamin.proof.errors import UsageError

    if as_json and out is None:
        raise UsageError("standard output holds one thing: give --out with --json, or leave out --json")
    bill = make_sbom(tree, environment=environment, lock=lock, requirements=requirements, allow_unhashed=allow_unhashed)
    for line in bill.inventory.warnings:
        click.echo(_printable(line), err=True)
    if out is None:
        sys.stdout.buffer.write(bill.content)
        return
    try:
        write_atomic(out, bill.content)
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror or error}; give a file in a folder that can be written") from error
    summary = {"out": str(out), **bill.summary()}
    if as_json:
        click.echo(json.dumps(summary))
        return
    said = f"{summary['components']} components, {summary['hashed']} with hashes"
    if summary["unhashed"]:
        said += f", {len(summary['unhashed'])} without: {_shortened([u['name'] for u in summary['unhashed']])}"
    if summary["licence_unknown"]:
        said += f"; licence unknown: {_shortened(summary['licence_unknown'])}"
    click.echo(_printable(f"{out}: {said}"))


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
