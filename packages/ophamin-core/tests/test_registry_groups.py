"""The registry against real throw-away distributions: folders with metadata, put on the path."""

from __future__ import annotations

import sys

import pytest

from ophamin import registry
from ophamin.proof.errors import (
    DuplicatePlugin,
    OphaminError,
    PluginLoadError,
    ProtocolViolation,
    UnknownPlugin,
    UsageError,
)
from ophamin.registry import Group

GOOD = """
class Good:
    name = "good"
    library = "ophamin-core"
    columns = {"value": "numbers"}

    def compute(self, columns, *, seed, **options):
        return None


def estimate(columns, *, confidence, seed, **options):
    return None


class Echo:
    def __init__(self, arg="", *, data_root=None, times="1"):
        if times == "boom":
            raise TypeError("the plug-in's own fault")
        self.arg, self.times, self.data_root = arg, times, data_root

    name, folders = "echo", ()

    def identity(self): ...
    def reset(self, seed): ...
    def run_batch(self, records, *, seed, timeout_s): ...
    def processes(self): ...
    def close(self): ...
    def availability(self): ...
    def records(self): ...
    def sample(self, n, seed, where=None): ...
    def count(self): ...
    def content_hash(self): ...
    def describe(self): ...
    def write_sample(self, directory, seed): ...


broken = 3
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution: its module, and a dist-info folder with entry points."""
    made = []

    def add(name, version, entries, modules=None):
        site = tmp_path / f"{name}-{version}"
        for module, source in (modules or {}).items():
            path = site / f"{module}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
            made.append(module)
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in some.items()) for group, some in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))
        return site

    yield add
    for module in made:
        sys.modules.pop(module, None)


def pillars():
    return Group("ophamin.test_pillars", "Pillar", "pillar")


def test_an_installed_plugin_is_named_traced_and_loaded(install):
    install("acme-stats", "1.2", {"ophamin.test_pillars": {"good": "acme_ok:Good"}}, {"acme_ok": GOOD})
    group = pillars()
    assert group.names() == ["good"] == list(group)
    assert group.origin("good") == "acme-stats 1.2"
    assert "acme_ok" not in sys.modules, "names and origin import nothing"
    assert group.get("good").__name__ == "Good"
    assert group.get("good") is group.get("good")
    [state] = group.states()
    assert state == ("test_pillars", "good", "acme-stats 1.2", "")


def test_an_unknown_name_lists_what_is_installed(install):
    group = pillars()
    with pytest.raises(UnknownPlugin, match=r"no pillar is called 'x'; installed: none$") as caught:
        group.get("x")
    assert isinstance(caught.value, LookupError)
    assert str(caught.value).startswith("no pillar"), "one sentence, not its repr"
    install("acme-stats", "1.2", {"ophamin.test_pillars": {"b": "m:B", "a": "m:A"}})
    with pytest.raises(UnknownPlugin, match="'x'; installed: a, b"):
        pillars().origin("x")


def test_a_slip_of_the_pen_is_answered_with_the_nearest_name(install):
    install("acme-stats", "1.2", {"ophamin.test_pillars": {"bootstrap": "m:B", "other": "m:A"}})
    with pytest.raises(UnknownPlugin, match=r"'bootstarp'; did you mean 'bootstrap'\? installed: bootstrap, other"):
        pillars().get("bootstarp")


def test_a_name_claimed_twice_names_both_and_harms_no_other(install):
    install("acme-one", "1.0", {"ophamin.test_pillars": {"same": "m1:A", "good": "acme_ok2:Good"}}, {"acme_ok2": GOOD})
    install("acme-two", "2.0", {"ophamin.test_pillars": {"same": "m2:B"}})
    group = pillars()
    for use in (group.get, group.origin):
        with pytest.raises(DuplicatePlugin, match=r"acme-one 1\.0 \(m1:A\) and acme-two 2\.0 \(m2:B\)") as caught:
            use("same")
        assert isinstance(caught.value, ValueError)
    assert group.get("good")
    states = {s[1]: s for s in group.states()}
    assert "acme-one 1.0 and acme-two 2.0" in states["same"][2]
    assert "two distributions" in states["same"][3]
    assert states["good"][3] == ""


