"""``ophamin cumulative``: commits pooled under a registered maximum, by measuring's pillars, and the record of it."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from ophamin.comparing._command.cumulative import look as look_command
from ophamin.comparing._command.cumulative import register as register_command
from ophamin.comparing.series.cumulative_record import CUMULATIVE
from ophamin.comparing.series.pooling import pool
from ophamin.measuring.pillars.adaptive.group_sequential import spending_boundaries
from ophamin.proof.errors import ConsistencyError
from ophamin.proof.keys import Keyring
from ophamin.proof.kinds import PROOF
from ophamin.proof.ledger import Ledger
from ophamin.proof.signed import read, sign, verify
from ophamin.protocols import Settings
from ophamin.testing import check_record_kind

JSON = Any
BODY = Path(__file__).parent.parent / "packages/ophamin-core/tests/golden/proof-1.1.json"
SE = 0.02
N = 396  # observations of the golden proof
CODES = {"VALIDATED": 0, "REFUTED": 1, "INCONCLUSIVE": 4}


class Team:
    """A project whose commits are measured one after another, and looked at between."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(project=str(folder), store=str(folder / "proofs"))
        self.measured = folder / "measured"
        self.rng = random.Random(7)
        self.count = 0

    def measure(self, *values: float, after: bool = True, se: float = SE, selection: str = "") -> list[Path]:
        """A commit for each value, measured now or, unless ``after``, long ago; θ of the claim is 0.1, at most."""
        return [self._proof(value, after, se, selection) for value in values]

    def _proof(self, value: float, after: bool, se: float, selection: str) -> Path:
        self.count += 1
        made: dict[str, JSON] = json.loads(BODY.read_text(encoding="utf-8"))
        for name in ("proof_id", "signature", "attestations", "signing_key"):
            made.pop(name, None)
        half = 2.3263478740408408 * se  # bounds of 99 % each
        bounds = (value - half, value + half)
        outcome = "VALIDATED" if bounds[1] <= 0.1 else "REFUTED" if bounds[0] > 0.1 else "INCONCLUSIVE"
        interval = {
            "lower": bounds[0], "upper": bounds[1], "level": 0.98, "sides": "two one-sided", "lower_confidence": 0.99,
            "upper_confidence": 0.99,
        }  # fmt: skip
        made["claim"] |= {"statement": "It is wrong in at most a tenth.", "co_primary": []}
        made["verdict"] |= {"outcome": outcome, "observed_value": value, "interval": interval, "co_primary": []}
        evidence = made["evidence"][0] | {"statistic_value": value, "ci_low": bounds[0], "ci_high": bounds[1]}
        made["evidence"] = [{**evidence, "detail": {}}]
        for name in ("claim_hash", "ledger"):
            made["preregistration"].pop(name)
        made["data"].pop("observations")
        chosen = selection or hashlib.sha256(str(self.count).encode()).hexdigest()
        for data in made["data"]["datasets"]:
            data["selection"] = {**data.get("selection", {}), "content_hash": f"sha256:{chosen}"}
        made["data"]["substrate"]["revision"] = made["data"]["substrate_git_commit"] = f"{self.count:040x}"
        made["preregistration"] |= {"attempt": 1, "alpha_used": 0.05, "error_bound": 0.05}
        made["preregistration"]["preregistered_at"] = "2020-01-01T00:00:00+00:00"
        at = datetime.now(timezone.utc) if after else datetime(2020, 1, 2, tzinfo=timezone.utc)
        made["identity"]["created_at"] = (at + timedelta(microseconds=self.count)).isoformat(timespec="microseconds")
        path = self.measured / f"{self.count}" / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(sign(made, PROOF, Keyring().signer())), encoding="utf-8")
        return path

    def noise(self, n: int, mean: float = 0.1, sd: float = SE) -> list[float]:
        return [self.rng.gauss(mean, sd) for _ in range(n)]

    def run(self, command: Any, *words: object) -> Result:
        given = ["wrong_rate", str(self.measured), *map(str, words)]
        return CliRunner().invoke(command, given, obj=self.settings)

    def register(self, *words: object) -> Result:
        result = self.run(register_command, *words)
        assert result.exit_code == 0, result.output
        return result

    def look(self, *words: object) -> dict[str, JSON]:
        result = self.run(look_command, "--json", *words)
        assert result.stdout, result.exception
        found: dict[str, JSON] = json.loads(result.stdout)
        assert result.exit_code == found["exit_code"] == CODES[found["result"]["outcome"]]
        return found

    @property
    def ledger(self) -> Ledger:
        return Ledger(Path(self.settings.project) / ".ophamin" / "ledger", create=False)


