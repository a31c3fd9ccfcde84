"""Makes the golden self-test beside it, once: ``python make.py``. It is never made again: that it verifies is the promise."""

from __future__ import annotations

import sys
from pathlib import Path

from ophamin.measuring.selftest.record import SELFTEST
from ophamin.measuring.selftest.recording import selftest_body
from ophamin.measuring.selftest.running import results
from ophamin.proof.keys import Signer
from ophamin.proof.reading import write_object
from ophamin.proof.signed import sign

KEY = b"ophamin-measuring-golden-key"

if __name__ == "__main__":
    path = Path(__file__).parent / "selftest-1.0.json"
    if path.exists():
        sys.exit(f"{path.name} is there; a golden record is never made again")
    body = selftest_body(results(only={"exponent", "value", "family", "decision at δ"}))
    write_object(path, {k: v for k, v in sign(body, SELFTEST, Signer(KEY)).items() if k != "attestations"})
