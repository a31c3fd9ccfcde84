"""Interrogate: what has no docstring."""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ophamin.auditing.target import Target, text
from ophamin.auditing.tools._examine import Parsed, examine, failed, warnings_in
from ophamin.auditing.tools._run import Completed, library

__all__ = ["Interrogate"]

JSON = Any

KINDS = {"Module": "module", "ClassDef": "class", "FunctionDef": "function", "AsyncFunctionDef": "function"}
"""Node → the rule ``missing-<kind>-docstring``. All of them are info: a matter of taste, not of working."""
HELP = "https://interrogate.readthedocs.io/en/latest/"
_PROGRAM = "ophamin.auditing.tools._interrogate"


class Interrogate:
    """The auditor ``interrogate``; the share of documented code stands in ``extra.metrics``.

    Args:
        isolated: Ignore the project's settings (``[tool.interrogate]``, ``setup.cfg``).

    Example:
        >>> Interrogate().audit(Path(__file__), timeout_s=60.0)["pillar_name"]
        'interrogate'
    """

    name = "interrogate"
    requirement = "ophamin-auditing[extra]"
    parser = 1
    cost = 6.0

    def __init__(self, isolated: bool = False) -> None:
        self.isolated = isolated

    def audit(self, path: Path, *, timeout_s: float) -> Mapping[str, JSON]:
        """Run interrogate; one entry of the audit record's ``pillars``."""
        return examine(self, path, timeout_s)

    def program(self) -> list[str] | None:
        """Its library, in a process of its own; what its command prints is for people only."""
        return library(self.name, _PROGRAM)

    def arguments(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        """Its command line, and which settings hold."""

        def holds(file: Path) -> bool:
            return target.toml_table(file, "interrogate") if file.suffix == ".toml" else _has_section(file)

        file = None if self.isolated else target.nearest(holds, "pyproject.toml", "setup.cfg")
        words = ["--config", str(file)] if file else []
        return [*words, "--", str(target.path)], {"settings": [target.relative(file)] if file else []}

    def reads(self, target: Target) -> bool:
        """In a tree only ``.py``; a file that is named may be a ``.pyi``."""
        return target.has(".py") or (not target.is_folder and target.has(".pyi"))

    def parse(self, done: Completed, target: Target) -> Parsed:
        """Its findings, and the share of documented code."""
        if done.exit_code != 0:
            raise failed("interrogate", done, "could not do its work")
        found: list[dict[str, JSON]] = []
        unread: list[dict[str, str]] = []
        total = 0
        try:
            report = json.loads(done.stdout)
            for name, file in report["files"].items():
                path = target.relative(name)
                if "error" in file:
                    unread.append({"path": path, "reason": text(file["error"])})
                    continue
                total += file["total"]
                found += [_finding(node, path) for node in file["missing"]]
            wanted = report["fail_under"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise failed("interrogate", done, f"printed no findings ({type(error).__name__})") from error
        share = round(100 * (total - len(found)) / total, 4) if total else None
        metrics = {"total": total, "missing": len(found), "documented_percent": share, "fail_under": wanted}
        rules = {f["rule_id"]: {"name": f["rule_id"], "url": HELP} for f in found}
        return Parsed(found, rules, unread, warnings_in(done.stderr), {"metrics": metrics})


def _has_section(file: Path) -> bool:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text("utf-8", "replace"))
    except configparser.Error:
        return False
    return parser.has_section("tool:interrogate")


def _finding(node: Mapping[str, JSON], path: str) -> dict[str, JSON]:
    kind = KINDS[node["type"]]
    name = "" if kind == "module" else f" {node['name']}"
    return {
        "pillar_name": "interrogate",
        "rule_id": f"missing-{kind}-docstring",
        "severity": "info",
        "message": text(f"{kind}{name} has no docstring"),
        "path": path,
        "line": node["line"],
        "column": 0,  # it names none
        "end_line": None,
        "end_column": None,
        "extra": {},
    }
