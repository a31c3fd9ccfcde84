"""A resumed run takes nothing from its journal on trust that the ledger knows better."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack

import pytest

from ophamin.measuring.scenarios._road.registration import register
from ophamin.measuring.scenarios._road.setup import prepare
from ophamin.proof.errors import IntegrityError

DYING = "tiny?kill=50"
INTERRUPTED = "tiny?fault=interrupt&at=30"


@pytest.fixture
def killed(road, world, monkeypatch):
    """A project in which a run was killed in its 50th cycle, and would not be again."""
    assert road.child(substrate=DYING)[0] == -signal.SIGKILL
    monkeypatch.setattr(world.TinySystem, "deadly", False)
    return road


def rewrite(road, change):
    path = road.journals()[0] / "plan.json"
    plan = json.loads(path.read_bytes())
    change(plan)
    path.write_text(json.dumps(plan))


def test_other_records_than_the_registered_ones_are_refused(killed):
    rewrite(killed, lambda plan: plan["ids"].sort())
    with pytest.raises(IntegrityError, match=r"not those that were registered.*--fresh") as raised:
        killed.run(substrate=DYING)
    assert raised.value.exit_code == 3
    assert killed.proofs() == []
    assert killed.run(substrate=DYING, fresh=True).record["preregistration"]["attempt"] == 2


def test_what_was_registered_is_read_from_the_ledger(killed):
    forged = {"alpha_used": 0.4, "attempt": 9, "seed": 1, "error_bound": 0.0, "units": ["one"] * 100, "plan": {}}
    rewrite(killed, lambda plan: plan.update(forged))
    result = killed.run(substrate=DYING)
    registered = result.record["preregistration"]
    (entry,) = killed.entries("registration")
    assert [registered[k] for k in ("attempt", "alpha_used", "error_bound")] == [1, 0.05, 0.05]
    assert registered["seed"] == entry["seed"] != 1
    assert len({row["unit"] for row in killed.rows(result.path)[50:]}) == 50
    assert registered["plan"]["n_planned"] == entry["n_planned"] == 100
    assert killed.verify(result.path).exit_code == 0


def test_the_record_says_how_often_it_was_resumed(killed):
    result = killed.run(substrate=DYING)
    assert result.record["preregistration"]["plan"]["resumptions"] == 1
    assert "Resumed once." in result.reasoning
    whole = killed.run(n=20, substrate="tiny:other")
    assert whole.record["preregistration"]["plan"]["resumptions"] == 0
    assert "esumed" not in whole.reasoning


def test_the_error_bound_of_a_late_resume_has_the_attempts_made_meanwhile(killed):
    other = killed.run(n=60, substrate=DYING)
    assert other.record["preregistration"]["error_bound"] == pytest.approx(0.075)
    late = killed.run(substrate=DYING)
    registered = late.record["preregistration"]
    assert (registered["attempt"], registered["alpha_used"]) == (1, 0.05)
    assert registered["error_bound"] == pytest.approx(0.075)
    assert killed.verify(late.path).exit_code == 0


@pytest.fixture
def left(road):
    """A journal of three rows that was left as the engine leaves it when it is interrupted."""
    with ExitStack() as stack:
        attempt = register(setup := prepare(road.spec(), stack), ledger := road.ledger, journals(road))
        attempt.journal.begin()
        for i, record in enumerate(attempt.selection.records[:3]):
            attempt.journal.append(json.dumps({"index": i, "record": record.id}).encode() + b"\n")
        attempt.leave("ABORTED", KeyboardInterrupt())
        attempt.journal.close()
        yield setup, ledger, attempt.journal.observations


def journals(road):
    return road.folder / ".ophamin" / "journals"


def test_the_ledger_knows_the_rows_an_interrupted_run_left(road, left):
    setup, ledger, _ = left
    (end,) = road.entries("outcome")
    assert (end["outcome"], end["cycles"], len(end["rows_root"])) == ("ABORTED", 3, 64)
    again = register(setup, ledger, journals(road))
    assert again.resumed
    assert again.plan["plan"]["resumptions"] == 1
    again.journal.close()


@pytest.mark.parametrize("change", ["fewer", "other"])
def test_rows_changed_between_interruption_and_resumption_are_refused(road, left, change):
    setup, ledger, path = left
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] if change == "fewer" else [lines[0].replace(b"0", b"00", 1), *lines[1:]]))
    with pytest.raises(IntegrityError, match="first 3 rows"):
        register(setup, ledger, journals(road))


def test_rows_changed_after_a_later_kill_are_refused_too(road, left):
    setup, ledger, path = left
    again = register(setup, ledger, journals(road))
    ledger.close(again.index, "ABORTED", reason="its process is gone")
    again.journal.close()
    path.write_bytes(b"")
    with pytest.raises(IntegrityError, match="first 3 rows"):
        register(setup, ledger, journals(road))


def test_a_killed_attempt_stays_one_when_its_rows_are_taken_away(road, killed):
    (killed.journals()[0] / "observations.jsonl").unlink()
    with ExitStack() as stack:
        attempt = register(prepare(killed.spec(substrate=DYING), stack), killed.ledger, journals(killed))
        attempt.leave("ABORTED", KeyboardInterrupt())
        attempt.journal.close()
    assert len(killed.journals()) == 1
    assert killed.run(substrate=DYING, n=20).record["preregistration"]["attempt"] == 2


def test_interrupted_twice_it_resumes_and_says_so(road, world, monkeypatch):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            road.run(substrate=INTERRUPTED)
    one = world.TinySystem._one

    def mended(self, *args):
        self.fault = ""
        return one(self, *args)

    monkeypatch.setattr(world.TinySystem, "_one", mended)
    result = road.run(substrate=INTERRUPTED)
    assert "Resumed 2 times." in result.reasoning
    assert len(road.rows(result.path)) == 100
