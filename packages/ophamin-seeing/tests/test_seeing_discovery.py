"""Schemas mined from known truths, comparisons against scipy, and a watch over a repository that really changes."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.proof.canonical import canonical_bytes
from ophamin.proof.errors import CorpusUnavailable, SubstrateFailure, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import verify
from ophamin.protocols import Settings
from ophamin.registry import read_record
from ophamin.seeing.discovery._tests import fisher_exact, holm, kolmogorov_smirnov
from ophamin.seeing.discovery.diff import diff
from ophamin.seeing.discovery.discover import DiscoverSpec, Interrupted, discover
from ophamin.seeing.discovery.miner import MAX_DISTINCT, MAX_FIELDS, MAX_KEYS, MAX_SAMPLE, SchemaMiner
from ophamin.seeing.discovery.watch import watch


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    return Settings(project=str(tmp_path / "project"), store=str(tmp_path / "proofs"))


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    rows = tmp_path / "rows.csv"
    rows.write_text("prompt,y\n" + "".join(f"question {i},{i % 2}\n" for i in range(400)), "utf-8")
    return f"table:{rows}?text=prompt&label=y"


def mined(*answers, examples: int = 3) -> dict[str, dict]:
    miner = SchemaMiner(examples)
    for i, answer in enumerate(answers):
        miner.add(f"r{i}", answer)
    fields, _ = miner.fields()
    return {f["path"]: f for f in fields}


# --- mining


def test_paths_types_rates_ranges_lengths() -> None:
    found = mined(
        {"a": {"b": [{"c": 1}, {"c": 2.5}], "d": None}, "t": "xy"},
        {"a": {"b": [], "d": True}, "t": "xyz"},
        {"t": ""},
        {"a": {"b": [{"c": "x"}, {}]}, "t": "x"},
    )
    assert list(found) == ["a", "a.b", "a.b[]", "a.b[].c", "a.d", "t"]
    c = found["a.b[].c"]
    assert (c["n_cycles"], c["n_occurrences"], c["missing_rate"]) == (2, 3, 0.5)
    assert {k: (t["n_cycles"], t["n_occurrences"]) for k, t in c["types"].items()} == {
        "integer": (1, 1),
        "number": (1, 1),
        "string": (1, 1),
    }
    assert (c["values"]["min"], c["values"]["max"], c["values"]["mean"]) == (1.0, 2.5, 1.75)
    assert c["values"]["sample"] == [1.0], "one value a cycle"
    assert (found["t"]["lengths"]["min"], found["t"]["lengths"]["max"]) == (0, 3)
    assert sorted(found["t"]["lengths"]["sample"]) == [0, 1, 2, 3]
    assert found["a.d"]["missing_rate"] == 0.5
    assert set(found["a.d"]["types"]) == {"null", "boolean"}


def test_keys_that_are_no_names_are_quoted_and_never_confused() -> None:
    found = mined({"a.b": 1, "a": {"b": 2}, "x[]": 3, "x": [4], "": 5, "é": 6, '"': 7, "m{}": 8})
    assert len(found) == 10
    assert {'["a.b"]', "a.b", '["x[]"]', "x[]", '[""]', '["é"]', '["\\""]', '["m{}"]'} <= set(found)


def test_an_object_of_many_keys_is_a_map_with_exact_counts() -> None:
    answers = [{"m": {f"k{i}-{j}": {"v": i} for j in range(30)}} if i % 4 else {} for i in range(40)]
    found = mined(*answers)
    assert set(found) == {"m", "m{}", "m{}.v"}
    assert (found["m{}.v"]["n_cycles"], found["m{}.v"]["n_occurrences"]) == (30, 900)
    assert found["m{}.v"]["missing_rate"] == 0.25
    assert found["m{}.v"]["types"]["integer"]["n_cycles"] == 30
    assert (found["m{}.v"]["values"]["min"], found["m{}.v"]["values"]["max"]) == (1, 39)


def test_enumerations_are_few_values_seen_often() -> None:
    words = ["spam", "ham", True, 3]
    assert [e["value"] for e in mined(*({"x": words[i % 3]} for i in range(9)))["x"]["enumeration"]] == [
        "ham",
        "spam",
        True,
    ]
    assert mined(*({"x": f"w{i}"} for i in range(9)))["x"]["enumeration"] is None
    assert mined(*({"x": i % (MAX_DISTINCT + 1)} for i in range(900)))["x"]["enumeration"] is None
    assert len(mined(*({"x": i % MAX_DISTINCT} for i in range(900)))["x"]["enumeration"]) == MAX_DISTINCT
    assert mined(*({"x": "long" * 30} for _ in range(9)))["x"]["enumeration"] is None


def test_examples_are_bounded_and_can_be_left_out() -> None:
    answers = [{"x": f"secret {i} " + "y" * 500, "k": "word", "n": 1} for i in range(9)]
    found = mined(*answers)
    assert len(found["x"]["examples"]) == 3
    assert all(len(e["value"]) == 80 and e["length"] == 509 for e in found["x"]["examples"])
    bare = mined(*answers, examples=0)
    assert "secret" not in json.dumps(bare)
    assert "word" not in json.dumps(bare)
    assert bare["n"]["enumeration"] == [{"value": 1, "n": 9}]


def test_samples_and_fields_are_bounded() -> None:
    found = mined(*({"x": float(i)} for i in range(3000)))
    sample = found["x"]["values"]["sample"]
    assert len(sample) == MAX_SAMPLE
    assert abs(sum(sample) / len(sample) - 1499.5) < 300, "a uniform sample"
    miner = SchemaMiner()
    miner.add("r", {f"g{i}": {f"k{j}": j for j in range(MAX_KEYS)} for i in range(20)})
    fields, left_out = miner.fields()
    assert len(fields) == MAX_FIELDS
    assert left_out == 20 * (MAX_KEYS + 1) - MAX_FIELDS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150)
@given(st.lists(JSON, min_size=1, max_size=8))
def test_any_answers_give_a_schema_that_counts_them(answers) -> None:
    found = mined(*answers)
    for field in found.values():
        assert 0 < field["n_cycles"] <= min(len(answers), field["n_occurrences"])
        assert sum(t["n_occurrences"] for t in field["types"].values()) == field["n_occurrences"]
        assert math.isclose(field["missing_rate"], 1 - field["n_cycles"] / len(answers))
        for name in ("values", "lengths"):
            spread = field[name]
            assert spread is None or spread["min"] <= spread["mean"] <= spread["max"]
    assert mined(*answers) == found, "the same answers give the same schema"


# --- the tests behind a comparison


def test_exact_tests_agree_with_scipy() -> None:
    rng = random.Random(7)
    for _ in range(150):
        n, m = rng.randint(1, 50), rng.randint(1, 50)
        left = [rng.gauss(0, 1) for _ in range(n)]
        right = [rng.gauss(0.4, 1) for _ in range(m)]
        d, p = kolmogorov_smirnov(left, right)
        theirs = scipy.stats.ks_2samp(left, right, method="exact")
        assert d == pytest.approx(theirs.statistic, abs=1e-12)
        assert p == pytest.approx(theirs.pvalue, abs=1e-12)
        a, b = rng.randint(0, n), rng.randint(0, m)
        assert fisher_exact(a, n, b, m) == pytest.approx(
            scipy.stats.fisher_exact([[a, n - a], [b, m - b]])[1], abs=1e-12
        )
    values = [rng.random() ** 3 for _ in range(40)]
    adjusted = holm(values)
    for alpha in (0.001, 0.01, 0.05, 0.2, 0.9):
        # The procedure as it is published: step down, and stop at the first that is not rejected.
        rejected = set()
        for step, index in enumerate(sorted(range(40), key=values.__getitem__)):
            if values[index] > alpha / (40 - step):
                break
            rejected.add(index)
        assert {i for i in range(40) if adjusted[i] <= alpha} == rejected


# --- discovering and comparing


def test_a_document_of_a_mock_is_signed_and_says_what_is_dialled_in(corpus: str, project: Settings) -> None:
    spec = DiscoverSpec("mock?drop=label&fault_rate=0.25&error_rate=0.1&unmeasured_rate=0.05", corpus, n=400)
    kept = discover(spec, project)
    record = kept.record
    found = verify(read_record(kept.path), Keyring())
    assert found.ok
    cycles = record["cycles"]
    assert cycles["n"] == 400
    assert 20 <= cycles["n_error"] <= 65
    assert 8 <= cycles["n_unmeasured"] <= 36
    fields = {f["path"]: f for f in record["fields"]}
    assert 0.17 < fields["label"]["missing_rate"] < 0.33
    assert fields["blocked"]["missing_rate"] == 0
    assert set(fields["blocked"]["types"]) == {"boolean"}
    assert [e["value"] for e in fields["confidence"]["enumeration"]] == [0.9]
    assert record["errors"][0]["message"] == "mock: failed on demand"
    again = discover(spec, project).record
    assert canonical_bytes(again["fields"]) == canonical_bytes(record["fields"])


def test_what_cannot_be_discovered_is_said(corpus: str, project: Settings, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("prompt\n", "utf-8")
    for spec, kind in (
        (DiscoverSpec("nowhere", corpus), LookupError),
        (DiscoverSpec("mock?nonsense=1", corpus), UsageError),
        (DiscoverSpec("mock", "table:absent.csv?text=prompt"), CorpusUnavailable),
        (DiscoverSpec("mock", f"table:{tmp_path}/none.csv?text=prompt"), CorpusUnavailable),
        (DiscoverSpec("mock", corpus, timeout_s=float("nan")), UsageError),
        (DiscoverSpec("command:/no/such/program", corpus), SubstrateFailure),
    ):
        with pytest.raises(kind):
            discover(spec, project)


def test_a_system_that_always_fails_has_a_document_without_fields(corpus: str, project: Settings) -> None:
    record = discover(DiscoverSpec("mock?mode=error", corpus, n=20), project).record
    assert record["cycles"]["n_error"] == 20
    assert record["fields"] == []
    with pytest.raises(UsageError, match="no good answer"):
        diff(record, record)


@pytest.fixture
def document(corpus: str, project: Settings) -> Callable[..., dict]:
    def make(substrate: str, n: int = 200, seed: int = 0):
        return discover(DiscoverSpec(substrate, corpus, n=n, seed=seed), project).record

    return make


def found(a, b, **options) -> set[tuple[str, str]]:
    return {(c["change"], c["path"]) for c in diff(a, b, **options)["changes"]}


def test_each_change_that_is_dialled_in_is_found_and_nothing_else(document) -> None:
    base = document("mock?seed=1")
    assert found(base, base) == set()
    assert found(base, document("mock?seed=1&drop=label")) == {("removed", "label")}
    assert found(document("mock?seed=1&drop=label"), base) == {("added", "label")}
    assert found(base, document("mock?seed=1&retype=value")) == {("retyped", "value")}
    assert found(base, document("mock?seed=1&mean=1")) == {("range", "value")}
    assert found(base, document("mock?seed=1&drop=label&fault_rate=0.3")) == {("rate", "label")}
    assert found(base, document("mock?seed=1&error_rate=0.3")) >= {("errors", "")}
    assert ("enumeration", "confidence") in found(base, document("mock?seed=1&confidence=0.7"))


def test_a_rare_field_that_did_not_come_is_not_called_removed(document) -> None:
    rare, never = document("mock?seed=1&drop=label&fault_rate=0.97"), document("mock?seed=1&drop=label")
    assert ("not_seen", "label") in found(rare, never)
    often = document("mock?seed=1&drop=label&fault_rate=0.5")
    assert ("removed", "label") in found(often, never)


def test_a_comparison_of_the_same_system_keeps_its_error_rate(corpus: str, project: Settings) -> None:
    """Two seeds of one system: with all tests together at 5 %, few of 60 comparisons may find anything."""
    documents = [
        discover(DiscoverSpec(f"mock?seed={seed}&confidence=calibrated", corpus, n=60), project).record
        for seed in range(61)
    ]
    tested = {"rate", "range", "length", "errors", "removed"}
    false = sum(bool({c for c, _ in found(a, b)} & tested) for a, b in pairwise(documents))
    assert false <= 8, f"{false} of 60: the probability of more than 8 is 0.0025 at 5 %"


def test_different_stimuli_are_noted(document) -> None:
    a, b = document("mock?seed=1", n=50), document("mock?seed=1", n=50, seed=5)
    assert "different stimuli" in diff(a, b)["notes"][0]
    assert diff(a, a)["notes"] == []
    with pytest.raises(UsageError, match="alpha"):
        diff(a, a, alpha=1.5)


def test_a_whole_number_and_one_with_a_fraction_are_one_type() -> None:
    def document_of(*answers):
        miner = SchemaMiner()
        for i, answer in enumerate(answers):
            miner.add(str(i), answer)
        n = len(answers)
        fields, _ = miner.fields()
        return {
            "document_id": "d",
            "cycles": {"n": n, "n_ok": n},
            "fields": fields,
            "n_fields_left_out": 0,
            "corpus": {"selection_hash": "s"},
            "options": {},
        }

    assert found(document_of({"x": 1}, {"x": 2}), document_of({"x": 1.5}, {"x": 2})) == set()
    assert found(document_of({"x": 1}, {"x": 2}), document_of({"x": None}, {"x": 2})) == {("retyped", "x")}


def test_answers_of_one_group_count_once() -> None:
    """Groups that differ among themselves and share nothing else: few of 40 comparisons may find a change."""
    rng = random.Random(3)

    def document_of(by_group: bool) -> dict:
        miner = SchemaMiner()
        for g in range(25):
            level, talks = rng.gauss(0, 1), rng.random() < 0.5
            for i in range(12):
                answer = {"x": level + rng.gauss(0, 0.01)} | ({"note": "n"} if talks else {})
                miner.add(f"{g}-{i}", answer, f"g{g}" if by_group else None)
        fields, _ = miner.fields()
        groups = {"n": miner.n_groups, "n_failed": 0, "n_ok": miner.n_groups}
        return {
            "document_id": "d",
            "cycles": {"n": 300, "n_ok": 300, "groups": groups},
            "fields": fields,
            "n_fields_left_out": 0,
            "corpus": {"selection_hash": "s"},
            "options": {},
        }

    def false_alarms(by_group: bool) -> int:
        return sum(bool(found(document_of(by_group), document_of(by_group))) for _ in range(40))

    assert false_alarms(by_group=False) >= 30, "as if independent, nearly every comparison is a false alarm"
    assert false_alarms(by_group=True) <= 7, "the probability of more than 7 of 40 is 0.0006 at 5 %"
    one = document_of(by_group=True)
    assert diff(one, one)["n"] == {"a": 25, "b": 25}
    assert diff(one, one)["notes"][0] == "A: 300 cycles of 25 groups; the tests count one of each group"


def test_a_document_counts_the_groups_of_its_corpus(tmp_path: Path, project: Settings) -> None:
    rows = tmp_path / "grouped.csv"
    rows.write_text("prompt,who\n" + "".join(f"question {i},w{i % 7 or ''}\n" for i in range(140)), "utf-8")
    spec = DiscoverSpec("mock?drop=label&fault_rate=0.5&error_rate=0.3", f"table:{rows}?text=prompt&group=who", n=140)
    record = discover(spec, project).record
    groups = record["cycles"]["groups"]
    assert (groups["n"], groups["n_ok"]) == (7, 7)
    assert 0 < groups["n_failed"] < 7
    label = next(f for f in record["fields"] if f["path"] == "label")
    assert 0 < label["n_groups"] < 7 < label["n_cycles"]
    assert label["types"]["string"]["n_groups"] == label["n_groups"]
    assert len(next(f for f in record["fields"] if f["path"] == "length")["values"]["sample"]) == 7
    alone = discover(DiscoverSpec("mock", f"table:{rows}?text=prompt", n=140), project).record
    assert alone["cycles"]["groups"] == {"n": 140, "n_failed": 0, "n_ok": 140}


def test_a_document_from_before_groups_were_counted_is_compared_and_noted(document) -> None:
    old = json.loads((Path(__file__).parent / "golden" / "schema-document-1.0.json").read_text("utf-8"))
    assert "groups" not in old["cycles"]
    result = diff(old, old)
    assert result["changes"] == []
    assert "count as independent" in result["notes"][0]
    assert result["n"] == {"a": old["cycles"]["n_ok"], "b": old["cycles"]["n_ok"]}


# --- ended early


def test_what_was_answered_before_ctrl_c_is_kept_and_marked(corpus: str, project: Settings) -> None:
    def stop(progress) -> None:
        if progress.done == 130:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as early:
        discover(DiscoverSpec("mock?seed=1", corpus, n=200), project, progress=stop)
    record = early.value.kept.record
    assert verify(read_record(early.value.kept.path), Keyring()).ok
    assert (record["partial"], record["cycles"]["n"], record["corpus"]["n_selected"]) == ("interrupted", 130, 200)
    assert all(f["n_cycles"] <= 130 for f in record["fields"])
    whole = discover(DiscoverSpec("mock?seed=1", corpus, n=200), project).record
    assert "partial" not in whole
    assert diff(record, whole)["notes"] == ["A is partial: 130 of 200 cycles (interrupted)"]
    assert [f["path"] for f in record["fields"]] == [f["path"] for f in whole["fields"]]

    def at_once(progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        discover(DiscoverSpec("mock", corpus), project, progress=at_once)


def test_what_was_answered_before_the_system_was_gone_is_kept(tmp_path: Path, corpus: str, project: Settings) -> None:
    program = tmp_path / "mortal.py"
    # Each process dies at its first question once there were 25 answers: ten in a row, and the run is over.
    program.write_text(
        "import json, pathlib, sys\n"
        f"seen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    if 'id' not in asked: continue\n"
        "    n = len(seen.read_bytes()) if seen.exists() else 0\n"
        "    if n >= 25: sys.exit(3)\n"
        "    seen.write_bytes(b'x' * (n + 1))\n"
        "    print(json.dumps({'id': asked['id'], 'output': {'n': n}}), flush=True)\n",
        "utf-8",
    )
    with pytest.raises(SubstrateFailure, match="kept as a partial document: ") as gone:
        discover(DiscoverSpec(f"command:{sys.executable} {program}", corpus, n=60), project)
    record = read_record(Path(str(gone.value).rpartition(": ")[2])).object
    assert (record["cycles"]["n_ok"], record["cycles"]["n_error"]) == (25, 9)
    assert "10 times in a row" in record["partial"]


# --- watching


ANSWER = "def answer(text):\n    return {'label': 'spam', 'length': len(text)}\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "watched.py").write_text(ANSWER, "utf-8")
    for words in (
        ["init", "-q"],
        ["config", "user.email", "a@b"],
        ["config", "user.name", "n"],
        ["add", "."],
        ["commit", "-qm", "1"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder


def commit(folder: Path, content: str) -> None:
    (folder / "watched.py").write_text(content, "utf-8")
    subprocess.run(["git", "commit", "-qam", "next"], cwd=folder, check=True)


def test_a_watch_mines_each_revision_once_and_goes_on_after_a_restart(
    repository: Path, corpus: str, project: Settings
) -> None:
    spec = DiscoverSpec("python:watched:answer", corpus, n=20)

    def look(checks: int = 1):
        return list(watch(spec, project, interval_s=0.05, checks=checks))

    [first] = look()
    assert first.event == "first"
    assert verify(read_record(first.document), Keyring()).ok
    assert [(e.event, e.document) for e in look(2)] == [("unchanged", first.document)]
    commit(repository, ANSWER.replace("'length': len(text)", "'length': str(len(text)), 'new': 1"))
    [changed] = look()
    assert changed.event == "changed"
    assert changed.revision != first.revision
    assert changed.changes is not None
    assert {(c["change"], c["path"]) for c in changed.changes["changes"]} == {("retyped", "length"), ("added", "new")}
    [log] = (Path(project.project) / ".ophamin" / "discovery").glob("*.changes.jsonl")
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [(r["before"], r["document"]) for r in rows] == [(first.document, changed.document)]
    assert read_record(changed.document).object["substrate"]["revision"] == changed.revision
    # An edit that is not committed is another system too.
    (repository / "watched.py").write_text(ANSWER, "utf-8")
    assert [e.event for e in look()] == ["changed"]


def test_a_broken_moment_is_said_once_and_survived(repository: Path, corpus: str, project: Settings) -> None:
    spec = DiscoverSpec("python:watched:answer", corpus, n=5)
    events = watch(spec, project, interval_s=0.05, checks=6)
    assert next(events).event == "first"
    (repository / "watched.py").write_text("def answer(:", "utf-8")
    failed = next(events)
    assert failed.event == "failed"
    assert "SyntaxError" in failed.reason
    (repository / "watched.py").write_text(ANSWER, "utf-8")
    assert next(events).event in ("recovered", "changed")


def test_the_first_look_fails_loudly_and_a_damaged_state_is_named(
    repository: Path, corpus: str, project: Settings
) -> None:
    with pytest.raises(UsageError, match="no module"):
        next(watch(DiscoverSpec("python:absent:f", corpus), project))
    with pytest.raises(UsageError, match="interval"):
        next(watch(DiscoverSpec("mock", corpus), project, interval_s=0))
    spec = DiscoverSpec("mock", corpus, n=5)
    list(watch(spec, project, checks=1))
    [state] = (Path(project.project) / ".ophamin" / "discovery").glob("*.json")
    state.write_text("{", "utf-8")
    with pytest.raises(UsageError, match="remove it to begin anew"):
        next(watch(spec, project))


def test_an_interrupted_watch_stops_what_it_started(repository: Path, corpus: str, project: Settings) -> None:
    (repository / "watched.py").write_text(
        "import pathlib, time\ndef answer(text):\n    pathlib.Path('asked').touch()\n    time.sleep(60)\n", "utf-8"
    )
    program = f"""
from ophamin.protocols import Settings
from ophamin.seeing.discovery.discover import DiscoverSpec
from ophamin.seeing.discovery.watch import watch
next(watch(DiscoverSpec("python:watched:answer", {corpus!r}), Settings({project.project!r}, {project.store!r})))
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=repository, stderr=subprocess.PIPE)
    # The miner's process is certainly there once the system was asked, whatever the machine does besides.
    limit = time.monotonic() + 60
    while not (repository / "asked").exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.exists():
        process.kill()
        process.communicate()
        pytest.skip("this system does not list the children of a process")
    children = [int(pid) for pid in listed.read_text().split()]
    process.send_signal(2)
    process.communicate(timeout=20)
    assert children
    assert not [
        pid for pid in children if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
