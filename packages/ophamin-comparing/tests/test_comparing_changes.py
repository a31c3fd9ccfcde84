"""``ophamin changes``: where a metric shifted over commits, and the record that says so."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from ophamin.comparing._command.changes import changes as command
from ophamin.comparing.series.record import CHANGE_POINTS
from ophamin.proof.errors import ConsistencyError
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import read, sign, verify
from ophamin.protocols import Settings
from ophamin.testing import check_record_kind

JSON = Any
Call = Callable[..., Result]


@pytest.fixture
def call(project: Settings, home: Path) -> Call:
    def run(*words: object) -> Result:
        return CliRunner().invoke(command, [str(w) for w in words], obj=project)

    return run


@pytest.fixture
def store(write_proof: Any, body: Any, tmp_path: Path) -> Callable[..., Path]:
    """Proofs of one claim, one a commit; the accuracy falls where asked."""

    def make(n: int = 24, falls_at: int | None = 14, name: str = "proofs", **more: Any) -> Path:
        rng = random.Random(5)
        for i in range(n):
            value = (0.95 if falls_at is None or i < falls_at else 0.91) + rng.gauss(0, 0.004)
            made = body(
                value, value - 0.02, value + 0.02, "VALIDATED" if value - 0.02 >= 0.9 else "INCONCLUSIVE",
                revision=f"{i:040x}", created=f"2026-11-24T10:{i:02d}:01+00:00", **more,
            )  # fmt: skip
            write_proof(f"{name}/{i}/record.json", made)
        return tmp_path / name

    return make


def said(result: Result) -> dict[str, JSON]:
    found: dict[str, JSON] = json.loads(result.stdout)
    return found


def test_a_fall_is_found_at_its_commit_and_the_record_holds(call: Call, store: Any) -> None:
    result = call("accuracy", store(), "--json")
    assert result.exit_code == 1, result.output
    found = said(result)
    (change,) = found["series"][0]["changes"]
    assert change["index"] == 14
    assert change["before"] == pytest.approx(0.95, abs=0.005)
    assert change["after"] == pytest.approx(0.91, abs=0.005)
    assert (found["series"][0]["alpha"], found["series"][0]["family_alpha"]) == (0.05, 0.05)
    record = json.loads(Path(found["record"]).read_bytes())
    assert verify(read(found["record"], [CHANGE_POINTS]), Keyring()).ok
    check_record_kind(CHANGE_POINTS, record)
    Draft202012Validator(CHANGE_POINTS.schema).validate(record)
    assert [case["outcome"] for case in CHANGE_POINTS.cases(record)] == ["change"]
    text = call("accuracy", store())
    assert f"changed at {14:040x}"[:23] in text.stdout


def test_nothing_is_shown_where_nothing_changed(call: Call, store: Any) -> None:
    result = call("accuracy", store(falls_at=None))
    assert result.exit_code == 0, result.output
    assert "no change is shown" in result.stdout
    few = call("accuracy", store(n=5, name="few"))
    assert few.exit_code == 0
    assert "fewer than 8" in few.stdout


def test_a_watched_series_spends_its_alpha_over_the_scans(call: Call, store: Any) -> None:
    folder = store()
    looks = [said(call("accuracy", folder, "--watch", "--json"))["series"][0] for _ in range(3)]
    assert [look["look"] for look in looks] == [1, 2, 3]
    assert {look["family_alpha"] for look in looks} == {0.05}
    assert looks[0]["alpha"] > looks[1]["alpha"] > looks[2]["alpha"]
    assert sum(look["alpha"] for look in looks) < 0.05
    # A plain scan between them is no look at the watched series.
    call("accuracy", folder)
    assert said(call("accuracy", folder, "--watch", "--json"))["series"][0]["look"] == 4


def test_series_that_come_later_share_what_is_left_of_alpha(call: Call, store: Any) -> None:
    spent = 0.0
    for i in range(4):
        folder = store(n=8, falls_at=None, name=f"proofs/{i}", statement=f"Claim {i}.").parent
        series = said(call("accuracy", folder, "--watch", "--json"))["series"]
        assert [row["look"] for row in series] == [i + 1] * (i + 1)
        spent += sum(row["alpha"] for row in series)
    # Each as a first look of its own, they came to 0.074 of 0.05.
    assert spent < 0.05


def test_the_order_can_be_given(call: Call, store: Any, tmp_path: Path) -> None:
    folder = store()
    order = tmp_path / "order.txt"
    order.write_text("".join(f"{i:040x}\n" for i in reversed(range(24))))
    found = said(call("accuracy", folder, "--order", order, "--json"))["series"][0]
    assert found["points"][0]["revision"] == f"{23:040x}"
    assert found["changes"][0]["index"] == 10


def test_a_metric_that_repeats_itself_has_no_change_and_no_signal(
    call: Call, write_proof: Any, body: Any, tmp_path: Path
) -> None:
    for i in range(20):
        made = body(1 / 3, 0.3, 0.36, "INCONCLUSIVE", revision=f"{i:040x}", created=f"2026-11-24T10:{i:02d}:01+00:00")
        write_proof(f"same/{i}/record.json", made)
    result = call("accuracy", tmp_path / "same", "--chart", "individuals", "--json")
    assert result.exit_code == 0, result.output
    assert said(result)["charts"] == [[]]


def test_a_metric_nobody_measured_is_named(call: Call, store: Any, tmp_path: Path) -> None:
    result = call("acuracy", store(n=2))
    assert "did you mean 'accuracy'" in str(result.exception)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no sound proof" in str(call("accuracy", empty).exception)


def test_a_forged_proof_is_left_out_and_said(call: Call, store: Any) -> None:
    folder = store()
    path = folder / "3" / "record.json"
    path.write_text(path.read_text().replace("It is right", "It was right"))
    result = call("accuracy", folder, "--json")
    assert result.exit_code == 3
    assert said(result)["series"][0]["n"] == 23
    assert [p["state"] for p in said(result)["problems"]] == ["forged"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda r: r["series"][0].update(n=3), "n does not count"),
        (lambda r: r["series"][0]["changes"][0].update(index=99), "outside of the series"),
        (lambda r: r["series"][0]["changes"][0].update(before=0.5), "mean is not that"),
        (lambda r: r["series"][0]["changes"][0].update(p_value=0.2), "its level does not show"),
        (lambda r: r["series"][0].update(alpha=0.1), "this look may spend"),
        (lambda r: r["series"][0].update(corrected_p=0.9), "not that of the family"),
        (lambda r: r["series"][0].update(family_alpha=0.2), "share of the family"),
        (lambda r: r["settings"].update(watched=True), "this look may spend"),
        (lambda r: r["summary"].update(changed=0), "does not count the series"),
        (lambda r: r["identity"].update(captured_at="now"), "not a time"),
    ],
)
def test_a_record_that_contradicts_itself_is_not_signed(
    call: Call, store: Any, change: Callable[[dict[str, JSON]], None], problem: str
) -> None:
    found = said(call("accuracy", store(), "--json"))
    record = json.loads(Path(found["record"]).read_bytes())
    changed = copy.deepcopy({k: v for k, v in record.items() if k not in ("changes_id", "signature", "attestations")})
    change(changed)
    with pytest.raises(ConsistencyError, match=problem):
        sign(changed, CHANGE_POINTS, Keyring().signer())
