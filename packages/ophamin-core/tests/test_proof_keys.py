"""Keys: made once, kept closed, never shown."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ophamin.proof.errors import KeyPermissionsError, KeyPolicyError, NoKeyError, UsageError
from ophamin.proof.keys import INSTALLATION, Keyring, Signer, home_directory, key_id

posix = pytest.mark.skipif(os.name != "posix", reason="permission bits mean something on POSIX only")


@pytest.fixture
def ring(tmp_path):
    return Keyring(tmp_path / "home", {})


def key_file(path, data, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_the_installation_makes_one_random_key_on_first_use(ring, tmp_path):
    assert ring.hmac_keys() == []
    assert ring.own() == {}
    first = ring.signer()
    assert first.key_id == ring.signer().key_id == Keyring(ring.home, {}).signer().key_id
    assert first.key_id != Keyring(tmp_path / "other", {}).signer().key_id
    (secret,) = ring.hmac_keys()
    assert len(secret) == 64
    assert os.listdir(ring.home / "keys") == [f"{INSTALLATION}.key"]


@posix
def test_keys_are_closed_to_others_whatever_the_umask(ring):
    before = os.umask(0)
    try:
        ring.signer()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(ring.home / "keys").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(ring.home / "keys" / f"{INSTALLATION}.key").st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_an_open_key_file_is_refused_with_the_cure(ring, tmp_path, mode):
    path = key_file(tmp_path / "k", b"0123456789abcdef", mode)
    with pytest.raises(KeyPermissionsError, match=f"chmod 600 '{path}'") as caught:
        ring.signer(path)
    assert caught.value.exit_code == 5
    ring.signer()
    own = ring.home / "keys" / f"{INSTALLATION}.key"
    own.chmod(mode)
    uses = [ring.signer, ring.hmac_keys, ring.list]
    if find_spec("cryptography"):  # without it there are no public keys to derive, and nothing is read
        uses.append(ring.public_keys)
    for use in uses:
        with pytest.raises(KeyPermissionsError, match="chmod 600"):
            use()


@posix
def test_an_open_key_folder_is_refused(ring):
    (ring.home / "keys").mkdir(parents=True)
    (ring.home / "keys").chmod(0o777)
    with pytest.raises(KeyPermissionsError, match="chmod 700"):
        ring.signer()


def test_hmac_and_attestation_are_the_standard_ones(ring):
    signer = Signer(b"0123456789abcdef")
    assert signer.hmac(b"data") == hmac.new(b"0123456789abcdef", b"data", hashlib.sha256).hexdigest()
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    attestation = signer.attest(b"data")
    public = bytes.fromhex(attestation["public_key"])
    ed25519.Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(attestation["signature"]), b"data")
    assert attestation["key_id"] == hashlib.sha256(public).hexdigest()[:16] == signer.key_id == key_id(public.hex())
    assert attestation["algorithm"] == "ed25519"
    assert attestation == signer.attest(b"data")


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"0123456789abcdef\n", b"0123456789abcdef"),
        (b"0123456789abcdef", b"0123456789abcdef"),
        (b"0123456789abcdef\n\n", b"0123456789abcdef\n"),
        (b"0123456789abcdef\r\n", b"0123456789abcdef\r"),
        (bytes(range(256)), bytes(range(256))),
    ],
)
def test_a_key_file_is_its_bytes_less_one_final_newline(ring, tmp_path, content, key):
    signer = ring.signer(key_file(tmp_path / "k", content))
    assert signer.hmac(b"x") == hmac.new(key, b"x", hashlib.sha256).hexdigest()


def test_the_order_is_file_then_environment_then_own(tmp_path):
    ring = Keyring(tmp_path / "home", {"OPHAMIN_SIGN_KEY": "schlüssel der umgebung"})
    expected = hmac.new("schlüssel der umgebung".encode(), b"x", hashlib.sha256).hexdigest()
    assert ring.signer().hmac(b"x") == expected
    assert not (tmp_path / "home").exists(), "nothing is made when nothing is needed"
    given = ring.signer(key_file(tmp_path / "k", b"0123456789abcdef"))
    assert given.hmac(b"x") == Signer(b"0123456789abcdef").hmac(b"x")


@pytest.mark.parametrize("secret", ["", "short", "fifteen bytes.."])
def test_empty_and_short_keys_are_refused(tmp_path, secret):
    with pytest.raises(KeyPolicyError, match="16 random bytes"):
        Keyring(tmp_path, {"OPHAMIN_SIGN_KEY": secret}).signer()
    with pytest.raises(KeyPolicyError, match="16 random bytes"):
        Keyring(tmp_path, {}).signer(key_file(tmp_path / "k", secret.encode() + b"\n"))


def test_files_that_are_no_keys(ring, tmp_path):
    with pytest.raises(NoKeyError, match="key create"):
        ring.signer(tmp_path / "absent")
    tmp_path.chmod(0o700)
    with pytest.raises(NoKeyError, match="cannot be read"):
        ring.signer(tmp_path)
    with pytest.raises(KeyPolicyError, match="longer"):
        ring.signer(key_file(tmp_path / "big", b"a" * 70_000))


def test_a_home_that_cannot_be_written_says_what_to_set(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyPolicyError, match="OPHAMIN_HOME"):
        Keyring(tmp_path / "file" / "home", {}).signer()


def test_named_keys_are_made_once(ring):
    made = ring.create("release")
    with pytest.raises(UsageError, match="already exists"):
        ring.create("release")
    assert ring.own()["release"].key_id == made.key_id
    assert ring.create("release", exist_ok=True).key_id == made.key_id
    for name in ("", "../x", "a/b", ".hidden", "a" * 65, "a b", "x\n"):
        with pytest.raises(UsageError, match="no name"):
            ring.create(name)


def test_listing_never_shows_a_secret(ring):
    ring.signer()
    other = ring.create("other")
    if other.public_key:
        ring.trust("friend", "ab" * 32)
    shown = repr(ring.list()) + repr(ring.signer()) + repr(vars(ring))
    for secret in ring.hmac_keys():
        assert secret.decode() not in shown
        assert secret.hex() not in shown
    assert [(k.name, k.origin) for k in ring.list()][:2] == [(INSTALLATION, "own"), ("other", "own")]


def test_trust(ring, tmp_path):
    public = Keyring(tmp_path / "them", {}).signer().public_key
    if public is None:
        pytest.skip("cryptography is not installed")
    assert ring.trust("them", public.upper()).key_id == key_id(public)
    ring.trust("them", public)
    assert ring.trusted() == {"them": public}
    other = Keyring(tmp_path / "others", {}).signer().public_key
    with pytest.raises(UsageError, match="already names another"):
        ring.trust("them", other)
    for bad in ("", "ab", "zz" * 32, "ab" * 33):
        with pytest.raises(UsageError, match="64 hex"):
            ring.trust("bad", bad)
    (ring.home / "trusted" / "broken.pub").write_text("no key")
    with pytest.raises(KeyPolicyError, match=r"broken\.pub"):
        ring.trusted()


def test_two_processes_that_create_at_once_get_the_same_key(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom ophamin.proof.keys import Keyring\n"
        "while time.time() < float(sys.argv[2]): pass\n"
        "print(Keyring(Path(sys.argv[1]), {}).signer().hmac(b'x'))"
    )
    import time

    start = str(time.time() + 1.0)
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "home"), start], stdout=subprocess.PIPE)
        for _ in range(6)
    ]
    answers = {p.communicate()[0] for p in running}
    assert all(p.returncode == 0 for p in running)
    assert len(answers) == 1
    assert os.listdir(tmp_path / "home" / "keys") == [f"{INSTALLATION}.key"]


def test_the_loser_of_a_race_takes_the_winners_key(ring, monkeypatch):
    winner = ring.signer()
    # The file appears between the look and the link.
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert ring.signer().key_id == winner.key_id


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"OPHAMIN_HOME": "/x/y"}, "/x/y"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/ophamin"),
        ("linux", {}, "~/.local/share/ophamin"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "~/Library/Application Support/ophamin"),
        ("win32", {"APPDATA": "/app"}, "/app/ophamin"),
    ],
)
def test_home(monkeypatch, platform, environ, expected):
    monkeypatch.setattr(sys, "platform", platform)
    assert home_directory(environ) == Path(expected).expanduser()
