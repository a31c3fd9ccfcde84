from __future__ import annotations

import pytest

from ophamin import registry
from ophamin.protocols import Instrument
from ophamin.testing import check_instrument

RECORD = {
    "claim": {"threshold": {"metric": "accuracy", "comparator": ">=", "value": 0.9}},
    "verdict": {"outcome": "REFUTED", "observed_value": 0.5, "reasoning": "It is not.", "interval": None},
}


@pytest.mark.parametrize("name", ["flamegraph-cpu", "flamegraph-memory", "tracing"])
@pytest.mark.parametrize("record", [None, RECORD], ids=["empty", "decided"])
def test_an_instrument_watches_without_touching(name, record):
    cls = registry.instruments.get(name)
    assert cls.name == name
    assert isinstance(cls(), Instrument)
    check_instrument(cls, record)
