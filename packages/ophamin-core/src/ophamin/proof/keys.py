"""Keys: who signs, whom we trust, and where the secrets lie.

One secret makes both signatures: the HMAC key is its bytes, the Ed25519 seed is derived from it. So whatever
names a key (``--key-file``, ``OPHAMIN_SIGN_KEY``, the installation's own) also attests, and anyone can verify
without the secret. There is no built-in key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ophamin.proof.errors import KeyPermissionsError, KeyPolicyError, NoKeyError, UsageError

__all__ = ["INSTALLATION", "KeyInfo", "Keyring", "Signer", "hmac_key_id", "home_directory", "is_demo_key", "key_id"]

INSTALLATION = "installation"
"""Name of the key an installation makes for itself on first use."""
MIN_KEY_BYTES = 16
MAX_KEY_BYTES = 65536

# SHA-256 of the public demo keys of the conformance vectors: they verify old records and sign nothing.
_DEMO_KEYS = frozenset(
    {
        "05470657711f8c05f5b65a578182e9ba0f62fa4250d86dae203dd12679035d47",
        "d8a439a00285057a502811920fb3ad084ed3bbc31f35536f26d366daab58a0d7",
        "32b859b446d00e953987b28b8a9b5520c9b53fde7f8869a8f7a3e56d299bfcd5",
    }
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_PUBLIC = re.compile(r"[0-9a-fA-F]{64}\Z")


def key_id(public_key: str) -> str:
    """First 16 hex of the SHA-256 of a public key.

    Args:
        public_key: 64 hex characters.
    """
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:16]


def hmac_key_id(secret: bytes) -> str:
    """16 hex characters that name an HMAC key and tell nothing of it.

    A key that can be guessed could be guessed from the signature as well.

    Args:
        secret: The bytes of the key.

    Example:
        >>> hmac_key_id(b"sixteen bytes ok")
        '95cb8fec58d223a7'
    """
    return hashlib.sha256(b"hmac:" + hashlib.sha256(secret).hexdigest().encode()).hexdigest()[:16]


def is_demo_key(secret: bytes) -> bool:
    """Whether this is one of the published demo keys."""
    return hashlib.sha256(secret).hexdigest() in _DEMO_KEYS


def home_directory(environ: Mapping[str, str] | None = None) -> Path:
    """The user's folder: ``$OPHAMIN_HOME``, else where the platform keeps such things.

    Args:
        environ: The environment; default: this process's.

    Returns:
        ``$XDG_DATA_HOME/ophamin`` or ``~/.local/share/ophamin``, ``~/Library/Application Support/ophamin``
        on macOS, ``%APPDATA%\\ophamin`` on Windows. Not created.
    """
    environ = os.environ if environ is None else environ
    if given := environ.get("OPHAMIN_HOME"):
        return Path(given)
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "ophamin"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ophamin"
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ophamin"


def _seed(secret: bytes) -> bytes:
    return hmac.digest(secret, b"ophamin ed25519 seed v1", "sha256")


class Signer:
    """A secret that signs: HMAC-SHA256 always, Ed25519 where ``cryptography`` is installed.

    Args:
        secret: At least 16 bytes.
        name: What to call it in messages.

    Raises:
        KeyPolicyError: Empty, too short, or one of the public demo keys.

    Example:
        >>> Signer(b"sixteen bytes ok").hmac(b"data")[:8]
        'c0b4daa4'
    """

    def __init__(self, secret: bytes, name: str = "key") -> None:
        if len(secret) < MIN_KEY_BYTES:
            state = f"has {len(secret)} bytes" if secret else "is empty"
            raise KeyPolicyError(
                f"the {name} {state}; a signing key has at least {MIN_KEY_BYTES} random bytes (ophamin key create)"
            )
        if is_demo_key(secret):
            raise KeyPolicyError(f"the {name} is a public demo key: it verifies old records and signs nothing")
        self.name = name
        self._secret = secret

    def __repr__(self) -> str:
        return f"Signer({self.key_id})"

    @property
    def public_key(self) -> str | None:
        """64 hex characters; ``None`` without ``cryptography``."""
        try:
            from ophamin.proof import ed25519
        except ImportError:
            return None
        return ed25519.public_key(_seed(self._secret))

    @property
    def key_id(self) -> str:
        """16 hex characters that name the key: of its public key, or of its HMAC key without ``cryptography``."""
        public = self.public_key
        if public is not None:
            return key_id(public)
        return self.hmac_key_id

    @property
    def hmac_key_id(self) -> str:
        """16 hex characters that name the HMAC key; they stand in what it signs."""
        return hmac_key_id(self._secret)

    def hmac(self, data: bytes) -> str:
        """Lower-hex HMAC-SHA256 of ``data``."""
        return hmac.digest(self._secret, data, "sha256").hex()

    def attest(self, data: bytes) -> dict[str, str] | None:
        """An Ed25519 attestation of ``data``: ``{key_id, algorithm, public_key, signature}``.

        Returns:
            ``None`` without ``cryptography``.
        """
        try:
            from ophamin.proof import ed25519
        except ImportError:
            return None
        public = ed25519.public_key(_seed(self._secret))
        return {
            "key_id": key_id(public),
            "algorithm": "ed25519",
            "public_key": public,
            "signature": ed25519.sign(_seed(self._secret), data),
        }


@dataclass(frozen=True)
class KeyInfo:
    """What may be shown of a key; never the secret.

    Args:
        name: Its name here.
        key_id: 16 hex characters.
        public_key: 64 hex characters; ``None`` without ``cryptography``.
        origin: ``own`` or ``trusted``.
    """

    name: str
    key_id: str
    public_key: str | None
    origin: str


class Keyring:
    """The keys of this installation and the public keys it trusts.

    Args:
        home: The user's folder; default ``home_directory(environ)``. Secrets lie in ``home/keys``.
        environ: The environment; default: this process's.

    Example:
        >>> ring = Keyring(home, environ={})  # doctest: +SKIP
        >>> ring.signer().key_id == ring.signer().key_id  # doctest: +SKIP
        True
    """

    def __init__(self, home: Path | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._environ: Mapping[str, str] = os.environ if environ is None else environ
        self.home = Path(home) if home is not None else home_directory(self._environ)
        self._keys = self.home / "keys"
        self._trusted = self.home / "trusted"

    # --- signing

    def signer(self, key_file: Path | None = None) -> Signer:
        """The key to sign with: ``key_file``, else ``OPHAMIN_SIGN_KEY``, else the installation's own.

        The installation's own key is made on first use.

        Raises:
            NoKeyError: ``key_file`` does not exist or cannot be read.
            KeyPermissionsError: Others may read the file.
            KeyPolicyError: The key is too short or public.
        """
        if key_file is not None:
            return Signer(read_key_file(Path(key_file)), f"key in {key_file}")
        given = self.environment_key()
        if given is not None:
            return Signer(given, "key in OPHAMIN_SIGN_KEY")
        return self.create(INSTALLATION, exist_ok=True)

    def environment_key(self) -> bytes | None:
        """The UTF-8 bytes of ``OPHAMIN_SIGN_KEY``; ``None`` when it is not set."""
        value = self._environ.get("OPHAMIN_SIGN_KEY")
        return None if value is None else value.encode("utf-8", "surrogateescape")

    def create(self, name: str, *, exist_ok: bool = False) -> Signer:
        """Make a random key, mode 0600 in a folder of mode 0700.

        Two processes that create the same name at once end up with the same key.

        Args:
            name: Letters, digits, ``. _ -``; at most 64.
            exist_ok: Take the key that is already there instead of refusing.

        Raises:
            UsageError: The name is malformed or taken.
            KeyPermissionsError: The file or folder is open to others.
            KeyPolicyError: The folder cannot be written.
        """
        path = self._keys / f"{_checked(name)}.key"
        if not path.exists():
            import secrets

            secret = secrets.token_hex(32).encode() + b"\n"
            try:
                self._keys.mkdir(mode=0o700, parents=True, exist_ok=True)
                _refuse_open(self._keys, os.stat(self._keys))
                if _write_exclusively(path, secret):
                    exist_ok = True
            except KeyPolicyError:
                raise
            except OSError as error:
                raise KeyPolicyError(
                    f"no key can be kept in {self._keys}: {error.strerror or error}; set OPHAMIN_HOME or "
                    "OPHAMIN_SIGN_KEY"
                ) from error
        if not exist_ok:
            raise UsageError(f"a key named {name!r} already exists in {self._keys}; choose another name")
        return Signer(read_key_file(path), f"key {name!r}")

    def own(self) -> dict[str, Signer]:
        """The keys that lie in this home, by name, and none is made.

        Raises:
            KeyPermissionsError: One of them is open to others.
        """
        return {file.stem: Signer(read_key_file(file), f"key {file.stem!r}") for file in self._key_files()}

    def hmac_keys(self) -> list[bytes]:
        """Every secret at hand to verify with: ``OPHAMIN_SIGN_KEY`` first, then the home's own.

        Unlike for signing, ``OPHAMIN_SIGN_KEY`` may be any key here, public ones too.
        """
        given = self.environment_key()
        return [*([given] if given else []), *map(read_key_file, self._key_files())]

    def public_keys(self) -> dict[str, str]:
        """Names of our own keys by public key; empty without ``cryptography``."""
        try:
            from ophamin.proof import ed25519
        except ImportError:
            return {}
        own = {f.stem: read_key_file(f) for f in self._key_files()}
        given = self.environment_key()
        if given:
            own["OPHAMIN_SIGN_KEY"] = given
        return {ed25519.public_key(_seed(secret)): name for name, secret in own.items()}

    def _key_files(self) -> Sequence[Path]:
        return sorted(self._keys.glob("*.key")) if self._keys.is_dir() else []

    # --- trust

    def trust(self, name: str, public_key: str) -> KeyInfo:
        """Trust the owner of a public key; their attestations then suffice.

        Args:
            name: What to call them.
            public_key: 64 hex characters.

        Raises:
            UsageError: Malformed, or the name stands for another key.
        """
        path = self._trusted / f"{_checked(name)}.pub"
        public_key = public_key.strip().lower()
        if not _PUBLIC.match(public_key):
            raise UsageError("a public key is 64 hex characters; ophamin key list shows them")
        try:
            from ophamin.proof import ed25519
        except ImportError:
            pass
        else:
            if not ed25519.is_public_key(public_key):
                raise UsageError(f"{public_key} is not an Ed25519 public key")
        self._trusted.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _write_exclusively(path, public_key.encode() + b"\n") and self.trusted().get(name) != public_key:
            raise UsageError(f"{name!r} already names another trusted key; remove {path} or choose another name")
        return KeyInfo(name, key_id(public_key), public_key, "trusted")

    def trusted(self) -> dict[str, str]:
        """Public keys we trust, by name; our own are not listed.

        Raises:
            KeyPolicyError: A file in the trust store is damaged.
        """
        result = {}
        for file in sorted(self._trusted.glob("*.pub")) if self._trusted.is_dir() else []:
            text = file.read_text("ascii", "replace").strip().lower()
            if not _PUBLIC.match(text):
                raise KeyPolicyError(f"{file} holds no public key; remove it")
            result[file.stem] = text
        return result

    def list(self) -> Sequence[KeyInfo]:
        """Own and trusted keys, without secrets."""
        own = [KeyInfo(name, s.key_id, s.public_key, "own") for name, s in self.own().items()]
        return [*own, *(KeyInfo(n, key_id(p), p, "trusted") for n, p in self.trusted().items())]


def read_key_file(path: Path) -> bytes:
    """The key in a file: its bytes less one final newline.

    Raises:
        NoKeyError: Absent, a directory, or not readable.
        KeyPermissionsError: Group or others have any right on it (POSIX only).
        KeyPolicyError: It is too long to be a key.
    """
    try:
        with open(path, "rb") as file:
            _refuse_open(path, os.fstat(file.fileno()))
            data = file.read(MAX_KEY_BYTES + 1)
    except FileNotFoundError:
        raise NoKeyError(f"there is no key file {path}; ophamin key create makes one") from None
    except KeyPolicyError:
        raise
    except OSError as error:
        raise NoKeyError(f"the key file {path} cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_KEY_BYTES:
        raise KeyPolicyError(f"{path} is longer than {MAX_KEY_BYTES} bytes, so it is no key file")
    return data[:-1] if data.endswith(b"\n") else data


def _refuse_open(path: Path, status: os.stat_result) -> None:
    # Windows and WebAssembly report made-up permission bits.
    if os.name != "posix" or sys.platform == "emscripten":
        return
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = "700" if stat.S_ISDIR(status.st_mode) else "600"
        raise KeyPermissionsError(f"others may read {path}; run: chmod {mode} '{path}'")


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise UsageError(f"{name!r} is no name for a key; use letters, digits and . _ - (at most 64)")
    return name


def _write_exclusively(path: Path, data: bytes) -> bool:
    """Put a complete file of mode 0600 at ``path`` unless one is there; whether it was ours."""
    import secrets

    from ophamin.proof.atomic import sync_directory, write_all

    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # Unlike a rename, a link never replaces: the loser of a race sees the winner's whole file.
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync_directory(path.parent)
        return True
    finally:
        temporary.unlink()
