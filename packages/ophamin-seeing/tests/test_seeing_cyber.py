from __future__ import annotations

import re
from pathlib import Path

import pytest

from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.registry import make_corpus

HEADER = '"payload","length","attack_type","label"\n'


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / "cyber" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return root


def test_every_layout_and_its_labels(tmp_path: Path) -> None:
    root = put(
        tmp_path,
        {
            "httpparams/payload_full.csv": HEADER + '"jane","4","norm","norm"\n"1 or 1=1","8","sqli","anom"\n',
            "libinjection/sqli-x.txt": "# note\n\n%27+or+1%3D1--\n",
            "libinjection/false_positives.txt": "1/26/11\r\n",
            "PayloadsAllTheThings/XSS Injection/Intruders/a.txt": "<b onclick=x>\n# kept, may be a payload\n",
            "SecLists/Fuzzing/LFI/deep/l.txt": "../../etc/passwd\n",
            "fuzzdb/attack/sql-injection/detect/d.txt": "# note\nhaving 1=1\n",
            "fuzzdb/attack/xss/README.md": "not a list\n",
        },
    )
    records = list(make_corpus("cyber-payloads", root).records())
    found = {r.payload: (r.labels["kind"], r.labels["class"], r.labels["source"]) for r in records}
    assert found == {
        "jane": ("benign", "benign", "httpparams"),
        "1 or 1=1": ("attack", "sqli", "httpparams"),
        "' or 1=1--": ("attack", "sqli", "libinjection"),
        "1/26/11": ("benign", "benign", "libinjection"),
        "<b onclick=x>": ("attack", "xss", "payloadsallthethings"),
        "# kept, may be a payload": ("attack", "xss", "payloadsallthethings"),
        "../../etc/passwd": ("attack", "path-traversal", "seclists"),
        "having 1=1": ("attack", "sqli", "fuzzdb"),
    }
    some = make_corpus("cyber-payloads?source=fuzzdb,seclists", root)
    assert [r.labels["source"] for r in some.records()] == ["seclists", "fuzzdb"]
    assert make_corpus("cyber-payloads", root / "cyber").count() == len(records), "the root may be the folder itself"


def test_duplicates_contradictions_and_broken_rows_are_counted(tmp_path: Path) -> None:
    rows = '"a","1","norm","norm"\n" a ","3","norm","norm"\n"b","9","sqli","anom"\n"x"\n"y","1","odd","maybe"\n"","0","norm","norm"\n'
    root = put(
        tmp_path,
        {
            "httpparams/payload_a.csv": HEADER + rows,
            "libinjection/sqli-x.txt": "c\nb\n",
            "libinjection/false_positives.txt": "c\n",
            "libinjection/notes.txt": "what kind?\n",
        },
    )
    corpus = make_corpus("cyber-payloads", root)
    assert [(r.payload, r.labels["kind"]) for r in corpus.records()] == [
        ("a", "benign"),
        ("b", "attack"),
        ("y", "unknown"),
        ("what kind?", "unknown"),
    ]
    assert corpus.count() == 4
    assert corpus.problems() == {
        "duplicate": 3,
        "contradictory labels (left out)": 1,
        "httpparams: length column disagrees (row kept)": 1,
        "httpparams: row without four fields": 1,
        "httpparams: empty payload": 1,
    }


def test_no_byte_is_lost(tmp_path: Path) -> None:
    raw = [b"caf\xe9", b"a\x00b", b"line\xc2\x85sep\x0b", "naïve".encode()]
    table = HEADER.encode() + b"".join(b'"%s","%d","norm","norm"\n' % (r, len(r)) for r in raw)
    root = put(tmp_path, {"httpparams/payload_a.csv": table, "libinjection/sqli-x.txt": b"%ff%27\n"})
    records = list(make_corpus("cyber-payloads", root).records())
    got = [r.payload.encode(r.meta.get("encoding", "utf-8")) for r in records]
    assert got == [*raw, b"\xff'"]


