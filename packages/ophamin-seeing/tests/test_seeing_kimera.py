"""The catalogue and its adapter, on a small repository of our own with the layout the catalogue names."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import pytest

from ophamin.proof.errors import NotApplicable, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_substrate
from ophamin.seeing._command.substrates import substrate_probe
from ophamin.seeing.substrate.kimera import load_catalogue
from ophamin.testing import check_substrate

# Our own code in that layout: what the classes do is nothing of that system.
TAKWIN = """
class Takwin:
    def __init__(self): self.seen = 0
    def run(self, text): self.seen += 1; return {"length": len(text), "seen": self.seen}
"""
OUROBOROS = """
class OuroborosKernel:
    def metabolize(self, text, complexity=1.0): return {"text": text, "complexity": complexity}
"""
WALKER = """
class PrimeTopologyWalker:
    def __init__(self, graph_seed): self.graph_seed = graph_seed
    def traverse(self, max_steps=10): return {"end": self.graph_seed % 97, "steps": max_steps}
"""
GWF = """
class GWFProtocol:
    def screen_input(self, features, baseline): return {"blocked": features["length"] > baseline}
"""
PIOVRA = """
class ArmGanglion:
    def __init__(self, arm_id, input_dim): self.size = input_dim
    def assess(self, embedding): return sum(embedding[: self.size])
