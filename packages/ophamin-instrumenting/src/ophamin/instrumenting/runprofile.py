"""The profile of a run: what its cycles cost altogether, signed, as a file for the proof to bind."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ophamin.instrumenting._sampler import PERIOD_S
from ophamin.instrumenting._tally import Tally
from ophamin.instrumenting.overhead import of_cycles
from ophamin.instrumenting.profiling import environment
from ophamin.instrumenting.record import PROFILE, UNITS
from ophamin.proof.keys import Keyring
from ophamin.proof.reading import write_object
from ophamin.proof.signed import sign
from ophamin.protocols import RunSpec, SubstrateProbe

__all__ = ["NAME", "write_run_profile"]

NAME = "resources.profile.json"


def write_run_profile(spec: RunSpec, substrates: Sequence[SubstrateProbe], tally: Tally) -> Path:
    """Write it into a temporary folder that goes when the interpreter does.

    Args:
        spec: The run.
        substrates: Its systems, still open; the overhead is measured with the processes of the first.
        tally: What the cycles cost.
    """
    resources: dict[str, Any] = {
        name: {"unit": UNITS.get(name, ""), **found} for name, found in tally.summary().items() if name in UNITS
    }
    body = {
        "schema_version": "profile/1.0",
        **environment(),
        "target": {"kind": "run", "name": spec.scenario, "cycles": tally.cycles},
        "resources": resources,
        "sampling": {"period_s": PERIOD_S, "n_samples": tally.cycles},
        "overhead": of_cycles(substrates[0]).to_dict(),
        "artifacts": [],
    }
    record = sign(body, PROFILE, Keyring().signer(Path(spec.key_file) if spec.key_file else None))
    folder = Path(tempfile.mkdtemp(prefix="ophamin-profile-"))
    path = folder / NAME
    weakref.finalize(tally, shutil.rmtree, folder, ignore_errors=True)
    write_object(path, record)
    return path
