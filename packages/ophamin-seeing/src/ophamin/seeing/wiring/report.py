"""A census as a signed record in the project's store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.git import GitError, git, is_changed
from ophamin.protocols import Settings
from ophamin.seeing._signed import Kept, identity, keep, reproduction, signer_of, text
from ophamin.seeing.substrate._revision import file_hash
from ophamin.seeing.wiring._config import WiringConfig, load_config
from ophamin.seeing.wiring._worklist import strata_of, summarise, worklist
from ophamin.seeing.wiring.census import take_census
from ophamin.seeing.wiring.record import WIRING

__all__ = ["report_wiring"]

JSON = Any
CONFIG = "wiring.toml"


def report_wiring(
    path: Path | str,
    settings: Settings,
    *,
    config: Path | None = None,
    key_file: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Kept:
    """Take a census of a source tree, sign it and store it.

    Args:
        path: Folder of the tree.
        settings: Of the project whose store is used.
        config: ``wiring.toml``; default: the one in the folder, if there is one.
        key_file: Signing key; default: ``$OPHAMIN_SIGN_KEY`` or the installation's own.
        progress: Told how many files of how many are read.

    Raises:
        UsageError: No such folder, no Python file in it, or a configuration that makes no sense.
        LimitError: More modules than a record holds.
        KeyPolicyError: The key cannot be used.
    """
    signer = signer_of(key_file)
    own = Path(path) / CONFIG
    used = config or (own if own.is_file() else None)
    declared = load_config(used) if used else WiringConfig()
    census = take_census(path, declared, progress=progress)
    revision, dirty = _revision(census.base)
    argv = ["ophamin", "wiring", str(path), *(["--config", str(config)] if config else [])]
    body: dict[str, JSON] = {
        "schema_version": WIRING.version,
        "identity": identity(),
        "target": {
            "path": text(census.base),
            "content_hash": digest([[m["path"], file_hash(census.base / m["path"])] for m in census.modules]),
            "revision": revision,
            "dirty": dirty,
        },
        "config": declared.to_dict(),
        "summary": summarise(census.modules),
        "strata": strata_of(census.modules, declared.to_dict()["strata"]),
        "worklist": worklist(census.modules, census.broken),
        "modules": census.modules,
        "dynamic_imports": census.dynamic,
        "broken_imports": census.broken,
        "skipped": census.skipped,
        "notes": census.notes,
        "reproduction": reproduction(argv),
    }
    return keep(body, WIRING, settings, signer)


def _revision(folder: Path) -> tuple[str, bool | None]:
    """Commit of the repository the tree lies in, and whether tracked files were changed; ``("", None)`` without."""
    try:
        return git(folder, "rev-parse", "--verify", "HEAD"), is_changed(folder, below=True)
    except GitError:
        return "", None
