"""The three forms the Enron mails come in, each as a stream of (name, raw bytes)."""

from __future__ import annotations

import csv
import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Self

from ophamin.seeing.corpus._problems import Problems

__all__ = ["FORMS", "MailName", "mail_files", "mail_name", "mails_of"]

FORMS = ("tar", "maildir", "csv")
LARGEST = 64 << 20
_AT_ONCE = 1 << 20
_LEAF = re.compile(r"(\d+)[._]?", re.ASCII)
_FIELD_LIMIT = 2**31 - 1  # what a C long holds everywhere

MailName = tuple[str, str, str]
"""User, folder, and the id ``user/folder…/number.``, the same in every form."""


def mail_name(path: str) -> MailName | None:
    """User, folder and id by a mail's path, or ``None`` when it is no mail's.

    Example:
        >>> mail_name("maildir/allen-p/inbox/old/7.")
        ('allen-p', 'inbox/old', 'allen-p/inbox/old/7.')
        >>> mail_name("allen-p/inbox/7_")[2], mail_name("maildir/DELETIONS.txt")
        ('allen-p/inbox/7.', None)
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if "maildir" in parts:
        del parts[: parts.index("maildir") + 1]
    leaf = _LEAF.fullmatch(parts[-1]) if len(parts) > 1 else None
    if leaf is None or ".." in parts:
        return None
    user, folder = parts[0], "/".join(parts[1:-1])
    name = f"{user}/{folder}/{leaf[1]}." if folder else f"{user}/{leaf[1]}."
    return (user, folder, name) if name.isascii() else (_text(user), _text(folder), _text(name))


def mails_of(form: str, path: Path, problems: Problems) -> Iterator[tuple[MailName, bytes]]:
    """Every mail of a form, in its order; what is none is added to ``problems``.

    Args:
        form: ``tar``, ``maildir`` or ``csv``.
        path: The archive, the folder ``maildir``, or the table.
        problems: What cannot be read, by reason.
    """
    return {"tar": _tar, "maildir": _maildir, "csv": _csv}[form](path, problems)


class _Header(tarfile.TarInfo):
    """A member's header; tarfile takes one that is damaged, or none at all, for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """As the method it extends, but only the block of zeros that ends an archive is its end.

        Raises:
            EOFError: The archive ends without that block.
            ReadError: It goes on with something else.
        """
        if not buf:
            raise EOFError
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf.strip(b"\0"):
                raise tarfile.ReadError(str(error)) from error
            raise


def _tar(path: Path, problems: Problems) -> Iterator[tuple[MailName, bytes]]:
    last = path.name
    try:
        # gzip's reader rather than tarfile's own "r|gz": that one neither checks the sum nor sees a cut end.
        with _inflated(path) as file, tarfile.open(fileobj=file, mode="r|", tarinfo=_Header) as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep every header it ever saw
                last = member.name
                if member.size < 0:
                    raise tarfile.ReadError("a negative size")
                if member.size > LARGEST:
                    _skip(archive, member.size)
                if not member.isfile():
                    if not member.isdir():
                        problems.add(last, "neither a file nor a folder")
                    continue
                name = mail_name(last)
                if name is None:
                    problems.add(last, "not a mail by its name")
                elif member.size > LARGEST:
                    problems.add(last, "larger than 64 MiB")
                else:
                    content = archive.extractfile(member)
                    assert content is not None  # isfile() said so
                    yield name, content.read()
            if _goes_on(archive):
                problems.add(f"after {last}", "the archive is followed by something else, which was not read")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        problems.add(f"after {last}", _archive_reason(error))


def _goes_on(archive: tarfile.TarFile) -> bool:
    """Whether anything but zeros follows the end of the archive; reads up to the end, where gzip checks its sum."""
    stream, found = archive.fileobj, False
    assert stream is not None  # it is open
    while chunk := stream.read(_AT_ONCE):
        found = found or bool(chunk.strip(b"\0"))
    return found


def _skip(archive: tarfile.TarFile, size: int) -> None:
    """Go past a member's content: tarfile itself would try for hours to skip the size that a damaged header claims."""
    stream = archive.fileobj
    assert stream is not None  # it is open
    while size > 0:
        got = len(stream.read(min(size, _AT_ONCE)))
        if not got:
            raise EOFError
        size -= got


def _archive_reason(error: Exception) -> str:
    if isinstance(error, EOFError) or str(error) in ("unexpected end of data", "truncated header"):
        return "the archive is truncated"
    return f"the archive is damaged ({error})"


def _inflated(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def mail_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every entry below ``folder`` that is no folder, sorted by name folder by folder; links are not followed."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from mail_files(Path(entry.path))
        else:
            yield entry


def _maildir(path: Path, problems: Problems) -> Iterator[tuple[MailName, bytes]]:
    base = os.path.join(path, "")
    for entry in mail_files(path):
        inner = entry.path.removeprefix(base).replace(os.sep, "/")
        name = mail_name(inner)
        if name is None:
            problems.add(inner, "not a mail by its name")
            continue
        try:
            if not entry.is_file(follow_symlinks=False):
                problems.add(inner, "neither a file nor a folder")
            elif entry.stat().st_size > LARGEST:
                problems.add(inner, "larger than 64 MiB")
            else:
                with open(entry.path, "rb", buffering=0) as file:
                    raw = file.read()
                yield name, raw
        except OSError as error:
            problems.add(inner, f"cannot be read ({error.strerror})")


def _csv(path: Path, problems: Problems) -> Iterator[tuple[MailName, bytes]]:
    csv.field_size_limit(_FIELD_LIMIT)  # the library's 128 KiB would refuse long mails
    # surrogateescape keeps bytes that are not UTF-8, so that the mail's own charset decides.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True)
        header: list[str] | None = None
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                cut = "unexpected end of data" in str(error)
                problems.add(f"line {rows.line_num}", "the table is truncated" if cut else f"no CSV ({error})")
                continue
            if header is None:
                header = row
            elif len(row) != 2:
                problems.add(f"line {rows.line_num}", "not a row of file and message")
            else:
                name = mail_name(row[0])
                if name is None:
                    problems.add(row[0][:200], "not a mail by its name")
                else:
                    yield name, row[1].encode("utf-8", "surrogateescape")


def _text(name: str) -> str:
    """A name as text that any record can hold; bytes that are not UTF-8 stay visible."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
