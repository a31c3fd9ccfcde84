"""Options of scenarios and pillars: named, with a default that fixes the type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.protocols.types import OptionSpec

__all__ = ["typed_options"]

JSON = Any
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def typed_options(owner: str, known: Mapping[str, OptionSpec], given: Mapping[str, JSON]) -> dict[str, JSON]:
    """All options of a plug-in: the given ones, typed by their defaults, and the defaults.

    Args:
        owner: Whose options they are, in words, e.g. ``scenario 'metric'``.
        known: The plug-in's options.
        given: Values by name, as Python values or as words of a command line.

    Raises:
        UsageError: An unknown name (with the nearest one), or a value of another type.

    Example:
        >>> typed_options("pillar 'O.xbar'", {"sigmas": OptionSpec(3.0, "width of the limits")}, {"sigmas": "2"})
        {'sigmas': 2.0}
    """
    for name in given:
        if name not in known:
            from difflib import get_close_matches  # only a typo pays for it

            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known) or 'none'}"
            raise UsageError(f"{owner} has no option {name!r}; {hint}")
    return {k: _typed(k, given[k], s) if k in given else s.default for k, s in known.items()}


def _typed(name: str, value: JSON, spec: OptionSpec) -> JSON:
    default = spec.default
    if default is None or (isinstance(value, type(default)) and not isinstance(value, bool)):
        return value
    kind = type(default)
    if isinstance(value, bool) or isinstance(default, bool):
        if isinstance(value, bool) and isinstance(default, bool):
            return value
        if isinstance(default, bool) and isinstance(value, str) and value.lower() in (*_TRUE, *_FALSE):
            return value.lower() in _TRUE
    elif isinstance(default, float) and isinstance(value, int):
        return float(value)
    elif isinstance(default, (int, float)) and isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            pass
    elif isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        if isinstance(parsed, kind) or (isinstance(default, tuple) and isinstance(parsed, list)):
            return parsed
    elif isinstance(default, (list, tuple)) and isinstance(value, (list, tuple)):
        return value
    raise UsageError(f"option {name!r} is a {kind.__name__}, such as {default!r}; {value!r} is not")
