"""A self-test as a signed record."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ophamin.measuring.selftest._journal import remove
from ophamin.measuring.selftest.record import SELFTEST
from ophamin.measuring.selftest.running import SEED, Progressed, environment, journal_name, results
from ophamin.proof.keys import Keyring
from ophamin.proof.project import Project
from ophamin.proof.signed import sign
from ophamin.proof.store import Store

__all__ = ["Recorded", "selftest", "selftest_body"]

JSON = Any


@dataclass(frozen=True)
class Recorded:
    """A self-test that is signed and stored.

    Args:
        record: The signed record.
        path: Its ``record.json``.
    """

    record: dict[str, JSON]
    path: Path

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return bool(self.record["summary"]["verdict"] == "ok")


def selftest(
    store: Store,
    *,
    mode: str = "quick",
    seed: int = SEED,
    jobs: int = 1,
    key_file: Path | None = None,
    progress: Progressed | None = None,
    journals: Path | None = None,
) -> Recorded:
    """Run every check and keep what was found as a signed record.

    What was interrupted goes on where it stopped, with the same counts as if it had not been.

    Args:
        store: Where the record goes.
        mode: ``quick`` or ``full``.
        seed: Seed of every simulation.
        jobs: Worker processes; the counts do not depend on it.
        key_file: Signing key; default the installation's.
        progress: Called with pieces done, pieces in all, and what was done last.
        journals: Folder where finished pieces wait until the record is stored. Default: the project's.

    Raises:
        UsageError: An unknown mode, or a number out of range; or workers are killed again and again.
    """
    signer = Keyring().signer(key_file)  # a key that may not be used is found before the work
    journal = (Project.find().journals if journals is None else journals) / journal_name(mode, seed)
    body = selftest_body(results(mode, seed=seed, jobs=jobs, progress=progress, journal=journal))
    record = sign(body, SELFTEST, signer)
    path = store.put(record, SELFTEST)
    remove(journal)
    return Recorded(record, path)


def selftest_body(found: dict[str, JSON]) -> dict[str, JSON]:
    """The body of the record around what ``running.results`` gave."""
    about = environment()
    return {
        "schema_version": "selftest/1.0",
        "identity": {
            "ophamin_version": about.get("ophamin", about["ophamin-measuring"]),
            "captured_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"),
        },
        **found,
        "environment": about,
    }
