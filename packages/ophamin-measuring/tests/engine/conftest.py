"""The tiny world every engine test runs in, and a project of its own for each test."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def _load():
    spec = importlib.util.spec_from_file_location("engine_world", HERE / "engine_world.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def engine_world():
    return _load()


@pytest.fixture
def world(engine_world, tmp_path, monkeypatch):
    """The tiny plug-ins registered, a home and a project under ``tmp_path``."""
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPHAMIN_SIGN_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    engine_world.install()
    yield engine_world
    engine_world.remove()


class Road:
    """Runs specs in one project, here or in a child process that may be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()

    def spec(self, scenario="tiny", substrate="tiny", **more):
        from ophamin.protocols import RunSpec

        arms = substrate if isinstance(substrate, dict) else {"main": substrate}
        return RunSpec(**{"scenario": scenario, "arms": arms, "n": 100, "project": str(self.folder), **more})

    def run(self, scenario="tiny", substrate="tiny", progress=None, **more):
        from ophamin.measuring.scenarios import run_scenario

        return run_scenario(self.spec(scenario, substrate, **more), progress=progress)

    def child(self, point="", wait=True, **more):
        from dataclasses import asdict

        words = self.folder / f"child-{len(list(self.folder.glob('child-*')))}.json"
        words.write_text(json.dumps({"spec": asdict(self.spec(**more)), "point": point}))
        process = subprocess.Popen(
            [sys.executable, str(HERE / "engine_world.py"), str(words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if not wait:
            return process
        out, err = process.communicate(timeout=120)
        return process.returncode, out.decode(), err.decode()

    @property
    def ledger(self):
        from ophamin.proof.ledger import Ledger

        return Ledger(self.folder / ".ophamin" / "ledger")

    def entries(self, kind):
        return [e.value for e in self.ledger.entries() if e.value["type"] == kind]

    def journals(self):
        return [p for p in (self.folder / ".ophamin" / "journals").glob("*-*") if p.is_dir()]

    def proofs(self):
        return sorted((self.folder / "proofs").glob("proof/*/*/record.json"))

    def rows(self, path):
        import gzip

        data = gzip.decompress(Path(path).with_name("observations.jsonl.gz").read_bytes())
        return [json.loads(line) for line in data.splitlines()]

    def verify(self, path):
        from ophamin.proof.keys import Keyring
        from ophamin.proof.kinds import PROOF
        from ophamin.proof.signed import read, verify

        return verify(read(path, [PROOF]), Keyring(), ledger=self.ledger)


@pytest.fixture
def road(world, tmp_path):
    return Road(tmp_path)
