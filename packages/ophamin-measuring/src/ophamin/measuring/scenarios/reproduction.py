"""Running a proof again: the same records, the same seed, and an answer that is more than "the verdict changed".

The same observations agree exactly; else ``agreement`` decides. A reproduction is logged as such and is no attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ophamin.measuring.scenarios._road.cycles import Ticker, cycle_count, observe_cycles, values_digest_of
from ophamin.measuring.scenarios._road.deciding import plain, score_rows
from ophamin.measuring.scenarios._road.journal import parse_rows
from ophamin.measuring.scenarios._road.registration import utc_now
from ophamin.measuring.scenarios._road.selection import Selection, by_ids
from ophamin.measuring.scenarios._road.setup import Setup, prepare
from ophamin.measuring.scenarios._road.stored import open_proof, spec_of, stored_rows
from ophamin.measuring.scenarios.agreement import Comparison, answer_of, compare
from ophamin.proof.errors import KeyPolicyError, UsageError
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.protocols import Progress, RunSpec

__all__ = ["Reproduction", "reproduce"]

JSON = Any


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
        KeyPolicyError: Nobody known signed it, and it would say what to run.
    """
    record, found = open_proof(path, "nothing was run")
    body, first, stated = record.object, stored_rows(record), spec_of(record)
    its_own = [] if arms and len(stated.arms) == 1 else [v for k, v in stated.arms.items() if k not in (arms or {})]
    if its_own and not found.signer:
        raise KeyPolicyError(
            f"nobody known signed {path}, and running it again runs {', '.join(map(repr, its_own))}: "
            "trust its signer (ophamin key trust), or name the system yourself with --substrate"
        )
    spec = _here(stated, data_root, arms)
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


def _here(spec: RunSpec, data_root: str, arms: Mapping[str, str] | None) -> RunSpec:
    """The same run with this machine's addresses."""
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
