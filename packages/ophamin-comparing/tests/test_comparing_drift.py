from __future__ import annotations

import json
import random

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophamin import registry
from ophamin.comparing._show import to_json, to_markdown, to_text
from ophamin.comparing.drift import compare, proof_of
from ophamin.comparing.drift.nearest import Nearest
from ophamin.comparing.drift.proofs import SeriesKey
from ophamin.proof.errors import SchemaError
from ophamin.proof.signed import SignedRecord
from ophamin.protocols import EstimatorCall, Score


def one(before, after):
    (pair,) = compare([before], [after]).pairs
    return pair


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((0.95, 0.93, 0.97, "VALIDATED"), (0.85, 0.83, 0.87, "REFUTED"), "regression"),
        ((0.90, 0.88, 0.92, "INCONCLUSIVE"), (0.88, 0.86, 0.895, "REFUTED"), "lateral"),
        ((0.85, 0.83, 0.87, "REFUTED"), (0.95, 0.93, 0.97, "VALIDATED"), "recovery"),
        ((0.92, 0.905, 0.93, "VALIDATED"), (0.91, 0.895, 0.92, "INCONCLUSIVE"), "lateral"),
        ((0.89, 0.88, 0.899, "REFUTED"), (0.90, 0.89, 0.91, "INCONCLUSIVE"), "lateral"),
        ((0.95, 0.93, 0.97, "VALIDATED"), (0.94, 0.92, 0.96, "VALIDATED"), "unchanged"),
        # The verdict holds, but it fell by more than is worth knowing; and the other way round.
        ((0.99, 0.985, 0.995, "VALIDATED"), (0.93, 0.92, 0.94, "VALIDATED"), "regression"),
        ((0.93, 0.92, 0.94, "VALIDATED"), (0.99, 0.985, 0.995, "VALIDATED"), "improvement"),
    ],
)
def test_what_a_change_is_called(proof, before, after, expected):
    assert one(proof(*before, revision="r1"), proof(*after, revision="r2")).transition == expected


def test_the_bad_direction_follows_the_comparator(proof):
    low = {"theta": 0.2, "comparator": "<="}
    before, after = proof(0.05, 0.04, 0.06, **low), proof(0.15, 0.14, 0.16, **low)
    assert one(before, after).transition == "regression"
    assert one(after, before).transition == "improvement"


def test_a_difference_smaller_than_worth_knowing_is_no_regression_however_certain(proof):
    pair = one(proof(0.95, 0.9499, 0.9501), proof(0.94, 0.9399, 0.9401))
    assert pair.parts[0].difference.upper < 0
    assert pair.transition == "unchanged"


def test_without_a_registered_difference_only_the_verdict_speaks(proof):
    pair = one(proof(0.99, 0.98, 0.995, delta=None), proof(0.92, 0.91, 0.93, delta=None))
    assert pair.transition == "unchanged"
    assert "nothing registered says what matters" in to_text(compare([pair.before], [pair.after]))


def test_the_delta_of_a_quantile_is_no_number_of_seconds(proof):
    slow = {"theta": 1.0, "comparator": "<=", "estimator": "quantile", "delta": 0.01}
    assert one(proof(0.2, 0.19, 0.21, **slow), proof(0.5, 0.49, 0.51, **slow)).transition == "unchanged"


def test_the_last_line_says_how_often_chance_makes_a_difference(proof):
    rate = "held to 5 % per side; Holm over 1 holds the chance of any wrong regression to 5 %; 1 regression"
    drift = compare([proof(0.95, 0.93, 0.97)], [proof(0.85, 0.83, 0.87, "REFUTED", revision="r2")])
    assert to_text(drift).splitlines()[-1] == f"1 series compared; its difference is {rate}"
    assert to_text(compare([], [])).splitlines()[-1] == "0 series compared; nothing to compare"


def test_the_price_of_comparing_intervals_is_said(proof):
    assert "the pairing is lost" in one(proof(), proof(revision="r2")).parts[0].method


