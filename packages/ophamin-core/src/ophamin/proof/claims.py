"""Names of claims: what was claimed, and what counts as another attempt at it."""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ophamin.proof.canonical import canonical_bytes, digest

if TYPE_CHECKING:
    from ophamin.proof.types import Claim

__all__ = ["attempt_key", "claim_hash"]

JSON = Any

_MOST_REMEMBERED = 1024
_hashes: dict[bytes, str] = {}


def claim_hash(claim: Claim | Mapping[str, JSON]) -> str:
    """Digest of the whole claim: words, thresholds and decisions.

    Args:
        claim: The claim, or the claim section of a record.

    Returns:
        ``sha256:<hex>`` of the canonical bytes of the record's claim section.

    Example:
        >>> from ophamin.proof.types import Claim, Threshold
        >>> claim = Claim("It is right.", "share of right answers", "a < 0.9", "a >= 0.9", Threshold("a", ">=", 0.9))
        >>> claim_hash(claim)[:14]
        'sha256:71811c4'
    """
    # Reading a record needs the hash of a mapping only, so the dataclasses are imported where they are used.
    if isinstance(claim, Mapping):
        return _remembered(claim)
    from ophamin.proof.types import to_json

    return digest(to_json(claim))


def _remembered(claim: Mapping[str, JSON]) -> str:
    """The digest; a store holds few claims and many proofs of each, and checking a proof asks for it twice."""
    try:
        key = marshal.dumps(dict(claim), 2)  # tells apart all that canonical bytes tell apart
    except ValueError:
        return digest(claim)
    if key not in _hashes:
        found = digest(claim)
        if len(_hashes) >= _MOST_REMEMBERED:
            _hashes.clear()
        _hashes[key] = found
    return _hashes[key]


def attempt_key(claim: Claim, substrates: Sequence[JSON]) -> str:
    """Digest under which attempts at a claim are counted.

    It covers metric, comparator, θ and target of every threshold, and kind, name and revision of the substrate
    of every arm. Seed, n, alpha, estimator and wording are left out on purpose: changing them is no way to start
    counting again (VERDICTS: attempt k is decided at α/2^(k−1)). Co-primary thresholds count in any order, and
    0, 0.0 and -0.0 are one θ.

    Args:
        claim: The claim, with a decision for each threshold.
        substrates: One mapping or ``SubstrateIdentity`` per arm, in the order of the arms.

    Returns:
        ``sha256:<hex>``.
    """
    from ophamin.proof.types import to_json

    thresholds = [
        {"metric": t.metric, "comparator": t.comparator, "value": _number(t.value), "target": d.target}
        for t, d in claim.parts()
    ]
    arms = [{name: to_json(s)[name] for name in ("kind", "name", "revision")} for s in substrates]
    return digest({"substrates": arms, "thresholds": sorted(thresholds, key=canonical_bytes)})


def _number(value: JSON) -> JSON:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        value = float(value)
    return value + 0.0 if isinstance(value, float) else value  # -0.0 + 0.0 is 0.0
