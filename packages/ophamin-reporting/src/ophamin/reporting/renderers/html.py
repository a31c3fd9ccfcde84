"""Records as one self-contained HTML page: no script, nothing external, readable on paper and in the dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from ophamin.proof.errors import MissingDependency
from ophamin.proof.verification import Verification
from ophamin.reporting._document import Document
from ophamin.reporting._pages import document, verification_badge
from ophamin.reporting._text import visible
from ophamin.reporting.charts.interval import IntervalPart, interval_chart
from ophamin.reporting.charts.trajectory import Trajectory, trajectory_chart

__all__ = ["HtmlRenderer"]

JSON = Any
MOST_OVERVIEW_ROWS = 12
"""More rows than this make no picture that is seen at a glance."""

LONG_WORD = 24
"""Only words longer than this are broken inside a table cell: hashes, paths, and what means harm."""


class HtmlRenderer:
    """One self-contained HTML page that loads and runs nothing.

    Everything a record says is escaped by the template engine, without exception; the only markup that
    passes is the chart, which we draw. Without matplotlib a sentence stands where the chart would.

    Example:
        >>> page = HtmlRenderer().render([], title="<script>").decode()
        >>> "<script>" in page, "&lt;script&gt;" in page
        (False, True)
    """

    name = "html"
    media_type = "text/html"
    suffix = ".html"

    def render(
        self,
        records: Sequence[Mapping[str, JSON]],
        *,
        title: str = "",
        verifications: Sequence[Verification | None] = (),
    ) -> bytes:
        """One page for these records, in this order.

        Args:
            records: Whole objects of any kind.
            title: Title; default: kind and id of the record, or the number of records.
            verifications: What verification found, one per record; a bad one puts a banner over its record.

        Returns:
            UTF-8 HTML; the same arguments give the same bytes.
        """
        doc = document(records, title, verifications)
        page = _ENVIRONMENT.get_template("report.html").render(doc=doc, overview=_overview(doc))
        return page.encode("utf-8")


def _overview(doc: Document) -> list[IntervalPart]:
    """All intervals below each other, numbered by record, when there are several records and not too many."""
    parts = [
        replace(part, metric=f"{number}. {part.metric}")
        for number, page in enumerate(doc.pages, 1)
        for part in page.parts
        # A tampered record must not stand beside sound ones as if it were one of them.
        if part.drawable and verification_badge(page.verification).tone != "bad"
    ]
    return parts if len(doc.pages) > 1 and 1 < len(parts) <= MOST_OVERVIEW_ROWS else []


def _chart(parts: Sequence[IntervalPart], name: str, title: str) -> Markup | str:
    if not any(part.drawable for part in parts):
        return "There is no chart: neither a finite value nor a finite bound was observed."
    try:
        return Markup(interval_chart(parts, name=name, title=title))
    except MissingDependency as missing:
        return f"There is no chart, the table says the same: {missing}."


def _path_chart(path: Trajectory, name: str, title: str) -> Markup | str:
    if not path.drawable:
        return "There is no chart: there is no finite pooled value."
    try:
        return Markup(trajectory_chart(path, name=name, title=title))
    except MissingDependency as missing:
        return f"There is no chart, the table says the same: {missing}."


def _finalize(value: JSON) -> JSON:
    """Runs on everything the template writes, before escaping."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> Environment:
    folder = files("ophamin.reporting.renderers") / "templates"
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.css")}
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(chart=_chart, path_chart=_path_chart, state_of=verification_badge)
    environment.tests["long"] = lambda text: any(len(word) > LONG_WORD for word in text.split())
    environment.tests["markup"] = lambda value: isinstance(value, Markup)
    return environment


_ENVIRONMENT = _environment()
