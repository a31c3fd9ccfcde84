"""A capture as files: a picture for people, and the two formats other tools read."""

from __future__ import annotations

import json
from pathlib import Path

from ophamin.instrumenting.flame._stacks import Stacks
from ophamin.proof.atomic import write_atomic

__all__ = ["write_graph"]


def write_graph(stacks: Stacks, folder: Path, name: str, *, title: str = "") -> list[Path]:
    """Write ``NAME.svg``, ``NAME.collapsed.txt`` and ``NAME.speedscope.json`` into a folder that is there.

    A capture of nothing is written too: its picture says so.

    Args:
        stacks: The capture.
        folder: Where to.
        name: Beginning of the file names.
        title: Headline of the picture; default the capture's name.

    Returns:
        The three paths, the picture first.
    """
    contents = {
        f"{name}.svg": stacks.svg(title=title),
        f"{name}.collapsed.txt": stacks.collapsed().encode(),
        f"{name}.speedscope.json": json.dumps(stacks.speedscope(), ensure_ascii=False, separators=(",", ":")).encode(),
    }
    for file, data in contents.items():
        write_atomic(folder / file, data)
    return [folder / file for file in contents]
