"""A look at pooled commits as a page, and its chart."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import UsageError
from ophamin.reporting.charts.trajectory import Trajectory, TrajectoryPoint, describe_trajectory, trajectory_chart
from ophamin.reporting.renderers.html import HtmlRenderer
from ophamin.reporting.renderers.markdown import MarkdownRenderer
from ophamin.testing import check_renderer

SVG = "{http://www.w3.org/2000/svg}"
RENDERERS = [HtmlRenderer, MarkdownRenderer]


def step(n: int, value: float, half: float | None) -> dict[str, Any]:
    bounds = (None, None) if half is None else (value - half, value + half)
    return {
        "n": n, "value": value, "se": 0.01, "fraction": n / 600, "spent": 0.001 * n / 150, "lower": bounds[0],
        "upper": bounds[1], "boundary": None if half is None else half / 0.01,
    }  # fmt: skip


def cumulative(**change: Any) -> dict[str, Any]:
    """As comparing writes it: three commits, of which the third decides."""
    steps = [step(150, 0.93, None), step(300, 0.94, 0.06), step(450, 0.95, 0.03)]
    points = [
        {"proof_id": f"{i}" * 64, "revision": f"{i}abc" * 10, "created_at": f"2026-11-2{i}T10:00:00+00:00",
         "value": 0.94, "se": 0.02, "n": 150, "step": made}
        for i, made in enumerate(steps)
    ]  # fmt: skip
    return {
        "cumulative_id": "ab" * 32,
        "schema_version": "cumulative/1.0",
        "registration": {
            "index": 7, "look": 2, "attempt": 1, "metric": "accuracy", "comparator": ">=", "theta": 0.9, "max_n": 600,
            "alpha": 0.05, "alpha_used": 0.05, "spending": "obrien-fleming", "drift_alpha": 0.1, "points_there": 1,
            "include_earlier": False, "registered_at": "2026-11-20T10:00:00+00:00", "ledger": {"log_id": "cd" * 16},
            "series": {"claim": "sha256:11", "scenario": "metric", "substrate": "repo <b>x</b>", "corpus": "sha256:22"},
        },
        "points": points,
        "left_out": [{"proof_id": "9" * 64, "revision": "", "reason": "measured before the registration"}],
        "result": {
            "outcome": "VALIDATED", "one_truth": True, "reason": "", "heterogeneity_p": 0.4, "change_p": 1.0,
            "fraction": 0.75, "value": 0.95, "lower": 0.92, "upper": 0.98, "crossed": 2, "ended": True,
        },
        "reproduction": {"command": "ophamin cumulative look accuracy"},
        "signature": "00" * 32,
        **change,
    }  # fmt: skip


@pytest.mark.parametrize("renderer", RENDERERS)
def test_pooled_commits_keep_the_contract_of_a_renderer(renderer: Any) -> None:
    check_renderer(renderer, [cumulative(), cumulative(cumulative_id="ef" * 32)])


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_page_says_what_was_registered_found_and_left_out(renderer: Any) -> None:
    text = renderer().render([cumulative()]).decode()
    for said in (
        "VALIDATED", "Decided at commit 3", "look 2, 75 % of the registered maximum", "accuracy ≥ 0.9, pooled over 3",
        "600 observations", "obrien-fleming", "measured before the registration", "0.92 to 0.98", "0.88 to 1",
        "ophamin cumulative look accuracy", "p = 0.4", "entry of the ledger",
    ):  # fmt: skip
        assert said in text, said
    assert renderer is MarkdownRenderer or "<b>x</b>" not in text


def test_the_chart_stands_on_the_page_of_html_only() -> None:
    page = HtmlRenderer().render([cumulative()]).decode()
    assert 'id="r1-path-title"' in page
    assert "decided at commit 3, after 450" in page
    assert "<svg" not in MarkdownRenderer().render([cumulative()]).decode()


@pytest.mark.parametrize("renderer", RENDERERS)
def test_what_drifted_is_not_drawn(renderer: Any) -> None:
    record = cumulative(result={"outcome": "INCONCLUSIVE", "one_truth": False, "reason": "a change point"})
    record["points"] = [{**p, "step": None} for p in record["points"]]
    text = renderer().render([record]).decode()
    assert "Not pooled, for a change point" in text
    assert "r1-path" not in text


def chart(**change: Any) -> Trajectory:
    points = [TrajectoryPoint(150, 0.93), TrajectoryPoint(300, 0.94, 0.88, 1.0), TrajectoryPoint(450, 0.95, 0.92, 0.98)]
    return Trajectory(**{"metric": "accuracy", "comparator": ">=", "theta": 0.9, "points": points, "max_n": 600,
                         "crossed": 2, "outcome": "VALIDATED", **change})  # fmt: skip


def drawn(path: Trajectory) -> tuple[list[list[tuple[float, float]]], list[str]]:
    """Ends of every line drawn, and every text, in the order they are drawn."""
    root = ET.fromstring(trajectory_chart(path))
    lines = [
        [(float(x), float(y)) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", element.get("d") or "")]
        for element in root.iter(f"{SVG}path")
        if "fill: none" in (element.get("style") or "") and "stroke" in (element.get("style") or "")
    ]
    return lines, [element.text or "" for element in root.iter(f"{SVG}text")]


def test_it_draws_the_threshold_the_values_their_intervals_and_what_spending_allows() -> None:
    lines, texts = drawn(chart())
    assert {"accuracy ≥ 0.9: VALIDATED", "observations", "maximum"} <= set(texts)
    # Pixels grow downwards: one scale for all lines.
    level = next(y0 for (_, y0), (_, y1) in [line for line in lines if len(line) == 2] if y0 == y1)
    (path,) = [line for line in lines if len(line) == 3]
    scale = (path[0][1] - path[2][1]) / (0.95 - 0.93)
    assert level - path[2][1] == pytest.approx(0.05 * scale, rel=1e-3)
    bars = [
        line for line in lines if len(line) == 2 and line[0][0] == line[1][0] and line[0][0] in (path[1][0], path[2][0])
    ]
    assert [abs(a[1] - b[1]) for a, b in bars] == pytest.approx([0.12 * scale, 0.06 * scale], rel=1e-3)
    bounds = [line for line in lines if len(line) == 2 and [x for x, _ in line] == [x for x, _ in path[1:]]]
    assert sorted(y - level for line in bounds for _, y in line) == pytest.approx(
        [-0.06 * scale, -0.03 * scale, 0.03 * scale, 0.06 * scale], rel=1e-3
    )


def test_the_decisive_commit_is_marked() -> None:
    decided, open_ = trajectory_chart(chart()), trajectory_chart(chart(crossed=None))
    assert len(decided) > len(open_)


def test_the_first_intervals_do_not_set_the_scale() -> None:
    narrow = [TrajectoryPoint(100 * i, 0.95, 0.95 - 0.2 / i, 0.95 + 0.2 / i) for i in range(2, 20)]
    wide = [TrajectoryPoint(100, 0.95, -8.0, 9.0), *narrow]
    (path, *_) = [line for line in drawn(chart(points=wide))[0] if len(line) == len(wide)]
    (other, *_) = [line for line in drawn(chart(points=narrow))[0] if len(line) == len(narrow)]
    assert abs(path[-1][1] - other[-1][1]) < 30


def test_thousands_of_commits_stay_a_small_picture() -> None:
    points = [TrajectoryPoint(150 * i, 0.95, 0.9, 1.0) for i in range(1, 5_000)]
    assert len(trajectory_chart(chart(points=points))) < 300_000


def test_the_picture_has_its_words() -> None:
    assert describe_trajectory(chart()) == (
        "accuracy ≥ 0.9: 3 commits pooled; decided at commit 3, after 450 of at most 600 observations: 0.95 [0.92, 0.98]; "
        "VALIDATED."
    )
    assert "no interval yet" in describe_trajectory(chart(points=chart().points[:1], crossed=None))


@pytest.mark.parametrize("path", [chart(points=[]), chart(theta=None), chart(points=[TrajectoryPoint(0, 0.9)])])
def test_nothing_to_draw_is_said(path: Trajectory) -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        trajectory_chart(path)


anything = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.just(10**400), st.text(max_size=3))


@settings(max_examples=25)
@given(st.lists(st.tuples(anything, anything, anything, anything), max_size=4), anything, anything, anything)
def test_nothing_in_a_record_breaks_the_picture(points: Any, theta: Any, max_n: Any, crossed: Any) -> None:
    path = chart(points=[TrajectoryPoint(*p) for p in points], theta=theta, max_n=max_n, crossed=crossed)
    describe_trajectory(path)
    if path.drawable:
        ET.fromstring(trajectory_chart(path))


@pytest.mark.parametrize(
    "broken", [None, 3, "x", [], {}, [{}], [None], {"a": [1]}, [{"step": {}}], [{"step": {"n": 1}}]]
)
def test_a_misshapen_record_is_shown(broken: Any) -> None:
    for name in ("registration", "points", "left_out", "result", "reproduction"):
        for renderer in RENDERERS:
            assert renderer().render([cumulative(**{name: broken})])
