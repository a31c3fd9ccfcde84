"""Running a proof again: the same records, the same seed, and an answer that is more than "the verdict changed".

The same observations agree exactly. Otherwise the claim |difference| ≤ margin is decided, paired by record, with
the registered smallest difference as the margin: two one-sided tests for agreement (Schuirmann 1987, J
Pharmacokinet Biopharm 15:657), each bound at α; disagreement when one bound lies outside at α/2, because either
side may. A reproduction is logged as such and is no attempt.
"""

from __future__ import annotations

import gzip
import hashlib
import math
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
from ophamin.proof.errors import IntegrityError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.proof.signed import read, verify
from ophamin.proof.types import Decision, Threshold
from ophamin.protocols import Estimate, EstimatorCall, Progress, RunSpec

__all__ = ["Comparison", "Reproduction", "reproduce"]

JSON = Any
OBSERVATIONS = "observations.jsonl.gz"


@dataclass(frozen=True)
class Comparison:
    """One threshold of the claim: how far the second run lies from the first.

    Args:
        metric: Metric of the threshold.
        difference: Mean of second minus first, paired by record; ``None`` when it cannot be formed.
        lower: Bound at 1 − α.
        upper: Bound at 1 − α.
        margin: Smallest difference worth knowing, as registered.
        method: Interval method of the bounds.
        answer: AGREE, DISAGREE or INCONCLUSIVE.
        reason: Why it is not decided, or "".
        n_needed: About how many units would decide it, ``None`` when no n would.
    """

    metric: str
    difference: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    method: str
    answer: str
    reason: str = ""
    n_needed: int | None = None


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
        comparisons = [] if exact else _compare(setup, first, second, registered["alpha_used"], registered["seed"])
    answers = {c.answer for c in comparisons}
    answer = "AGREE" if answers <= {"AGREE"} else "DISAGREE" if "DISAGREE" in answers else "INCONCLUSIVE"
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


# --- the claim |difference| ≤ margin


def _compare(
    setup: Setup, first: Sequence[Mapping[str, JSON]], second: Sequence[Mapping[str, JSON]], alpha: float, seed: int
) -> list[Comparison]:
    before, after = score_rows(setup, first).calls, score_rows(setup, second).calls
    return [
        _compare_part(threshold, decision, old, new, alpha, seed)
        for (threshold, decision), old, new in zip(setup.claim.parts(), before, after, strict=True)
    ]


def _compare_part(
    threshold: Threshold, decision: Decision, old: EstimatorCall, new: EstimatorCall, alpha: float, seed: int
) -> Comparison:
    metric, margin = threshold.metric, decision.smallest_difference

    def undecided(reason: str) -> Comparison:
        return Comparison(metric, None, None, None, margin, "", "INCONCLUSIVE", reason)

    if decision.rule == "exact":
        # The whole target was measured, twice over: another value is another value.
        return Comparison(metric, None, None, None, None, "exact", "DISAGREE", "the whole target gave other values")
    if margin is None:
        return undecided("no smallest difference was registered, so nothing says what is near enough")
    pairs = _pairs(threshold, decision, old, new)
    if isinstance(pairs, str):
        return undecided(pairs)
    columns, support = pairs
    if all(v == 0 for v in columns["value"]):
        return Comparison(metric, 0.0, 0.0, 0.0, margin, "the same values", "AGREE")
    mean = registry.estimators.get("mean")
    options = {} if support is None else {"support": support}

    def bounds(error: float) -> tuple[Estimate, Estimate]:
        # A pair of which one half is missing lies anywhere: each bound takes its worst.
        ends = support or [0.0, 0.0]
        filled = [{**columns, "value": [end if v is None else v for v in columns["value"]]} for end in ends]
        below, above = (mean(table, confidence=1 - error, seed=seed, **options) for table in filled)
        return below, above

    inner, outer = bounds(alpha), bounds(alpha / 2)
    problem = next((e.problem for e in (*inner, *outer) if e.problem), "")
    low, high = inner[0].lower, inner[1].upper
    far_low, far_high = outer[0].lower, outer[1].upper
    if problem or low is None or high is None or far_low is None or far_high is None:
        return undecided(problem or "the difference has no bounds")
    if -margin <= low and high <= margin:
        answer = "AGREE"
    elif far_low > margin or far_high < -margin:
        answer = "DISAGREE"
    else:
        answer = "INCONCLUSIVE"
    known = [v for v in columns["value"] if v is not None]
    value = sum(known) / len(known) if known else None
    needed, reason = None, ""
    if answer == "INCONCLUSIVE" and value is not None:
        needed = _needed(value, low, high, margin, inner[0].n_groups or inner[0].n)
        reason = (
            "the runs differ by about the margin itself; no number of records settles that"
            if needed is None
            else f"about {needed} units would settle it"
        )
    return Comparison(metric, value, low, high, margin, inner[0].method, answer, reason, needed)


def _needed(value: float, low: float, high: float, margin: float, n: int) -> int | None:
    """Units at which an interval of this shape no longer straddles the margin; widths shrink with √n."""
    distance = abs(margin - abs(value))
    half = max(high - value, value - low)
    if distance <= 0.05 * margin or half <= 0:
        return None
    return math.ceil(n * (half / distance) ** 2)


def _pairs(
    threshold: Threshold, decision: Decision, old: EstimatorCall, new: EstimatorCall
) -> tuple[dict[str, list[JSON]], list[float] | None] | str:
    """Second minus first, row by row, as columns for a mean; or why that is not possible."""
    if old.estimator not in ("proportion", "mean", "quantile"):
        return f"{old.estimator} is no average over records, so two runs of it cannot be paired by record"
    a, b = old.columns, new.columns
    if "value" not in a or "value" not in b or len(a["value"]) != len(b["value"]):
        return "the two runs do not have the same rows in scope"
    ends: tuple[float, float] | None = (0.0, 1.0)
    if old.estimator == "mean":
        low, high = decision.support if decision.support is not None else (None, None)
        ends = None if low is None or high is None else (float(low), float(high))
    over = float(threshold.value)

    def measured(value: JSON) -> float:
        # A quantile below θ is a share of exceedances below 1 − q, and δ is such a share.
        return float(value > over) if old.estimator == "quantile" else float(value)

    values: list[float | None] = []
    for x, y in zip(a["value"], b["value"], strict=True):
        if x is not None and y is not None:
            values.append(measured(y) - measured(x))
        elif x is None and y is None:
            values.append(0.0)  # it failed both times
        elif ends is None:
            return "a cycle failed in one run only, and nothing bounds what it would have given"
        else:
            values.append(None)
    support = None if ends is None else [ends[0] - ends[1], ends[1] - ends[0]]
    table: dict[str, list[JSON]] = {"value": list(values)}
    if "group" in a:
        table["group"] = list(a["group"])
    return table, support
