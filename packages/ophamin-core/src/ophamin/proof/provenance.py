"""Where a proof came from, as W3C PROV-JSON.

Source: W3C Member Submission "The PROV-JSON Serialization" (2013) and PROV-DM. Written with the
standard library alone; any PROV library reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.types import to_json

__all__ = ["ACTIVITIES", "NAMESPACE", "prov_json"]

JSON = Any
NAMESPACE = "urn:ophamin:"
ACTIVITIES = ("register", "run", "decide", "sign")
"""What happens to a claim, in this order; each is informed by the one before."""

_ENDS = {
    "used": ("prov:activity", "prov:entity"),
    "wasGeneratedBy": ("prov:entity", "prov:activity"),
    "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
    "wasInformedBy": ("prov:informed", "prov:informant"),
    "wasAssociatedWith": ("prov:activity", "prov:agent"),
    "wasAttributedTo": ("prov:entity", "prov:agent"),
    "actedOnBehalfOf": ("prov:delegate", "prov:responsible"),
}


def prov_json(
    *,
    claim: Mapping[str, JSON],
    plan: Mapping[str, JSON],
    substrates: Mapping[str, Mapping[str, JSON]],
    datasets: Sequence[Mapping[str, JSON]],
    observations: Mapping[str, JSON],
    times: Mapping[str, tuple[str, str]],
    software: Mapping[str, str],
    key_id: str = "",
    registration: Mapping[str, JSON] | None = None,
) -> dict[str, JSON]:
    """The provenance section of a proof.

    Ids are derived from content: the same inputs give the same document on every machine. The proof
    entity's id cannot be the proof's own, which is a hash over this document too; it comes from claim,
    plan, registration and observations.

    Args:
        claim: The claim as plain values; ``statement`` becomes its label.
        plan: The registered plan as plain values.
        substrates: Arm name → identity (``kind``, ``name``, ``config_hash``, ``revision``).
        datasets: The record's ``data.datasets``; a ``selection`` in one becomes an entity of its own.
        observations: The record's ``data.observations``.
        times: Activity (of ``ACTIVITIES``) → its start and end, ISO-8601 UTC; an activity may be missing.
        software: Distribution → installed version. The first is the tool, which takes part in every
            activity; the others computed, so they take part in ``decide``.
        key_id: Id of the signing key; "" when not known yet.
        registration: The record's ``preregistration.ledger``.

    Returns:
        A PROV-JSON document of plain values.

    Raises:
        RecordError: An argument holds what canonical JSON cannot.

    Example:
        >>> document = prov_json(
        ...     claim={"statement": "it is fast"}, plan={"n_planned": 29}, substrates={}, datasets=[],
        ...     observations={"digest": "sha256:00"}, times={}, software={"ophamin-core": "0.1.0"},
        ... )
        >>> sorted(document["activity"])[0].startswith("oph:decide-")
        True
    """
    document = _Document()
    claim_id = document.entity("claim", claim, {"prov:label": str(claim.get("statement", ""))})
    plan_id = document.entity("plan", plan, {"prov:type": _name("prov:Plan")})
    seen_id = document.entity("observations", observations, _scalars(observations))
    run = [digest(to_json(x)) for x in (claim, plan, observations, registration or {})]
    proof_id = document.entity("proof", run, {})

    activity = {}
    for name in ACTIVITIES:
        start, end = times.get(name, ("", ""))
        activity[name] = document.activity(name, run, start, end)
    for earlier, later in pairwise(ACTIVITIES):
        document.relate("wasInformedBy", activity[later], activity[earlier])

    document.relate("used", activity["register"], claim_id)
    document.relate("wasGeneratedBy", plan_id, activity["register"])
    document.relate("wasDerivedFrom", plan_id, claim_id)
    document.relate("used", activity["run"], plan_id)
    for dataset in datasets:
        selection = dataset.get("selection")
        whole = {k: v for k, v in dataset.items() if k != "selection"}
        source_id = document.entity("corpus", whole, _scalars(whole))
        if selection:
            corpus_id, source_id = source_id, document.entity("selection", [whole, selection], _scalars(selection))
            document.relate("wasDerivedFrom", source_id, corpus_id)
            document.relate("wasGeneratedBy", source_id, activity["register"])
            document.relate("used", activity["register"], corpus_id)
        document.relate("used", activity["run"], source_id)
        document.relate("wasDerivedFrom", seen_id, source_id)
    for arm, identity in substrates.items():
        substrate_id = document.entity("substrate", [arm, identity], {"oph:arm": arm, **_scalars(identity)})
        document.relate("used", activity["run"], substrate_id)
        document.relate("wasDerivedFrom", seen_id, substrate_id)
    document.relate("wasGeneratedBy", seen_id, activity["run"])
    for source_id in (claim_id, plan_id, seen_id):
        document.relate("used", activity["decide"], source_id)
        document.relate("wasDerivedFrom", proof_id, source_id)
    document.relate("wasGeneratedBy", proof_id, activity["decide"])
    document.relate("used", activity["sign"], proof_id)

    tool_id = ""
    for number, (name, version) in enumerate(software.items()):
        attributes = {"prov:type": _name("prov:SoftwareAgent"), "prov:label": name, "oph:version": version}
        agent_id = document.agent("software", [name, version], attributes)
        tool_id = tool_id or agent_id
        for taking_part in ACTIVITIES if number == 0 else ("decide",):
            # What takes part once the plan stands follows it.
            followed = {} if taking_part in ("register", "sign") else {"prov:plan": plan_id}
            document.relate("wasAssociatedWith", activity[taking_part], agent_id, followed)
    if tool_id:
        document.relate("wasAttributedTo", proof_id, tool_id)
    if key_id:
        key = document.agent("key", key_id, {"oph:key_id": key_id})
        document.relate("wasAssociatedWith", activity["sign"], key)
        document.relate("wasAttributedTo", proof_id, key)
        if tool_id:
            document.relate("actedOnBehalfOf", tool_id, key)
    return document.value


def _name(text: str) -> dict[str, str]:
    return {"$": text, "type": "prov:QUALIFIED_NAME"}


def _scalars(values: Mapping[str, JSON]) -> dict[str, JSON]:
    """The plain values of a mapping as attributes; PROV has no nested ones."""
    return {f"oph:{k}": v for k, v in values.items() if isinstance(v, (str, int, float)) and v != ""}


class _Document:
    """A PROV-JSON document under construction; the same thing said twice is said once."""

    def __init__(self) -> None:
        self.value: dict[str, JSON] = {"prefix": {"oph": NAMESPACE}, "entity": {}, "activity": {}, "agent": {}}
        self.value.update({relation: {} for relation in _ENDS})

    def _add(self, section: str, kind: str, content: JSON, attributes: Mapping[str, JSON]) -> str:
        name = f"oph:{kind}-{digest(to_json(content)).removeprefix('sha256:')[:32]}"
        self.value[section][name] = {"prov:type": _name(f"oph:{kind}"), **attributes}
        return name

    def entity(self, kind: str, content: JSON, attributes: Mapping[str, JSON]) -> str:
        return self._add("entity", kind, content, attributes)

    def agent(self, kind: str, content: JSON, attributes: Mapping[str, JSON]) -> str:
        return self._add("agent", kind, content, attributes)

    def activity(self, kind: str, content: JSON, start: str, end: str) -> str:
        times = {"prov:startTime": start, "prov:endTime": end}
        return self._add("activity", kind, [kind, content], {k: v for k, v in times.items() if v})

    def relate(self, relation: str, first: str, second: str, more: Mapping[str, str] | None = None) -> None:
        pair = {**dict(zip(_ENDS[relation], (first, second), strict=True)), **(more or {})}
        if pair not in self.value[relation].values():
            self.value[relation][f"_:{relation}{len(self.value[relation]) + 1}"] = pair
