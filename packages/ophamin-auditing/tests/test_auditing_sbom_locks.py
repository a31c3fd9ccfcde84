"""Bills of locks and of hashed requirements."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

from ophamin.auditing.sbom.make import make_sbom
from ophamin.auditing.sbom.platform import Platform
from ophamin.auditing.sbom.record import parse
from ophamin.auditing.sbom.requirements import lines_of, read_requirements
from ophamin.proof.errors import UsageError

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
ONE, TWO, THREE = ("sha256:" + c * 64 for c in "123")
HEAD = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n'
ME = '\n[[package]]\nname = "me"\nversion = "0.1"\nsource = { editable = "." }\n'


def package(name, version="1.0", *, deps="", more="", source='registry = "https://pypi.org/simple"', digest=ONE):
    sdist = f'sdist = {{ url = "https://f.example/{name}-{version}.tar.gz", hash = "{digest}", size = 1 }}\n'
    deps = f"dependencies = [{deps}]\n" if deps else ""
    return (
        f'\n[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ {source} }}\n'
        f"{deps}{sdist if digest else ''}{more}"
    )


@pytest.fixture
def bill(tree):
    def make(lock, **options):
        root = tree({"uv.lock": lock, "pyproject.toml": '[project]\nname = "me"\nversion = "0.1"\n'})
        made = make_sbom(root, lock=root / "uv.lock", **options)
        assert VALIDATOR.validate_str(made.content.decode()) is None
        assert make_sbom(root, lock=root / "uv.lock", **options).content == made.content
        return json.loads(made.content), made.summary()

    return make


def edges(written):
    return {d["ref"]: d.get("dependsOn", []) for d in written["dependencies"]}


def by_name(written):
    return {c["name"]: c for c in written["components"]}


def test_every_archive_has_its_hash_and_its_address(bill):
    wheels = f'wheels = [{{ url = "https://f.example/a-1.0-py3-none-any.whl", hash = "{TWO}" }}, {{ url = "https://f.example/a-1.0-cp27-cp27m-win32.whl", hash = "{THREE}" }}]\n'
    written, summary = bill(HEAD + ME + 'dependencies = [{ name = "a" }]\n' + package("a", more=wheels))
    (a,) = written["components"]
    assert [h["content"] for h in a["hashes"]] == ["1" * 64, "2" * 64]  # no interpreter of today takes the third
    assert {r["url"]: r["hashes"][0]["content"] for r in a["externalReferences"]} == {
        "https://f.example/a-1.0.tar.gz": "1" * 64,
        "https://f.example/a-1.0-py3-none-any.whl": "2" * 64,
    }
    assert edges(written) == {"tree": ["pkg:pypi/a@1.0"], "pkg:pypi/a@1.0": []}
    assert (summary["components"], summary["hashed"], summary["unhashed"]) == (1, 1, [])
    properties = {p["name"]: p["value"] for p in written["metadata"]["properties"]}
    assert len(properties["ophamin:source:uv.lock:sha256"]) == 64


def test_scopes_markers_extras_groups_forks_and_rings(bill):
    me = ME + (
        'dependencies = [{ name = "lib", extra = ["fast"] }, { name = "win", marker = "sys_platform == \'nowhere\'" }, '
        '{ name = "fork", version = "1.0", source = { registry = "https://pypi.org/simple" }, marker = "python_version < \'3\'" }, '
        '{ name = "fork", version = "2.0", source = { registry = "https://pypi.org/simple" }, marker = "python_version >= \'3\'" }]\n'
        '[package.optional-dependencies]\nplot = [{ name = "plot" }]\n'
        '[package.dev-dependencies]\ntest = [{ name = "pytest" }, { name = "lib", extra = ["doc"] }]\n'
    )
    lock = (
        HEAD
        + me
        + package(
            "lib",
            deps='{ name = "ring" }',
            more='[package.optional-dependencies]\nfast = [{ name = "speed" }]\ndoc = [{ name = "sphinx" }]\n',
        )
    )
    lock += package("ring", deps='{ name = "lib" }') + package("fork", "1.0") + package("fork", "2.0")
    lock += (
        package("win")
        + package("speed")
        + package("plot", deps='{ name = "speed" }')
        + package("pytest")
        + package("sphinx")
    )
    written, summary = bill(lock)
    scopes = {f"{c['name']} {c['version']}": c["scope"] for c in written["components"]}
    assert scopes == {
        "lib 1.0": "required", "ring 1.0": "required", "speed 1.0": "required", "fork 2.0": "required",
        "plot 1.0": "optional", "pytest 1.0": "excluded", "sphinx 1.0": "excluded",
    }  # fmt: skip
    found = edges(written)
    assert found["pkg:pypi/lib@1.0"] == [f"pkg:pypi/{name}@1.0" for name in ("ring", "speed", "sphinx")]
    assert found["pkg:pypi/ring@1.0"] == ["pkg:pypi/lib@1.0"]
    assert summary["hashed"] == 7
    assert {p["name"]: p["value"] for p in written["metadata"]["properties"]}["ophamin:lock:other-platforms"] == "2"


def test_what_a_lock_has_no_archive_of_is_stated(bill):
    git = 'git = "https://token:x@example.org/r?rev=main#c0ffee"'
    lock = HEAD + ME + 'dependencies = [{ name = "g" }, { name = "m" }, { name = "bare" }, { name = "lost" }]\n'
    lock += package("g", source=git, digest="") + package("m", source='editable = "packages/m"', digest="")
    lock += package("bare", digest="")
    written, summary = bill(lock)
    assert {u["name"]: u["reason"] for u in summary["unhashed"]} == {
        "g": "a git checkout", "m": "editable", "bare": "the lock has none",
    }  # fmt: skip
    assert "vcs_url=git%2Bhttps" in by_name(written)["g"]["purl"]
    assert "token" not in json.dumps(written)
    assert all("hashes" not in c for c in written["components"])
    assert any("needs lost" in w for w in summary["warnings"])


def test_licences_come_from_the_installed_package_of_the_same_version_only(bill):
    from importlib.metadata import version

    lock = HEAD + ME + 'dependencies = [{ name = "packaging" }, { name = "click" }]\n'
    lock += package("packaging", version("packaging")) + package("click", "0.0.1")
    written, summary = bill(lock)
    assert "Apache" in json.dumps(by_name(written)["packaging"]["licenses"])
    assert by_name(written)["click"]["licenses"] == [{"license": {"name": "NOASSERTION"}}]
    assert summary["licence_unknown"] == ["click 0.0.1"]


@pytest.mark.parametrize(
    "lock",
    [
        "version = 2\n", "", "[[package]]\n", HEAD + "[[package]]\nversion = '1'\n", "\x00", "a = [",
        HEAD + 'package = "x"\n', HEAD + '[[package]]\nname = "a"\n', HEAD + '[[package]]\nname = "a"\nsource = 3\n',
        HEAD + package("a", deps='{ nom = "b" }'), HEAD + package("a", deps='"b"'),
        HEAD + package("a", deps='{ name = "a", marker = "=" }'), HEAD + package("a", more="wheels = [3]\n"),
    ],
)  # fmt: skip
def test_a_lock_that_is_none_is_one_sentence(bill, lock):
    with pytest.raises(UsageError) as raised:
        bill(lock)
    assert "\n" not in str(raised.value)
    assert "uv.lock" in str(raised.value)


REQUIREMENTS = f"""\
# made by hand
--index-url https://index.example/simple
app==1.0 \\
    --hash={ONE} \\
    --hash={TWO}
    # via -r requirements.in
