"""``ophamin key …``: the installation's keys, and whose records it trusts."""

from __future__ import annotations

from dataclasses import asdict

import click

from ophamin.cli._output import as_json, emit_json, emit_table
from ophamin.proof.keys import INSTALLATION, KeyInfo, Keyring

__all__ = ["key_create", "key_list", "key_trust"]


@click.command("list")
@as_json
def key_list(as_json: bool) -> None:
    """List your keys and the signers you trust; never shows a secret.

    Example: ophamin key list
    """
    ring = Keyring()
    keys = ring.list()
    if as_json:
        emit_json({"home": str(ring.home), "keys": [asdict(k) for k in keys]})
        return
    click.echo(f"keys in {ring.home}")
    emit_table(
        ["NAME", "WHOSE", "KEY ID", "PUBLIC KEY"], [(k.name, k.origin, k.key_id, k.public_key or "-") for k in keys]
    )


@click.command("create")
@click.argument("name", default=INSTALLATION)
@as_json
def key_create(name: str, as_json: bool) -> None:
    """Create a random signing key called NAME; "installation" is the one that signs your runs.

    Example: ophamin key create
    """
    signer = Keyring().create(name)
    made = KeyInfo(name, signer.key_id, signer.public_key, "own")
    if as_json:
        emit_json(asdict(made))
        return
    click.echo(f"created {name}, key id {made.key_id}")
    if made.public_key:
        click.echo(f"others accept your records after: ophamin key trust YOUR_NAME {made.public_key}")


@click.command("trust")
@click.argument("name")
@click.argument("public_key")
@as_json
def key_trust(name: str, public_key: str, as_json: bool) -> None:
    """Trust records attested by PUBLIC_KEY (64 hex digits), known to you as NAME.

    Example: ophamin key trust alice 0f0e…
    """
    known = Keyring().trust(name, public_key)
    if as_json:
        emit_json(asdict(known))
        return
    click.echo(f"trusting {known.name}, key id {known.key_id}")
