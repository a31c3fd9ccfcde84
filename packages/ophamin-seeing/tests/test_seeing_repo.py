from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_substrate
from ophamin.seeing._home import cache_folder
from ophamin.testing import check_substrate

CODE = """
import os, random, sys, time, json, dataclasses
VERSION = "one"
def shout(text): return text.upper()
def version(text): return {"version": VERSION, "python": list(sys.version_info[:2]), "file": __file__, "cwd": os.getcwd()}
def draw(text): return random.random()
def pid(text): return os.getpid()
def fail(text): raise ValueError("no " + text)
def leave(text): sys.exit(3)
def die(text):
    if text == "bad":
        sys.stderr.write("last words\\n"); sys.stderr.flush(); os._exit(7)
    return text
def hang(text):
    if text == "bad": time.sleep(60)
    return text
def chatty(text):
    print("noise"); os.system("echo more noise"); sys.stdout.flush()
    return text
def garbage(text):
    os.write(1, b"not json at all\\n" * 10000)
    return text
def reads(text): return sys.stdin.read()
def nan(text): return {"x": float("nan"), "y": 1.5}
def cyclic(text):
    a = []; a.append(a); return a
def huge(text): return "x" * 11_000_000
def strange(text): return object()
def keyword(text, *, depth=1): return [text, depth]
def two(a, b): return [a, b]
def pair(payload): return (payload, len(payload))
def whole(record): return record
async def waits(text): return text + "!"
def litter(text):
    with open("litter.txt", "a") as f: f.write("x")
    return os.path.getsize("litter.txt")
@dataclasses.dataclass
class Point:
    x: int
    y: float
def data(text): return Point(1, 2.5)
def vandal(text):
    with open(__file__, "a") as f: f.write("# changed\\n")
    return 1
class Counter:
    def __init__(self, start=0): self.n = start; self.first = random.random()
    def __call__(self, text): self.n += 1; return self.n
    def step(self, text): self.n += 10; return self.n
    def born(self, text): return self.first
    @staticmethod
    def plain(text): return "static " + text
class Needy:
    def __init__(self, model): self.model = model
    def __call__(self, text): return self.model
class Seeded:
    def __init__(self, graph_seed, size=3): self.graph_seed = graph_seed; self.size = size
    def walk(self, max_steps=5): return {"seed": self.graph_seed, "steps": max_steps, "size": self.size}
class Silent: pass
NUMBER = 3
"""


@pytest.fixture
def repo(checkout):
    checkout.write(src__pkg__mod=CODE, src__pkg____init__="")
    checkout.commit("one")
    checkout.git("tag", "v1")
    return checkout


@pytest.fixture
def make(repo, monkeypatch, tmp_path):
    """Make substrates of the repository, each closed at the end, in a home of their own."""
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    made = []

    def construct(target: str, **params: object):
        query = "&".join(f"{k}={quote_plus(str(v))}" for k, v in params.items())
        substrate = make_substrate(f"repo:{repo.path}?target=pkg.mod:{target}{'&' + query if query else ''}")
        made.append(substrate)
        return substrate

    yield construct
    for substrate in made:
        substrate.close()
        assert substrate.processes() == []


def run(substrate, *texts: str, timeout_s: float = 30.0, seed: int = 1):
    records = [Record(f"r{i}", text, meta={"lang": "en"}) for i, text in enumerate(texts)]
    return list(substrate.run_batch(records, seed=seed, timeout_s=timeout_s))


