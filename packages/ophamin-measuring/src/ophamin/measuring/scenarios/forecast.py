"""What ``ophamin plan`` says: n for a power, what a given n can show, and how long it takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.measuring.decision import alpha_for, check_claim
from ophamin.measuring.planning import plan, plan_claim, plan_family
from ophamin.measuring.scenarios._road.deciding import plain
from ophamin.measuring.scenarios._road.design import design_of
from ophamin.measuring.scenarios._road.setup import open_corpus, resolve_claim
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim
from ophamin.protocols import RunSpec

__all__ = ["forecast"]

JSON = Any
TIMED = 5
"""Cycles that are timed; none of their outputs is read, so nothing is learnt about the claim."""


def forecast(
    spec: RunSpec,
    *,
    power: float = 0.8,
    error_rate: float = 0.0,
    assumptions: Mapping[str, float] | None = None,
    family: int | None = None,
    correction: str = "holm",
) -> dict[str, JSON]:
    """Plan a claim without registering anything.

    Args:
        spec: The run to plan; ``n`` asks what that n can show, arms make it time a few cycles, a corpus makes it
            say how many records there are.
        power: Target for validating at δ inside θ and for refuting at δ outside.
        error_rate: Share of cycles expected to fail.
        assumptions: Fields of the planning room's ``Assumptions``, the same for every threshold.
        family: Claims like this one whose verdicts are corrected together; ``None`` when it stands alone.
        correction: How they are corrected.

    Returns:
        Plain values: the joint plan, one plan per threshold, and seconds.

    Raises:
        UsageError: No sample can validate the claim, or it cannot be planned as it stands.
        CorpusUnavailable: A corpus is named that is not there.
    """
    scenario, options, claim = resolve_claim(spec)
    check_claim(claim)
    alpha = alpha_for(spec.alpha, 1, spec.attempts)
    offered = getattr(scenario, "strata", None)
    strata = list(offered(options)) if offered is not None else []
    arms = len(scenario.arms(options))
    design = design_of(scenario, options)
    assumed = {t.metric: {**design.assumptions.get(t.metric, {}), **(assumptions or {})} for t, _ in claim.parts()}
    given: dict[str, Any] = {"power": power, "n": spec.n, "expected_error_rate": error_rate, "alpha": alpha}
    together = None
    if family is None:
        joint = plan_claim(claim, assumptions=assumed, **given)
    else:
        together = plan_family([claim], m=family, correction=correction, assumptions=assumed, **given)
        (joint,) = together.plans
        given["share"] = together.first_alpha / alpha
    parts = [] if claim.decision.rule == "exact" else _parts(claim, given, assumed)
    corpus_spec = spec.corpus or scenario.default_corpus
    n_cycles = None if joint.n is None else joint.n * max(len(strata), 1) * arms * design.cycles_per_unit
    if design.whole and spec.n is None and corpus_spec:
        n_cycles = arms * open_corpus(corpus_spec, spec.data_root).count()
    if claim.decision.rule == "exact" and corpus_spec and spec.arms:
        n_cycles = 2 * arms * open_corpus(corpus_spec, spec.data_root).count()
    n_records = open_corpus(spec.corpus, spec.data_root).count() if spec.corpus else None
    pace = _pace(spec, corpus_spec) if spec.arms else None
    found = {
        "scenario": spec.scenario,
        "statement": claim.statement,
        "rule": claim.decision.rule,
        "alpha": alpha,
        "given_n": spec.n,
        "strata": strata,
        "arms": arms,
        "n_cycles": n_cycles,
        "n_records": n_records,
        **asdict(joint),
        "family": None if together is None else {k: v for k, v in asdict(together).items() if k != "plans"},
        "parts": parts,
        "seconds": None if pace is None or n_cycles is None else pace * n_cycles,
        "timed_cycles": None if pace is None else TIMED,
    }
    words: dict[str, JSON] = plain(found)
    return words


def _parts(claim: Claim, given: Mapping[str, Any], assumed: Mapping[str, Mapping[str, Any]]) -> list[dict[str, JSON]]:
    found = []
    for threshold, decision in claim.parts():
        # A part planned alone would be refused for the co-primary it relies on, so errors count as they do jointly.
        alone = replace(decision, error_policy="bound") if decision.error_policy == "exclude" else decision
        part = plan(threshold, alone, **given, **assumed[threshold.metric])
        found.append({"threshold": str(threshold), "delta": decision.smallest_difference, **asdict(part)})
    return found


def _pace(spec: RunSpec, corpus_spec: str) -> float:
    """Median seconds of a few cycles, over all arms; the outputs are dropped unread."""
    if not corpus_spec:
        raise UsageError("to say how long it takes, name the records with --corpus, or leave out --substrate")
    corpus = open_corpus(corpus_spec, spec.data_root)
    records = corpus.sample(TIMED, 0)
    spans = []
    with ExitStack() as stack:
        for words in spec.arms.values():
            substrate = registry.make_substrate(words, Path(spec.data_root) if spec.data_root else None)
            stack.callback(substrate.close)
            substrate.reset(0)
            for record in records:
                began = time.perf_counter()
                for _ in substrate.run_batch([record], seed=0, timeout_s=spec.timeout_s):
                    pass
                spans.append(time.perf_counter() - began)
    return statistics.median(spans) if spans else 0.0
