"""Every plug-in of this wheel passes the kits that third parties run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from ophamin.protocols import DatasetConnector, SubstrateProbe
from ophamin.registry import corpora, make_corpus, make_substrate, substrates
from ophamin.testing import check_corpus, check_substrate

ECHO = """
import json, sys
for line in sys.stdin:
    d = json.loads(line)
    if "id" in d:
        print(json.dumps({"id": d["id"], "output": {"seen": d["input"], "seed": d["seed"]}}), flush=True)
"""


@pytest.mark.parametrize(
    "spec",
    [
        "mock",
        "mock?seed=3&confidence=calibrated&error_rate=0.2&unmeasured_rate=0.1",
        "mock?mode=random",
        "mock?mode=constant",
        "mock?mode=echo",
        "mock?mode=error",
        "python:builtins:repr",
        "python:builtins:len?batch=5",
        "python:builtins:repr?input=record",
        "command:{echo}",
        "command:{echo}?pipeline=4",
        "command:{echo}?restart=reset",
        "payload-filter?data_root={root}",
        "payload-filter?data_root={root}&batch=4",
    ],
)
def test_substrates(spec: str, tmp_path: Path, cyber_root: Path) -> None:
    program = tmp_path / "echo.py"
    program.write_text(ECHO, encoding="utf-8")
    filled = spec.format(root=cyber_root, echo=shlex.join([sys.executable, str(program)]))

    def make() -> SubstrateProbe:
        return make_substrate(filled)

    check_substrate(make)


@pytest.mark.parametrize(
    "spec",
    [
        "table:rows.csv?group=group",
        "cyber-payloads",
        "cyber-payloads?split=test",
        "flores",
        "financial",
        "cyber-payloads?source=crs",
        "financial:stooq?view=drawdown&group=month",
        "enron",
        "enron?form=csv&dedup=none",
        "enron?form=maildir&dedup=mail",
        "linux",
        "linux?rev=all&mailmap=none",
        "the_well",
        "the_well?split=train&fields=B",
    ],
)
def test_corpora(spec: str, tmp_path: Path) -> None:
    def make(root: Path) -> DatasetConnector:
        return make_corpus(spec, root)

    check_corpus(make, tmp_path)


def test_all_of_them_are_announced() -> None:
    for group, names in (
        (substrates, {"python", "command", "http", "sklearn", "onnx", "repo", "kimera", "mock", "payload-filter"}),
        (corpora, {"table", "cyber-payloads", "flores", "financial", "enron", "linux", "the_well"}),
    ):
        ours = {name for name in group.names() if group.origin(name).startswith("ophamin-seeing ")}
        assert ours == names
