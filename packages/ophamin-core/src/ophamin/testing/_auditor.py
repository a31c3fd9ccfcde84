"""The contract of an auditor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ophamin.proof.errors import OphaminError
from ophamin.protocols import Auditor
from ophamin.testing._values import assert_json, attempt, is_number

__all__ = ["check_auditor"]

_SEVERITIES = {"critical", "high", "medium", "low", "info"}
_SOURCE = '''"""A module with something to find."""
import os, sys
import subprocess


def run(command, unused):
    password = "hunter2"
    try:
        return subprocess.call(command, shell=True)
    except:
        pass
'''


_STATUSES = ("ok", "unavailable", "error", "timeout")


def check_auditor(cls: type[Auditor], tmp_path: Path, *, timeout_s: float = 120.0) -> None:
    """Check that an auditor reports in one shape, whatever it meets, and leaves the code alone.

    Args:
        cls: The auditor.
        tmp_path: An empty folder to write in.
        timeout_s: Longest one audit may take.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    auditor = cls()
    assert isinstance(auditor, Auditor), f"{cls.__name__} lacks a member of Auditor"
    assert auditor.name, "the auditor has no name"
    code = tmp_path / "code"
    code.mkdir()
    (code / "module.py").write_text(_SOURCE, encoding="utf-8")
    before = _contents(code)
    entry = _audit(auditor, code, timeout_s)
    _check_entry(entry, auditor)
    again = _audit(auditor, code, timeout_s)
    assert again["findings"] == entry["findings"], "the same code gave other findings the second time"
    assert _contents(code) == before, "the auditor wrote into the code it looked at"

    empty = tmp_path / "no code"
    empty.mkdir()
    _check_entry(_audit(auditor, empty, timeout_s), auditor)
    _check_entry(_audit(auditor, code, 1e-6), auditor)
    missing, _ = attempt(
        lambda: auditor.audit(tmp_path / "nowhere", timeout_s=timeout_s), OphaminError, "audit() of a missing path"
    )
    assert missing is None or missing["status"] != "ok", "a path that does not exist was audited and found ok"


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _audit(auditor: Auditor, path: Path, timeout_s: float) -> Mapping[str, Any]:
    try:
        return auditor.audit(path, timeout_s=timeout_s)
    except Exception as error:  # whatever it raises is the finding
        raise AssertionError(f"audit() raises {type(error).__name__}: {error}; put it into the entry") from error


def _check_entry(entry: Mapping[str, Any], auditor: Auditor) -> None:
    assert_json(entry, "an audit entry")
    for name in ("pillar_name", "tool_name", "tool_version", "status", "finding_count", "findings",
                 "severity_histogram", "wall_time_s", "error_message"):  # fmt: skip
        assert name in entry, f"an audit entry has no {name}"
    assert entry["pillar_name"] == auditor.name, f"the entry is of {entry['pillar_name']!r}, not of {auditor.name!r}"
    status = entry["status"]
    assert status in _STATUSES, f"the status is ok, unavailable, error or timeout, not {status!r}"
    if status == "ok":
        assert entry["tool_version"], "a tool that ran has a version"
    else:
        assert entry["error_message"], f"an entry that is {status} says why in error_message"
        # A tool that did not finish has not found nothing.
        assert entry["finding_count"] is None, f"an entry that is {status} has no finding_count, not 0"
    assert is_number(entry["wall_time_s"]), "wall_time_s is seconds"
    findings, histogram = entry["findings"], entry["severity_histogram"]
    if status == "ok":
        assert entry["finding_count"] == len(findings), (
            f"finding_count is {entry['finding_count']}, not {len(findings)}"
        )
    assert sum(histogram.values()) == len(findings), "severity_histogram does not add up to the findings"
    for finding in findings:
        assert finding["severity"] in _SEVERITIES, f"a finding has severity {finding['severity']!r}"
        for name in ("rule_id", "message", "path"):
            assert isinstance(finding[name], str), f"a finding has no {name}"
