"""One page per record, whatever kind it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ophamin import registry
from ophamin.proof.errors import PluginError
from ophamin.proof.verification import Verification
from ophamin.reporting._alert import alert_page
from ophamin.reporting._audit import audit_page
from ophamin.reporting._cumulative import cumulative_page
from ophamin.reporting._document import Badge, Block, Document, Facts, Note, Page, Raw, Section, Table
from ophamin.reporting._proof import proof_page
from ophamin.reporting._reach import at, objects, words
from ophamin.reporting._text import clip, number, shown

__all__ = ["document", "verification_badge"]

JSON = Any
LONGEST_RAW = 200_000
MOST_CASES = 200
# A tampered record may be shaped like anything.
_MISSHAPEN = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
_PAGES: dict[str, Callable[[Mapping[str, JSON]], Page]] = {
    "proof_id": proof_page,
    "audit_id": audit_page,
    "alert_id": alert_page,
    "cumulative_id": cumulative_page,
}
_STATES = {
    0: ("verified", "its id, signature and sections hold, and a known signer stands behind it", "good"),
    3: ("DO NOT TRUST THIS RECORD", "it is not what was signed, or it contradicts itself", "bad"),
    5: ("not verified", "nothing is bad, but no signature of a known signer could be checked", "open"),
}


def document(
    records: Sequence[Mapping[str, JSON]], title: str, verifications: Sequence[Verification | None] = ()
) -> Document:
    """The document for these records, in this order.

    Args:
        records: Whole objects, of any kind.
        title: "" for kind and id of the record, or the number of records.
        verifications: One per record; missing ones count as ``None``.
    """
    found = [*verifications, *[None] * (len(records) - len(verifications))]
    pages = [_page(record, verification) for record, verification in zip(records, found, strict=False)]
    if not title:
        title = f"{pages[0].kind} {pages[0].record_id[:12]}" if len(pages) == 1 else f"{len(pages)} records"
    return Document(clip(title, 300), pages)


def verification_badge(verification: Verification | None) -> Badge:
    """The state of a record in words."""
    if verification is None:
        return Badge("not verified here", "this page shows what the record says; nobody checked its signature")
    word, meaning, tone = _STATES.get(verification.exit_code, _STATES[5])
    if verification.signer:
        meaning += f" ({verification.signer})"
    return Badge(word, meaning, tone)


def _page(record: Mapping[str, JSON], verification: Verification | None) -> Page:
    build = next((page for field, page in _PAGES.items() if field in record), _other_page)
    page = build(record)
    sections = [*page.sections, _signature(record, page, verification), _whole(record)]
    badge = page.badge
    if verification_badge(verification).tone == "bad":
        # A verdict that nobody signed must not look like one.
        badge = Badge(f"{badge.word}: not trusted", "the record says so, and it is not what was signed", "untrusted")
    return replace(page, badge=badge, sections=sections, verification=verification)


def _other_page(record: Mapping[str, JSON]) -> Page:
    """A kind this version has no words for: its cases as its own wheel lists them, and its plain fields."""
    field = next((name for name in record if name.endswith("_id")), "")
    kind = field.removesuffix("_id") or "record"
    plain = [(name, shown(v)) for name, v in record.items() if not isinstance(v, (dict, list)) and name != field]
    outcome = words(at(record, "verdict", "outcome"))
    return Page(
        kind,
        words(record.get(field)),
        f"{kind} {words(record.get(field))[:16]}",
        Badge(outcome or kind),
        words(at(record, "verdict", "reasoning")),
        [*_cases(record), Section("Fields", [Facts(plain[:200])])],
    )


def _cases(record: Mapping[str, JSON]) -> list[Section]:
    cases: list[tuple[str, ...]] = []
    for name in registry.records.names():
        try:
            kind = registry.records.get(name)
            if kind.accepts(record):
                rows = kind.cases(record)
                cases = [tuple(shown(row.get(part)) for part in ("name", "outcome", "message")) for row in rows]
        except (PluginError, *_MISSHAPEN):
            continue  # a broken plug-in says so elsewhere; what a tampered record holds stands below
    more = f"… and {len(cases) - MOST_CASES:,} more" if len(cases) > MOST_CASES else ""
    table = Table("What it found, one by one", ("what", "outcome", "says"), cases[:MOST_CASES], more)
    return [Section("Found", [table])] if cases else []


def _signature(record: Mapping[str, JSON], page: Page, verification: Verification | None) -> Section:
    blocks: list[Block] = []
    if verification is None:
        blocks.append(Note(f"Not verified when this page was made. Run: ophamin record verify {page.record_id[:64]}"))
    else:
        rows = [(c.name, c.state, clip(c.detail)) for c in verification.checks]
        blocks.append(Table("Checks made when this page was made", ("check", "state", "detail"), rows))
    attested = objects(record.get("attestations")) + objects([record.get("attestation")])
    blocks.append(
        Facts(
            [
                ("id", shown(page.record_id)),
                ("schema version", number(record.get("schema_version"))),
                ("signature (HMAC-SHA256)", shown(record.get("signature"))),
                *(
                    (f"attestation ({shown(a.get('algorithm'))})", f"public key {shown(a.get('public_key'))}")
                    for a in attested[:20]
                ),
            ]
        )
    )
    return Section("Id and signature", blocks)


def _whole(record: Mapping[str, JSON]) -> Section:
    # A careful reader sees every field, also those this version has no words for.
    text = json.dumps(record, ensure_ascii=False, indent=2, default=str)
    return Section("Everything the record holds", [Raw("The record as JSON", clip(text, LONGEST_RAW))])
