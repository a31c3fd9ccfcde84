"""Censuses of trees written for one trap each, and of real packages."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import LimitError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import verify
from ophamin.protocols import Settings
from ophamin.registry import read_record
from ophamin.seeing.wiring import census as census_module
from ophamin.seeing.wiring._config import Pattern, load_config
from ophamin.seeing.wiring._imports import read_source
from ophamin.seeing.wiring._worklist import worklist
from ophamin.seeing.wiring.census import Census, take_census
from ophamin.seeing.wiring.report import report_wiring

Tree = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    def write(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "tree"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    return Settings(project=str(tmp_path / "project"), store=str(tmp_path / "proofs"))


def classes(census: Census) -> dict[str, str]:
    return {m["module"]: m["classification"] for m in census.modules}


def module(census: Census, name: str):
    [found] = [m for m in census.modules if m["module"] == name]
    return found


CODE = "def f():\n    return 1\n"


@pytest.mark.parametrize(
    "statement",
    [
        "import pkg.sub.used",
        "import pkg.sub.used as u",
        "from pkg.sub.__init__ import used",
        "from .sub.__init__ import used",
        "from .__init__ import sub\nfrom .sub import used",
        "from pkg.sub import used",
        "from pkg.sub.used import f",
        "from .sub import used",
        "from .sub.used import *",
        "from . import sub\nfrom .sub import (\n    used as other,\n)",
        "def late():\n    from .sub import used",
        "try:\n    from .sub import used\nexcept ImportError:\n    used = None",
        "import importlib\nimportlib.import_module('pkg.sub.used')",
        "from importlib import import_module\nimport_module('.sub.used', __package__)",
        "__import__('pkg.sub.used')",
        "import importlib\nimportlib.import_module(f'{__name__}.sub.used')",
        "import importlib\nimportlib.import_module(__name__ + '.sub' + '.used')",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    from .sub import used",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    from .sub import used",
        "async def g():\n    with x as y:\n        match z:\n            case 1:\n                import pkg.sub.used",
    ],
)
def test_every_way_to_import_wires(tree: Tree, statement: str) -> None:
    census = take_census(tree({"pkg/__init__.py": statement, "pkg/sub/__init__.py": "", "pkg/sub/used.py": CODE}))
    assert classes(census) == {"pkg": "wired", "pkg.sub": "wired", "pkg.sub.used": "wired"}
    assert not census.broken
    assert not census.dynamic


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("", ""),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .sub import used", "type checkers"),
        ("import typing\nif typing.TYPE_CHECKING:\n    import pkg.sub.used", "type checkers"),
        ("'''from .sub import used'''\n# import pkg.sub.used", ""),
        ("from .sub import f", ""),
        ("import importlib\nimportlib.import_module(f'{__name__}.sub.{name}')", "not known before it runs"),
        ("PLUGINS = ['pkg.sub.used']", "stands as text at pkg/__init__.py:1"),
        ("PLUGINS = ['pkg.sub.used:f']", "stands as text"),
    ],
)
def test_what_does_not_wire(tree: Tree, statement: str, hint: str) -> None:
    census = take_census(
        tree({"pkg/__init__.py": statement, "pkg/sub/__init__.py": "def f(): 1", "pkg/sub/used.py": CODE})
    )
    assert classes(census)["pkg.sub.used"] == "orphan"
    [item] = [i for i in worklist(census.modules, census.broken) if i["module"] == "pkg.sub.used"]
    assert hint in item["reason"]
    assert item["action"] == ("decide" if hint in ("", "type checkers") else "check")


def test_a_reexport_counts_only_when_its_package_is_used(tree: Tree) -> None:
    root = tree(
        {
            "pkg/__init__.py": "from .face import f",
            "pkg/face/__init__.py": "from .inner import f",
            "pkg/face/inner.py": CODE,
            "pkg/island/__init__.py": "from .inner import f",
            "pkg/island/inner.py": "from . import f\n" + CODE,
        }
    )
    census = take_census(root)
    assert classes(census) == {
        "pkg": "wired",
        "pkg.face": "wired",
        "pkg.face.inner": "wired",
        "pkg.island": "orphan",
        "pkg.island.inner": "orphan",
    }
    [item] = [i for i in worklist(census.modules, []) if i["module"] == "pkg.island.inner"]
    assert item["reason"] == "used only by what nobody uses: pkg/island/__init__.py"


def test_tests_wire_nothing_and_are_told_apart(tree: Tree) -> None:
    root = tree(
        {
            "src/pkg/__init__.py": "",
            "src/pkg/tested.py": CODE,
            "src/pkg/lost.py": CODE,
            "tests/conftest.py": "import helper",
            "tests/helper.py": CODE,
            "tests/test_it.py": "from pkg.tested import f",
        }
    )
    census = take_census(root)
    assert classes(census) == {
        "pkg": "wired",
        "pkg.tested": "orphan",
        "pkg.lost": "orphan",
        "tests.conftest": "test",
        "tests.helper": "test",
        "tests.test_it": "test",
    }
    assert module(census, "pkg.tested")["imported_by_tests"] == ["tests/test_it.py"]
    assert module(census, "tests.helper")["n_imported_by_tests"] == 1
    reasons = {i["module"]: i["reason"] for i in worklist(census.modules, [])}
    assert reasons == {"pkg.tested": "only tests use it: tests/test_it.py", "pkg.lost": "nobody uses it"}


ENTRY = {
    "pyproject script": ("pyproject.toml", "[project]\nname='x'\n[project.scripts]\nrun = 'pkg.cli:main'"),
    "pyproject group": ("pyproject.toml", "[project.entry-points.'some.group']\na = 'pkg.cli'"),
    "poetry": ("pyproject.toml", "[tool.poetry.scripts]\nrun = 'pkg.cli:main'"),
    "setup.cfg": ("setup.cfg", "[options.entry_points]\nconsole_scripts =\n    run = pkg.cli:main [extra]\n"),
    "metadata": ("pkg-1.dist-info/entry_points.txt", "[console_scripts]\nRun=pkg.cli:main\n"),
    "wiring.toml": ("wiring.toml", "entry = ['pkg.cli']"),
    "wiring.toml path": ("wiring.toml", "entry = ['pkg/cli.py']"),
    "script": ("tool.py", "#!/usr/bin/env python\nfrom pkg import cli"),
    "guarded script": ("tools/tool.py", "from pkg import cli\nif __name__ == '__main__':\n    cli.f()"),
    "python -m": ("pkg/__main__.py", "from pkg import cli"),
    "setup.py": ("setup.py", "import pkg.cli"),
}


@pytest.mark.parametrize("name", ENTRY)
def test_entry_points_wire_what_they_lead_to(tree: Tree, project: Settings, name: str) -> None:
    file, content = ENTRY[name]
    files = {"pkg/__init__.py": "", "pkg/cli.py": "from .deep import f", "pkg/deep.py": CODE, "pkg/lost.py": CODE}
    census = take_census(tree(files))
    assert classes(census)["pkg.cli"] == classes(census)["pkg.deep"] == "orphan"
    record = report_wiring(tree({file: content}), project).record
    found = {m["module"]: m["classification"] for m in record["modules"]}
    assert (found["pkg.cli"], found["pkg.deep"], found["pkg.lost"]) == ("wired", "wired", "orphan")


def test_a_library_whose_users_import_its_modules_is_told_how_to_say_so(tree: Tree, project: Settings) -> None:
    root = tree({"pkg/__init__.py": "", "pkg/api.py": "from . import a, b", "pkg/a.py": CODE, "pkg/b.py": CODE})
    assert "as entry in wiring.toml" in take_census(root).notes[0]
    record = report_wiring(tree({"wiring.toml": 'entry = ["pkg.api"]'}), project).record
    assert record["notes"] == []
    assert record["summary"]["n_orphan"] == 0


def test_namespace_packages_several_projects_and_src_layouts(tree: Tree) -> None:
    root = tree(
        {
            "packages/one/pyproject.toml": "[project.scripts]\nrun = 'fam.one.main:run'",
            "packages/one/src/fam/one/__init__.py": "",
            "packages/one/src/fam/one/main.py": "from fam.two import face",
            "packages/two/src/fam/two/__init__.py": "",
            "packages/two/src/fam/two/face.py": CODE,
            "packages/two/src/fam/two/lost.py": CODE,
            "flat/other/deep/__init__.py": "from other.deep import x",
            "flat/other/deep/x.py": CODE,
            "flat/pyproject.toml": "",
            "single.py": "x = 1",
            "pyproject.toml": "[project]\nname = 'single'",
        }
    )
    census = take_census(root)
    assert classes(census) == {
        "fam.one": "wired",
        "fam.one.main": "wired",
        "fam.two": "wired",
        "fam.two.face": "wired",
        "fam.two.lost": "orphan",
        "other.deep": "wired",
        "other.deep.x": "wired",
        "single": "wired",
    }
    inside = take_census(root / "packages" / "two" / "src" / "fam" / "two")
    assert classes(inside) == {"fam.two": "wired", "fam.two.face": "orphan", "fam.two.lost": "orphan"}


def test_two_modules_of_one_name_are_two(tree: Tree) -> None:
    root = tree(
        {
            "a/pyproject.toml": "",
            "a/src/pkg/__init__.py": "from . import only",
            "a/src/pkg/only.py": CODE,
            "b/pyproject.toml": "",
            "b/src/pkg/__init__.py": "",
            "b/src/pkg/only.py": CODE,
        }
    )
    found = {m["path"]: m["classification"] for m in take_census(root).modules}
    assert found["a/src/pkg/only.py"] == "wired"
    assert found["b/src/pkg/only.py"] == "orphan"


CONFIG = """
archived = ["pkg/old/**"]
candidates = ["pkg.soon", "pkg/never.py"]
[strata.core]
match = ["pkg/*.py"]
expected = 4
description = "the core"
[strata.rest]
match = ["**"]
expected = 1
"""


def test_strata_archives_candidates_and_stubs(tree: Tree, project: Settings) -> None:
    root = tree(
        {
            "wiring.toml": CONFIG,
            "pkg/__init__.py": "from . import half, live\nfrom .old import used",
            "pkg/live.py": CODE,
            "pkg/half.py": "class A:\n    def f(self):\n        '''Later.'''\n    def g(self):\n        raise NotImplementedError('g')",
            "pkg/soon.py": CODE,
            "pkg/marked.py": "# wiring: candidate\n" + CODE,
            "pkg/empty.py": "def f(): ...\ndef g(): pass",
            "pkg/abstract.py": "from typing import Protocol\nclass P(Protocol):\n    def f(self): ...\n",
            "pkg/old/__init__.py": "",
            "pkg/old/used.py": CODE,
            "pkg/old/gone.py": CODE,
        }
    )
    kept = report_wiring(root, project)
    record = kept.record
    assert {m["module"]: m["classification"] for m in record["modules"]} == {
        "pkg": "wired",
        "pkg.live": "wired",
        "pkg.half": "wired",
        "pkg.soon": "wire_candidate",
        "pkg.marked": "wire_candidate",
        "pkg.empty": "stub",
        "pkg.abstract": "orphan",
        "pkg.old": "archived",
        "pkg.old.used": "archived",
        "pkg.old.gone": "archived",
    }
    assert [(i["action"], i["module"]) for i in record["worklist"]] == [
        ("settle", "pkg.old.used"),
        ("settle", "pkg.old"),
        ("wire", "pkg.marked"),
        ("wire", "pkg.soon"),
        ("finish", "pkg.half"),
        ("decide", "pkg.abstract"),
        ("decide", "pkg.empty"),
    ]
    rows = {s["stratum"]: s for s in record["strata"]}
    assert (rows["core"]["n_wired"], rows["core"]["as_expected"]) == (3, False)
    assert (rows["rest"]["n_archived"], rows["rest"]["as_expected"]) == (3, False)
    assert record["notes"] == ["candidates: nothing in the tree fits 'pkg/never.py'"]
    assert verify(read_record(kept.path), Keyring()).ok


@pytest.mark.parametrize(
    "content",
    [
        "archived = 'old'",
        "archive = ['old']",
        "strata = 3",
        "[strata.a]\nexpected = 1",
        "[strata.a]\nmatch = ['x']\nexpected = -1",
        "[strata.a]\nmatch = ['x']\nexpected = true",
        "[strata.a]\nmatch = ['x']\nexcpected = 1",
        "roots = ['nowhere']",
        "not toml",
        b"\xff\xfe",
    ],
)
def test_a_configuration_that_makes_no_sense_is_one_sentence(
    tree: Tree, project: Settings, content: str | bytes
) -> None:
    with pytest.raises(UsageError) as caught:
        report_wiring(tree({"wiring.toml": content, "a.py": ""}), project)
    assert "\n" not in str(caught.value)


def test_patterns() -> None:
    assert Pattern("a/**/b.py").fits("a/b.py", "")
    assert Pattern("a/**/b.py").fits("a/x/y/b.py", "")
    assert not Pattern("a/*.py").fits("a/b/c.py", "")
    assert Pattern("pkg.*").fits("", "pkg.a.b")
    assert not Pattern("pkg.*").fits("", "pkg")
    assert not Pattern("pkg.plug").fits("", "pkg.plugs")


# --- bad input


def test_broken_files_are_named_and_the_rest_is_counted(tree: Tree) -> None:
    root = tree(
        {
            "pkg/__init__.py": "from . import fine, latin, nothing\nfrom .... import far\nimport pkg.absent.deeper",
            "pkg/fine.py": CODE,
            "pkg/syntax.py": "def f(:\n",
            "pkg/nul.py": b"x = 1\0",
            "pkg/binary.py": os.urandom(200) + b"\xff",
            "pkg/latin.py": "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1"),
            "pkg/wrong.py": "name = 'é'\n".encode("latin-1"),
            "pkg/cookie.py": "# -*- coding: klingon -*-\n",
            "pkg/bom.py": b"\xef\xbb\xbfx = 1\n",
            "pkg/deep.py": "x = " + "(" * 5000 + ")" * 5000,
            "pkg/sum.py": "x = " + "+".join(["1"] * 50_000),
            "pkg/empty.py": b"",
            "pkg/escapes.py": "x = '\\d'\nassert (1, 'always')\n",
        }
    )
    census = take_census(root)
    found = {m["module"].removeprefix("pkg."): m["problem"] for m in census.modules if m["problem"]}
    assert {"syntax", "nul", "binary", "wrong", "cookie"} <= set(found)
    assert not {"pkg", "fine", "latin", "bom", "empty", "escapes"} & set(found)
    assert "line 1" in found["syntax"]
    assert all("\n" not in problem for problem in found.values())
    assert [(b["line"], b["missing"]) for b in census.broken] == [
        (2, ".... leads out of its package"),
        (3, "pkg.absent.deeper"),
    ]
    actions = [i["action"] for i in worklist(census.modules, census.broken)]
    assert actions == sorted(actions, key=["repair", "settle", "wire", "finish", "decide", "check", "tidy"].index)


def test_links_loops_unreadable_files_and_odd_names(tree: Tree, tmp_path: Path) -> None:
    root = tree({"pkg/__init__.py": "", "pkg/a.py": CODE, "pkg/closed/x.py": CODE, ".venv/lib/z.py": CODE})
    (root / "pkg" / "loop").symlink_to(root, target_is_directory=True)
    (root / "pkg" / "link.py").symlink_to(root / "pkg" / "a.py")
    (root / "pkg" / "nowhere.py").symlink_to("/no/such/file")
    os.mkfifo(root / "pkg" / "pipe.py")
    (root / "pkg" / "new\nline.py").write_text(CODE)
    with open(os.fsencode(root) + b"/pkg/\xff.py", "wb") as file:
        file.write(CODE.encode())
    census = take_census(root)
    reasons = {s["path"]: s["reason"] for s in census.skipped}
    assert set(reasons) == {"pkg/loop", "pkg/link.py", "pkg/nowhere.py", "pkg/pipe.py"}
    assert {"pkg", "pkg.a", "pkg.new\nline", "pkg.\\udcff"} <= set(classes(census))
    settings = Settings(project=str(tmp_path / "p"), store=str(tmp_path / "s"))
    assert verify(read_record(report_wiring(root, settings).path), Keyring()).ok


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own() -> None:
    memory = Path("/proc/self/mem")  # refuses to be read from its beginning, even to root
    if not memory.exists():
        pytest.skip("no /proc here")
    assert read_source(memory, "mem").problem.startswith("cannot be read: ")


def test_a_generated_module_of_ten_megabytes_is_scanned(tree: Tree) -> None:
    rows = "".join(f"from pkg.part{i % 500} import value_{i}\n" for i in range(20_000))
    parts = {f"pkg/part{i}.py": "x = 1" for i in range(500)}
    root = tree(
        {"pkg/__init__.py": "from . import big", "pkg/big.py": rows + "x = '''\n" + "y" * 9_500_000 + "'''\n", **parts}
    )
    assert (root / "pkg" / "big.py").stat().st_size > 10_000_000
    started = time.perf_counter()
    census = take_census(root)
    assert time.perf_counter() - started < 30
    assert module(census, "pkg.big")["scanned"]
    assert set(classes(census).values()) == {"wired"}
    last = read_source(root / "pkg" / "big.py", "pkg.big").imports[-1]
    assert last.line == 20_000


def test_nothing_to_look_at_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(UsageError, match="source tree"):
            take_census(path)
    (tmp_path / "a.py").write_text("")
    (tmp_path / "b.py").write_text("")
    with pytest.raises(UsageError, match="folder"):
        take_census(tmp_path / "a.py")
    monkeypatch.setattr(census_module, "MAX_MODULES", 1)
    with pytest.raises(LimitError, match="smaller"):
        take_census(tmp_path)


@settings(max_examples=100)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="import from.*(),\\\n '\"#=:abx_if TYPECHKNG", max_size=300).map(str.encode),
    )
)
def test_no_content_raises(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.py"
    path.write_bytes(content)
    source = read_source(path, "any")
    assert source.problem == source.problem.encode("utf-8").decode("utf-8")


# --- the real thing


def installed(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def test_click_and_httpx_as_they_are_installed() -> None:
    census = take_census(installed("click"))
    # What click itself never imports is the module made for its users' tests.
    assert [m["module"] for m in census.modules if m["classification"] == "orphan"] == ["click.testing"]
    assert not census.broken
    assert not census.dynamic
    assert set(classes(take_census(installed("httpx"))).values()) == {"wired"}


def test_the_graph_agrees_with_what_python_loads() -> None:
    """Every module that importing the face of a package loads is wired: the interpreter is the reference."""
    import subprocess

    for name in ("httpx", "h5py", "skops"):
        code = f"import sys, {name}; print('\\n'.join(m for m in sys.modules if m.split('.')[0] == {name!r}))"
        loaded = set(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        )
        found = classes(take_census(installed(name)))
        missed = {m for m in loaded if found.get(m, "wired") not in ("wired", "test")}
        assert not missed, f"{name}: Python loads {missed}, which the census does not see used"


def test_this_checkout() -> None:
    root = Path(__file__).parents[3]
    if not (root / "packages").is_dir():
        pytest.skip("the tests lie outside the checkout")
    census = take_census(root)
    found = classes(census)
    assert found["ophamin.seeing.wiring.census"] == "wired"
    assert found["ophamin.cli._tree"] == "wired"
    assert not census.broken
    assert load_config(root / "wiring.toml") if (root / "wiring.toml").exists() else True
