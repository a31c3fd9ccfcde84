"""The grammar of an interface contract, and what counts as a violation of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ophamin.proof.errors import UsageError

__all__ = ["Contract", "shape_of"]

JSON = Any
_TYPES = ("boolean", "string", "integer", "number", "array", "object", "null", "any")
_RANGE = re.compile(r"(?P<name>integer|number)\s+(?P<low>\S+?)\.\.(?P<high>\S+)")


def shape_of(output: JSON) -> JSON:
    """What a contract looks at: field names, types and numbers.

    An object stays an object, a number itself; everything else becomes the name of its type.

    Example:
        >>> shape_of({"blocked": True, "confidence": 0.5, "text": "long", "tags": [1, 2]})
        {'blocked': 'boolean', 'confidence': 0.5, 'text': 'string', 'tags': 'array'}
    """
    if output is None:
        return "null"
    if isinstance(output, bool):
        return "boolean"
    if isinstance(output, (int, float)):
        return output
    if isinstance(output, Mapping):
        return {str(name): shape_of(value) for name, value in output.items()}
    return "string" if isinstance(output, str) else "array"


@dataclass(frozen=True)
class Contract:
    """Fields and their types.

    Args:
        fields: Field name, with ``?`` when it may be absent, → type in words or a nested contract. A type is
            ``boolean``, ``string``, ``integer``, ``number``, ``number LOW..HIGH``, ``integer LOW..HIGH``, ``array``,
            ``object``, ``null`` or ``any``; alternatives are joined by ``|``.
        extra: Whether other fields are allowed.
    """

    fields: Mapping[str, JSON]
    extra: bool = True

    @classmethod
    def read(cls, text: str, *, extra: bool = True) -> Contract:
        """Read a contract from JSON, or from the JSON file at that path.

        Raises:
            UsageError: No such file, not JSON, or an unknown type.

        Example:
            >>> Contract.read('{"blocked": "boolean"}').violations({"blocked": "string"})
            ['blocked is not boolean']
        """
        source = text if text.lstrip().startswith("{") else _file(text)
        try:
            fields = json.loads(source)
        except ValueError as error:
            raise UsageError(
                f"the contract is not JSON ({error}); write {{'field': 'type'}} with double quotes"
            ) from None
        if not isinstance(fields, dict) or not fields:
            raise UsageError('a contract is a JSON object of fields and types, such as {"blocked": "boolean"}')
        contract = cls(fields, extra)
        for _ in contract._walk(fields, ""):
            pass
        return contract

    @property
    def most(self) -> int:
        """The most violations one output can have."""
        per_object = 0 if self.extra else 1
        objects = 1 + sum(1 for _, kind in self._walk(self.fields, "") if isinstance(kind, Mapping))
        return sum(1 for _ in self._walk(self.fields, "")) + per_object * objects

    def violations(self, shape: JSON) -> list[str]:
        """Each violation as ``field is not type``, ``field is missing`` or ``… has other fields``.

        Args:
            shape: Of one output, as :func:`shape_of` gives it.
        """
        return list(self._violations(self.fields, shape, ""))

    def _violations(self, fields: Mapping[str, JSON], shape: JSON, path: str) -> Iterator[str]:
        given = shape if isinstance(shape, Mapping) else {}
        names = set()
        for field, kind in fields.items():
            name = field.removesuffix("?")
            names.add(name)
            if name not in given:
                if name == field:
                    yield f"{path}{name} is missing"
            elif isinstance(kind, Mapping):
                if isinstance(given[name], Mapping):
                    yield from self._violations(kind, given[name], f"{path}{name}.")
                else:
                    yield f"{path}{name} is not object"
            elif not any(test(given[name]) for test in _tests(kind)):
                yield f"{path}{name} is not {kind}"
        if not isinstance(shape, Mapping) and all(field.endswith("?") for field in fields):
            yield "the output is not object"
        if not self.extra and set(given) - names:
            yield f"{path.removesuffix('.') or 'the output'} has other fields"

    def _walk(self, fields: Mapping[str, JSON], path: str) -> Iterator[tuple[str, JSON]]:
        for field, kind in fields.items():
            yield f"{path}{field}", kind
            if isinstance(kind, Mapping):
                yield from self._walk(kind, f"{path}{field}.")
            elif isinstance(kind, str):
                _tests(kind)
            else:
                raise UsageError(f"the contract gives {path}{field} the type {kind!r}; a type is one of {_known()}")


def _file(text: str) -> str:
    path = Path(text).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the contract {text!r} is neither JSON nor a file that can be read ({error})") from None


def _known() -> str:
    return ", ".join(_TYPES) + ", number LOW..HIGH, integer LOW..HIGH, alternatives joined by |"


def _tests(kind: str) -> list[Callable[[JSON], bool]]:
    return [_test(word.strip()) for word in kind.split("|")]


def _test(word: str) -> Callable[[JSON], bool]:
    match = _RANGE.fullmatch(word)
    if match:
        name, low, high = match["name"], _end(match["low"], word), _end(match["high"], word)
        if not low <= high:
            raise UsageError(f"the contract's {word!r} is empty: write the lower end first")
        return lambda shape: _is(name, shape) and low <= shape <= high
    if word not in _TYPES:
        near = get_close_matches(word, _TYPES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"no type of a contract is called {word!r}; {hint}types: {_known()}")
    return lambda shape: _is(word, shape)


def _end(text: str, word: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise UsageError(f"the contract's {word!r} has an end that is no number: write number 0..1")
    return value


def _is(name: str, shape: JSON) -> bool:
    if name == "any":
        return True
    if name in ("number", "integer"):
        whole = isinstance(shape, int)
        return whole or (name == "number" and isinstance(shape, float))
    if name == "object":
        return isinstance(shape, Mapping)
    return bool(shape == name)
