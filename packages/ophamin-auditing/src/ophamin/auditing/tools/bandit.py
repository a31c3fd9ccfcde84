"""Bandit: security."""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ophamin.auditing.target import UNREAD_FOLDERS, Target, text
from ophamin.auditing.tools._examine import Parsed, examine, failed, warnings_in
from ophamin.auditing.tools._run import Completed, pattern

__all__ = ["SEVERITY", "Bandit"]

JSON = Any

SEVERITY = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low", "UNDEFINED": "info"}
"""Bandit's severity → ours."""
SKIPPED = (*sorted(UNREAD_FOLDERS), ".tox", ".eggs", "CVS")
"""Folders that are not the project's own. Bandit's default leaves them out by substring, so that a file called
``CVS_reader.py`` is silently skipped; here they are whole path components."""


class Bandit:
    """The auditor ``bandit``.

    Args:
        isolated: Ignore the project's settings (``[tool.bandit]``, ``.bandit``).

    Example:
        >>> entry = Bandit().audit(Path(__file__), timeout_s=60.0)
        >>> entry["pillar_name"], entry["status"]
        ('bandit', 'ok')
    """

    name = "bandit"
    parser = 1
    cost = 15.0

    def __init__(self, isolated: bool = False) -> None:
        self.isolated = isolated

    def audit(self, path: Path, *, timeout_s: float) -> Mapping[str, JSON]:
        """Run bandit; one entry of the audit record's ``pillars``."""
        return examine(self, path, timeout_s)

    def arguments(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        """Its command line, and which settings hold."""
        # A relative target: what folders above the repository are called must not exclude anything.
        name = "." if target.name == "." else f"./{os.path.relpath(target.path, target.root)}"
        excluded = [f"*/{folder}/*" for folder in SKIPPED if folder not in Path(name).parts]
        for end, apart in (("/*", target.environments), ("", target.dangling())):
            excluded += [f"./{pattern(os.path.relpath(path, target.root))}{end}" for path in apart]
        words = ["-f", "json", "-q", "-r"]
        used: list[Path] = []
        inis = [] if self.isolated else target.settings(".bandit")
        chosen = [f for f in inis if target.above(f)][-1:] or inis
        options: dict[str, str] = {}
        if len(chosen) == 1:
            options = _ini(chosen[0])
            words += ["--ini", str(chosen[0])]
            used += chosen
            excluded = [*filter(None, options.get("exclude", "").split(",")), *excluded]
            if "output" in options:
                words += ["-o", "/dev/stdout"]  # the project's own report file stays as it is
        elif not chosen:
            words += ["--ini", os.devnull]  # else it would look for one in folders that are not the project's
        tables = [] if self.isolated else target.settings("pyproject.toml")
        tables = [f for f in tables if target.above(f) and target.toml_table(f, "bandit")]
        if tables and "configfile" not in options:
            words += ["-c", str(tables[-1])]
            used.append(tables[-1])
        return [*words, "-x", ",".join(excluded), name], {"settings": [target.relative(f) for f in used]}

    def reads(self, target: Target) -> bool:
        """In a tree only ``.py``; a file that is named, whatever it is called."""
        return not target.is_folder or target.has(".py")

    def parse(self, done: Completed, target: Target) -> Parsed:
        """Its findings; files it could not parse leave the audit incomplete."""
        if done.exit_code not in (0, 1):  # 1: there are findings
            raise failed("bandit", done, "could not do its work")
        try:
            report = json.loads(done.stdout)
            rows, errors, metrics = report["results"], report["errors"], report["metrics"]
            found = [_finding(row, target) for row in rows]
            unread = [{"path": target.relative(e["filename"]), "reason": str(e["reason"])} for e in errors]
            files = sum(1 for name in metrics if name != "_totals")
            suppressed = metrics["_totals"]["nosec"] + metrics["_totals"]["skipped_tests"]
        except (ValueError, KeyError, TypeError) as error:
            raise failed("bandit", done, f"printed no findings ({type(error).__name__})") from error
        rules = {
            text(row["test_id"]): {
                "name": text(row["test_name"]),
                "url": text(row.get("more_info") or ""),
                "cwe": (row.get("issue_cwe") or {}).get("id"),
            }
            for row in rows
        }
        said = [w for w in warnings_in(done.stderr) if os.devnull not in w]
        return Parsed(found, rules, unread, said, {"files": files, "suppressed": suppressed})


def _ini(file: Path) -> dict[str, str]:
    """The options of a ``.bandit`` file; one that is no such file is for bandit to complain about."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text("utf-8", "replace"))
        return dict(parser["bandit"])
    except (configparser.Error, KeyError):
        return {}


def _finding(row: Mapping[str, JSON], target: Target) -> dict[str, JSON]:
    path, line = target.relative(row["filename"]), row["line_number"]
    finding = {
        "pillar_name": "bandit",
        "rule_id": text(row["test_id"]),
        "severity": SEVERITY.get(row["issue_severity"], "info"),
        "message": text(row["issue_text"]),
        "path": path,
        "line": line,
        "column": _column(row.get("col_offset"), target, path, line),
        "end_line": None,
        "end_column": None,
        "extra": {"confidence": row["issue_confidence"]},
    }
    # The end offset belongs to the last line of the statement, which bandit names only when it is the first.
    if row.get("line_range") == [line] and finding["column"]:
        finding["end_line"] = line
        finding["end_column"] = _column(row.get("end_col_offset"), target, path, line) or None
    return finding


def _column(offset: JSON, target: Target, path: str, line: int) -> int:
    """A column in characters, from 1, of an offset in UTF-8 bytes, from 0; 0 when it is not known."""
    if not isinstance(offset, int) or offset < 0:
        return 0
    lines = target.lines(path)
    if not 1 <= line <= len(lines):
        return offset + 1
    return len(lines[line - 1][:offset].decode("utf-8", "replace")) + 1
