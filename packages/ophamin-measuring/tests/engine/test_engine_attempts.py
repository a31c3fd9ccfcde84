"""What counts as another attempt at a claim, which records are fresh, and what all attempts have spent."""

from __future__ import annotations

import os

import pytest

from ophamin.measuring.scenarios.words import run_text
from ophamin.proof.errors import NotApplicable, UsageError


def attempt(result):
    return result.record["preregistration"]["attempt"]


def measured(road, result):
    return {int(row["record"].lstrip("rx")) for row in road.rows(result.path)}


def test_a_corpus_spelled_or_copied_otherwise_is_the_same_corpus(road, tmp_path):
    rows, link = tmp_path / "rows.csv", tmp_path / "link.csv"
    rows.write_text("a")
    link.symlink_to(rows)
    spellings = ["rows.csv", str(rows), f"../{tmp_path.name}/rows.csv", str(link)]
    # Then the file with a row more, and a copy of that elsewhere.
    more = [f"{rows}&edition=2", "elsewhere.csv&edition=2"]
    found = [attempt(road.run(n=20, corpus=f"tiny:300?source={s}")) for s in spellings + more]
    assert found == [1, 2, 3, 4, 5, 6]
    assert {e["source"] for e in road.entries("registration")} == {os.path.realpath(rows), "tiny: elsewhere.csv"}


def test_another_corpus_is_another_claim(road):
    assert attempt(road.run(n=20, corpus="tiny:300?source=one")) == 1
    other = road.run(n=20, corpus="tiny:300?source=two&edition=2")
    assert attempt(other) == 1
    assert other.record["preregistration"]["error_bound"] == 0.05


@pytest.mark.parametrize("groups", ["", "&groups=150"])
def test_a_record_under_another_id_is_not_fresh(road, groups):
    first = road.run(n=80, corpus=f"tiny:300?ids=r{groups}")
    second = road.run(n=80, corpus=f"tiny:300?ids=x{groups}")
    assert attempt(second) == 2
    assert not measured(road, first) & measured(road, second)


def test_payload_hashes_of_a_selection_cannot_be_forgotten_by_hand(road):
    road.run(n=20)
    (path,) = (road.folder / ".ophamin" / "journals" / "selections").iterdir()
    path.write_text(path.read_text().replace('"payloads":["', '"payloads":["0'))
    with pytest.raises(UsageError, match="nobody knows any more"):
        road.run(n=20, corpus="tiny:300?ids=x")


def test_a_later_attempt_takes_no_more_alpha_than_the_first(road):
    road.run(n=20, alpha=0.05)
    with pytest.raises(UsageError, match=r"alpha of the first attempt at this claim was 0\.05"):
        road.run(n=20, alpha=0.2)
    assert road.run(n=20, alpha=0.04).record["preregistration"]["error_bound"] == pytest.approx(0.07)


def test_not_applicable_is_no_attempt_only_when_the_first_tries_say_so(road):
    with pytest.raises(NotApplicable):
        road.run(substrate="tiny?fault=missing")
    assert attempt(road.run(substrate="tiny?p=0.9", n=20)) == 1
    ledger = road.ledger
    entry = dict(road.entries("registration")[-1], attempt=2, journal="gone")
    ledger.close(ledger.register(entry).index, "NOT_APPLICABLE", cycles=50)
    assert attempt(road.run(substrate="tiny?p=0.9", n=20)) == 3


def test_other_claims_on_the_same_metric_and_system_are_counted_and_shown(road):
    alone = road.run(n=20)
    assert alone.record["preregistration"]["related"] == {"registrations": 0, "alpha_spent": 0.0}
    assert "other claim" not in alone.reasoning
    road.run(n=20, options={"theta": 0.85})
    road.run(n=20, substrate="tiny:another")
    road.run(n=20, corpus="tiny:300?source=two&edition=2")
    third = road.run(n=20, options={"theta": 0.9})
    assert "2 other claims on the same metric and system" in run_text(third.record, third.path)
    assert third.record["preregistration"]["related"] == {"registrations": 2, "alpha_spent": 0.1}
    assert third.reasoning.endswith(
        " 2 other claims on the same metric and system were registered in this ledger; α 0.1 spent on them."
    )
    assert road.verify(third.path).exit_code == 0
