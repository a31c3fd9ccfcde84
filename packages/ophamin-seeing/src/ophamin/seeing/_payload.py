"""What a payload is as text, and when two payloads are the same one."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

__all__ = ["content_key", "payload_text"]


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


def content_key(payload: Any) -> str:
    """SHA-256 (hex) of the normalised payload: Unicode NFC, without surrounding white space.

    One definition serves duplicates, the train/test split and the leakage check, so that they cannot disagree.
    """
    text = unicodedata.normalize("NFC", payload_text(payload)).strip()
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
