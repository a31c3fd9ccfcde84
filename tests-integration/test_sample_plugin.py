"""An outsider's distribution, in an empty environment, through the command; and broken ones."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def outside(wheels: Path, environment: Callable[..., Path]) -> Path:
    """An environment with all built wheels and the plug-in, and nothing editable."""
    return environment(*map(str, sorted(wheels.glob("*.whl"))))


@pytest.fixture
def call(outside: Path, project: Path) -> Run:
    """The installed command of that environment."""

    def run(*args: str, extra_path: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(outside.with_name("ophamin")), *args],
            cwd=project,
            env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "PYTHONPATH": extra_path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_its_scenario_runs_and_its_version_stands_in_the_record(call: Run, project: Path) -> None:
    days = [10 + (i * 7919 % 13) / 2 for i in range(401)]
    rows = "".join(f"d{i},{days[i]},{days[i] + (i % 5) / 4}\n" for i in range(400))
    (project / "days.csv").write_text("id,text,tomorrow\n" + rows)
    found = call(
        "run",
        "forecast-bias",
        "--substrate",
        "persistence-forecast",
        "--corpus",
        "table:days.csv?id=id&text=text",
        "--json",
    )
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout)
    assert result["outcome"] == "VALIDATED"
    record = json.loads(Path(result["path"]).read_text())
    assert record["preregistration"]["code"]["distribution"] == "weatherwatch"
    assert record["preregistration"]["code"]["version"] == "2.3.0"
    assert record["data"]["substrate"]["revision"] == "2.3.0"
    assert call("proof", "verify", result["path"]).returncode == 0


def test_it_is_listed_with_its_origin(call: Run) -> None:
    listed = json.loads(call("plugins", "--json").stdout)["plugins"]
    mine = {(p["group"], p["name"]): p for p in listed if p["origin"] == "weatherwatch 2.3.0"}
    assert set(mine) == {
        ("pillars", "W.persistence"),
        ("scenarios", "forecast-bias"),
        ("substrates", "persistence-forecast"),
    }
    assert all(p["problem"] == "" for p in listed), listed


KITS = """
from weatherwatch.pillar import Persistence
from weatherwatch.scenario import ForecastBias
from weatherwatch.substrate import PersistenceForecast
from ophamin.protocols import Record
from ophamin.testing import check_pillar, check_scenario, check_substrate

days = [Record(f"d{i}", str(10 + i / 7), labels={"tomorrow": 10 + i / 7}) for i in range(12)]
check_pillar(Persistence)
check_scenario(ForecastBias, records=days)
check_substrate(PersistenceForecast, records=days)
print("kits passed")
"""


def test_it_passes_the_contract_kits(outside: Path, project: Path) -> None:
    done = subprocess.run([str(outside), "-c", KITS], cwd=project, capture_output=True, text=True, check=False)
    assert done.stdout == "kits passed\n", done.stderr


@pytest.mark.parametrize(
    ("fault", "entry", "code", "says"),
    [
        ("import", "odd = odd_plugin:Thing", "import no_such_module_at_all\n", "no_such_module_at_all"),
        ("protocol", "odd = odd_plugin:Thing", "class Thing:\n    name = 'odd'\n", "does not satisfy"),
        ("duplicate", "metric = odd_plugin:Thing", "class Thing: ...\n", "two distributions"),
    ],
)
def test_a_broken_plugin_breaks_nothing_but_itself(
    call: Run, tmp_path: Path, fault: str, entry: str, code: str, says: str
) -> None:
    site = tmp_path / "site"
    info = site / "odd_plugin-0.0.1.dist-info"
    info.mkdir(parents=True)
    (site / "odd_plugin.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-plugin\nVersion: 0.0.1\n")
    (info / "entry_points.txt").write_text(f"[ophamin.scenarios]\n{entry}\n")
    listed = call("plugins", "--json", extra_path=str(site))
    assert listed.returncode == 0
    problems = {p["name"]: p for p in json.loads(listed.stdout)["plugins"] if p["problem"]}
    name = entry.partition(" ")[0]
    assert set(problems) == {name}
    assert says in problems[name]["problem"]
    assert "odd-plugin 0.0.1" in problems[name]["problem"]
    helped = call("--help", extra_path=str(site))
    assert helped.returncode == 0
    assert helped.stderr == ""
    asked = call("scenario", "show", name, extra_path=str(site))
    assert asked.returncode == 2
    assert "Traceback" not in asked.stderr
    assert says in asked.stderr
    assert call("scenario", "show", "throughput-ceiling", extra_path=str(site)).returncode == 0
