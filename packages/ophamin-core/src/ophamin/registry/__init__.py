"""How wheels find each other: entry points by group, loaded one at a time and checked.

Core holds no list of wheels. Built-ins are registered in the same groups as foreign plug-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophamin.proof.errors import PluginError, RecordError, UnsupportedVersion, UsageError
from ophamin.registry._group import Group, PluginState
from ophamin.registry._spec import Spec

if TYPE_CHECKING:
    from ophamin.proof.signed import SignedRecord
    from ophamin.protocols import (
        Auditor,
        Check,
        DatasetConnector,
        Estimator,
        Exporter,
        Instrument,
        Pillar,
        RecordKind,
        Renderer,
        Runner,
        ScenarioProtocol,
        SubstrateProbe,
    )

__all__ = [
    "GROUPS",
    "Group",
    "PluginState",
    "Spec",
    "auditors",
    "checks",
    "commands",
    "corpora",
    "estimators",
    "exporters",
    "get_corpus",
    "get_pillar",
    "get_scenario",
    "get_substrate",
    "instruments",
    "list_corpora",
    "list_pillars",
    "list_scenarios",
    "list_substrates",
    "make_corpus",
    "make_substrate",
    "phases",
    "pillars",
    "read_record",
    "records",
    "register_corpus",
    "register_pillar",
    "register_scenario",
    "register_substrate",
    "renderers",
    "resolve",
    "runners",
    "scenarios",
    "substrates",
]

substrates: Group[type[SubstrateProbe]] = Group("ophamin.substrates", "SubstrateProbe", "substrate")
corpora: Group[type[DatasetConnector]] = Group("ophamin.corpora", "DatasetConnector", "corpus")
pillars: Group[type[Pillar]] = Group("ophamin.pillars", "Pillar", "pillar")
scenarios: Group[type[ScenarioProtocol]] = Group("ophamin.scenarios", "ScenarioProtocol", "scenario")
estimators: Group[Estimator] = Group("ophamin.estimators", "Estimator", "estimator")
runners: Group[Runner] = Group("ophamin.runners", "Runner", "runner")
records: Group[RecordKind] = Group("ophamin.records", "RecordKind", "record kind")
exporters: Group[type[Exporter]] = Group("ophamin.exporters", "Exporter", "exporter")
renderers: Group[type[Renderer]] = Group("ophamin.renderers", "Renderer", "renderer")
auditors: Group[type[Auditor]] = Group("ophamin.auditors", "Auditor", "auditor")
instruments: Group[type[Instrument]] = Group("ophamin.instruments", "Instrument", "instrument")
checks: Group[Check] = Group("ophamin.checks", "Check", "check")
phases: Group[Any] = Group("ophamin.phases", None, "phase")
commands: Group[Any] = Group("ophamin.commands", None, "command")

GROUPS: dict[str, Group[Any]] = {
    g.group.removeprefix("ophamin."): g
    for g in (
        substrates,
        corpora,
        pillars,
        scenarios,
        estimators,
        runners,
        records,
        exporters,
        renderers,
        auditors,
        instruments,
        phases,
        checks,
        commands,
    )
}

register_substrate: Callable[[str, Any], Any] = substrates.register
register_corpus: Callable[[str, Any], Any] = corpora.register
register_pillar: Callable[[str, Any], Any] = pillars.register
register_scenario: Callable[[str, Any], Any] = scenarios.register
get_substrate, list_substrates = substrates.get, substrates.names
get_corpus, list_corpora = corpora.get, corpora.names
get_pillar, list_pillars = pillars.get, pillars.names
get_scenario, list_scenarios = scenarios.get, scenarios.names


def resolve(group: str, spec: str) -> tuple[Any, Spec]:
    """Find the plug-in a spec names.

    Args:
        group: Group without its prefix, e.g. ``substrates``.
        spec: ``NAME[:ARG][?key=value&…]``.

    Returns:
        The loaded plug-in and the parsed spec.

    Raises:
        UsageError: No such group, or a malformed spec.
        UnknownPlugin: No such plug-in.
    """
    if group not in GROUPS:
        raise UsageError(f"no plug-in group is called {group!r}; groups: {', '.join(GROUPS)}")
    parsed = Spec.parse(spec)
    return GROUPS[group].get(parsed.name), parsed


def _make(group: str, spec: str, **context: Any) -> Any:
    plugin, parsed = resolve(group, spec)
    try:
        return plugin(parsed.arg, **context, **parsed.params)
    except TypeError as error:
        # A parameter the plug-in does not know is the user's typo; anything else is the plug-in's fault.
        import inspect

        if "unexpected keyword argument" in str(error) or "multiple values" in str(error):
            takes = [name for name in inspect.signature(plugin).parameters if name not in ("arg", *context)]
            unknown = [name for name in parsed.params if name not in takes]
            raise UsageError(
                f"{spec!r}: {parsed.name} takes no parameter {', '.join(unknown) or 'of that kind'}; it takes "
                f"{', '.join(takes) or 'none'}"
            ) from error
        raise


def make_substrate(spec: str, data_root: Path | None = None) -> SubstrateProbe:
    """Construct the substrate a spec names.

    Args:
        spec: ``NAME[:ARG][?key=value&…]``.
        data_root: Where corpora lie, for one that takes a ``data_root`` and whose spec names none: a system that
            learns from a corpus finds it where the run does.

    Raises:
        UsageError: The spec is malformed or has a parameter the substrate does not know.
        UnknownPlugin: No such substrate.
    """
    import inspect

    plugin, parsed = resolve("substrates", spec)
    wanted = data_root is not None and "data_root" not in parsed.params
    takes = wanted and "data_root" in inspect.signature(plugin).parameters
    substrate: SubstrateProbe = _make("substrates", spec, **({"data_root": str(data_root)} if takes else {}))
    return substrate


def make_corpus(spec: str, data_root: Path | None = None) -> DatasetConnector:
    """Construct the corpus a spec names; ``data_root`` is where corpora lie.

    Raises:
        UsageError: The spec is malformed or has a parameter the corpus does not know.
        UnknownPlugin: No such corpus.
    """
    corpus: DatasetConnector = _make("corpora", spec, data_root=data_root)
    return corpus


def read_record(path: Path | str) -> SignedRecord:
    """Read a record of any installed kind; nothing is verified yet.

    A kind whose plug-in is broken is passed over, and named only when no other kind fits.

    Args:
        path: File to read.

    Raises:
        UnknownRecord: There is no such file.
        RecordError: It cannot be read, or is of no installed kind.
        UnsupportedVersion: It is newer than what is installed.

    Example:
        >>> read_record("proofs/proof/ab/ab…/record.json").kind.name  # doctest: +SKIP
        'proof'
    """
    from ophamin.proof.kinds import PROOF
    from ophamin.proof.signed import read

    broken: list[str] = []

    def kinds() -> Iterator[RecordKind]:
        # Core's own kind first: most records are proofs, and asking a kind imports it.
        for name in sorted(records.names(), key=lambda name: name != PROOF.name):
            try:
                yield records.get(name)
            except PluginError as error:
                broken.append(str(error))

    try:
        return read(path, kinds())
    except UnsupportedVersion:
        raise
    except RecordError as error:
        if broken:
            raise type(error)(f"{error}; not asked: {'; '.join(broken)}") from None
        raise
