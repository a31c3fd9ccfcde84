"""Bills of environments: installed by hand, hostile, and the one these tests run in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ophamin.auditing.sbom.make import make_sbom
from ophamin.auditing.sbom.platform import Platform
from ophamin.proof.errors import UsageError

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture
def env(tmp_path):
    """An environment's folder, and a function that installs a distribution in it by hand."""
    prefix = tmp_path / "env"
    site = prefix / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.12.4\nimplementation = CPython\n")

    def install(name, version="1.0", *, requires=(), head="", files=None, record=None, folder=None, extra=None):
        info = site / (folder or f"{name}-{version}.dist-info")
        info.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        (info / "METADATA").write_text("Metadata-Version: 2.4\n" + "\n".join(lines) + f"\n{head}\n\nbody\n")
        written = {f"{name}/__init__.py": b"x = 1\n"} if files is None else files
        for path, data in written.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(data)
        rows = "".join(f"{p},sha256={b64(d)},{len(d)}\n" for p, d in written.items())
        content = f"{rows}{info.name}/RECORD,,\n" if record is None else record
        if content is not False:
            (info / "RECORD").write_bytes(content if isinstance(content, bytes) else content.encode())
        for path, data in (extra or {}).items():
            (info / path).write_text(data)
        return info

    install.prefix, install.site = prefix, site
    return install


@pytest.fixture
def project(tree):
    return tree({"pyproject.toml": '[project]\nname = "mine"\nversion = "3"\n', "a.py": "x = 1\n"}, "project")


def bill(project, env):
    made = make_sbom(project, environment=env.prefix)
    written = json.loads(made.content)
    assert VALIDATOR.validate_str(made.content.decode()) is None
    return written, made.summary()


def by_name(written):
    return {c["name"]: c for c in written["components"]}


def props(component):
    return {p["name"]: p["value"] for p in component.get("properties", [])}


def edges(written):
    return {d["ref"]: d.get("dependsOn", []) for d in written["dependencies"]}


def test_files_are_nested_with_records_hashes_and_records_own_digest(env, project):
    info = env("one", files={"one/__init__.py": b"a = 1\n", "one/é.py": b"b = 2\n"})
    written, summary = bill(project, env)
    one = by_name(written)["one"]
    assert one["purl"] == one["bom-ref"] == "pkg:pypi/one@1.0"
    assert {c["name"]: c["hashes"][0]["content"] for c in one["components"]} == {
        "one/__init__.py": hashlib.sha256(b"a = 1\n").hexdigest(),
        "one/é.py": hashlib.sha256(b"b = 2\n").hexdigest(),
    }
    assert props(one)["ophamin:record:sha256"] == hashlib.sha256((info / "RECORD").read_bytes()).hexdigest()
    assert "hashes" not in one  # the archive's hash cannot be known from here
    assert (summary["components"], summary["hashed"], summary["files"]) == (1, 1, 2)


