"""``enron``: half a million mails of one company, from the archive, the unpacked folders or the table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from ophamin.protocols import Availability, DatasetInfo, Record
from ophamin.protocols.types import JSON
from ophamin.seeing._params import choice
from ophamin.seeing._payload import content_bytes
from ophamin.seeing.corpus._base import ROOT_VARIABLE, candidates, data_root_of, foreign, require, tried
from ophamin.seeing.corpus._digests import DigestSet
from ophamin.seeing.corpus._enron_forms import FORMS, mail_files, mails_of
from ophamin.seeing.corpus._enron_sample import SAMPLE_NOTE, write_enron_sample
from ophamin.seeing.corpus._hashing import file_sha256, tree_hash
from ophamin.seeing.corpus._mail import address, parse_mail
from ophamin.seeing.corpus._problems import Problems
from ophamin.seeing.corpus._streamed import StreamedCorpus

__all__ = ["EnronCorpus"]

_HOW = (
    "curl --create-dirs -o <data root>/enron/enron_mail_20150507.tar.gz "
    "https://www.cs.cmu.edu/~enron/enron_mail_20150507.tar.gz (it is read as it is, not unpacked), "
    "or a generated sample: ophamin corpus sample enron --out data; "
    f"then name the folder by --data-root or {ROOT_VARIABLE}"
)
_SIZE = "423 MB as .tar.gz, 1.4 GB unpacked, 517,401 mails of 150 users"
_LICENCE = "none stated; public by FERC, distributed by CMU for research"
_CITED = "Klimt and Yang (2004), The Enron Corpus: A New Dataset for Email Classification Research, ECML"
_USERS = 150
_LOOK_INTO = 64 << 20
"""Bytes; an archive or a table up to this size is read to its end to say whether it is whole."""
_ARCHIVES = ("enron*.tar.gz", "enron*.tgz", "enron*.tar")


class EnronCorpus(StreamedCorpus):
    """One record per mail: the payload is its text, the labels are ``user`` (whose mailbox) and ``folder``.

    ``group`` is the sender's address, the author of the text. ``id`` is ``user/folder…/number.`` in every form.
    ``meta["headers"]`` holds all headers, lower-case, unfolded and decoded; ``meta["encoding"]`` is there when the
    text's bytes were not read as the mail declares, ``meta["doubts"]`` when the text is only the best reading.

    The mailboxes hold many mails twice or more, each copy with a Message-ID of its own, so mails with the
    same text (after Unicode NFC and without surrounding white space) are one by default: the first in the order of
    reading is kept, the others are counted in ``problems()``. That takes 8 bytes of hash for each; see ``DigestSet``
    for the odds of a mistake.

    Args:
        arg: The archive, the folder ``maildir`` or the table itself; default: the first that is found under the root.
        data_root: Holds ``enron``, or is that folder; default ``$OPHAMIN_DATA_ROOT``.
        form: ``tar`` (CMU's ``.tar.gz``, streamed), ``maildir`` (unpacked) or ``csv`` (Kaggle's ``emails.csv``); ""
            for the first of them that is there.
        dedup: ``body`` (one record per text), ``mail`` (per sender and text) or ``none``.

    Example:
        >>> import tempfile
        >>> root = EnronCorpus().write_sample(Path(tempfile.mkdtemp()), seed=1)
        >>> record = next(EnronCorpus(data_root=root).records())
        >>> sorted(record.labels), record.id.startswith(str(record.labels["user"]))
        (['folder', 'user'], True)
        >>> {form: EnronCorpus(data_root=root, form=form).count() for form in ("tar", "csv")}
        {'tar': 240, 'csv': 240}
    """

    name = "enron"
    folders: Sequence[str] = ("enron",)

    def __init__(self, arg: str = "", data_root: Path | None = None, *, form: str = "", dedup: str = "body") -> None:
        self._form = form and choice("form", form, FORMS)
        self._dedup = choice("dedup", dedup, ("body", "mail", "none"))
        root = data_root_of(data_root)
        self._arg = arg
        if arg:
            named = Path(arg).expanduser()
            self._places = [named] if named.is_absolute() or root is None else [named, root / named]
        else:
            self._places = candidates(root, self.folders)

    def availability(self) -> Availability:
        """Which form is there, whether it is whole, and what lies there instead."""
        looked = tried(self._places)
        form, path = self._found()
        if form == "":
            return Availability("absent", looked, self._instead(), _HOW, _SIZE, _LICENCE)
        wrong = _wrong(form, path)
        if wrong:
            return Availability("wrong", looked, wrong, _HOW, _SIZE, _LICENCE)
        users, cut = self._whole(form, path)
        if cut:
            state: Literal["wrong", "partial"] = "partial" if users or "truncated" in cut else "wrong"
            return Availability(state, looked, f"{path}: {cut}", _HOW, _SIZE, _LICENCE)
        if users == 0:
            return Availability("wrong", looked, f"{path} holds no mail", _HOW, _SIZE, _LICENCE)
        if _generated(path):
            return Availability("ok", looked, f"{path}: generated sample", _HOW, _SIZE, _LICENCE)
        if users is not None and users < _USERS:
            found = f"{path}: mails of {users} of the {_USERS} users"
            return Availability("partial", looked, found, _HOW, _SIZE, _LICENCE)
        return Availability("ok", looked, str(path), _HOW, _SIZE, _LICENCE)

    def content_hash(self) -> str:
        """``sha256:…`` of the archive's or the table's bytes, or over the files of ``maildir``."""
        form, path = self._usable()
        if form == "maildir":
            # Only what can be a mail: a pipe among the files would be waited for.
            return tree_hash(path, lambda: (e for e in mail_files(path) if e.is_file(follow_symlinks=False)))
        return f"sha256:{file_sha256(path, inflate=False)}"

    def describe(self) -> DatasetInfo:
        """Source, licence, the paper to cite, and the size of the form that is read."""
        form, path = self._found()
        if not form:
            return DatasetInfo(self.name, "mail", "https://www.cs.cmu.edu/~enron/", _LICENCE, _CITED)
        if form == "maildir":
            size = sum(entry.stat(follow_symlinks=False).st_size for entry in mail_files(path))
        else:
            size = path.stat().st_size
        if _generated(path):
            return DatasetInfo(self.name, "generated sample", "ophamin corpus sample enron", "CC0-1.0", "", size)
        return DatasetInfo(self.name, "mail", "https://www.cs.cmu.edu/~enron/", _LICENCE, _CITED, size)

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write ``enron`` with the same generated mails in all three forms; returns ``directory``."""
        write_enron_sample(directory / self.folders[0], seed)
        return directory

    def _read(self, problems: Problems) -> Iterator[Record]:
        form, path = self._usable()
        ids, seen = DigestSet(), DigestSet()
        dedup, by_sender = self._dedup != "none", self._dedup == "mail"
        for (user, folder, name), raw in mails_of(form, path, problems):
            if not ids.add(name.encode("utf-8", "surrogatepass")):
                problems.add(name, "a second mail of the same name")
                continue
            mail = parse_mail(raw)
            if mail is None:
                problems.add(name, "no mail header" if raw else "an empty file")
                continue
            sender = address(mail.first("from"))
            if dedup:
                content = content_bytes(mail.text)
                if not seen.add(sender.encode() + b"\0" + content if by_sender else content):
                    problems.add(name, "the same text as an earlier mail (left out)")
                    continue
            meta: dict[str, JSON] = {"headers": mail.headers}
            if mail.encoding:
                meta["encoding"] = mail.encoding
            for doubt in mail.doubts:
                problems.add(name, f"{doubt} (kept)")
                meta["doubts"] = list(mail.doubts)
            yield Record(name, mail.text, sender or None, {"user": user, "folder": folder}, meta)

    def _usable(self) -> tuple[str, Path]:
        """Form and path of what can be read.

        Raises:
            CorpusUnavailable: There is none, or something else lies there.
        """
        form, path = self._found()
        if not form or _wrong(form, path) or (form == "maildir" and next(mail_files(path), None) is None):
            require(self.name, self.availability())
        return form, path

    def _found(self) -> tuple[str, Path]:
        """The first form that is there, and where."""
        for place in self._places:
            forms = _forms(place)
            for form in FORMS:
                if form in forms and self._form in ("", form):
                    return form, forms[form]
        return "", Path()

    def _instead(self) -> str:
        """What lies where a corpus was looked for, in words."""
        for place in self._places:
            forms = _forms(place)
            if forms:
                return f"no {self._form} there, only {', '.join(forms)}"
            archives = [*place.glob("*.zip"), *place.glob("*.7z")] if place.is_dir() else []
            if archives:
                return f"{archives[0]} is a packed archive of another kind: unpack emails.csv from it"
        return ""

    def _whole(self, form: str, path: Path) -> tuple[int | None, str]:
        """How many users there are (``None``: not counted, too large) and what is cut off, in words."""
        if form == "maildir":
            return sum(1 for entry in path.iterdir() if entry.is_dir()), ""
        if self._passed is None and path.stat().st_size > _LOOK_INTO:
            return None, ""
        problems, users = self._passed or Problems(), None
        if path.stat().st_size <= _LOOK_INTO:
            problems = Problems()
            users = len({name[0] for name, _ in mails_of(form, path, problems)})
        cut = next((reason for reason in problems if reason.startswith(("the archive is", "the table is"))), "")
        return users, f"{cut} {problems.places(cut)[0]}" if cut else ""


