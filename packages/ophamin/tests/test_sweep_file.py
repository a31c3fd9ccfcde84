"""Sweep files: what they say, what they may not say, and what would grow when read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ophamin.config import load_sweep
from ophamin.proof.errors import OphaminError, UsageError

SWEEP = """
scenario: metric
base:
  arms: {main: "python:model:f"}
  corpus: table:rows.csv
  n: 100
  options: {claim: "accuracy >= ${base.options.least}", least: 0.9}
grid:
  options.depth: [1, 2]
  n: {from: 100, to: 300, step: 100}
limits: {time_s: 60}
"""
# Each value is the one before it twice; written out, the last one has 2^20 times the first.
BOMB = "a0: boom\n" + "".join(f'a{i}: "${{a{i - 1}}}${{a{i - 1}}}"\n' for i in range(1, 21))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes a sweep file."""

    def put(text: str | bytes) -> Path:
        path = tmp_path / "sweep.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return put


def test_base_grid_range_interpolation_and_limits(write: Callable[[str], Path]) -> None:
    spec = load_sweep(write(SWEEP))
    assert spec.base.options["claim"] == "accuracy >= 0.9"
    assert spec.grid == {"options.depth": [1, 2], "n": [100, 200, 300]}
    assert (spec.time_s, spec.design, spec.blocks) == (60, "full", 1)


def test_overrides_win_and_meet_interpolations(write: Callable[[str], Path]) -> None:
    words = ["base.options.least=0.8", "grid.options.depth=[3]", "design=one-factor", "grid.corpus=[a,b]"]
    spec = load_sweep(write(SWEEP), words)
    assert spec.base.options["claim"] == "accuracy >= 0.8"
    assert spec.grid["options.depth"] == [3]
    assert spec.grid["corpus"] == ["a", "b"]
    assert spec.design == "one-factor"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SWEEP.replace("grid:", "gird:"), "unknown key 'gird'; did you mean 'grid'"),
        (SWEEP.replace("  corpus:", "  corpsu:"), "did you mean 'corpus'"),
        (SWEEP.replace("options.depth", "option.depth"), "did you mean 'options'"),
        (SWEEP.replace("time_s", "time"), "did you mean 'time_s'"),
        (SWEEP.replace("step:", "stop:"), "did you mean 'step'"),
        (SWEEP.replace("step: 100", "step: 0"), "do not lead"),
        (SWEEP.replace("to: 300, step: 100", "to: 1000100, step: 1"), "1,000,001 values"),
        (SWEEP.replace("n: 100\n", "n: many\n"), "base.n must be int"),
        (SWEEP.replace("time_s: 60", "time_s: -1"), "positive"),
        (SWEEP.replace('  arms: {main: "python:model:f"}\n', ""), "names no system"),
        (SWEEP.replace("scenario: metric", "design: full"), "names no scenario"),
        (SWEEP.replace("least}", "lost}"), "no sweep file"),
        (SWEEP.replace("least: 0.9", "least: ${base.options.claim}"), "itself|no sweep file"),
        ("a: &a [1]\nb: [*a, *a]\n", "alias"),
        ("a: !!python/object/apply:os.system ['true']\n", "tag"),
        ("a: !secret 1\n", "tag"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested"),
        ("a: [1\n", "no sweep file"),
        ("- 1\n", "no keys"),
        ("5\n", "no keys"),
        ("word", "no keys"),
        ("--- !!binary x\n", "no keys"),
        ("# nothing\n---\n", "no scenario|no keys"),
        ("", "no scenario|no keys"),
        (b"\xff\xfe", "UTF-8"),
        ("#" * (2**20 + 1), "bytes"),
        (SWEEP.replace("step: 100", "step: 1.0e-320"), "takes at most"),
        (SWEEP.replace("to: 300", "to: 3" + "0" * 400), "ends and steps of at most"),
        (SWEEP.replace("options.depth: [1, 2]", "options: [1]\n  options.a.b: [2]"), "below options"),
        (SWEEP + BOMB, "41 interpolations"),
        (SWEEP + BOMB.replace("$", "\\x24"), "interpolations"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    write: Callable[[str | bytes], Path], text: str | bytes, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_sweep(write(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["${oc.env:SECRET}", "${${grid.options.name.0}:SECRET}"])
def test_no_environment_variable_gets_into_a_record(
    write: Callable[[str | bytes], Path], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    from omegaconf import OmegaConf

    monkeypatch.setenv("SECRET", "s3cr3t")
    named = SWEEP.replace("options.depth: [1, 2]", "options.depth: [1, 2]\n  options.name: [oc.env]")
    with pytest.raises(UsageError, match="environment variable SECRET"):
        load_sweep(write(named), [f"base.corpus={text}"])
    # For all others it stays what it was.
    assert OmegaConf.create({"a": "${oc.env:SECRET}"}).a == "s3cr3t"


def test_a_file_that_is_not_there_and_an_override_that_is_none(write: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_sweep(tmp_path / "none.yaml")
    with pytest.raises(OphaminError, match="KEY=VALUE"):
        load_sweep(write(SWEEP), ["design"])
