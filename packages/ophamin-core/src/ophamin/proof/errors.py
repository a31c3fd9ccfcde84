"""The one error tree of the family.

Every error is one sentence that says what to do. Each class is also the nearest
built-in, so code that never heard of Ophamin can still catch it, and carries the
exit code a command ends with when it escapes.
"""

from __future__ import annotations

__all__ = [
    "ConsistencyError",
    "CorpusUnavailable",
    "DuplicateKeyError",
    "DuplicatePlugin",
    "IdMismatch",
    "IntegrityError",
    "KeyPermissionsError",
    "KeyPolicyError",
    "LeakageError",
    "LedgerError",
    "LimitError",
    "MissingDependency",
    "NoKeyError",
    "NotApplicable",
    "OphaminError",
    "PluginError",
    "PluginLoadError",
    "ProtocolViolation",
    "RecordError",
    "SchemaError",
    "SignatureMismatch",
    "SubstrateFailure",
    "UnknownPlugin",
    "UnknownRecord",
    "UnsupportedVersion",
    "UsageError",
]


class OphaminError(Exception):
    """Base of every error this family raises on purpose."""

    exit_code = 2


class UsageError(OphaminError, ValueError):
    """A request that makes no sense as written: a bad spec, option or claim."""


# --- records: malformed (2), tampered (3), could not be checked or policy (5)


class RecordError(OphaminError, ValueError):
    """A record that cannot be read: not JSON, not UTF-8, not an object, not a known kind."""


class DuplicateKeyError(RecordError):
    """An object names the same key twice, so two readers could disagree on it."""


class LimitError(RecordError):
    """A record beyond the limits of reading: bytes, depth, nodes or digits."""


class SchemaError(RecordError):
    """A record that lacks a field, or has one of the wrong type."""


class UnsupportedVersion(RecordError):
    """A record of a newer major version; upgrade to read it."""


class UnknownRecord(OphaminError, LookupError):
    """No stored record answers to that id or path."""


class IntegrityError(OphaminError, ValueError):
    """Something signed is not what was signed."""

    exit_code = 3


class IdMismatch(IntegrityError):
    """The id stored in a record is not the hash of its body."""


class SignatureMismatch(IntegrityError):
    """A signature or attestation does not belong to this body under this key."""


class ConsistencyError(IntegrityError):
    """The sections of a record contradict each other."""


class LedgerError(IntegrityError):
    """The ledger was rewritten, torn in the middle, or does not hold what a record says."""


class KeyPolicyError(OphaminError, PermissionError):
    """A key exists but policy forbids it, or a signer is not trusted."""

    exit_code = 5


class KeyPermissionsError(KeyPolicyError):
    """A key file that others may read."""


class NoKeyError(KeyPolicyError):
    """No key, or no verifier: the answer is "could not be checked"."""


# --- plug-ins


class MissingDependency(OphaminError, ImportError):
    """A feature needs a package that is not installed.

    Args:
        feature: What was asked for, as a noun phrase.
        package: The import or distribution that is missing.
        install: The requirement that brings it, e.g. ``ophamin-measuring[causal]``.
    """

    def __init__(self, feature: str, package: str, install: str) -> None:
        super().__init__(f"{feature} needs {package}: pip install '{install}'")
        self.feature, self.package, self.install = feature, package, install


class PluginError(OphaminError):
    """Base of what can be wrong with a plug-in."""


class UnknownPlugin(PluginError, LookupError):
    """No plug-in of that name; the message lists the installed ones."""

    def __str__(self) -> str:  # LookupError must not repr() the sentence as KeyError would
        return str(self.args[0]) if self.args else ""


class DuplicatePlugin(PluginError, ValueError):
    """Two distributions register the same name; both are named."""


class PluginLoadError(PluginError, ImportError):
    """A plug-in failed to import; raised ``from`` the cause, with its distribution's name."""


class ProtocolViolation(PluginError, TypeError):
    """A plug-in lacks what its protocol asks for."""


# --- the road


class NotApplicable(OphaminError, LookupError):
    """The substrate cannot give an observable the scenario asks for; never REFUTED."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class CorpusUnavailable(OphaminError, FileNotFoundError):
    """A corpus is absent, partial or the wrong thing; says where it looked and how to get it."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class LeakageError(OphaminError, ValueError):
    """The run would measure a system on records it was trained on."""


class SubstrateFailure(OphaminError, RuntimeError):
    """The substrate itself could not be started or kept alive."""

    exit_code = 6
