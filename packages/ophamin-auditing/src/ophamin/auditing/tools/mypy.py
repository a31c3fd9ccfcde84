"""Mypy: types."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ophamin.auditing.target import INSTALLED, UNREAD_FOLDERS, Target, is_environment, text
from ophamin.auditing.tools._examine import Blocker, Parsed, examine, failed, first_line, warnings_in
from ophamin.auditing.tools._run import NOWHERE, Completed

__all__ = ["SEVERITY", "Mypy", "severity"]

JSON = Any

SEVERITY = {
    # It cannot work when it is reached.
    "syntax": "high", "name-defined": "high", "used-before-def": "high", "call-arg": "high",
    # Something is not annotated, or an annotation says too little.
    "no-untyped-def": "low", "no-untyped-call": "low", "type-arg": "low", "no-any-return": "low",
    "var-annotated": "low", "misc": "low", "unused-ignore": "low", "redundant-cast": "low",
    "no-any-unimported": "low", "no-any-expr": "low",
    # About this environment rather than about the code.
    "import-not-found": "info", "import-untyped": "info", "import": "info", "annotation-unchecked": "info",
}  # fmt: skip
"""Error code → severity; all else is medium. Notes are info."""
DEFAULTS = ("--ignore-missing-imports", "--follow-imports=silent")
"""What is asked for where a project has no mypy settings: only what its own code says."""
# A complaint about one setting goes on with its section.
_REFUSED = re.compile(rb"^([^\n]*(?:mypy\.ini|pyproject\.toml|setup\.cfg): (?!\[)[^\n]*)", re.MULTILINE)
_TWICE = re.compile("Duplicate module named|Source file found twice")
# Some of this it does not say as JSON, and before mypy 2 none of it.
_PLAIN = re.compile(
    r"^([^\n{][^\n]*?)(?::\d+)*: error: "
    r"((?:Cannot decode|Duplicate module|Source file found twice)[^\n]*|[^\n]*\[syntax\])$"
    r"|^mypy: can't decode file '([^\n]*)': ([^\n]*)$",
    re.MULTILINE,
)
# Nothing is written into the target, and no earlier run is believed.
_FORGETFUL = ("--no-incremental", f"--cache-dir={os.devnull}")
CODES = "https://mypy.readthedocs.io/en/stable/_refs.html#code-"


def severity(code: str) -> str:
    """The normalised severity of a mypy error code; mypy itself has none.

    Example:
        >>> severity("name-defined"), severity("arg-type"), severity("type-arg")
        ('high', 'medium', 'low')
    """
    return SEVERITY.get(code, "medium")


class Mypy:
    """The auditor ``mypy``.

    Args:
        isolated: Ignore the project's settings and use ``DEFAULTS``.

    Example:
        >>> Mypy().audit(Path(__file__), timeout_s=120.0)["pillar_name"]
        'mypy'
    """

    name = "mypy"
    requirement = "ophamin-auditing[extra]"
    parser = 1
    cost = 30.0

    def __init__(self, isolated: bool = False) -> None:
        self.isolated = isolated

    def audit(self, path: Path, *, timeout_s: float) -> Mapping[str, JSON]:
        """Run mypy; one entry of the audit record's ``pillars``."""
        return examine(self, path, timeout_s)

    def _settings(self, target: Target) -> Path | None:
        """Mypy looks in its working folder only, so the folder of the settings becomes that."""
        if self.isolated:
            return None

        def holds(file: Path) -> bool:
            if file.name == "pyproject.toml":
                return target.toml_table(file, "mypy")
            return file.name != "setup.cfg" or _has_section(file)

        return target.nearest(holds, "mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg")

    def cwd(self, target: Target) -> Path:
        """The folder its settings are relative to; it looks there for modules too."""
        file = self._settings(target)
        if file is None and target.root.name in INSTALLED:
            return NOWHERE
        return file.parent if file else target.root

    def arguments(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        """Its command line, and which settings hold."""
        words, noted = self._words(target)
        return [*words, *_what(target)], noted

    def remembering(self, words: Sequence[str], scratch: Path) -> list[str]:
        """The same command line, of a run that leaves in ``scratch`` what it learnt of what is imported.

        Only for what follows in the same audit: three quarters of a run for one file go into what it imports.
        """
        kept = [word for word in words if word not in _FORGETFUL]
        return ["--incremental", "--no-sqlite-cache", f"--cache-dir={scratch}", *kept]

    def apart(self, target: Target, files: Sequence[Path], scratch: Path) -> Iterator[tuple[list[str], list[Path]]]:
        """Runs for files whose module's name others have: in each run every name once.

        Args:
            target: Whose they are.
            files: All of them.
            scratch: A folder where one run leaves to the next what it learnt of what they import.
        """
        rounds: list[dict[str, Path]] = []
        for file in files:
            module = file.parent.name if file.stem == "__init__" else file.stem
            fitting = next((r for r in rounds if module not in r), None)
            if fitting is None:
                rounds.append(fitting := {})
            fitting[module] = file
        words, _ = self._words(target)
        for chosen in rounds:
            paths = list(chosen.values())
            # It would take this file for another of the name if they are alike, and tell the errors of that one.
            for known in [known for known in scratch.rglob("*") if known.name.partition(".")[0] in chosen]:
                shutil.rmtree(known) if known.is_dir() else known.unlink(missing_ok=True)
            yield self.remembering([*words, "--", *map(str, paths)], scratch), paths

    def _words(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        words = ["--output", "json", "--show-absolute-path", "--show-error-codes", "--no-error-summary", "--no-pretty"]
        words += _FORGETFUL
        file = self._settings(target)
        if file is None:
            # An empty name: not even the user's own settings are read.
            words += ["--config-file=", *DEFAULTS]
        else:
            words += [f"--config-file={file}"]
        # It goes into links, round and round, and stops at those that lead nowhere.
        for end, apart in (
            ("/", [*target.environments, *target.links]),
            ("$", [*target.dangling(), *_unnamed(target)]),
        ):
            for path in apart:
                words += ["--exclude", f"^{re.escape(os.path.relpath(path, self.cwd(target)))}{end}"]
        return words, {"settings": [target.relative(file)] if file else []}

    def also_reads(self, target: Target) -> Iterator[Path]:
        """Whatever the target may import: the rest of its repository, and folders installed as editable."""
        # What is installed is known by its version.
        own = [] if target.root.name in INSTALLED else [target.root]
        for folder in (*own, *_editable()):
            for place, below, names in os.walk(folder):
                below[:] = [d for d in below if d not in UNREAD_FOLDERS and not is_environment(os.path.join(place, d))]
                yield from (Path(place, name) for name in names if name.endswith((".py", ".pyi")))

    def reads(self, target: Target) -> bool:
        """In a tree only ``.py`` and ``.pyi``; a file that is named, whatever it is called."""
        return not target.is_folder or target.has(".py", ".pyi")

    def blockers(self, done: Completed, target: Target) -> list[Blocker]:
        """Files it cannot parse, or whose module's name another file has: there it stops, whatever else there is."""
        if done.exit_code != 2 or not target.is_folder:
            return []
        found: dict[str, str] = {}
        for row in _rows(done.stdout):
            if row.get("code") == "syntax" or (row.get("line", 0) < 1 and _TWICE.match(str(row.get("message")))):
                found.setdefault(str(row["file"]), str(row["message"]))
        for match in _PLAIN.finditer((done.stdout + b"\n" + done.stderr).decode("utf-8", "surrogateescape")):
            found.setdefault(match[1] or match[3], match[2] or match[4])
        placed = {os.path.normpath(self.cwd(target) / name): why for name, why in found.items()}
        inside = {name: why for name, why in placed.items() if Path(name).is_relative_to(target.path)}
        return [
            # It compares with the path as seen from its working folder.
            Blocker(
                target.relative(n),
                text(why),
                ["--exclude", f"^{re.escape(os.path.relpath(n, self.cwd(target)))}$"],
                Path(n) if _TWICE.match(why) else None,
            )
            for n, why in inside.items()
        ]

    def parse(self, done: Completed, target: Target) -> Parsed:
        """Its findings; when it stopped at a file that others import, nothing is known."""
        if not done.stdout.strip() and not _lines_of(done.stderr) and target.is_folder and not target.sources():
            return Parsed([])
        if done.exit_code not in (0, 1):
            if b"There are no .py[i] files in directory" in done.stderr + done.stdout:
                return Parsed([])
            raise failed("mypy", done, f"stopped before it had checked everything{_first(done.stdout)}")
        if refused := _REFUSED.search(done.stderr):
            # It goes on without them, as if the project had none.
            raise failed("mypy", done, f"could not read its settings: {refused[1].decode('utf-8', 'replace')}")
        found: list[dict[str, JSON]] = []
        try:
            for line in done.stdout.splitlines():
                row = json.loads(line)
                found.append(_finding(row, target))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise failed("mypy", done, f"printed something else than findings ({type(error).__name__})") from error
        if done.exit_code == 1 and not found:
            raise failed("mypy", done, "printed no findings")
        rules = {f["rule_id"]: {"name": f["rule_id"], "url": _url(f["rule_id"])} for f in found}
        unread = [{"path": target.relative(f), "reason": "mypy reads names in UTF-8 only"} for f in _unnamed(target)]
        return Parsed(found, rules, unread, [*warnings_in(done.stderr), *_settings_said(done.stderr)])


def _unnamed(target: Target) -> list[Path]:
    """Sources of a tree whose names are no UTF-8: at those it breaks down."""
    if not target.is_folder:
        return []
    return [f for f in target.files if f.suffix in (".py", ".pyi") and text(f) != str(f)]


def _what(target: Target) -> list[str]:
    """A path; of an installed package its name, since as a path all that is installed beside it would be its own."""
    if target.root.name in INSTALLED and str(target.root) in map(os.path.realpath, sys.path):
        parts = list(Path(target.name).parts)
        if target.is_folder and (target.path / "__init__.py").is_file() and all(p.isidentifier() for p in parts):
            return ["--package", ".".join(parts)]
    return ["--", str(target.path)]


def _url(code: str) -> str:
    return CODES + code if code not in ("note", "error") else ""


def _settings_said(stderr: bytes) -> list[str]:
    """What it has to say about single settings."""
    return [line for line in _lines_of(stderr) if ": [mypy" in line]


def _lines_of(data: bytes) -> list[str]:
    return [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]


def _rows(stdout: bytes) -> Iterator[dict[str, JSON]]:
    """What of its output is in the form it should have."""
    for line in stdout.splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and {"file", "line", "message"} <= row.keys():
                yield row


def _first(stdout: bytes) -> str:
    """What stopped it, in its own words."""
    for row in _rows(stdout):
        return f" at {text(row['file'])}:{row['line']}: {text(row['message'])}"
    plain = first_line(stdout)
    return f": {plain}" if plain else ""


def _finding(row: Mapping[str, JSON], target: Target) -> dict[str, JSON]:
    note = row["severity"] == "note"
    code = text(row.get("code") or ("note" if note else "error"))
    hint = text(row.get("hint") or "")
    line, column = max(0, row["line"]), row["column"]
    end_line, end_column = row.get("end_line"), row.get("end_column")
    if not (isinstance(end_line, int) and end_line >= 1 and isinstance(end_column, int) and end_column >= 0):
        end_line = end_column = None
    return {
        "pillar_name": "mypy",
        "rule_id": code,
        "severity": "info" if note else severity(code),
        "message": text(row["message"]),
        "path": target.relative(row["file"]),
        "line": line,
        "column": column + 1 if column >= 0 else 0,  # it counts from 0, and -1 is not known
        "end_line": end_line,
        "end_column": end_column + 1 if end_column is not None else None,
        "extra": {"hint": hint} if hint else {},
    }


def _has_section(file: Path) -> bool:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text("utf-8", "replace"))
    except configparser.Error:
        return False
    return parser.has_section("mypy")


def _editable() -> Iterator[Path]:
    """Folders that ``.pth`` files of this environment put on the path."""
    for entry in sys.path:
        if not entry.endswith("site-packages"):
            continue
        for file in sorted(Path(entry).glob("*.pth")):
            for line in file.read_text("utf-8", "replace").splitlines():
                if line.startswith(("/", "\\")) and Path(line.strip()).is_dir():
                    yield Path(line.strip())
