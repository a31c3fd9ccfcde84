"""Names of claims and of attempts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ophamin.proof.claims import attempt_key, claim_hash
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold, to_json
from ophamin.protocols import SubstrateIdentity

ONE, TWO = Threshold("accuracy", ">=", 0.9), Threshold("latency_s", "<=", 1)
CLAIM = Claim("s", "o", "h0", "h1", ONE, Decision(target="corpus"), [CoPrimary(TWO, Decision(target="corpus"))])
ARM = SubstrateIdentity("python", "m:f", "sha256:0", "abc", dirty=True)


def test_claim_hash_covers_every_word():
    assert claim_hash(CLAIM) == claim_hash(to_json(CLAIM))
    changes = [
        {"statement": "t"},
        {"h0": "x"},
        {"threshold": replace(ONE, value=0.91)},
        {"decision": Decision(target="corpus", alpha=0.01)},
        {"co_primary": ()},
    ]
    assert len({claim_hash(replace(CLAIM, **c)) for c in changes} | {claim_hash(CLAIM)}) == len(changes) + 1


@pytest.mark.parametrize(
    "same",
    [
        replace(CLAIM, statement="other words", h0="x"),
        replace(CLAIM, decision=Decision(target="corpus", alpha=0.01, estimator="other", error_policy="fail")),
        replace(CLAIM, threshold=TWO, co_primary=[CoPrimary(ONE, Decision(target="corpus"))]),
        replace(CLAIM, co_primary=[CoPrimary(replace(TWO, value=1.0, units="s"), Decision(target="corpus"))]),
    ],
)
def test_what_is_still_the_same_attempted_claim(same):
    assert attempt_key(same, [ARM]) == attempt_key(CLAIM, [ARM])


@pytest.mark.parametrize(
    "other",
    [
        replace(CLAIM, threshold=replace(ONE, value=0.91)),
        replace(CLAIM, threshold=replace(ONE, comparator=">")),
        replace(CLAIM, threshold=replace(ONE, metric="recall")),
        replace(CLAIM, decision=Decision(target="all users")),
        replace(CLAIM, co_primary=()),
    ],
)
def test_what_is_another_claim(other):
    assert attempt_key(other, [ARM]) != attempt_key(CLAIM, [ARM])


def test_substrates_count_by_kind_name_and_revision_in_order():
    key = attempt_key(CLAIM, [ARM])
    assert attempt_key(CLAIM, [replace(ARM, config_hash="sha256:1", dirty=False)]) == key
    assert attempt_key(CLAIM, [{"kind": "python", "name": "m:f", "revision": "abc"}]) == key
    for change in ({"kind": "x"}, {"name": "x"}, {"revision": "x"}):
        assert attempt_key(CLAIM, [replace(ARM, **change)]) != key
    other = replace(ARM, name="m:g")
    assert attempt_key(CLAIM, [ARM, other]) != attempt_key(CLAIM, [other, ARM])


@pytest.mark.parametrize("zeros", [(0, 0.0, -0.0), (3, 3.0)])
def test_one_theta_in_any_spelling(zeros):
    keys = {attempt_key(replace(CLAIM, threshold=replace(ONE, value=z)), [ARM]) for z in zeros}
    assert len(keys) == 1


def test_large_integers_and_booleans_keep_apart():
    values = (2**53, 2**53 + 1, True, 1, "1")
    assert len({attempt_key(replace(CLAIM, threshold=replace(ONE, value=v)), [ARM]) for v in values}) == len(values)