def _forms(place: Path) -> dict[str, Path]:
    """Form → where it lies, at or in ``place``."""
    if place.is_file():
        return {"csv" if place.suffix == ".csv" else "tar": place}
    if not place.is_dir():
        return {}
    if place.name == "maildir":
        return {"maildir": place}
    found: dict[str, Path] = {}
    archives = sorted(path for pattern in _ARCHIVES for path in place.glob(pattern) if path.is_file())
    if archives:
        found["tar"] = archives[-1]  # named by date: the newest
    folders = [place / "maildir", *sorted(place.glob("enron*/maildir"))]
    unpacked = next((folder for folder in folders if folder.is_dir()), None)
    if unpacked is not None:
        found["maildir"] = unpacked
    if (place / "emails.csv").is_file():
        found["csv"] = place / "emails.csv"
    return found


def _wrong(form: str, path: Path) -> str:
    """What lies there instead of the form, in words, or ""."""
    if form == "maildir":
        return ""
    if form == "tar":
        return foreign(path, "" if path.suffix == ".tar" else "a gzip archive")
    reason = foreign(path, "text")
    if reason:
        return reason
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        line = file.readline(1000)
    header = next(csv.reader([line]), [])
    if header[:2] != ["file", "message"]:
        return f"{path.name} has the columns {', '.join(header)[:100]}, not file and message"
    return ""


def _generated(path: Path) -> bool:
    return (path.parent / SAMPLE_NOTE).exists()
