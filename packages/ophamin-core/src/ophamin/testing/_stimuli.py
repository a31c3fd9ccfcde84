"""Stimuli for plug-ins whose author gives none: ordinary ones, and ones that break careless code."""

from __future__ import annotations

from ophamin.protocols import Record

__all__ = ["ODD_RECORDS", "RECORDS"]


def _record(number: int) -> Record:
    attack = number % 2 == 0
    text = f"' OR {number}={number} --" if attack else f"the weather on day {number}"
    label = "yes" if number % 3 else "no"
    return Record(
        id=f"r{number}",
        payload=text,
        group=f"g{number // 2}",
        labels={"kind": "attack" if attack else "benign", "label": label},
        meta={"number": number},
    )


RECORDS: tuple[Record, ...] = tuple(_record(i) for i in range(12))
"""Twelve texts in six groups, half of them labelled as attacks."""

ODD_RECORDS: tuple[Record, ...] = (
    Record("empty", ""),
    Record("newlines", "a\nb\r\nc\u2028d"),
    Record("null", "\x00\x1b[31m"),
    Record("unicode", "\N{SNOWMAN} \N{GRINNING FACE} e\u0301 \u202e"),
    Record("long", "x" * 100_000),
    Record("bytes", b"\xff\x00\xfe"),
    Record("markup", "<script>alert(1)</script>"),
    Record("ordinary", "an ordinary text, to see that the others did no harm"),
)
"""Payloads a substrate may fail on, as a result of that one cycle, but may not fall over."""
