"""The kits of estimators and pillars: good ones pass, each planted fault is named."""

from __future__ import annotations

import dataclasses
import math
import random
from importlib.metadata import version

import pytest

from ophamin.proof.errors import UsageError
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import Estimate, PillarResult
from ophamin.testing import check_estimator, check_pillar

CORE = "ophamin-core"
TABLE = {"value": [0, 1, 1, 1, 0, 1, 1, 0, 1, 1] * 5, "status": ["ok"] * 50}


def made(value, lower, upper, n, problem=""):
    return Estimate(value, lower, upper, n, method="hoeffding", library=CORE, version=version(CORE), problem=problem)


def good(columns, *, confidence, seed, **options):
    """A proportion with Hoeffding's bounds; a cycle that gave nothing takes the worst value on each side."""
    values = columns["value"]
    if any(v is not None and not math.isfinite(v) for v in values):
        raise UsageError("a value is not a number; drop it or call it an error")
    n, known = len(values), [v for v in values if v is not None]
    if not n:
        return made(None, None, None, 0, "there are no observations")
    half = math.sqrt(-math.log(1 - confidence) / (2 * n))
    low, high = sum(known) / n, (sum(known) + n - len(known)) / n
    value = sum(known) / len(known) if known else None
    problem = "" if known else "nothing was measured"
    return made(value, max(0.0, low - half), min(1.0, high + half), n, problem)


def changed(**fields):
    def estimator(columns, **more):
        return dataclasses.replace(good(columns, **more), **fields)

    return estimator


def mutating(columns, **more):
    columns["value"].sort()
    return good(columns, **more)


def unseeded(columns, **more):
    return dataclasses.replace(good(columns, **more), p_validated=random.random())


def backwards(columns, *, confidence, seed):
    return good(columns, confidence=1 - confidence, seed=seed)


def raises_on_empty(columns, **more):
    sum(columns["value"]) / len(columns["value"])
    return good(columns, **more)


def refuses_empty(columns, **more):
    if not columns["value"]:
        raise UsageError("no rows")
    return good(columns, **more)


def makes_up_zero(columns, **more):
    return good(columns, **more) if columns["value"] else made(0.0, 0.0, 1.0, 0)


def raises_on_errors(columns, **more):
    sum(columns["value"])
    return good(columns, **more)


def passes_nan_on(columns, **more):
    values = columns["value"]
    if any(v is not None and math.isnan(v) for v in values):
        return made(math.nan, 0.0, 1.0, len(values))
    return good(columns, **more)


def knows_without_looking(columns, **more):
    if set(columns["status"]) == {"unmeasured"}:
        return made(1.0, 1.0, 1.0, 50)
    return good(columns, **more)


def test_a_good_estimator_passes():
    check_estimator(good, TABLE)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (mutating, "changed its columns"),
        (unseeded, "same seed"),
        (backwards, "more confidence"),
        (raises_on_empty, "raises ZeroDivisionError"),
        (refuses_empty, "not raise"),
        (makes_up_zero, "makes up"),
        (raises_on_errors, "raises TypeError"),
        (passes_nan_on, "nan"),
        (knows_without_looking, "nothing was measured"),
        (changed(version="0.0.1"), "is installed; read it, never type it"),
        (changed(library="no-such-library"), "not an installed distribution"),
        (changed(library=""), "names no library"),
        (changed(method=""), "names no method"),
        (changed(guarantee="certain"), "guarantee"),
        (changed(lower=0.9, upper=0.1), "above its upper"),
        (changed(p_refuted=1.5), "p-value 1.5"),
        (changed(n=51), "51 observations of 50"),
        (changed(n_groups=99), "99 groups"),
        (changed(upper=math.inf), "finite number or None"),
        (changed(value=None), "does not say why|gave no value"),
        (changed(detail={"x": {1, 2}}), "plain JSON"),
        (lambda columns, **more: {"value": 1}, "not an Estimate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "fault",
)
def test_a_planted_fault_of_an_estimator_is_named(fault, named):
    with pytest.raises(AssertionError, match=named):
        check_estimator(fault, {name: list(values) for name, values in TABLE.items()})


# --- pillars


class Mean:
    name = "mean"
    library = CORE
    columns = {"value": "numbers"}
    fault = ""

    def compute(self, columns, *, seed, **options):
        fault = self.fault
        if "value" not in columns and fault != "keyerror":
            raise UsageError("the column 'value' is missing")
        values = [v for v in columns["value"] if v is not None or fault == "none"]
        if not values and fault != "empty":
            raise UsageError("there are no numbers in 'value'")
        mean = sum(values) / len(values)
        if fault == "mutate":
            columns["value"].clear()
        if fault == "unseeded":
            mean += random.random()
        if fault == "nan":
            mean = math.nan
        item = PillarEvidence(
            pillar="median" if fault == "name" else "mean",
            statistic_name="mean",
            statistic_value=mean,
            library=CORE,
            library_version="9.9" if fault == "version" else version(CORE),
            ci_low=1.0 if fault == "interval" else None,
            ci_high=0.0 if fault == "interval" else None,
            p_value=2.0 if fault == "p" else None,
        )
        tables = {"t": {"a": [1], "b": []}} if fault == "ragged" else {}
        return PillarResult([] if fault == "nothing" else [item], tables)


def test_a_good_pillar_passes():
    check_pillar(Mean)
    check_pillar(Mean, {"value": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("planted", "named"),
    [
        ("keyerror", "raises KeyError"),
        ("none", "raises TypeError"),
        ("empty", "raises ZeroDivisionError"),
        ("mutate", "changed its columns"),
        ("unseeded", "same seed"),
        ("nan", "plain JSON"),
        ("name", "says it is of pillar 'median'"),
        ("version", "is installed"),
        ("interval", "wrong way round"),
        ("p", "p-value 2.0"),
        ("ragged", "different lengths"),
        ("nothing", "no evidence"),
    ],
)
def test_a_planted_fault_of_a_pillar_is_named(planted, named):
    with pytest.raises(AssertionError, match=named):
        check_pillar(type("Faulty", (Mean,), {"fault": planted}))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": ""}, "no name"),
        ({"library": ""}, "which library"),
        ({"columns": {}}, "no column"),
        ({"columns": {"value": " "}}, "not described"),
    ],
)
def test_a_pillar_that_says_too_little_is_named(fields, named):
    with pytest.raises(AssertionError, match=named):
        check_pillar(type("Faulty", (Mean,), fields))
