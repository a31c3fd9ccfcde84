from __future__ import annotations

import builtins
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.reporting.charts.interval import IntervalPart, describe, interval_chart

SVG = "{http://www.w3.org/2000/svg}"
FULL = IntervalPart("accuracy", ">=", 0.9, 0.95, 0.92, 0.97, 0.975, 0.95, outcome="VALIDATED")


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_the_bytes_depend_on_the_arguments_only(monkeypatch):
    import matplotlib as mpl

    first = interval_chart([FULL, FULL])
    monkeypatch.setitem(mpl.rcParams, "font.size", 30)
    assert interval_chart([FULL, FULL]) == first
    assert mpl.rcParams["font.size"] == 30


def test_another_process_draws_the_same_bytes():
    program = (
        "from ophamin.reporting.charts.interval import *;"
        "print(interval_chart([IntervalPart('accuracy', '>=', 0.9, 0.95, 0.92, 0.97, 0.975, 0.95, outcome='VALIDATED')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, encoding="utf-8",
                          env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8", "TZ": "Asia/Tokyo"})  # fmt: skip
    assert done.stdout.strip() == interval_chart([FULL]).strip()


def test_each_bound_carries_its_own_confidence():
    assert {"L 97.5 %", "U 95 %", "θ = 0.9"} <= set(texts(interval_chart([FULL])))


def test_a_missing_side_is_an_arrow_with_a_word():
    part = IntervalPart("accuracy", ">=", 0.9, 0.95, None, 0.97, 0.95, 0.95)
    assert "no L" in texts(interval_chart([part]))
    assert "no lower bound" in describe(part)


def test_a_bare_value_has_no_missing_sides():
    part = IntervalPart("fields", "==", 3, 3, has_interval=False)
    assert not {"no L", "no U"} & set(texts(interval_chart([part])))
    assert "bound" not in describe(part)


def test_the_picture_has_a_text_alternative():
    root = ET.fromstring(interval_chart([FULL], name="c1"))
    assert root.get("role") == "img"
    ids = (root.get("aria-labelledby") or "").split()
    named = {e.get("id"): e for e in root}
    assert [named[i].tag for i in ids] == [f"{SVG}title", f"{SVG}desc"]
    assert "lower bound 0.92 (97.5 %)" in (named[ids[1]].text or "")


def test_ids_do_not_collide_and_references_lead_somewhere():
    import re

    a, b = (interval_chart([FULL, FULL], name=name) for name in ("a", "b"))
    ids = [[e.get("id") for e in ET.fromstring(svg).iter() if e.get("id")] for svg in (a, b)]
    assert not set(ids[0]) & set(ids[1])
    assert len(ids[0]) == len(set(ids[0]))
    for svg, own in ((a, ids[0]), (b, ids[1])):
        targets = [a or b for a, b in re.findall(r"url\(#([^)]*)\)|href=\"#([^\"]*)\"", svg)]
        assert targets
        assert set(targets) <= set(own)


@settings(max_examples=25)
@given(
    metric=st.text(max_size=40),
    numbers=st.lists(
        st.one_of(st.none(), st.floats(), st.integers(), st.just(10**400), st.text(max_size=3)), min_size=4, max_size=4
    ),
    comparator=st.sampled_from(["<=", "<", ">=", ">", "==", "$x$"]),
)
def test_nothing_in_a_record_breaks_the_picture(metric, numbers, comparator):
    part = IntervalPart(metric, comparator, *numbers)
    if not part.drawable:
        with pytest.raises(UsageError):
            interval_chart([part])
        return
    tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(interval_chart([part])).iter()}
    assert tags <= {"svg", "title", "desc", "g", "path", "defs", "use", "text", "clipPath", "rect", "pattern"}


def test_without_matplotlib_the_sentence_names_the_extra(monkeypatch):
    real: Any = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(f"no module named {name}")
        return real(name, *args, **kwargs)

    import ophamin.reporting.charts as charts

    monkeypatch.delitem(sys.modules, "ophamin.reporting.charts._figure", raising=False)
    monkeypatch.delattr(charts, "_figure", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"pip install 'ophamin-reporting\[plots\]'"):
        interval_chart([FULL])
