"""What a lineage answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Fallen", "Known", "Mark", "Node", "Run"]

JSON = Any
Object = Mapping[str, JSON]


@dataclass(frozen=True)
class Run:
    """Something that was done, with or without a record at its end.

    Args:
        run_id: Its id; that of its record where it left one.
        kind: What sort of run: the kind of its record, ``mlflow``, or as its caller said.
        name: Scenario, or as its caller said.
        started_at: ISO-8601 UTC.
        ended_at: The same, "" while it runs or when nobody said.
        outcome: Of its end, "" before.
        parents: Ids of the runs it belongs to.
        attributes: Plain values.
    """

    run_id: str
    kind: str
    name: str
    started_at: str
    ended_at: str
    outcome: str
    parents: tuple[str, ...]
    attributes: Object


@dataclass(frozen=True)
class Known:
    """A record whose lineage is known.

    Args:
        record_id: Its id.
        kind: Its kind.
        scenario: Of a proof, else "".
        statement: The claim of a proof, else "".
        outcome: Of a verdict, else "".
        created_at: As it says.
        verified: Whether a known signer stood behind it when it was added.
    """

    record_id: str
    kind: str
    scenario: str
    statement: str
    outcome: str
    created_at: str
    verified: bool


@dataclass(frozen=True)
class Node:
    """A thing records rest on: an entity, an activity or an agent of PROV.

    Args:
        node_id: Its id, from content: the same thing has the same id everywhere.
        sort: ``entity``, ``activity`` or ``agent``.
        kind: ``corpus``, ``selection``, ``claim``, ``software``…
        label: What people call it.
        attributes: As in the graph.
    """

    node_id: str
    sort: str
    kind: str
    label: str
    attributes: Object


@dataclass(frozen=True)
class Fallen:
    """A record that rests on a thing.

    Args:
        known: The record.
        node_id: The thing.
        distance: Number of relations between them; one more for every record in between.
    """

    known: Known
    node_id: str
    distance: int


@dataclass(frozen=True)
class Mark:
    """What was last seen of one cause a verdict may go stale by.

    Args:
        cause: ``corpus``, ``code``, ``environment``, ``inputs`` or ``withdrawn``.
        state: ``same``, ``left`` or ``unknown``.
        detail: One sentence.
        seen_at: When.
    """

    cause: str
    state: str
    detail: str
    seen_at: str
