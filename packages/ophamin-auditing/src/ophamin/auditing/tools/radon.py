"""Radon: cyclomatic complexity.

T. J. McCabe, *A Complexity Measure*, IEEE Transactions on Software Engineering SE-2 (4), 1976; the ranks
A to F are radon's.
"""

from __future__ import annotations

import configparser
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomllib

from ophamin.auditing.target import UNREAD_FOLDERS, Target, text
from ophamin.auditing.tools._examine import Parsed, examine, failed, warnings_in
from ophamin.auditing.tools._run import NOWHERE, Completed, pattern

__all__ = ["SEVERITY", "Radon"]

JSON = Any

SEVERITY = {"C": "info", "D": "low", "E": "low", "F": "medium"}
"""Rank → severity: C is a complexity of 11 to 20, D to 30, E to 40, F above; A and B are no findings. Never more than
medium: complexity is a risk, not a defect."""
HELP = "https://radon.readthedocs.io/en/latest/intro.html#cyclomatic-complexity"


class Radon:
    """The auditor ``radon``: blocks of rank C and worse are findings, averages stand in ``extra.metrics``.

    Args:
        isolated: Ignore the project's settings (``radon.cfg``, ``[tool.radon]``, ``setup.cfg``).

    Example:
        >>> Radon().audit(Path(__file__), timeout_s=60.0)["pillar_name"]
        'radon'
    """

    name = "radon"
    parser = 1
    cost = 8.0

    def __init__(self, isolated: bool = False) -> None:
        self.isolated = isolated

    def audit(self, path: Path, *, timeout_s: float) -> Mapping[str, JSON]:
        """Run radon; one entry of the audit record's ``pillars``."""
        return examine(self, path, timeout_s)

    def _settings(self, target: Target) -> Path | None:
        if self.isolated:
            return None

        def holds(file: Path) -> bool:
            return target.toml_table(file, "radon") if file.name == "pyproject.toml" else _has_section(file)

        return target.nearest(holds, "radon.cfg", "pyproject.toml", "setup.cfg")

    def cwd(self, target: Target) -> Path:
        """Radon takes its settings from the working folder: without any, from one that has none."""
        file = self._settings(target)
        return file.parent if file else NOWHERE

    def environment(self, target: Target) -> Mapping[str, str]:
        """The user's own ``~/.radon.cfg`` is not read."""
        return {"HOME": str(NOWHERE), "USERPROFILE": str(NOWHERE)}

    def arguments(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        """Its command line, and which settings hold."""
        file = self._settings(target)
        # Whatever the settings choose to show, all blocks count, and they go nowhere but to us.
        words = ["cc", "--json", "--min", "A", "--max", "F", "--output-file", "/dev/stdout"]
        if file is None:
            words += ["--ignore", ",".join(sorted(d for d in UNREAD_FOLDERS if not d.startswith(".")))]
        # What the command line says stands in the settings' place; it is told nothing where there is nothing to tell.
        apart = [f"{pattern(folder)}/*" for folder in target.environments]
        apart += [pattern(link) for link in target.dangling()]
        if apart:
            words += ["--exclude", ",".join([*(_excluded(file) if file else []), *apart])]
        return [*words, "--", str(target.path)], {"settings": [target.relative(file)] if file else []}

    def also_reads(self, target: Target) -> Iterator[Path]:
        """It reads the beginning of every file: a script may have any name."""
        return target.others()

    def reads(self, target: Target) -> bool:
        """Only ``.py``, and what begins like a Python script."""
        return target.has(".py") or any(map(_is_script, target.others() if target.is_folder else [target.path]))

    def parse(self, done: Completed, target: Target) -> Parsed:
        """Its findings, and the metrics of the whole."""
        if done.exit_code != 0:
            raise failed("radon", done, "could not do its work")
        found: list[dict[str, JSON]] = []
        unread: list[dict[str, str]] = []
        ranks: Counter[str] = Counter()
        total = 0
        try:
            report = json.loads(done.stdout)
            for name, blocks in report.items():
                path = target.relative(name)
                if isinstance(blocks, dict):
                    unread.append({"path": path, "reason": text(blocks["error"])})
                    continue
                for block in blocks:
                    if block["type"] == "class":
                        continue  # the average of its methods, which are listed themselves
                    ranks[block["rank"]] += 1
                    total += block["complexity"]
                    if block["rank"] in SEVERITY:
                        found.append(_finding(block, path))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise failed("radon", done, f"printed no findings ({type(error).__name__})") from error
        n = sum(ranks.values())
        metrics = {
            "blocks": n,
            "mean_complexity": round(total / n, 4) if n else None,
            "ranks": dict(sorted(ranks.items())),
        }
        rules = {
            f["rule_id"]: {"name": f"cyclomatic complexity of rank {f['rule_id'][-1]}", "url": HELP} for f in found
        }
        return Parsed(found, rules, unread, warnings_in(done.stderr), {"metrics": metrics})


def _is_script(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            first = stream.readline(200)
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first


def _excluded(file: Path) -> list[str]:
    """What a project's settings leave out, as radon reads them; broken ones are for it to complain about."""
    try:
        if file.name == "pyproject.toml":
            return [str(tomllib.loads(file.read_text("utf-8"))["tool"]["radon"]["exclude"])]
        parser = configparser.ConfigParser()
        parser.read_string(file.read_text("utf-8"))
        return [parser["radon"]["exclude"]]
    except (OSError, ValueError, KeyError, TypeError, configparser.Error):
        return []


def _has_section(file: Path) -> bool:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text("utf-8", "replace"))
    except configparser.Error:
        return file.name == "radon.cfg"  # for radon to complain about
    return parser.has_section("radon")


def _finding(block: Mapping[str, JSON], path: str) -> dict[str, JSON]:
    rank = text(block["rank"])
    owner = f"{block['classname']}." if block.get("classname") else ""
    return {
        "pillar_name": "radon",
        "rule_id": f"CC-{rank}",
        "severity": SEVERITY[rank],
        "message": text(f"{block['type']} {owner}{block['name']} has a cyclomatic complexity of {block['complexity']}"),
        "path": path,
        "line": block["lineno"],
        "column": block["col_offset"] + 1,
        "end_line": block.get("endline"),
        "end_column": None,
        "extra": {"complexity": block["complexity"], "rank": rank},
    }
