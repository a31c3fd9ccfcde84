"""What the kits say of plain values: is it JSON, is it a finite number, is it a real version."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from ophamin.proof.canonical import canonical_bytes
from ophamin.proof.errors import RecordError
from ophamin.proof.types import to_json

__all__ = ["assert_columns", "assert_installed", "assert_json", "attempt", "is_number", "snapshot"]

T = TypeVar("T")


def attempt(call: Callable[[], T], allowed: type[Exception], what: str) -> tuple[T | None, bool]:
    """What ``call`` gives, and whether it refused instead with an error that is ``allowed`` and says why.

    Whatever else it raises is the finding, so any type is caught.
    """
    try:
        return call(), False
    except allowed as error:
        reason = str(error)
    except Exception as error:
        raise AssertionError(f"{what} raises {type(error).__name__}: {error}") from error
    assert reason.strip(), f"{what} is refused without a word"
    return None, True


def assert_json(value: Any, what: str) -> bytes:
    """Canonical bytes of a value that must be plain JSON."""
    try:
        return canonical_bytes(to_json(value))
    except RecordError as error:
        raise AssertionError(f"{what} must be plain JSON values: {error}") from error


def is_number(value: Any) -> bool:
    """Whether it is a finite number (and no truth value)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def assert_installed(library: str, stated: str, what: str) -> None:
    """``stated`` must be the version the installed distribution ``library`` has."""
    assert library, f"{what} names no library"
    try:
        installed = version(library)
    except PackageNotFoundError:
        raise AssertionError(f"{what} names {library!r}, which is not an installed distribution") from None
    assert stated == installed, (
        f"{what} says {library} {stated!r}, but {installed} is installed; read it, never type it"
    )


def assert_columns(columns: Any, what: str) -> int:
    """The number of rows of a table whose columns must be equally long."""
    assert isinstance(columns, Mapping), f"{what} must be a mapping of columns, not {type(columns).__name__}"
    lengths = {name: len(values) for name, values in columns.items()}
    assert len(set(lengths.values())) <= 1, f"{what} has columns of different lengths: {lengths}"
    return next(iter(lengths.values()), 0)


def snapshot(value: Any) -> Any:
    """A deep copy, to see later whether the original was changed."""
    return copy.deepcopy(value)