@pytest.fixture
def team(project: Path) -> Team:
    return Team(project)


def test_looks_spend_on_the_way_to_the_maximum_and_the_record_holds(team: Team) -> None:
    team.measure(0.09, after=False)
    said = json.loads(team.register("--commits", 20, "--json").stdout)
    assert said["max_n"] == 20 * N
    assert (said["new"], said["attempt"], said["points_there"]) == (True, 1, 1)
    values = team.noise(4, 0.09)
    team.measure(*values[:3])
    first = team.look()
    team.measure(values[3])
    second = team.look()
    assert [found["registration"]["look"] for found in (first, second)] == [1, 2]
    assert [len(found["points"]) for found in (first, second)] == [3, 4]
    # What was measured before the registration is left out, with its reason.
    assert [row["reason"] for row in second["left_out"]] == ["measured before the registration"]
    steps = [p["step"] for p in second["points"]]
    assert [p["step"] for p in first["points"]] == steps[:3]
    wanted = spending_boundaries([k / 20 for k in (1, 2, 3, 4)], alpha=0.05)
    assert [s["spent"] for s in steps] == pytest.approx(wanted.spent.tolist())
    held = [(s["boundary"], z) for s, z in zip(steps, wanted.z, strict=True) if s["boundary"] is not None]
    assert held
    assert all(bound == pytest.approx(z, rel=1e-6) for bound, z in held)
    assert second["result"]["fraction"] == pytest.approx(4 / 20)
    assert steps[-1]["value"] == pytest.approx(sum(values) / 4)
    assert steps[-1]["upper"] == pytest.approx(steps[-1]["value"] + wanted.z[-1] * SE / 2, rel=1e-6)
    record = json.loads(Path(second["record"]).read_bytes())
    assert verify(read(second["record"], [CUMULATIVE]), Keyring()).ok
    check_record_kind(CUMULATIVE, record)
    Draft202012Validator(CUMULATIVE.schema).validate(record)
    entries = [entry.value["type"] for entry in team.ledger.entries()]
    assert entries == ["cumulative-registration", "cumulative-look", "cumulative-look"]
    assert team.ledger.verify().ok


def test_a_look_at_the_same_commits_costs_nothing(team: Team) -> None:
    team.measure(0.09, after=False)
    team.register("--commits", 20)
    team.measure(*team.noise(3))
    first, size = team.look(), team.ledger.size
    again = team.look()
    assert (again["repeated"], again["record"], team.ledger.size) == (True, first["record"], size)
    # A record of it that is not what was signed is made again, as the same look.
    path = Path(first["record"])
    path.write_text(path.read_text().replace('"look": 1', '"look": 1, "by": "me"'))
    renewed = team.look()
    assert (renewed["repeated"], renewed["registration"]["look"], team.ledger.size) == (True, 1, size)
    assert renewed["result"] == first["result"]


def test_a_claim_that_holds_is_shown_and_the_registration_ends(team: Team) -> None:
    team.measure(0.05, after=False)
    team.register("--commits", 10)
    team.measure(*team.noise(9, 0.05))
    found = team.look()
    assert found["result"]["outcome"] == "VALIDATED"
    assert found["result"]["upper"] < 0.1
    assert found["result"]["ended"]
    team.measure(*team.noise(2, 0.05))
    later = team.look()
    assert (later["repeated"], later["beyond"], later["record"]) == (True, 2, found["record"])
    text = team.run(look_command).stdout
    assert "2 later commits are not pooled; register anew" in text
    assert "decided at commit" in text
    # The forest shows the threshold, the value and the interval.
    assert any("|" in line and "o" in line and "---" in line for line in text.splitlines())


