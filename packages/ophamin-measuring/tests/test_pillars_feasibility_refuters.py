"""Pillar F: refuters and what needs the extra ``causal``."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from ophamin.measuring.pillars.feasibility import _dowhy_processes, dowhy_refuters
from ophamin.measuring.pillars.feasibility.dowhy_refuters import dowhy_refute
from ophamin.measuring.pillars.feasibility.learning import causal_forest, linear_dml
from ophamin.measuring.pillars.feasibility.refutation import ESTIMATORS, KINDS, refute
from ophamin.measuring.pillars.feasibility.regression import regression
from ophamin.proof.errors import UsageError
from ophamin.registry import get_pillar


def study(seed: int, n: int = 300, *, varies: float = 0.0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    t = (rng.random(n) < expit(0.6 * x[:, 0])).astype(float)
    return x.sum(axis=1) + t * (1 + varies * x[:, 0]) + rng.normal(size=n), t, x


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_numbers_do_not_depend_on_the_workers(kind: str, estimator: str) -> None:
    rows = study(1, 120)
    alone, two, five = (
        refute(*rows, kind=kind, estimator=estimator, simulations=12, workers=w, seed=4) for w in (1, 2, 5)
    )
    assert alone.estimates.tobytes() == two.estimates.tobytes() == five.estimates.tobytes()
    assert len(set(alone.estimates)) == 12
    other = refute(*rows, kind=kind, estimator=estimator, simulations=12, workers=1, seed=5)
    assert not np.array_equal(alone.estimates, other.estimates)


def test_the_first_simulations_of_a_longer_run_are_those_of_a_shorter_one() -> None:
    rows = study(2)
    short, long = (refute(*rows, simulations=b, seed=1).estimates for b in (5, 9))
    assert np.array_equal(short, long[:5])


def test_refuters_find_what_theory_says() -> None:
    y, t, x = study(3, 1000)
    placebo, cause, subset = (refute(y, t, x, kind=k, simulations=200, seed=0) for k in KINDS)
    base = regression(y, t, x, errors="classical")
    assert placebo.base == pytest.approx(base.estimate)
    assert abs(placebo.mean) < 4 * placebo.sd / np.sqrt(200)
    assert placebo.p_value == 1 / 201
    assert abs(cause.mean - base.estimate) < 0.1 * base.se
    # Without replacement, a share f spreads about the whole with variance (1 - f)/f of its own.
    assert subset.sd == pytest.approx(base.se * np.sqrt(0.25), rel=0.25)
    assert not any(r.notes for r in (placebo, cause, subset))


@pytest.mark.parametrize("scale", [1e-140, 1.0, 1e140])
def test_the_linear_estimator_is_least_squares_whatever_the_units(scale: float) -> None:
    y, t, x = study(10, 200)
    by_hand = np.linalg.lstsq(np.column_stack([np.ones(len(y)), x, t]), y, rcond=None)[0][-1]
    assert refute(y, t, x * [scale, 1, 1 / scale], simulations=2).base == pytest.approx(by_hand, rel=1e-9)
    assert refute(y * scale, t, x, simulations=2).base == pytest.approx(by_hand * scale, rel=1e-9)
    for told_by_the_rest in (t * scale, 3 - 2 * t):
        found = refute(y, t, np.column_stack([x, told_by_the_rest]), simulations=2)
        assert np.isnan(found.base)
        assert "no estimate" in found.notes[0]


def test_a_simulation_has_the_seed_that_numpy_spawns() -> None:
    y, t, x = study(11, 50)
    seeds = np.random.SeedSequence([3, KINDS.index("random-common-cause")]).spawn(4)
    normal = [np.random.default_rng(s).standard_normal(50).tolist() for s in seeds]
    seen: list[list[float]] = []

    def watched(rows: Any) -> float:
        seen.append(rows.confounders[:, -1].tolist())
        return 1.0

    refute(y, t, x, kind="random-common-cause", estimator=watched, simulations=4, workers=1, seed=3)
    assert seen[1:] == normal  # the first is the data as they are


def test_no_effect_gives_no_small_p_value() -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y, t, x = rng.normal(size=60), rng.integers(0, 2, 60), rng.normal(size=60)
        found.append(refute(y, t, x, simulations=99, workers=1, seed=seed).p_value)
    # P(p <= 0.1) = 0.1 exactly but for the adjustment: of 60, more than 17 once in 10,000.
    assert sum(p <= 0.1 for p in found) <= 17


@pytest.mark.parametrize("kind", KINDS)
def test_dowhy_agrees(kind: str) -> None:
    rows = study(4)
    ours = refute(*rows, kind=kind, simulations=60, seed=0)
    theirs = dowhy_refute(*rows, kind=kind, simulations=60, seed=0)
    assert theirs.base == pytest.approx(ours.base, rel=1e-9)
    assert theirs.sd == pytest.approx(ours.sd, rel=0.5)
    assert abs(theirs.mean - ours.mean) < 5 * np.hypot(ours.sd, theirs.sd) / np.sqrt(60)
    again = dowhy_refute(*rows, kind=kind, simulations=60, seed=0)
    assert np.array_equal(theirs.estimates, again.estimates)
    assert len(set(theirs.estimates)) == 60


@pytest.mark.parametrize("killed", [0, 1, 2])
def test_processes_give_the_numbers_of_one_and_may_be_killed(killed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, started = study(4), []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)
            if len(started) <= killed:
                self.kill()

    alone = dowhy_refute(*rows, kind="subset", simulations=9, workers=1, seed=3)
    monkeypatch.setattr(dowhy_refuters, "_PAYS", 0.0)
    monkeypatch.setattr(dowhy_refuters, "_PATIENCE", 0.0)
    monkeypatch.setattr(_dowhy_processes, "Popen", Watched)
    two = dowhy_refute(*rows, kind="subset", simulations=9, workers=2, budget=600, seed=3)
    assert alone.estimates.tobytes() == two.estimates.tobytes()
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_a_budget_ends_processes_in_the_midst_of_a_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dowhy_refuters, "_PAYS", 0.0)
    monkeypatch.setattr(dowhy_refuters, "_PATIENCE", 0.0)
    started, taken = [], threading.Event()

    class Stopped(subprocess.Popen):  # type: ignore[type-arg]
        """Stands still, as in a simulation that has no end."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.send_signal(signal.SIGSTOP)
            started.append(self)
            taken.set()

    monkeypatch.setattr(_dowhy_processes, "Popen", Stopped)
    found = dowhy_refute(*study(4), simulations=9, workers=2, budget=5.0, seed=3)
    assert taken.is_set()
    assert len(found.estimates) == 0
    assert found.notes == ("the budget of time ended after 0 of 9 simulations",)
    assert [process.returncode for process in started] == [-signal.SIGKILL] * 2


