"""What a report consists of, before anyone decides how it is written.

Both renderers walk these blocks, so they say the same. All text in here is raw: escaping belongs to the
renderer, which cannot forget a field because it escapes every one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ophamin.proof.verification import Verification
from ophamin.reporting.charts.interval import IntervalPart
from ophamin.reporting.charts.trajectory import Trajectory

__all__ = [
    "Badge",
    "Block",
    "Chart",
    "Code",
    "Document",
    "Facts",
    "Note",
    "Page",
    "PathChart",
    "Raw",
    "Section",
    "Table",
]


@dataclass(frozen=True)
class Badge:
    """A state in words; ``tone`` (good, bad, open, plain, untrusted) only colours it."""

    word: str
    meaning: str = ""
    tone: str = "plain"


@dataclass(frozen=True)
class Facts:
    """Labelled values."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of a row names it. ``more`` says what was left out."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence; tone as in ``Badge``."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Code:
    """A command line to copy."""

    text: str


@dataclass(frozen=True)
class Chart:
    """Intervals against thresholds; the table that follows says the same in words."""

    parts: Sequence[IntervalPart]


@dataclass(frozen=True)
class PathChart:
    """What was pooled commit by commit; the table that follows says the same in words."""

    path: Trajectory


@dataclass(frozen=True)
class Raw:
    """Long text under a heading that opens it."""

    summary: str
    text: str


Block = Facts | Table | Note | Code | Chart | PathChart | Raw


@dataclass(frozen=True)
class Section:
    """Blocks under one heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """One record.

    Args:
        kind: e.g. ``proof``.
        record_id: Its id as stored.
        heading: What it is about; for a proof the statement of its claim.
        badge: The verdict.
        lead: The verdict's reasoning.
        sections: The rest.
        parts: Intervals that can be drawn, for a chart of several records.
        verification: What verification found, or ``None`` when nobody verified.
        summary: Cells for the summary table: observed, interval, n.
    """

    kind: str
    record_id: str
    heading: str
    badge: Badge
    lead: str
    sections: Sequence[Section]
    parts: Sequence[IntervalPart] = ()
    verification: Verification | None = None
    summary: Sequence[str] = field(default=("—", "—", "—"))


@dataclass(frozen=True)
class Document:
    """A title and its pages."""

    title: str
    pages: Sequence[Page]
