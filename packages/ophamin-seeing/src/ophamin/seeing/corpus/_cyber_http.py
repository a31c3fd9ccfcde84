"""Files of raw HTTP requests one after the other, as the CSIC 2010 data set has them.

A request is its line, its headers, and, where they give a ``Content-Length``, that many bytes after the empty line;
empty lines lie between requests. Its bytes are kept, less the line end after it. Label: a file whose name begins with
``normal`` is ``benign``, one with ``anomal`` or ``attack`` is ``attack``, any other ``unknown``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ophamin.seeing.corpus._cyber_payload import Payload
from ophamin.seeing.corpus._problems import Problems

__all__ = ["read_requests"]

_LONGEST = 16 << 20
_REQUEST = re.compile(rb"[A-Z]{2,20} \S.*", re.DOTALL)
_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,15})[ \t]*", re.IGNORECASE)
_KINDS = (("normal", "benign", "benign"), ("anomal", "attack", "anomaly"), ("attack", "attack", "attack"))


def read_requests(path: Path, _: str, problems: Problems) -> Iterator[Payload]:
    """Every request of the file, in its order; held one at a time."""
    name = path.name.lower()
    kind, attack_class = next(((k, c) for start, k, c in _KINDS if name.startswith(start)), ("unknown", "unknown"))
    number = 0
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            number += 1
            if not line.strip():
                continue
            if not _is_request(line):
                problems.add(f"{path.name}:{number}", "http: a line outside any request (left out)")
                continue
            began, parts, length = number, [line], 0
            while (line := file.readline(_LONGEST)).strip(b"\r\n"):
                number += 1
                parts.append(line)
                found = _LENGTH.fullmatch(line.rstrip(b"\r\n"))
                length = int(found[1]) if found else length
            number += bool(line)
            if length > _LONGEST:
                problems.add(f"{path.name}:{began}", "http: a body of more than 16 MiB (left out)")
                continue
            if length:
                body = file.read(length)
                if len(body) < length:
                    problems.add(f"{path.name}:{began}", "http: a body that is cut short (left out)")
                    return
                number += body.count(b"\n")
                parts += [line, body]
            yield Payload(b"".join(parts).rstrip(b"\r\n") if not length else b"".join(parts), kind, attack_class, began)


def _is_request(line: bytes) -> bool:
    return b" HTTP/" in line[-20:] and _REQUEST.fullmatch(line) is not None
