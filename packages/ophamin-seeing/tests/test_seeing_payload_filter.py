from __future__ import annotations

from pathlib import Path

import pytest

from ophamin.proof.errors import CorpusUnavailable, LeakageError, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_corpus, make_substrate


def rates(root: Path) -> tuple[float, float]:
    """False-positive and detection rate on the test half."""
    records = list(make_corpus("cyber-payloads?split=test", root).records())
    results = make_substrate(f"payload-filter?batch=512&data_root={root}").run_batch(records, seed=0, timeout_s=60)
    blocked: dict[str, list[bool]] = {"attack": [], "benign": []}
    for record, result in zip(records, results, strict=True):
        blocked[record.labels["kind"]].append(result.output["blocked"])
    return tuple(sum(blocked[kind]) / len(blocked[kind]) for kind in ("benign", "attack"))


def test_on_the_generated_sample_it_is_good_and_not_perfect(cyber_root: Path) -> None:
    false_positives, detection = rates(cyber_root)
    assert 0.001 < false_positives < 0.015
    assert 0.97 < detection < 0.995


@pytest.mark.data
def test_on_real_payloads(real_root: Path) -> None:
    false_positives, detection = rates(real_root)
    assert false_positives < 0.03
    assert detection > 0.97


def test_output_and_clock(cyber_root: Path) -> None:
    records = [Record("a", "1' or 1=1--"), Record("b", "rosa becker moreau"), Record("c", b"../../etc/passwd%00x")]
    one = list(make_substrate(f"payload-filter?data_root={cyber_root}").run_batch(records, seed=0, timeout_s=60))
    assert [r.output["blocked"] for r in one] == [True, False, True]
    assert [r.output["answer"] for r in one] == [r.output["label"] for r in one] == ["attack", "benign", "attack"]
    assert all(r.output["confidence"] == max(r.output["score"], 1 - r.output["score"]) for r in one)
    assert all(r.wall_s > 0 for r in one)
    many = list(
        make_substrate(f"payload-filter?batch=2&data_root={cyber_root}").run_batch(records, seed=0, timeout_s=60)
    )
    assert [r.output["score"] for r in many] == pytest.approx([r.output["score"] for r in one], abs=1e-12)
    assert [(r.index, r.wall_s) for r in many] == [(0, None), (1, None), (2, None)]
    never = make_substrate(f"payload-filter?threshold=1&data_root={cyber_root}")
    assert not next(never.run_batch(records, seed=0, timeout_s=60)).output["blocked"]


def test_it_refuses_what_it_was_trained_on(cyber_root: Path) -> None:
    waf = make_substrate(f"payload-filter?data_root={cyber_root}")
    train = make_corpus("cyber-payloads?split=train", cyber_root).sample(30, 1)
    test = make_corpus("cyber-payloads?split=test", cyber_root).sample(30, 1)
    waf.admit(test)
    disguised = [Record(f"new-{r.id}", f"  {r.payload}\n") for r in train[:3]]
    with pytest.raises(LeakageError, match="trained on 3 of these 33 records"):
        waf.admit([*test, *disguised])
    with pytest.raises(LeakageError, match="30 of these 30"):
        waf.admit(train)


def test_identity_covers_data_and_parameters(cyber_root: Path, tmp_path: Path) -> None:
    other = make_corpus("cyber-payloads").write_sample(tmp_path, 2)
    specs = [f"payload-filter?data_root={cyber_root}{more}" for more in ("", "&threshold=0.6", "&max_train=500")]
    hashes = {make_substrate(s).identity().config_hash for s in [*specs, f"payload-filter?data_root={other}"]}
    assert len(hashes) == 4
    moved = make_corpus("cyber-payloads").write_sample(tmp_path / "moved", 1)
    assert make_substrate(f"payload-filter?data_root={moved}").identity().config_hash in hashes


def test_mistakes(tmp_path: Path) -> None:
    for spec in ("payload-filter:x", "payload-filter?threshold=2", "payload-filter?max_train=1"):
        with pytest.raises(UsageError):
            make_substrate(spec)
    with pytest.raises(CorpusUnavailable, match="cyber-payloads is absent"):
        make_substrate(f"payload-filter?data_root={tmp_path}").reset(0)
    make_corpus("flores").write_sample(tmp_path, 1)
    with pytest.raises(UsageError, match="both kinds"):
        make_substrate(f"payload-filter?corpus=flores&data_root={tmp_path}").reset(0)
