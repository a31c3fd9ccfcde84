"""Ruff: style, defects and likely bugs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ophamin.auditing.target import INSTALLED, Target, text
from ophamin.auditing.tools._examine import Parsed, examine, failed, warnings_in
from ophamin.auditing.tools._run import Completed, pattern

__all__ = ["DEFAULT_RULES", "SEVERITY", "Ruff", "severity"]

JSON = Any

DEFAULT_RULES = ("E7", "E9", "F", "B", "PLE", "ASYNC", "BLE")
"""What is asked for where a project has no ruff settings: ruff's own default grew from 59 rules to 407 between
releases. Security rules (S) are left to bandit, so that nothing counts twice."""

SEVERITY = {
    # The file, or the line, cannot run.
    "invalid-syntax": "high", "E9": "high", "F7": "high", "F82": "high", "PLE": "high",
    # Likely bugs.
    "F": "medium", "B": "medium", "PLW": "medium", "ASYNC": "medium", "DTZ": "medium",
    "F401": "low", "F541": "low", "F841": "low", "F842": "low",
    # Security, near to what bandit says of the same things.
    "S": "medium", "S1": "low", "S102": "medium", "S103": "medium", "S104": "medium", "S108": "medium",
    "S324": "high", "S4": "low", "S501": "high", "S502": "high", "S503": "high", "S507": "high",
    "S602": "high", "S603": "low", "S605": "high", "S606": "low", "S607": "low", "S609": "high", "S701": "high",
    # Taste.
    "E1": "info", "E2": "info", "E3": "info", "E4": "info", "E5": "info", "W": "info", "D": "info", "I": "info",
    "N": "info", "Q": "info", "COM": "info", "UP": "info", "ANN": "info", "ERA": "info", "TD": "info", "FIX": "info",
    "DOC": "info", "EM": "info", "CPY": "info", "ISC": "info",
}  # fmt: skip
"""Beginning of a rule → severity; the longest that fits decides, its letters must be the rule's. All else: low."""

UNREADABLE = frozenset({"invalid-syntax", "E902", "E999"})
NOTHING = b"No Python files found"
_RULE = re.compile(r"([A-Za-z]+)(\d*)\Z")


def severity(rule: str) -> str:
    """The normalised severity of a ruff rule; ruff itself has none.

    Example:
        >>> severity("F821"), severity("F401"), severity("D100"), severity("DTZ001"), severity("SIM102")
        ('high', 'low', 'info', 'medium', 'low')
    """
    if rule in SEVERITY:
        return SEVERITY[rule]
    match = _RULE.match(rule)
    if match is None:
        return "low"
    letters, digits = match.groups()
    for end in range(len(digits), -1, -1):
        if letters + digits[:end] in SEVERITY:
            return SEVERITY[letters + digits[:end]]
    return "low"


class Ruff:
    """The auditor ``ruff``.

    Args:
        isolated: Ignore the project's settings and ask for ``DEFAULT_RULES``.

    Example:
        >>> entry = Ruff().audit(Path(__file__), timeout_s=60.0)
        >>> entry["pillar_name"], entry["status"]
        ('ruff', 'ok')
    """

    name = "ruff"
    parser = 1
    cost = 1.0

    def __init__(self, isolated: bool = False) -> None:
        self.isolated = isolated

    def audit(self, path: Path, *, timeout_s: float) -> Mapping[str, JSON]:
        """Run ruff; one entry of the audit record's ``pillars``."""
        return examine(self, path, timeout_s)

    def arguments(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        """Its command line, and which settings hold."""
        # --no-fix and --no-fix-only: a project's settings must not make an audit rewrite its target.
        words = ["check", "--output-format", "json", "--no-cache", "--exit-zero", "--no-fix", "--no-fix-only"]
        files = [
            f
            for f in target.settings("pyproject.toml", "ruff.toml", ".ruff.toml")
            if f.name != "pyproject.toml" or target.toml_table(f, "ruff")
        ]
        noted: dict[str, JSON] = {"settings": [target.relative(f) for f in files]}
        if self.isolated or not files:
            # Without settings of the project, ruff would take the user's own: --isolated stops that too.
            words += ["--isolated", "--select", ",".join(DEFAULT_RULES)]
            noted = {"settings": []}
        if target.root.name in INSTALLED:
            # Ruff leaves out where packages are installed, and a virtual environment's .gitignore hides all of it.
            words += ["--no-respect-gitignore", "--exclude", "__pycache__"]
        for apart in (*target.environments, *target.dangling()):  # beside what ruff, or the project, leaves out
            words += ["--extend-exclude", pattern(os.path.relpath(apart, target.root))]
        return [*words, "--", str(target.path)], noted

    def parse(self, done: Completed, target: Target) -> Parsed:
        """Its findings; syntax errors and unreadable files are findings, and leave the audit incomplete."""
        if done.exit_code != 0:
            raise failed("ruff", done, "could not do its work")
        try:
            rows = json.loads(done.stdout)
            found = [_finding(row, target) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise failed("ruff", done, f"printed no findings ({type(error).__name__})") from error
        rules = {
            finding["rule_id"]: {"name": text(row.get("name") or ""), "url": text(row.get("url") or "")}
            for finding, row in zip(found, rows, strict=True)
        }
        unread = {f["path"]: f["message"] for f in found if f["rule_id"] in UNREADABLE}
        if NOTHING in done.stderr and target.sources():
            unread[target.name] = "ruff left out every file of it; see exclude in its settings, and .gitignore"
        return Parsed(
            found,
            rules,
            [{"path": path, "reason": reason} for path, reason in sorted(unread.items())],
            warnings_in(done.stderr),
        )


def _finding(row: Mapping[str, JSON], target: Target) -> dict[str, JSON]:
    # Before 0.12, syntax errors had no code.
    rule = text(row["code"] or "invalid-syntax")
    start, end = row["location"], row.get("end_location") or {}
    extra: dict[str, JSON] = {"fix": row["fix"]["applicability"] if row.get("fix") else None}
    if row.get("cell") is not None:
        extra["cell"] = row["cell"]
    return {
        "pillar_name": "ruff",
        "rule_id": rule,
        "severity": severity(rule),
        "message": text(row["message"]),
        "path": target.relative(row["filename"]),
        "line": start["row"],
        "column": start["column"],
        "end_line": end.get("row"),
        "end_column": end.get("column"),
        "extra": extra,
    }
