from __future__ import annotations

import os
from pathlib import Path

import pytest

from ophamin.registry import get_corpus


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves anything in the user's home, or finds data the developer has."""
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    monkeypatch.delenv("OPHAMIN_DATA_ROOT", raising=False)


@pytest.fixture(scope="session")
def cyber_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = get_corpus("cyber-payloads")("").write_sample(tmp_path_factory.mktemp("cyber"), 1)
    return root


REAL = os.environ.get("OPHAMIN_DATA_ROOT", "")


@pytest.fixture(scope="session")
def real_root() -> Path:
    if not REAL:
        pytest.skip("OPHAMIN_DATA_ROOT is not set: no real corpora to read")
    root = Path(REAL).resolve()
    assert root.is_dir(), f"OPHAMIN_DATA_ROOT={REAL} is no folder"
    return root
