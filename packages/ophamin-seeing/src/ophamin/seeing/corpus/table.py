"""``table:rows.csv``: the user's own CSV, TSV or JSON lines, by column name."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from ophamin.proof.errors import UsageError
from ophamin.protocols import Availability, DatasetInfo, Record
from ophamin.seeing._params import nearest
from ophamin.seeing.corpus._base import data_root_of, foreign, require
from ophamin.seeing.corpus._csv_batches import BrokenRow, batches, open_text
from ophamin.seeing.corpus._hashing import file_sha256
from ophamin.seeing.corpus._problems import Problems
from ophamin.seeing.corpus._streamed import StreamedCorpus
from ophamin.seeing.corpus._table_cells import column_values, content_ids

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["TableCorpus"]

_HOW = "name a file of your own: table:rows.csv?text=prompt&label=answer"
_YOURS = "that of your file"
PAYLOAD_NAMES = ("text", "prompt", "payload", "input")
# What JSON can say and no record can hold, or looks like it.
_SUSPECT = re.compile(r"\\u[dD][89a-fA-F]|[eE]\+?0*[1-9]\d\d|\d{300}", re.ASCII)
_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


class TableCorpus(StreamedCorpus):
    """Rows of one file; each row is a record.

    ``*.csv`` and ``*.tsv`` have a header line; ``*.jsonl`` and ``*.ndjson`` one object a line; each may end in ``.gz``.
    Text is UTF-8. Columns that are neither payload, id nor group become labels, the label column as ``label``, so a
    recorded ``value`` or ``confidence`` can be used too. In CSV such a cell is read as a number where it is spelled as
    JSON spells one, ``true``/``false`` as a boolean, an empty one as ``None``; payload, id, group and label stay text.
    JSON values stay what they are.

    A row with too few or too many fields, and a line that is no JSON object with a payload, give no record and are
    counted in ``problems()``. What leaves open where the rows after it begin or what they say (a quote that does not
    close, a damaged gzip file, text that is not UTF-8, an id that comes twice) is an error that names the line.

    Args:
        arg: Path of the file, relative to the working folder or else the data root.
        data_root: Second place to look.
        text: Payload column; default ``text``, ``prompt``, ``payload`` or ``input``, or the only column.
        label: Column of the right answer; default ``label`` where there is one.
        id: Column of unique ids; default ``id`` where there is one, else made of the row's content, so that a
            row keeps its id when rows are added, removed or reordered.
        group: Column of the unit of resampling (author, session, template).
        sep: Separator of a CSV file, a character or ``tab``; default by the file's ending.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rows.csv"
        >>> _ = path.write_text("prompt,answer,value\\n2+2,4,0.5\\n", encoding="utf-8")
        >>> [record] = TableCorpus(str(path), label="answer").records()
        >>> record.payload, dict(record.labels)
        ('2+2', {'label': '4', 'value': 0.5})
    """

    name = "table"
    folders: Sequence[str] = ()
    sample_licence = "CC0-1.0"
    """Of what ``write_sample`` writes; the licence of any other table is its owner's."""

    def __init__(
        self,
        arg: str = "",
        data_root: Path | None = None,
        *,
        text: str = "",
        label: str = "",
        id: str = "",
        group: str = "",
        sep: str = "",
    ) -> None:
        self._arg = arg
        self._columns = {"text": text, "label": label, "id": id, "group": group}
        self._sep = _SEPARATORS.get(sep, sep)
        if len(self._sep) > 1:
            raise UsageError(f"sep={sep}: one character, or one of {', '.join(_SEPARATORS)}")
        places = [Path(arg).expanduser()] if arg else []
        root = data_root_of(data_root)
        if places and root is not None and not places[0].is_absolute():
            places.append(root / arg)
        self._places = places
        self._path = next((p for p in places if p.exists()), places[0] if places else Path())
        self._suffix = (self._path.with_suffix("") if self._path.suffix == ".gz" else self._path).suffix.lower()
        self._is_json = self._suffix in (".jsonl", ".ndjson")
        self._line = 0  # last one read
        self._used: dict[str, str] = {}  # roles → columns, of the last pass

    def availability(self) -> Availability:
        """Whether the file is there and looks like a table."""
        looked = tuple(map(str, self._places)) or ("no place, because no file is named",)
        if not self._arg or not self._path.exists():
            return Availability("absent", looked, "", _HOW, _YOURS, _YOURS)
        expected = "a gzip archive" if self._path.suffix == ".gz" else "text"
        wrong = f"{self._path} is a folder" if self._path.is_dir() else foreign(self._path, expected)
        found = wrong or f"{self._path.stat().st_size} bytes"
        return Availability("wrong" if wrong else "ok", looked, found, _HOW, _YOURS, _YOURS)

    def table(self) -> DataFrame:
        """All rows as a pandas ``DataFrame`` under the file's own column names.

        Payload, id, group and label stay text. Any other column of a CSV file has the one type that holds all of it, as
        pandas finds it: a column in which some cells are numbers and others words is text as a whole, and ``007`` in
        a column of numbers is 7.

        Raises:
            CorpusUnavailable: No such file, or it is no table.
            UsageError: As for ``records()``.
        """
        from ophamin.seeing.corpus._table_frame import from_rows, quick

        require(f"table:{self._arg}", self.availability())
        header = [] if self._is_json else self._header()
        if header:
            roles = self._roles(header)
            text = [name for name in roles.values() if name]
            made = quick(self._path, header, self._separator, text, roles["id"])
            if made is not None:
                return made
        rows = [self._row(record) for record in self.records()]
        return from_rows(rows, header)

    def content_hash(self) -> str:
        """``sha256:…`` of the file's (uncompressed) bytes."""
        require(f"table:{self._arg}", self.availability())
        return f"sha256:{file_sha256(self._path)}"

    def describe(self) -> DatasetInfo:
        """The file and its size; its licence is its owner's."""
        size = self._path.stat().st_size if self._arg and self._path.is_file() else None
        return DatasetInfo(self.name, "table", str(self._path), "its owner's", size_bytes=size)

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write ``rows.csv``: 200 generated sums with their answers, a recorded answer, its value and confidence."""
        rng = random.Random(seed)
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "rows.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "text", "label", "group", "answer", "value", "confidence"])
            for number in range(1, 201):
                a, b = rng.randrange(100), rng.randrange(100)
                answer = a + b + (rng.random() < 0.1)
                row = [f"q{number}", f"{a} + {b}", a + b, f"tens-{a // 10}", answer, answer - a - b]
                writer.writerow([*row, round(rng.uniform(0.5, 1), 3)])
        return directory

    def _fail(self, line: int, reason: str) -> NoReturn:
        raise UsageError(f"{self._path} line {line}: {reason}")

    @property
    def _separator(self) -> str:
        return self._sep or ("\t" if self._suffix in (".tsv", ".tab") else ",")

    def _header(self) -> list[str]:
        try:
            with open_text(self._path) as file:
                found = (row for _, rows in batches(file, self._separator) for row in rows if row)
                header = next(found, [])
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, BrokenRow):
            return []  # said by the pass over the rows
        return header if len(set(header)) == len(header) else []

    def _read(self, problems: Problems) -> Iterator[Record]:
        """All rows in the file's order, read lazily; only the ids are held, to refuse one that comes twice.

        Raises:
            CorpusUnavailable: No such file, or it is no table.
            UsageError: A column that does not exist, an id that comes twice, text that is not UTF-8 or cannot be
                split into rows; with the line.
        """
        require(f"table:{self._arg}", self.availability())
        self._line = 0
        try:
            with open_text(self._path) as file:
                yield from (self._json_records if self._is_json else self._csv_records)(file, problems)
        except UnicodeDecodeError:
            self._fail(_undecodable(self._path), "not UTF-8 text; convert the file, e.g. by iconv -f latin1 -t utf-8")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self._fail(self._line + 1, f"the gzip file is damaged ({error})")
        except BrokenRow as error:
            self._fail(error.line, str(error))

    def _json_records(self, file: IO[str], problems: Problems) -> Iterator[Record]:
        seen: dict[str, int] = {}
        roles: dict[str, str] = {}
        for line, row in self._json_rows(file, problems):
            self._line = line
            roles = self._used = roles or self._roles(list(row))
            if row.get(roles["text"]) is None:
                problems.add(f"line {line}", "no value in the payload column (left out)")
                continue
            named = row.get(roles["id"]) if roles["id"] else _content_id(row)
            name = "" if named is None else str(named)
            yield self._record(roles, row, line, self._unique(name, line, seen, bool(roles["id"])))

    def _unique(self, name: str, line: int, seen: dict[str, int], named: bool) -> str:
        seen[name] = times = seen.get(name, 0) + 1
        if times > 1 and named:
            self._fail(line, f"the id {name!r} comes twice; name another column by id=")
        if not name:
            self._fail(line, f"no value in the column {self._used['id']!r}")
        return name if times == 1 else f"{name}-{times}"

    def _json_rows(self, file: IO[str], problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text, parse_constant=_refuse_constant)
            except (ValueError, RecursionError):
                problems.add(f"line {line}", "a line that is not JSON (left out)")
                continue
            if not isinstance(row, dict):
                problems.add(f"line {line}", "a line that is no JSON object (left out)")
                continue
            if _SUSPECT.search(text) and not _recordable(row):
                problems.add(f"line {line}", "half a character or a number beyond all floats (left out)")
                continue
            yield line, row

    def _csv_records(self, file: IO[str], problems: Problems) -> Iterator[Record]:
        header: list[str] = []
        roles: dict[str, str] = {}
        seen: dict[str, int] = {}
        identifier = content_ids(())
        for lines, rows in batches(file, self._separator):
            if not header:
                first = next((place for place, row in enumerate(rows) if row), len(rows) - 1)  # empty lines before it
                header, lines, rows = rows[first], lines[first + 1 :], rows[first + 1 :]
                twice = {name for name in header if header.count(name) > 1}
                if twice:
                    self._fail(1, f"the column {min(twice)!r} comes twice")
                if not header:
                    continue
                identifier = content_ids(header)
            if set(map(len, rows)) - {len(header)}:
                pairs = [pair for pair in zip(lines, rows, strict=True) if pair[1]]
                for line, row in pairs:
                    if len(row) != len(header):
                        problems.add(
                            f"line {line}", f"a row that has not the {len(header)} fields of the header (left out)"
                        )
                pairs = [pair for pair in pairs if len(pair[1]) == len(header)]
                lines, rows = [line for line, _ in pairs], [row for _, row in pairs]
            if rows:
                roles = self._used = roles or self._roles(header)
                ids = (
                    list(map(identifier, rows)) if not roles["id"] else [row[header.index(roles["id"])] for row in rows]
                )
                yield from self._batch(header, roles, lines, rows, ids, seen)

    def _batch(
        self,
        header: list[str],
        roles: Mapping[str, str],
        lines: Sequence[int],
        rows: list[list[str]],
        ids: list[str],
        seen: dict[str, int],
    ) -> Iterator[Record]:
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        names = [name for name in header if name not in roles.values()]
        values: list[Sequence[Any]] = [column_values(columns[name]) for name in names]
        if roles["label"]:
            names.insert(0, "label")
            values.insert(0, columns[roles["label"]])
        groups: Sequence[str | None] = [None] * len(rows)
        if roles["group"]:
            groups = [group or None for group in columns[roles["group"]]]
        payloads = columns[roles["text"]]
        named, fresh = bool(roles["id"]), dict.fromkeys(ids, 1)
        plain = len(fresh) == len(ids) and "" not in fresh and seen.keys().isdisjoint(fresh)
        if plain:
            seen.update(fresh)
        cells = zip(*values, strict=True) if values else iter([()] * len(rows))
        for line, name, payload, group, found in zip(lines, ids, payloads, groups, cells, strict=True):
            unique = name if plain else self._unique(name, line, seen, named)
            yield Record(unique, payload, group, dict(zip(names, found)), {"line": line})  # noqa: B905 - equal by zip
        self._line = lines[-1]

    def _roles(self, columns: list[str]) -> dict[str, str]:
        for role, column in self._columns.items():
            if column and column not in columns:
                raise UsageError(
                    f"{self._path} has no column {column!r} ({role}={column}){nearest(column, columns)}; "
                    f"its columns: {', '.join(columns)}"
                )
        roles = dict(self._columns)
        if not roles["text"]:
            usual = [name for name in PAYLOAD_NAMES if name in columns]
            roles["text"] = usual[0] if usual else columns[0] if len(columns) == 1 else ""
            signs = {sign: name for name, sign in _SEPARATORS.items() if sign != self._separator}
            other = next((signs[sign] for sign in signs if sign in roles["text"]), "")
            if other and not self._is_json:
                raise UsageError(
                    f"{self._path}: {roles['text']!r} is one column; if it is several, add sep={other}, else text=…"
                )
            if not roles["text"]:
                raise UsageError(
                    f"{self._path}: which column is the payload? add text=…; columns: {', '.join(columns)}"
                )
        for role in ("id", "label"):
            if not roles[role] and role in columns and role not in roles.values():
                roles[role] = role
        return roles

    def _record(self, roles: dict[str, str], row: dict[str, Any], line: int, identifier: str) -> Record:
        payload = row[roles["text"]]
        group = row.get(roles["group"]) if roles["group"] else None
        taken = (roles["text"], roles["id"], roles["group"], roles["label"])
        labels = {name: value for name, value in row.items() if name not in taken}
        if roles["label"]:
            labels = {"label": row.get(roles["label"]), **labels}
        return Record(identifier, payload, None if group in (None, "") else str(group), labels, {"line": line})

    def _row(self, record: Record) -> dict[str, Any]:
        """The row of a record, by the file's own columns."""
        roles = self._used
        row = {name: value for name, value in record.labels.items() if name != "label" or not roles["label"]}
        row[roles["text"]] = record.payload
        for role, value in (("id", record.id), ("group", record.group), ("label", record.labels.get("label"))):
            if roles[role]:
                row[roles[role]] = value
        return row


def _undecodable(path: Path) -> int:
    """The line, from 1, of the first bytes that are not UTF-8: decoding reads ahead of the lines it gives."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _content_id(row: dict[str, Any]) -> str:
    text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _recordable(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # a lone surrogate or an infinite number
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
