"""``ophamin key …``: the installation's keys, and whose records it trusts."""

from __future__ import annotations

import click

from ophamin.cli._output import as_json, emit_json, emit_table
from ophamin.proof.keys import Keyring

__all__ = ["key_create", "key_list", "key_trust"]


@click.command("list")
@as_json
def key_list(as_json: bool) -> None:
    """List your keys and the signers you trust; never shows a secret.

    Example: ophamin key list
    """
    ring = Keyring()
    own, trusted = ring.list(), ring.trusted()
    if as_json:
        emit_json({"home": str(ring.home), "keys": own, "trusted": trusted})
        return
    click.echo(f"keys in {ring.home}")
    emit_table(["NAME", "KEY ID", "PUBLIC KEY"], [(k["name"], k["key_id"], k.get("public_key") or "-") for k in own])
    emit_table(["TRUSTED", "KEY ID", "PUBLIC KEY"], [(k["name"], k["key_id"], k["public_key"]) for k in trusted])


@click.command("create")
@click.argument("name", default="default")
@as_json
def key_create(name: str, as_json: bool) -> None:
    """Create a signing key called NAME; the one called "default" signs your runs.

    Example: ophamin key create
    """
    made = Keyring().create(name)
    if as_json:
        emit_json(made)
        return
    click.echo(f"created {made['name']}, key id {made['key_id']}")
    if made.get("public_key"):
        click.echo(f"others verify your records after: ophamin key trust NAME {made['public_key']}")


@click.command("trust")
@click.argument("name")
@click.argument("public_key")
@as_json
def key_trust(name: str, public_key: str, as_json: bool) -> None:
    """Trust records attested by PUBLIC_KEY (64 hex digits), known to you as NAME.

    Example: ophamin key trust alice 0f0e…
    """
    entry = Keyring().trust(name, public_key)
    if as_json:
        emit_json(entry)
        return
    click.echo(f"trusting {entry['name']}, key id {entry['key_id']}")
