"""What a record is bound to outside itself: its place in the ledger, and its observations."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ophamin.proof.canonical import canonical_bytes, digest
from ophamin.proof.merkle import Frontier, leaf_hash, verify_inclusion
from ophamin.proof.reading import parse

if TYPE_CHECKING:
    from ophamin.proof.signed import SignedRecord

__all__ = ["OBSERVATIONS", "Finding", "check_ledger", "check_observations", "check_selection"]

JSON = Any
OBSERVATIONS = "observations.jsonl.gz"

_MAX_ROW_BYTES = 64 << 20


@dataclass(frozen=True)
class Finding:
    """The answer of one check.

    Args:
        name: Which check.
        state: ``good``, ``bad`` or ``could not be checked``.
        detail: One sentence.
    """

    name: str
    state: Literal["good", "bad", "could not be checked"]
    detail: str = ""


def check_ledger(record: SignedRecord, ledger: JSON = None) -> list[Finding]:
    """Whether the record's inclusion path leads to its root, and, given the ledger, whether that agrees.

    Args:
        record: A record that fits its schema.
        ledger: An ``ophamin.proof.ledger.Ledger``, or ``None``.

    Returns:
        Nothing for a record that speaks of no ledger, else one finding.
    """
    registered = record.object.get("preregistration")
    place = registered.get("ledger") if isinstance(registered, dict) else None
    if not isinstance(registered, dict) or not isinstance(place, dict) or not place:
        # Records from before the ledger have no attempt to count.
        if isinstance(registered, dict) and "attempt" in registered:
            return [Finding("ledger", "could not be checked", "it names no place in a ledger")]
        return []
    try:
        included = verify_inclusion(
            place["leaf_hash"], place["index"], place["tree_size"], place["path"], place["root_hash"]
        )
    except KeyError as missing:
        return [Finding("ledger", "bad", f"its place in the ledger has no {missing.args[0]}")]
    except TypeError:
        return [Finding("ledger", "bad", "its index and tree size are not integers")]
    if not included:
        return [Finding("ledger", "bad", "the inclusion path does not lead to the stated root")]
    if ledger is None:
        found = f"leaf {place['index']} leads to the stated root of {place['tree_size']}"
        return [Finding("ledger", "could not be checked", f"{found}, but the ledger itself was not looked at")]
    problems = list(_disagreements(record, registered, place, ledger))
    if problems:
        return [Finding("ledger", "bad", "; ".join(problems))]
    return [Finding("ledger", "good", f"leaf {place['index']} of the ledger registers it, and an outcome names it")]


def _disagreements(
    record: SignedRecord, registered: Mapping[str, JSON], place: Mapping[str, JSON], ledger: JSON
) -> Iterator[str]:
    if place.get("log_id") != ledger.log_id:
        yield f"it was registered in the log {place.get('log_id')!r:.80}, not in {ledger.log_id!r:.80}"
        return
    leaf, outcomes, earlier = None, [], []
    for entry in ledger.entries():
        if entry.index == place["index"]:
            leaf = entry
        elif entry.value.get("type") == "outcome" and entry.value.get("registration") == place["index"]:
            outcomes.append(entry.value)
        elif entry.value.get("type") == "registration" and entry.index < place["index"]:
            earlier.append(entry)
    if leaf is None or leaf.leaf_hash != place["leaf_hash"] or leaf.value.get("type") != "registration":
        yield f"leaf {place['index']} of the ledger is not its registration"
        return
    for name in ("alpha_used", "attempt", "seed", "claim_hash", "config_hash", "data_hash"):
        if name in leaf.value and name in registered and not _same(leaf.value[name], registered[name]):
            yield f"{name} is {registered[name]!r:.80}, but was registered as {leaf.value[name]!r:.80}"
    selected = _selection(record)
    if selected and leaf.value.get("selection_hash") not in (None, selected):
        yield "its selection is not the one that was registered"
    if not any(value.get("proof_id") == record.id for value in outcomes):
        yield "no outcome in the ledger names this record"
    else:
        named = [value for value in outcomes if value.get("proof_id") == record.id]
        logged = [value["signature"] for value in named if "signature" in value]
        if logged and record.object.get("signature") not in logged:
            yield "its signature is not the one the ledger has of it"
        decided = record.object.get("verdict", {}).get("outcome")
        if not any(value.get("proof_id") == record.id and value.get("outcome") == decided for value in outcomes):
            yield f"its outcome is {decided}, but the ledger says otherwise"
    if (record.object.get("claim", {}).get("decision") or {}).get("rule") == "exact":
        return  # the whole target is measured every time
    selection, attempt = leaf.value.get("selection_hash"), leaf.value.get("attempt", 0)
    for entry in earlier:
        same_claim = entry.value.get("attempt_key") == leaf.value.get("attempt_key")
        # A registration that measured nothing is no attempt, and the next one keeps its number.
        counted = entry.value.get("attempt", 0) < attempt and _same_corpus(entry.value, leaf.value)
        if selection and same_claim and counted and entry.value.get("selection_hash") == selection:
            yield f"its selection is that of the earlier attempt at leaf {entry.index}, not fresh records"


def _same_corpus(left: Mapping[str, JSON], right: Mapping[str, JSON]) -> bool:
    """Whether two registrations speak of one corpus: the same bytes, or the same place though it has grown."""
    return any(left.get(name) == right.get(name) for name in ("data_hash", "source"))


def _selection(record: SignedRecord) -> JSON:
    """Digest of the ids selected from the first dataset, where it is stated."""
    datasets = record.object.get("data", {}).get("datasets") or [{}]
    return (datasets[0].get("selection") or {}).get("content_hash")


def _not_reached(record: SignedRecord) -> list[str]:
    datasets = record.object.get("data", {}).get("datasets") or [{}]
    return (datasets[0].get("selection") or {}).get("not_reached") or []


def _sequential(record: SignedRecord) -> bool:
    return bool((record.object.get("claim", {}).get("decision") or {}).get("rule") == "sequential")


def _same(left: JSON, right: JSON) -> bool:
    return canonical_bytes(left) == canonical_bytes(right)


def check_observations(record: SignedRecord, path: Path | None = None) -> list[Finding]:
    """Whether the stored observations are those the record was signed with.

    Args:
        record: A record that fits its schema.
        path: The gzipped rows; default: beside the record, if it was read from a file.

    Returns:
        Nothing for a record without observations, else one finding.
    """
    data = record.object.get("data")
    stated = data.get("observations") if isinstance(data, dict) else None
    if not isinstance(stated, dict) or not stated.get("digest"):
        return []
    if path is None and record.path is not None:
        path = record.path.with_name(OBSERVATIONS)
    if path is None or not path.exists():
        return [Finding("observations", "could not be checked", f"there is no {OBSERVATIONS} beside the record")]
    limit = stated.get("n_rows")
    try:
        sha, root, rows = _digest(path, limit)
    except (OSError, EOFError, zlib.error) as error:
        return [Finding("observations", "bad", f"{path.name} cannot be unpacked: {error}")]
    if limit is not None and rows != limit:
        return [
            Finding("observations", "bad", f"{path.name} has {'more' if rows > limit else 'fewer'} rows than stated")
        ]
    if sha != str(stated["digest"]).removeprefix("sha256:"):
        return [Finding("observations", "bad", f"{path.name} is not what the record was signed with")]
    if stated.get("merkle_root") not in (None, root):
        return [Finding("observations", "bad", f"the rows of {path.name} do not lead to the stated Merkle root")]
    try:
        wrong = _against_rows(record, path)
    except (ValueError, LookupError, TypeError) as error:
        return [Finding("observations", "could not be checked", f"rows of another form: {error}")]
    if wrong:
        return [Finding("observations", "bad", wrong)]
    return [Finding("observations", "good", f"{rows} rows with the stated digest")]


def _against_rows(record: SignedRecord, path: Path) -> str:
    """What the record says of its rows and the rows do not show, or ""."""
    ids: dict[str, None] = {}
    statuses = []
    for line in _rows(path):
        row = parse(line)
        ids[row["record"]] = None
        statuses.append(row["status"])
    selected = _selection(record)
    # A sequential run that stopped early measured the first of its records, and names the others.
    left = _not_reached(record) if _sequential(record) else []
    if selected and digest([*ids, *left]) != selected:
        return "the rows are not of the records that were selected"
    used, ok = record.object["verdict"].get("n_used"), statuses.count("ok")
    return f"n_used is {used}, but only {ok} rows are ok" if used is not None and used > ok else ""


def _rows(path: Path) -> Iterator[bytes]:
    """The unpacked rows with their newlines; a row no honest file has ends the reading."""
    import gzip  # only a record that stands beside its observations needs it

    with gzip.open(path) as stream:
        while line := stream.readline(_MAX_ROW_BYTES + 1):
            if len(line) > _MAX_ROW_BYTES:
                raise OSError(f"a row of more than {_MAX_ROW_BYTES} bytes")
            yield line


def _digest(path: Path, limit: int | None) -> tuple[str, str, int]:
    """SHA-256, Merkle root and number of the rows; stops early where no honest file goes on."""
    sha, tree = hashlib.sha256(), Frontier()
    for line in _rows(path):
        if limit is not None and tree.size == limit:
            return "", "", limit + 1
        sha.update(line)
        tree.push(leaf_hash(line))
    return sha.hexdigest(), tree.root, tree.size


def check_selection(record: SignedRecord, ledger: JSON, store: JSON) -> list[Finding]:
    """Whether none of the records measured was measured by an earlier attempt at the same claim.

    Args:
        record: A record with its observations beside it.
        ledger: The ledger it was registered in.
        store: The ``ophamin.proof.store.Store`` that holds the proofs of earlier attempts.

    Returns:
        Nothing for a first attempt or under rule ``exact`` (the whole target is measured every time), else one
        finding.
    """
    registered = record.object.get("preregistration") or {}
    exact = (record.object.get("claim", {}).get("decision") or {}).get("rule") == "exact"
    if exact or not registered.get("ledger") or registered.get("attempt", 1) < 2 or record.path is None:
        return []
    own = ledger.entry(registered["ledger"]["index"]).value
    earlier = [
        attempt
        for attempt in ledger.attempts(own.get("attempt_key", ""))
        if attempt.value.get("attempt", 0) < own.get("attempt", 0) and _same_corpus(attempt.value, own)
    ]
    missing = 0
    try:
        mine = _measured(record.path.with_name(OBSERVATIONS))
        for attempt in earlier:
            proof_id = (attempt.outcome_value or {}).get("proof_id")
            if not proof_id:
                missing += 1
                continue
            again = mine & _measured(store.path(proof_id).with_name(OBSERVATIONS))
            if again:
                seen = f"{len(again)} of its records were measured by attempt {attempt.value['attempt']} already"
                return [Finding("selection", "bad", seen)]
    except (LookupError, ValueError, OSError, EOFError, zlib.error) as error:
        return [Finding("selection", "could not be checked", f"observations of an attempt are not at hand: {error}")]
    if missing:
        return [Finding("selection", "could not be checked", f"{missing} earlier attempts left no proof")]
    return [Finding("selection", "good", f"none of its records was measured by the {len(earlier)} earlier attempts")]


def _measured(path: Path) -> set[str]:
    return {parse(line)["record"] for line in _rows(path)}