def test_what_else_differs_is_said_and_what_cannot_be_compared_is_named(proof):
    other = "sha256:" + "ab" * 32
    drift = compare(
        [proof(revision="r1"), proof(statement="B")], [proof(revision="r2"), proof(statement="B", corpus=other)]
    )
    (pair,) = drift.pairs
    assert pair.differs["revision"] == ("r1", "r2")
    (alone,), (new,) = drift.before_only, drift.after_only
    assert set(alone.differs) == {"corpus"}
    assert alone.nearest is new.proof
    assert "not compared with" in to_text(drift)


@given(st.lists(st.tuples(*[st.sampled_from("ab")] * 4), max_size=12), st.tuples(*[st.sampled_from("abc")] * 4))
def test_the_nearest_is_the_first_that_differs_least_and_in_two_fields_at_most(keys, wanted):
    class Member:
        def __init__(self, fields):
            self.key = SeriesKey(*fields)

    members, key = [Member(fields) for fields in keys], SeriesKey(*wanted)
    least = min(members, key=lambda member: len(key.differences(member.key)), default=None)
    found = Nearest(members).of(key)
    if least is None or len(key.differences(least.key)) > 2:
        assert found is None
    else:
        assert found == (least, key.differences(least.key))


def test_of_several_proofs_of_a_series_the_latest_is_compared_and_the_others_are_named(proof):
    old = proof(0.85, 0.83, 0.87, "REFUTED", created="2026-11-24T09:00:00+00:00")
    new = proof(0.95, 0.93, 0.97, created="2026-11-24T11:00:00+00:00")
    drift = compare([old, new], [proof(revision="r2")])
    assert [p.before.proof_id for p in drift.pairs] == [new.proof_id]
    assert drift.superseded == [old]


def test_the_same_proof_on_both_sides_does_not_differ(proof):
    same = proof()
    part = one(same, same).parts[0]
    assert (part.difference.value, part.transition) == (0.0, "unchanged")
    assert part.method == "the same proof on both sides"


def test_missing_bounds_decide_nothing(proof):
    pair = one(proof(0.95, 0.91, None), proof(0.5, None, 0.99, "INCONCLUSIVE"))
    assert pair.transition == "lateral"
    assert pair.parts[0].difference.lower is None


def test_a_proof_of_version_1_0_has_a_verdict_and_a_number(proof):
    def old(value, outcome):
        record = dict(proof(value, outcome=outcome).body)
        record["schema_version"] = "1.0"
        record["claim"] = {k: v for k, v in record["claim"].items() if k not in ("decision", "co_primary")}
        record["verdict"] = {k: record["verdict"][k] for k in ("outcome", "observed_value", "threshold", "reasoning")}
        return proof_of({**record, "proof_id": f"{value:064}"})

    pair = one(old(0.95, "VALIDATED"), old(0.85, "REFUTED"))
    assert pair.transition == "regression"
    assert pair.parts[0].difference.lower is None


def test_values_of_the_whole_target_differ_exactly(body):
    def whole(value, outcome):
        record = body(value, None, None, outcome, theta=5, comparator="<=", delta=2)
        record["claim"]["decision"]["rule"], record["verdict"]["interval"] = "exact", None
        return proof_of({"proof_id": f"{value:064}", **record})

    part = one(whole(1, "VALIDATED"), whole(4, "VALIDATED")).parts[0]
    assert (part.difference.lower, part.difference.value, part.difference.upper) == (3, 3, 3)
    assert part.method.startswith("exact")
    assert part.transition == "regression"
    assert one(whole(1, "VALIDATED"), whole(3, "VALIDATED")).transition == "unchanged"


# --- paired by record


class Answers:
    """A scenario of this test's own: the share of right answers."""

    name, tier, goal = "answers-test", "engineering", "To be right."
    options = {}
    observables = {"right": "whether it was right"}
    default_corpus = "table"

    def claim(self, options): ...
    def arms(self, options): ...
    def observe(self, record, result, roles): ...
    def controls(self): ...

    def score(self, columns, options):
        return Score(
            [EstimatorCall("accuracy", "proportion", {"value": columns["right"], "status": columns["status"]})]
        )


@pytest.fixture
def scenario():
    if "answers-test" not in registry.scenarios.names():
        registry.register_scenario("answers-test", Answers)


