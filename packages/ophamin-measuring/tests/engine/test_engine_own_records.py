"""Runs of a claim at several revisions, each on records of its own."""

from __future__ import annotations

import pytest

from ophamin.proof.errors import UsageError


def measured(road, result):
    return [row["record"] for row in road.rows(result.path)]


def at(road, rev, n=60, **more):
    return road.run(substrate=f"tiny?rev={rev}", **{"n": n, "own_records": True, **more})


def test_revisions_share_their_records_unless_each_is_to_have_its_own(road):
    first, same = (at(road, rev, own_records=False) for rev in "ab")
    assert sorted(measured(road, first)) == sorted(measured(road, same))
    own = [at(road, rev) for rev in "cd"]
    sets = [set(measured(road, result)) for result in (first, *own)]
    assert [len(records) for records in sets] == [60, 60, 60]
    assert not sets[0] & sets[1] | sets[0] & sets[2] | sets[1] & sets[2]
    for result, others in zip(own, (60, 120), strict=True):
        registered, (data,) = result.record["preregistration"], result.record["data"]["datasets"]
        # Nobody picked the seed, each is a first attempt with all of alpha, and the record says what was left out.
        assert (registered["seed_origin"], registered["attempt"], registered["alpha_used"]) == ("derived", 1, 0.05)
        assert data["selection"]["method"].endswith(f"without {others} records of other runs of this claim")
        assert result.record["reproduction"]["run_spec"]["own_records"] is True
    assert "own_records" not in first.record["reproduction"]["run_spec"]
    assert own[0].record["claim"] == first.record["claim"]
    assert road.verify(own[1].path)


def test_what_is_drawn_beside_a_draw_is_no_shadow_of_it(road):
    # With the seed of the first, a record of the second would stand near one of the first in the corpus's order.
    first, own = at(road, "a", n=100, own_records=False), at(road, "b", n=100)
    seeds = [result.record["preregistration"]["seed"] for result in (first, own)]
    assert seeds[0] != seeds[1]
    # Of 200 that are left 100 are taken, alike over the corpus: hypergeometric, sd 3.5 in a half of them.
    left = [f"r{i}" for i in range(300) if f"r{i}" not in measured(road, first)]
    assert abs(sum(record in left[:100] for record in measured(road, own)) - 50) < 16


def test_a_corpus_that_is_used_up_is_refused_before_anything_is_registered(road):
    for rev in "abcd":
        at(road, rev, n=70)
    entries = road.ledger.size
    with pytest.raises(UsageError, match=r"has 20 units left that no other run of this claim measured, and 70 are"):
        at(road, "e", n=70)
    assert road.ledger.size == entries
    assert len(measured(road, at(road, "e", n=20))) == 20


def test_another_system_or_claim_has_records_of_its_own_anyway(road):
    first = set(measured(road, at(road, "a", n=200)))
    assert len(set(measured(road, road.run(substrate="tiny:other", n=200, own_records=True)))) == 200
    assert len(set(measured(road, at(road, "b", n=200, options={"theta": 0.7})))) == 200
    with pytest.raises(UsageError, match="has 100 units left"):
        at(road, "b", n=200)
    assert len(first) == 200


def test_a_second_attempt_leaves_out_its_first_and_all_others(road):
    sets = [set(measured(road, at(road, rev, n=70))) for rev in "aba"]
    assert len(set.union(*sets)) == 210


def test_records_under_another_id_are_not_of_its_own(road):
    sets = [{r.lstrip("rx") for r in measured(road, at(road, rev, corpus=f"tiny:300?ids={ids}"))}
            for rev, ids in (("a", "r"), ("b", "x"))]  # fmt: skip
    assert not sets[0] & sets[1]


def test_one_that_measured_nothing_takes_nothing_away(road):
    with pytest.raises(Exception, match="no such model"):
        road.run(substrate="tiny?rev=a&fault=start", n=200, own_records=True)
    assert len(measured(road, at(road, "b", n=200))) == 200


def test_an_interrupted_one_is_resumed_on_the_records_it_had(road):
    with pytest.raises(KeyboardInterrupt):
        road.run(substrate="tiny?rev=a&fault=interrupt&at=30", n=60, own_records=True)
    (entry,) = road.entries("registration")
    at(road, "b", n=60)
    with pytest.raises(KeyboardInterrupt):
        road.run(substrate="tiny?rev=a&fault=interrupt&at=20", n=60, own_records=True)
    assert len(road.entries("registration")) == 2, entry
    taken = at(road, "c", n=60)
    assert "without 120 records" in taken.record["data"]["datasets"][0]["selection"]["method"]


@pytest.mark.parametrize("more", [{"options": {"rule": "exact"}, "n": None}])
def test_what_measures_the_whole_corpus_has_none_of_its_own(road, more):
    with pytest.raises(UsageError, match="no run of it has records of its own"):
        at(road, "a", **more)


def test_without_n_the_plan_says_how_many(road):
    result = at(road, "a", n=None, corpus="tiny:4000")
    n = result.record["preregistration"]["plan"]["n_units"]
    assert 0 < n == len(set(measured(road, result)))


def test_strata_each_have_their_own(road):
    sets = [set(measured(road, at(road, rev, n=40, scenario="tiny-pair"))) for rev in "ab"]
    assert [len(records) for records in sets] == [80, 80]
    assert not sets[0] & sets[1]
    with pytest.raises(UsageError, match=r"has 70 units of stratum 'attack' left"):
        at(road, "c", n=100, scenario="tiny-pair")