def test_the_same_input_gives_the_same_bytes_and_any_change_another_serial_number(env, project, monkeypatch):
    env("one")
    first = make_sbom(project, environment=env.prefix)
    assert make_sbom(project, environment=env.prefix).content == first.content
    assert "timestamp" not in json.loads(first.content)["metadata"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated = make_sbom(project, environment=env.prefix)
    assert json.loads(dated.content)["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert dated.serial_number != first.serial_number
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    (project / "a.py").write_text("x = 2\n")
    assert make_sbom(project, environment=env.prefix).serial_number != first.serial_number


def test_a_time_that_is_none_is_refused(env, project, monkeypatch):
    env("one")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        make_sbom(project, environment=env.prefix)


def test_the_tree_is_bound_in_as_the_audit_record_names_it(env, project):
    env("one")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-C", str(project)]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    written, _ = bill(project, env)
    tree = written["metadata"]["component"]
    listed = [("a.py", hashlib.sha256(b"x = 1\n").hexdigest())]
    assert (tree["name"], tree["version"], tree["type"]) == ("mine", "3", "application")
    assert tree["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(repr(listed).encode()).hexdigest()}]
    assert props(tree)["ophamin:git:revision"] == head
    assert props(tree)["ophamin:git:dirty"] == "false"
    assert written["metadata"]["tools"]["components"][0]["name"] == "ophamin-auditing"


def test_who_needs_whom_with_markers_of_that_environment_and_extras(env, project):
    env("app", requires=["Lib.One[fast]>=1", "only-old; python_version < '3.12'", "only-new; python_version >= '3.12'",
                         "never; sys_platform == 'nowhere'", "tests; extra == 'test'", "absent"])  # fmt: skip
    env("lib_one", requires=["speed; extra == 'fast'", "docs; extra == 'doc'"])
    for name in ("only-old", "only-new", "never", "tests", "speed", "docs"):
        env(name)
    written, _ = bill(project, env)
    found = edges(written)
    assert found["pkg:pypi/app@1.0"] == ["pkg:pypi/lib-one@1.0", "pkg:pypi/only-new@1.0"]
    assert found["pkg:pypi/lib-one@1.0"] == ["pkg:pypi/speed@1.0"]
    assert "pkg:pypi/app@1.0" in found["tree"]
    assert "pkg:pypi/speed@1.0" not in found["tree"]


def test_rings_end_and_are_reached_from_the_tree(env, project):
    env("a", requires=["b"])
    env("b", requires=["c", "b"])
    env("c", requires=["a"])
    found = edges(bill(project, env)[0])
    assert found["tree"] == ["pkg:pypi/a@1.0"]
    assert found["pkg:pypi/b@1.0"] == ["pkg:pypi/c@1.0"]


def test_editables_are_stated_as_unhashed_and_keep_the_machines_folders_to_themselves(env, project, tmp_path):
    for name, place in (("mine", project), ("other", tmp_path / "elsewhere")):
        direct = {"url": place.as_uri(), "dir_info": {"editable": True}}
        env(name, extra={"direct_url.json": json.dumps(direct)})
    written, summary = bill(project, env)
    for name, source in (("mine", "."), ("other", "a local path outside the tree")):
        one = by_name(written)[name]
        assert props(one) == {"ophamin:unhashed": "editable", "ophamin:source": source}
        assert "components" not in one
        assert "hashes" not in one
    assert summary["hashed"] == 0
    assert {u["reason"] for u in summary["unhashed"]} == {"editable"}
    assert str(tmp_path) not in json.dumps(written)


@pytest.mark.parametrize("info", [{"hashes": {"sha256": "ab" * 32}}, {"hash": "sha256=" + "ab" * 32}])
def test_an_archives_hash_is_given_where_direct_url_has_it(env, project, info):
    direct = {"url": "https://me:secret@example.org/one-1.0.whl", "archive_info": info}
    env("one", extra={"direct_url.json": json.dumps(direct)})
    written, _ = bill(project, env)
    one = by_name(written)["one"]
    assert one["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert one["externalReferences"][0]["url"] == "https://example.org/one-1.0.whl"
    assert "secret" not in json.dumps(written)


def test_a_checkout_names_its_commit(env, project):
    direct = {"url": "https://example.org/r.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}
    env("one", extra={"direct_url.json": json.dumps(direct)})
    written, _ = bill(project, env)
    assert by_name(written)["one"]["components"]


@pytest.mark.parametrize(
    ("head", "licences"),
    [
        ("License-Expression: mit or apache-2.0", [{"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}]),
        ("License-Expression: mit", [{"license": {"id": "MIT", "acknowledgement": "declared"}}]),
        ("License-Expression: (((", [{"license": {"name": "(((", "acknowledgement": "declared"}}]),
        ("License: Apache License, Version 2.0", [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}]),
        ("Classifier: License :: OSI Approved :: ISC License (ISCL)", [{"license": {"id": "ISC", "acknowledgement": "declared"}}]),
        ("Classifier: License :: OSI Approved :: BSD License", [{"license": {"name": "BSD License", "acknowledgement": "declared"}}]),
        ("License: UNKNOWN", [{"license": {"name": "NOASSERTION"}}]),
        ("", [{"license": {"name": "NOASSERTION"}}]),
    ],
)  # fmt: skip
def test_licences_are_spdx_where_they_can_be_and_unknown_is_said(env, project, head, licences):
    env("one", head=head)
    written, summary = bill(project, env)
    assert by_name(written)["one"]["licenses"] == licences
    assert summary["licence_unknown"] == (
        ["one 1.0"] if licences[0].get("license", {}).get("name") == "NOASSERTION" else []
    )


def test_a_family_of_licences_is_told_by_its_text(env, project):
    words = "Redistribution and use in source and binary\nforms … Neither the name of the author …"
    env("one", head="Classifier: License :: OSI Approved :: BSD License", extra={"LICENSE.txt": words})
    written, _ = bill(project, env)
    assert by_name(written)["one"]["licenses"] == [{"license": {"id": "BSD-3-Clause", "acknowledgement": "concluded"}}]


def test_records_that_escape_lie_or_are_damaged(env, project):
    good = b64(b"g")
    rows = [
        f"one/good.py,sha256={good},1", f"../../../bin/one,sha256={good},1", f"../../../../etc/passwd,sha256={good},1",
        f"/etc/passwd,sha256={good},1", f"a/../../../../../x,sha256={good},1", f"C:\\x,sha256={good},1",
        "one/short.py,sha256=abc,1", f"one/alg.py,crc32={good},1", "one/none.pyc,,", "one/nonsense", "",
        f'"one/a,b.py",sha256={good},1', f"one/good.py,sha256={b64(b'other')},1", f'"open,sha256={good},1',
    ]  # fmt: skip
    env("one", record="\n".join(rows))
    written, summary = bill(project, env)
    one = by_name(written)["one"]
    assert [c["name"] for c in one["components"]] == ["../../../bin/one", "one/a,b.py", "one/good.py"]
    assert {c["hashes"][0]["content"] for c in one["components"]} == {hashlib.sha256(b"g").hexdigest()}
    assert props(one)["ophamin:record:outside"] == "4"
    assert props(one)["ophamin:record:damaged"] == "5"
    assert props(one)["ophamin:record:without-hash"] == "1"
    assert len(summary["warnings"]) == 2


def test_what_has_no_record_or_an_empty_one_is_unhashed_never_made_up(env, project):
    env("gone", record=False)
    env("empty", record="empty/__init__.py,,\n")
    written, summary = bill(project, env)
    assert props(by_name(written)["gone"])["ophamin:unhashed"] == "it has no RECORD"
    assert props(by_name(written)["empty"])["ophamin:unhashed"] == "its RECORD states no hash"
    assert summary["hashed"] == 0
    assert "hashes" not in json.dumps(written["components"]).replace("ophamin:unhashed", "")


def test_damaged_metadata_still_names_the_package(env, project):
    (env("one") / "METADATA").write_bytes(b"\xff\xfe\x00 nothing like metadata")
    (env("two") / "METADATA").unlink()
    (env("thr\u00e9e") / "METADATA").write_bytes(
        "Name: thrée\r\nVersion: 1\r\nSummary: \ud83d\r\n\r\n".encode("utf-8", "surrogatepass")
    )
    (env("four") / "METADATA").write_bytes(b"")
    env("five", requires=["one (>= ", "two", "🦆 == 1"])
    written, summary = bill(project, env)
    assert {(c["name"], c["version"]) for c in written["components"]} >= {
        ("one", "1.0"),
        ("two", "1.0"),
        ("four", "1.0"),
    }
    assert edges(written)["pkg:pypi/five@1.0"] == ["pkg:pypi/two@1.0"]
    assert sum("damaged requirement" in w for w in summary["warnings"]) == 2
    assert sum("METADATA" in w for w in summary["warnings"]) == 3


@pytest.mark.parametrize(
    "direct",
    ["{", "[]", '{"url": 3}', '{"url": "x", "archive_info": {"hashes": {"sha256": "zz"}}}', '{"url": "\\ud800"}'],
)
def test_a_damaged_direct_url_is_passed_over(env, project, direct):
    env("one", extra={"direct_url.json": direct})
    written, _ = bill(project, env)
    assert "hashes" not in by_name(written)["one"]


def test_a_package_installed_twice_is_listed_twice_and_said(env, project):
    env("one", "1.0")
    env("One", "1.0", folder="One-1.0.dist-info")
    env("one", "2.0")
    env("needs", requires=["one"])
    env("left", folder="~eft-1.0.dist-info")
    written, summary = bill(project, env)
    refs = sorted(c["bom-ref"] for c in written["components"])
    assert refs == ["pkg:pypi/needs@1.0", "pkg:pypi/one@1.0", "pkg:pypi/one@1.0#2", "pkg:pypi/one@2.0"]
    assert any("installed 3 times" in w for w in summary["warnings"])
    assert any("interrupted pip" in w for w in summary["warnings"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_in_the_place_of_files_are_not_waited_for(env, project):
    info = env("one", record=False)
    (info / "METADATA").unlink()
    for name in ("METADATA", "RECORD", "direct_url.json", "LICENSE"):
        os.mkfifo(info / name)
    _, summary = bill(project, env)
    assert summary["unhashed"][0]["reason"] == "it has no RECORD"


def test_a_record_too_large_to_read_has_no_digest_of_a_part(env, project, monkeypatch):
    monkeypatch.setattr("ophamin.auditing.sbom.environment.MOST_RECORD", 20)
    env("one")
    written, _ = bill(project, env)
    assert props(by_name(written)["one"]) == {"ophamin:unhashed": "its RECORD is too large"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of any bytes are a matter of the platform")
def test_names_that_are_no_utf8(env, project):
    folder = Path(os.fsdecode(os.fsencode(env.site) + b"/b\xffd-1.dist-info"))
    folder.mkdir()
    (folder / "RECORD").write_bytes(b"b\xff.py,sha256=" + b64(b"").encode() + b",0\n")
    written, _ = bill(project, env)
    (one,) = written["components"]
    assert one["name"] == "b\\udcffd"
    assert one["components"][0]["name"] == "b\\xff.py"


def test_foreign_code_is_never_run(env, project, tmp_path):
    mark = tmp_path / "ran"
    env("evil", files={"evil/__init__.py": f"open({str(mark)!r}, 'w')".encode()})
    (env.site / "evil.pth").write_text(f"import os; open({str(mark)!r}, 'w')\n")
    (env.site / "sitecustomize.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (env.prefix / "bin").mkdir()
    (env.prefix / "bin" / "python").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (env.prefix / "bin" / "python").chmod(0o755)
    make_sbom(project, environment=env.prefix / "bin" / "python")
    assert not mark.exists()


def test_a_real_virtual_environment_and_what_is_none(project, tmp_path, tree):
    venv.create(tmp_path / "real", with_pip=False, symlinks=os.name != "nt")
    made = make_sbom(project, environment=tmp_path / "real")
    assert made.summary()["components"] == 0
    assert VALIDATOR.validate_str(made.content.decode()) is None
    for wrong in (tmp_path / "absent", tree({}, "empty")):
        with pytest.raises(UsageError, match="give the folder of a virtual environment"):
            make_sbom(project, environment=wrong)


def test_wheels_are_chosen_for_the_environment(env):
    other = Platform.at(env.prefix)
    assert other.markers["python_full_version"] == "3.12.4"
    assert other.accepts("a-1-cp312-abi3-any.whl") is False
    assert other.accepts("a-1-py3-none-any.whl")
    assert other.accepts("nonsense.whl")


def test_the_environment_these_tests_run_in(project):
    made = make_sbom(project)
    written, summary = json.loads(made.content), made.summary()
    assert summary["components"] > 20
    assert summary["hashed"] + sum(u["reason"] == "editable" for u in summary["unhashed"]) == summary["components"]
    assert all(c["purl"].startswith("pkg:pypi/") and c["licenses"] for c in written["components"])
    assert all(c["components"] for c in written["components"] if "ophamin:unhashed" not in props(c))
    refs = {c["bom-ref"] for c in written["components"]}
    assert "pkg:pypi/pytest" in {ref.partition("@")[0] for ref in refs}
    reached, waiting, graph = set(), ["tree"], edges(written)
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += graph[ref]
    assert reached - {"tree"} == refs
    for component in written["components"]:
        component["components"] = component.get("components", [])[
            :1
        ]  # the rest are of one kind; all take half a minute
    assert VALIDATOR.validate_str(json.dumps(written)) is None
