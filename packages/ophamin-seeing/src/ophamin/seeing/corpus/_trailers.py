"""The trailers of a commit message (``Signed-off-by:`` and the like), by git's own rules.

Source: git's trailer.c, find_trailer_start(), and git-interpret-trailers(1); comment character ``#``, separator ``:``.
"""

from __future__ import annotations

import re

__all__ = ["trailers"]

_TRAILER = re.compile(r"([A-Za-z0-9-]+)[ \t]*:(.*)", re.DOTALL)
_GENERATED = ("Signed-off-by: ", "(cherry picked from commit ")


def trailers(message: str) -> list[tuple[str, str]]:
    """Key and unfolded value of every trailer, in order.

    The trailers are the last paragraph, which is not the title, when all its lines are trailers or their continuations,
    or when git wrote one of them and at least a quarter of the lines are trailers.

    Example:
        >>> trailers("net: fix it\\n\\nIt was broken.\\n\\nFixes: 1234 (net: it)\\nSigned-off-by: A <a@b.org>\\n")
        [('Fixes', '1234 (net: it)'), ('Signed-off-by', 'A <a@b.org>')]
    """
    lines = message.split("\n")
    block = _block(lines)
    found: list[tuple[str, str]] = []
    last = False
    for line in block:
        if line.startswith("#"):
            continue
        if line[:1].isspace() and line.strip():
            if last:
                key, value = found[-1]
                found[-1] = (key, f"{value} {line.strip()}")
            continue
        match = _TRAILER.fullmatch(line)
        last = match is not None
        if match:
            found.append((match[1], match[2].strip()))
    return found


def _block(lines: list[str]) -> list[str]:
    """The lines of the last paragraph if it holds the trailers."""
    title = next((i for i, line in enumerate(lines) if not line.startswith("#") and not line.strip()), len(lines))
    end = len(lines)
    while end > title and not lines[end - 1].strip():
        end -= 1
    known, others, continued, generated = 0, 0, 0, False
    for number in range(end - 1, title - 1, -1):
        line = lines[number]
        if line.startswith("#"):
            others, continued = others + continued, 0
        elif not line.strip():
            others += continued
            qualifies = (generated and known * 3 >= others) or (known and not others)
            return lines[number + 1 : end] if qualifies else []
        elif line.startswith(_GENERATED):
            known, continued, generated = known + 1, 0, True
        elif line[0].isspace():
            continued += 1
        elif _TRAILER.fullmatch(line):
            known, continued = known + 1, 0
        else:
            others, continued = others + 1 + continued, 0
    return []