def test_one_distribution_seen_twice_on_the_path_is_one(install, tmp_path, monkeypatch):
    site = install("acme-one", "1.0", {"ophamin.test_pillars": {"good": "acme_ok3:Good"}}, {"acme_ok3": GOOD})
    copy = tmp_path / "copy"
    copy.mkdir()
    for info in site.glob("*.dist-info"):
        (copy / info.name).mkdir()
        for file in info.iterdir():
            (copy / info.name / file.name).write_bytes(file.read_bytes())
    monkeypatch.syspath_prepend(str(copy))
    assert pillars().get("good")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        ("", "AttributeError"),
    ],
)
def test_what_does_not_load_says_whose_and_why(install, source, reason):
    install("acme-broken", "0.1", {"ophamin.test_pillars": {"bad": "acme_bad:Bad"}}, {"acme_bad": source})
    group = pillars()
    assert group.names() == ["bad"]
    with pytest.raises(PluginLoadError, match=r"acme-broken 0\.1") as caught:
        group.get("bad")
    assert reason in str(caught.value)
    assert isinstance(caught.value, ImportError)
    assert caught.value.__cause__ is not None
    [state] = group.states()
    assert reason in state[3]


def test_what_does_not_fit_its_protocol_names_what_it_lacks(install):
    source = "class Half:\n    name = 'half'\n    library = 'x'\nclass Annotated:\n    name: str\n    library: str\n"
    source += "    columns: dict\n    def compute(self, columns, *, seed, **o): ...\n"
    entries = {"half": "acme_half:Half", "fine": "acme_half:Annotated"}
    install("acme-half", "0.1", {"ophamin.test_pillars": entries}, {"acme_half": source})
    group = pillars()
    with pytest.raises(ProtocolViolation, match=r"acme-half 0\.1 .* lacks columns, compute") as caught:
        group.get("half")
    assert isinstance(caught.value, TypeError)
    assert group.get("fine"), "an annotation counts: the instance will have it"


def test_functions_need_only_be_callable(install):
    entries = {"ok": "acme_fn:estimate", "no": "acme_fn:broken"}
    install("acme-fn", "0.1", {"ophamin.test_estimators": entries}, {"acme_fn": GOOD})
    for protocol in ("Estimator", None):
        group = Group("ophamin.test_estimators", protocol, "estimator")
        assert callable(group.get("ok"))
        with pytest.raises(ProtocolViolation, match="a int, not callable"):
            group.get("no")


def test_plugins_of_this_process_are_registered_checked_and_taken_back(install):
    class Mine:
        name, library, columns = "mine", "ophamin-core", {"value": "numbers"}

        def compute(self, columns, *, seed, **options): ...

    install("acme-stats", "1.2", {"ophamin.test_pillars": {"taken": "m:T"}})
    group = pillars()
    assert group.register("mine", Mine) is Mine
    assert group.get("mine") is Mine
    assert group.origin("mine") == "in-process"
    assert group.names() == ["mine", "taken"]
    with pytest.raises(DuplicatePlugin, match="in-process; rename yours"):
        group.register("mine", Mine)
    with pytest.raises(DuplicatePlugin, match=r"acme-stats 1\.2"):
        group.register("taken", Mine)
    with pytest.raises(ProtocolViolation, match="in-process"):
        group.register("half", object)
    group.unregister("mine")
    group.unregister("mine")
    assert group.names() == ["taken"]
    assert {s[1]: s[2] for s in group.states()} == {"taken": "acme-stats 1.2"}


