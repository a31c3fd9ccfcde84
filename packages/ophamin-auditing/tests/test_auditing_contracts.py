"""Both tools keep the auditor's contract."""

from __future__ import annotations

import pytest

from ophamin.auditing.tools.bandit import Bandit
from ophamin.auditing.tools.ruff import Ruff
from ophamin.testing import check_auditor


@pytest.mark.parametrize("tool", [Ruff, Bandit])
def test_contract(tool, tmp_path):
    check_auditor(tool, tmp_path)
