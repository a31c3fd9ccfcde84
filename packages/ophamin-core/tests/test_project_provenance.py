"""Provenance against the structural rules of PROV-JSON (every reference leads somewhere, of the right sort)."""

from __future__ import annotations

import json

import pytest

from ophamin.proof.errors import RecordError
from ophamin.proof.provenance import ACTIVITIES, NAMESPACE, prov_json

SORTS = {
    "used": {"prov:activity": "activity", "prov:entity": "entity"},
    "wasGeneratedBy": {"prov:entity": "entity", "prov:activity": "activity"},
    "wasDerivedFrom": {"prov:generatedEntity": "entity", "prov:usedEntity": "entity"},
    "wasInformedBy": {"prov:informed": "activity", "prov:informant": "activity"},
    "wasAssociatedWith": {"prov:activity": "activity", "prov:agent": "agent"},
    "wasAttributedTo": {"prov:entity": "entity", "prov:agent": "agent"},
    "actedOnBehalfOf": {"prov:delegate": "agent", "prov:responsible": "agent"},
}


def inputs(**more):
    return {
        "claim": {"statement": "it is <right>", "threshold": {"metric": "accuracy", "value": 0.9}},
        "plan": {"n_planned": 200},
        "substrates": {"main": {"kind": "mock", "name": "mock", "config_hash": "sha256:aa", "revision": ""}},
        "datasets": [
            {"name": "rows", "content_hash": "sha256:bb", "n_records": 9, "selection": {"content_hash": "sha256:cc"}},
            {"name": "whole", "content_hash": "sha256:dd", "n_records": 9, "selection": None},
        ],
        "observations": {"digest": "sha256:ee", "n_rows": 200},
        "times": {
            "register": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
            "run": ("2026-01-01T00:00:01Z", "2026-01-01T00:01:00Z"),
            "decide": ("2026-01-01T00:01:00Z", ""),
        },
        "software": {"ophamin-measuring": "0.1.0", "scipy": "1.15.3"},
        "key_id": "k1",
        "registration": {"log_id": "l", "index": 4},
        **more,
    }


def check(document):
    assert json.loads(json.dumps(document)) == document, "plain values only"
    assert document["prefix"] == {"oph": NAMESPACE}
    names = [name for sort in ("entity", "activity", "agent") for name in document[sort]]
    assert len(set(names)) == len(names), "no id stands for two things"
    for name in names:
        assert name.startswith("oph:")
    for relation, ends in SORTS.items():
        for label, pair in document[relation].items():
            assert label.startswith("_:")
            assert set(pair) - {"prov:plan"} == set(ends)
            assert pair.get("prov:plan") in {None, *of(document, "entity", "plan")}
            for end, sort in ends.items():
                assert pair[end] in document[sort], f"{relation} {label} points nowhere"
    generated = [pair["prov:entity"] for pair in document["wasGeneratedBy"].values()]
    assert len(set(generated)) == len(generated), "an entity is generated once"
    for activity in document["activity"].values():
        times = [activity.get("prov:startTime"), activity.get("prov:endTime")]
        assert "" not in times
    for sort in ("entity", "activity", "agent"):
        for attributes in document[sort].values():
            for value in attributes.values():
                typed = isinstance(value, dict) and set(value) == {"$", "type"}
                assert typed or isinstance(value, (str, int, float)), "an attribute is a literal"


def of(document, sort, kind):
    return [name for name in document[sort] if name.startswith(f"oph:{kind}-")]


def test_the_whole_road_is_there():
    document = prov_json(**inputs())
    check(document)
    for kind, count in {"claim": 1, "plan": 1, "corpus": 2, "selection": 1, "observations": 1, "proof": 1}.items():
        assert len(of(document, "entity", kind)) == count, kind
    [register], [run], [decide], [sign] = (of(document, "activity", name) for name in ACTIVITIES)
    [proof] = of(document, "entity", "proof")
    [claim] = of(document, "entity", "claim")
    assert {"prov:entity": proof, "prov:activity": decide} in document["wasGeneratedBy"].values()
    assert {"prov:activity": sign, "prov:entity": proof} in document["used"].values()
    assert {"prov:informed": run, "prov:informant": register} in document["wasInformedBy"].values()
    assert len(document["wasInformedBy"]) == 3
    assert document["entity"][claim]["prov:label"] == "it is <right>"
    assert document["activity"][run]["prov:endTime"] == "2026-01-01T00:01:00Z"
    assert "prov:endTime" not in document["activity"][decide]
    [key] = of(document, "agent", "key")
    assert {"prov:activity": sign, "prov:agent": key} in document["wasAssociatedWith"].values()
    versions = {a["prov:label"]: a["oph:version"] for a in document["agent"].values() if "prov:label" in a}
    assert versions == {"ophamin-measuring": "0.1.0", "scipy": "1.15.3"}
    taking_part = list(document["wasAssociatedWith"].values())
    assert len(taking_part) == 4 + 1 + 1
    [plan] = of(document, "entity", "plan")
    followed = {pair["prov:activity"] for pair in taking_part if pair.get("prov:plan") == plan}
    assert followed == {run, decide}
    tool = document["wasAssociatedWith"]["_:wasAssociatedWith1"]["prov:agent"]
    assert {"prov:delegate": tool, "prov:responsible": key} in document["actedOnBehalfOf"].values()
    said = [pair["prov:agent"] for pair in document["wasAttributedTo"].values() if pair["prov:entity"] == proof]
    assert said == [tool, key]


def test_the_proof_is_derived_from_everything_it_rests_on():
    document = prov_json(**inputs())
    sources = {}
    for pair in document["wasDerivedFrom"].values():
        sources.setdefault(pair["prov:generatedEntity"], set()).add(pair["prov:usedEntity"])
    [proof] = of(document, "entity", "proof")
    reached, todo = set(), [proof]
    while todo:
        new = sources.get(todo.pop(), set()) - reached
        reached |= new
        todo += new
    assert reached == set(document["entity"]) - {proof}


def test_ids_come_from_content():
    first = prov_json(**inputs())
    assert prov_json(**inputs()) == first
    other = prov_json(**inputs(observations={"digest": "sha256:ff"}))
    assert of(other, "entity", "claim") == of(first, "entity", "claim")
    assert of(other, "entity", "observations") != of(first, "entity", "observations")
    assert of(other, "entity", "proof") != of(first, "entity", "proof")
    assert of(other, "activity", "run") != of(first, "activity", "run")


def test_the_least_there_can_be_is_still_a_document():
    check(prov_json(claim={}, plan={}, substrates={}, datasets=[], observations={}, times={}, software={}))


def test_what_is_not_json_is_refused():
    with pytest.raises(RecordError):
        prov_json(**inputs(plan={"n": float("nan")}))


@pytest.mark.parametrize(
    "plain", [{}, {"a": None}, {"a": ""}, {"": "x"}, {"a": 1, "b": True, "c": 0.5}, {"é": "\N{SNOWMAN}"}]
)
@pytest.mark.parametrize("datasets", [[], [{}], [{"name": "a"}, {"name": "a"}], [{"selection": {"n": 1}}]])
def test_any_input_gives_a_sound_document(plain, datasets):
    arms = {"": plain, "main": plain}
    check(prov_json(**inputs(claim=plain, plan=plain, datasets=datasets, substrates=arms, observations=plain)))