def outputs(substrate, *texts: str, **given):
    return [r.output["output"] if r.status == "ok" else r.error for r in run(substrate, *texts, **given)]


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def test_a_revision_runs_in_a_clean_tree_and_the_checkout_is_only_read(repo, make) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.write(src__pkg__mod=CODE.replace('"one"', '"two"'))
    second = repo.commit("two")
    repo.write(src__pkg__mod="raise RuntimeError('uncommitted')")
    repo.write_at(".git/hooks/post-checkout", "#!/bin/sh\ntouch hooked\n")
    (repo.path / ".git/hooks/post-checkout").chmod(0o755)
    before = state_of(repo.path)
    for revision, commit, version in (("v1", first, "one"), (second[:10], second, "two"), ("main", second, "two")):
        substrate = make("version", rev=revision)
        [result] = run(substrate, "x")
        assert result.output["version"] == version
        assert (substrate.identity().revision, substrate.identity().dirty) == (commit, False)
        assert not Path(result.output["file"]).is_relative_to(repo.path)
        assert Path(result.output["cwd"]).name == commit
        tree = Path(result.output["cwd"])
        assert (
            subprocess.run(["git", "-C", tree, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
            == commit + "\n"
        )
        assert not list(tree.rglob("hooked"))
        assert not list(tree.rglob("__pycache__"))
    assert state_of(repo.path) == before
    assert repo.git("worktree", "list").count("\n") == 0


def test_the_checkout_as_it_lies_there_says_whether_it_is_dirty(repo, make) -> None:
    clean = make("version", rev=".")
    assert run(clean, "x")[0].output["file"].startswith(str(repo.path))
    assert clean.identity().dirty is False
    repo.write(src__pkg__mod=CODE.replace('"one"', '"mine"'))
    dirty = make("version", rev=".")
    assert run(dirty, "x")[0].output["version"] == "mine"
    assert dirty.identity().dirty is True
    assert dirty.identity().revision == repo.git("rev-parse", "HEAD")
    assert not list(repo.path.rglob("__pycache__"))


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13"])
def test_its_own_interpreter(make, interpreter, version: str) -> None:
    substrate = make("version", python=interpreter(version))
    assert run(substrate, "x")[0].output["python"] == [int(part) for part in version.split(".")]
    ours = make("version")
    assert substrate.identity().config_hash != ours.identity().config_hash
    assert run(make("data", python=interpreter(version)), "x")[0].output == {"x": 1, "y": 2.5}


def test_a_virtual_environment_in_the_checkout_is_used(repo, make) -> None:
    inside = repo.path / ".venv" / "bin"
    inside.mkdir(parents=True)
    (inside / "python").symlink_to(sys.executable)
    wrapper = repo.path / "venv-marker"
    (inside / "python").unlink()
    (inside / "python").write_text(f'#!/bin/sh\ntouch "{wrapper}"\nexec "{sys.executable}" "$@"\n')
    (inside / "python").chmod(0o755)
    assert outputs(make("shout"), "a") == ["A"]
    assert wrapper.exists()
    with pytest.raises(UsageError, match="no such interpreter"):
        make("shout", python="python9.99")


def test_what_comes_from_elsewhere_is_refused(repo, make) -> None:
    substrate = make_substrate(f"repo:{repo.path}?target=json:dumps")
    with pytest.raises(SubstrateFailure, match="not from the revision"):
        substrate.reset(1)
    substrate.close()


def test_modes_and_processes(make) -> None:
    batch = make("pid")
    batch.reset(1)
    one = outputs(batch, "a", "b")
    assert one[0] == one[1] == batch.processes()[0]
    batch.reset(1)
    assert outputs(batch, "a")[0] != one[0], "a reset is a new process"
    single = make("pid", mode="process")
    single.reset(1)
    assert len(set(outputs(single, *"abc"))) == 3
    assert single.processes() == []


def test_draws_depend_on_seed_and_record_alone(make) -> None:
    found = {}
    for mode in ("batch", "process"):
        substrate = make("draw", mode=mode)
        substrate.reset(5)
        found[mode] = outputs(substrate, *"abc", seed=5)
        assert outputs(substrate, *"abc", seed=6) != found[mode]
    assert found["batch"] == found["process"]
    assert len(set(found["batch"])) == 3
    born = make("Counter.born")
    born.reset(3)
    first = outputs(born, "a")
    born.reset(3)
    assert outputs(born, "a") == first, "construction is seeded too"


def test_targets_and_parameters(make) -> None:
    assert outputs(make("Counter"), *"ab") == [1, 2]
    assert outputs(make("Counter", init='{"start": 5}'), "a") == [6]
    assert outputs(make("Counter.step"), *"ab") == [10, 20]
    assert outputs(make("Counter.plain"), "a") == ["static a"]
    assert outputs(make("keyword", kwargs='{"depth": 4}'), "a") == [["a", 4]]
    assert outputs(make("two", convert="pkg.mod:pair"), "abc") == [["abc", 3]]
    assert outputs(make("waits"), "a") == ["a!"]
    assert run(make("data"), "a")[0].output == {"x": 1, "y": 2.5}
    whole = run(make("whole", input="record"), "a")[0].output
    assert (whole["id"], whole["payload"], whole["meta"]) == ("r0", "a", {"lang": "en"})
    walks = [
        r.output
        for r in run(
            make("Seeded.walk", input="self_driven", seed_argument="graph_seed", kwargs='{"max_steps": 2}'), *"ab"
        )
    ]
    assert [w["steps"] for w in walks] == [2, 2]
    assert walks[0]["seed"] != walks[1]["seed"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("fail", "ValueError: no bad"),
        ("leave", "SystemExit: 3"),
        ("die", "exit status 7; stderr: last words"),
        ("hang", "timeout after 1 s"),
        ("cyclic", "cyclic"),
        ("huge", "10 MB"),
        ("strange", "no JSON form"),
    ],
)
def test_what_it_does_wrong_is_the_error_of_that_cycle(make, target: str, said: str) -> None:
    substrate = make(target)
    substrate.reset(1)
    results = run(substrate, "bad", timeout_s=1.0 if target == "hang" else 30.0)
    assert results[0].status == "error"
    assert said in results[0].error
    assert run(make("shout"), "a")[0].status == "ok"


def test_others_of_the_batch_stand(make) -> None:
    for target, timeout_s in (("die", 30.0), ("hang", 1.5)):
        substrate = make(target)
        substrate.reset(1)
        assert [r.status for r in run(substrate, "a", "bad", "c", timeout_s=timeout_s)] == ["ok", "error", "ok"]


def test_results_survive_a_kill(make) -> None:
    substrate = make("pid")
    substrate.reset(1)
    batch = substrate.run_batch([Record(f"r{i}", "x") for i in range(4)], seed=1, timeout_s=30)
    first = next(batch)
    os.kill(substrate.processes()[0], signal.SIGKILL)
    rest = list(batch)
    assert first.status == "ok"
    assert [r.status for r in rest] == ["error", "ok", "ok"]
    assert "SIGKILL" in rest[0].error


def test_prints_do_not_disturb_the_answers(make) -> None:
    assert outputs(make("chatty"), *"ab") == ["a", "b"]
    assert outputs(make("garbage"), *"ab") == ["a", "b"]
    assert outputs(make("reads"), "a") == [""]
    assert run(make("nan"), "a")[0].output == {"x": None, "y": 1.5}


def test_a_used_tree_is_clean_again_and_shared_while_in_use(make) -> None:
    one = make("litter")
    assert outputs(one, "a", "b") == [1, 2]
    other = make("litter")  # shares the tree while the first still has it
    assert outputs(other, "a") == [3]
    one.close(), other.close()
    assert outputs(make("litter"), "a") == [1]


def test_a_tree_changed_by_a_run_still_going_is_not_shared(make) -> None:
    one = make("vandal")
    assert outputs(one, "a") == [1]
    with pytest.raises(SubstrateFailure, match="still going changed files"):
        make("shout").reset(1)
    one.close()
    assert outputs(make("shout"), "a") == ["A"]


def test_few_trees_are_kept(repo, make) -> None:
    commits = []
    for number in range(10):
        repo.write(src__pkg__mod=CODE + f"# {number}\n")
        commits.append(repo.commit(str(number)))
        substrate = make("shout", rev=commits[-1])
        substrate.reset(1)
        if number:
            substrate.close()  # the first stays open
    [folder] = cache_folder("worktrees").iterdir()
    trees = {p.name for p in folder.iterdir() if p.is_dir()}
    assert len(trees) == 8
    assert {commits[0], commits[9]} <= trees, "one in use is not removed"


def test_bare_and_partial_repositories(repo, make, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", repo.path, bare], check=True)
    substrate = make_substrate(f"repo:{bare}?target=pkg.mod:shout")
    assert outputs(substrate, "a") == ["A"]
    substrate.close()
    blobless = tmp_path / "blobless.git"
    repo.git("config", "uploadpack.allowFilter", "true")
    subprocess.run(["git", "clone", "-q", "--bare", "--filter=blob:none", f"file://{repo.path}", blobless], check=True)
    lacking = make_substrate(f"repo:{blobless}?target=pkg.mod:shout")
    with pytest.raises(SubstrateFailure, match="cannot be checked out"):
        lacking.reset(1)
    lacking.close()


def test_hostile_environment_of_git(repo, make, monkeypatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    marker = repo.path.parent / "fsmonitor-ran"
    repo.git("--git-dir", str(repo.path / ".git"), "config", "core.fsmonitor", f"touch {marker}")
    assert outputs(make("shout", rev="."), "a") == ["A"]
    make("shout", rev=".").identity()
    assert not marker.exists()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "target="),
        ("target=pkg.mod", "target=pkg.mod"),
        ("target=pkg mod:f", "target="),
        ("target=pkg.mod:shout&rev=nothing", "no commit 'nothing'"),
        ("target=pkg.mod:shout&rev=--upload-pack=x", "no commit"),
        ("target=pkg.mod:shout&mode=fast", "batch, process"),
        ("target=pkg.mod:shout&init=[1]", "JSON object"),
        ("target=pkg.mod:shout&kwargs={", "not JSON"),
        ("target=pkg.mod:shout&seed_argument=s", "self_driven"),
        ("target=pkg.mod:shout&convert=x", "convert=x"),
    ],
)
def test_slips_are_told_in_one_sentence(repo, query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_substrate(f"repo:{repo.path}{'?' + query if query else ''}")


def test_no_repository(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError, match="git"):
            make_substrate(f"repo:{path}?target=a.b:c")
    with pytest.raises(UsageError, match="path of a git repository"):
        make_substrate("repo?target=a.b:c")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nothing", "pkg.mod has no nothing"),
        ("NUMBER", "cannot be called"),
        ("Silent", "cannot be called"),
        ("Needy", "Needy\\(…\\) failed: TypeError"),
        ("Counter.nothing", "has no nothing"),
    ],
)
def test_what_cannot_be_loaded_stops_the_run_with_its_reason(make, target: str, said: str) -> None:
    with pytest.raises(SubstrateFailure, match=said) as caught:
        make(target).reset(1)
    assert caught.value.exit_code == 6


