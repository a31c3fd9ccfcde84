"""What every exporter of audits does with a record: it has no options, and counts what two tools found once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["counted", "every_finding", "lost_sections", "no_options"]

JSON = Any


def no_options(what: str, options: Mapping[str, JSON]) -> None:
    """Refuse options.

    Args:
        what: The exporter, for the message.
        options: What it was given.

    Raises:
        TypeError: There is one.
    """
    if options:
        raise TypeError(f"the {what} exporter has no option {', '.join(options)}")


def every_finding(record: Mapping[str, JSON]) -> Iterator[Mapping[str, JSON]]:
    """The findings of all tools, those that another tool found too included."""
    for pillar in record["pillars"]:
        yield from pillar["findings"]


def counted(findings: Sequence[Mapping[str, JSON]] | Iterator[Mapping[str, JSON]]) -> list[Mapping[str, JSON]]:
    """Those that are not another tool's finding once more.

    Example:
        >>> counted([{"rule_id": "F401"}, {"rule_id": "unused-import", "duplicate_of": "ab"}])
        [{'rule_id': 'F401'}]
    """
    return [finding for finding in findings if "duplicate_of" not in finding]


def lost_sections(record: Mapping[str, JSON], what: str, *sections: str) -> Iterator[str]:
    """One line of a report of losses for each of these sections that the record has.

    Args:
        record: An audit record.
        what: The format, for the line.
        *sections: What it has no place for.
    """
    for section in sections:
        if section in record:
            yield f"{section}: {what} has no place for it"
