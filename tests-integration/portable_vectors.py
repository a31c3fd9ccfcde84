"""Prints canonical bytes, ids and signatures of one vector set, with nothing but core installed.

The same file runs under every CPython found and under CPython in WebAssembly; the outputs must be
the same to the byte (test_interpreters.py, test_wasm.py).
"""

import json
import sys

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.errors import OphaminError
from ophamin.proof.keys import Keyring
from ophamin.proof.merkle import leaf_hash, root_hash
from ophamin.proof.reading import parse
from ophamin.proof.signed import sign

FLOATS = [0.0, -0.0, 1.0, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 123456789.123456789, 2.5e-5]
INTEGERS = [0, -1, 2**53 + 1, 2**64, -(10**40), 10**4000]
TEXTS = ["", "\u0000", "\u001f", "\u007f", "\u2028", "é", "e\u0301", "\U0001f600", "\ufeff", '"\\/', "\ud7ff\ue000"]

VALID = [
    {},
    {"floats": FLOATS, "integers": INTEGERS, "texts": TEXTS},
    {"b": 1, "a": 2, "B": 3, "é": 4, "\U0001f600": 5, "\uffff": 6, "": 7},
    {"nested": [[[[{"deep": [None, True, False, 1, 1.0]}]]]]},
    {str(i): float(i) / 7 for i in range(200)},
]
HOSTILE = [
    b"",
    b"[]",
    b"\xff",
    b"\xef\xbb\xbf{}",
    b'{"a":1,"a":2}',
    b'{"a":NaN}',
    b'{"a":1e400}',
    b'{"a":' + b"9" * 4301 + b"}",
    b'{"a":"\\ud800"}',
    b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"a":1',
]


class Vector:
    """The least kind of record: what every kind shares is what is signed."""

    name, id_field, version, schema = "vector", "vector_id", "1.0", {"type": "object"}

    def forms(self, version: object) -> tuple[str, ...]:
        return ("compact",)

    def check(self, record: object) -> tuple[str, ...]:
        return ()


def main() -> None:
    """Print one JSON object."""
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(5000)
    signer = Keyring(environ={"OPHAMIN_SIGN_KEY": "a key for portable vectors"}).signer()
    vectors = []
    for value in VALID:
        data = canonical_bytes(value)
        again = canonical_bytes(parse(json.dumps(value).encode()))
        vectors.append([data.hex(), content_id(data), signer.hmac(data), again == data])
    errors = []
    for data in HOSTILE:
        try:
            parse(data)
            errors.append("accepted")
        except OphaminError as error:
            errors.append(type(error).__name__)
    signed = sign({"schema_version": "1.0", **VALID[1]}, Vector(), signer)
    print(
        json.dumps(
            {
                "vectors": vectors,
                "errors": errors,
                "signed": [signed["vector_id"], signed["signature"]],
                "root": root_hash([leaf_hash(v[0].encode()) for v in vectors]),
            }
        )
    )


if __name__ == "__main__":
    main()