def rows(right, ids=None):
    ids = ids or range(len(right))
    return [
        {"index": i, "record": f"r{k}", "arm": "main", "status": "ok", "error": None, "wall_s": 0.0, "unit": f"r{k}",
         "block": 0, "values": {"right": bool(x)}}
        for i, (k, x) in enumerate(zip(ids, right, strict=True))
    ]  # fmt: skip


@pytest.fixture
def measured(body, write_proof, scenario):
    def make(name, right, ids=None, revision="r1", value=None):
        share = sum(right) / len(right) if value is None else value
        half = 0.03
        path = write_proof(
            f"{name}/record.json",
            body(share, share - half, share + half, scenario="answers-test", revision=revision, theta=0.1),
            rows(right, ids),
        )
        from ophamin.proof.reading import read_object

        return proof_of(read_object(path), path)

    return make


needs_mean = pytest.mark.skipif("mean" not in registry.estimators.names(), reason="no estimator 'mean' is installed")


@needs_mean
def test_the_same_records_are_paired_whatever_their_order(measured):
    rng = random.Random(1)
    first = [rng.random() < 0.9 for _ in range(500)]
    second = [x and rng.random() < 0.93 for x in first]
    order = list(range(500))
    rng.shuffle(order)
    before, after = measured("a", first), measured("b", [second[i] for i in order], order, "r2")
    part = one(before, after).parts[0]
    assert part.method.startswith("paired by record over 500 rows")
    assert part.difference.value == pytest.approx(sum(second) / 500 - sum(first) / 500)
    assert part.difference.upper < 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda measured: measured("b", [True] * 30 + [False], range(1, 32)), "different records"),
        (lambda measured: measured("b", [True] * 31, range(31, 62)), "unpaired: the runs have no record in common"),
        (lambda measured: measured("b", [True] * 31, value=0.9), "another accuracy of the rows"),
        (lambda measured: measured("b", [True] * 31, [0] * 31), "more than once"),
    ],
)
def test_what_cannot_be_paired_says_why(measured, change, reason):
    before, after = measured("a", [True] * 31), change(measured)
    assert reason in one(before, after).parts[0].method
    assert reason in one(after, before).parts[0].method


@pytest.mark.parametrize("content", [b"", b"not gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03torn"])
def test_damaged_observations_are_not_believed(measured, content):
    before, after = measured("a", [True, False] * 20), measured("b", [True, False] * 20, revision="r2")
    after.path.with_name("observations.jsonl.gz").write_bytes(content)
    assert "observations" in one(before, after).parts[0].method


def test_a_scenario_that_is_not_installed_leaves_the_intervals(body, write_proof):
    from ophamin.proof.reading import read_object

    paths = [write_proof(f"{r}/record.json", body(revision=r, scenario="gone"), rows([True])) for r in ("r1", "r2")]
    method = one(*(proof_of(read_object(path), path) for path in paths)).parts[0].method
    assert "square-and-add" in method
    assert "its scenario is not at hand" in method


def test_every_form_says_the_same(proof):
    drift = compare(
        [proof(statement="a | <b> `c`\n# d\x1b[31m")],
        [proof(0.8, 0.78, 0.82, "REFUTED", statement="a | <b> `c`\n# d\x1b[31m")],
    )
    assert json.loads(json.dumps(to_json(drift)))["transition"] == "regression"
    text, markdown = to_text(drift), to_markdown(drift)
    assert "\x1b" not in text + markdown
    assert "\n# d" not in text + markdown
    assert "<b>" not in markdown
    assert r"a \| &lt;b&gt; \`c\`" in markdown


# --- the command


@pytest.fixture
def run(project, home):
    from ophamin.comparing._command.compare import compare as command

    return lambda *words: CliRunner().invoke(command, list(map(str, words)), obj=project)


HASH = "sha256:" + "5e" * 32
GOOD, BAD = (0.95, 0.93, 0.97), (0.8, 0.78, 0.82, "REFUTED")


