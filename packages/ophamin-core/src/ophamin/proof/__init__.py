"""The signed, content-addressed record: its vocabulary, canonical form, codec, keys, ledger and store.

Names are loaded on first use, so that ``import ophamin.proof.errors`` costs what that module costs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ophamin.proof.canonical import canonical_bytes, content_id, digest
    from ophamin.proof.claims import attempt_key, claim_hash
    from ophamin.proof.decision import combine, outcome
    from ophamin.proof.keys import Keyring, Signer
    from ophamin.proof.kinds import PROOF, Kind, Version
    from ophamin.proof.ledger import Ledger
    from ophamin.proof.project import Project
    from ophamin.proof.reading import parse, read_object, write_object
    from ophamin.proof.signed import Finding, SignedRecord, Verification, identify, read, sign, verify
    from ophamin.proof.store import Store
    from ophamin.proof.types import (
        Claim,
        CoPrimary,
        DatasetRef,
        Decision,
        EmpiricalProofRecord,
        Interval,
        PillarEvidence,
        PreRegistration,
        Reproduction,
        Threshold,
        Verdict,
        to_json,
    )

_HOMES = {
    "canonical": ("canonical_bytes", "content_id", "digest"),
    "claims": ("attempt_key", "claim_hash"),
    "decision": ("combine", "outcome"),
    "keys": ("Keyring", "Signer"),
    "kinds": ("PROOF", "Kind", "Version"),
    "ledger": ("Ledger",),
    "project": ("Project",),
    "reading": ("parse", "read_object", "write_object"),
    "signed": ("Finding", "SignedRecord", "Verification", "identify", "read", "sign", "verify"),
    "store": ("Store",),
    "types": (
        "Claim",
        "CoPrimary",
        "DatasetRef",
        "Decision",
        "EmpiricalProofRecord",
        "Interval",
        "PillarEvidence",
        "PreRegistration",
        "Reproduction",
        "Threshold",
        "Verdict",
        "to_json",
    ),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "PROOF",
    "Claim",
    "CoPrimary",
    "DatasetRef",
    "Decision",
    "EmpiricalProofRecord",
    "Finding",
    "Interval",
    "Keyring",
    "Kind",
    "Ledger",
    "PillarEvidence",
    "PreRegistration",
    "Project",
    "Reproduction",
    "SignedRecord",
    "Signer",
    "Store",
    "Threshold",
    "Verdict",
    "Verification",
    "Version",
    "attempt_key",
    "canonical_bytes",
    "claim_hash",
    "combine",
    "content_id",
    "digest",
    "identify",
    "outcome",
    "parse",
    "read",
    "read_object",
    "sign",
    "to_json",
    "verify",
    "write_object",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
