"""Canonicalise, hash and sign a 9 KB record with all checks, against the bare loop of the standard library.

Both sides run in one process, interleaved round by round in alternating order; the ratio is bare time over ours (1 = as
fast as no checks at all), its median over the rounds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.keys import Signer
from ophamin.proof.kinds import PROOF
from ophamin.proof.signed import read

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "proof-1.1.json"
SECRET = b"a benchmark signs with this"
ROUNDS, LOOPS = 201, 20


def _bare(body: dict) -> tuple[str, str]:
    data = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return hashlib.sha256(data).hexdigest(), hmac.new(SECRET, data, hashlib.sha256).hexdigest()


def _seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    for _ in range(LOOPS):
        function()
    return time.perf_counter() - begin


def _ratio(bare: Callable[[], object], ours: Callable[[], object]) -> float:
    bare(), ours()
    ratios = []
    for turn in range(ROUNDS):
        if turn % 2:
            b, o = _seconds(bare), _seconds(ours)
        else:
            o, b = _seconds(ours), _seconds(bare)
        ratios.append(b / o)
    return statistics.median(ratios)


def run() -> list[dict]:
    """One row per promise: name, ratio, bar, ok, detail."""
    signer = Signer(SECRET)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.json"
        path.write_bytes(GOLDEN.read_bytes())
        record = read(path, [PROOF])
    body = json.loads(json.dumps(record.body))
    detail = f"{len(canonical_bytes(body))} bytes, {ROUNDS} rounds of {LOOPS}"

    def plain() -> tuple[str, str]:
        data = canonical_bytes(body)
        return content_id(data), signer.hmac(data)

    def stamped() -> tuple[str, str]:
        data = record.canonical()
        return content_id(data), signer.hmac(data)

    assert plain() == stamped() == _bare(body)
    rows = []
    for name, bar, ours in (("canonicalise+hash+HMAC", 0.6, plain), ("the same, from the reader", 0.9, stamped)):
        ratio = _ratio(lambda: _bare(body), ours)
        rows.append({"name": name, "ratio": ratio, "bar": bar, "ok": ratio >= bar, "detail": detail})
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:28} {row['ratio']:.2f} {row['bar']:.2f} {'ok' if row['ok'] else 'NO'}  {row['detail']}")