def test_exit_codes(run, body, write_proof, tmp_path):
    from ophamin.proof.keys import Signer

    good = write_proof("a.json", body(*GOOD))
    assert run(good, write_proof("b.json", body(*GOOD, revision="r2"))).exit_code == 0
    worse = write_proof("c.json", body(*BAD, revision="r3"))
    assert run(good, worse).exit_code == 1
    assert run(worse, good).exit_code == 0
    assert run(good, write_proof("d.json", body(*GOOD, statement="Another."))).exit_code == 2
    stranger = write_proof("e.json", body(*GOOD, revision="r4"), signer=Signer(b"a stranger's secret key"))
    done = run(good, stranger)
    assert done.exit_code == 5
    assert "could not be checked" in done.stderr
    assert (
        run(good, write_proof("f.json", body(*BAD, revision="r5"), signer=Signer(b"a stranger's secret key"))).exit_code
        == 1
    )


def test_a_tampered_record_is_named_and_not_trusted(run, body, write_proof, tmp_path):
    write_proof("before/a.json", body(*GOOD))
    write_proof("before/b.json", body(*GOOD, statement="B"))
    write_proof("after/a.json", body(*GOOD, revision="r2"))
    path = write_proof("after/b.json", body(*BAD, statement="B"))
    path.write_text(path.read_text().replace("REFUTED", "VALIDATED"))
    done = run(tmp_path / "before", tmp_path / "after", "--json")
    assert done.exit_code == 3
    said = json.loads(done.stdout)
    assert len(said["pairs"]) == 1
    assert [p["state"] for p in said["problems"]] == ["tampered, left out"]
    assert len(said["before_only"]) == 1


def test_a_folder_serves_its_proofs_and_names_the_rest(run, body, write_proof, tmp_path):
    write_proof("before/a.json", body(*GOOD))
    good = write_proof("after/a.json", body(*GOOD, revision="r2"))
    (tmp_path / "after/torn.json").write_bytes(good.read_bytes()[:500])
    (tmp_path / "after/foreign.json").write_text('{"name": "x"}')
    (tmp_path / "after/link.json").symlink_to(good)
    (tmp_path / "after/folder").symlink_to(tmp_path / "before")
    (tmp_path / "after/dangling.json").symlink_to(tmp_path / "nowhere")
    done = run(tmp_path / "before", tmp_path / "after", "--format", "markdown")
    assert done.exit_code == 0
    assert done.stdout.startswith("# Drift")
    for name in ("torn.json", "foreign.json", "link.json", "dangling.json", "folder"):
        assert f"after/{name}: " in done.stderr
    assert "unchanged" in done.stdout


def test_what_is_named_must_be_a_record(run, body, write_proof, tmp_path):
    good = write_proof("a.json", body(*GOOD))
    (tmp_path / "x.json").write_text("[")
    assert run(good, tmp_path / "x.json").exception.exit_code == 2
    assert run(good, "feedfeed").exception.exit_code == 2
    (tmp_path / "empty").mkdir()
    assert run(good, tmp_path / "empty").exit_code == 2


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_proof_of_any_shape_is_compared_or_refused_in_one_sentence(body, data):
    def mutate(value, depth=0):
        if isinstance(value, dict) and value and (depth == 0 or data.draw(st.integers(0, 4))):
            key = data.draw(st.sampled_from(sorted(value)))
            return {**value, key: mutate(value[key], depth + 1)}
        return data.draw(leaves)

    records = [{"proof_id": str(i), **mutate(body(revision=str(i), observations={"digest": HASH}))} for i in range(2)]
    try:
        drift = compare([proof_of(records[0])], [proof_of(records[1])])
    except SchemaError:
        return
    json.dumps(to_json(drift), allow_nan=False)
    assert to_text(drift)
    assert to_markdown(drift)


def test_records_of_other_kinds_are_left_out(body):
    from ophamin.comparing._command.compare import _problems
    from ophamin.proof.verification import Finding, Verification
    from ophamin.registry.gathering import Found

    class Kind:
        name, id_field = "audit", "audit_id"

    record = SignedRecord(Kind(), {"audit_id": "x"})
    (problem,) = _problems([Found(record, Verification([Finding("id", "good")], "me"))], [])
    assert "audit" in problem["reason"]
