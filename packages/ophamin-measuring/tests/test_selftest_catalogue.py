"""What is tried: every estimator of the wheel, every approximate method beyond its promise too."""

from __future__ import annotations

import pytest

from ophamin import registry
from ophamin.measuring.selftest import running
from ophamin.measuring.selftest.catalogue import ESTIMATORS, REFERENCES, catalogue
from ophamin.measuring.selftest.running import results
from ophamin.proof.errors import UsageError

WHEEL = "ophamin-measuring"


def test_every_estimator_of_this_wheel_has_checks_and_references() -> None:
    ours = {n for n in registry.estimators.names() if registry.estimators.origin(n).startswith(WHEEL)}
    assert ours == set(ESTIMATORS)
    assert all(make() for make in ESTIMATORS.values())
    assert ours <= {c.family for c in catalogue()}
    assert ours <= {r.family for r in REFERENCES}


def test_every_check_judges_something_and_is_named_once() -> None:
    checks = catalogue()
    labels = [c.label for c in checks] + [f"{r.family}: {r.name}" for r in REFERENCES]
    assert len(set(labels)) == len(labels)
    for check in checks:
        assert (check.run is None) != (check.enumerate is None), check.label
        assert check.most is not None or check.least is not None, check.label
        assert check.sides, check.label
        assert check.full >= check.quick, check.label
        assert check.full > 0, check.label


def test_every_approximate_method_is_tried_beyond_its_promise() -> None:
    checks = catalogue()
    stressed = {c.method for c in checks if c.stress}
    # Betting is guaranteed; blocks of a series are its one case that is not, and that one is on the grid itself.
    approximate = {c.method for c in checks if c.guarantee == "approximate" and "AR 0.5" not in c.name}
    assert approximate <= stressed


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: f"{r.family}: {r.name}")
def test_reference_numbers_come_out(reference) -> None:
    assert float(reference.compute()) == pytest.approx(
        reference.expected, abs=reference.tolerance * max(1, abs(reference.expected))
    )


def test_counts_depend_on_the_seed_and_not_on_the_workers() -> None:
    only = {"family", "mean: normal, n = 5, α = 0.05", "value"}
    here, there, other = (results(only=only, seed=s, jobs=j) for s, j in ((3, 1), (3, 2), (4, 1)))
    assert here["checks"] == there["checks"]
    assert here["references"] == there["references"]
    assert here["checks"] != other["checks"]
    assert here["summary"]["verdict"] == "ok"
    assert not here["run"]["complete"]


def test_progress_counts_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    results(only={"family"}, progress=lambda done, total, label: seen.append((done, total)))
    assert [d for d, _ in seen] == list(range(1, seen[-1][1] + 1))


def test_an_estimator_that_raises_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(columns, **options):
        raise RuntimeError("no interval today")

    monkeypatch.setitem(registry.estimators._registered, "mean", broken)
    found = results(only={"mean: normal, n = 5, α = 0.05", "mean"})
    assert found["summary"]["verdict"] == "FAIL"
    assert all(row["verdict"] == "FAIL" for row in found["checks"] + found["references"])
    assert "no interval today" in found["checks"][0]["why"]


def test_an_estimator_nobody_checks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.estimators.register("their-own", lambda columns, **options: None)
    try:
        assert results(only={"value"})["not_checked"] == ["estimator their-own"]
    finally:
        registry.estimators.unregister("their-own")


@pytest.mark.parametrize("more", [{"mode": "some"}, {"seed": -1}, {"jobs": 0}, {"only": {"no such check"}}])
def test_what_makes_no_sense_is_refused(more) -> None:
    with pytest.raises(UsageError):
        running.results(**more)
