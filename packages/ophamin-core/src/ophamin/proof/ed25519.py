"""Ed25519 by ``cryptography``; the one module that imports it.

Importing this module without the extra raises ``MissingDependency``, which is an ``ImportError``.
"""

from __future__ import annotations

from ophamin.proof.errors import MissingDependency

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
except ImportError as error:
    raise MissingDependency("an Ed25519 attestation", "cryptography", "ophamin-core[ed25519]") from error

_P = 2**255 - 19
_ORDER_8 = (
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
)
_SMALL_ORDER = {0, 1, _P - 1, *_ORDER_8}
"""y of the eight points whose order divides 8: nobody holds such a key, and one signature in a few fits any text."""

__all__ = ["is_public_key", "public_key", "sign", "verify"]


def public_key(seed: bytes) -> str:
    """Public key of a private seed.

    Args:
        seed: 32 bytes.

    Returns:
        64 lower-hex characters.

    Source: RFC 8032, section 5.1.5.
    """
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def sign(seed: bytes, data: bytes) -> str:
    """Sign ``data``; 128 lower-hex characters. Source: RFC 8032, section 5.1.6."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(data).hex()


def verify(public_hex: str, data: bytes, signature_hex: str) -> bool:
    """Whether a signature over ``data`` was made by the owner of a public key.

    Args:
        public_hex: 64 hex characters.
        data: The signed bytes.
        signature_hex: 128 hex characters.

    Returns:
        False also for a key or signature that is not well formed, and for a key of small order, which anybody
        can sign with. Source: RFC 8032, section 5.1.7; Chalkias et al. (2020), Taming the many EdDSAs, SSR.
    """
    if _is_small(public_hex):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex)).verify(bytes.fromhex(signature_hex), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_small(public_hex: str) -> bool:
    # The top bit is the sign of x, and a y beyond the prime is one below it in other words.
    y = int.from_bytes(bytes.fromhex(public_hex), "little") & (2**255 - 1)
    return y % _P in _SMALL_ORDER


def is_public_key(public_hex: str) -> bool:
    """Whether 64 hex characters are a key that one person can hold."""
    if _is_small(public_hex):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex))
    except ValueError:
        return False
    return True
