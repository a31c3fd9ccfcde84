"""How a Python function is called in a flame graph: the same name on every machine."""

from __future__ import annotations

import os
import re
import sys

__all__ = ["label", "short_path"]

_SITE = re.compile(r".*?(?:site|dist)-packages/")
_LIB = re.compile(r".*/lib(?:64)?/python3\.\d+t?/|.*[\\/]Lib/", re.IGNORECASE)


def short_path(path: str) -> str:
    """A file's path from its import root on: no folder of this machine stands in a picture that is shared.

    Example:
        >>> short_path("/usr/lib/python3.12/json/decoder.py"), short_path("<string>")
        ('json/decoder.py', '<string>')
    """
    if path.startswith("<"):
        return path
    path = path.replace("\\", "/")
    for pattern in (_SITE, _LIB):
        match = pattern.match(path)
        if match:
            return path[match.end() :]
    roots = (root.replace("\\", "/").rstrip("/") + "/" for root in (*sys.path, os.getcwd()) if root)
    inside = [root for root in roots if path.startswith(root)]
    if inside:
        return path[len(max(inside, key=len)) :]
    return path.rpartition("/")[2]


def label(name: str, path: str, line: int) -> str:
    """A frame's name, e.g. ``Parser.parse (pkg/parser.py:41)``; the line is the function's first.

    Example:
        >>> label("f", "<string>", 1)
        'f (<string>:1)'
    """
    return f"{name} ({short_path(path)}:{line})"
