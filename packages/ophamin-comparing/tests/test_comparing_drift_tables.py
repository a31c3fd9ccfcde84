"""Tables: distances against other libraries, bounds by simulation, and states over many columns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ophamin.comparing.drift.family import adjusted
from ophamin.comparing.drift_detection.distance import categories, numbers, p_beyond, p_within
from ophamin.comparing.drift_detection.mmd import mmd
from ophamin.comparing.drift_detection.table import read_table, table_drift
from ophamin.proof.errors import UsageError

samples = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=60)


@given(samples, samples)
def test_distances_of_numbers_are_scipys(x: list[float], y: list[float]) -> None:
    ours = numbers(np.array(x), np.array(y))
    assert ours.effect == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12)
    assert ours.wasserstein == pytest.approx(stats.wasserstein_distance(x, y), abs=1e-9)
    assert ours.energy == pytest.approx(stats.energy_distance(x, y), abs=1e-6)
    assert 0 <= ours.p_equal <= 1


def test_p_of_equality_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.1, 0.3):
        x, y = rng.normal(size=400), rng.normal(shift, 1, 300)
        assert numbers(x, y).p_equal == pytest.approx(stats.ks_2samp(x, y, method="asymp").pvalue, rel=1e-9)
    counts = np.array([30, 50, 20]), np.array([45, 40, 5])
    ours = categories(*counts)
    assert ours.p_equal == pytest.approx(stats.chi2_contingency(np.vstack(counts), correction=False).pvalue, rel=1e-9)
    assert ours.effect == pytest.approx(abs(np.subtract(counts[0] / 100, counts[1] / 90)).sum() / 2)


def test_the_stability_index_by_hand() -> None:
    # Two categories, half a row added to each: shares 0.5 and 0.8.
    p, q = 0.5, 80.5 / 101
    by_hand = (q - p) * math.log(q / p) + ((1 - q) - (1 - p)) * math.log((1 - q) / (1 - p))
    assert categories(np.array([50, 50]), np.array([80, 20])).psi == pytest.approx(by_hand)
    x = np.arange(1000.0)
    assert numbers(x, x).psi == 0.0
    assert numbers(x, x + 500).psi > 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(["bh", "by"]))
def test_adjusted_p_values_are_scipys(p: list[float], method: str) -> None:
    np.testing.assert_allclose(adjusted(p, method), stats.false_discovery_control(p, method=method), atol=1e-12)


@pytest.mark.parametrize(("n", "m", "shift"), [(50, 50, 0.5), (200, 40, 0.3), (500, 500, 0.0)])
def test_bounds_of_numbers_miss_less_than_they_say(n: int, m: int, shift: float) -> None:
    truth = 2 * stats.norm.cdf(shift / 2) - 1  # of two normal laws
    rng = np.random.default_rng(n + m)
    drawn = [numbers(rng.normal(size=n), rng.normal(shift, 1, m)) for _ in range(1000)]
    assert sum(p_beyond(d, truth) <= 0.05 for d in drawn) <= stats.binom.ppf(0.9999, 1000, 0.05)
    assert sum(p_within(d, truth) <= 0.05 for d in drawn if truth > 0) <= stats.binom.ppf(0.9999, 1000, 0.05)
    for d in drawn[:50]:
        # A p-value is dual to the bound.
        assert (p_beyond(d, truth) <= 0.05) == (d.effect - d.margin(0.05) >= truth) or truth == 0


@pytest.mark.parametrize("k", [2, 10, 60])
def test_bounds_of_categories_miss_less_than_they_say(k: int) -> None:
    rng = np.random.default_rng(k)
    p = rng.dirichlet(np.ones(k))
    q = 0.7 * p + 0.3 * rng.dirichlet(np.ones(k))
    truth = float(np.abs(p - q).sum() / 2)
    drawn = []
    for _ in range(500):
        a, b = rng.multinomial(300, p), rng.multinomial(400, q)
        drawn.append(categories(a, b))
    limit = stats.binom.ppf(0.9999, 500, 0.05)
    assert sum(p_beyond(d, truth) <= 0.05 for d in drawn) <= limit
    assert sum(p_within(d, truth) <= 0.05 for d in drawn) <= limit


def test_states_and_what_is_not_compared() -> None:
    rng = np.random.default_rng(3)
    n = 4000
    reference = pd.DataFrame(
        {
            "same": rng.normal(size=n), "shifted": rng.normal(size=n), "colour": rng.choice(list("abc"), n),
            "flag": rng.random(n) < 0.5, "holes": np.where(rng.random(n) < 0.02, np.nan, 1.0),
            "gone": 1, "text": [f"t{i}" for i in range(n)], "turned": 1.0,
        }
    )  # fmt: skip
    current = pd.DataFrame(
        {
            "same": rng.normal(size=n), "shifted": rng.normal(1, 1, n), "colour": rng.choice(list("abd"), n),
            "flag": rng.random(n) < 0.5, "holes": np.where(rng.random(n) < 0.5, np.nan, 1.0),
            "new": 1, "text": [f"u{i}" for i in range(n)], "turned": "x",
        }
    )  # fmt: skip
    found = table_drift(reference, current)
    assert {c.name: c.state for c in found.columns} == {
        "same": "stable", "shifted": "drift", "colour": "drift", "flag": "stable", "holes (missing)": "drift", "holes": "stable",
    }  # fmt: skip
    assert found.only_reference == ["gone"]
    assert found.only_current == ["new"]
    assert [name for name, _ in found.skipped] == ["text", "turned"]
    shifted = next(c for c in found.columns if c.name == "shifted")
    assert shifted.lower < 2 * stats.norm.cdf(0.5) - 1 < shifted.upper


def test_many_equal_columns_are_not_called_drifted_and_few_rows_decide_nothing() -> None:
    rng = np.random.default_rng(4)
    frames = [pd.DataFrame(rng.normal(size=(3000, 60))) for _ in range(2)]
    states = [c.state for c in table_drift(*frames, joint=False).columns]
    assert "drift" not in states
    assert states.count("stable") == 60
    few = table_drift(frames[0][:30], frames[1][:30])
    assert {c.state for c in few.columns} == {"undecided"}


def test_a_false_finding_is_as_rare_as_it_says_when_every_column_lies_at_the_limit() -> None:
    # Shares that differ by exactly the smallest effect: neither word is right.
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(200):
        x = pd.DataFrame(rng.random((300, 10)) < 0.5)
        y = pd.DataFrame(rng.random((300, 10)) < 0.6)
        wrong += any(c.state != "undecided" for c in table_drift(x, y, joint=False).columns)
    assert wrong <= stats.binom.ppf(0.9999, 200, 0.1)


def test_one_row_of_each_group() -> None:
    rng = np.random.default_rng(6)
    # Twenty users of two hundred rows each; which ones came differs, and nothing else.
    frames = [
        pd.DataFrame({"user": np.repeat(np.arange(20), 200), "v": np.repeat(rng.normal(size=20), 200)})
        for _ in range(2)
    ]
    assert table_drift(*frames, joint=False).units == (4000, 4000)
    grouped = table_drift(*frames, group="user", joint=False)
    assert grouped.units == (20, 20)
    assert [c.state for c in grouped.columns] == ["undecided"]
    with pytest.raises(UsageError, match="no column 'session'"):
        table_drift(*frames, group="session")


def test_the_joint_test_sees_what_no_column_shows() -> None:
    rng = np.random.default_rng(7)
    x = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 5000)
    y = rng.multivariate_normal([0, 0], [[1, -0.9], [-0.9, 1]], 5000)
    found = table_drift(pd.DataFrame(x), pd.DataFrame(y))
    assert {c.state for c in found.columns} == {"stable"}
    assert found.joint is not None
    assert found.joint.p == 0.001
    assert found.joint.rows == (500, 500)
    again = table_drift(pd.DataFrame(x), pd.DataFrame(y))
    assert again.joint == found.joint


def test_the_joint_test_holds_its_level() -> None:
    rng = np.random.default_rng(8)
    found = [mmd(rng.normal(size=(30, 2)), rng.normal(size=(40, 2)), seed=i).p for i in range(150)]
    assert sum(p <= 0.05 for p in found) <= stats.binom.ppf(0.9999, 150, 0.05)
    assert sum(p <= 0.5 for p in found) >= stats.binom.ppf(0.0001, 150, 0.5)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"alpha": 0.7}, "alpha lies"), ({"smallest": 0.0}, "smallest effect"), ({"method": "bonferroni"}, "by or bh")],
)
def test_options_out_of_range(options: dict[str, object], said: str) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    with pytest.raises(UsageError, match=said):
        table_drift(frame, frame, **options)  # type: ignore[arg-type]


def test_the_joint_test_sees_a_shift_of_what_lies_far_from_zero() -> None:
    # Milliseconds since 1970: their squares have no room for a difference of one.
    rng = np.random.default_rng(5)
    x, y = rng.normal(1.7e12, 1, (100, 2)), rng.normal(1.7e12 + 1, 1, (100, 2))
    assert mmd(x, y, seed=0).p == 0.001
    near = mmd(x - 1.7e12, y - 1.7e12, seed=0)
    assert mmd(x, y, seed=0).value == pytest.approx(near.value, abs=1e-3)


def test_the_joint_test_is_of_numbers_of_any_size_and_of_many_equal_rows() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    assert mmd(x * 1e200, y * 1e200, seed=0).p == mmd(x, y, seed=0).p
    few = np.zeros((100, 2))
    few[:20] = 1.0
    assert mmd(few + 0.1, np.zeros((100, 2)) + 0.1, seed=0).p == 0.001
    assert mmd(few + 0.1, few[::-1] + 0.1, seed=0).p > 0.5


def test_what_has_no_square_and_what_has_no_name_of_its_own_is_said() -> None:
    huge = pd.DataFrame({"a": [1e308, -1e308] * 50, "b": range(100)})
    found = table_drift(huge, huge)
    assert found.skipped == [("a", "it holds numbers beyond 1e+150, whose squares are none")]
    assert [c.name for c in found.columns] == ["b"]
    twice = pd.DataFrame([[1, 2]] * 20, columns=["a", "a"])
    with pytest.raises(UsageError, match="two columns 'a'"):
        table_drift(twice, twice)


def test_degenerate_columns_are_typed_results() -> None:
    one = pd.DataFrame({"a": [1.0], "b": ["x"], "inf": [np.inf], "empty": [np.nan]})
    found = table_drift(one, one)
    assert {c.name: c.state for c in found.columns} == {
        "a": "undecided",
        "b": "undecided",
        "empty (missing)": "undecided",
    }
    assert dict(found.skipped) == {"inf": "it holds infinite numbers", "empty": "one side has no value in it"}
    with pytest.raises(UsageError, match="no column in common"):
        table_drift(one, pd.DataFrame({"z": [1]}))


def test_files_are_read_by_their_names(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ticker": ["NA", "TRUE"], "v": [1.0, 2.0]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "t.parquet")
    for suffix in ("csv", "jsonl", "parquet"):
        read, digest = read_table(tmp_path / f"t.{suffix}")
        assert read["ticker"].tolist() == ["NA", "TRUE"]
        assert digest.startswith("sha256:")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "none.csv").write_text("a,b\n")
    (tmp_path / "blank.csv").write_text("")
    for name, said in (
        ("bad.parquet", "as a table"),
        ("none.csv", "no rows"),
        ("blank.csv", "as a table"),
        ("no.csv", "as a table"),
    ):
        with pytest.raises(UsageError, match=said):
            read_table(tmp_path / name)
