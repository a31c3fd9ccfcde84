"""A flame graph as one SVG file: no network, no fonts of its own, the same bytes for the same capture.

Roots stand at the top, what they called beneath. Without scripts (a mail, an ``<img>``, a strict content
policy) the picture is complete, and every frame tells its name and weight as a tooltip; where scripts run, a
click zooms and a search marks.
"""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Callable, Sequence
from html import escape

from ophamin.instrumenting.flame._script import SCRIPT
from ophamin.instrumenting.flame._stacks import Stacks, clean_text, frame_key
from ophamin.instrumenting.flame._tree import Frame, tree_of
from ophamin.instrumenting.flame._words import amount, heaviest, percent
from ophamin.proof.errors import UsageError

__all__ = ["draw", "render"]

ROW, MARGIN, LINE = 18, 10, 18
NARROWEST = 0.4
"""Frames narrower than this, in pixels, are counted, not drawn."""
LETTER = 6.7
"""Width of a letter of the 11-pixel monospace font, rounded up, so that no text leaves its frame."""
NAMED = 10
STYLE = (
    "text{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1a1a1a;white-space:pre}"
    ".h{font-size:15px;font-weight:bold}.s{fill:#444}.n{fill:#8a2a00}.b{fill:#0645ad;cursor:pointer}"
    ".f rect{stroke:#fff;stroke-width:.5}.f:hover rect{stroke:#000}.hit rect{fill:#c77dff!important}"
    ".out{opacity:.45}"
)
Color = Callable[[Frame], str]
Words = Callable[[Frame], str]


def render(stacks: Stacks, *, title: str = "", width: int = 1200) -> bytes:
    """Draw one capture.

    Args:
        stacks: What was captured; nothing at all gives a picture that says so.
        title: Headline; default the name of the capture.
        width: Pixels, at least 400.

    Raises:
        UsageError: The width is under 400.
    """
    root = tree_of(stacks.weights)
    total, unit = root.total, stacks.unit
    hue = (75, 70) if unit == "bytes" else (8, 45)

    def words(frame: Frame) -> str:
        return f"{amount(frame.total, unit)}, {percent(frame.total / total)}"

    what = {"bytes": "memory", "microseconds": "CPU time", "samples": "samples"}[unit]
    facts = [f"{amount(total, unit)}{'' if unit == 'samples' else ' of ' + what}"]
    facts += [f"{name}: {value}" for name, value in stacks.details.items()]
    top = [f"{label}: {amount(weight, unit)}, {percent(weight / total)}" for label, weight in heaviest(root, NAMED)]
    notes = [stacks.note] if stacks.note else []
    if not total:
        notes.insert(0, f"Nothing was captured: there are no {'allocations' if unit == 'bytes' else 'samples'}.")
    return draw(
        root,
        title=title or stacks.name or "flame graph",
        facts=facts,
        notes=notes,
        alternative="Used most themselves: " + "; ".join(top) + "." if top else "",
        color=lambda frame: _color(frame.label, *hue),
        words=words,
        width=width,
    )


def draw(
    root: Frame,
    *,
    title: str,
    facts: Sequence[str],
    notes: Sequence[str],
    alternative: str,
    color: Color,
    words: Words,
    width: int,
    below: Sequence[str] = (),
) -> bytes:
    """Draw a tree.

    Args:
        root: All of it.
        title: Headline.
        facts: What is under the headline, joined by dots.
        notes: Sentences a reader has to know, one line each.
        alternative: The picture in words, for who cannot see it.
        color: Fill of a frame.
        words: What the tooltip tells beside the name.
        width: Pixels, at least 400.
        below: Lines under the picture.
    """
    if width < 400:
        raise UsageError(f"a flame graph is at least 400 pixels wide, not {width}")
    frames, depth, hidden = _placed(root, width - 2 * MARGIN)
    notes = [*notes, *([f"{hidden:,} frames are too narrow to be drawn."] if hidden else [])]
    columns = int((width - 2 * MARGIN) / LETTER)
    head = [(line, "s") for line in _wrapped(" · ".join(facts), columns)]
    head += [(line, "n") for note in notes for line in _wrapped(note, columns)]
    top = MARGIN + 24 + LINE * len(head) + 6
    foot = [line for words_ in below for line in _wrapped(words_, columns)]
    height = top + ROW * depth + (LINE * (len(foot) + 1) if foot else 0) + MARGIN
    alternative = " ".join(filter(None, [" · ".join(facts) + ".", *notes, alternative, *below]))
    parts = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">{_text(title)}</title>\n<desc id="desc">{_text(alternative)}</desc>\n'
        f"<style>{STYLE}</style>\n"
        f'<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text class="h" x="{MARGIN}" y="{MARGIN + 14}">{_text(_cut(title, int(columns * 0.7) - 20))}</text>\n'
    ]
    y = MARGIN + 24
    for line, kind in head:
        y += LINE
        parts.append(f'<text class="{kind}" x="{MARGIN}" y="{y - 6}">{_text(line)}</text>\n')
    parts.append('<g id="frames">\n')
    for frame, level, x, w in frames:
        parts.append(_drawn(frame, x + MARGIN, top + ROW * level, w, color(frame), words(frame)))
    parts.append("</g>\n")
    y = top + ROW * depth + LINE
    for line in foot:
        parts.append(f'<text class="s" x="{MARGIN}" y="{y}">{_text(line)}</text>\n')
        y += LINE
    parts.append(f"<script><![CDATA[{SCRIPT}]]></script>\n</svg>\n")
    return "".join(parts).encode()


def _placed(root: Frame, width: float) -> tuple[list[tuple[Frame, int, float, float]], int, int]:
    """Every frame that is wide enough with its level, left edge and width; how deep, and how many are not."""
    placed: list[tuple[Frame, int, float, float]] = []
    depth = hidden = 0
    if not root.total:
        return placed, depth, hidden
    waiting = [(root, 0, 0.0)]
    while waiting:
        frame, level, x = waiting.pop()
        w = width * frame.total / root.total
        if w < NARROWEST:
            hidden += sum(1 for inner in frame.walk() if inner.total)
            continue
        placed.append((frame, level, x, w))
        depth = max(depth, level + 1)
        inner = []
        for child in frame.called():
            if child.total:
                inner.append((child, level + 1, x))
                x += width * child.total / root.total
        waiting += reversed(inner)
    return placed, depth, hidden


def _drawn(frame: Frame, x: float, y: float, w: float, fill: str, words: str) -> str:
    label = _cut(frame.label, int((w - 6) / LETTER))
    text = (
        f'<text x="{x + 3:.1f}" y="{y + 13}">{_text(label)}</text>'
        if label
        else f'<text x="{x + 3:.1f}" y="{y + 13}"/>'
    )
    return (
        f'<g class="f"><title>{_text(frame.label)} ({_text(words)})</title>'
        f'<rect x="{x:.1f}" y="{y}" width="{w:.1f}" height="{ROW - 1}" fill="{fill}"/>{text}</g>\n'
    )


def _cut(text: str, letters: int) -> str:
    if len(text) <= letters:
        return text
    return text[: letters - 1] + "…" if letters >= 4 else ""


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns)


def _color(label: str, first: int, last: int) -> str:
    """A colour by name, the same in every picture; light enough for black text."""
    code = zlib.crc32(frame_key(label).encode("utf-8", "replace"))
    hue = first + code % 97 / 96 * (last - first)
    return f"hsl({hue:.0f},{70 + code // 97 % 20}%,{66 + code // 1940 % 12}%)"


def _text(text: str) -> str:
    return escape(clean_text(text))