def test_a_byte_order_mark_is_no_part_of_the_first_payload(tmp_path: Path) -> None:
    folder = tmp_path / "cyber" / "libinjection"
    folder.mkdir(parents=True)
    (folder / "sqli-a.txt").write_bytes(b"\xef\xbb\xbf# a comment\n1+or+1\n")
    (folder / "sqli-b.txt").write_bytes(b"\xef\xbb\xbf2+or+2\n")
    assert [r.payload for r in make_corpus("cyber-payloads", tmp_path).records()] == ["1 or 1", "2 or 2"]


def test_the_split_is_by_content_alone(cyber_root: Path) -> None:
    train, test, whole = (
        list(make_corpus(f"cyber-payloads{q}", cyber_root).records()) for q in ("?split=train", "?split=test", "")
    )
    assert {r.id for r in train} | {r.id for r in test} == {r.id for r in whole}
    assert len(train) + len(test) == len(whole)
    assert abs(len(train) / len(whole) - 0.5) < 0.03
    only = make_corpus("cyber-payloads?split=test&source=libinjection", cyber_root)
    assert {r.id for r in only.records()} <= {r.id for r in test}


def test_the_generated_sample_is_large_varied_and_labelled(cyber_root: Path, tmp_path: Path) -> None:
    corpus = make_corpus("cyber-payloads", cyber_root)
    records = list(corpus.records())
    assert len(records) == len({r.id for r in records}) >= 6000
    for kind in ("attack", "benign"):
        templates = {re.sub(r"\d+", "0", r.payload) for r in records if r.labels["kind"] == kind}
        assert len(templates) >= 2500
        assert len(templates) == len({r.group for r in records if r.labels["kind"] == kind})
    assert corpus.describe().kind == "generated sample"
    assert "Generated sample" in (cyber_root / "cyber" / "SAMPLE.md").read_text(encoding="utf-8")
    again = make_corpus("cyber-payloads").write_sample(tmp_path, 1)
    assert make_corpus("cyber-payloads", again).content_hash() == corpus.content_hash()
    other = make_corpus("cyber-payloads").write_sample(tmp_path / "other", 2)
    assert make_corpus("cyber-payloads", other).content_hash() != corpus.content_hash()


def test_the_hash_follows_the_data_and_not_what_lies_beside_it(tmp_path: Path) -> None:
    root = put(tmp_path, {"httpparams/payload_a.csv": HEADER + '"a","1","norm","norm"\n', "SOURCE.md": "x"})
    corpus = make_corpus("cyber-payloads", root)
    before = corpus.content_hash()
    put(tmp_path, {"SOURCE.md": "y", "httpparams/LICENSE": "MIT"})
    assert corpus.content_hash() == before
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["LICENSE", "SOURCE.md", "payload_a.csv"]
    put(tmp_path, {"httpparams/payload_a.csv": HEADER + '"b","1","norm","norm"\n'})
    assert corpus.content_hash() != before


def test_absent_and_wrong_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CorpusUnavailable, match="OPHAMIN_DATA_ROOT is set"):
        next(make_corpus("cyber-payloads").records())
    absent = make_corpus("cyber-payloads", tmp_path)
    state = absent.availability()
    assert (state.state, state.looked_in) == ("absent", (str(tmp_path / "cyber"), str(tmp_path)))
    assert "ophamin corpus sample" in state.how_to_get
    assert state.licence
    put(tmp_path, {"httpparams/payload_a.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:1\n"})
    with pytest.raises(CorpusUnavailable, match="git lfs pull"):
        absent.count()
    put(tmp_path, {"httpparams/payload_a.csv": "<!doctype html><title>404</title>"})
    with pytest.raises(CorpusUnavailable, match="HTML"):
        absent.content_hash()
    put(tmp_path, {"httpparams/payload_a.csv": HEADER})
    monkeypatch.setenv("OPHAMIN_DATA_ROOT", str(tmp_path))
    assert make_corpus("cyber-payloads").count() == 0
    assert make_corpus("cyber-payloads?source=fuzzdb").availability().state == "absent"
    assert make_corpus("cyber-payloads?source=fuzzdb,httpparams").availability().state == "partial"


