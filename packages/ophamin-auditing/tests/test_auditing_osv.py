"""Which versions an advisory holds for, and a server that says so."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from ophamin.auditing.tools._cvss import base_score, severity
from ophamin.auditing.tools._osv import Advisories
from ophamin.auditing.tools._osv_server import serving


def advisory(events=(), versions=(), name="pkg", kind="ECOSYSTEM", ecosystem="PyPI", **more):
    ranges = [{"type": kind, "events": list(events)}] if events else []
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, "versions": list(versions)}
    return {
        "schema_version": "1.6.0",
        "id": "OPH-1",
        "modified": "2026-01-01T00:00:00Z",
        "affected": [affected],
        **more,
    }


def holds(one, version, name="pkg"):
    return bool(Advisories.of({"a": one}).query(name, version))


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([{"introduced": "0"}], ["0.0.dev1", "1", "99!1", "0a1"], []),
        ([{"introduced": "0"}, {"fixed": "2.1"}], ["2.0", "2.1rc1", "2.1.dev1", "2.0.post9", "1.10"], ["2.1", "2.1.0", "2.10", "2.1.post1"]),
        ([{"introduced": "1.2"}, {"last_affected": "1.9"}], ["1.2", "1.2.0", "1.9", "1.9.0", "1.9+cpu"], ["1.1", "1.2rc1", "1.9.1", "1.9.post1", "1.10"]),
        ([{"introduced": "1"}, {"last_affected": "1"}], ["1", "1.0"], ["0.9", "1.0.1"]),
        # out of order, and several stretches
        ([{"fixed": "1.5"}, {"introduced": "3"}, {"introduced": "1"}, {"fixed": "3.5"}], ["1.4", "3.4"], ["0.9", "1.5", "2.9", "3.5"]),
        ([{"introduced": "0"}, {"limit": "2"}], ["1.9"], ["2", "2.5"]),
        ([{"introduced": "0"}, {"limit": "*"}], ["1.9", "3"], []),
        ([{"introduced": "1!1.0"}, {"fixed": "1!2.0"}], ["1!1.5"], ["1.5", "3.0", "2!0"]),
    ],
)  # fmt: skip
def test_events_in_the_order_of_pep_440(events, inside, outside):
    one = advisory(events)
    assert [v for v in inside if not holds(one, v)] == []
    assert [v for v in outside if holds(one, v)] == []


def test_listed_versions_hold_in_any_spelling_and_besides_ranges():
    one = advisory([{"introduced": "5"}], ["1.0", "not a version"])
    assert all(holds(one, v) for v in ("1.0", "1.0.0", "v1.0", "1.0+local", "not a version", "6"))
    assert not any(holds(one, v) for v in ("1.0.1", "another", "4.9"))


def test_names_are_normalised_in_the_question_and_in_the_answer():
    found = Advisories.of({"a": advisory([{"introduced": "0"}], name="Left_Pad.js")})
    (one,) = found.query("LEFT.pad-JS", "1")
    assert one["affected"][0]["package"]["name"] == "left-pad-js"
    assert found.query("leftpadjs", "1") == []


def test_withdrawn_other_ecosystems_and_git_ranges_do_not_hold():
    assert not holds(advisory([{"introduced": "0"}], withdrawn="2026-02-01T00:00:00Z"), "1")
    assert not holds(advisory([{"introduced": "0"}], ecosystem="npm"), "1")
    assert not holds(advisory([{"introduced": "0"}], kind="GIT"), "1")


@pytest.mark.parametrize(
    "content",
    [
        b"{", b"\xff", b"[]", b'"x"', b"{}", b'{"id": 3}', b"[" * 100_000,
        json.dumps(advisory([{"introduced": "0", "fixed": "1"}])).encode(),
        json.dumps(advisory([{"introduced": "one point two"}])).encode(),
        json.dumps(advisory([{"appeared": "1"}])).encode(),
        json.dumps(advisory([{"introduced": "0"}], schema_version="2.0.0")).encode(),
        json.dumps(advisory([], [3])).encode(),
    ],
)  # fmt: skip
def test_a_damaged_advisory_is_named_and_not_guessed_at(tree, content):
    good = advisory([{"introduced": "0"}])
    folder = tree({"bad/a.json": content, "good.json": json.dumps(good), "notes.txt": "x"}, "osv")
    found = Advisories.read(folder)
    assert list(found.damaged) == ["bad/a.json"]
    assert list(found.by_id) == ["OPH-1"]


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        # examples of the specification's own example document
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8), ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1), ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2),
        ("CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:C/C:H/I:H/A:H", 9.1), ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0), ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N", 4.6),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", None), ("CVSS:3.1/AV:X", None), ("", None),
    ],
)  # fmt: skip
def test_base_scores_are_those_of_the_specification(vector, score):
    assert base_score(vector) == score


def test_severity_is_the_reviewers_word_then_the_score_then_medium():
    v3 = {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}
    assert severity(v3)[0] == "critical"
    assert severity({**v3, "database_specific": {"severity": "LOW"}})[0] == "low"
    assert severity({"affected": [v3]})[0] == "critical"
    assert severity({"affected": [{"ecosystem_specific": {"severity": "High"}}]})[0] == "high"
    assert severity({"severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}]}) == ("medium", "CVSS:4.0/AV:N")
    assert severity({"severity": 3, "affected": None, "database_specific": []}) == ("medium", "")


@pytest.fixture
def service():
    rows = {
        "a": advisory([{"introduced": "0"}, {"fixed": "2"}], name="Pkg"),
        "b": advisory([{"introduced": "1"}], id="OPH-2"),
        "c": advisory([{"introduced": "0"}], id="OPH-3", withdrawn="2026-02-01T00:00:00Z"),
    }
    with serving(Advisories.of(rows)) as url:
        yield url


def ask(url, path, body=None):
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request("GET" if body is None else "POST", path, data)
    answer = connection.getresponse()
    try:
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def ids(answer):
    return [v["id"] for v in answer[1].get("vulns", [])]


def test_the_server_answers_queries_batches_and_single_advisories(service):
    package = {"ecosystem": "PyPI", "name": "pkg"}
    assert ids(ask(service, "/v1/query", {"package": package, "version": "1.5"})) == ["OPH-1", "OPH-2"]
    assert ids(ask(service, "/v1/query", {"package": package, "version": "2"})) == ["OPH-2"]
    assert ids(ask(service, "/v1/query", {"package": {"purl": "pkg:pypi/pkg@0.5"}})) == ["OPH-1"]
    assert ids(ask(service, "/v1/query", {"package": package})) == ["OPH-1", "OPH-2"]
    assert ask(service, "/v1/query", {"package": {"ecosystem": "npm", "name": "pkg"}, "version": "1"}) == (200, {})
    batch = {
        "queries": [{"package": package, "version": v} for v in ("0.5", "2")] + [{"package": {**package, "name": "x"}}]
    }
    assert ask(service, "/v1/querybatch", batch)[1]["results"] == [
        {"vulns": [{"id": "OPH-1", "modified": "2026-01-01T00:00:00Z"}]},
        {"vulns": [{"id": "OPH-2", "modified": "2026-01-01T00:00:00Z"}]},
        {},
    ]
    assert ask(service, "/v1/vulns/OPH-3")[1]["withdrawn"]
    assert ask(service, "/v1/vulns/OPH-4") == (404, {"code": 5, "message": "Bug not found."})


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere 127.0.0.2 is nobody's address")
def test_the_server_answers_on_this_address_only(service):
    port = urlsplit(service).port
    assert urlsplit(service).hostname == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/query", b"{", 400), ("/v1/query", b"\xff", 400), ("/v1/query", [], 400), ("/v1/query", {}, 400),
        ("/v1/query", {"package": 3}, 400), ("/v1/query", {"package": {"purl": "x"}}, 400), ("/v1/other", {}, 404),
        ("/v1/query", {"commit": "abc", "package": {"ecosystem": "PyPI", "name": "pkg"}}, 400),
        ("/v1/query", {"package": {"purl": "pkg:pypi/pkg@1"}, "version": "1"}, 400), ("/v1/querybatch", {"queries": 3}, 400),
        ("/v1/querybatch", {"queries": [{}] * 1001}, 400), ("/../etc/passwd", None, 404),
    ],
)  # fmt: skip
def test_the_server_refuses_what_makes_no_sense_and_goes_on(service, path, body, status):
    assert ask(service, path, body)[0] == status
    assert ask(service, "/v1/vulns/OPH-1")[0] == 200


# The Makefile names its own uv, which need not be on PATH.
UV = shutil.which(os.environ.get("UV", "uv"))


@pytest.mark.skipif(UV is None, reason="there is no uv, neither in the variable UV nor on PATH")
def test_uv_audit_agrees(service, tree):
    lock = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n[[package]]\nname = "me"\nversion = "0.1"\nsource = { virtual = "." }\ndependencies = [{ name = "pkg" }]\n\n[package.metadata]\nrequires-dist = [{ name = "pkg" }]\n\n[[package]]\nname = "pkg"\nversion = "1.5"\nsource = { registry = "https://pypi.org/simple" }\n'
    project = '[project]\nname = "me"\nversion = "0.1"\nrequires-python = ">=3.11"\ndependencies = ["pkg"]\n'
    root = tree({"uv.lock": lock, "pyproject.toml": project}, "uvproject")
    where = service.removesuffix("/v1/query")
    done = subprocess.run(
        [os.path.abspath(UV), "audit", "--frozen", "--service-url", where], cwd=root, capture_output=True, text=True, check=False
    )  # fmt: skip
    if "unrecognized subcommand" in done.stderr:
        pytest.skip("this uv has no audit")
    assert done.returncode == 1, done.stderr
    assert "OPH-1" in done.stdout + done.stderr
