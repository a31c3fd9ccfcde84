"""JSON Schema (draft 2020-12) for records: the shipped files, and a small interpreter of the keywords used.

The reader and the published schema cannot disagree, because the reader interprets that very file. The
interpreter knows what record schemas need and refuses any other keyword; a property test holds it against
``jsonschema``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ophamin.proof.errors import UsageError

__all__ = ["load_schema", "violations"]

JSON = Any
Schema = Mapping[str, JSON]

_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "$defs", "title", "description", "examples", "default"})
_MAX_VIOLATIONS = 20


@cache
def load_schema(path: Path) -> dict[str, JSON]:
    """Load a schema file shipped beside a module; read once. importlib.resources costs more than the file."""
    schema: dict[str, JSON] = json.loads(path.read_bytes())
    return schema


def violations(instance: JSON, schema: Schema) -> list[str]:
    """Everything in which ``instance`` breaks ``schema``; at most twenty sentences, none when it is valid.

    Args:
        instance: Plain JSON values.
        schema: Draft 2020-12, with the keywords of ``KEYWORDS`` and ``$ref`` into its own ``$defs``.

    Raises:
        UsageError: The schema uses another keyword.

    Example:
        >>> violations({"n": 0}, {"properties": {"n": {"minimum": 1}}})
        ['n: 0 is less than 1']
    """
    found: list[str] = []
    for violation in _walk(instance, schema, schema, ""):
        found.append(violation)
        if len(found) == _MAX_VIOLATIONS:
            break
    return found


def _walk(instance: JSON, schema: Schema | bool, root: Schema, path: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{path or 'the record'}: not allowed"
        return
    for keyword, rule in schema.items():
        check = KEYWORDS.get(keyword)
        if check is not None:
            yield from check(instance, rule, schema, root, path)
        elif keyword not in _ANNOTATIONS:
            raise UsageError(f"this reader does not know the schema keyword {keyword!r}; use jsonschema for it")


def _is_number(value: JSON) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[JSON], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": _is_number,
    # Draft 2020-12: a number without a fractional part is an integer, however it is written.
    "integer": lambda v: _is_number(v) and (isinstance(v, int) or v.is_integer()),
}


def _type(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    names = [rule] if isinstance(rule, str) else rule
    if not any(_TYPES[name](instance) for name in names):
        yield f"{path or 'the record'}: {_show(instance)} is not {' or '.join(names)}"


def _required(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if isinstance(instance, dict):
        yield from (f"{path or 'the record'}: {name!r} is missing" for name in rule if name not in instance)


def _properties(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if isinstance(instance, dict):
        for name, sub in rule.items():
            if name in instance:
                yield from _walk(instance[name], sub, root, f"{path}.{name}" if path else name)


def _additional(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if isinstance(instance, dict):
        known = schema.get("properties", {})
        for name, value in instance.items():
            if name not in known:
                yield from _walk(value, rule, root, f"{path}.{name}" if path else name)


def _items(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if isinstance(instance, list):
        for index, value in enumerate(instance):
            yield from _walk(value, rule, root, f"{path}[{index}]")


def _any_of(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    reasons = [next(_walk(instance, sub, root, path), None) for sub in rule]
    if None not in reasons:
        yield " or ".join(str(r) for r in reasons)


def _all_of(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    for sub in rule:
        yield from _walk(instance, sub, root, path)


def _ref(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if not rule.startswith("#/$defs/"):
        raise UsageError(f"this reader follows references into $defs only, not {rule!r}")
    yield from _walk(instance, root["$defs"][rule[len("#/$defs/") :]], root, path)


def _enum(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if not any(_same(instance, choice) for choice in rule):
        yield f"{path}: {_show(instance)} is none of {', '.join(map(str, rule))}"


def _const(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if not _same(instance, rule):
        yield f"{path}: {_show(instance)} is not {rule!r}"


def _pattern(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
    if isinstance(instance, str) and not re.search(rule, instance):
        yield f"{path}: {_show(instance)} does not match {rule}"


def _bound(
    holds: Callable[[JSON, JSON], bool], applies: Callable[[JSON], bool], size: Callable[[JSON], JSON], words: str
) -> Callable[[JSON, JSON, Schema, Schema, str], Iterator[str]]:
    def check(instance: JSON, rule: JSON, schema: Schema, root: Schema, path: str) -> Iterator[str]:
        if applies(instance) and not holds(size(instance), rule):
            yield f"{path}: {_show(instance)} {words} {rule}"

    return check


def _same(left: JSON, right: JSON) -> bool:
    """JSON equality of scalars: 1 equals 1.0, and neither equals true."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _show(value: JSON) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    return json.dumps(value, ensure_ascii=False)[:60]


def _itself(value: JSON) -> JSON:
    return value


KEYWORDS: dict[str, Callable[[JSON, JSON, Schema, Schema, str], Iterator[str]]] = {
    "$ref": _ref,
    "type": _type,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _any_of,
    "allOf": _all_of,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "minimum": _bound(lambda v, r: v >= r, _is_number, _itself, "is less than"),
    "maximum": _bound(lambda v, r: v <= r, _is_number, _itself, "is more than"),
    "exclusiveMinimum": _bound(lambda v, r: v > r, _is_number, _itself, "is not more than"),
    "exclusiveMaximum": _bound(lambda v, r: v < r, _is_number, _itself, "is not less than"),
    "minItems": _bound(lambda v, r: v >= r, _TYPES["array"], len, "has fewer items than"),
    "maxItems": _bound(lambda v, r: v <= r, _TYPES["array"], len, "has more items than"),
    "minLength": _bound(lambda v, r: v >= r, _TYPES["string"], len, "is shorter than"),
    "maxLength": _bound(lambda v, r: v <= r, _TYPES["string"], len, "is longer than"),
}
"""The keywords this reader interprets."""
