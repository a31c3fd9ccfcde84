"""What every command of this wheel needs: its settings, its progress, and writing a copy of a record."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ophamin.protocols import Settings

__all__ = ["as_json", "copy_to", "fail_on", "key_file", "settings_of", "show_progress"]

JSON = Any

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
key_file = click.option(
    "--key-file", type=click.Path(path_type=Path), help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else your own]"
)


def settings_of(settings: Settings | None) -> Settings:
    """The settings the command was given, or those of the project the working folder lies in."""
    if settings is not None:
        return settings
    from ophamin.proof.project import Project

    project = Project.find()
    return Settings(str(project.root), str(project.proofs))


def show_progress(words: str, *, last: bool = False) -> None:
    """One line on a terminal that replaces the line before; nothing in a pipe."""
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{words}", end="\n" if last else "", file=sys.stderr, flush=True)


def copy_to(record: Mapping[str, JSON], out: Path | None) -> None:
    """Also write the record where the user wants it."""
    if out is None:
        return
    from ophamin.proof.errors import UsageError
    from ophamin.proof.reading import write_object

    try:
        write_object(out, record)
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror or error}; the record itself is stored") from error


def fail_on(words: str, known: tuple[str, ...]) -> set[str]:
    """The words of a ``--fail-on``; ``any`` is all of them, ``none`` none.

    Raises:
        UsageError: Another word.
    """
    from ophamin.proof.errors import UsageError
    from ophamin.seeing._params import nearest

    wanted: set[str] = set()
    for word in (w.strip() for w in words.split(",")):
        if word == "any":
            wanted |= set(known)
        elif word in known:
            wanted.add(word)
        elif word not in ("none", ""):
            raise UsageError(f"--fail-on {word}: must be of {', '.join(known)}, any, none{nearest(word, known)}")
    return wanted
