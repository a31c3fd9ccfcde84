"""The program behind the auditor ``interrogate``: the library, file by file, as JSON.

The command of that name prints tables, and ends at the first file that is no Python; here such a file is named, and the
rest is examined. Run as ``python -m ophamin.auditing.tools._interrogate [--config FILE] -- PATH``.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import sys
from typing import Any

from interrogate import config as settings
from interrogate.coverage import InterrogateCoverage

from ophamin.auditing.target import UNREAD_FOLDERS, Target

__all__ = ["main"]

DEFAULTS = {"ignore_init_method": True, "ignore_magic": True, "ignore_private": True, "ignore_semiprivate": True,
            "ignore_nested_functions": True}  # fmt: skip
"""Where a project has no interrogate settings: what is public is documented."""


def main(argv: list[str]) -> int:
    """Examine one path; 0 when the work was done, 2 when the settings cannot be used."""
    path = argv[-1]
    try:
        chosen, excluded = _config(argv[1]) if argv[0] == "--config" else (dict(DEFAULTS), [])
        coverage = InterrogateCoverage([path], conf=settings.InterrogateConfig(**chosen), excluded=tuple(excluded))
    except Exception as error:  # noqa: BLE001 - whatever its readers raise, the settings cannot be used
        print(f"{argv[1]}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    files: dict[str, Any] = {}
    names: list[str] = []
    with contextlib.suppress(SystemExit):  # it found no file
        names = coverage.get_filenames_from_paths()
    environments = tuple(f"{folder}{os.sep}" for folder in Target.at(path).environments)
    for name in names:
        if not os.path.isfile(name) or name.startswith(environments):
            continue
        if not UNREAD_FOLDERS.isdisjoint(os.path.relpath(name, path).split(os.sep)):
            continue
        try:
            # The one step of its own loop that can fail; there is no public name for it.
            result = coverage._get_file_coverage(name)
        except (SyntaxError, ValueError, RecursionError, OSError) as error:
            files[name] = {"error": f"{type(error).__name__}: {error}"}
            continue
        if result is not None:
            files[name] = {"total": result.total, "missing": list(_missing(result))}
    print(json.dumps({"files": files, "fail_under": float(coverage.config.fail_under)}))
    return 0


def _config(file: str) -> tuple[dict[str, Any], list[str]]:
    """The project's settings as the library's class takes them, and what they exclude."""
    read = settings.parse_pyproject_toml if file.endswith(".toml") else settings.parse_setup_cfg
    given = dict(read(file) or {})
    # As its command takes them: they are relative to the folder of the settings, and a pattern is a beginning.
    folder = glob.escape(os.path.dirname(os.path.realpath(file)))
    excluded = [os.path.normpath(os.path.join(folder, name)) for name in given.pop("exclude", [])]
    for name in ("ignore_regex", "include_regex", "whitelist_regex"):
        if name in given:
            patterns = [given[name]] if isinstance(given[name], str) else given[name]
            given[name] = [re.compile(p) for p in patterns]
    if "whitelist_regex" in given:
        given["include_regex"] = given.pop("whitelist_regex")
        given["ignore_module"] = True  # so does its command: the expressions are on names of classes and functions
    if "style" in given:
        given["docstring_style"] = given.pop("style")
    known = set(settings.InterrogateConfig.__init__.__annotations__) | {
        a.name for a in settings.InterrogateConfig.__attrs_attrs__
    }
    if "fail_under" in given:
        given["fail_under"] = float(given["fail_under"])
    # What else it takes is about its tables: colour, badge, quiet, output.
    return {k: v for k, v in given.items() if k in known and k != "color"}, excluded


def _missing(result: Any) -> Any:
    for node in result.nodes:
        if node.covered or (node.node_type == "Module" and result.ignore_module):
            continue
        yield {"type": node.node_type, "name": str(node.path).rpartition(":")[2], "line": node.lineno or 1}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
