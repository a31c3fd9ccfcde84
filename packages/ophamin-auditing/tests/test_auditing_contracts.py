"""Every auditor and every exporter of ours keeps its contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ophamin import registry
from ophamin.auditing.audit import audit
from ophamin.auditing.export.github import GithubExporter
from ophamin.auditing.record import AUDIT
from ophamin.testing import check_auditor, check_exporter, check_record_kind

OURS = ("bandit", "interrogate", "mypy", "radon", "ruff", "vulture")
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("name", OURS)
def test_contract(name, tmp_path):
    check_auditor(registry.auditors.get(name), tmp_path)


def test_an_audit_with_every_optional_field_is_a_record_of_its_kind(messy, settings):
    first = audit(messy, settings)
    gates = ["new == 0", "high <= 9"]
    done = audit(messy, settings, tools=OURS, baseline=str(first.path), gates=gates)
    check_record_kind(AUDIT, done.record)
    check_exporter(GithubExporter, [*(json.loads(p.read_text("utf-8")) for p in GOLDEN), done.record])
