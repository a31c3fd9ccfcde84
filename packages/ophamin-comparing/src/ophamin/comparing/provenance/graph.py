"""The provenance of a signed record as one PROV-JSON graph.

A proof carries the graph of its making (``ophamin.proof.provenance``), whose ids come from content. That graph cannot
speak of what comes after: the id of the record, which is a hash over the graph too, who stands behind the key, and the
reports made of it. Those are added here; nothing in the record's own graph is changed.

Source: W3C PROV-DM (2013), PROV-JSON (W3C Member Submission, 2013).
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ophamin.proof.canonical import digest
from ophamin.proof.errors import RecordError, UsageError
from ophamin.proof.provenance import NAMESPACE

__all__ = ["RELATIONS", "Edge", "bundle", "causes_of", "edges", "mentions", "provenance_of", "record_node", "report_of"]

JSON = Any
Object = Mapping[str, JSON]

RELATIONS: dict[str, tuple[str, str]] = {
    "used": ("prov:activity", "prov:entity"),
    "wasGeneratedBy": ("prov:entity", "prov:activity"),
    "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
    "wasInformedBy": ("prov:informed", "prov:informant"),
    "wasAssociatedWith": ("prov:activity", "prov:agent"),
    "wasAttributedTo": ("prov:entity", "prov:agent"),
    "actedOnBehalfOf": ("prov:delegate", "prov:responsible"),
}
"""Relations that are read, each with the key of its effect and of its cause."""

SORTS = ("entity", "activity", "agent")
_ID = re.compile(r"[0-9a-f]{64}").fullmatch
_READ_BYTES = 1 << 20


class Edge(NamedTuple):
    """One relation: ``effect`` rests on ``cause``."""

    effect: str
    relation: str
    cause: str


def record_node(record_id: str) -> str:
    """Id of a record in every graph.

    Example:
        >>> record_node("ab" * 32)[:16]
        'oph:record-ababa'
    """
    return f"oph:record-{record_id}"


def report_of(path: Path) -> dict[str, str]:
    """Name and digest of a report's file, as ``provenance_of`` takes it.

    Raises:
        UsageError: It cannot be read.
    """
    hashed = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while part := file.read(_READ_BYTES):
                hashed.update(part)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; give the file of a report") from error
    return {"name": path.name, "digest": f"sha256:{hashed.hexdigest()}"}


def provenance_of(
    record: Object, kind: str, id_field: str, *, person: str = "", reports: Sequence[Mapping[str, str]] = ()
) -> dict[str, JSON]:
    """The graph of a record: its own, and what only its reader knows.

    Args:
        record: As read.
        kind: Name of its kind, e.g. ``proof``.
        id_field: The field of its id.
        person: Whom the reader takes for the holder of the signing key, "" when nobody.
        reports: Files made of it: ``name`` and ``digest`` of each, from ``report_of``.

    Returns:
        A PROV-JSON document of plain values; equal inputs give equal documents.

    Raises:
        RecordError: What the record holds as provenance is no PROV-JSON.

    Example:
        >>> graph = provenance_of({"audit_id": "ab" * 32, "schema_version": "audit/1.2"}, "audit", "audit_id")
        >>> list(graph["entity"])[0] == record_node("ab" * 32)
        True
    """
    graph = _own_graph(record)
    own_proof, own_sign = _first(graph, "entity", "oph:proof-"), _first(graph, "activity", "oph:sign-")
    record_id = str(record.get(id_field, ""))
    node = record_node(record_id)
    stated = {"oph:kind": kind, "oph:record_id": record_id, "oph:schema_version": record.get("schema_version")}
    verdict = record.get("verdict")
    if isinstance(verdict, Mapping):
        stated["oph:outcome"] = verdict.get("outcome")
    _add(graph, "entity", node, "oph:record", {k: v for k, v in stated.items() if isinstance(v, (str, int))})
    if own_proof:
        _relate(graph, "wasDerivedFrom", node, own_proof)
    if own_sign:
        _relate(graph, "wasGeneratedBy", node, own_sign)
    for artifact in _artifacts(record):
        name = _content_node("artifact", artifact)
        _add(graph, "entity", name, "oph:artifact", {f"oph:{k}": v for k, v in artifact.items()})
        run = _first(graph, "activity", "oph:run-")
        if run:
            _relate(graph, "wasGeneratedBy", name, run)
        _relate(graph, "wasDerivedFrom", node, name)
    for other in mentions(record, id_field):
        # The other record's own document says more of it.
        _add(graph, "entity", record_node(other), "oph:record", {"oph:record_id": other})
        _relate(graph, "wasDerivedFrom", node, record_node(other))
    if person:
        _add_person(graph, node, person)
    for report in reports:
        name = _content_node("report", report)
        _add(graph, "entity", name, "oph:report", {f"oph:{k}": v for k, v in report.items()})
        _relate(graph, "wasDerivedFrom", name, node)
    return graph


def bundle(graphs: Mapping[str, Object]) -> dict[str, JSON]:
    """Several graphs as one document: a PROV bundle each.

    Two runs of one plan say of the same plan that they generated it; inside one graph PROV would make that a
    contradiction (PROV-CONSTRAINTS, unique-generation), in bundles it is two accounts.

    Args:
        graphs: Record id → its graph.
    """
    names = {f"oph:provenance-{record_id}": record_id for record_id in graphs}
    return {
        "prefix": {"oph": NAMESPACE},
        "entity": {
            name: {"prov:type": _name("prov:Bundle"), "oph:record_id": record_id} for name, record_id in names.items()
        },
        "bundle": {name: dict(graphs[record_id]) for name, record_id in names.items()},
    }


def edges(graph: Object) -> Iterator[Edge]:
    """Every relation of a graph that leads from one of its ids to another.

    Raises:
        RecordError: A relation is not shaped as PROV-JSON has it.
    """
    for relation, (effect, cause) in RELATIONS.items():
        for entry in _section(graph, relation).values():
            # PROV-JSON allows a list where several relations have no id of their own.
            for pair in entry if isinstance(entry, list) else [entry]:
                if not isinstance(pair, Mapping):
                    raise RecordError(f"its provenance is no PROV-JSON: a {relation} is not an object")
                first, second = pair.get(effect), pair.get(cause)
                if isinstance(first, str) and isinstance(second, str):
                    yield Edge(first, relation, second)


def causes_of(graph: Object, node: str) -> dict[str, int]:
    """Everything a node of a graph rests on, directly or not.

    Returns:
        Id → the least number of relations between it and ``node``, which itself is left out.
    """
    causes: dict[str, list[str]] = {}
    for edge in edges(graph):
        causes.setdefault(edge.effect, []).append(edge.cause)
    found = {node: 0}
    todo = [node]
    for here in todo:  # grows while it is walked: breadth first
        for cause in causes.get(here, ()):
            if cause not in found:
                found[cause] = found[here] + 1
                todo.append(cause)
    del found[node]
    return found


def mentions(record: Object, id_field: str) -> list[str]:
    """Ids of other records a record is made of, where its kind keeps them: ``…_id``, ``…_ids``, ``lineage_chain``.

    Hashes of content, keys and signatures look like ids and are none.
    """
    found: dict[str, None] = {}
    todo: list[tuple[str, JSON]] = [("", {k: v for k, v in record.items() if k not in (id_field, "provenance")})]
    while todo:
        key, value = todo.pop()
        if isinstance(value, Mapping):
            todo += [(str(name), item) for name, item in value.items()]
        elif isinstance(value, list):
            todo += [(key, item) for item in value]
        elif isinstance(value, str) and _ID(value) and _names_records(key):
            found[value] = None
    found.pop(str(record.get(id_field, "")), None)
    return sorted(found)


def _names_records(key: str) -> bool:
    return key == "lineage_chain" or (key.endswith(("_id", "_ids")) and key not in ("log_id", "key_id"))


def _own_graph(record: Object) -> dict[str, JSON]:
    stated = record.get("provenance") or {}
    if not isinstance(stated, Mapping):
        raise RecordError("its provenance is no PROV-JSON: it is not an object")
    graph: dict[str, JSON] = copy.deepcopy(dict(stated))
    prefix = dict(_section(graph, "prefix"))
    if prefix.setdefault("oph", NAMESPACE) != NAMESPACE:
        raise RecordError(f"its provenance binds the prefix oph to {prefix['oph']!r:.60}, not to {NAMESPACE}")
    graph["prefix"] = prefix
    for name in (*SORTS, *RELATIONS):
        graph[name] = dict(_section(graph, name))
    return graph


def _section(graph: Object, name: str) -> Mapping[str, JSON]:
    section = graph.get(name, {})
    if not isinstance(section, Mapping):
        raise RecordError(f"its provenance is no PROV-JSON: {name} is not an object")
    return section


def _artifacts(record: Object) -> Iterator[dict[str, str]]:
    how = record.get("reproduction")
    listed = how.get("artifacts") if isinstance(how, Mapping) else None
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, Mapping):
            yield {
                k: v for k, v in sorted(entry.items()) if k in ("name", "media_type", "digest") and isinstance(v, str)
            }


def _add_person(graph: dict[str, JSON], node: str, person: str) -> None:
    who = _content_node("person", person)
    _add(graph, "agent", who, "prov:Person", {"prov:label": person})
    _relate(graph, "wasAttributedTo", node, who)
    key = _first(graph, "agent", "oph:key-")
    if key:
        _relate(graph, "actedOnBehalfOf", key, who)


def _content_node(kind: str, content: JSON) -> str:
    return f"oph:{kind}-{digest(content).removeprefix('sha256:')[:32]}"


def _name(text: str) -> dict[str, str]:
    return {"$": text, "type": "prov:QUALIFIED_NAME"}


def _first(graph: Object, sort: str, start: str) -> str:
    return next((name for name in graph[sort] if name.startswith(start)), "")


def _add(graph: dict[str, JSON], sort: str, name: str, kind: str, attributes: Object) -> None:
    graph[sort].setdefault(name, {"prov:type": _name(kind), **attributes})


def _relate(graph: dict[str, JSON], relation: str, effect: str, cause: str) -> None:
    number = len(graph[relation]) + 1
    while (label := f"_:{relation}{number}") in graph[relation]:
        number += 1
    graph[relation][label] = dict(zip(RELATIONS[relation], (effect, cause), strict=True))
