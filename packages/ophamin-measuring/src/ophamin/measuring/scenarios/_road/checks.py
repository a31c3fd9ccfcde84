"""What can be known to be wrong before a corpus is opened or the ledger hears of a run."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from ophamin.proof.errors import UsageError
from ophamin.protocols import RunSpec

__all__ = ["check_fields", "check_settings", "check_store"]


def check_settings(spec: RunSpec) -> None:
    """Refuse settings no run could have.

    Raises:
        UsageError: The timeout is no positive number, or the error policy is given twice and differs.
    """
    if not (spec.timeout_s > 0 and math.isfinite(spec.timeout_s)):
        raise UsageError(f"a timeout is a positive number of seconds, such as 60, not {spec.timeout_s}")
    chosen = spec.options.get("error_policy", spec.error_policy)
    if spec.error_policy and chosen != spec.error_policy:
        raise UsageError(
            f"--set error_policy={chosen} and --error-policy {spec.error_policy} say different things; give one"
        )


def check_fields(scenario: str, roles: Iterable[str], named: Iterable[str]) -> None:
    """Refuse a field that was given for this very run and that nobody reads.

    Args:
        scenario: Its name.
        roles: Roles it reads.
        named: Roles given by name; a catalog in the settings may hold more than one scenario reads.

    Raises:
        UsageError: A role the scenario does not read.
    """
    known = list(roles)
    for role in named:
        if role not in known:
            near = get_close_matches(role, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it reads: {', '.join(known) or 'none'}"
            raise UsageError(f"--field {role}=…: this claim of scenario {scenario!r} reads no such role; {hint}")


def check_store(proofs: Path) -> None:
    """Find out before the run, not after it, whether its record can be kept.

    Raises:
        UsageError: The folder cannot be made or written.
    """
    # A folder that is not there yet is not made: a run that ends without a proof leaves none.
    there = next(folder for folder in (proofs.absolute(), *proofs.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".ophamin-"):
            pass
    except OSError as error:
        raise UsageError(
            f"proofs cannot be kept in {proofs}: {error.strerror or error}; name a folder you may write with --store"
        ) from error
