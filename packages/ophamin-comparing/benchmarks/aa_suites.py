"""How often the cost gate alarms at identical code, on this machine, for real.

Each suite is a whole session of ``ophamin cost-gate``, in a project of its own, on two commits of a repository made
here that differ in a comment. Run by hand:

    python aa_suites.py --suites 200 --out suites.json
    python aa_suites.py --noise suites.json --out ../tests/data/aa_noise.json

The first takes up to half a minute a suite and writes its file after each, so that it may be ended at any time. The
second makes the recording that the tests simulate from: logarithms of the least times of every round.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import tempfile
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ophamin.comparing.history.cost_gate import GateSpec, cost_gate
from ophamin.proof.atomic import write_atomic
from ophamin.protocols import Settings

WORK = "def work(text):\n    return sum(i * i % 7 for i in range(20_000)) + len(text)\n"


def repository(folder: Path) -> Path:
    """Two commits of the same code."""
    folder.mkdir()
    for number, comment in enumerate(("", "# no change\n")):
        (folder / "work.py").write_text(WORK + comment, encoding="utf-8")
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", str(number)], ["tag", f"v{number}"]):
            subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)
    return folder


def suites(count: int, seconds: float, out: Path) -> None:
    """Run up to so many sessions, for at most so long."""
    began, found = time.monotonic(), []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.environ.setdefault("OPHAMIN_HOME", str(root / "home"))
        checkout = repository(root / "checkout")
        rows = root / "rows.csv"
        rows.write_text("text,label\n" + "".join(f"row {i},x\n" for i in range(10)), encoding="utf-8")
        spec = GateSpec({"work": f"repo:{checkout}?target=work:work"}, "v0", "v1", f"table:{rows}?text=text", n=10)
        while len(found) < count and time.monotonic() - began < seconds:
            project = root / f"project-{len(found)}"
            result = cost_gate(spec, Settings(str(project), str(project / "proofs")))
            [system] = result.systems
            found.append({"outcome": result.outcome, "noisy": system.looks[-1].noisy,
                          "spread": system.looks[-1].spread, "base_s": system.base_s, "head_s": system.head_s})  # fmt: skip
            write_atomic(out, json.dumps({**about(), "suites": found}).encode())
            said = Counter("too noisy" if s["noisy"] else s["outcome"] for s in found)
            print(f"{len(found)} suites, {time.monotonic() - began:.0f} s: {dict(said)}", flush=True)


def about() -> dict[str, Any]:
    """How it was recorded; nothing that names the machine."""
    return {
        "recorded_by": "benchmarks/aa_suites.py",
        "recorded_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "what": "least time of a pass of 10 calls of about 1 ms in a fresh process that works for 1 s, by round",
    }


def noise(source: Path, out: Path) -> None:
    """Logarithms of the least times: ``sessions`` → rounds → [base, head]."""
    recorded = json.loads(source.read_text(encoding="utf-8"))
    sessions = [
        [[round(math.log(b), 5), round(math.log(h), 5)] for b, h in zip(s["base_s"], s["head_s"], strict=True)]
        for s in recorded.pop("suites")
    ]
    write_atomic(out, (json.dumps({**recorded, "sessions": sessions}, separators=(",", ":")) + "\n").encode())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no suite after so many seconds")
    parser.add_argument("--noise", type=Path, help="make the tests' recording from this file instead")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.noise:
        noise(given.noise, given.out)
    else:
        suites(given.suites, given.seconds, given.out)


if __name__ == "__main__":
    main()
