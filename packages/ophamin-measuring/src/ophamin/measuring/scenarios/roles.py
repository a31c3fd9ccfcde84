"""The field catalog: from a role a scenario asks for to a value in a substrate's raw output.

Three places may say where a role lies, in this order: the caller (``--field``, then settings), the
substrate's own ``fields``, an output key of the role's name. Paths are ``a.b[0].c`` and
``a[?k=='v'].c`` and nothing else; a type and a unit may follow (``timing.ms:number:ms``, see
``declared``). Without a unit what is found is handed over untouched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ophamin.measuring.scenarios.declared import declaration
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult, ScenarioProtocol

__all__ = ["KINDS", "Missing", "RoleReader", "compile_path", "kinds_of", "roles_of"]

JSON = Any

_STEP = re.compile(
    r"(?P<dot>\.)?(?P<key>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|\[(?P<index>-?\d+)\]"
    r"|\[\?(?P<field>[A-Za-z_][A-Za-z0-9_-]*)==(?P<quote>['\"])(?P<value>.*?)(?P=quote)\]"
)
# What instruments measure, and the number of the first cycle a fresh process answered, which the engine adds.
_RESOURCES: Final = ("latency_s", "cpu_s", "rss_bytes", "rss_peak_bytes", "page_faults", "process")
# What a plain function returns arrives as {"output": x}; these roles mean that one value.
_BARE: Final = frozenset({"blocked", "answer", "value"})


def roles_of(scenario: ScenarioProtocol, options: Mapping[str, JSON]) -> dict[str, str]:
    """Roles a scenario reads with these options, and what each means."""
    offered = getattr(scenario, "roles", None)
    return dict(offered(options) if offered is not None else scenario.observables)


class Missing:
    """Why a path led nowhere; never mistaken for a value of the substrate's."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _key(name: str, walked: str) -> Callable[[JSON], JSON]:
    def step(value: JSON) -> JSON:
        if not isinstance(value, Mapping):
            return Missing(f"{walked or 'the output'} is a {type(value).__name__}, not an object with {name!r}")
        if name not in value:
            return Missing(f"{walked or 'the output'} has no {name!r}")
        return value[name]

    return step


def _item(index: int, walked: str) -> Callable[[JSON], JSON]:
    def step(value: JSON) -> JSON:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            return Missing(f"{walked or 'the output'} is a {type(value).__name__}, not a list")
        try:
            return value[index]
        except IndexError:
            return Missing(f"{walked or 'the output'} has {len(value)} items, no [{index}]")

    return step


def _where(field: str, wanted: str, walked: str) -> Callable[[JSON], JSON]:
    def step(value: JSON) -> JSON:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            return Missing(f"{walked or 'the output'} is a {type(value).__name__}, not a list")
        for item in value:
            if isinstance(item, Mapping) and item.get(field) == wanted:
                return item
        return Missing(f"{walked or 'the output'} has no item whose {field} is {wanted!r}")

    return step


def compile_path(path: str) -> Callable[[JSON], JSON]:
    """Turn a path into a function from an output to the value there, or to ``Missing``.

    Args:
        path: ``a.b[0].c`` or ``a[?k=='v'].c``.

    Raises:
        UsageError: It is neither.

    Example:
        >>> compile_path("checks[?name=='waf'].score")({"checks": [{"name": "waf", "score": 0.5}]})
        0.5
    """
    steps: list[Callable[[JSON], JSON]] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        # A key follows a dot, except the first, which follows nothing.
        if not match or (match["key"] is not None and bool(match["dot"]) != (position > 0)):
            raise UsageError(f"{path!r} is not a field path: write a.b[0].c or a[?k=='v'].c")
        walked = path[:position]
        if match["key"] is not None:
            steps.append(_key(match["key"], walked))
        elif match["index"] is not None:
            steps.append(_item(int(match["index"]), walked))
        else:
            steps.append(_where(match["field"], match["value"], walked))
        position = match.end()
    if not steps:
        raise UsageError("a field path is empty: write a.b[0].c or a[?k=='v'].c")
    if len(steps) == 1:
        return steps[0]

    def walk(value: JSON) -> JSON:
        for step in steps:
            value = step(value)
            if value.__class__ is Missing:
                return value
        return value

    return walk


def _is_true_or_false(value: JSON) -> bool:
    return isinstance(value, (int, float)) and value in (0, 1)


def _is_number(value: JSON) -> bool:
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # an integer no float can hold
        return False


KINDS: Final[Mapping[str, tuple[Callable[[JSON], bool], str]]] = {
    "truth": (_is_true_or_false, "neither true nor false, 1 nor 0"),
    "number": (_is_number, "no finite number"),
    "text": (lambda value: isinstance(value, str), "no text"),
    "list": (lambda value: isinstance(value, list), "no list"),
    "object": (lambda value: isinstance(value, Mapping), "no object"),
}
"""What a scenario may ask, or a catalog say, a role to be: the test, and what is said of a value that fails it."""
LONGEST_SHOWN: Final = 60


