"""A PROV document of 10,000 statements from records, against the same document made by hand with ``prov``.

Both end in the same PROV-JSON. The baseline has its values at hand; ours starts from the records as read.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

from prov.model import ProvDocument

from ophamin.comparing.provenance.documents import document_of, write
from ophamin.comparing.provenance.graph import RELATIONS, SORTS, bundle, provenance_of
from ophamin.proof.provenance import prov_json

STATEMENTS = 10_000
ROUNDS = 7
BAR = 1.5
TIMES = ("prov:startTime", "prov:endTime")


def _record(number: int) -> dict[str, object]:
    when = "2026-01-01T00:00:00+00:00"
    provenance = prov_json(
        claim={"statement": "it is right", "threshold": {"metric": "accuracy", "value": 0.9}},
        plan={"n_planned": 200},
        substrates={"main": {"kind": "mock", "name": "mock", "config_hash": "sha256:aa", "revision": f"r{number}"}},
        datasets=[
            {
                "name": "rows",
                "content_hash": "sha256:bb",
                "n_records": 9,
                "selection": {"content_hash": f"sha256:{number}"},
            }
        ],
        observations={"digest": f"sha256:{number}", "n_rows": 200},
        times=dict.fromkeys(("register", "run", "decide", "sign"), (when, when)),
        software={"ophamin-measuring": "0.1.0", "scipy": "1.15.3"},
        key_id="k1",
    )
    return {
        "proof_id": f"{number:064x}",
        "schema_version": "1.1",
        "provenance": provenance,
        "verdict": {"outcome": "VALIDATED"},
    }


def _ours(records: list[dict[str, object]]) -> bytes:
    return write(bundle({str(r["proof_id"]): provenance_of(r, "proof", "proof_id") for r in records}), "json")


def _by_hand(graph: dict[str, dict[str, dict[str, object]]]) -> str:
    """The calls of prov's own tutorial, one per statement."""
    document = ProvDocument()
    document.add_namespace("oph", "urn:ophamin:")
    for name, stated in graph["entity"].items():
        document.entity(name, _attributes(document, stated))
    for name, part in graph["bundle"].items():
        inside = document.bundle(name)
        inside.add_namespace("oph", "urn:ophamin:")
        for sort in SORTS:
            for item, stated in part[sort].items():
                more = _attributes(inside, stated)
                if sort == "activity":
                    inside.activity(item, stated.get(TIMES[0]), stated.get(TIMES[1]), more)
                else:
                    getattr(inside, sort)(item, more)
        for relation, (effect, cause) in RELATIONS.items():
            for label, pair in part[relation].items():
                add = getattr(inside, {"used": "usage", "wasGeneratedBy": "generation", "wasDerivedFrom": "derivation",
                                       "wasInformedBy": "communication", "wasAssociatedWith": "association",
                                       "wasAttributedTo": "attribution", "actedOnBehalfOf": "delegation"}[relation])  # fmt: skip
                plan = {"plan": pair["prov:plan"]} if "prov:plan" in pair else {}
                add(pair[effect], pair[cause], identifier=label, **plan)
    text = document.serialize(format="json")
    assert isinstance(text, str)
    return text


def _attributes(bundle_: object, stated: dict[str, object]) -> dict[str, object]:
    return {
        name: bundle_.valid_qualified_name(value["$"]) if isinstance(value, dict) else value  # type: ignore[attr-defined]
        for name, value in stated.items()
        if name not in TIMES
    }


def _time(work: Callable[[], object]) -> float:
    gc.collect()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def run() -> list[dict[str, object]]:
    first = provenance_of(_record(0), "proof", "proof_id")
    each = sum(len(first[section]) for section in first if section != "prefix")
    records = [_record(i) for i in range(-(-STATEMENTS // each))]
    graph = bundle({str(r["proof_id"]): provenance_of(r, "proof", "proof_id") for r in records})
    assert ProvDocument.deserialize(content=_by_hand(graph), format="json") == document_of(graph), (
        "not the same document"
    )
    pairs = [(_time(lambda: _ours(records)), _time(lambda: _by_hand(graph))) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in pairs)
    ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    detail = f"{each * len(records):,} statements: {ours:.3f} s, by hand {bare:.3f} s"
    return [
        {
            "name": "PROV document of 10,000 statements",
            "ratio": ratio,
            "bar": f"<= {BAR}",
            "ok": ratio <= BAR,
            "detail": detail,
        }
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
