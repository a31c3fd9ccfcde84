"""``flores``: sentences aligned across languages, in the layout of FLORES-200 (and of NTREX-128)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

from ophamin.proof.errors import UsageError
from ophamin.protocols import Availability, DatasetInfo, Record
from ophamin.seeing._params import choice, nearest
from ophamin.seeing.corpus._base import (
    ROOT_VARIABLE,
    candidates,
    counted,
    data_root_of,
    foreign,
    require,
    tried,
)
from ophamin.seeing.corpus._flores_languages import meant
from ophamin.seeing.corpus._flores_sample import SAMPLE_NOTE, write_flores_sample
from ophamin.seeing.corpus._hashing import manifest_hash
from ophamin.seeing.corpus._problems import Problems
from ophamin.seeing.corpus._streamed import StreamedCorpus

__all__ = ["FloresCorpus"]

_LINES = {"dev": 997, "devtest": 1012, "ntrex": 1997}
_FLORES_HOW = (
    "download flores200_dataset.tar.gz as https://github.com/facebookresearch/flores says and unpack it in "
    "<data root>/flores, or a generated sample: ophamin corpus sample flores --out data; "
    f"then name the folder by --data-root or {ROOT_VARIABLE}"
)
_NTREX_HOW = (
    "git clone https://github.com/MicrosoftTranslator/NTREX <data root>/flores/NTREX; "
    f"then name the folder by --data-root or {ROOT_VARIABLE}"
)
_LICENCE = "CC BY-SA 4.0"


class FloresCorpus(StreamedCorpus):
    """One record per line: the payload is the sentence in the first language, the labels hold the others.

    Labels: ``language`` (of the payload), one label per other language, and ``label``, the translation, when there are
    two. ``group`` is the document a sentence comes from. Lines end in ``\\n``, one ``\\r`` before it is dropped, and
    nothing else separates lines; a byte order mark at the beginning is no part of the first. The sentences' bytes are
    kept as they are, normalised or not.

    Args:
        arg: Takes none.
        data_root: Holds ``flores``, or is that folder; default ``$OPHAMIN_DATA_ROOT``.
        langs: Languages, comma-separated, e.g. ``eng_Latn,fra_Latn``; also ``eng``, ``en``, ``English``, by the rules
            in ``_flores_languages``. Labels name them by the code of their file.
        split: ``dev`` or ``devtest``, or ``ntrex`` for the NTREX-128 files beside them.

    Example:
        >>> import tempfile
        >>> root = FloresCorpus().write_sample(Path(tempfile.mkdtemp()), seed=1)
        >>> record = next(FloresCorpus(data_root=root, langs="eng_Latn,deu_Latn").records())
        >>> sorted(record.labels)
        ['deu_Latn', 'label', 'language']
    """

    name = "flores"
    folders: Sequence[str] = ("flores",)

    def __init__(self, arg: str = "", data_root: Path | None = None, *, langs: str = "", split: str = "dev") -> None:
        if arg:
            raise UsageError(f"flores takes no argument, only ?langs= and ?split=, not {arg!r}")
        self._split = choice("split", split, tuple(_LINES))
        langs = langs or ("eng,fra" if split == "ntrex" else "eng_Latn,fra_Latn")
        self._langs = [lang.strip() for lang in langs.split(",")]
        if not all(self._langs) or len(set(self._langs)) < len(self._langs):
            raise UsageError(f"langs={langs}: language codes, each once, separated by commas")
        self._places = candidates(data_root_of(data_root), self.folders)

    def availability(self) -> Availability:
        """Whether every language is there, whole, and as long as the others."""
        looked = tried(self._places)
        how = _NTREX_HOW if self._split == "ntrex" else _FLORES_HOW
        size = "50 MB" if self._split == "ntrex" else "75 MB for all 204 languages"
        folder, files = self._files()
        if not files:
            return Availability("absent", looked, "", how, size, _LICENCE)
        if refused := self._unmatched(files):
            found = f"{refused}; in {folder} are: {', '.join(sorted(files))}"
            return Availability("absent", looked, found, how, size, _LICENCE)
        chosen = {lang: files[lang] for lang in self._codes(files)}
        wrong = [reason for path in chosen.values() if (reason := foreign(path, "text") or _one_line(path))]
        if wrong:
            return Availability("wrong", looked, wrong[0], how, size, _LICENCE)
        lengths = {lang: counted(_lines(path)) for lang, path in chosen.items()}
        shortest = min(lengths, key=lambda lang: lengths[lang])
        if lengths[shortest] != max(lengths.values()):
            found = f"{shortest} has {lengths[shortest]} lines where others have {max(lengths.values())}"
            return Availability("partial", looked, found, how, size, _LICENCE)
        if self._generated():
            return Availability("ok", looked, f"{folder}: generated sample", how, size, _LICENCE)
        if lengths[shortest] < _LINES[self._split]:
            found = f"{lengths[shortest]} of the {_LINES[self._split]} lines of {self._split}"
            return Availability("partial", looked, found, how, size, _LICENCE)
        return Availability("ok", looked, str(folder), how, size, _LICENCE)

    def _read(self, problems: Problems) -> Iterator[Record]:
        """Aligned lines, in order, as far as the shortest language goes.

        A line that is not UTF-8 in one of the languages, and the lines that a shorter one lacks, are told.
        """
        require(self.name, self.availability())
        _, files = self._files()
        langs = self._codes(files)
        documents = self._documents()
        streams = [_lines(files[lang]) for lang in langs]
        read = 0
        for number, (sentences, about) in enumerate(zip_longest(zip(*streams, strict=False), documents), start=1):
            if sentences is None:  # metadata of lines that a cut file does not have
                break
            read = number
            texts = []
            for lang, sentence in zip(langs, sentences, strict=True):
                try:
                    texts.append(sentence.decode("utf-8"))
                except UnicodeDecodeError:
                    problems.add(f"{files[lang].name}:{number}", "a line that is not UTF-8 (left out)")
            if len(texts) < len(langs):
                continue
            labels = {"language": langs[0], **dict(zip(langs[1:], texts[1:], strict=True))}
            if len(texts) == 2:
                labels["label"] = texts[1]
            group, meta = about or (None, {})
            yield Record(f"{self._split}:{number}", texts[0], group, labels, {"line": number, **meta})
        for lang in langs:
            for number in range(read + 1, counted(_lines(files[lang])) + 1):
                problems.add(f"{files[lang].name}:{number}", "a line that a shorter language lacks (left out)")

    def content_hash(self) -> str:
        """``sha256:…`` over the files of the chosen languages and the metadata."""
        require(self.name, self.availability())
        folder, files = self._files()
        about = self._metadata()
        root = folder.parent
        return manifest_hash(root, [*(files[lang] for lang in self._codes(files)), *([about] if about else [])])

    def describe(self) -> DatasetInfo:
        """Source, licence and the paper to cite."""
        _, files = self._files()
        size = None
        if files and not self._unmatched(files):
            size = sum(files[lang].stat().st_size for lang in self._codes(files))
        if self._generated():
            return DatasetInfo(self.name, "generated sample", "ophamin corpus sample flores", "CC0-1.0", "", size)
        if self._split == "ntrex":
            cited = "Federmann, Kocmi, Xin (2022), NTREX-128, SUMEval"
            return DatasetInfo(
                self.name, "parallel text", "https://github.com/MicrosoftTranslator/NTREX", _LICENCE, cited, size
            )
        cited = "NLLB Team (2022), No Language Left Behind, arXiv:2207.04672"
        return DatasetInfo(
            self.name, "parallel text", "https://github.com/facebookresearch/flores", _LICENCE, cited, size
        )

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write ``flores/flores200_dataset`` with generated sentences in three languages; returns ``directory``."""
        write_flores_sample(directory / self.folders[0], seed)
        return directory

    def _folder(self) -> Path | None:
        inside = "NTREX/NTREX-128" if self._split == "ntrex" else f"flores200_dataset/{self._split}"
        return next((place / inside for place in self._places if (place / inside).is_dir()), None)

    def _files(self) -> tuple[Path, dict[str, Path]]:
        """Folder of the chosen split, and its files by language."""
        folder = self._folder()
        if folder is None:
            return Path(), {}
        if self._split == "ntrex":
            named = [*folder.glob("newstest2019-ref.*.txt"), *folder.glob("newstest2019-src.*.txt")]
            return folder, {path.name.split(".")[1]: path for path in sorted(named)}
        return folder, {path.stem: path for path in sorted(folder.glob(f"*.{self._split}"))}

    def _unmatched(self, files: dict[str, Path]) -> str:
        """Which of the languages mean no file or several, in words, or ""."""
        refused = []
        for lang in self._langs:
            found = meant(lang, files)
            if not found:
                refused.append(f"no {lang}{nearest(lang, files)}")
            elif len(found) > 1:
                refused.append(f"{lang} may be {' or '.join(found)}: name one")
        codes = [] if refused else self._codes(files)
        twice = [code for code in files if codes.count(code) > 1]
        return ", ".join(refused) or (f"two of the languages are {twice[0]}" if twice else "")

    def _codes(self, files: dict[str, Path]) -> list[str]:
        return [meant(lang, files)[0] for lang in self._langs]

    def _generated(self) -> bool:
        folder = self._folder()
        return folder is not None and (folder.parent.parent / SAMPLE_NOTE).exists()

    def _metadata(self) -> Path | None:
        folder = self._folder()
        if folder is None:
            return None
        name = "DOCUMENT_IDS.tsv" if self._split == "ntrex" else f"metadata_{self._split}.tsv"
        return folder.parent / name if (folder.parent / name).is_file() else None

    def _documents(self) -> Iterator[tuple[str | None, dict[str, str]]]:
        """Per line the document it is from, and what else is known of it."""
        path = self._metadata()
        if path is None:
            return
        rows = (line.decode("utf-8", "replace").split("\t") for line in _lines(path))
        header = ["document"] if self._split == "ntrex" else next(rows, ["URL"])
        for row in rows:
            about = dict(zip(header, row, strict=False))
            yield row[0] or None, {name: value for name, value in about.items() if name not in ("URL", "document")}


def _one_line(path: Path) -> str:
    """That lines end in carriage returns alone, in words, or "": all of them would be one beside another's first."""
    lines = list(islice(_lines(path), 2))
    if len(lines) == 1 and b"\r" in lines[0]:
        return f"{path.name} ends its lines in carriage returns alone: convert it by tr '\\r' '\\n'"
    return ""


def _lines(path: Path) -> Iterator[bytes]:
    # Only \n ends a line: str.splitlines would cut at U+2028 and others that occur inside sentences.
    with path.open("rb") as file:
        first = file.readline().removeprefix(codecs.BOM_UTF8)  # no part of the first sentence
        for line in chain([first] if first else [], file):
            yield line.removesuffix(b"\n").removesuffix(b"\r")
