"""What is registered before commits are pooled; the looks themselves need the pillars of another wheel."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ophamin.comparing.series.points import Series, series_of
from ophamin.comparing.series.registering import LOOK, SPENDING, Plan, find, register, spent
from ophamin.proof.errors import UsageError
from ophamin.proof.ledger import Ledger, _ledger

LATER = (datetime.now(timezone.utc) + timedelta(days=1)).isoformat()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def series(proof: Any) -> Any:
    def make(*created: str, **more: Any) -> Series:
        times = ("2020-01-01T00:00:00+00:00", *created)
        (found,) = series_of([proof(revision=f"r{i}", created=at, **more) for i, at in enumerate(times)])
        return found

    return make


def looked(ledger: Ledger, index: int, ended: bool = False) -> None:
    entry = {"type": LOOK, "registration": index, "look": 1, "added": ["ab" * 32], "fraction": 0.5}
    ledger.append({**entry, "outcome": "INCONCLUSIVE", "ended": ended})


def test_the_same_plan_again_changes_nothing(ledger: Ledger, series: Any) -> None:
    first = register(ledger, series(), Plan(40_000))
    again = register(ledger, series(), Plan(40_000))
    assert (first.index, again.index, again.renewed, ledger.size) == (0, 0, True, 1)
    assert again.plan == Plan(40_000)


def test_another_maximum_before_any_commit_takes_the_place_of_the_first(ledger: Ledger, series: Any) -> None:
    register(ledger, series(), Plan(40_000))
    found = register(ledger, series(), Plan(80_000))
    assert (found.attempt, found.alpha_used) == (1, 0.05)
    now = find(ledger, series())
    assert now is not None
    assert now.plan.max_n == 80_000


def test_another_maximum_after_a_look_is_another_attempt_at_half_of_alpha(ledger: Ledger, series: Any) -> None:
    looked(ledger, register(ledger, series(), Plan(40_000)).index)
    found = register(ledger, series(), Plan(80_000))
    assert (found.attempt, found.alpha_used) == (2, 0.025)
    looked(ledger, found.index)
    assert register(ledger, series(), Plan(90_000)).alpha_used == 0.0125
    with pytest.raises(UsageError, match="measured from now on"):
        register(ledger, series(), Plan(95_000, include_earlier=True))


def test_commits_that_were_measured_under_a_registration_count_as_seen(ledger: Ledger, series: Any) -> None:
    # Nobody looked, officially; but who drops them by registering anew has chosen.
    register(ledger, series(), Plan(40_000))
    assert register(ledger, series(LATER), Plan(80_000)).attempt == 2


def test_the_same_plan_after_its_end_is_another_attempt(ledger: Ledger, series: Any) -> None:
    looked(ledger, register(ledger, series(), Plan(40_000)).index, ended=True)
    found = register(ledger, series(), Plan(40_000))
    assert (found.renewed, found.attempt) == (False, 2)


def test_series_are_kept_apart(ledger: Ledger, series: Any) -> None:
    looked(ledger, register(ledger, series(), Plan(40_000)).index)
    assert find(ledger, series(statement="Another.")) is None
    assert register(ledger, series(statement="Another."), Plan(80_000)).attempt == 1


def test_a_long_ledger_is_read_once_however_often_it_is_asked(
    tmp_path: Path, series: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, made, parsed = 2_000, Ledger(tmp_path / "ledger"), []
    made._append(*({"type": "other", "number": i} for i in range(n)))  # one write instead of two thousand
    parse = _ledger._parse
    monkeypatch.setattr(_ledger, "_parse", lambda index, leaf: parsed.append(index) or parse(index, leaf))
    ledger = Ledger(tmp_path / "ledger")
    first = register(ledger, series(), Plan(40_000))
    looked(ledger, first.index)
    once = len(parsed)
    assert once < 2.1 * n, "read when it was opened, and for the view"
    for _ in range(3):
        found = find(ledger, series())
        assert found is not None
        assert (found.index, len(found.looks)) == (n, 1)
    assert register(ledger, series(), Plan(80_000)).attempt == 2
    assert len(parsed) < once + 10
    # What others append meanwhile is seen all the same.
    looked(Ledger(tmp_path / "ledger"), n + 2)
    found = find(ledger, series())
    assert found is not None
    assert (found.index, len(found.looks)) == (n + 2, 1)


@pytest.mark.parametrize("key", [None, 7, ["k"], {"k": 1}])
def test_entries_of_others_hurt_nobody(ledger: Ledger, series: Any, key: Any) -> None:
    ledger.append({"type": "cumulative-registration", "key": key})
    ledger.append({"type": LOOK, "registration": key})
    ledger.append({"type": LOOK})
    assert find(ledger, series()) is None
    assert register(ledger, series(), Plan(40_000)).attempt == 1


@pytest.mark.parametrize(
    "wrong",
    [{"max_n": 0}, {"max_n": -1}, {"max_n": 10**16}, {"alpha": 0.5},
     {"alpha": 0.0}, {"drift_alpha": 1.0}, {"spending": "all at once"}],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Plan(**{"max_n": 40_000, **wrong})


@pytest.mark.parametrize("spending", SPENDING)
def test_alpha_is_spent_by_the_maximum_and_never_more(spending: str) -> None:
    path = [spent(spending, t / 20, 0.05) for t in range(1, 41)]
    assert path == sorted(path)
    assert path[19] == pytest.approx(0.05)
    assert path[-1] == pytest.approx(0.05)
    assert path[0] < 0.006
