"""Makes the golden profile beside it, once: ``python make.py``. It is never made again: that it verifies is the promise."""

from __future__ import annotations

import sys
from pathlib import Path

from ophamin.instrumenting.profiling import profile_body
from ophamin.instrumenting.record import PROFILE
from ophamin.proof.keys import Signer
from ophamin.proof.reading import write_object
from ophamin.proof.signed import sign

KEY = b"ophamin-instrumenting-golden-key"

if __name__ == "__main__":
    path = Path(__file__).parent / "profile-1.0.json"
    if path.exists():
        sys.exit(f"{path.name} is there; a golden record is never made again")
    body, _ = profile_body(["sh", "-c", "sleep 0.1; exit 3"], pairs=5)
    write_object(path, {k: v for k, v in sign(body, PROFILE, Signer(KEY)).items() if k != "attestations"})
