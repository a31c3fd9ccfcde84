"""The graph of a record, and its forms, read back by the ``prov`` library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prov.model import ProvDocument

from ophamin.comparing._command.provenance import FORMATS as OFFERED
from ophamin.comparing._command.provenance import provenance
from ophamin.comparing.provenance.documents import FORMATS, document_of, read, write
from ophamin.comparing.provenance.graph import bundle, causes_of, edges, mentions, provenance_of, record_node, report_of
from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.errors import OphaminError, RecordError, UsageError
from ophamin.proof.keys import Keyring


@pytest.fixture
def record(made: Any) -> dict[str, Any]:
    body = made()
    body["reproduction"]["artifacts"] = [
        {"name": "trace.jsonl", "media_type": "application/x-ndjson", "digest": "sha256:aa"}
    ]
    return {"proof_id": content_id(canonical_bytes(body)), **body, "signature": "00" * 32}


def graph_of(record: dict[str, Any], **more: Any) -> dict[str, Any]:
    return provenance_of(record, "proof", "proof_id", **more)


def kinds(graph: dict[str, Any], sort: str) -> set[str]:
    return {name.removeprefix("oph:").partition("-")[0] for name in graph[sort]}


def test_the_issue_s_list_is_met(record: dict[str, Any], tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>")
    graph = graph_of(record, person="ada", reports=[report_of(report)])
    assert kinds(graph, "entity") >= {
        "corpus",
        "claim",
        "plan",
        "observations",
        "proof",
        "report",
        "record",
        "artifact",
    }
    assert kinds(graph, "activity") == {"register", "run", "decide", "sign"}
    for activity in graph["activity"].values():
        assert activity["prov:startTime"] <= activity["prov:endTime"]
    assert kinds(graph, "agent") == {"software", "key", "person"}
    versions = {a["prov:label"]: a["oph:version"] for a in graph["agent"].values() if "oph:version" in a}
    assert versions == {"ophamin-core": "0.1.0", "scipy": "1.15.3"}
    assert {edge.relation for edge in edges(graph)} == {
        "used", "wasGeneratedBy", "wasDerivedFrom", "wasInformedBy", "wasAssociatedWith", "wasAttributedTo", "actedOnBehalfOf",
    }  # fmt: skip
    # From the report everything else can be reached.
    [name] = [n for n in graph["entity"] if n.startswith("oph:report-")]
    everything = {n for sort in ("entity", "activity", "agent") for n in graph[sort]}
    assert set(causes_of(graph, name)) == everything - {name}


def test_the_record_s_own_graph_is_left_as_it_is(record: dict[str, Any]) -> None:
    before = json.dumps(record)
    graph = graph_of(record, person="ada")
    assert json.dumps(record) == before
    for section in ("entity", "activity", "agent", "used", "wasGeneratedBy", "wasInformedBy"):
        assert record["provenance"][section].items() <= graph[section].items()
    assert graph_of(record, person="ada") == graph


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_round_trips_through_prov(record: dict[str, Any], format_: str) -> None:
    for needs in ({"turtle": "rdflib", "xml": "lxml"}.get(format_),):
        if needs:
            pytest.importorskip(needs)
    graph = graph_of(record)
    there = write(graph, format_)
    assert there.endswith(b"\n")
    back, asked = read(there, format_), document_of(graph)
    n = sum(len(graph[section]) for section in graph if section != "prefix")
    assert len(list(asked.get_records())) == n
    if format_ == "turtle":  # a relation without an id of its own is a plain triple there, and one with a plan is not
        names = {str(r.identifier) for r in back.get_records() if r.identifier}
        assert names >= {*graph["entity"], *graph["activity"], *graph["agent"]}
    else:
        assert back == asked


def test_prov_reads_the_record_s_own_section_too(record: dict[str, Any]) -> None:
    own = record["provenance"]
    document = ProvDocument.deserialize(content=json.dumps(own), format="json")
    again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document
    assert len(list(document.get_records())) == sum(len(own[s]) for s in own if s != "prefix")


def test_two_runs_of_one_plan_are_two_accounts(made: Any) -> None:
    graphs = {}
    for created in ("2026-11-24T10:00:01+00:00", "2026-11-25T10:00:01+00:00"):
        body = made(created=created)
        record = {"proof_id": content_id(canonical_bytes(body)), **body}
        graphs[record["proof_id"]] = graph_of(record)
    document = document_of(bundle(graphs))
    assert len(list(document.bundles)) == 2
    for part in document.bundles:
        generated = [str(r.args[0]) for r in part.get_records() if r.get_type().localpart == "Generation"]
        assert len(set(generated)) == len(generated), "PROV-CONSTRAINTS, unique-generation"
    assert read(write(bundle(graphs), "provn"), "provn") == document


def test_other_kinds_have_a_graph_and_name_the_records_they_are_made_of() -> None:
    first, second = "ab" * 32, "cd" * 32
    record = {
        "sweep_id": "ef" * 32,
        "schema_version": "sweep/1.0",
        "cells": [{"proof_id": first}, {"proof_id": second, "content_hash": "12" * 32}],
        "key_id": "34" * 32,
        "signature": "56" * 32,
    }
    assert mentions(record, "sweep_id") == [first, second]
    graph = provenance_of(record, "sweep", "sweep_id")
    assert set(causes_of(graph, record_node("ef" * 32))) == {record_node(first), record_node(second)}
    document_of(graph)


@pytest.mark.parametrize(
    "own",
    [
        [],
        "x",
        {"entity": []},
        {"used": {"_:u": 7}},
        {"prefix": {"oph": "urn:other:"}},
        {"entity": {"a b": {"prov:type": {"$": "nowhere:x", "type": "xsd:QName"}}}},
        {"entity": {"unbound:x": {}}},
        {"activity": {"oph:a": {"prov:startTime": "yesterday"}}},
    ],
)
def test_hostile_graphs_are_refused_with_a_sentence(own: Any) -> None:
    def use() -> None:
        graph = graph_of({"proof_id": "ab" * 32, "provenance": own or "empty"})
        list(edges(graph))
        write(graph, "provn")

    with pytest.raises(RecordError, match=r"(?i)prov"):
        use()


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.sampled_from(["oph:a", "prov:x", "_:b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["entity", "used", "prov:entity", "prov:activity", "$", "type", "oph:a"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(own=JSONS)
def test_any_section_gives_a_document_or_a_typed_error(own: Any) -> None:
    try:
        graph = graph_of({"proof_id": "ab" * 32, "provenance": own})
        causes_of(graph, record_node("ab" * 32))
        written = write(graph, "json")
    except OphaminError:
        return
    assert read(written, "json")


# --- the command


@pytest.fixture
def call(project: Any, home: Path) -> Any:
    def run(*words: Any) -> Result:
        return CliRunner().invoke(provenance, [str(w) for w in words], obj=project)

    return run


def test_the_command_offers_what_is_written() -> None:
    assert OFFERED == FORMATS


def test_the_command_writes_and_names_the_trusted_person(
    call: Any, made: Any, write_proof: Any, tmp_path: Path
) -> None:
    path = write_proof("a.json", made())
    plain = call(path)
    assert plain.exit_code == 0, plain.output
    assert not [n for n in json.loads(plain.stdout)["agent"] if "person" in n]
    out = tmp_path / "out.provn"
    assert call(path, "--format", "provn", "--out", out, "--report", path).exit_code == 0
    text = out.read_text("utf-8")
    assert text.startswith("document\n")
    assert "oph:report-" in text
    assert "wasDerivedFrom(oph:report-" in text


def test_the_command_refuses_what_is_not_what_was_signed(call: Any, made: Any, write_proof: Any) -> None:
    path = write_proof("a.json", made())
    path.write_text(path.read_text().replace('"VALIDATED"', '"REFUTED"'))
    done = call(path)
    assert getattr(done.exception, "exit_code", None) == 3
    assert done.stdout == ""


def test_one_that_is_not_what_was_signed_is_left_out_and_the_rest_is_served(
    call: Any, made: Any, write_proof: Any
) -> None:
    good, bad = write_proof("a.json", made()), write_proof("b.json", made(revision="r2"))
    bad.write_text(bad.read_text().replace('"VALIDATED"', '"REFUTED"'))
    done = call(bad, good)
    assert done.exit_code == 3
    assert f"tampered, left out: {bad}: id:" in done.stderr
    assert json.loads(done.stdout) == json.loads(call(good).stdout)


def test_a_report_belongs_to_one_proof(call: Any, made: Any, write_proof: Any) -> None:
    paths = [write_proof("a.json", made()), write_proof("b.json", made(revision="r2"))]
    assert isinstance(call(*paths, "--report", paths[0]).exception, UsageError)
    both = json.loads(call(*paths).stdout)
    assert len(both["bundle"]) == 2
    assert isinstance(call(paths[0], "--report", "missing.html").exception, UsageError)


def test_who_is_trusted_is_a_person(call: Any, made: Any, write_proof: Any, home: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    stranger = Keyring(tmp_path / "stranger").signer()
    path = write_proof("a.json", made(), signer=stranger)
    assert "prov:Person" not in call(path).stdout
    Keyring().trust("ada", stranger.public_key)
    agents = json.loads(call(path).stdout)["agent"].values()
    assert [a["prov:label"] for a in agents if a["prov:type"].get("$") == "prov:Person"] == ["ada"]
