"""Vulture: code that nothing uses."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomllib

from ophamin.auditing.target import UNREAD_FOLDERS, Target, text
from ophamin.auditing.tools._examine import Parsed, examine, failed, warnings_in
from ophamin.auditing.tools._run import Completed, pattern

__all__ = ["Vulture", "severity"]

JSON = Any

DEFAULT_CONFIDENCE = 80
"""Asked for where a project has no vulture settings: below that are the public functions of every library."""
HELP = "https://github.com/jendrikseipp/vulture#how-does-it-work"
_CLEAN, _INVALID, _DEAD = 0, 1, 3
# A name may hold anything, line ends too; what follows it may not.
_ITEM = re.compile(
    r"(?P<path>(?s:.+?)):(?P<line>\d+): (?P<what>(?:unused|unreachable|unsatisfiable|redundant)[^\n]*?)"
    r" \((?P<confidence>\d+)% confidence(?:, (?P<size>\d+) lines?)?\)\n"
)
_UNREAD = re.compile(r"(?P<path>(?s:.+?)):(?:\d+|None): (?P<why>[^\n]*)\n")
_UNDECODED = re.compile(r"Error: Could not read file (?P<path>(?s:.+?)) - (?P<why>[^\n]*\n[^\n]*)\n")


def severity(confidence: int) -> str:
    """Certainly dead is medium, nearly certain low, a guess info.

    Example:
        >>> severity(100), severity(90), severity(60)
        ('medium', 'low', 'info')
    """
    return "medium" if confidence >= 100 else "low" if confidence >= 80 else "info"


class Vulture:
    """The auditor ``vulture``.

    Args:
        isolated: Ignore the project's settings (``[tool.vulture]``).

    Example:
        >>> Vulture().audit(Path(__file__), timeout_s=60.0)["pillar_name"]
        'vulture'
    """

    name = "vulture"
    requirement = "ophamin-auditing[extra]"
    parser = 1
    cost = 12.0

    def __init__(self, isolated: bool = False) -> None:
        self.isolated = isolated

    def audit(self, path: Path, *, timeout_s: float) -> Mapping[str, JSON]:
        """Run vulture; one entry of the audit record's ``pillars``."""
        return examine(self, path, timeout_s)

    def arguments(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        """Its command line, and which settings hold."""
        file = None
        if not self.isolated:
            file = target.nearest(lambda f: target.toml_table(f, "vulture"), "pyproject.toml")
        # A file without settings: else it would take those of the working folder.
        words = ["--sort-by-size", "--config", str(file or os.devnull)]
        if file is None:
            words += ["--min-confidence", str(DEFAULT_CONFIDENCE)]
        # It leaves out nothing by itself, and what the command line says stands in the settings' place. Below the
        # target only.
        place = pattern(target.path)
        patterns = [f"{place}/{middle}{d}/*" for d in sorted(UNREAD_FOLDERS) for middle in ("", "*/")]
        patterns += [f"{pattern(folder)}/*" for folder in target.environments]
        patterns += [pattern(link) for link in target.dangling()]
        words += ["--exclude", ",".join([*(_excluded(file) if file else []), *patterns])]
        return [*words, "--", str(target.path)], {"settings": [target.relative(file)] if file else []}

    def reads(self, target: Target) -> bool:
        """In a tree only ``.py``; a file that is named, whatever it is called."""
        return not target.is_folder or target.has(".py")

    def parse(self, done: Completed, target: Target) -> Parsed:
        """Its findings; exit 3 says that there are some, 1 that a file could not be read."""
        if done.exit_code not in (_CLEAN, _INVALID, _DEAD):
            raise failed("vulture", done, "could not do its work")
        out, err = (data.decode("utf-8", "surrogateescape") for data in (done.stdout, done.stderr))
        items = list(_ITEM.finditer(out))
        if sum(len(m.group()) for m in items) != len(out) or (done.exit_code == _DEAD and not items):
            raise failed("vulture", done, "printed something else than findings")
        unread = _unread(err, target)
        if done.exit_code == _INVALID and not unread:
            raise failed("vulture", done, "could not do its work")
        found = [_finding(m, target) for m in items]
        rules = {f["rule_id"]: {"name": f["rule_id"], "url": HELP} for f in found}
        return Parsed(found, rules, unread, warnings_in(done.stderr) if not unread else [])


def _excluded(file: Path) -> list[str]:
    """What a project's settings leave out; settings that are of another form are for vulture to complain about."""
    try:
        stated = tomllib.loads(file.read_text("utf-8"))["tool"]["vulture"].get("exclude", [])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [p.replace(",", "?") for p in stated if isinstance(p, str)] if isinstance(stated, list) else []


def _unread(err: str, target: Target) -> list[dict[str, str]]:
    unread = [
        {"path": target.relative(m["path"]), "reason": text(" ".join(m["why"].split()))}
        for m in _UNDECODED.finditer(err)
    ]
    rest = _UNDECODED.sub("", err)
    for m in _UNREAD.finditer(rest):
        unread.append({"path": target.relative(m["path"]), "reason": text(m["why"])})
    return unread


def _finding(item: re.Match[str], target: Target) -> dict[str, JSON]:
    line, confidence = int(item["line"]), int(item["confidence"])
    what = item["what"]
    words = what.split(" '")[0].split()
    rule = "-".join(words[:2]) if words[0] in ("unused", "unreachable") else words[0]
    return {
        "pillar_name": "vulture",
        "rule_id": text(rule),
        "severity": severity(confidence),
        "message": text(what),
        "path": target.relative(item["path"]),
        "line": line,
        "column": 0,  # it names none
        "end_line": line + int(item["size"]) - 1 if item["size"] else None,
        "end_column": None,
        "extra": {"confidence": confidence},
    }
