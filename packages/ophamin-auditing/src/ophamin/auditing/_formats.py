"""Writing an audit in a foreign format: whatever exporter or renderer of that name is installed."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ophamin import registry
from ophamin.proof.atomic import write_atomic
from ophamin.proof.errors import UnknownPlugin, UsageError

if TYPE_CHECKING:
    from ophamin.auditing.audit import Audited

__all__ = ["Writer", "write", "writer"]

Writer = Callable[["Audited", BinaryIO], Sequence[str]]
"""Writes an audit; returns what the format could not carry."""


def writer(name: str) -> Writer:
    """The writer of a format.

    Args:
        name: Of an exporter for audits (``sarif``, ``junit``, ``github`` …) or of a renderer (``markdown`` …).

    Raises:
        UnknownPlugin: There is none, or it is for other records; the message lists those there are.
    """
    if name in registry.exporters.names():
        exporter = registry.exporters.get(name)()
        if "audit" in exporter.kinds:
            return lambda done, out: exporter.export(done.record, out).lost
    elif name in registry.renderers.names():
        renderer = registry.renderers.get(name)()

        def render(done: Audited, out: BinaryIO) -> Sequence[str]:
            out.write(renderer.render([done.record]))
            return ()

        return render
    known = sorted({*registry.exporters.names(), *registry.renderers.names()})
    raise UnknownPlugin(f"no format {name!r} for audits; installed are {', '.join(known)}")


def write(write: Writer, done: Audited, file: Path | None) -> Sequence[str]:
    """Write an audit to a file, whole or not at all, or to standard output.

    Raises:
        UsageError: The file cannot be written; the record is stored all the same.
    """
    out = io.BytesIO()
    lost = write(done, out)
    if file is None:
        sys.stdout.buffer.write(out.getvalue())
        sys.stdout.buffer.flush()
        return lost
    try:
        write_atomic(file, out.getvalue())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}; the record itself is stored as {done.path}") from error
    return lost