Lib.One[fast]==2.0 ; python_version >= "3" --hash={ONE}
    # via
    #   app
    #   other
other==3.0+cpu --hash={THREE}  # via app
never==1 ; sys_platform == "nowhere" --hash={ONE}
"""


@pytest.fixture
def requirements(tree):
    def make(content, **options):
        root = tree({"requirements.txt": content}, "reqs")
        made = make_sbom(root, requirements=[root / "requirements.txt"], **options)
        assert VALIDATOR.validate_str(made.content.decode()) is None
        return json.loads(made.content), made.summary()

    return make


def test_hashed_requirements_give_archive_hashes_and_edges_from_their_comments(requirements):
    written, summary = requirements(REQUIREMENTS)
    found = by_name(written)
    assert set(found) == {"app", "Lib.One", "other"}
    assert [h["content"] for h in found["app"]["hashes"]] == ["1" * 64, "2" * 64]
    assert found["other"]["purl"] == "pkg:pypi/other@3.0%2Bcpu"
    graph = edges(written)
    assert graph["tree"] == ["pkg:pypi/app@1.0"]
    assert graph["pkg:pypi/app@1.0"] == ["pkg:pypi/lib-one@2.0", "pkg:pypi/other@3.0%2Bcpu"]
    assert (summary["hashed"], summary["graph_known"]) == (3, True)
    assert "compositions" not in written


def test_without_comments_the_graph_is_said_to_be_unknown(requirements):
    written, summary = requirements(f"a==1 --hash={ONE}\nb==1 --hash={TWO}\n")
    assert written["compositions"] == [{"aggregate": "unknown", "dependencies": ["tree"]}]
    assert summary["graph_known"] is False


def test_a_requirement_without_a_hash_is_refused_by_its_line_or_listed(requirements):
    content = f"a==1 --hash={ONE}\n\nb==2\nc==3\n-e ./local\n"
    with pytest.raises(UsageError, match=r"requirements.txt:3 and 2 more has no --hash"):
        requirements(content)
    written, summary = requirements(content, allow_unhashed=True)
    assert [u["name"] for u in summary["unhashed"]] == ["b", "c", "local"]
    assert summary["hashed"] == 1
    assert "hashes" not in by_name(written)["b"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a>=1 --hash=" + ONE, "does not pin"), ("a==1.* --hash=" + ONE, "does not pin"),
        ("a==1 --hash=sha256:abc", "a hash that is none"), ("a==1 --hash=crc:" + "1" * 64, "a hash that is none"),
        ("a b c --hash=" + ONE, "is no requirement"), (b"a==1 # \xff", "is not UTF-8"),
        ("-r requirements.txt\n", "includes itself"), ("-r absent.txt\n", "No such file"),
        (f"a==1 --hash={ONE}\na==1 --hash={TWO}\n", "states other hashes"),
    ],
)  # fmt: skip
def test_requirements_that_make_no_sense_are_one_sentence(requirements, content, said):
    with pytest.raises(UsageError, match=said) as raised:
        requirements(content)
    assert "\n" not in str(raised.value)


def test_what_uv_exports_is_read(tree, tmp_path):
    root = tree(
        {
            "base.txt": f"\ufeffb==1 --hash={TWO}\n",
            "requirements.txt": f"-r base.txt\n-c absent.txt\na==1 --hash {ONE}\n",
        },
        "inc",
    )
    found = list(lines_of(root / "requirements.txt"))
    assert [(line.words, line.place, line.hashes) for line in found] == [
        ("b==1", "base.txt:1", (TWO,)),
        ("a==1", "requirements.txt:3", (ONE,)),
    ]


@given(st.text(max_size=200))
def test_no_text_breaks_the_readers(content):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text(content, "utf-8")
        with contextlib.suppress(UsageError):  # nothing else may come of it
            read_requirements([file], Platform.running(), allow_unhashed=True)


@given(st.binary(max_size=300))
def test_no_bytes_break_a_record(data):
    found = parse(data, 3)
    assert all(len(digits) in (32, 40, 64, 96, 128) for _, _, digits in found.files)
    assert list(found.files) == sorted(found.files)


ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(not (ROOT / "uv.lock").exists(), reason="the workspace's lock is not part of the source archive")
def test_this_workspaces_own_lock_is_hashed_but_for_its_members():
    summary = make_sbom(ROOT, lock=ROOT / "uv.lock").summary()
    assert summary["components"] > 100
    assert {u["reason"] for u in summary["unhashed"]} == {"editable"}
    assert all(u["name"].startswith("ophamin") for u in summary["unhashed"])
    assert summary["warnings"] == []


def test_nothing_heavy_is_imported_before_a_bill_is_made():
    code = "import sys, ophamin.auditing._command, ophamin.auditing.sbom; sys.exit('cyclonedx' in sys.modules or 'packaging' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
