"""pip-audit: known vulnerabilities of the packages a project pins."""

from __future__ import annotations

import json
import os
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name
from packaging.version import Version

from ophamin.auditing.target import Target, text
from ophamin.auditing.tools._cvss import severity
from ophamin.auditing.tools._examine import Parsed, ToolError, examine, failed, pillar_entry
from ophamin.auditing.tools._osv import Advisories
from ophamin.auditing.tools._osv_server import serving
from ophamin.auditing.tools._pins import Pin, Pinned, pins
from ophamin.auditing.tools._run import Completed

__all__ = ["VARIABLE", "PipAudit"]

JSON = Any
VARIABLE = "OPHAMIN_OSV"
"""Names where advisories are: a folder of OSV files, or the address of an OSV service. There is no default, since
asking a service tells it what the project uses."""
FETCH_TIMEOUT_S = 15.0
MOST_BYTES = 16 << 20
DESCRIPTION_KEPT = 500


class PipAudit:
    """The auditor ``pip-audit``.

    It looks at the project's own locks and requirements, never at an environment. Where it could not reach
    advisories, the state is ``unavailable`` or ``error``: nothing is known, which is not the same as nothing found.

    Args:
        isolated: Makes no difference: pip-audit has no settings in a project.

    Example:
        >>> entry = PipAudit().audit(Path(__file__), timeout_s=60.0)
        >>> entry["pillar_name"], entry["status"] in ("ok", "unavailable")
        ('pip-audit', True)
    """

    name = "pip-audit"
    requirement = "pip-audit"

    def __init__(self, isolated: bool = False) -> None:
        self.isolated = isolated

    @staticmethod
    def by_default() -> bool:
        """Whether an audit that names no tools has it: a gate must not be undecided for want of what nobody set up."""
        return bool(os.environ.get(VARIABLE))

    def audit(self, path: Path, *, timeout_s: float) -> Mapping[str, JSON]:
        """Run pip-audit; one entry of the audit record's ``pillars``."""
        target = Target.at(path)
        stated = os.environ.get(VARIABLE, "")
        if not stated:
            reason = (
                f"there are no advisories: set {VARIABLE} to a folder of OSV files, or to the address of a service "
                "such as https://api.osv.dev/v1/query, which then learns what the project uses"
            )
            return pillar_entry(self.name, target, "unavailable", error_message=reason)
        if stated.startswith(("http://", "https://")):
            return _examine(_Service(stated), target, timeout_s)
        folder = Path(stated)
        if not folder.is_dir():
            reason = f"{VARIABLE} names {text(stated)}, which is no folder; nothing is known of vulnerabilities"
            return pillar_entry(self.name, target, "error", error_message=reason)
        advisories = Advisories.read(folder)
        if not advisories.by_id:
            reason = f"{text(stated)} holds no advisory on packages of PyPI; nothing is known of vulnerabilities"
            return pillar_entry(self.name, target, "error", error_message=reason)
        with serving(advisories) as url:
            return _examine(_Folder(url, advisories), target, timeout_s)


class _Folder:
    """Advisories of a folder, served to this machine."""

    def __init__(self, url: str, advisories: Advisories) -> None:
        self.url, self.advisories = url, advisories

    def find(self, names: list[str]) -> Mapping[str, JSON] | None:
        return self.advisories.find(names)

    def unread(self) -> list[dict[str, str]]:
        return [{"path": f"{VARIABLE}/{name}", "reason": why} for name, why in self.advisories.damaged.items()]

    def describe(self) -> dict[str, JSON]:
        return {"advisories": len(self.advisories.by_id), "service": "a folder"}


class _Service:
    """Advisories of an OSV service elsewhere."""

    def __init__(self, url: str) -> None:
        self.url = url

    def find(self, names: list[str]) -> Mapping[str, JSON] | None:
        """Ask for the whole advisory: pip-audit does not pass its severity on."""
        base = self.url.rstrip("/").removesuffix("/query")
        for name in names:
            try:
                with urllib.request.urlopen(f"{base}/vulns/{quote(name, safe='')}", timeout=FETCH_TIMEOUT_S) as answer:
                    advisory = json.loads(answer.read(MOST_BYTES))
            except (OSError, ValueError, RecursionError):
                continue  # known under another of its names
            if isinstance(advisory, dict):
                return advisory
        return None

    def unread(self) -> list[dict[str, str]]:
        return []

    def describe(self) -> dict[str, JSON]:
        return {"service": text(self.url)}


def _examine(source: _Folder | _Service, target: Target, timeout_s: float) -> dict[str, JSON]:
    pinned = pins(target)
    with _lock(pinned) as folder:
        return examine(_Run(source, pinned, folder), target.path, timeout_s)


@contextmanager
def _lock(pinned: Pinned) -> Iterator[Path]:
    """The pins as a ``pylock.toml`` (PEP 751): of what pip-audit reads, only that may hold two versions of a name."""
    with tempfile.TemporaryDirectory(prefix="ophamin-pip-audit-") as name:
        folder = Path(name)
        rows = sorted({(str(canonicalize_name(p.name)), str(Version(p.version))) for p in pinned.pins})
        tables = "".join(f"\n[[packages]]\nname = {json.dumps(n)}\nversion = {json.dumps(v)}\n" for n, v in rows)
        (folder / "pylock.toml").write_text(f'lock-version = "1.0"\ncreated-by = "ophamin"\n{tables}', "utf-8")
        yield folder