def test_bad_specs() -> None:
    for spec in ("cyber-payloads:x", "cyber-payloads?split=valid", "cyber-payloads?source=httpparam"):
        with pytest.raises(UsageError):
            make_corpus(spec)


@pytest.mark.data
def test_the_real_collections(real_root: Path) -> None:
    http = make_corpus("cyber-payloads?source=httpparams", real_root)
    records = list(http.records())
    assert len(records) + http.problems().get("duplicate", 0) == 10_355
    assert http.problems()["httpparams: length column disagrees (row kept)"] == 8
    assert {r.labels["class"] for r in records} == {"benign", "sqli", "xss", "cmdi", "path-traversal"}
    lists = make_corpus("cyber-payloads?source=libinjection", real_root)
    kinds = [r.labels["kind"] for r in lists.records()]
    assert kinds.count("attack") > 500
    assert kinds.count("benign") > 200
    assert any("' or " in r.payload.lower() for r in lists.records())
    whole = make_corpus("cyber-payloads", real_root)
    assert whole.availability().state == "ok"
    assert whole.count() == sum(1 for _ in whole.records()) > 12_000
    crs = make_corpus("cyber-payloads?source=crs", real_root)
    requests = list(crs.records())
    # 363 stages must fire a rule and 83 must not; ten repeat a request.
    assert len(requests) + crs.problems()["duplicate"] == 446
    assert set(crs.problems()) == {"duplicate"}
    kinds = [r.labels["kind"] for r in requests]
    assert (kinds.count("benign"), kinds.count("unknown")) == (83, 0)
    assert requests[0].payload.startswith("GET /get HTTP/1.1\r\nHost: localhost\r\nFoobarHeader: 0x5c0x2e.%00/\r\n")
    assert requests[0].meta["rules"] == ["930100"]
    assert "crs" not in {r.labels["source"] for r in whole.records()}


CRS = """---
rule_id: 941100
tests:
  - test_id: 1
    stages:
      - input: {method: POST, uri: "/p", version: HTTP/1.0, headers: {Host: h, X: "yes"}, data: "a=0777"}
        output: {log: {expect_ids: [941100]}}
      - input: {uri: "/second"}
        output: {log: {no_expect_ids: [941100]}}
  - test_id: 2
    stages:
      - stage:
          input: {encoded_request: R0VUIC9cLyBIVFRQLzEuMQ0KDQr/}
          output: {log_contains: 'id "941100"'}
      - input: {data: '{{ "ab" | repeat 3 }}{{7*7}}'}
        output: {status: 400}
  - test_id: 3
    stages:
      - input: {encoded_request: "no base64!"}
      - input: {data: '{{ "ab" | repeat 9999999 }}'}
      - input: {data: {a: b}}
      - nonsense
"""


def crs(root: Path, *texts: str) -> Path:
    folder = "crs-tests/tests/regression/tests/REQUEST-941-APPLICATION-ATTACK-XSS"
    return put(root, {f"{folder}/{i}.yaml": text for i, text in enumerate(texts)})


def test_rule_set_tests_become_requests(tmp_path: Path) -> None:
    corpus = make_corpus("cyber-payloads", crs(tmp_path, CRS))
    found = [
        (r.payload, r.labels["kind"], r.labels["class"], r.meta["test"], r.meta["rules"]) for r in corpus.records()
    ]
    assert found == [
        ("POST /p HTTP/1.0\r\nHost: h\r\nX: yes\r\n\r\na=0777", "attack", "xss", "1", ["941100"]),
        ("GET /second HTTP/1.1\r\n\r\n", "benign", "benign", "1", ["941100"]),
        ("GET /\\/ HTTP/1.1\r\n\r\n\xff", "attack", "xss", "2", ["941100"]),
        ("GET / HTTP/1.1\r\n\r\nababab{{7*7}}", "unknown", "unknown", "2", []),
    ]
    assert dict(corpus.problems()) == {
        "crs: an encoded request that is no base64 (left out)": 1,
        "crs: a repetition longer than 1 MiB (left out)": 1,
        "crs: a value that is no text (left out)": 1,
        "crs: a stage without input (left out)": 1,
    }


