"""JUnit of every kind of record, read back by an XML parser."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin import registry
from ophamin.interop.junit import JUnitExporter, _case, verdict_of
from ophamin.proof.errors import RecordError
from ophamin.proof.kinds import Kind


@dataclass
class Rows:
    """A kind of record for these tests, whose rows are in the record."""

    rows: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def kind(monkeypatch):
    made = Kind(
        name="rows", id_field="rows_id", version="rows/1.0", schemas={"rows/1.0": {"type": "object"}},
        lister=lambda record: record["rows"],
    )  # fmt: skip
    names = list(registry.records.names())
    get = registry.records.get
    monkeypatch.setattr(registry.records, "names", lambda: [*names, "rows"])
    monkeypatch.setattr(registry.records, "get", lambda name: made if name == "rows" else get(name))
    return made


def export(rows):
    out = io.BytesIO()
    record = {"rows_id": "ab" * 32, "schema_version": "rows/1.0", "rows": rows}
    report = JUnitExporter().export(record, out)
    return ElementTree.fromstring(out.getvalue()), report


def test_it_is_an_exporter_for_every_kind():
    assert registry.exporters.get("junit") is JUnitExporter
    assert list(JUnitExporter().kinds) == list(registry.records.names())
    with pytest.raises(TypeError, match="no option"):
        JUnitExporter().export({}, io.BytesIO(), colour=True)
    with pytest.raises(RecordError):
        JUnitExporter().export({"nothing": 1}, io.BytesIO())


def test_rows_become_cases_with_their_verdicts_and_counts(kind):
    outcomes = ["VALIDATED", "REFUTED", "INCONCLUSIVE", "unavailable", "ok", "timeout"]
    root, report = export([{"name": f"case {o}", "outcome": o, "message": "why <&>"} for o in outcomes])
    assert root.tag == "testsuites"
    (suite,) = root
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "1", "errors": "2", "skipped": "1",
    }  # fmt: skip
    cases = suite.findall("testcase")
    assert [c[0].tag for c in cases] == ["system-out", "failure", "error", "skipped", "system-out", "error"]
    assert cases[1][0].text == "why <&>"
    assert cases[1][0].get("type") == "REFUTED"
    assert cases[3][0].get("message") == "unavailable: why <&>"
    assert suite.find("properties/property").attrib == {"name": "rows_id", "value": "ab" * 32}
    assert report.lost


def test_a_record_without_rows_is_an_empty_suite(kind):
    root, _ = export([])
    assert root[0].get("tests") == "0"


@given(name=st.text(), message=st.text(), outcome=st.sampled_from(["ok", "REFUTED", "unavailable", "error"]))
def test_whatever_a_row_holds_is_xml(name, message, outcome):
    case = ElementTree.fromstring(
        _case("c", {"name": name, "message": message, "outcome": outcome}, verdict_of(outcome))
    )
    if name.isprintable():
        assert case.get("name") == name
    if message.isprintable() and outcome == "REFUTED":
        assert (case[0].text or "") == message
