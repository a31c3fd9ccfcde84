"""The kits of record kinds, renderers, exporters and auditors: good ones pass, each planted fault is named."""

from __future__ import annotations

import html
import itertools
import json

import pytest

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.errors import UnknownRecord
from ophamin.protocols import LossReport
from ophamin.testing import check_auditor, check_exporter, check_record_kind, check_renderer

BODY = {"schema_version": "note/1.0", "statement": "all is well", "n": 1}
RECORD = {"note_id": content_id(canonical_bytes(BODY)), **BODY, "signature": "00", "attestations": []}
OTHER = {**RECORD, "statement": "all was well"}


class Note:
    name = "note"
    id_field = "note_id"
    version = "note/1.0"
    schema = {"type": "object"}

    def accepts(self, record):
        return isinstance(record.get("note_id"), str) and str(record.get("schema_version")).startswith("note/")

    def forms(self, version):
        return ("compact",)

    def check(self, record):
        return ()

    def cases(self, record):
        return [{"name": "n", "outcome": "passed", "message": ""}]


def kind(**members):
    return type("Faulty", (Note,), members)()


def drops(self, record):
    record.pop("signature", None)
    return ()


def test_a_good_kind_passes():
    check_record_kind(Note(), RECORD)
    spaced = {**RECORD, "note_id": content_id(canonical_bytes(BODY, form="spaced"))}
    check_record_kind(kind(forms=lambda self, version: ("compact", "spaced")), spaced)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (kind(name="a/b"), "cannot name a folder"),
        (kind(id_field=""), "no id_field"),
        (kind(accepts=lambda self, record: False), "does not accept its own"),
        (kind(accepts=lambda self, record: True), "not one of its records"),
        (kind(accepts=lambda self, record: "note_id" in record), "not one of its records"),
        (kind(schema={}), "schema is empty"),
        (kind(forms=lambda self, version: ()), "no canonical form"),
        (kind(forms=lambda self, version: ("pretty",)), "there are compact and spaced"),
        (kind(forms=lambda self, version: ("spaced",)), "not the hash of its body"),
        (kind(check=lambda self, record: ["n is odd"]), "contradicts itself: n is odd"),
        (kind(check=drops), "changed the record"),
        (kind(cases=lambda self, record: [{"name": "n"}]), "a case has no outcome"),
    ],
    ids=lambda value: value if isinstance(value, str) else "fault",
)
def test_a_planted_fault_of_a_kind_is_named(fault, named):
    with pytest.raises(AssertionError, match=named):
        check_record_kind(fault, dict(RECORD))


class Page:
    name = "page"
    media_type = "text/html"
    suffix = ".html"

    def render(self, records, *, title="", verifications=()):
        states = "".join(f"<p>{c.state}</p>" for v in verifications for c in v.checks)
        items = "".join(f"<p>{self.text(r['statement'])}</p>" for r in self.order(records))
        return f"<!doctype html><h1>{self.text(title)}</h1>{self.head()}{states}{items}".encode()

    def text(self, value):
        return html.escape(value)

    def head(self):
        return "<p><a href='https://example.org/'>links may be followed, they are not fetched</a></p>"

    def order(self, records):
        return records


def page(**members):
    return type("Faulty", (Page,), members)


CALLS = itertools.count()


def test_a_good_renderer_passes():
    check_renderer(Page, [RECORD, OTHER])


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (page(name=""), "no name"),
        (page(media_type="html"), "not a media type"),
        (page(suffix="html"), "begins with a dot"),
        (page(render=lambda self, records, title="": "text"), "gives bytes"),
        (page(render=lambda self, records, title="": b""), "rendered nothing"),
        (page(text=lambda self, value: value), "escape it"),
        (page(order=lambda self, records: sorted(records, key=str)), "order of the records"),
        (page(head=lambda self: f"<p>{next(CALLS)}</p>"), "differently the second time"),
        (page(head=lambda self: "<script src='https://cdn.example/x.js'></script>"), "needs the network"),
        (page(head=lambda self: "<img alt='' src=//cdn.example/x.png>"), "needs the network"),
        (page(head=lambda self: "<style>@import 'https://cdn.example/x.css'</style>"), "needs the network"),
        (page(head=lambda self: "<style>b{background:url(http://x/y)}</style>"), "needs the network"),
        (page(render=lambda self, records, title="": Page().render(records)), "title is not in the document"),
        (page(order=lambda self, records: [r for r in records if r.setdefault("seen", 1)]), "changed the records"),
    ],
    ids=lambda value: value if isinstance(value, str) else "fault",
)
def test_a_planted_fault_of_a_renderer_is_named(fault, named):
    with pytest.raises(AssertionError, match=named):
        check_renderer(fault, [dict(RECORD), dict(OTHER)])