BOMB = "a: &a [x]\n" + "".join(
    f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 300_000, "more than 40 levels"),
        ("{a: " * 300_000, "more than 40 levels"),
        (BOMB + "tests: []\n", ""),
        ("b: &b {<<: [*b, *b]}\ntests: []\n", ""),
        ("tests: *nothing\n", "no YAML|alias"),
        ("tests: !!python/object/apply:os.system [true]\n", ""),
        ("tests: !!binary aGk=\n", "a binary scalar"),
        ("tests: []\ntests: []\n", "a key that stands twice"),
        ("? [a]\n: b\n", "a key that is no text"),
        ("just text\n", "no list of tests"),
        ("tests: [unclosed\n", "no YAML"),
        ("\x00\x01", "no YAML"),
    ],
)
def test_hostile_yaml_is_named(tmp_path: Path, text: str, reason: str) -> None:
    corpus = make_corpus("cyber-payloads?source=crs", crs(tmp_path, CRS, text))
    assert corpus.count() == 4, "the other file is read"
    named = [r for r in corpus.problems() if r.startswith("crs: a file with")]
    assert len(named) == bool(reason)
    assert re.search(reason, "".join(named))


def test_raw_requests(tmp_path: Path) -> None:
    get = "GET http://h/a?b=%27 HTTP/1.1\r\nHost: h"
    post = "POST http://h/p HTTP/1.1\nHost: h\nContent-Length: 9\n\nx=1\n\ny=22"
    normal = f"{get}\r\n\r\n\r\n{post}\n\nstray\nPUT http://h/q HTTP/1.1\nContent-Length: 99\n\nshort"
    root = put(
        tmp_path,
        {
            "csic2010/normalTrafficTraining.txt": normal,
            "csic2010/anomalousTrafficTest.txt": "GET /e HTTP/1.1\n",
            "csic2010/other.txt": b"GET /\xff HTTP/1.1\n\n",
        },
    )
    corpus = make_corpus("cyber-payloads?source=http", root)
    assert [(r.payload, r.labels["kind"], r.meta["line"]) for r in corpus.records()] == [
        ("GET /e HTTP/1.1", "attack", 1),
        (get, "benign", 1),
        (post, "benign", 5),
        ("GET /\xff HTTP/1.1", "unknown", 1),
    ]
    assert dict(corpus.problems()) == {
        "http: a line outside any request (left out)": 1,
        "http: a body that is cut short (left out)": 1,
    }


def test_whole_requests_are_read_only_when_named(cyber_root: Path) -> None:
    default = make_corpus("cyber-payloads", cyber_root)
    assert {r.labels["source"] for r in default.records()} == {"httpparams", "libinjection"}
    assert "also there, by source=: crs, http" in default.availability().found
    for source in ("crs", "http"):
        corpus = make_corpus(f"cyber-payloads?source={source}", cyber_root)
        kinds = [r.labels["kind"] for r in corpus.records()]
        assert min(kinds.count("attack"), kinds.count("benign")) > 80
        assert not set(corpus.problems()) - {"duplicate"}


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b'"open', "the table breaks off"),
        (b'"a"b,1,norm,norm\n', "the table breaks off"),
        (b"\x00\n", "row without four fields"),
    ],
)
def test_a_broken_table_gives_what_is_before_the_fault(tmp_path: Path, tail: bytes, reason: str) -> None:
    root = put(
        tmp_path, {"httpparams/payload_a.csv": b"\xef\xbb\xbf" + HEADER.encode() + b'"a","1","norm","norm"\n' + tail}
    )
    corpus = make_corpus("cyber-payloads", root)
    assert [r.payload for r in corpus.records()] == ["a"]
    assert dict(corpus.problems()) == {f"httpparams: {reason}": 1}
