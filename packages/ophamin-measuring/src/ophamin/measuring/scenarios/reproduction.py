"""Running a proof again: the same records, the same seed, and an answer that is more than "the verdict changed".

The same observations agree exactly; else ``agreement`` decides. A reproduction is logged as such and is no attempt.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.measuring.scenarios._road.cycles import Ticker, cycle_count, observe_cycles, values_digest_of
from ophamin.measuring.scenarios._road.deciding import plain, score_rows
from ophamin.measuring.scenarios._road.journal import parse_rows
from ophamin.measuring.scenarios._road.registration import utc_now
from ophamin.measuring.scenarios._road.selection import Selection, by_ids
from ophamin.measuring.scenarios._road.setup import Setup, prepare
from ophamin.measuring.scenarios.agreement import Comparison, answer_of, compare
from ophamin.proof.errors import IntegrityError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.proof.signed import read, verify
from ophamin.protocols import Progress, RunSpec

__all__ = ["Reproduction", "reproduce"]

JSON = Any
OBSERVATIONS = "observations.jsonl.gz"


@dataclass(frozen=True)
class Reproduction:
    """What running a proof again said.

    Args:
        answer: AGREE, DISAGREE or INCONCLUSIVE.
        exact: Whether the observations are the same to the digit, times left aside.
        proof_id: The proof that was run again.
        comparisons: One per threshold; empty when exact.
        values_digest: Of the second run.
        n: Cycles that were run.
    """

    answer: str
    exact: bool
    proof_id: str
    comparisons: Sequence[Comparison]
    values_digest: str
    n: int

    def to_dict(self) -> dict[str, JSON]:
        """Plain JSON values."""
        words: dict[str, JSON] = plain(asdict(self))
        return words


def reproduce(
    path: Path | str,
    *,
    project: str = "",
    data_root: str = "",
    arms: Mapping[str, str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Reproduction:
    """Run a proof again and compare.

    Args:
        path: ``record.json`` of the proof, with its observations beside it.
        project: Folder whose ledger takes note; "" means found from the working folder.
        data_root: Where corpora lie on this machine.
        arms: Other specs for the arms, where the first system has another address here.
        progress: Told of counts and time.

    Raises:
        UsageError: The record says nothing of how it was run, or the corpus is not the one it was run on.
        IntegrityError: The record or its observations are not what was signed.
    """
    record = read(path, [registry.records.get("proof")])
    for finding in verify(record, Keyring()).checks:
        if finding.state == "bad":
            raise IntegrityError(f"{path}: {finding.name} is bad: {finding.detail}; nothing was run")
    body = record.object
    first = _first_rows(Path(path), body)
    spec = _spec(body, path, data_root, arms)
    registered = body["preregistration"]
    with ExitStack() as stack:
        setup = prepare(spec, stack)
        if setup.data_hash != registered["data_hash"]:
            raise UsageError(
                f"corpus {setup.corpus_spec!r} is not the one this proof was run on (it has content "
                f"{setup.data_hash[:19]}…, the proof {registered['data_hash'][:19]}…); get that edition to reproduce it"
            )
        units = {row["record"]: row["unit"] for row in first}
        selection = Selection(
            by_ids(setup, list(units)), list(units.values()), "", "as in the proof", len(set(units.values()))
        )
        lines: list[bytes] = []
        observe_cycles(
            setup,
            selection,
            registered["seed"],
            lines.append,
            Ticker(progress, "cycles", cycle_count(setup, selection)),
            established=True,
        )
        second = parse_rows(b"".join(lines))
        digest = values_digest_of(second)
        exact = digest == body["data"]["observations"]["values_digest"]
        comparisons = [] if exact else _compare(setup, first, second, registered)
    answer = answer_of(comparisons)
    result = Reproduction(answer, exact, record.id, comparisons, digest, len(second))
    where = Project(Path(project)) if project else Project.find()
    Ledger(where.ledger_dir).append(
        {
            "type": "reproduction",
            "proof_id": record.id,
            "answer": answer,
            "exact": exact,
            "values_digest": digest,
            "reproduced_at": utc_now(),
        }
    )
    return result


def _first_rows(path: Path, body: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    stated = body.get("data", {}).get("observations")
    if not stated or "values_digest" not in stated or "run_spec" not in body.get("reproduction", {}):
        raise UsageError(
            f"{path} does not say how to run it again (records from 1.1 on do); run its claim anew with ophamin run"
        )
    beside = path.with_name(OBSERVATIONS)
    try:
        data = gzip.decompress(beside.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{beside} is missing; a proof is reproduced on the records its observations name") from None
    if "sha256:" + hashlib.sha256(data).hexdigest() != stated["digest"]:
        raise IntegrityError(f"{beside} is not what the record was signed with; nothing was run")
    return parse_rows(data)


def _spec(body: Mapping[str, JSON], path: Path | str, data_root: str, arms: Mapping[str, str] | None) -> RunSpec:
    words = dict(body["reproduction"]["run_spec"])
    known = set(RunSpec.__dataclass_fields__)
    newer = sorted(set(words) - known)
    if newer:
        raise UsageError(f"{path} was run with {', '.join(newer)}, which this version does not know; upgrade ophamin")
    spec = RunSpec(**words)
    if arms:
        # A single unnamed one stands for the single arm.
        given = dict(arms) if len(spec.arms) > 1 else dict.fromkeys(spec.arms, next(iter(arms.values())))
        spec = replace(spec, arms={**spec.arms, **given})
    return replace(spec, data_root=data_root)


def _compare(
    setup: Setup,
    first: Sequence[Mapping[str, JSON]],
    second: Sequence[Mapping[str, JSON]],
    registered: Mapping[str, JSON],
) -> list[Comparison]:
    before, after = score_rows(setup, first).calls, score_rows(setup, second).calls
    return compare(setup.claim, before, after, alpha=registered["alpha_used"], seed=registered["seed"])
