"""A raw commit object as message, author and what else it says; split by hand, on use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ophamin.seeing.corpus._mail import decode_bytes
from ophamin.seeing.corpus._mailmap import Mailmap
from ophamin.seeing.corpus._trailers import trailers

__all__ = ["CommitMeta", "Identities", "declared_encoding", "message_of", "moment"]

_MOST = 50_000


class Identities:
    """Raw ``Name <address>`` → proper name and address, remembered: a history has few authors and many commits."""

    def __init__(self, mailmap: Mailmap) -> None:
        self._mailmap = mailmap
        self._known: dict[bytes, tuple[str, str]] = {}

    def proper(self, line: bytes, declared: str = "") -> tuple[str, str]:
        """Name and address of an author or committer line without its date.

        The address is what stands between the first ``<`` and the next ``>``, as git reads it. Bytes that are not
        UTF-8 are in the commit's declared encoding, where there is one.
        """
        if declared and not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError:
                line = decode_bytes(line, declared)[0].encode("utf-8", "replace")
        known = self._known.get(line)
        if known is None:
            begin = line.find(b"<")
            end = line.find(b">", begin)
            name, address = (line, b"") if begin < 0 else (line[:begin], line[begin + 1 : end if end >= 0 else None])
            known = self._mailmap.proper(*(decode_bytes(part.strip(), "utf-8")[0] for part in (name, address)))
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[line] = known
        return known


class CommitMeta(Mapping[str, Any]):
    """What a commit says beside its message, split when it is first asked for.

    Keys: ``tree``, ``parents`` (a list; more than two of an octopus merge), ``author`` and ``committer`` (``name`` and
    ``email`` after the mailmap, and a ``moment``), ``trailers`` (a list of key and value), ``signed``,
    ``mergetags`` (how many), and ``encoding`` where the message is not plain UTF-8: how it was read.

    Args:
        head: The object up to the first empty line.
        message: The decoded message.
        encoding: How it was decoded, "" for UTF-8.
        identities: Applies the mailmap.
    """

    __slots__ = ("_encoding", "_head", "_identities", "_made", "_message")

    def __init__(self, head: bytes, message: str, encoding: str, identities: Identities) -> None:
        self._head, self._message, self._encoding, self._identities = head, message, encoding, identities
        self._made: dict[str, Any] | None = None

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self._all(),)

    def _all(self) -> dict[str, Any]:
        if self._made is None:
            self._made = self._split()
        return self._made

    def _split(self) -> dict[str, Any]:
        found: dict[str, Any] = {"tree": "", "parents": [], "author": {}, "committer": {}}
        signed, mergetags, declared = False, 0, declared_encoding(self._head)
        for line in self._head.split(b"\n"):  # a line that begins with a space continues gpgsig or mergetag
            key, _, value = line.partition(b" ")
            if key == b"tree":
                found["tree"] = value.decode("ascii", "replace")
            elif key == b"parent":
                found["parents"].append(value.decode("ascii", "replace"))
            elif key in (b"author", b"committer"):
                end = value.rfind(b">") + 1
                name, address = self._identities.proper(value[:end], declared)
                found[key.decode()] = {"name": name, "email": address, **moment(value[end:])}
            elif key in (b"gpgsig", b"gpgsig-sha256"):
                signed = True
            elif key == b"mergetag":
                mergetags += 1
        found |= {"signed": signed, "mergetags": mergetags}
        found["trailers"] = [list(pair) for pair in trailers(self._message)]
        if self._encoding:
            found["encoding"] = self._encoding
        return found


def moment(raw: bytes) -> dict[str, Any]:
    """``seconds`` since the epoch, ``zone`` and ``date`` (ISO 8601) of ``1112911993 -0700``; ``None`` where impossible.

    Histories have dates before 1970 and after 9999, zones of no place on earth, and no date at all: what can be said is
    said, and nothing is made up.

    Example:
        >>> moment(b" 1112911993 -0700")
        {'seconds': 1112911993, 'zone': '-0700', 'date': '2005-04-07T15:13:13-07:00'}
        >>> moment(b" 99999999999999999999 +9999")
        {'seconds': None, 'zone': '+9999', 'date': None}
    """
    words = raw.split()
    zone = words[1].decode("ascii", "backslashreplace")[:16] if len(words) > 1 else ""
    try:
        seconds: int | None = int(words[0][:20])
    except (IndexError, ValueError):
        seconds = None
    if seconds is None or abs(seconds) >= 2**53:
        return {"seconds": None, "zone": zone, "date": None}
    date = None
    if len(zone) == 5 and zone[0] in "+-" and zone[1:].isdigit():
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
        try:
            there = timezone(-offset if zone[0] == "-" else offset)
            date = (
                (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)).astimezone(there).isoformat()
            )
        except (OverflowError, ValueError):
            pass
    return {"seconds": seconds, "zone": zone, "date": date}


def message_of(message: bytes, declared: str) -> tuple[str, str, str]:
    """The message as text, how its bytes were read ("" for UTF-8), and what is doubtful about that ("" for nothing).

    Args:
        message: The bytes after the first empty line.
        declared: The commit's ``encoding``, "" for none.
    """
    if not declared:
        try:
            return message.decode(), "", ""
        except UnicodeDecodeError:
            text, used = decode_bytes(message, "utf-8")
            return text, used, f"a message that is not UTF-8, read as {used}"
    text, used = decode_bytes(message, declared)
    return text, used or declared.lower(), f"a message that is not as declared, read as {used}" if used else ""


def declared_encoding(head: bytes) -> str:
    """What the ``encoding`` header says, "" where there is none."""
    begin = head.find(b"\nencoding ")
    return "" if begin < 0 else head[begin + 10 :].split(b"\n", 1)[0].decode("ascii", "replace").strip()
