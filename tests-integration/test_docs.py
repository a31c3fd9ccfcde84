"""Every example in the documentation and the READMEs runs, page by page, as a reader would type it.

A page is one project. In order: a block ```` ```python title="name.py" ```` (or another language with a
title) writes that file; a plain ```` ```python ```` block is a program; of a ```` ```console ```` block every line
that begins with ``$`` is a command. A command exits 0 unless its line ends with ``# exits N``.
Blocks of any other language are for reading.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    p
    for p in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "packages").glob("*/README.md"))
    if p.exists() and "```" in p.read_text(encoding="utf-8")
)
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXITS = re.compile(r"\s+# exits (\d+)$")


def _commands(block: str) -> list[tuple[str, int]]:
    lines = block.replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        if line.startswith("$ "):
            match = EXITS.search(line)
            found.append((EXITS.sub("", line[2:]), int(match[1]) if match else 0))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page(page: Path, project: Path) -> None:
    """Run the page from top to bottom."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "OPHAMIN_EXAMPLES": str(ROOT / "tests-integration")}
    for language, title, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            target = project / title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block, encoding="utf-8")
        elif language == "python":
            done = subprocess.run(
                [sys.executable, "-c", block], cwd=project, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{block}\n{done.stderr}"
        elif language == "console":
            for command, code in _commands(block):
                done = subprocess.run(
                    ["bash", "-c", command], cwd=project, env=env, capture_output=True, text=True, check=False
                )
                assert done.returncode == code, f"$ {command}\n{done.stdout}\n{done.stderr}"


def test_every_column_of_a_pillar_is_documented_and_is_no_observable() -> None:
    """The two lists of docs/reference/columns-and-observables.md, held against the plug-ins."""
    from ophamin import registry

    page = (ROOT / "docs/reference/columns-and-observables.md").read_text(encoding="utf-8")
    observables, columns = page.split("| column | meaning |")
    named = {part: set(re.findall(r"`([a-z][a-z0-9_]*)`", text)) for part, text in (("o", observables), ("c", columns))}
    asked = {re.sub(r"_\d+$", "_2", c) for n in registry.pillars.names() for c in registry.pillars.get(n).columns}
    roles = {r for n in registry.scenarios.names() for r in registry.scenarios.get(n).observables}
    assert asked <= named["c"], sorted(asked - named["c"])
    assert roles <= named["o"], sorted(roles - named["o"])
    listed = set(re.findall(r"^\| `([a-z0-9_]+)`", observables, re.MULTILINE))
    assert not listed & asked
