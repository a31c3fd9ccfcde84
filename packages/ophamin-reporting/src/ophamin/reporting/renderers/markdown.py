"""Records as Markdown (CommonMark with GitHub's tables)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ophamin.proof.verification import Verification
from ophamin.reporting._document import Block, Chart, Code, Document, Facts, Note, Page, PathChart, Raw, Table
from ophamin.reporting._pages import document, verification_badge
from ophamin.reporting._text import visible

__all__ = ["MarkdownRenderer", "escape"]

JSON = Any
# What can mean something inside a line. Lines never begin with text of a record, so markers of blocks cannot.
_MARKS = re.compile(r"[\\`*\[\]~$#|!@]|(?<![^\W_])_|_(?![^\W_])|:(?=//|[A-Za-z_+-][\w+-]*:)|(?<=[wW]{3})\.")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str) -> str:
    """Text on one line that shows as itself: no markup, no HTML, no link, whatever it holds.

    Example:
        >>> escape("<b> | `x` [y](javascript:z)")
        '&lt;b&gt; \\\\| \\\\`x\\\\` \\\\[y\\\\](javascript:z)'
    """
    one_line = re.sub(r"[ \t\n]+", " ", visible(text)).strip()
    return _MARKS.sub(r"\\\g<0>", re.sub("[&<>]", lambda m: _ENTITIES[m[0]], one_line))


class MarkdownRenderer:
    """Markdown with the same words as the HTML page, without pictures.

    Example:
        >>> MarkdownRenderer().render([], title="No records").decode()
        '# No records\\n'
    """

    name = "markdown"
    media_type = "text/markdown"
    suffix = ".md"

    def render(
        self,
        records: Sequence[Mapping[str, JSON]],
        *,
        title: str = "",
        verifications: Sequence[Verification | None] = (),
    ) -> bytes:
        """One document for these records, in this order.

        Args:
            records: Whole objects of any kind.
            title: Heading; default: kind and id of the record, or the number of records.
            verifications: What verification found, one per record.

        Returns:
            UTF-8 text.
        """
        return "\n".join(_lines(document(records, title, verifications))).encode("utf-8")


def _lines(doc: Document) -> Iterator[str]:
    yield f"# {escape(doc.title)}"
    yield ""
    if len(doc.pages) > 1:
        header = ("", "verdict", "claim", "observed", "interval", "n", "record")
        rows = [
            (str(i), p.badge.word, p.heading, *p.summary, verification_badge(p.verification).word)
            for i, p in enumerate(doc.pages, 1)
        ]
        yield from _table(Table("Summary", header, rows))
    for number, page in enumerate(doc.pages, 1):
        yield from _page(page, number)


def _page(page: Page, number: int) -> Iterator[str]:
    yield f"## {number}. {escape(page.heading)}"
    yield ""
    state = verification_badge(page.verification)
    if state.tone == "bad":
        yield f"> **⚠ {escape(state.word)}**: {escape(state.meaning)}."
        yield ""
    yield f"**{escape(page.badge.word)}**: {escape(page.badge.meaning)}."
    yield ""
    if page.lead:
        yield f"Reasoning: {escape(page.lead)}"
        yield ""
    yield f"Record: {escape(state.word)}; {escape(state.meaning)}."
    yield ""
    for section in page.sections:
        yield f"### {escape(section.title)}"
        yield ""
        for block in section.blocks:
            yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Facts):
        yield from (f"- **{escape(label)}**: {escape(value)}" for label, value in block.rows)
        yield ""
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Note):
        yield f"Note: {escape(block.text)}"
        yield ""
    elif isinstance(block, (Code, Raw)):
        yield from _fenced(block.text)
    elif not isinstance(block, (Chart, PathChart)):  # the table after a chart says what it shows
        raise TypeError(f"no Markdown for {type(block).__name__}")


def _table(table: Table) -> Iterator[str]:
    yield f"Table: {escape(table.caption)}"
    yield ""
    yield f"| {' | '.join(map(escape, table.header))} |"
    yield f"|{' --- |' * len(table.header)}"
    yield from (f"| {' | '.join(map(escape, row))} |" for row in table.rows)
    yield ""
    if table.more:
        yield f"Note: {escape(table.more)}"
        yield ""


def _fenced(text: str) -> Iterator[str]:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (fence, visible(text), fence, "")
