"""Reading any record by the kinds that are installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ophamin.proof
from ophamin import registry
from ophamin.proof.errors import PluginLoadError, RecordError, UnknownRecord, UnsupportedVersion
from ophamin.proof.kinds import PROOF

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def _only_core(monkeypatch):
    """Other wheels may be installed or not; these tests see core's kind and one that is broken."""

    def get(name):
        if name == "broken":
            raise PluginLoadError("the record kind 'broken' of elsewhere 1.0 does not load")
        return {"proof": PROOF}[name]

    monkeypatch.setattr(registry.records, "names", lambda: ["broken", "proof"])
    monkeypatch.setattr(registry.records, "get", get)


def test_a_broken_kind_breaks_no_other():
    record = registry.read_record(GOLDEN / "proof-1.1.json")
    assert record.kind is PROOF


def test_what_no_kind_reads_names_the_kind_that_was_not_asked(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"other_id": "1", "schema_version": "1.0"}')
    with pytest.raises(RecordError, match="elsewhere"):
        registry.read_record(path)
    path.write_text(json.dumps({"proof_id": "1", "schema_version": "3.0"}))
    with pytest.raises(UnsupportedVersion, match="upgrade"):
        registry.read_record(path)
    with pytest.raises(UnknownRecord):
        registry.read_record(tmp_path / "absent.json")


def test_the_proof_kind_is_installed_by_core(monkeypatch):
    monkeypatch.undo()
    assert registry.records.get("proof") is PROOF
    assert registry.records.origin("proof").startswith("ophamin-core ")


def test_every_public_name_of_the_room_is_there():
    for name in ophamin.proof.__all__:
        assert getattr(ophamin.proof, name) is not None
    assert set(ophamin.proof.__all__) <= set(dir(ophamin.proof))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ophamin.proof.nonsense  # noqa: B018
