"""What a payload is as text, and when two payloads are the same one."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

__all__ = ["content_bytes", "content_key", "payload_text"]


def payload_text(payload: Any) -> str:
    """The payload as text: bytes as UTF-8 or, where they are not, Latin-1 (which loses none); else ``str()``."""
    if isinstance(payload, str):
        return payload
    if isinstance(payload, bytes | bytearray | memoryview):
        data = bytes(payload)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return str(payload)


def content_bytes(payload: Any) -> bytes:
    """The normalised payload as UTF-8: Unicode NFC, without surrounding white space."""
    text = payload_text(payload)
    if not text.isascii():  # ASCII is NFC
        text = unicodedata.normalize("NFC", text)
    return text.strip().encode("utf-8", "surrogatepass")


def content_key(payload: Any) -> str:
    """SHA-256 (hex) of the normalised payload.

    One definition serves duplicates, the train/test split and the leakage check, so that they cannot disagree.
    """
    return hashlib.sha256(content_bytes(payload)).hexdigest()
