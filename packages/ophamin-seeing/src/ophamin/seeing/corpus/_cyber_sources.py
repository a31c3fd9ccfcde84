"""Readers of public payload collections, each in its genuine layout; every one yields the payload's own bytes.

======================  ================================  =========================================================
source                  where                             label
======================  ================================  =========================================================
httpparams              ``payload_*.csv``, ≤ 3 deep       columns ``attack_type`` and ``label`` (norm, anom)
libinjection            ``libinjection*/*.txt``           file name: ``sqli-*``, ``xss-*`` attacks,
                                                          ``false_positives.txt`` benign; lines are URL-encoded,
                                                          empty ones and ones that begin with ``#`` are ignored
payloadsallthethings    ``<Class>/Intruder*/*``           all attacks of the folder's class
seclists                ``Fuzzing/<Class>/**/*.txt``      all attacks of the folder's class
fuzzdb                  ``attack/<class>/**/*.txt``       all attacks of the folder's class; ``# `` begins a comment
======================  ================================  =========================================================
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

__all__ = ["SOURCES", "Payload", "source_files"]

_KINDS = {"norm": "benign", "anom": "attack"}
_CLASSES = {
    "norm": "benign",
    "sql-injection": "sqli",
    "xss-injection": "xss",
    "command-injection": "cmdi",
    "directory-traversal": "path-traversal",
    "lfi": "path-traversal",
}
_FIELD_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload as a source gives it, before duplicates are taken out."""

    data: bytes
    kind: str
    attack_class: str
    line: int


Reader = Callable[[Path, str, "Counter[str]"], Iterator[Payload]]


def _class_of(folder: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    return _CLASSES.get(slug, slug)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    # Only \n ends a line: payloads hold every other separator on purpose.
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.removesuffix(b"\n").removesuffix(b"\r")


def _httpparams(path: Path, _: str, problems: Counter[str]) -> Iterator[Payload]:
    csv.field_size_limit(_FIELD_LIMIT)
    # Latin-1 maps every byte to one character and back, so the fields' bytes survive the parser.
    with path.open(encoding="latin-1", newline="") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        if header != ["payload", "length", "attack_type", "label"]:
            problems["httpparams: header is not payload,length,attack_type,label"] += 1
            return
        for row in rows:
            if len(row) != 4:
                problems["httpparams: row without four fields"] += 1
                continue
            text, length, attack_type, label = row
            if label not in _KINDS:
                problems["httpparams: label is neither norm nor anom"] += 1
                continue
            data = text.encode("latin-1")
            if length != str(len(data)) and length != str(len(data.decode("utf-8", "replace"))):
                problems["httpparams: length column disagrees (row kept)"] += 1
            yield Payload(data, _KINDS[label], _CLASSES.get(attack_type, attack_type), rows.line_num)


def _libinjection(path: Path, _: str, problems: Counter[str]) -> Iterator[Payload]:
    prefix = path.name.partition("-")[0]
    benign = path.name == "false_positives.txt"
    if not benign and prefix not in ("sqli", "xss"):
        problems["libinjection: file name says no label"] += 1
        return
    kind, attack_class = ("benign", "benign") if benign else ("attack", prefix)
    for number, line in _lines(path):
        if line and not line.startswith(b"#"):
            yield Payload(unquote_to_bytes(line.replace(b"+", b" ")), kind, attack_class, number)


def _attack_list(path: Path, folder: str, _: Counter[str]) -> Iterator[Payload]:
    for number, line in _lines(path):
        yield Payload(line, "attack", _class_of(folder), number)


def _fuzzdb(path: Path, folder: str, problems: Counter[str]) -> Iterator[Payload]:
    return (p for p in _attack_list(path, folder, problems) if not p.data.startswith(b"# "))


SOURCES: dict[str, Reader] = {
    "httpparams": _httpparams,
    "libinjection": _libinjection,
    "payloadsallthethings": _attack_list,
    "seclists": _attack_list,
    "fuzzdb": _fuzzdb,
}

# Folder (lower case, by prefix) and pattern below it; the first * alone is the folder that names the class.
_LISTS = {
    "libinjection": ("libinjection", "*.txt"),
    "payloadsallthethings": ("payloadsallthethings", "*/Intruder*/*"),
    "seclists": ("seclists", "Fuzzing/*/**/*.txt"),
    "fuzzdb": ("fuzzdb", "attack/*/**/*.txt"),
}


def source_files(root: Path) -> dict[str, list[tuple[Path, str]]]:
    """Files of every source below ``root``, sorted, each with the folder that names its class."""
    found: dict[str, list[tuple[Path, str]]] = {}
    tables = {p for depth in ("", "*/", "*/*/") for p in root.glob(f"{depth}payload_*.csv")}
    if tables:
        found["httpparams"] = [(path, "") for path in sorted(tables)]
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        for source, (prefix, pattern) in _LISTS.items():
            if not folder.name.lower().startswith(prefix):
                continue
            for path in sorted(folder.glob(pattern)):
                if path.is_file() and not path.name.endswith(".doc.txt"):
                    level = pattern.split("/").index("*") if "/" in pattern else 0
                    found.setdefault(source, []).append((path, path.relative_to(folder).parts[level]))
    return found
