"""CycloneDX 1.6: the audited tree, bound by its hash, and the known vulnerabilities an audit found in what it needs.

https://cyclonedx.org/docs/1.6/json/. Only findings about packages have a place there; SARIF carries the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from cyclonedx.model import XsUri
from cyclonedx.model.impact_analysis import ImpactAnalysisAffectedStatus
from cyclonedx.model.vulnerability import (
    BomTarget,
    BomTargetVersionRange,
    Vulnerability,
    VulnerabilityAdvisory,
    VulnerabilityRating,
    VulnerabilityReference,
    VulnerabilitySeverity,
    VulnerabilitySource,
)

from ophamin.auditing.export._audit import every_finding, lost_sections, no_options
from ophamin.auditing.sbom.bom import document, subject
from ophamin.auditing.sbom.environment import purl
from ophamin.auditing.sbom.parts import Inventory, Part
from ophamin.protocols import LossReport

__all__ = ["CyclonedxExporter"]

JSON = Any


class CyclonedxExporter:
    """Writes an audit record as a CycloneDX bill: the packages with findings, and their vulnerabilities.

    Example:
        >>> import io, json
        >>> out = io.BytesIO()
        >>> target = {"target_path": "/src/app", "target_content_hash": ""}
        >>> audit = {"audit_id": "0" * 64, "schema_version": "audit/1.2", "target": target, "pillars": []}
        >>> report = CyclonedxExporter().export(audit, out)
        >>> json.loads(out.getvalue())["metadata"]["component"]["name"]
        'app'
    """

    name = "cyclonedx"
    media_type = "application/vnd.cyclonedx+json"
    kinds: Sequence[str] = ("audit",)

    def export(self, record: Mapping[str, JSON], out: BinaryIO, **options: JSON) -> LossReport:
        """Write ``record`` as one bill.

        Args:
            record: An audit record of any version.
            out: Where to.
            **options: None are known.

        Raises:
            TypeError: An option was given.
        """
        no_options("CycloneDX", options)
        findings = [f for f in every_finding(record) if _of_package(f)]
        inventory = Inventory("audit", list(_parts(findings).values()), graph_known=False)
        inventory.properties["ophamin:audit_id"] = record["audit_id"]
        for pillar in record["pillars"]:
            inventory.properties[f"ophamin:audit:{pillar['pillar_name']}"] = pillar["status"]
        inventory.roots = {part.ref for part in inventory.parts}
        content, _ = document(inventory, _tree(record["target"]), vulnerabilities=_vulnerabilities(findings))
        out.write(content)
        return LossReport(tuple(_lost(record)))


def _of_package(finding: Mapping[str, JSON]) -> bool:
    return "package" in finding.get("extra", {})


def _tree(target: Mapping[str, JSON]) -> Any:
    more = {
        f"ophamin:tree:{name}": str(target[key])
        for name, key in (("path", "path"), ("inputs-hash", "inputs_hash"))
        if target.get(key)
    }
    if target.get("revision"):
        more |= {"ophamin:git:revision": target["revision"], "ophamin:git:dirty": str(bool(target["dirty"])).lower()}
    name = target["target_path"].rstrip("/\\").replace("\\", "/").rpartition("/")[2] or "/"
    digest = target["target_content_hash"]
    return subject(name, "", digest if len(digest) == 64 else "", more)


def _parts(findings: Sequence[Mapping[str, JSON]]) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    for finding in findings:
        name, version = finding["extra"]["package"], finding["extra"]["version"]
        part = parts.setdefault(purl(name, version), Part(name, version, purl(name, version)))
        part.unhashed = "an audit record states no hash of packages"
    return dict(sorted(parts.items()))


def _vulnerabilities(findings: Sequence[Mapping[str, JSON]]) -> list[Vulnerability]:
    merged: dict[tuple[str, str], Vulnerability] = {}
    for finding in findings:
        extra = finding["extra"]
        ref = purl(extra["package"], extra["version"])
        key = (finding["rule_id"], ref)
        if key in merged:
            continue
        service = VulnerabilitySource(name="OSV", url=XsUri(f"https://osv.dev/vulnerability/{finding['rule_id']}"))
        affected = BomTargetVersionRange(version=extra["version"], status=ImpactAnalysisAffectedStatus.AFFECTED)
        fixed = extra.get("fix_versions", [])
        merged[key] = Vulnerability(
            bom_ref=f"{finding['rule_id']}:{ref}",
            id=finding["rule_id"],
            source=service,
            description=finding["message"],
            recommendation=f"upgrade {extra['package']} to {' or '.join(fixed)}" if fixed else None,
            ratings=[_rating(finding["severity"], extra)],
            advisories=[VulnerabilityAdvisory(url=XsUri(url)) for url in extra.get("advisories", [])],
            references=[
                VulnerabilityReference(id=alias, source=VulnerabilitySource(name="OSV"))
                for alias in extra.get("aliases", [])
            ],
            affects=[BomTarget(ref=ref, versions=[affected])],
        )
    return [merged[key] for key in sorted(merged)]


def _rating(severity: str, extra: Mapping[str, JSON]) -> VulnerabilityRating:
    return VulnerabilityRating(severity=VulnerabilitySeverity(severity), vector=extra.get("cvss") or None)


def _lost(record: Mapping[str, JSON]) -> Iterator[str]:
    yield "signature and attestations: a CycloneDX bill is not signed; its metadata names the audit_id"
    packaged = list(map(_of_package, every_finding(record)))
    if others := packaged.count(False):
        yield f"findings: {others} about sources, which have no place in a bill of materials; SARIF carries them"
    if any(packaged):
        yield "findings[].path and line: a vulnerability names a package, not the line that asks for it"
    sections = ("identity", "summary", "reproduction", "claim", "preregistration", "verdict")
    yield from lost_sections(record, "CycloneDX", *sections)
    if any(p["error_message"] for p in record["pillars"]):
        yield "pillars[].error_message: the bill says only which tools finished"