def test_a_claim_that_does_not_hold_is_refuted_with_exit_code_1(team: Team) -> None:
    team.measure(0.2, after=False)
    team.register("--commits", 10)
    team.measure(*team.noise(8, 0.2))
    assert team.look()["exit_code"] == 1


def test_what_drifted_is_not_pooled(team: Team) -> None:
    team.measure(0.09, after=False)
    team.register("--commits", 40)
    team.measure(*team.noise(10, 0.1))
    assert team.look()["result"]["one_truth"]
    team.measure(*team.noise(10, 0.2))
    found = team.look()
    assert (found["result"]["outcome"], found["result"]["value"], found["exit_code"]) == ("INCONCLUSIVE", None, 4)
    assert found["result"]["reason"].startswith("the commits differ by more than their standard errors explain")
    assert all(point["step"] is None for point in found["points"])


def test_nothing_is_pooled_beyond_the_maximum(team: Team) -> None:
    team.measure(0.1, after=False)
    team.register("--max-n", 5 * N // 2)
    team.measure(*[0.1, 0.1, 0.1, 0.1])
    found = team.look()
    # The third commit overshoots, and is the last.
    assert len(found["points"]) == 3
    assert found["result"]["fraction"] == pytest.approx(1.2)
    assert found["points"][-1]["step"]["spent"] == pytest.approx(0.05)
    assert (found["result"]["outcome"], found["result"]["ended"]) == ("INCONCLUSIVE", True)
    assert [row["reason"] for row in found["left_out"]].count("the registered maximum was reached before it") == 1
    again = json.loads(team.register("--max-n", 5 * N // 2, "--json").stdout)
    assert (again["attempt"], again["alpha_used"]) == (2, 0.025)


def test_another_maximum_after_a_look_is_counted_and_takes_later_commits_only(team: Team) -> None:
    team.measure(0.1, after=False)
    team.register("--commits", 10)
    team.measure(*team.noise(3))
    team.look()
    refused = team.run(register_command, "--commits", 20, "--include-earlier")
    assert "measured from now on" in str(refused.exception)
    assert "attempt 2" in team.register("--commits", 20).stdout
    assert "no commit to pool yet" in str(team.run(look_command).exception)
    team.measure(*team.noise(2))
    found = team.look()
    assert (len(found["points"]), found["registration"]["alpha_used"], found["registration"]["look"]) == (2, 0.025, 1)
    assert "attempt 2 at this series: alpha is 0.05 / 2^1" in team.run(look_command).stdout


def test_commits_from_before_are_pooled_on_request_and_it_is_said(team: Team) -> None:
    team.measure(*team.noise(4), after=False)
    team.register("--commits", 10, "--include-earlier")
    found = team.look()
    assert (len(found["points"]), found["registration"]["points_there"]) == (4, 4)
    assert "4 commits were there at the registration" in team.run(look_command).stdout


def test_the_same_records_are_no_second_sample(team: Team) -> None:
    team.measure(0.1, after=False)
    team.register("--commits", 10)
    team.measure(0.11, 0.09, selection="5e" * 32)
    found = team.look()
    assert len(found["points"]) == 1
    assert "its records are those of a commit that is pooled already" in [row["reason"] for row in found["left_out"]]


def test_a_commit_cannot_be_taken_back(team: Team) -> None:
    team.measure(0.1, after=False)
    team.register("--commits", 10)
    first, _ = team.measure(0.15, 0.1)
    team.look()
    first.unlink()
    assert "look 1 took it; a look is not taken back" in str(team.run(look_command).exception)


def test_a_forged_commit_is_left_out_and_said(team: Team) -> None:
    team.measure(0.1, after=False)
    team.register("--commits", 10)
    _, path = team.measure(0.1, 0.1)
    path.write_text(path.read_text().replace("wrong in at most", "right in at most"))
    result = team.run(look_command, "--json")
    assert result.exit_code == 3
    assert [p["state"] for p in json.loads(result.stdout)["problems"]] == ["forged"]
    assert len(json.loads(result.stdout)["points"]) == 1


def test_nothing_registered_and_nothing_to_go_by_are_said(team: Team) -> None:
    team.measure(0.1)
    assert "register the maximum" in str(team.run(look_command).exception)
    assert "--max-n N, or --commits N" in str(team.run(register_command).exception)
    assert "no claim that begins with 'zz'" in str(
        team.run(register_command, "--commits", 3, "--claim", "zz").exception
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda r: r["result"].update(outcome="VALIDATED"), "outcome is not that"),
        (lambda r: r["result"].update(lower=0.099), "first step that leaves the threshold out"),
        (lambda r: r["result"].update(one_truth=False), "tests of drift"),
        (lambda r: r["result"].update(heterogeneity_p=0.001), "tests of drift"),
        (lambda r: r["result"].update(fraction=0.9), "not that of its commits"),
        (lambda r: r["result"].update(ended=True), "ends where it is decided"),
        (lambda r: r["points"][2].update(value=0.5), "not what the commits up to it make"),
        (lambda r: r["points"][3]["step"].update(boundary=1.96), "not what it may spend"),
        (lambda r: r["points"][3].update(proof_id=r["points"][2]["proof_id"]), "pooled twice"),
        (lambda r: r["registration"].update(max_n=10), "beyond the registered maximum"),
        (lambda r: r["registration"].update(attempt=3), "alpha is not that of its attempt"),
        (lambda r: r["registration"]["ledger"].update(leaf_hash="00" * 32), "lead to the stated root"),
        (lambda r: r["identity"].update(captured_at="now"), "not a time"),
    ],
)
def test_a_record_that_contradicts_itself_is_not_signed(
    team: Team, change: Callable[[dict[str, JSON]], None], problem: str
) -> None:
    team.measure(0.1, after=False)
    team.register("--commits", 10)
    team.measure(0.1, 0.11, 0.09, 0.1, 0.105)
    record = json.loads(Path(team.look()["record"]).read_bytes())
    changed = copy.deepcopy(
        {k: v for k, v in record.items() if k not in ("cumulative_id", "signature", "attestations")}
    )
    change(changed)
    with pytest.raises(ConsistencyError, match=problem):
        sign(changed, CUMULATIVE, Keyring().signer())


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.1, 0.02])
def test_looking_after_every_commit_errs_in_at_most_alpha(rate: float) -> None:
    # Exactly at θ, by the numbers that a look decides from; the last commit overshoots the maximum by half. Weighed by
    # the errors that the shares themselves state, a share of 0.02 erred in 27 % on the one side.
    rng, runs, n = np.random.default_rng(3), 400, [300] * 7 + [450]
    wrong = {-1: 0, 1: 0}
    for i in range(runs):
        shares = rng.binomial(n, rate) / n
        errors = [float((max(p, 0.5 / k) * (1 - p) / k) ** 0.5) for p, k in zip(shares, n, strict=True)]
        found = pool(shares.tolist(), errors, n, theta=rate, max_n=2400, seed=i)
        if found.crossed is not None:
            assert found.value is not None
            wrong[1 if found.value > 0 else -1] += 1
    # The 99.99 % point of 400 at 2.5 % is 23; a skewed law takes some of the other side.
    assert max(wrong.values()) <= 23


def test_a_commit_weighs_by_what_was_observed_not_by_the_error_it_states() -> None:
    found = pool([0.10, 0.13], [0.02, 0.01], [100, 300], theta=0.1, max_n=1000)
    assert [step.n for step in found.steps] == [100, 400]
    assert found.steps[-1].value == pytest.approx((100 * 0.0 + 300 * 0.03) / 400)
    assert found.steps[-1].se == pytest.approx((100**2 * 0.02**2 + 300**2 * 0.01**2) ** 0.5 / 400)
