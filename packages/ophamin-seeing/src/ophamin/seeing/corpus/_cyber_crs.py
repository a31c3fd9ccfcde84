"""Regression tests of the OWASP Core Rule Set (YAML of go-ftw): each stage's request, labelled by what a rule must do.

The request is written out as it goes over the wire: request line, headers in their order, an empty line, ``data``;
``encoded_request`` is the whole of it in base64 and ``encoded_data`` its body. Nothing is added that the test does not
say (a runner adds ``Content-Length``, for one).

Label: a stage whose output must hold a rule (``expect_ids``, or ``log_contains`` in older files) is an ``attack``; one
that must not (``no_expect_ids``, ``no_log_contains``) is ``benign``, *for the rules it names*: another rule may well
find it hostile. ``meta["rules"]`` names them. Any other stage (a status, an expected error) is ``unknown``.

The files are read event by event: every scalar is text as it stands (``1.0``, ``yes`` and ``0777`` are no numbers),
depth is bounded (the C loader crashes the process on 100,000 open brackets), an alias costs nothing, and no tag makes
an object.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ophamin.seeing.corpus._cyber_payload import Payload
from ophamin.seeing.corpus._problems import Problems

__all__ = ["read_tests"]

_LARGEST = 16 << 20
_DEEPEST = 40
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_CLASSES = {
    "lfi": "path-traversal",
    "rce": "cmdi",
    "sqli": "sqli",
    "xss": "xss",
    "rfi": "rfi",
    "php": "php",
    "java": "java",
}
_FOLDER = re.compile(r"(?:REQUEST|RESPONSE)-\d+-(?:APPLICATION-ATTACK-)?(.+)", re.ASCII)
_RULE = re.compile(r"id \"?(\d+)\"?", re.ASCII)
_REPEAT = re.compile(r'\{\{\s*(?:"([^"{}]*)"\s*\|\s*repeat\s+(\d+)|repeat\s+(\d+)\s+"([^"{}]*)")\s*\}\}', re.ASCII)
_LONGEST = 1 << 20


class _Refused(Exception):
    """Why a file or a stage gives no request."""


def read_tests(path: Path, folder: str, problems: Problems) -> Iterator[Payload]:
    """The request of every stage of every test of a file.

    Args:
        path: The YAML file.
        folder: The folder that names the attack class, e.g. ``REQUEST-941-APPLICATION-ATTACK-XSS``.
        problems: What gave no request is added here.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise _Refused("larger than 16 MiB")
        document = _loaded(path.read_bytes())
        tests = document.get("tests") if isinstance(document, dict) else None
        if not isinstance(tests, list):
            raise _Refused("no list of tests")
    except (_Refused, OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, _Refused) else "no YAML"
        problems.add(f"{path.name}: {' '.join(str(error).split())}", f"crs: a file with {reason} (left out)")
        return
    found = _FOLDER.fullmatch(folder)
    slug = found[1].lower() if found else folder.lower()
    for position, test in enumerate(tests, start=1):
        stages = test.get("stages") if isinstance(test, dict) else None
        number = _text(test.get("test_id", position)) if isinstance(test, dict) else str(position)
        for at, stage in enumerate(stages if isinstance(stages, list) else [None], start=1):
            inner = stage.get("stage", stage) if isinstance(stage, dict) else None  # files before go-ftw nest once more
            try:
                data = _request(inner.get("input") if isinstance(inner, dict) else None)
            except _Refused as error:
                problems.add(f"{path.name}, test {number}, stage {at}", f"crs: {error} (left out)")
                continue
            kind, rules = _verdict(inner.get("output") if isinstance(inner, dict) else None)
            attack_class = _CLASSES.get(slug, slug) if kind == "attack" else kind
            line = getattr(test, "line", 0)
            yield Payload(data, kind, attack_class, line, {"test": number, "stage": at, "rules": rules})


class _Mapping(dict[str, Any]):
    """A YAML mapping that knows its line."""

    line = 0


def _loaded(data: bytes) -> Any:
    stack: list[tuple[Any, list[str]]] = []
    anchors: dict[str, Any] = {}
    root: list[Any] = []
    for event in yaml.parse(data, Loader=_LOADER):
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            stack.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            if isinstance(event, yaml.DocumentEndEvent):
                return root[0] if root else None
            continue
        made: Any
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise _Refused("an alias of nothing")
            made = anchors[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            if event.tag == "tag:yaml.org,2002:binary":
                raise _Refused("a binary scalar")
            made = event.value
        else:
            made = [] if isinstance(event, yaml.SequenceStartEvent) else _Mapping()
            if isinstance(made, _Mapping) and event.start_mark is not None:
                made.line = event.start_mark.line + 1
        if event.anchor and not isinstance(event, yaml.AliasEvent):
            anchors[event.anchor] = made
        _placed(made, stack, root)
        if isinstance(event, yaml.CollectionStartEvent):
            if len(stack) >= _DEEPEST:
                raise _Refused("more than 40 levels")
            stack.append((made, []))
    return None


def _placed(made: Any, stack: list[tuple[Any, list[str]]], root: list[Any]) -> None:
    if not stack:
        root.append(made)
        return
    holder, key = stack[-1]
    if isinstance(holder, list):
        holder.append(made)
    elif key:
        holder[key.pop()] = made
    elif not isinstance(made, str):
        raise _Refused("a key that is no text")
    elif made in holder:
        raise _Refused("a key that stands twice")
    else:
        key.append(made)


def _request(given: Any) -> bytes:
    if not isinstance(given, dict):
        raise _Refused("a stage without input")
    encoded = given.get("encoded_request")
    if encoded:
        return _base64(encoded)
    headers = given.get("headers") or {}
    if not isinstance(headers, dict):
        raise _Refused("headers that are no mapping")
    first = [_text(given.get(key, usual)) for key, usual in (("method", "GET"), ("uri", "/"), ("version", "HTTP/1.1"))]
    lines = [" ".join(first), *(f"{name}: {_text(value)}" for name, value in headers.items()), "", ""]
    body = _base64(given["encoded_data"]) if given.get("encoded_data") else _data(given.get("data", ""))
    return "\r\n".join(lines).encode("utf-8", "surrogatepass") + body


def _data(value: Any) -> bytes:
    if isinstance(value, list):  # older files give lines
        value = "\r\n".join(_text(line) for line in value)
    return _repeated(_text(value)).encode("utf-8", "surrogatepass")


def _repeated(text: str) -> str:
    """``{{ "a" | repeat 5 }}`` filled in, as the runner does; any other braces are payload."""

    def fill(found: re.Match[str]) -> str:
        what, times = (found[1], found[2]) if found[2] else (found[4], found[3])
        if len(times) > 7 or len(what) * int(times) > _LONGEST:
            raise _Refused("a repetition longer than 1 MiB")
        return what * int(times)

    return _REPEAT.sub(fill, text)


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode("".join(_text(value).split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Refused("an encoded request that is no base64") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused("a value that is no text")
    return value


def _verdict(output: Any) -> tuple[str, list[str]]:
    """Kind of a stage, and the rules it is about."""
    output = output if isinstance(output, dict) else {}
    log = output.get("log")
    log = log if isinstance(log, dict) else {}
    for kind, key, old in (("attack", "expect_ids", "log_contains"), ("benign", "no_expect_ids", "no_log_contains")):
        ids = log.get(key)
        if isinstance(ids, list) and ids:
            return kind, [item for item in ids if isinstance(item, str)]
        if found := _RULE.findall(str(output.get(old, ""))[:10_000]):
            return kind, found
    return "unknown", []
