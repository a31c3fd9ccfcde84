"""``cyber-payloads``: labelled web attack and benign inputs, without duplicates, split by content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ophamin.proof.errors import UsageError
from ophamin.protocols import Availability, DatasetInfo, Record
from ophamin.seeing._params import choice
from ophamin.seeing._payload import content_key, payload_text
from ophamin.seeing.corpus._base import ROOT_VARIABLE, candidates, data_root_of, foreign, require, tried
from ophamin.seeing.corpus._cyber_payload import Payload
from ophamin.seeing.corpus._cyber_sample import SAMPLE_NOTE, write_cyber_sample
from ophamin.seeing.corpus._cyber_sources import REQUEST_SOURCES, SOURCES, source_files
from ophamin.seeing.corpus._hashing import manifest_hash
from ophamin.seeing.corpus._problems import Problems
from ophamin.seeing.corpus._streamed import StreamedCorpus

__all__ = ["CyberPayloadsCorpus"]

_HOW = (
    "git clone https://github.com/Morzeux/HttpParamsDataset <data root>/cyber/httpparams, or a generated sample: "
    f"ophamin corpus sample cyber-payloads --out data; then name the folder by --data-root or {ROOT_VARIABLE}"
)
_LICENCE = (
    "MIT (HttpParams, PayloadsAllTheThings, SecLists), BSD-3-Clause (libinjection), BSD-3-Clause and CC-BY-3.0 "
    "(fuzzdb), Apache-2.0 (Core Rule Set)"
)
_SIZE = "about 40 MB with all sources"
_CITED = "HttpParams Dataset, Morzeux (2016), https://github.com/Morzeux/HttpParamsDataset"
_DIGITS = re.compile(r"\d+")


class CyberPayloadsCorpus(StreamedCorpus):
    """Inputs a web application receives: ``labels["kind"]`` is ``attack``, ``benign`` or ``unknown``.

    Labels: ``kind`` (also as ``label``; ``unknown`` where the source does not say), ``class`` (``sqli``, ``xss``,
    ``cmdi``, ``path-traversal``…, ``benign``) and ``source``. The payload is text: UTF-8, or Latin-1 where the bytes
    are not. No byte is lost: they are ``record.payload.encode(record.meta.get("encoding", "utf-8"))``. ``group`` is
    the payload with every run of digits made equal, so that a thousand numerals count as one input.

    Two payloads are the same when their text is, after Unicode NFC and without surrounding white space; the first in
    the order of sources and files is kept. A payload that two sources label differently has no known truth: it is left
    out and counted in ``problems()``. The split is by the hash of that same text, so it does not depend on
    which sources are there.

    Args:
        arg: Takes none.
        data_root: Holds ``cyber``, or is that folder; default ``$OPHAMIN_DATA_ROOT``.
        split: ``train`` or ``test`` (half of all contents each), or "" for both.
        source: Only these, comma-separated: httpparams, libinjection, payloadsallthethings, seclists, fuzzdb (single
            inputs), crs, http (whole requests). Default: all single inputs that are there; whole requests only where
            there is nothing else, because what a rule must ignore is not thereby benign (see ``_cyber_crs``).

    Example:
        >>> import tempfile
        >>> root = CyberPayloadsCorpus().write_sample(Path(tempfile.mkdtemp()), seed=1)
        >>> corpus = CyberPayloadsCorpus(data_root=root, split="test")
        >>> {record.labels["kind"] for record in corpus.sample(50, seed=1)} == {"attack", "benign"}
        True
    """

    name = "cyber-payloads"
    folders: Sequence[str] = ("cyber",)

    def __init__(self, arg: str = "", data_root: Path | None = None, *, split: str = "", source: str = "") -> None:
        if arg:
            raise UsageError(f"cyber-payloads takes no argument, only ?split= and ?source=, not {arg!r}")
        self._split = split and choice("split", split, ("train", "test"))
        self._sources = [choice("source", s.strip(), tuple(SOURCES)) for s in source.split(",")] if source else []
        self._places = candidates(data_root_of(data_root), self.folders)

    def availability(self) -> Availability:
        """Which sources are there, and what lies there instead of one."""
        looked = tried(self._places)
        root, files = self._files()
        if root is None:
            return Availability("absent", looked, "", _HOW, _SIZE, _LICENCE)
        chosen = self._chosen(files)
        wrong = [reason for name in chosen for path, _ in files[name] if (reason := _unusable(path))]
        missing = [name for name in self._sources if name not in files]
        found = f"{root}: {', '.join(sorted(chosen))}{' (generated sample)' if (root / SAMPLE_NOTE).exists() else ''}"
        if others := sorted(set(files) - set(chosen)):
            found += f"; also there, by source=: {', '.join(others)}"
        if missing:
            partial = any(name in files for name in self._sources)
            found = f"no {' and no '.join(missing)}; {found}"
            return Availability("partial" if partial else "absent", looked, found, _HOW, _SIZE, _LICENCE)
        return Availability("wrong" if wrong else "ok", looked, wrong[0] if wrong else found, _HOW, _SIZE, _LICENCE)

    def count(self) -> int:
        """Number of distinct payloads (of the split)."""
        problems = Problems()
        kinds = self._scan(problems)
        self._passed = problems
        return sum(1 for key, kind in kinds.items() if kind and self._in_split(key))

    def content_hash(self) -> str:
        """``sha256:…`` over the files of the chosen sources (not over licences and notes beside them)."""
        require(self.name, self.availability())
        root, files = self._files()
        assert root is not None  # require() refused
        return manifest_hash(root, (path for name in self._chosen(files) for path, _ in files[name]))

    def describe(self) -> DatasetInfo:
        """Where the payloads come from, and under which licences."""
        root, files = self._files()
        size = sum(path.stat().st_size for group in files.values() for path, _ in group) if root else None
        if root is not None and (root / SAMPLE_NOTE).exists():
            return DatasetInfo(
                self.name, "generated sample", "ophamin corpus sample cyber-payloads", "CC0-1.0", "", size
            )
        source = ", ".join(self._chosen(files)) or "none found"
        return DatasetInfo(self.name, "labelled text", source, _LICENCE, _CITED, size)

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write ``cyber/httpparams`` and ``cyber/libinjection`` of generated payloads; returns ``directory``."""
        write_cyber_sample(directory / self.folders[0], seed)
        return directory

    def _files(self) -> tuple[Path | None, dict[str, list[tuple[Path, str]]]]:
        for place in self._places:
            if place.is_dir() and (files := source_files(place)):
                return place, files
        return None, {}

    def _chosen(self, files: Mapping[str, object]) -> list[str]:
        if self._sources:
            return [name for name in SOURCES if name in files and name in self._sources]
        inputs = [name for name in SOURCES if name in files and name not in REQUEST_SOURCES]
        return inputs or [name for name in SOURCES if name in files]

    def _payloads(self, problems: Problems) -> Iterator[tuple[str, Path, Payload]]:
        _, files = self._files()
        for source in self._chosen(files):
            for path, folder in files[source]:
                for payload in SOURCES[source](path, folder, problems):
                    if payload.data.strip():
                        yield source, path, payload
                    else:
                        problems.add(f"{path.name}:{payload.line}", f"{source}: empty payload")

    def _read(self, problems: Problems) -> Iterator[Record]:
        pending = self._scan(problems)
        for source, path, payload in self._payloads(Problems()):
            key = content_key(payload.data)
            if pending.get(key) == payload.kind:
                del pending[key]
                if self._in_split(key):
                    yield self._record(key, source, path, payload)

    def _scan(self, problems: Problems) -> dict[str, str]:
        """Content key → kind, "" where sources contradict each other; a source that says nothing contradicts none."""
        require(self.name, self.availability())
        kinds: dict[str, str] = {}
        for _, path, payload in self._payloads(problems):
            key, kind = content_key(payload.data), payload.kind
            known = kinds.get(key)
            if known is not None:
                problems.add(f"{path.name}:{payload.line}", "duplicate")
            if known is None or known == "unknown":
                kinds[key] = kind
            elif kind not in ("unknown", known) and known:
                kinds[key] = ""
                problems.add(f"{path.name}:{payload.line}", "contradictory labels (left out)")
        return kinds

    def _in_split(self, key: str) -> bool:
        return not self._split or (key[0] < "8") == (self._split == "train")

    def _record(self, key: str, source: str, path: Path, payload: Payload) -> Record:
        text = payload_text(payload.data)
        template = _DIGITS.sub("0", text)
        group = hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        meta: dict[str, object] = {"file": path.name, "line": payload.line, **payload.about}
        if text.encode("utf-8", "surrogatepass") != payload.data:
            meta["encoding"] = "latin-1"
        kind = payload.kind
        labels = {"kind": kind, "label": kind, "class": payload.attack_class, "source": source}
        return Record(key[:24], text, group, labels, meta)


def _unusable(path: Path) -> str:
    reason = foreign(path)
    # A list may be empty, and one of cross-site scripting may well begin with <html>; a table may not.
    return reason if path.suffix in (".csv", ".yaml") or "pointer" in reason or "cannot be read" in reason else ""