"""
ROSETTA = "raise RuntimeError('the stele is broken')"
ASTROLABE = "class Other: pass"
CONVERTERS = """
def features(text): return ({"length": len(text)}, 5)
"""


@pytest.fixture
def kimera(checkout, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    texts = {
        "entity": TAKWIN,
        "ouroboros": OUROBOROS,
        "walker": WALKER,
        "gwf": GWF,
        "piovra": PIOVRA,
        "rosetta": ROSETTA,
        "astrolabe": ASTROLABE,
    }
    for name, text in texts.items():
        checkout.write_at("src/" + load_catalogue()[name]["module"].replace(".", "/") + ".py", text)
    checkout.write(converters=CONVERTERS)
    checkout.commit()
    return checkout


def run(spec: str, *texts: str):
    substrate = make_substrate(spec)
    try:
        substrate.reset(1)
        records = [Record(f"r{i}", text) for i, text in enumerate(texts)]
        return list(substrate.run_batch(records, seed=1, timeout_s=30))
    finally:
        substrate.close()


def test_contract(kimera) -> None:
    check_substrate(lambda: make_substrate(f"kimera:{kimera.path}?target=ouroboros"))


def test_targets_by_name(kimera) -> None:
    entity = f"kimera:{kimera.path}?target=entity"
    assert [r.output for r in run(entity, "abc", "d")] == [{"length": 3, "seen": 1}, {"length": 1, "seen": 2}]
    identity = make_substrate(entity).identity()
    assert (identity.kind, identity.revision, identity.dirty) == ("kimera", kimera.git("rev-parse", "HEAD"), False)
    passed = run(f"kimera:{kimera.path}?target=ouroboros&kwargs=%7B%22complexity%22%3A0.25%7D", "abc")
    assert passed[0].output == {"text": "abc", "complexity": 0.25}
    walks = [r.output for r in run(f"kimera:{kimera.path}?target=walker", "a", "b")]
    assert walks == [r.output for r in run(f"kimera:{kimera.path}?target=walker", "a", "b")]
    assert walks[0]["end"] != walks[1]["end"]


def test_no_features_are_ever_made_up(kimera) -> None:
    for target in ("gwf", "piovra", "astrolabe", "atlas", "spde"):
        with pytest.raises(NotApplicable, match="name your converter by convert=") as caught:
            make_substrate(f"kimera:{kimera.path}?target={target}")
        assert caught.value.exit_code == 2
    results = run(f"kimera:{kimera.path}?target=gwf&convert=converters:features", "short", "longer than that")
    assert [r.output["blocked"] for r in results] == [False, True]
    [unmeasured] = _run_record(kimera, Record("a", [1.0, 2.0]))
    assert unmeasured.status == "unmeasured", "numbers are not passed off as text"


def _run_record(kimera, record: Record):
    substrate = make_substrate(f"kimera:{kimera.path}?target=entity")
    try:
        return list(substrate.run_batch([record], seed=1, timeout_s=30))
    finally:
        substrate.close()


def test_another_layout_by_a_file(kimera, tmp_path: Path) -> None:
    kimera.write_at("src/elsewhere/thing.py", "class Thing:\n    def go(self, text): return text[::-1]\n")
    kimera.commit()
    catalog = tmp_path / "layout.toml"
    catalog.write_text(
        '[entity]\nmodule = "elsewhere.thing"\nclass = "Thing"\nentry = "go"\n[extra]\nmodule = "converters"\nentry = "features"\ninput = "text"\n'
    )
    assert run(f"kimera:{kimera.path}?target=entity&catalog={catalog}", "abc")[0].output == {"output": "cba"}
    assert run(f"kimera:{kimera.path}?target=extra&catalog={catalog}", "abc")[0].output == {
        "output": [{"length": 3}, 5]
    }
    assert load_catalogue(str(catalog))["gwf"] == load_catalogue()["gwf"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[entity]\nmodul = 'x'", "unknown field 'modul'; did you mean 'module'"),
        ("[new]\nmodule = 'x'", "lacks entry, input"),
        ("entity = 3", "must be a table"),
        ("[entity]\nentry = 3", "must be text"),
        ("[entity", "not valid TOML"),
        ("\xff", "not valid TOML"),
    ],
)
def test_a_bad_catalogue_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=said):
        load_catalogue(str(path))
    with pytest.raises(UsageError, match="No such file"):
        load_catalogue(str(tmp_path / "absent"))


def test_a_target_nobody_knows(kimera) -> None:
    with pytest.raises(UsageError, match="did you mean 'entity'"):
        make_substrate(f"kimera:{kimera.path}?target=entitty")


def test_the_catalogue_is_the_settled_one() -> None:
    catalogue = load_catalogue()
    assert len(catalogue) == 11
    assert {name for name, entry in catalogue.items() if entry["input"] == "text"} == {
        "entity",
        "pentecost",
        "ouroboros",
        "rosetta",
        "arachne",
    }


def test_probe_reports_every_target(kimera) -> None:
    runner = click.testing.CliRunner()
    done = runner.invoke(substrate_probe, [f"kimera:{kimera.path}", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    rows = {row["target"]: row for row in report["targets"]}
    assert set(rows) == set(load_catalogue())
    assert report["usable"] == 3
    assert rows["entity"]["signature"] == "Takwin().run(self, text)"
    assert rows["walker"] == {**rows["walker"], "importable": True, "constructible": True, "applicable": True}
    assert (rows["gwf"]["constructible"], rows["gwf"]["applicable"]) == (True, False)
    assert "convert=" in rows["gwf"]["why"]
    assert (rows["piovra"]["importable"], rows["piovra"]["constructible"]) == (True, False)
    assert "arm_id" in rows["piovra"]["why"]
    assert "the stele is broken" in rows["rosetta"]["why"]
    assert "has no Astrolabe" in rows["astrolabe"]["why"]
    assert "ModuleNotFoundError" in rows["atlas"]["why"]
    text = runner.invoke(substrate_probe, [f"kimera:{kimera.path}?target=gwf"])
    assert text.exit_code == 1
    assert "not applicable" in text.output
    assert "0 of 1 can be used" in text.output
    with pytest.raises(UsageError, match="no such parameter"):
        runner.invoke(substrate_probe, [f"kimera:{kimera.path}?nothing=1"], catch_exceptions=False)


def test_probe_of_other_substrates() -> None:
    runner = click.testing.CliRunner()
    said = json.loads(runner.invoke(substrate_probe, ["python:json:dumps", "--json"]).stdout)
    assert said["targets"][0]["signature"].startswith("(obj, *")
    assert json.loads(runner.invoke(substrate_probe, ["mock", "--json"]).stdout)["usable"] == 1
