"""Which code something came from: a digest over the sources of a package."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from ophamin.proof.canonical import digest

__all__ = ["source_hash"]


def source_hash(module: str) -> str:
    """Digest over the sources of the outermost real package of a loaded module.

    Args:
        module: Its dotted name, e.g. a class's ``__module__``.

    Returns:
        ``sha256:…``; "" when there is no file (a notebook).

    Example:
        >>> source_hash("ophamin.proof.sources")[:7]
        'sha256:'
    """
    names = module.split(".")
    for depth in range(1, len(names) + 1):
        found = sys.modules.get(".".join(names[:depth]))
        file = getattr(found, "__file__", None)
        if file is None:
            continue  # a namespace, which belongs to many distributions
        path = Path(file)
        sources = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
        hashed = {
            str(s.relative_to(path.parent).as_posix()): hashlib.sha256(s.read_bytes()).hexdigest() for s in sources
        }
        return digest(hashed)
    return ""
