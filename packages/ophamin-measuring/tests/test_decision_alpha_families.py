from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from ophamin.measuring.decision import (
    alpha_for,
    benjamini_hochberg,
    benjamini_yekutieli,
    corrected_outcome,
    error_bound,
    holm,
)
from ophamin.measuring.estimators.proportion import proportion
from ophamin.proof.errors import UsageError


def test_alpha_is_halved_at_each_attempt_or_shared_in_advance() -> None:
    assert [alpha_for(0.05, k) for k in (1, 2, 3)] == [0.05, 0.025, 0.0125]
    assert [alpha_for(0.05, k, 5) for k in (1, 5)] == [0.01, 0.01]
    assert error_bound(0.05, 1) == 0.05
    assert error_bound(0.05, 3) == pytest.approx(0.0875)
    assert error_bound(0.05, 1000) <= 0.1
    assert error_bound(0.05, 5, 5) == pytest.approx(0.05)
    for k in range(1, 20):
        assert error_bound(0.05, k) == pytest.approx(sum(alpha_for(0.05, j) for j in range(1, k + 1)))
    for bad in ((0.05, 0, 1), (0.05, 6, 5), (0.6, 1, 1), (0.05, 1, 0)):
        with pytest.raises(UsageError):
            alpha_for(*bad)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=10)  # statsmodels collects all garbage in each call
def test_adjusted_p_values_agree_with_statsmodels(p: list[float]) -> None:
    for ours, name in ((holm, "holm"), (benjamini_hochberg, "fdr_bh"), (benjamini_yekutieli, "fdr_by")):
        assert ours(p) == pytest.approx(multipletests(p, method=name)[1].tolist(), rel=1e-9, abs=1e-15)


def test_a_corrected_verdict_only_weakens() -> None:
    assert corrected_outcome("VALIDATED", 0.04, 1.0, 0.05) == "VALIDATED"
    assert corrected_outcome("VALIDATED", 0.06, 0.0, 0.05) == "INCONCLUSIVE"
    assert corrected_outcome("REFUTED", 0.0, 0.06, 0.05) == "INCONCLUSIVE"
    assert corrected_outcome("REFUTED", 1.0, 0.05, 0.05) == "REFUTED"
    assert corrected_outcome("INCONCLUSIVE", 0.0, 0.0, 0.05) == "INCONCLUSIVE"
    with pytest.raises(UsageError):
        holm([0.5, 1.5])


@pytest.mark.data
def test_reference_cases(tmp_path: Path) -> None:
    shared = os.environ.get("OPHAMIN_SHARED")
    if not shared:
        pytest.skip("OPHAMIN_SHARED is not set")
    folder = Path(shared) / "reference"
    assert folder.is_dir(), f"OPHAMIN_SHARED is set and {folder} is missing"
    answers: dict[str, dict[str, object]] = {}
    for case in json.loads((folder / "cases_open.json").read_text(encoding="utf-8")):
        if case["method"] == "proportion_ci":
            x, n = case["options"]["x"], case["options"]["n"]
            got: dict[str, object] = {}
            for key, method, confidence in (
                ("wilson", "wilson", 0.975),
                ("wilson99", "wilson", 0.995),
                ("clopper_pearson", "clopper-pearson", 0.975),
            ):
                e = proportion({"value": [1] * x + [0] * (n - x)}, confidence=confidence, method=method)
                got |= {f"{key}.lo": e.lower, f"{key}.hi": e.upper}
            answers[case["id"]] = got
        elif case["method"] == "p_adjust":
            p = case["options"]["p"]
            answers[case["id"]] = {"holm": holm(p), "bh": benjamini_hochberg(p), "by": benjamini_yekutieli(p)}
    assert len(answers) >= 7
    (tmp_path / "results.json").write_text(json.dumps(answers), encoding="utf-8")
    command = [
        sys.executable,
        str(folder / "compare.py"),
        str(folder / "cases_open.json"),
        str(tmp_path / "results.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
