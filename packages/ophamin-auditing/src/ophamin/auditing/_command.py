"""``ophamin audit`` and ``ophamin sbom``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ophamin.auditing.audit import Audited
    from ophamin.auditing.examining import Done
    from ophamin.protocols import Settings

__all__ = ["audit", "sbom"]

EXIT = {"": 0, "VALIDATED": 0, "REFUTED": 1, "INCONCLUSIVE": 4}
SHOWN = 20


@click.command("audit", short_help="Static analysis of a path into a signed audit record.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--tools", "listed", help="Auditors to run, separated by commas. Default: all installed.")
@click.option("--tool", "named", multiple=True, help="One auditor to run; may be given again.")
@click.option("--gate", "gates", multiple=True, help="Claim on the counts, such as 'high == 0'; may be given again.")
@click.option(
    "--baseline", default="", metavar="RECORD", help="An earlier audit: show and mark only what is new since."
)
@click.option("--changed", default="", metavar="REV", help="Only findings in files that differ from a git revision.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    help="Also write the audit as sarif, junit, github, markdown …; again allowed.",
)
@click.option(
    "--out", "outs", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
    help="File of the --format given in the same place; without it one format goes to standard output.",
)  # fmt: skip
@click.option("--sarif", type=click.Path(path_type=Path, dir_okay=False), help="The same as --format sarif --out FILE.")
@click.option("--isolated", is_flag=True, help="Ignore the audited project's own settings of the tools.")
@click.option(
    "--timeout", "timeout_s", type=float, default=300.0, show_default=True, help="Seconds each tool may take."
)
@click.option("--jobs", type=int, help="Tools at a time. Default, and at most: one per core.")
@click.option("--no-cache", is_flag=True, help="Run every tool, also on a tree that did not change.")
@click.option("--key-file", type=click.Path(path_type=Path), help="Signing key; default: the installation's own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.pass_context
def audit(
    ctx: click.Context,
    path: Path,
    listed: str | None,
    named: tuple[str, ...],
    gates: tuple[str, ...],
    baseline: str,
    changed: str,
    formats: tuple[str, ...],
    outs: tuple[Path, ...],
    sarif: Path | None,
    isolated: bool,
    timeout_s: float,
    jobs: int | None,
    no_cache: bool,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Run static analysis on PATH and keep the findings as a signed, content-addressed record.

    A gate is registered before the tools run, and decided only by tools that finished. Metrics: total_findings,
    critical, high, medium, low, info, TOOL, TOOL.SEVERITY, TOOL.RULE, and with a baseline new, new.SEVERITY. What two
    tools found is one finding, except in the counts of a tool.

    Exits 0 when all gates hold or there are none, 1 when one is refuted, 4 when one cannot be decided because a
    tool is missing, failed, or could not read everything.

    Example: ophamin audit src --gate 'high == 0' --format sarif --out findings.sarif
    """
    from ophamin.auditing import _formats
    from ophamin.auditing.audit import audit as run_audit
    from ophamin.proof.errors import UsageError

    tools = [name.strip() for name in (listed or "").split(",") if name.strip()] + list(named)
    if listed is not None and not tools:
        raise UsageError("--tools names no tool; separate names by commas, or leave it out for all")
    wanted = [*zip(formats, [*outs, None] if len(formats) == len(outs) + 1 else outs, strict=False)]
    if len(wanted) != len(formats) or len(outs) > len(formats):
        raise UsageError("each --format needs its --out, in the same order; only one may go to standard output")
    if as_json and len(outs) < len(formats):
        raise UsageError("standard output holds one thing: give --format an --out, or leave out --json")
    wanted += [("sarif", sarif)] if sarif is not None else []
    writers = [(_formats.writer(name), out) for name, out in wanted]  # an unknown one is told before the tools run

    settings: Settings = ctx.obj
    done = run_audit(
        path,
        settings,
        tools=tools,
        gates=gates,
        isolated=isolated,
        timeout_s=timeout_s,
        jobs=jobs,
        baseline=baseline,
        changed=changed,
        cached=not no_cache,
        key_file=key_file,
        progress=_progress if sys.stderr.isatty() else None,
    )
    lost = [line for write, out in writers for line in _formats.write(write, done, out)]
    code = EXIT[done.outcome]
    if as_json:
        click.echo(json.dumps(_summary(done, code, lost), ensure_ascii=False))
    elif len(outs) == len(formats):
        _show(done)
    for pillar in done.record["pillars"]:
        for line in ([pillar["error_message"]] if pillar["error_message"] else []) + pillar["warnings"]:
            click.echo(f"{pillar['pillar_name']}: {_printable(line)}", err=True)
    for line in lost:
        if line.startswith(("findings: ", "pillars: ")):  # what a reader of the file would take for the whole
            click.echo(f"left out: {line}", err=True)
    ctx.exit(code)


