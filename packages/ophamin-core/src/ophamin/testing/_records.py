"""The contracts of what handles records: kinds, renderers, exporters."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.verification import Finding, Verification
from ophamin.protocols import Exporter, LossReport, RecordKind, Renderer
from ophamin.testing._values import assert_json, snapshot

__all__ = ["check_exporter", "check_record_kind", "check_renderer"]

JSON = Any
_BESIDE_THE_BODY = {"signature", "attestation", "attestations"}
_TEXTS = {"statement", "operationalization", "h0", "h1", "reasoning", "message", "substrate_name", "units", "command"}
_ATTACK = "<script>alert('ophamin')</script>\"'&|$\\"
_FETCHES = re.compile(rb"<(?:script|img|link|iframe|object|embed)\b[^>]*\b(?:src|href|data)\s*=\s*[\"']?(?:https?:)?//")
_FETCHES_CSS = re.compile(rb"(?:@import|url\()\s*[\"']?(?:https?:)?//")


def check_record_kind(kind: RecordKind, example: Mapping[str, JSON]) -> None:
    """Check that a kind knows its own records, and only those.

    Args:
        kind: The kind.
        example: A signed record of it, as written.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    assert isinstance(kind, RecordKind), f"{type(kind).__name__} lacks a member of RecordKind"
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", kind.name), f"{kind.name!r} cannot name a folder"
    assert kind.id_field, "the kind has no id_field"
    before = snapshot(example)
    assert kind.accepts(example), "the kind does not accept its own example"
    for other in ({}, {"id": "x"}, {k: v for k, v in example.items() if k != kind.id_field}, {kind.id_field: 1}):
        assert not kind.accepts(other), f"the kind accepts {str(other)[:60]}, which is not one of its records"
    assert isinstance(kind.schema, Mapping), "the schema is a JSON Schema object"
    assert kind.schema, "the schema is empty"
    assert_json(kind.schema, "the schema")
    assert_json(kind.version, "the version")

    forms = list(kind.forms(example.get("schema_version")))
    assert forms, "forms() names no canonical form"
    assert set(forms) <= {"compact", "spaced"}, f"forms() names {forms}; there are compact and spaced"
    body = {k: v for k, v in example.items() if k != kind.id_field and k not in _BESIDE_THE_BODY}
    ids = [content_id(canonical_bytes(body, form=form)) for form in forms]
    assert example[kind.id_field] in ids, f"the example's {kind.id_field} is not the hash of its body in any form"
    assert list(kind.forms(kind.version)), "forms() does not know the version it writes"

    problems = list(kind.check(example))
    assert not problems, f"the example contradicts itself: {problems[0]}"
    for case in kind.cases(example):
        for name in ("name", "outcome", "message"):
            assert isinstance(case.get(name), str), f"a case has no {name}: {case}"
        assert_json(case, "a case")
    assert example == before, "the kind changed the record it was shown"


def check_renderer(cls: type[Renderer], records: Sequence[Mapping[str, JSON]]) -> None:
    """Check that a renderer is repeatable, stands alone, and lets no record inject markup.

    Args:
        cls: The renderer.
        records: Records it can show, at least one.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    renderer, before = cls(), snapshot(list(records))
    assert isinstance(renderer, Renderer), f"{cls.__name__} lacks a member of Renderer"
    assert renderer.name, "the renderer has no name"
    assert "/" in renderer.media_type, f"{renderer.media_type!r} is not a media type"
    assert renderer.suffix.startswith("."), f"the suffix {renderer.suffix!r} begins with a dot"
    shown = _render(renderer, records)
    assert shown, "it rendered nothing"
    assert _render(cls(), records) == shown, "the same records rendered differently the second time"
    assert list(records) == before, "the renderer changed the records"
    text = renderer.media_type.startswith("text/")
    if text:
        assert "a title of its own" in _render(renderer, records, "a title of its own").decode("utf-8"), (
            "the title is not in the document"
        )
    if len(records) > 1 and records[0] != records[-1]:
        assert _render(renderer, records[::-1]) != shown, "the order of the records makes no difference"
    _render(renderer, [])
    sound, forged = (Verification([Finding("id", state, "as the kit says")], "kit") for state in ("good", "bad"))
    checked = [renderer.render(records, verifications=[v] * len(records)) for v in (sound, forged)]
    assert checked[0] != checked[1], "a tampered record is shown like a sound one: show its verification"

    hostile = [_poison(record) for record in records]
    poisoned = _render(renderer, hostile, _ATTACK)
    if renderer.media_type.partition(";")[0] in ("text/html", "image/svg+xml", "application/xhtml+xml"):
        assert b"<script>alert(" not in poisoned, "text of a record came out as markup: escape it"
        for document in (shown, poisoned):
            match = _FETCHES.search(document) or _FETCHES_CSS.search(document)
            assert not match, f"the document needs the network: {match.group()[:80]!r}" if match else ""


def _render(renderer: Renderer, records: Sequence[Mapping[str, JSON]], title: str = "") -> bytes:
    document = renderer.render(records, title=title)
    assert isinstance(document, bytes), f"render() gives bytes, not {type(document).__name__}"
    if renderer.media_type.startswith("text/"):
        document.decode("utf-8")
    return document


def _poison(value: JSON, name: str = "") -> JSON:
    """The same record, with an attack in every text a person wrote."""
    if isinstance(value, Mapping):
        return {key: _poison(inner, key) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_poison(inner, name) for inner in value]
    return _ATTACK if isinstance(value, str) and name in _TEXTS else value


def check_exporter(
    cls: type[Exporter], records: Sequence[Mapping[str, JSON]], *, options: Mapping[str, JSON] | None = None
) -> None:
    """Check that an exporter writes, repeatably, and says what it could not carry over.

    Args:
        cls: The exporter.
        records: Records of the kinds it names, at least one.
        options: Options of every call.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    exporter, options = cls(), dict(options or {})
    assert isinstance(exporter, Exporter), f"{cls.__name__} lacks a member of Exporter"
    assert exporter.name, "the exporter has no name"
    assert "/" in exporter.media_type, f"{exporter.media_type!r} is not a media type"
    assert not isinstance(exporter.kinds, str), "kinds is a sequence of names, not one string"
    assert list(exporter.kinds), "the exporter is for no kind of record"
    for record in records:
        before, out = snapshot(record), io.BytesIO()
        report = exporter.export(record, out, **options)
        assert isinstance(report, LossReport), f"export() gives a LossReport, not {type(report).__name__}"
        assert not isinstance(report.lost, str), "lost is a sequence of fields, not one string"
        assert all(isinstance(field, str) and field for field in report.lost), "lost names fields"
        assert not out.closed, "the exporter closed what it was given to write to"
        assert out.getvalue(), "it exported nothing"
        second = io.BytesIO()
        cls().export(record, second, **options)
        assert second.getvalue() == out.getvalue(), "the same record was exported differently the second time"
        assert record == before, "the exporter changed the record"