class _Run:
    """One run of pip-audit."""

    name, requirement, isolated = "pip-audit", "pip-audit", True

    def __init__(self, source: _Folder | _Service, pinned: Pinned, folder: Path) -> None:
        self.source, self.pinned, self.folder = source, pinned, folder

    def environment(self, target: Target) -> Mapping[str, str]:
        """A proxy must not be asked for an address of this machine."""
        return {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} if isinstance(self.source, _Folder) else {}

    def arguments(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        """Its command line; each option that a variable of the user could change is given."""
        noted = {"settings": [target.relative(f) for f in self.pinned.files], **self.source.describe()}
        if not self.pinned.pins:
            return ["--version"], noted  # an empty lock is an error to it; that it starts is all there is to know
        words = ["--format", "json", "--output", "stdout", "--desc", "on", "--aliases", "on", "--strict"]
        words += ["--progress-spinner", "off", "--vulnerability-service", "osv", "--osv-url", self.source.url]
        return [*words, "--cache-dir", str(self.folder / "cache"), "--locked", str(self.folder)], noted

    def parse(self, done: Completed, target: Target) -> Parsed:
        """Its findings; whether it has any is told by what it printed, since it also exits 1 without a network."""
        unread = [*self.pinned.unread, *self.source.unread()]
        extra = {"packages": len({(canonicalize_name(p.name), p.version) for p in self.pinned.pins})}
        if not self.pinned.pins:
            if done.exit_code != 0:
                raise failed("pip-audit", done, "does not start")
            return Parsed((), unread=unread, extra=extra)
        if done.exit_code not in (0, 1):
            raise failed("pip-audit", done, "could not do its work")
        try:
            rows = json.loads(done.stdout)["dependencies"]
            answered = {(row["name"], row["version"]): row["vulns"] for row in rows if "skip_reason" not in row}
            skipped = {row["name"]: row["skip_reason"] for row in rows if "skip_reason" in row}
        except (ValueError, KeyError, TypeError) as error:
            said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2].strip()
            raise ToolError(
                f"pip-audit could not reach advisories at {text(self.source.url)}, so nothing is known of "
                f"vulnerabilities (exit {done.exit_code}): {said[:DESCRIPTION_KEPT]}"
            ) from error
        findings, rules = [], {}
        for pin in self.pinned.pins:
            key = str(canonicalize_name(pin.name)), str(Version(pin.version))
            if key not in answered:
                reason = text(skipped.get(key[0], "pip-audit did not answer for it"))
                unread.append({"path": target.relative(pin.file), "reason": f"{pin.name} {pin.version}: {reason}"})
                continue
            for vulnerability in answered[key]:
                finding, rule = self._finding(pin, vulnerability, target)
                findings.append(finding)
                rules[finding["rule_id"]] = rule
        return Parsed(findings, rules, unread, extra=extra)

    def _finding(self, pin: Pin, said: Mapping[str, JSON], target: Target) -> tuple[dict[str, JSON], dict[str, JSON]]:
        names = sorted({text(n) for n in (said["id"], *said.get("aliases", []))})
        advisory = self.source.find([said["id"], *names]) or {}
        how_bad, vector = severity(advisory)
        fixes = [text(v) for v in said["fix_versions"]]
        links = _links(advisory, text(advisory.get("id") or said["id"]))
        advice = f"upgrade to {' or '.join(fixes)}" if fixes else "no version that fixes it is known"
        summary = text(advisory.get("summary") or said.get("description") or "")
        summary = " ".join(summary.split())[:DESCRIPTION_KEPT].rstrip(".") or "known vulnerability"
        finding = {
            "pillar_name": "pip-audit",
            "rule_id": text(said["id"]),
            "severity": how_bad,
            "message": f"{pin.name} {pin.version}: {summary}; {advice}",
            "path": target.relative(pin.file),
            "line": pin.line,
            "column": 1,
            "end_line": None,
            "end_column": None,
            "extra": {
                "package": pin.name,
                "version": pin.version,
                "aliases": [n for n in names if n != said["id"]],
                "fix_versions": fixes,
                "advisories": links,
                "cvss": vector,
            },
        }
        return finding, {"name": text(said["id"]), "url": links[0]}


def _links(advisory: Mapping[str, JSON], name: str) -> list[str]:
    """Where to read on: the advisory's own page first."""
    stated = advisory.get("references")
    rows = [r for r in stated if isinstance(r, Mapping)] if isinstance(stated, list) else []
    urls = [(r.get("type") != "ADVISORY", n, text(str(r.get("url", "")))) for n, r in enumerate(rows)]
    found = [url for _, _, url in sorted(urls) if url.startswith("https://")]
    return found[:10] or [f"https://osv.dev/vulnerability/{quote(name, safe='')}"]