def test_a_record_kind_is_an_object_not_a_class(install):
    source = "class _K:\n    name = 'n'; id_field = 'i'; version = '1'; schema = {}\n"
    source += "    def accepts(self, r): ...\n    def forms(self, v): ...\n    def check(self, r): ...\n"
    source += "    def cases(self, r): ...\nKIND = _K()\nDYNAMIC = type('D', (), {})()\n"
    entries = {"kind": "acme_kind:KIND", "bare": "acme_kind:DYNAMIC"}
    install("acme-kind", "0.1", {"ophamin.test_records": entries}, {"acme_kind": source})
    group = Group("ophamin.test_records", "RecordKind", "record kind")
    assert group.get("kind").name == "n"
    with pytest.raises(ProtocolViolation, match="it lacks accepts, cases, check"):
        group.get("bare")


# --- the groups of the family


def test_every_group_is_there_under_its_own_name():
    assert set(registry.GROUPS) == {
        "substrates", "corpora", "pillars", "scenarios", "estimators", "runners", "records", "exporters", "renderers",
        "auditors", "instruments", "phases", "checks", "commands",
    }  # fmt: skip
    for name, group in registry.GROUPS.items():
        assert group.group == f"ophamin.{name}"
    assert all(hasattr(registry, name) for name in registry.__all__)


def test_core_registers_its_own_record_as_everyone_does():
    assert "proof" in registry.records.names()
    assert registry.records.origin("proof").startswith("ophamin-core ")


@pytest.fixture
def echo(install):
    site = install("acme-echo", "0.1", {}, {"acme_echo": GOOD})
    assert site
    import acme_echo

    registry.register_substrate("acme-echo", acme_echo.Echo)
    registry.register_corpus("acme-echo", acme_echo.Echo)
    yield acme_echo.Echo
    registry.substrates.unregister("acme-echo")
    registry.corpora.unregister("acme-echo")


def test_specs_make_plugins(echo, tmp_path):
    plugin, spec = registry.resolve("substrates", "acme-echo:a:b?times=2")
    assert (plugin, spec.arg, spec.params) == (echo, "a:b", {"times": "2"})
    made = registry.make_substrate("acme-echo:some arg?times=2")
    assert (made.arg, made.times) == ("some arg", "2")
    corpus = registry.make_corpus("acme-echo", tmp_path)
    assert corpus.data_root == tmp_path
    assert "acme-echo" in registry.list_substrates()
    assert registry.get_corpus("acme-echo") is echo


def test_a_substrate_that_reads_corpora_is_told_where_they_lie(echo, tmp_path, monkeypatch):
    assert registry.make_substrate("acme-echo", tmp_path).data_root == str(tmp_path)
    assert registry.make_substrate("acme-echo?data_root=mine", tmp_path).data_root == "mine"
    assert registry.make_substrate("acme-echo").data_root is None
    monkeypatch.setattr(registry.substrates, "get", lambda name: Plain)
    assert registry.make_substrate("plain:a", tmp_path).arg == "a"


class Plain:
    def __init__(self, arg=""):
        self.arg = arg


def test_a_mistaken_parameter_is_the_users_and_anything_else_the_plugins(echo):
    with pytest.raises(UsageError, match="takes no parameter tiems; it takes"):
        registry.make_substrate("acme-echo?tiems=2")
    with pytest.raises(UsageError, match="takes no parameter arg"):
        registry.make_substrate("acme-echo?arg=2")
    with pytest.raises(UsageError):
        registry.make_corpus("acme-echo?data_root=2")
    with pytest.raises(TypeError, match="own fault") as caught:
        registry.make_substrate("acme-echo?times=boom")
    assert not isinstance(caught.value, OphaminError)
    with pytest.raises(UsageError, match="no plug-in group is called 'colours'"):
        registry.resolve("colours", "red")
    with pytest.raises(UnknownPlugin, match="acme-echo"):
        registry.make_substrate("acme-ecko")
