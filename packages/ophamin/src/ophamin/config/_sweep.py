"""Reads a sweep file: OmegaConf YAML, with interpolation and overrides; hostile files are refused before they grow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import RunSpec, SweepSpec

__all__ = ["load_sweep"]

JSON = Any
MAX_BYTES, MAX_DEPTH, MAX_LEVELS, MAX_GROWN = 2**20, 32, 10_000, 2**24
TOP = ("scenario", "base", "grid", "ranges", "design", "samples", "blocks", "retries", "limits")
LIMITS = ("time_s", "cpu_s", "memory_mb")
# Beyond it the numbers of a float are not one apart.
MAX_NUMBER = 2**53
# What the command settles itself, and nobody shares by a file.
HERE = ("project", "store", "key_file", "argv", "fresh")
BASE = tuple(f.name for f in fields(RunSpec) if f.name not in (*HERE, "scenario"))
RUN_TYPES: Mapping[str, tuple[type, ...]] = {
    "n": (int,), "seed": (int,), "attempts": (int,), "alpha": (float, int), "timeout_s": (float, int),
    "arms": (dict,), "options": (dict,), "fields": (dict,), "instruments": (list,),
}  # fmt: skip


def load_sweep(path: Path | str, overrides: Sequence[str] = ()) -> SweepSpec:
    """Read a sweep.

    Args:
        path: The file: ``scenario``, ``base`` (fields of a run), ``grid`` (field → values, or ``{from, to, step}``),
            ``ranges``, ``design``, ``samples``, ``blocks``, ``retries``, ``limits``.
        overrides: ``key=value`` words, such as ``base.n=200`` or ``grid.options.limit=[1,2]``.

    Returns:
        The sweep; how many cells it has is for its runner to judge.

    Raises:
        UsageError: Not such a file; an unknown key is named with the nearest right one.
        MissingDependency: OmegaConf is not installed.
    """
    try:
        import yaml
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    except ImportError as error:
        raise MissingDependency("a sweep file", "omegaconf", "ophamin[config]") from error
    text = _text(Path(path))
    try:
        _check_events(yaml.parse(text), path)
        found: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        if not isinstance(found, dict):
            raise UsageError(f"{path} holds no keys; a sweep has scenario, base and grid")
        for word in overrides:
            if "=" not in word or word.startswith("="):
                raise UsageError(f"an override is KEY=VALUE, such as base.n=200, not {word!r}")
        dots = OmegaConf.from_dotlist(list(overrides))
        _check_growth(f"{found}{OmegaConf.to_container(dots, resolve=False)}", path)
        merged = OmegaConf.merge(OmegaConf.create(_nested(found)), dots)
        with _no_environment():
            whole: Any = OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply, or an interpolation in it leads to itself") from None
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} is no sweep file: {' '.join(str(error).split())[:300]}") from None
    return _spec(whole, str(path))


@contextmanager
def _no_environment() -> Iterator[None]:
    """Without ``${oc.env:NAME}``: what it reads may be a secret, and would stand in a signed record for ever.

    The name of a resolver can itself be interpolated, so the text of a file does not show it.
    """
    from omegaconf import OmegaConf
    from omegaconf.resolvers import oc

    OmegaConf.register_resolver("oc.env", _refuse, replace=True)
    try:
        yield
    finally:
        # As OmegaConf itself registers it.
        OmegaConf.register_resolver("oc.env", oc.env, replace=True, annotation_validation="off")


def _refuse(name: str, default: str = "") -> str:
    raise UsageError(f"a record would keep the environment variable {name} for all to read; write its value out")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(
                f"{path} has more than {MAX_BYTES} bytes; a sweep file is short, so give ranges, not values"
            )
        return data.decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None


def _check_events(events: Any, path: Path | str) -> None:
    """Refuse what grows when it is read: aliases, depth, tags that make objects."""
    depth = 0
    for event in events:
        kind = type(event).__name__
        if kind == "AliasEvent":
            raise UsageError(f"{path} uses the alias *{event.anchor}; refer to a value as ${{key}} instead")
        tag = getattr(event, "tag", None)
        if (tag is not None and not tag.startswith("tag:yaml.org,2002:")) or "python" in str(tag):
            raise UsageError(f"{path} has the tag {tag!r}; a sweep file holds plain values only")
        if kind == "ScalarEvent" and not depth:
            raise UsageError(f"{path} holds no keys; a sweep has scenario, base and grid")
        depth += kind.endswith(("SequenceStartEvent", "MappingStartEvent"))
        depth -= kind.endswith(("SequenceEndEvent", "MappingEndEvent"))
        if depth > MAX_DEPTH:
            raise UsageError(f"{path} is nested deeper than {MAX_DEPTH}; a sweep file is flat")


def _check_growth(text: str, path: Path | str) -> None:
    """Refuse interpolations that could repeat one another without end: ``a: ${b}${b}``, ``b: ${c}${c}``, and so on.

    Of k interpolations shared out over values that build on each other, 3^(k/3) repetitions of the text is the most.
    """
    count = text.count("${")
    if count / 3 * math.log(3) + math.log(len(text) + 1) > math.log(MAX_GROWN):
        raise UsageError(
            f"{path} has {count} interpolations, which could grow beyond {MAX_GROWN:,} characters; write some values "
            "out"
        )


def _nested(found: Mapping[Any, JSON]) -> dict[str, JSON]:
    """``options.limit`` under grid and ranges as a path, so that overrides meet it."""
    whole = {str(key): value for key, value in found.items()}
    for part in ("grid", "ranges"):
        if isinstance(whole.get(part), dict):
            tree: dict[str, JSON] = {}
            for name, value in whole[part].items():
                at, words = tree, str(name).split(".")
                for word in words[:-1]:
                    at = at.setdefault(word, {})
                    if not isinstance(at, dict):
                        raise UsageError(f"{part}.{name} is written below {word}, which has values of its own")
                at[words[-1]] = value
            whole[part] = tree
    return whole


def _known(name: str, known: Sequence[str], where: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"{where}: unknown key {name!r}; {hint}")


def _spec(whole: Mapping[str, JSON], path: str) -> SweepSpec:
    for key in whole:
        _known(str(key), TOP, path)
    sections: dict[str, dict[str, JSON]] = {}
    for name in ("base", "grid", "ranges", "limits"):
        section = whole.get(name) or {}
        if not isinstance(section, dict):
            raise UsageError(f"{path}: {name} holds keys, not {section!r:.60}")
        sections[name] = section
    base = sections["base"]
    for key, value in base.items():
        _known(str(key), BASE, f"{path}: base")
        _check_type(f"{path}: base.{key}", value, RUN_TYPES.get(str(key), (str,)))
    if not isinstance(whole.get("scenario"), str):
        raise UsageError(f"{path} names no scenario; write one, such as scenario: metric")
    if not base.get("arms") and not any(k.startswith("arms.") for k in _leaves(sections["grid"], path)):
        raise UsageError(f"{path} names no system to measure; write base: {{arms: {{main: SPEC}}}}")
    for key, value in sections["limits"].items():
        _known(str(key), LIMITS, f"{path}: limits")
        _check_type(f"{path}: limits.{key}", value, (int,) if key == "memory_mb" else (int, float))
        if not value > 0:
            raise UsageError(f"{path}: limits.{key} is a positive number, not {value}")
    plain: dict[str, JSON] = {}
    for key, kind in (("design", str), ("samples", int), ("blocks", int), ("retries", int)):
        if key in whole:
            _check_type(f"{path}: {key}", whole[key], (kind,))
            plain[key] = whole[key]
    grid = {name: _levels(f"{path}: grid.{name}", value) for name, value in _leaves(sections["grid"], path).items()}
    ranges = _leaves(sections["ranges"], path)
    for name, value in ranges.items():
        _check_type(f"{path}: ranges.{name}", value, (list,))
        for end in value:
            _check_type(f"{path}: ranges.{name}", end, (int, float))
    return SweepSpec(
        RunSpec(scenario=whole["scenario"], **{"arms": {}, **base}), grid, ranges, **plain, **sections["limits"]
    )


def _leaves(tree: Mapping[str, JSON], path: str) -> dict[str, JSON]:
    """Factors by their dotted name."""
    found: dict[str, JSON] = {}
    for field, value in tree.items():
        _known(str(field), (*BASE, "scenario"), f"{path}: factor")
        default = next(f for f in fields(RunSpec) if f.name == field)
        mapping = field == "arms" or (default.default_factory is not MISSING and default.default_factory is dict)
        if not mapping:
            found[str(field)] = value
        elif isinstance(value, dict):
            found.update({f"{field}.{name}": levels for name, levels in value.items()})
        else:
            raise UsageError(f"{path}: the factor {field} names its entry, such as {field}.main")
    return found


def _levels(where: str, value: JSON) -> list[JSON]:
    """A list as it stands, or the numbers of ``{from, to, step}``, both ends included."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise UsageError(f"{where} is a list of values or {{from, to, step}}, not {value!r:.60}")
    for key in value:
        _known(str(key), ("from", "to", "step"), where)
    try:
        low, high, step = value["from"], value["to"], value.get("step", 1)
    except KeyError as error:
        raise UsageError(f"{where} lacks {error.args[0]!r}; a range is {{from: 100, to: 500, step: 100}}") from None
    for number in (low, high, step):
        _check_type(where, number, (int, float))
        if not abs(number) <= MAX_NUMBER:
            raise UsageError(f"{where}: a range has ends and steps of at most {MAX_NUMBER:g}, not {number!s:.20}")
    if step == 0 or (high - low) / step < 0:
        raise UsageError(f"{where}: steps of {step} do not lead from {low} to {high}")
    steps = (high - low) / step + 1e-9
    if steps >= MAX_LEVELS:
        raise UsageError(
            f"{where} has {steps + 1:,.0f} values, and a factor takes at most {MAX_LEVELS:,}; take longer steps"
        )
    return [low + i * step for i in range(int(steps) + 1)]


def _check_type(where: str, value: JSON, kinds: tuple[type, ...]) -> None:
    if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, kinds):
        words = " or ".join({"str": "text", "dict": "keys"}.get(k.__name__, k.__name__) for k in kinds)
        raise UsageError(f"{where} must be {words}, not {value!r:.60}")