def test_a_budget_ends_a_refuter() -> None:
    y, t, x = study(5, 5000)
    found = refute(y, t, x, estimator="aipw", simulations=5000, budget=0.3, workers=2, seed=0)
    assert 0 < len(found.estimates) < 5000
    assert "budget" in found.notes[0]
    whole = refute(y, t, x, estimator="aipw", simulations=5, workers=1, seed=0)
    assert np.array_equal(found.estimates[:5], whole.estimates)


def test_errors_within_a_simulation_come_out() -> None:
    def fails(rows: Any) -> float:
        if rows.confounders.shape[1] == 4:
            raise ZeroDivisionError("planted")
        return 1.0

    with pytest.raises(ZeroDivisionError, match="planted"):
        refute(*study(6), kind="random-common-cause", estimator=fails, workers=3, simulations=20)


def test_an_error_in_one_thread_ends_the_others() -> None:
    failed, calls = threading.Event(), []

    def fails_elsewhere(_rows: Any) -> float:
        if threading.current_thread() is not threading.main_thread():
            failed.set()
            raise ZeroDivisionError("planted")
        calls.append(1)
        if len(calls) > 1:  # the first is the data as they are, before there is another thread
            failed.wait()
            time.sleep(0.001)
        return 1.0

    with pytest.raises(ZeroDivisionError, match="planted"):
        refute(*study(6), estimator=fails_elsewhere, workers=2, simulations=20_000)
    assert len(calls) < 20_000


def test_failed_simulations_are_counted_not_averaged_away() -> None:
    y, t, x = np.arange(8.0), np.array([1, 0, 0, 0, 0, 0, 0, 0]), np.arange(8.0) ** 2
    found = refute(y, t, x, kind="subset", share=0.5, simulations=40, seed=0)
    assert found.failed > 0
    assert np.isnan(found.mean)
    assert "gave no estimate" in found.notes[0]


def test_malformed_options_are_refused() -> None:
    rows = study(7)
    for options in ({"kind": "bootstrap"}, {"estimator": "x"}, {"simulations": 1}, {"share": 1.0}, {"budget": 0.0}):
        with pytest.raises(UsageError):
            refute(*rows, **options)
    table = {"outcome": rows[0].tolist(), "treatment": rows[1].tolist(), "confounder": rows[2][:, 0].tolist()}
    with pytest.raises(UsageError, match="linear estimator only"):
        get_pillar("F.refute")().compute(table, seed=0, engine="dowhy", estimator="ipw")


def test_libraries_say_nothing_of_their_own(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = study(8, 150)
    with caplog.at_level(logging.DEBUG):
        dowhy_refute(*rows, simulations=3)
        linear_dml(*rows)
        causal_forest(*rows, trees=16)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")


def test_double_machine_learning_repeats_itself() -> None:
    rows = study(9, 300, varies=1.0)
    one, two, other = (causal_forest(*rows, trees=40, folds=2, nuisance="linear", seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.effects, two.effects)
    assert not np.array_equal(one.effects, other.effects)
    assert np.corrcoef(one.effects, rows[2][:, 0])[0, 1] > 0.5
    assert linear_dml(*rows, seed=3) != linear_dml(*rows, seed=4)
    modified = linear_dml(*rows, modifiers=rows[2][:, 0])
    assert np.corrcoef(modified.effects, rows[2][:, 0])[0, 1] > 0.99


@pytest.mark.parametrize(
    ("name", "package", "options"), [("F.linear_dml", "econml", {}), ("F.causal_forest", "econml", {}),
                                     ("F.refute", "dowhy", {"engine": "dowhy"})],
)  # fmt: skip
def test_a_missing_extra_is_named(name: str, package: str, options: dict[str, str]) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from ophamin.registry import get_pillar\n"
        f"plugin = get_pillar({name!r})()\n"
        "table = {'outcome': [1.0, 2.0] * 30, 'treatment': [0, 1, 1] * 20, 'confounder': [1.0, 2.0, 5.0, 3.0] * 15}\n"
        f"try: plugin.compute(table, seed=0, **{options!r})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("MissingDependency")
    assert "ophamin-measuring[causal]" in out


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import numpy as np; from ophamin.measuring.pillars.feasibility.dowhy_refuters import dowhy_refute\n"
        "r = np.random.default_rng(0); x = r.normal(size=(200, 9)); t = r.integers(0, 2, 200)\n"
        "print(dowhy_refute(x.sum(1) + t, t, x, simulations=5, kind='subset').estimates.tobytes().hex())\n"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "7")
    }  # fmt: skip
    assert len(outs) == 1
