"""Where a project keeps its state and its proofs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Project"]

# The table header alone decides, and Python 3.10 has no TOML reader.
_TABLE = re.compile(r"^\s*\[\s*tool\s*\.\s*ophamin\s*[\].]", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """A project folder; nothing is created by looking.

    Args:
        root: The folder that holds ``.ophamin/`` and ``proofs/``.
    """

    root: Path

    @classmethod
    def find(cls, cwd: Path | None = None) -> Project:
        """The nearest parent with ``ophamin.toml``, ``[tool.ophamin]`` or ``.ophamin/``, else ``cwd``.

        Args:
            cwd: Where to begin, the working folder by default.
        """
        here = Path.cwd() if cwd is None else Path(cwd).resolve()
        for folder in (here, *here.parents):
            if _is_root(folder):
                return cls(folder)
        return cls(here)

    @property
    def state(self) -> Path:
        """``.ophamin``, what Ophamin itself keeps."""
        return self.root / ".ophamin"

    @property
    def ledger_dir(self) -> Path:
        """Folder of the ledger."""
        return self.state / "ledger"

    @property
    def journals(self) -> Path:
        """Folder of the journals that interrupted runs resume from."""
        return self.state / "journals"

    @property
    def index(self) -> Path:
        """The store's index, which can be deleted at any time."""
        return self.state / "index.sqlite"

    @property
    def proofs(self) -> Path:
        """Folder of the records."""
        return self.root / "proofs"


def _is_root(folder: Path) -> bool:
    try:
        if (folder / "ophamin.toml").is_file() or (folder / ".ophamin").is_dir():
            return True
        return bool(_TABLE.search((folder / "pyproject.toml").read_text("utf-8", "replace")))
    except OSError:  # no such file, or a parent that may not be read
        return False