def kinds_of(scenario: ScenarioProtocol, options: Mapping[str, JSON]) -> dict[str, str]:
    """Role → a key of ``KINDS``, for the roles whose values the scenario only takes in one form."""
    offered = getattr(scenario, "kinds", None)
    return dict(offered(options)) if offered is not None else {}


def _checked(role: str, kind: str, read: Callable[[CycleResult], JSON]) -> Callable[[CycleResult], JSON]:
    fits, words = KINDS[kind]

    def checked(result: CycleResult) -> JSON:
        value = read(result)
        if value is None or value.__class__ is Missing or fits(value):
            return value
        shown = repr(value)
        shown = shown if len(shown) <= LONGEST_SHOWN else f"{shown[: LONGEST_SHOWN - 1]}…"
        return Missing(f"{role!r} is {shown}, {words}")

    return checked


def _resource(role: str) -> Callable[[CycleResult], JSON]:
    def read(result: CycleResult) -> JSON:
        value = result.resources.get(role)
        if value is None and role == "latency_s":
            value = result.wall_s
        if value is None:
            return Missing(
                "the substrate had several cycles in flight, so one has no latency"
                if role == "latency_s"
                else f"no instrument measures {role}; ask for one with --instrument"
            )
        return value

    return read


def _named(role: str) -> Callable[[CycleResult], JSON]:
    bare = role in _BARE

    def read(result: CycleResult) -> JSON:
        output = result.output
        if not isinstance(output, Mapping):
            return Missing(f"the output is a {type(output).__name__}, not an object with {role!r}")
        if role in output:
            return output[role]
        if bare and len(output) == 1 and "output" in output:
            return output["output"]
        return Missing(f"the output has no {role!r}")

    return read


def _pathed(path: str) -> Callable[[CycleResult], JSON]:
    walk = compile_path(path)

    def read(result: CycleResult) -> JSON:
        return walk(result.output)

    return read


def _catalogued(role: str, entry: str) -> Callable[[CycleResult], JSON]:
    path, kind, (factor, divisor) = declaration(role, entry)
    read = _pathed(path)
    if kind:
        read = _checked(role, kind, read)
    if factor == divisor == 1:
        return read

    def scaled(result: CycleResult) -> JSON:
        value = read(result)
        return value if value is None or value.__class__ is Missing else value * factor / divisor

    return scaled


class RoleReader:
    """Reads all roles of one arm from one cycle.

    Args:
        roles: Roles the scenario asks for.
        chosen: Role → path, with type and unit or without, from ``--field`` and settings.
        offered: The same, the substrate's own catalog.
        kinds: Role → a key of ``KINDS``; a value of another form counts as missing.

    Raises:
        UsageError: A path is malformed, or a type or unit makes no sense.

    Example:
        >>> reader = RoleReader(["blocked"], {"blocked": "verdict.is_blocked"}, {})
        >>> reader.read(CycleResult(0, "r", output={"verdict": {"is_blocked": True}}))
        ({'blocked': True}, None)
    """

    def __init__(
        self,
        roles: Sequence[str],
        chosen: Mapping[str, str],
        offered: Mapping[str, str],
        kinds: Mapping[str, str] | None = None,
    ) -> None:
        self.nothing: Mapping[str, JSON] = dict.fromkeys(roles)
        self._readers: list[tuple[str, Callable[[CycleResult], JSON]]] = []
        for role in roles:
            if role in chosen:
                reader = _catalogued(role, chosen[role])
            elif role in _RESOURCES:
                reader = _resource(role)
            elif role in offered:
                reader = _catalogued(role, offered[role])
            else:
                reader = _named(role)
            if kinds and role in kinds:
                reader = _checked(role, kinds[role], reader)
            self._readers.append((role, reader))

    def read(self, result: CycleResult) -> tuple[dict[str, JSON], tuple[str, str] | None]:
        """The values by role; and the first role that is missing with the reasons of all that are, or ``None``."""
        values: dict[str, JSON] = {}
        missing: list[tuple[str, str]] = []
        for role, reader in self._readers:
            value = reader(result)
            if value.__class__ is Missing:
                missing.append((role, value.reason))
            elif value is None:
                # To a scenario None means "no cycle"; an output that says null gave no value either.
                missing.append((role, f"{role!r} is null in the output"))
            else:
                values[role] = value
        if not missing:
            return values, None
        (role, reason), *others = missing
        return values, (role, reason + "".join(f"; nor is there {name!r}: {why}" for name, why in others))