def test_an_import_that_fails_hangs_or_kills(repo, make) -> None:
    for text, said in (
        ("import nonexistent_thing", "ModuleNotFoundError"),
        ("import time; time.sleep(60)", "not ready after"),
        ("import os; os._exit(9)", "exit status 9"),
    ):
        repo.write(src__pkg__mod=text)
        repo.commit(said)
        began = time.monotonic()
        with pytest.raises(SubstrateFailure, match=said):
            make("shout", start_timeout_s=2).reset(1)
        assert time.monotonic() - began < 45


def test_text_targets_leave_other_payloads_unmeasured(make) -> None:
    substrate = make("shout", input="text")
    records = [Record("a", "x"), Record("b", [1, 2]), Record("c", b"\xff"), Record("d", b"ok")]
    results = list(substrate.run_batch(records, seed=1, timeout_s=30))
    assert [r.status for r in results] == ["ok", "unmeasured", "unmeasured", "ok"]
    assert "takes text" in results[1].error


@pytest.mark.parametrize("mode", ["batch", "process"])
def test_contract(repo, monkeypatch, tmp_path: Path, mode: str) -> None:
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    repo.write(
        echo="import time\ndef echo(r):\n    time.sleep(r['meta'].get('slow', 0))\n    return [r['payload'], r['seed']]\n"
    )
    repo.commit()
    spec = f"repo:{repo.path}?target=echo:echo&input=record&mode={mode}"
    check_substrate(lambda: make_substrate(spec), slow=Record("slow", "x", meta={"slow": 1}))


def test_probe(repo, make) -> None:
    [row] = make("Needy.__call__").probe()
    assert (row["importable"], row["constructible"]) == (True, False)
    assert "model" in row["why"]
    assert row["signature"] == "Needy(model).__call__(self, text)"
    [row] = make("Needy", init='{"model": 1}').probe()
    assert (row["importable"], row["constructible"], row["why"]) == (True, True, "")
    [row] = make_substrate(f"repo:{repo.path}?target=pkg.absent:f").probe()
    assert (row["importable"], row["constructible"]) == (False, False)
    assert json.dumps(row)
