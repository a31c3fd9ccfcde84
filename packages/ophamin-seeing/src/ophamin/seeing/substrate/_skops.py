"""Estimators from skops files: what is in them is looked at before anything is made of it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skops.io  # type: ignore[import-untyped]  # ships no types

from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.seeing.substrate._batches import told

__all__ = ["load_estimator"]


def load_estimator(path: Path, trusted: Sequence[str]) -> Any:
    """The estimator in a skops file.

    Args:
        path: The file.
        trusted: Full names of types to accept beyond those that skops knows to be harmless.

    Raises:
        UsageError: It is no skops file, or holds types that were not named.
        SubstrateFailure: It cannot be loaded by what is installed.
    """
    _check_form(path)
    try:
        untrusted = skops.io.get_untrusted_types(file=path)
    except Exception as error:  # a hostile file may raise anything
        raise UsageError(f"{path} is not a skops file that can be read: {told(error)}") from error
    unknown = sorted(set(untrusted) - set(trusted))
    if unknown:
        raise UsageError(
            f"{path} holds types that nobody vouched for: {', '.join(unknown)}; loading would run their code. "
            f"If you trust them, name them by trust={','.join(unknown)}"
        )
    try:
        return skops.io.load(path, trusted=[name for name in untrusted if name in trusted])
    except Exception as error:  # whatever the types of a hostile or too old file raise
        raise SubstrateFailure(f"{path} cannot be loaded: {told(error)}") from error


def _check_form(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "schema.json" in archive.namelist():
                return
    pickled = head[:1] == b"\x80" or path.suffix in (".pkl", ".pickle", ".joblib")
    if pickled:
        raise UsageError(
            f"{path} is a pickle, and loading one runs whatever code is in it; write the estimator by "
            "skops.io.dump(estimator, 'model.skops')"
        )
    raise UsageError(f"{path} is not a skops file; write one by skops.io.dump(estimator, 'model.skops')")
