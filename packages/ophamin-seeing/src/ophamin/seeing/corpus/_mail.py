"""A raw mail as headers and text: a byte splitter, tolerant of what real mail has.

``email.policy.default`` is 9 to 33 times slower and fails on real mail, so only bodies of several parts go to the
standard library's parser, under its tolerant ``compat32`` policy.
"""

from __future__ import annotations

import binascii
import codecs
import email
import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.policy import compat32
from functools import lru_cache

__all__ = ["Headers", "Mail", "address", "decode_bytes", "parse_mail"]

Headers = dict[str, "str | list[str]"]

_FIRST = re.compile(rb"[!-9;-~]+[ \t]*:")
_FOLD = re.compile(r"\n[ \t]+")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
_ANGLE = re.compile(r"<\s*([^<>\s]+@[^<>\s]*)\s*>")
_BARE = re.compile(r"[^\s<>\"(),;:]+@[^\s<>\"(),;:]+")
_AS_IS = frozenset(("", "7bit", "8bit", "binary", "7-bit", "8-bit", "7bits", "8bits"))
_UUENCODED = frozenset(("x-uuencode", "uuencode", "uue", "x-uue"))
_NO_TEXT = ("application/", "image/", "audio/", "video/")
# Codecs of Python's own that no mail means by charset=; some warn, one is quadratic.
_NOT_CHARSETS = frozenset(("unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined"))


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail.

    Args:
        headers: Lower-case name → unfolded, decoded value; a list where a name occurs several times.
        text: Decoded body with ``\\n`` line ends; of a mail in parts its plain-text parts, else its first HTML part.
        encoding: How the body's bytes were read where that is not as declared, else "".
        doubts: What is wrong with it, in words; the text is then the best reading, not a sure one.
    """

    headers: Headers
    text: str
    encoding: str = ""
    doubts: tuple[str, ...] = ()

    def first(self, name: str) -> str:
        """The (first) value of a header, "" where it is absent."""
        value = self.headers.get(name, "")
        return value if isinstance(value, str) else value[0]


def parse_mail(raw: bytes) -> Mail | None:
    """Split a raw mail and decode its text.

    Header lines may end in CRLF or LF, whatever the body's do; folded headers are joined; a leading mbox ``From `` line
    is skipped. The body is decoded as declared, and where that fails as UTF-8, else Windows-1252, else Latin-1.

    Args:
        raw: The whole mail.

    Returns:
        ``None`` when it does not begin with a header.

    Example:
        >>> mail = parse_mail(b"From: A <a@example.org>\\r\\nSubject: \\r\\n\\r\\nHello\\n")
        >>> mail.first("from"), mail.text
        ('A <a@example.org>', 'Hello\\n')
    """
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    if raw.startswith((b"From ", b">From ")):
        raw = raw[raw.find(b"\n") + 1 :] if b"\n" in raw else b""
    if not _FIRST.match(raw):
        return None
    crlf = raw.find(b"\n\r\n")
    lf = raw.find(b"\n\n", 0, crlf + 2 if crlf >= 0 else len(raw))
    if lf >= 0:
        head, body = raw[:lf], raw[lf + 2 :]
    elif crlf >= 0:
        head, body = raw[:crlf], raw[crlf + 3 :]
    else:
        head, body = raw, b""
    doubts: list[str] = []
    headers = _headers(head, doubts)
    text, encoding = _text(headers, body, raw, doubts)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return Mail(headers, text, encoding, tuple(doubts))


def address(value: str) -> str:
    """The first address in a header's value, lower case; "" where there is none.

    Example:
        >>> address('"Doe, J." <J.Doe@Example.org>'), address("undisclosed")
        ('j.doe@example.org', '')
    """
    found = _ANGLE.search(value) if "<" in value else None
    if found:
        return found[1].lower()
    bare = _BARE.search(value)
    return bare[0].lower() if bare else ""


def decode_bytes(data: bytes, charset: str) -> tuple[str, str]:
    """Bytes as text, and the encoding that was used where it is not the declared one (else "").

    Args:
        data: The bytes.
        charset: The declared charset, "" for none.
    """
    try:
        return data.decode(_codec(charset)), ""
    except (LookupError, ValueError):
        pass
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding), encoding
        except ValueError:
            continue
    return data.decode("latin-1"), "latin-1"


@lru_cache(maxsize=256)
def _codec(charset: str) -> str:
    name = codecs.lookup(charset).name if charset else "ascii"
    if name.replace("-", "_") in _NOT_CHARSETS:
        raise LookupError(charset)
    return name


def _headers(head: bytes, doubts: list[str]) -> Headers:
    text = decode_bytes(head, "ascii")[0]
    if "\r" in text:
        text = text.replace("\r\n", "\n").rstrip("\r")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    encoded = "=?" in text
    found: Headers = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        name = name.rstrip().lower()
        if not colon or not name or " " in name:
            if "a malformed header line" not in doubts:
                doubts.append("a malformed header line")
            continue
        value = value.strip()
        if encoded and "=?" in value:
            value = _words(value)
        if name in found:
            known = found[name]
            found[name] = [known, value] if isinstance(known, str) else [*known, value]
        else:
            found[name] = value
    return found


def _words(value: str) -> str:
    """Encoded words of RFC 2047 decoded; as it stands where they are damaged."""
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(p if isinstance(p, str) else decode_bytes(p, charset or "")[0] for p, charset in parts)


def _text(headers: Headers, body: bytes, raw: bytes, doubts: list[str]) -> tuple[str, str]:
    declared = _one(headers, "content-type")
    kind = declared.partition(";")[0].strip().lower()
    transfer = _one(headers, "content-transfer-encoding").partition(";")[0].strip().lower()
    if kind.startswith("multipart/") or kind == "message/rfc822" or transfer in _UUENCODED:
        return _parts(raw, body, doubts)
    if kind.startswith(_NO_TEXT):
        doubts.append("no text part")
        return "", ""
    charset = _CHARSET.search(declared)
    if transfer == "quoted-printable":
        body = binascii.a2b_qp(body)
    elif transfer == "base64":
        try:
            body = binascii.a2b_base64(body)
        except binascii.Error:
            doubts.append("a damaged base64 body, kept as it is")
    elif transfer not in _AS_IS:
        doubts.append("an unknown transfer encoding, body kept as it is")
    return decode_bytes(body, charset[1] if charset else "")


def _one(headers: Headers, name: str) -> str:
    value = headers.get(name, "")
    return value if isinstance(value, str) else value[0]


def _parts(raw: bytes, body: bytes, doubts: list[str]) -> tuple[str, str]:
    """Text of a mail in parts; the body as it is where the parts cannot be told apart."""
    try:
        message = email.message_from_bytes(raw, policy=compat32)
        if message.get_content_maintype() == "multipart" and not message.is_multipart():
            raise ValueError("no boundary found")
        leaves = [part for part in message.walk() if not part.is_multipart()]
        chosen = [part for part in leaves if part.get_content_type() == "text/plain"]
        chosen = chosen or [part for part in leaves if part.get_content_type() == "text/html"][:1]
        texts = [_leaf(part) for part in chosen]
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError):
        doubts.append("parts that cannot be split, body kept as it is")
        return decode_bytes(body, "")
    if not texts:
        doubts.append("no text part")
    return "\n".join(text for text, _ in texts), next((used for _, used in texts if used), "")


def _leaf(part: Message) -> tuple[str, str]:
    data = part.get_payload(decode=True)
    charset = _CHARSET.search(str(part.get("content-type", "")))
    return decode_bytes(data if isinstance(data, bytes) else b"", charset[1] if charset else "")
