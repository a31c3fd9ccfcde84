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
crs                     ``crs*/`` or ``coreruleset*/``,   by rule: ``expect_ids``, ``no_expect_ids``; whole requests,
                        ``**/*.yaml``                     see ``_cyber_crs``
http                    ``csic*/`` or ``http*/``,         file name: ``normal*`` benign, ``anomal*`` attack, else
                        ``**/*.txt``                      unknown; whole requests, see ``_cyber_http``
======================  ================================  =========================================================
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from ophamin.seeing.corpus._cyber_http import read_requests
from ophamin.seeing.corpus._cyber_payload import Payload, Reader
from ophamin.seeing.corpus._problems import Problems

__all__ = ["REQUEST_SOURCES", "SOURCES", "source_files"]

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


def _class_of(folder: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    return _CLASSES.get(slug, slug)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    # Only \n ends a line: payloads hold every other separator on purpose.
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)  # no part of the first payload
            yield number, line.removesuffix(b"\n").removesuffix(b"\r")


def _httpparams(path: Path, _: str, problems: Problems) -> Iterator[Payload]:
    csv.field_size_limit(_FIELD_LIMIT)
    # Latin-1 maps every byte to one character and back, so the fields' bytes survive the parser.
    with path.open(encoding="latin-1", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = next(rows, [])
            if header and header[0].startswith("ï»¿"):  # a byte order mark, as Latin-1 shows it
                header[0] = header[0].removeprefix("ï»¿").strip('"')
            if header != ["payload", "length", "attack_type", "label"]:
                problems.add(path.name, "httpparams: header is not payload,length,attack_type,label")
                return
            for row in rows:
                where = f"{path.name}:{rows.line_num}"
                if len(row) != 4:
                    problems.add(where, "httpparams: row without four fields")
                    continue
                text, length, attack_type, label = row
                data = text.encode("latin-1")
                if length != str(len(data)) and length != str(len(data.decode("utf-8", "replace"))):
                    problems.add(where, "httpparams: length column disagrees (row kept)")
                kind = _KINDS.get(label, "unknown")
                attack_class = _CLASSES.get(attack_type, attack_type) if kind != "unknown" else kind
                yield Payload(data, kind, attack_class, rows.line_num)
        except csv.Error as error:
            problems.add(f"{path.name}:{rows.line_num + 1}: {error}", "httpparams: the table breaks off")


def _libinjection(path: Path, _: str, problems: Problems) -> Iterator[Payload]:
    prefix = path.name.partition("-")[0]
    if path.name == "false_positives.txt":
        kind, attack_class = "benign", "benign"
    else:
        kind, attack_class = ("attack", prefix) if prefix in ("sqli", "xss") else ("unknown", "unknown")
    for number, line in _lines(path):
        if line and not line.startswith(b"#"):
            yield Payload(unquote_to_bytes(line.replace(b"+", b" ")), kind, attack_class, number)


def _crs(path: Path, folder: str, problems: Problems) -> Iterator[Payload]:
    from ophamin.seeing.corpus._cyber_crs import read_tests

    return read_tests(path, folder, problems)


def _attack_list(path: Path, folder: str, _: Problems) -> Iterator[Payload]:
    for number, line in _lines(path):
        yield Payload(line, "attack", _class_of(folder), number)


def _fuzzdb(path: Path, folder: str, problems: Problems) -> Iterator[Payload]:
    return (p for p in _attack_list(path, folder, problems) if not p.data.startswith(b"# "))


SOURCES: dict[str, Reader] = {
    "httpparams": _httpparams,
    "libinjection": _libinjection,
    "payloadsallthethings": _attack_list,
    "seclists": _attack_list,
    "fuzzdb": _fuzzdb,
    "crs": _crs,
    "http": read_requests,
}

REQUEST_SOURCES = ("crs", "http")
"""Whole requests, not single inputs."""

# Folder (lower case, by prefixes), pattern below it, and which part of the path names the class.
_LISTS = {
    "libinjection": (("libinjection",), "*.txt", 0),
    "payloadsallthethings": (("payloadsallthethings",), "*/Intruder*/*", 0),
    "seclists": (("seclists",), "Fuzzing/*/**/*.txt", 1),
    "fuzzdb": (("fuzzdb",), "attack/*/**/*.txt", 1),
    "crs": (("crs", "coreruleset"), "**/tests/*/*.yaml", -2),
    "http": (("csic", "http-requests"), "**/*.txt", 0),
}


def source_files(root: Path) -> dict[str, list[tuple[Path, str]]]:
    """Files of every source below ``root``, sorted, each with the folder that names its class."""
    found: dict[str, list[tuple[Path, str]]] = {}
    tables = {p for depth in ("", "*/", "*/*/") for p in root.glob(f"{depth}payload_*.csv")}
    if tables:
        found["httpparams"] = [(path, "") for path in sorted(tables)]
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        for source, (prefixes, pattern, level) in _LISTS.items():
            if not folder.name.lower().startswith(prefixes):
                continue
            for path in sorted(folder.glob(pattern)):
                if path.is_file() and not path.name.endswith(".doc.txt"):
                    found.setdefault(source, []).append((path, path.relative_to(folder).parts[level]))
    return found
