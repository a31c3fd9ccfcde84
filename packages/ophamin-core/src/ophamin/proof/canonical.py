"""Canonical bytes of a JSON value: what is hashed, signed and compared.

``json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)`` in ASCII, which is the same on
every CPython since 3.8. It is not RFC 8785: floats keep Python's shortest repr and keys sort by code point.
Everything that would not come back from JSON as it went in is refused: NaN and infinities, keys that are not
strings, lone surrogates, tuples and every other type.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ophamin.proof.errors import LimitError, RecordError

__all__ = [
    "MAX_DEPTH",
    "MAX_INT_DIGITS",
    "MAX_NODES",
    "canonical_bytes",
    "content_id",
    "digest",
    "has_lone_surrogate",
]

JSON = Any

MAX_DEPTH = 64
"""Containers inside containers; json's own recursion limit differs between Pythons (993 … 9998)."""
MAX_NODES = 1_000_000
"""Values in one object: every object, array and scalar counts, keys do not."""
MAX_INT_DIGITS = 4300
"""Digits of one integer: the limit newer Pythons have by default, held on all of them."""

_LEAST_INT, _GREATEST_INT = -(10**MAX_INT_DIGITS), 10**MAX_INT_DIGITS

# A new encoder for each call, as json.dumps makes, costs more than hashing a small record.
_ENCODERS = {
    "compact": json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False).encode,
    "spaced": json.JSONEncoder(sort_keys=True, allow_nan=False, check_circular=False).encode,
}

_ESCAPED_BACKSLASH_U = re.compile(rb"\\\\u")
_LONE_SURROGATE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F])"
)


def canonical_bytes(value: JSON, *, form: str = "compact", max_nodes: int | None = MAX_NODES) -> bytes:
    r"""Encode a JSON value in canonical form.

    Args:
        value: Nested ``dict`` (string keys), ``list``, ``str``, ``int``, ``float``, ``bool``, ``None``; of
            exactly these types, at most ``MAX_DEPTH`` deep.
        form: ``compact``; or ``spaced``, the default separators of ``json.dumps``, which only records of
            earlier versions were signed over.
        max_nodes: Refuse values with more nodes; ``None`` for a value that is hashed but never stored.

    Returns:
        ASCII bytes, without a final newline.

    Raises:
        RecordError: A value or key JSON cannot hold, NaN, an infinity, or a lone surrogate.
        LimitError: Too deep, too many nodes, or an integer of too many digits.

    Example:
        >>> canonical_bytes({"b": [1, 1.0], "a": "é"})
        b'{"a":"\\u00e9","b":[1,1.0]}'
    """
    _check(value, max_nodes)
    data = encode_checked(value, form)
    # In ASCII output a surrogate can only show as an escape; most records have none.
    if b"\\ud" in data and has_lone_surrogate(data):
        raise RecordError("a record cannot hold a lone surrogate; replace it by text that UTF-8 can encode")
    return data


def encode_checked(value: JSON, form: str = "compact") -> bytes:
    """Encode a value whose types, depth and strings were already checked; still refuses NaN."""
    try:
        return _ENCODERS[form](value).encode("ascii")
    except (ValueError, TypeError) as error:
        raise RecordError(f"a record cannot hold this value: {error}; use a finite number or null") from None


def has_lone_surrogate(data: bytes) -> bool:
    r"""Whether JSON text has an escape ``\ud800`` … ``\udfff`` without its other half; linear in ``data``."""
    # With every escaped backslash gone, each backslash left begins an escape.
    if _ESCAPED_BACKSLASH_U.search(data):
        data = data.replace(b"\\\\", b"__")
    return _LONE_SURROGATE.search(data) is not None


def _check(value: JSON, max_nodes: int | None) -> None:
    """Refuse what JSON would change or what no reader would take back; level by level, so cycles end too."""
    level: list[Any] = [[value]]
    nodes, depth = 0, -1
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise LimitError(f"a record is at most {MAX_DEPTH} levels deep; flatten it (or break its cycle)")
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                try:
                    "".join(container)  # the fastest way to see that every key is a string
                except TypeError:
                    odd = next(key for key in container if not isinstance(key, str))
                    raise RecordError(f"the keys of a record are strings, not {type(odd).__name__}: {odd!r}") from None
                container = container.values()
            nodes += len(container)
            for item in container:
                kind = type(item)
                if kind is str or kind is float or kind is bool or item is None:
                    continue
                if kind is dict or kind is list:
                    below.append(item)
                elif kind is not int:
                    raise RecordError(
                        f"a record holds dict, list, str, int, float, bool and None, not {kind.__name__}: "
                        f"{item!r:.60}; convert it first"
                    )
                elif not _LEAST_INT < item < _GREATEST_INT:
                    raise LimitError(f"an integer has at most {MAX_INT_DIGITS} digits; write it as a string")
        if max_nodes is not None and nodes > max_nodes:
            raise LimitError(f"a record has at most {max_nodes:,} values; store bulk data beside it, by digest")
        level = below


def content_id(data: bytes) -> str:
    """Lower-hex SHA-256 of ``data``: the id of the record whose canonical bytes these are."""
    return hashlib.sha256(data).hexdigest()


def digest(value: JSON) -> str:
    """``sha256:<hex>`` of a value's canonical bytes: for configurations, selections, claims.

    Args:
        value: As for ``canonical_bytes``; may have any number of nodes.

    Raises:
        RecordError: As ``canonical_bytes``.

    Example:
        >>> digest({"a": 1})
        'sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862'
    """
    return "sha256:" + content_id(canonical_bytes(value, max_nodes=None))
