"""A JSON schema as one compiled function that says yes or no.

Core's interpreter finds the words for what is wrong and takes its time; of a hundred thousand records nearly all fit.
Whatever this predicate refuses is put before the interpreter, so the two may differ only in one direction, and a
property test holds them together in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ophamin.proof.errors import UsageError

__all__ = ["predicate"]

JSON = Any
Schema = Mapping[str, JSON]

_TYPES = {
    "object": "type({v}) is dict",
    "array": "type({v}) is list",
    "string": "type({v}) is str",
    "boolean": "type({v}) is bool",
    "null": "{v} is None",
    "number": "(type({v}) is float or type({v}) is int)",
    "integer": "(type({v}) is int or (type({v}) is float and {v}.is_integer()))",
}
_BOUNDS = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
_LENGTHS = {
    "minLength": ("str", ">="),
    "maxLength": ("str", "<="),
    "minItems": ("list", ">="),
    "maxItems": ("list", "<="),
}
_ANNOTATIONS = {"$schema", "$id", "$comment", "$defs", "title", "description", "examples", "default"}
_INSIDE = {"required", "properties", "additionalProperties", "items"}


def predicate(schema: Schema) -> Callable[[JSON], bool]:
    """Compile a record schema.

    Args:
        schema: Draft 2020-12 as record schemas use it; ``$ref`` into its own ``$defs``.

    Returns:
        A function of what ``json`` read: true when it fits, as ``ophamin.proof.schemas.violations`` finds nothing.

    Raises:
        UsageError: The schema uses a keyword that is not compiled.

    Example:
        >>> fits = predicate({"type": "object", "required": ["n"], "properties": {"n": {"minimum": 1}}})
        >>> fits({"n": 1}), fits({"n": 0}), fits({})
        (True, False, False)
    """
    return _Compiler(schema).function()


class _Compiler:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._names: dict[str, str] = {}
        self._count = 0
        self._source: list[str] = []
        self._values: dict[str, JSON] = {"_absent": object()}

    def function(self) -> Callable[[JSON], bool]:
        """The compiled root."""
        test = self._test(self._root, "v")
        self._source.append(f"def _root(v):\n    return {test}")
        # Source that was made from the schema file shipped with us, and from nothing that is read later.
        exec("\n".join(self._source), self._values)
        compiled: Callable[[JSON], bool] = self._values["_root"]
        return compiled

    def _test(self, schema: Schema | bool, v: str) -> str:
        """An expression over the variable ``v``."""
        if isinstance(schema, bool):
            return str(schema)
        tests = []
        # The type first: what follows may then rely on it.
        for keyword, rule in sorted(schema.items(), key=lambda item: item[0] != "type"):
            if keyword in _ANNOTATIONS or keyword in _INSIDE:
                continue
            tests.append(f"({self._keyword(keyword, rule, v, schema.get('type'))})")
        if _INSIDE & schema.keys():
            tests.append(f"{self._inside(schema)}({v})")
        return " and ".join(tests) or "True"

    def _keyword(self, keyword: str, rule: JSON, v: str, kind: JSON) -> str:
        """The test of one keyword; ``kind`` is the type that was asked for before, so that it is not asked again."""
        if keyword == "type":
            return " or ".join(_TYPES[name].format(v=v) for name in ([rule] if isinstance(rule, str) else rule))
        if keyword == "$ref":
            name = rule.removeprefix("#/$defs/")
            target = self._root["$defs"][name]
            if isinstance(target, dict) and not {"$ref", "anyOf", "allOf", *_INSIDE} & target.keys():
                return self._test(target, v)
            if name not in self._names:
                self._names[name] = f"_def{len(self._names)}"
                test = self._test(target, "v")
                self._source.append(f"def {self._names[name]}(v):\n    return {test}")
            return f"{self._names[name]}({v})"
        if keyword == "pattern":
            test = f"{self._value(re.compile(rule).search)}({v}) is not None"
            return test if kind == "string" else f"type({v}) is not str or {test}"
        if keyword in _BOUNDS:
            test = f"{v} {_BOUNDS[keyword]} {self._value(rule)}"
            if kind in ("integer", "number"):
                return test
            if kind in (["integer", "null"], ["number", "null"]):
                return f"{v} is None or {test}"
            return f"not {_TYPES['number'].format(v=v)} or {test}"
        if keyword in _LENGTHS:
            container, sign = _LENGTHS[keyword]
            test = f"len({v}) {sign} {self._value(rule)}"
            asked = {"str": "string", "list": "array"}[container]
            return test if kind == asked else f"type({v}) is not {container} or {test}"
        if keyword in ("enum", "const"):
            return self._choice(rule if keyword == "enum" else [rule], v)
        if keyword in ("anyOf", "allOf"):
            word = " or " if keyword == "anyOf" else " and "
            return word.join(f"({self._test(sub, v)})" for sub in rule)
        raise UsageError(f"the schema keyword {keyword!r} is not compiled; ask ophamin.proof.schemas.violations")

    def _choice(self, choices: list[JSON], v: str) -> str:
        if all(choice is None or isinstance(choice, str) for choice in choices):
            return f"{v} in {self._value(tuple(choices))}"
        # JSON equality: 1 equals 1.0, and neither equals true.
        same = (f"isinstance({v}, bool) == {isinstance(c, bool)} and {v} == {self._value(c)}" for c in choices)
        return " or ".join(f"({test})" for test in same)

    def _inside(self, schema: Schema) -> str:
        """A function over what an object or array holds; anything else passes, its type is asked elsewhere."""
        self._count += 1
        name = f"_inside{self._count}"
        lines = [f"def {name}(o):"]
        if "required" in schema or "properties" in schema or "additionalProperties" in schema:
            lines += ["    if type(o) is dict:", *self._members(schema)]
        if "items" in schema:
            test = self._test(schema["items"], "v")
            lines += ["    if type(o) is list:", "        for v in o:", f"            if not ({test}): return False"]
        self._source.append("\n".join([*lines, "    return True"]))
        return name

    def _members(self, schema: Schema) -> list[str]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        lines = ["        get = o.get"]
        for key in dict.fromkeys([*required, *properties]):
            lines.append(f"        v = get({key!r}, _absent)")
            test = self._test(properties.get(key, True), "v")
            absent = "v is _absent or" if key in required else "v is not _absent and"
            lines.append(f"        if {absent} not ({test}): return False")
        if "additionalProperties" in schema:
            known = self._value(frozenset(properties))
            test = self._test(schema["additionalProperties"], "v")
            lines += [
                "        for key, v in o.items():",
                f"            if key not in {known} and not ({test}): return False",
            ]
        return lines

    def _value(self, value: JSON) -> str:
        if type(value) is int:
            return repr(value)
        name = f"_v{len(self._values)}"
        self._values[name] = value
        return name
