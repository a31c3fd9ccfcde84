"""What an unchanged tree costs, and what must never count as unchanged."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from ophamin.auditing.audit import audit
from ophamin.auditing.cache import KEPT, Cache
from ophamin.auditing.record import AUDIT
from ophamin.auditing.target import Target
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import read, verify

TOOLS = ["ruff", "bandit", "mypy", "vulture", "radon", "interrogate"]


def hits(done):
    return {p["pillar_name"] for p in done.record["pillars"] if "cache" in p}


def entries():
    return sorted(Path(os.environ["OPHAMIN_HOME"], "cache", "audit").glob("*/*.json.gz"))


def findings(done):
    return [p["findings"] for p in done.record["pillars"]]


def test_an_unchanged_tree_is_not_examined_again_and_the_record_says_so(messy, settings):
    first = audit(messy, settings, tools=TOOLS)
    assert hits(first) == set()
    second = audit(messy, settings, tools=TOOLS)
    assert hits(second) == set(TOOLS)
    assert findings(second) == findings(first)
    assert all(p["cache"]["ran_at"] for p in second.record["pillars"])
    assert verify(read(second.path, [AUDIT]), Keyring()).ok
    assert hits(audit(messy, settings, tools=TOOLS, cached=False)) == set()
    assert not list(messy.rglob("*cache*"))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "app" / "sums.py").write_text("x = 1\n"),
        lambda root: (root / "new.py").write_text(""),
        lambda root: (root / "app" / "sums.py").rename(root / "app" / "other.py"),
        lambda root: (root / "ruff.toml").write_text('[lint]\nselect = ["F"]\n'),
    ],
)
def test_a_change_of_sources_or_settings_is_seen(change, messy, settings):
    audit(messy, settings, tools=["ruff"])
    change(messy)
    assert hits(audit(messy, settings, tools=["ruff"])) == set()


def test_the_same_size_and_time_do_not_hide_another_content(messy, settings):
    file = messy / "app" / "sums.py"
    audit(messy, settings, tools=["ruff"])
    known = file.stat()
    file.write_text(file.read_text().replace("c", "b"))
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))
    done = audit(messy, settings, tools=["ruff"])
    assert hits(done) == set()
    assert "F821" not in {f["rule_id"] for f in done.record["pillars"][0]["findings"]}


def test_isolated_another_place_and_another_tool_are_other_results(messy, settings, tree):
    audit(messy, settings, tools=["ruff"])
    assert hits(audit(messy, settings, tools=["ruff"], isolated=True)) == set()
    assert hits(audit(messy / "app", settings, tools=["ruff"])) == set()
    assert hits(audit(messy, settings, tools=["ruff", "vulture"])) == {"ruff"}


def test_what_the_target_imports_from_its_repository_counts_for_mypy(tree, settings):
    root = tree({".git/HEAD": "", "lib/helper.py": "def f() -> int:\n    return 1\n"})
    (root / "app").mkdir()
    (root / "app" / "a.py").write_text("from lib.helper import f\n\nx: str = f()\n")
    (root / "lib" / "__init__.py").write_text("")
    first = audit(root / "app", settings, tools=["mypy", "ruff"])
    assert first.record["summary"]["findings_per_pillar"]["mypy"] == 1
    (root / "lib" / "helper.py").write_text("def f() -> str:\n    return ''\n")
    second = audit(root / "app", settings, tools=["mypy", "ruff"])
    assert hits(second) == {"ruff"}
    assert second.record["summary"]["findings_per_pillar"]["mypy"] == 0


def test_another_version_of_a_tool_or_another_program_runs(clean, settings, only_fakes):
    only_fakes("ruff", "print('[]')")
    audit(clean, settings, tools=["ruff"])
    assert hits(audit(clean, settings, tools=["ruff"])) == {"ruff"}
    program = only_fakes("ruff", "print('[]')  # changed")
    assert hits(audit(clean, settings, tools=["ruff"])) == set()
    program.write_text(program.read_text().replace("9.9", "9.8"))
    assert hits(audit(clean, settings, tools=["ruff"])) == set()


@pytest.mark.parametrize("script", ["sys.exit(3)", "import time; time.sleep(60)", "import os; os.kill(os.getpid(), 9)"])
def test_what_did_not_finish_is_never_kept(script, clean, settings, only_fakes):
    only_fakes("ruff", script)
    for _ in range(2):
        done = audit(clean, settings, tools=["ruff"], timeout_s=0.5)
        assert done.record["pillars"][0]["status"] in ("error", "timeout")
    assert entries() == []


def test_a_result_of_a_tree_that_changed_meanwhile_is_not_kept(clean, settings, only_fakes):
    only_fakes("ruff", f"open({str(clean / 'late.py')!r}, 'w').write('x = 1')\nprint('[]')")
    audit(clean, settings, tools=["ruff"])
    assert entries() == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-9],
        lambda data: b"no gzip",
        lambda data: gzip.compress(b"[1]"),
        lambda data: gzip.compress(json.dumps({"key": "0" * 64, "entry": {"status": "ok"}}).encode()),
        lambda data: gzip.compress(b"[" * 100_000),
    ],
)
def test_a_damaged_entry_is_no_entry(damage, messy, settings):
    first = audit(messy, settings, tools=["ruff"])
    (entry,) = entries()
    entry.write_bytes(damage(entry.read_bytes()))
    second = audit(messy, settings, tools=["ruff"])
    assert hits(second) == set()
    assert findings(second) == findings(first)
    assert hits(audit(messy, settings, tools=["ruff"])) == {"ruff"}


def test_an_entry_with_findings_that_fit_no_record_is_that_tools_error(messy, settings):
    audit(messy, settings, tools=["ruff"])
    (entry,) = entries()
    kept = json.loads(gzip.decompress(entry.read_bytes()))
    kept["entry"]["findings"][0]["severity"] = "harmless"
    entry.write_bytes(gzip.compress(json.dumps(kept).encode()))
    (pillar,) = audit(messy, settings, tools=["ruff"]).record["pillars"]
    assert pillar["status"] == "error"


def test_old_entries_make_room(tmp_path, clean):
    cache = Cache(Target.at(clean), "sha256:0", tmp_path / "cache")
    for i in range(KEPT + 5):
        file = cache._file(f"{i:064x}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        os.utime(file, (i, i))
    cache.keep()
    kept = sorted((tmp_path / "cache").glob("*/*.json.gz"))
    assert len(kept) == KEPT
    assert cache._file(f"{4:064x}") not in kept


def test_a_folder_that_cannot_be_written_costs_time_only(messy, settings):
    home = Path(os.environ["OPHAMIN_HOME"])
    (home / "cache").write_text("a file where the folder should be")
    assert audit(messy, settings, tools=["ruff"]).record["summary"]["total_findings"] == 2


def test_under_a_gate_the_first_pass_may_be_an_earlier_one_and_the_second_is_real(
    clean, settings, only_fakes, tmp_path
):
    count = tmp_path / "count"
    only_fakes("ruff", f"open({str(count)!r}, 'a').write('x')\nprint('[]')")
    cold = audit(clean, settings, tools=["ruff"], gates=["high == 0"])
    assert (count.read_text(), cold.outcome) == ("xx", "VALIDATED")
    assert "first_pass_cached" not in cold.record["verdict"]
    warm = audit(clean, settings, tools=["ruff"], gates=["high == 0"])
    assert (count.read_text(), warm.outcome) == ("xxx", "VALIDATED")
    assert warm.record["verdict"]["first_pass_cached"] == ["ruff"]
    assert hits(warm) == set()  # what stands in the record was made after the registration
    real = audit(clean, settings, tools=["ruff"], gates=["high == 0"], cached=False)
    assert (count.read_text(), "first_pass_cached" in real.record["verdict"]) == ("xxxxx", False)
    assert verify(read(warm.path, [AUDIT]), Keyring()).ok


def test_a_tool_that_now_says_something_else_than_the_cache_decides_nothing(clean, settings, only_fakes, tmp_path):
    answer = tmp_path / "answer"
    answer.write_text("[]")
    only_fakes("ruff", f"print(open({str(answer)!r}).read())")
    audit(clean, settings, tools=["ruff"])
    row = {"code": "F401", "message": "m", "filename": str(clean / "app/sums.py"), "location": {"row": 1, "column": 1}}
    answer.write_text(json.dumps([row]))
    done = audit(clean, settings, tools=["ruff"], gates=["high == 0"])
    assert done.outcome == "INCONCLUSIVE"
    assert "different findings" in done.record["verdict"]["reasoning"]