def _progress(done: Done) -> None:
    """One line per tool, when it is done."""
    entry = done.entry
    what = f"{len(entry['findings'])} findings" if entry["status"] == "ok" else entry["status"].upper()
    took = "unchanged" if entry.get("cache") else f"{entry['wall_time_s']:.1f} s"
    what += " twice" if done.runs > 1 else ""
    click.echo(f"{done.name:<12} {took:>10}  {what}" + (f", {done.left} to go" if done.left else ""), err=True)


def _summary(done: Audited, code: int, lost: Sequence[str]) -> dict[str, Any]:
    record = done.record
    kept = ("pillar_name", "tool_version", "status", "complete", "finding_count", "error_message", "wall_time_s")
    return {
        "audit_id": record["audit_id"],
        "record": str(done.path),
        "outcome": done.outcome or None,
        "exit_code": code,
        "gates": record["verdict"]["gates"] if "verdict" in record else [],
        "summary": record["summary"],
        "environments": record["target"].get("environments", []),
        "baseline": record.get("baseline"),
        "pillars": [{**{k: p[k] for k in kept}, "cached": "cache" in p} for p in record["pillars"]],
        "command": record["reproduction"]["command"],
        "lost": list(lost),
    }


def _show(done: Audited) -> None:
    from ophamin.auditing._counts import SEVERITIES

    record = done.record
    findings = [f for p in record["pillars"] for f in p["findings"] if "duplicate_of" not in f and f.get("new", True)]
    findings.sort(key=lambda f: SEVERITIES.index(f["severity"]))  # stable: else as the record has them
    for f in findings[:SHOWN]:
        place = f"{f['path']}:{f['line']}:{f['column']}" if f["column"] else f"{f['path']}:{f['line']}"
        also = "".join(f" [also {a['pillar_name']} {a['rule_id']}]" for a in f.get("also_found_by", ()))
        click.echo(_printable(f"{f['severity']:<8} {f['rule_id']:<7} {place}  {f['message']}{also}"))
    if len(findings) > SHOWN:
        click.echo(f"… and {len(findings) - SHOWN} more in the record")
    for pillar in record["pillars"]:
        counts = ", ".join(f"{n} {severity}" for severity, n in pillar["severity_histogram"].items())
        said = counts or "no findings"
        if pillar["status"] != "ok":
            said = f"{pillar['status'].upper()}: findings unknown"
        elif not pillar["complete"]:
            said += ", some files not examined"
        if "cache" in pillar:
            said += " (unchanged since an earlier run)"
        click.echo(_printable(f"{pillar['tool_version'] or pillar['tool_name']}: {said}"))
    if twice := record["summary"].get("duplicates"):
        click.echo(f"{record['summary']['total_findings']} findings in all: {twice} were found by two tools")
    if environments := record["target"].get("environments"):
        click.echo(_printable(f"not looked into, because it is a virtual environment: {_shortened(environments)}"))
    if "changed" in record["target"]:
        changed = record["target"]["changed"]
        click.echo(f"only in {len(changed['files'])} files changed since {changed['revision'][:12]}")
    if "baseline" in record:
        _show_baseline(record)
    if "verdict" in record:
        click.echo(_printable(f"{record['verdict']['outcome']}: {record['verdict']['reasoning']}"))
    click.echo(f"again: {record['reproduction']['command']}")
    click.echo(f"record: {done.path}")


def _show_baseline(record: Any) -> None:
    known = record["baseline"]
    click.echo(f"{known['n_new']} new and {known['n_gone']} gone since the audit {known['audit_id'][:16]}")
    unknown = [p["pillar_name"] for p in record["pillars"] if p["findings"] and p["pillar_name"] not in known["tools"]]
    if unknown:
        click.echo(f"of {' and '.join(unknown)} it is not known: the baseline does not have what they found")


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
