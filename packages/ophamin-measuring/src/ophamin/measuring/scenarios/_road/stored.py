"""What a stored proof says of its run: how it was asked for, and its rows. A record may be anybody's, so nothing is
taken for granted but what its schema holds."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.measuring.scenarios._road.journal import parse_rows
from ophamin.proof.errors import IntegrityError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import SignedRecord, Verification, read, verify
from ophamin.protocols import RunSpec

__all__ = ["OBSERVATIONS", "open_proof", "spec_of", "stored_rows"]

JSON = Any
OBSERVATIONS = "observations.jsonl.gz"
_STATUSES = ("ok", "error", "unmeasured")


def open_proof(path: Path | str, otherwise: str) -> tuple[SignedRecord, Verification]:
    """Read and verify a proof whose run is to be looked at again.

    Args:
        path: Its ``record.json``.
        otherwise: What was not done where it is bad, for the message.

    Raises:
        IntegrityError: It, or the observations beside it, is not what was signed.
        UsageError: It does not say how it was run, or its observations are not there.
    """
    record = read(path, [registry.records.get("proof")])
    found = verify(record, Keyring())
    for check in found.checks:
        if check.state == "bad":
            raise IntegrityError(f"{path}: {check.name} is bad: {check.detail}; {otherwise}")
    stated = record.object["data"].get("observations") or {}
    if "values_digest" not in stated or "run_spec" not in record.object["reproduction"]:
        raise UsageError(
            f"{path} does not say how to run it again (records from 1.1 on do); run its claim anew with ophamin run"
        )
    return record, found


_SPEC: Mapping[str, Callable[[JSON], bool]] = {
    "scenario": lambda v: isinstance(v, str),
    "arms": lambda v: _texts(v),
    "corpus": lambda v: isinstance(v, str),
    "options": lambda v: isinstance(v, dict),
    "fields": lambda v: _texts(v),
    "n": lambda v: v is None or _integer(v),
    "seed": lambda v: v is None or _integer(v),
    "rule": lambda v: isinstance(v, str),
    "instruments": lambda v: isinstance(v, list) and all(isinstance(name, str) for name in v),
    "alpha": lambda v: _integer(v) or isinstance(v, float),
    "attempts": lambda v: _integer(v),
    "error_policy": lambda v: isinstance(v, str),
    "timeout_s": lambda v: _integer(v) or isinstance(v, float),
    "own_records": lambda v: isinstance(v, bool),
}


def _integer(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: JSON) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def spec_of(record: SignedRecord) -> RunSpec:
    """How a proof was asked for.

    Raises:
        UsageError: In words this version does not know, or that make no sense.
    """
    words = record.object["reproduction"]["run_spec"]
    if not isinstance(words, dict) or not {"scenario", "arms"} <= set(words):
        raise UsageError(f"{record.path}: its run_spec names no scenario and arms, so nothing says how it was run")
    if newer := sorted(set(words) - set(_SPEC)):
        raise UsageError(
            f"{record.path} was run with {', '.join(newer)}, which this version does not know; upgrade ophamin"
        )
    if wrong := [name for name, value in words.items() if not _SPEC[name](value)]:
        raise UsageError(f"{record.path}: {', '.join(wrong)} of its run_spec is of another type than any run has")
    return RunSpec(**words)


def stored_rows(record: SignedRecord) -> list[dict[str, JSON]]:
    """The rows a verified proof was decided from; its digest was compared when it was verified.

    Raises:
        UsageError: They are not there, or of a form this version does not know.
    """
    assert record.path is not None
    beside = record.path.with_name(OBSERVATIONS)
    try:
        rows = parse_rows(gzip.decompress(beside.read_bytes()))
    except FileNotFoundError:
        raise UsageError(f"{beside} is missing; without its observations nothing can be compared") from None
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise UsageError(f"{beside} cannot be read: {error}") from None
    for row in rows:
        if not _is_row(row):
            raise UsageError(f"{beside} has rows of a form this version does not know")
    return rows


def _is_row(row: JSON) -> bool:
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(name), str) for name in ("record", "unit", "arm"))
        and row.get("status") in _STATUSES
        and all(_integer(row.get(name)) for name in ("index", "block"))
        and isinstance(row.get("values", 0), (dict, type(None)))
        and isinstance(row.get("wall_s", ""), (float, int, type(None)))
        and isinstance(row.get("error", 0), (str, type(None)))
    )