def test_a_renderer_that_needs_a_record_falls_over():
    with pytest.raises(IndexError):
        check_renderer(page(head=lambda self: "", order=lambda self, records: [records[0], *records[1:]]), [RECORD])


class Lines:
    name = "lines"
    media_type = "application/jsonl"
    kinds = ("note",)

    def export(self, record, out, **options):
        out.write(json.dumps(record).encode())
        return LossReport(("signature",))


def exporter(**members):
    return type("Faulty", (Lines,), members)


def writes(data, report=None, after=lambda record, out: None):
    def export(self, record, out, **options):
        out.write(data() if callable(data) else data)
        after(record, out)
        return LossReport() if report is None else report

    return exporter(export=export)


def test_a_good_exporter_passes():
    check_exporter(Lines, [RECORD])


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (exporter(name=""), "no name"),
        (exporter(media_type="jsonl"), "not a media type"),
        (exporter(kinds="note"), "not one string"),
        (exporter(kinds=()), "no kind of record"),
        (writes(b""), "exported nothing"),
        (writes(b"x", report={}), "gives a LossReport"),
        (writes(b"x", report=LossReport("signature")), "not one string"),
        (writes(lambda: str(next(CALLS)).encode()), "differently the second time"),
        (writes(b"x", after=lambda record, out: out.close()), "closed"),
        (writes(b"x", after=lambda record, out: record.clear()), "changed the record"),
    ],
    ids=lambda value: value if isinstance(value, str) else "fault",
)
def test_a_planted_fault_of_an_exporter_is_named(fault, named):
    with pytest.raises(AssertionError, match=named):
        check_exporter(fault, [dict(RECORD)])


class Grep:
    """Finds the word shell."""

    name = "grep"
    changes = {}
    fault = ""

    def audit(self, path, *, timeout_s):
        if self.fault == "raise" and timeout_s < 1:
            raise TimeoutError("too slow")
        if not path.exists() and self.fault != "missing":
            raise UnknownRecord(f"there is no {path}")
        findings = []
        for file in sorted(path.rglob("*.py")):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if "shell" in line:
                    where = {"path": file.name, "line": number, "column": 1}
                    if self.fault == "unstable":
                        where["line"] = next(CALLS)
                    findings.append({"rule_id": "G1", "severity": "high", "message": line.strip(), **where})
            if self.fault == "write":
                (path / "report.txt").write_text("found")
        entry = {
            "pillar_name": "grep",
            "tool_name": "grep",
            "tool_version": "1.0",
            "status": "ok",
            "finding_count": len(findings),
            "findings": findings,
            "severity_histogram": {"high": len(findings)},
            "wall_time_s": 0.01,
            "error_message": "",
        }
        return {k: v for k, v in {**entry, **self.changes}.items() if v is not ...}


def auditor(fault="", **changes):
    return type("Faulty", (Grep,), {"fault": fault, "changes": changes})


def test_a_good_auditor_passes(tmp_path):
    check_auditor(Grep, tmp_path)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (auditor("raise"), "raises TimeoutError"),
        (auditor("missing"), "audited and found ok"),
        (auditor("unstable"), "other findings"),
        (auditor("write"), "wrote into the code"),
        (auditor(pillar_name="sed"), "not of 'grep'"),
        (auditor(status="passed"), "ok, unavailable, error or timeout"),
        (auditor(status="error"), "says why"),
        (auditor(status="timeout", error_message="too slow"), "has no finding_count"),
        (auditor(tool_version=""), "has a version"),
        (auditor(finding_count=7), "finding_count is 7"),
        (auditor(severity_histogram={}), "does not add up"),
        (auditor(wall_time_s=None), "seconds"),
        (auditor(error_message=...), "has no error_message"),
        (auditor(findings=[{"severity": "bad"}], finding_count=1, severity_histogram={"bad": 1}), "severity 'bad'"),
        (auditor(extra={1}), "plain JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "fault",
)
def test_a_planted_fault_of_an_auditor_is_named(fault, named, tmp_path):
    with pytest.raises(AssertionError, match=named):
        check_auditor(fault, tmp_path)
