"""A cold and a warm index of a large store against a bare loop of read, parse, canonical bytes, SHA-256 and HMAC.

Both sides work in one process, or both in two, on the same files, in alternating order. The bare loop is the standard
library's and checks nothing else; the index is strict about the text, checks schema, consistency, the path in the
ledger and, where there is one, the attestation, and writes its file. ``--n 100000`` measures the promise at its own
size.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ophamin.comparing.index import ProofIndex
from ophamin.proof.keys import Keyring
from ophamin.proof.kinds import PROOF
from ophamin.proof.ledger import Ledger
from ophamin.proof.provenance import prov_json
from ophamin.proof.signed import sign
from ophamin.proof.types import (
    Claim,
    DatasetRef,
    Decision,
    EmpiricalProofRecord,
    Interval,
    PillarEvidence,
    PreRegistration,
    Reproduction,
    Threshold,
    Verdict,
)

N, ATTESTED, ROUNDS = 20_000, 4_000, 3
SECRET = "a benchmark signs with this key"
OUTSIDE = ("proof_id", "signature", "attestation", "attestations")
