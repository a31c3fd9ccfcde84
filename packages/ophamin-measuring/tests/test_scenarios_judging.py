"""``ophamin decide``: results people already have, by the rules of a run."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scipy.stats import binom

from ophamin.measuring._command.decide import decide
from ophamin.measuring.estimators.difference import difference_newcombe
from ophamin.measuring.estimators.proportion import proportion
from ophamin.measuring.scenarios.judging import judge
from ophamin.proof.errors import UsageError

RNG = random.Random(5)
N = 400
RIGHT = [RNG.random() < 0.95 for _ in range(N)]
OLD = [RNG.random() < 0.8 for _ in range(N)]
USER = [f"u{i % 40}" for i in range(N)]
SECONDS = [RNG.lognormvariate(-1, 0.3) for _ in range(N)]


def test_a_share_is_decided_by_its_estimator() -> None:
    found = judge({"correct": RIGHT}, "accuracy >= 0.9")
    (part,) = found.decision.parts
    theirs = proportion({"value": RIGHT}, confidence=0.95)
    assert (part.estimate.value, found.decision.outcome) == (theirs.value, "VALIDATED")
    assert part.interval.lower == pytest.approx(theirs.lower)
    assert found.timing == "after_data"
    assert "nothing was registered" in found.notes[0]
    assert "independent" in found.notes[1]


def test_answers_are_compared_with_labels_as_in_a_run() -> None:
    answers = ["4" if ok else "5" for ok in RIGHT]
    found = judge({"answer": answers, "label": [4] * N}, "accuracy >= 0.9")
    assert found.decision.parts[0].estimate.value == pytest.approx(sum(RIGHT) / N)


def test_clusters_are_the_unit() -> None:
    found = judge({"correct": RIGHT, "group": USER}, "accuracy >= 0.9")
    (part,) = found.decision.parts
    assert part.evidence.n_groups == 40
    assert part.evidence.interval_method == "korn-graubard-adverse"
    few = judge({"correct": RIGHT, "group": [u[-1] for u in USER]}, "accuracy >= 0.9")
    assert few.decision.outcome == "INCONCLUSIVE"
    assert "10 groups" in few.decision.parts[0].reason


def test_a_baseline_stays_paired() -> None:
    found = judge({"correct": RIGHT, "baseline": OLD}, "accuracy_difference >= 0.05")
    (part,) = found.decision.parts
    assert (found.design, part.n_used, part.evidence.interval_method) == ("paired", N, "betting")
    assert part.estimate.value == pytest.approx((sum(RIGHT) - sum(OLD)) / N)
    assert found.decision.outcome == "VALIDATED"


def test_two_arms_are_compared_as_independent() -> None:
    table: dict[str, list[Any]] = {"correct": [*RIGHT, *OLD], "arm": ["head"] * N + ["base"] * N}
    found = judge(table, "accuracy_difference >= 0.05")
    (part,) = found.decision.parts
    theirs = difference_newcombe({"value": table["correct"], "arm": table["arm"]}, confidence=0.95)
    assert (found.design, part.decision.estimator) == ("two arms", "difference.newcombe")
    assert part.interval.lower == pytest.approx(theirs.lower)
    exact = judge(table, "accuracy_difference >= 0.05", options={"method": "clopper-pearson"})
    assert exact.decision.parts[0].evidence.guarantee == "guaranteed"
    paired = judge({**table, "pair": [*range(N), *range(N)]}, "accuracy_difference >= 0.05")
    assert paired.decision.parts[0].evidence.interval_method == "paired-t"
    value = [5 + s for s in SECONDS]
    costs = {"seconds": [*value, *(v + 1 for v in value)], "arm": table["arm"]}
    found = judge(costs, "mean_difference(seconds) <= 0.1", options={"support": "5,9"})
    assert (found.decision.outcome, found.decision.parts[0].evidence.interval_method) == ("VALIDATED", "welch")


def test_empty_cells_are_failed_cycles_never_dropped() -> None:
    table: dict[str, list[Any]] = {"correct": [None] * 60 + [True] * 340}
    found = judge(table, "accuracy >= 0.9")
    (part,) = found.decision.parts
    assert (part.n_planned, part.n_used, part.n_errors) == (400, 340, 60)
    assert found.decision.outcome == "INCONCLUSIVE"
    gone = judge({"correct": [True] * 340}, "accuracy >= 0.9")
    assert gone.decision.outcome == "VALIDATED"
    baseline = judge({**table, "baseline": [False] * 399 + [None]}, "accuracy_difference >= 0.5")
    assert baseline.decision.parts[0].n_errors == 61
    arms = judge({**table, "arm": ["base", "head"] * 200}, "accuracy_difference <= 0.5")
    assert arms.decision.parts[0].n_errors == 60


def test_several_parts_must_all_hold() -> None:
    status = ["error"] * 4 + ["ok"] * (N - 4)
    found = judge({"correct": RIGHT, "status": status, "seconds": SECONDS},
                  "accuracy >= 0.8 and error_rate <= 0.05 and mean(seconds) <= 1",
                  options={"delta": "0.05,0.05,0.1", "error_policy": "exclude"})  # fmt: skip
    assert found.decision.outcome == "VALIDATED"
    assert [p.outcome for p in found.decision.parts] == ["VALIDATED"] * 3
    assert found.decision.parts[1].n_used == N


def test_how_many_more_is_told() -> None:
    found = judge({"correct": [True] * 40 + [False] * 3}, "accuracy >= 0.9")
    assert found.decision.outcome == "INCONCLUSIVE"
    assert "new registration of" in found.next


def test_a_false_claim_is_validated_by_at_most_alpha_by_enumeration() -> None:
    n, mass = 60, {"VALIDATED": 0.0, "REFUTED": 0.0, "INCONCLUSIVE": 0.0}
    for k in range(n + 1):
        found = judge({"correct": [True] * k + [False] * (n - k)}, "accuracy >= 0.9")
        mass[found.decision.outcome] += binom.pmf(k, n, 0.9)
    assert 0.01 < mass["VALIDATED"] <= 0.05
    assert 0.01 < mass["REFUTED"] <= 0.05


@pytest.mark.parametrize(
    ("table", "claim", "said"),
    [
        ({"x": [1]}, "accuracy >= 0.9", "column correct"),
        ({"correct": [True, "perhaps"]}, "accuracy >= 0.9", "'perhaps' in row 2"),
        ({"correct": [1, 2]}, "accuracy >= 0.9", "2 in row 2"),
        ({"seconds": ["fast"]}, "median(seconds) <= 1", "a number is needed"),
        ({"seconds": [1.0]}, "mean(seconds) <= 1", "difference is worth knowing"),
        ({"correct": [True]}, "error_rate <= 0.1", "column 'status'"),
        ({"correct": [True], "status": ["fine"]}, "accuracy >= 0.9", "'fine'"),
        ({"correct": [True]}, "accuracy_difference >= 0", "--paired COLUMN"),
        ({"correct": [True], "baseline": [True]}, "accuracy >= 0.9", "claim on a difference"),
        ({"correct": [True], "arm": ["new"]}, "accuracy_difference >= 0", "base or head"),
        ({"answer": [1], "label": [None]}, "accuracy >= 0.9", "empty cells"),
        ({"correct": [True]}, "accuracy >= 1", "no sample can validate"),
        ({"correct": [True]}, "acuracy >= 0.9", "did you mean"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(table: dict[str, Any], claim: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        judge(table, claim)


def _file(folder: Path) -> str:
    rows = [f"{u},{int(r)},{int(o)},{s}" for u, r, o, s in zip(USER, RIGHT, OLD, SECONDS, strict=True)]
    path = folder / "results.csv"
    path.write_text("user,right,old,seconds\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("claim", "more", "code"),
    [
        ("accuracy >= 0.9", [], 0),
        ("accuracy <= 0.9", [], 1),
        ("accuracy >= 0.945", ["--alpha", "0.01"], 4),
        ("accuracy >= 0.85", ["--cluster", "user"], 0),
        ("accuracy_difference >= 0.05", ["--paired", "old"], 0),
        ("median(seconds) <= 0.5", [], 0),
    ],
)
def test_the_command_exits_with_the_outcome(tmp_path: Path, claim: str, more: list[str], code: int) -> None:
    words = ["--data", _file(tmp_path), "--claim", claim, "--column", "correct=right", *more]
    words = [w for w in words if "seconds" not in claim or w not in ("--column", "correct=right")]
    done = CliRunner().invoke(decide, words, catch_exceptions=False)
    assert done.exit_code == code
    assert "nothing was registered before these results" in done.stdout
    told = json.loads(CliRunner().invoke(decide, [*words, "--json"], catch_exceptions=False).stdout)
    assert done.stdout.startswith(told["outcome"])
    assert told["timing"] == "after_data"
    assert told["parts"][0]["interval"]["lower"] is not None


def test_slips_on_the_command_line(tmp_path: Path) -> None:
    path = _file(tmp_path)
    for words, said in (
        (["--claim", "accuracy >= 0.9", "--cluster", "usr", "--column", "correct=right"], "did you mean 'user'"),
        (["--claim", "accuracy >= 0.9", "--cluster", "user", "--column", "group=user"], "--cluster says the same"),
        (["--claim", "accuracy >= 0.9", "--column", "corect=right"], "no column is called 'corect'"),
        (["--claim", "accuracy >= 0.9", "--column", "correct=right", "--set", "dlta=1"], "did you mean 'delta'"),
    ):
        with pytest.raises(UsageError, match=said):
            CliRunner().invoke(decide, ["--data", path, *words], catch_exceptions=False)
    assert "Example:" in CliRunner().invoke(decide, ["--help"]).output
