"""Whether what a proof was measured with is still what is here.

Nothing is run but the construction of the systems and a look at the corpus. What cannot be looked at is ``unknown``,
which is neither fresh nor stale.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ophamin import registry
from ophamin.comparing.provenance.inputs import SHIFTED, shift, summarize
from ophamin.proof.errors import OphaminError
from ophamin.proof.sources import source_hash
from ophamin.protocols import DatasetConnector

__all__ = ["CAUSES", "Seen", "look"]

JSON = Any
Object = Mapping[str, JSON]
CAUSES = ("corpus", "code", "environment", "inputs")
State = Literal["same", "left", "unknown"]


class Seen(NamedTuple):
    """What was seen of one cause."""

    cause: str
    state: State
    detail: str


def look(
    record: Object, data_root: Path | None = None, *, inputs: Mapping[str, Object] | None = None, read: bool = False
) -> tuple[list[Seen], dict[str, Object]]:
    """Compare what a proof recorded with what is here now.

    Args:
        record: A proof as read.
        data_root: Where corpora lie.
        inputs: Summaries that were kept of its inputs, by dataset.
        read: Whether to read the whole corpus for the summary of its inputs.

    Returns:
        One finding per cause, and summaries of the inputs to keep: made only while the corpus is still the recorded
        one.
    """
    how, data = _object(record.get("reproduction")), _object(record.get("data"))
    spec = _object(how.get("run_spec"))
    datasets = [d for d in data.get("datasets") or [] if isinstance(d, Mapping)]
    corpus, problem = _corpus(spec, data_root)
    seen = [_corpus_seen(corpus, problem, datasets), _joined("code", list(_code(record, spec, data, data_root)))]
    seen.append(_environment(_object(how.get("environment"))))
    found, kept = _inputs(corpus, problem, datasets, inputs or {}, same=seen[0].state == "same", read=read)
    return [*seen, found], kept


def _corpus(spec: Object, data_root: Path | None) -> tuple[DatasetConnector | None, str]:
    try:
        name = spec.get("corpus")
        if not name and spec.get("scenario"):
            name = registry.scenarios.get(spec["scenario"])().default_corpus
        if not name:
            return None, "the record does not say how to open its corpus"
        corpus = registry.make_corpus(str(name), data_root)
        available = corpus.availability()
        return (corpus, "") if available.state == "ok" else (None, f"corpus {name} is {available.state} here")
    except OphaminError as error:
        return None, str(error)


def _corpus_seen(corpus: DatasetConnector | None, problem: str, datasets: list[Object]) -> Seen:
    if corpus is None or len(datasets) != 1:
        return Seen("corpus", "unknown", problem or f"the record names {len(datasets)} corpora")
    recorded = datasets[0].get("content_hash")
    try:
        here = corpus.content_hash()
    except (OphaminError, OSError) as error:
        return Seen("corpus", "unknown", str(error))
    if here == recorded:
        return Seen("corpus", "same", f"{datasets[0].get('name')} still hashes to {_short(here)}")
    return Seen("corpus", "left", f"{datasets[0].get('name')} was {_short(recorded)}, here it is {_short(here)}")


def _code(record: Object, spec: Object, data: Object, data_root: Path | None) -> Iterator[Seen]:
    recorded = _object(_object(record.get("preregistration")).get("code"))
    if recorded.get("source_hash"):
        yield _scenario(str(spec.get("scenario") or ""), recorded)
    arms = [a for a in data.get("arms") or [data.get("substrate")] if isinstance(a, Mapping)]
    for arm, wanted in _object(spec.get("arms")).items():
        stated = next((a for a in arms if a.get("arm", arm) == arm), None)
        if stated is not None:
            yield _substrate(str(wanted), stated, data_root)


def _scenario(name: str, recorded: Object) -> Seen:
    try:
        here = source_hash(registry.scenarios.get(name).__module__)
    except OphaminError as error:
        return Seen("code", "unknown", str(error))
    state: State = "same" if here == recorded["source_hash"] else "left"
    said = "unchanged" if state == "same" else f"was {_short(recorded['source_hash'])}, here they are {_short(here)}"
    return Seen("code", state, f"sources of scenario {name} {'are ' if state == 'same' else ''}{said}")


def _substrate(spec: str, stated: Object, data_root: Path | None) -> Seen:
    try:
        substrate = registry.make_substrate(spec, data_root)
        try:
            identity = substrate.identity()
        finally:
            substrate.close()
    except (OphaminError, OSError) as error:
        return Seen("code", "unknown", f"{spec}: {error}")
    changed = [
        f"{name} {_short(stated.get(name)) or 'none'} -> {_short(here) or 'none'}"
        for name, here in (("config_hash", identity.config_hash), ("revision", identity.revision))
        if here != (stated.get(name) or "")
    ]
    if changed:
        return Seen("code", "left", f"{spec}: {', '.join(changed)}")
    if identity.dirty or stated.get("dirty"):
        return Seen("code", "unknown", f"{spec}: same revision, with uncommitted changes")
    return Seen("code", "same", f"{spec} is the same")


def _environment(recorded: Object) -> Seen:
    if not recorded:
        return Seen("environment", "unknown", "the record names no versions")
    changed = []
    for name, was in sorted(recorded.items()):
        here = _version(name)
        if here != was:
            changed.append(f"{name} {was} -> {here or 'not installed'}")
    if changed:
        return Seen("environment", "left", "; ".join(changed))
    return Seen("environment", "same", f"the {len(recorded)} recorded versions are installed")


def _version(name: str) -> str:
    if name == "python":
        return platform.python_version()
    if name == "platform":
        return f"{platform.system()} {platform.machine()}"
    try:
        return version(name)
    except (PackageNotFoundError, ValueError):  # a name that is none
        return ""


def _inputs(
    corpus: DatasetConnector | None, problem: str, datasets: list[Object], kept: Mapping[str, Object], *, same: bool,
    read: bool,
) -> tuple[Seen, dict[str, Object]]:  # fmt: skip
    name = str(datasets[0].get("name")) if len(datasets) == 1 else ""
    reference = kept.get(name)
    if corpus is None:
        return Seen("inputs", "unknown", problem), {}
    if same and reference is not None:
        return Seen("inputs", "same", "the corpus is the recorded one"), {}
    if not read:
        return Seen("inputs", "unknown", "not read; --inputs reads the corpus"), {}
    if reference is None:
        if not same:
            return Seen("inputs", "unknown", "no summary was kept while the corpus was the recorded one"), {}
        summary = summarize(corpus.records())
        return Seen("inputs", "same", f"a summary of {summary['n']:,} records is kept from now on"), {name: summary}
    moved = shift(reference, summarize(corpus.records(), reference))
    worst = max(moved, key=lambda part: moved[part])
    state: State = "left" if moved[worst] > SHIFTED else "same"
    return Seen("inputs", state, f"PSI of {worst} is {moved[worst]:.3g} ({SHIFTED} counts as shifted)"), {}


def _joined(cause: str, seen: list[Seen]) -> Seen:
    """One finding for a cause of several: the worst state, with what was said of it."""
    worst_first: tuple[State, ...] = ("left", "unknown", "same")
    for state in worst_first:
        found = [s.detail for s in seen if s.state == state]
        if found:
            return Seen(cause, state, "; ".join(found))
    return Seen(cause, "unknown", "the record does not say which code it ran")


def _object(value: JSON) -> Object:
    return value if isinstance(value, Mapping) else {}


def _short(value: JSON) -> str:
    text = str(value or "")
    return f"{text[:19]}…" if len(text) > 24 else text
