"""A regression alert as a page."""

from __future__ import annotations

import pytest

from ophamin.proof.verification import Finding, Verification
from ophamin.reporting.renderers.html import HtmlRenderer
from ophamin.reporting.renderers.markdown import MarkdownRenderer
from ophamin.testing import check_renderer

BOUNDS = {"lower": -0.18, "upper": -0.12, "lower_confidence": 0.95, "upper_confidence": 0.95}


def alert(**change):
    sides = {
        f"{side}_{name}": value
        for side, verdict, observed in (("before", "VALIDATED", 0.95), ("after", "REFUTED", 0.8))
        for name, value in {"verdict": verdict, "observed": observed, "commit": side, "path": "a.json"}.items()
    }
    delta = {
        "metric": "accuracy",
        "difference": {"value": -0.15, **BOUNDS},
        "smallest_difference": 0.02,
        "method": "paired by record",
        "transition": "regression",
        "equivalent": False,
    }
    return {
        "alert_id": "ab" * 32,
        "schema_version": "regression-alert/1.1",
        "before_root": "main",
        "after_root": "head",
        "n_before": 2,
        "n_after": 1,
        "generated_at": "2026-11-24T10:00:00+00:00",
        "settings": {"alpha": 0.05, "correction": "holm", "family": 1},
        "transitions": [
            {
                "pair_key": "metric|accuracy|>=|0.9",
                "family": "metric",
                "threshold_metric": "accuracy",
                "transition_class": "regression",
                "claim": "It is <b>right</b>.",
                "deltas": [delta],
                **sides,
            }
        ],
        "unmatched": [{"side": "before", "pair_key": "k", "claim": "Another.", "verdict": "VALIDATED"}],
        "superseded": [],
        "problems": [{"state": "tampered, left out", "path": "x.json", "reason": "signature"}],
        "reproduction": {"command": "ophamin compare main head"},
        "signature": "00" * 32,
        **change,
    }


@pytest.mark.parametrize("renderer", [HtmlRenderer, MarkdownRenderer])
def test_an_alert_keeps_the_contract_of_a_renderer(renderer):
    check_renderer(renderer, [alert(), alert(before_root="elsewhere")])


@pytest.mark.parametrize("renderer", [HtmlRenderer, MarkdownRenderer])
def test_an_alert_says_what_it_found(renderer):
    text = renderer().render([alert()], verifications=[Verification([Finding("id", "good")], "me")]).decode()
    for words in ("1 regression", "paired by record", "Another.", "tampered", "ophamin compare main head", "Holm"):
        assert words in text, words
    assert renderer is MarkdownRenderer or "<b>right</b>" not in text


def test_one_without_partners_is_no_pass():
    text = MarkdownRenderer().render([alert(transitions=[])]).decode()
    assert "nothing compared" in text
    assert "no regression" not in text


def test_an_alert_of_version_1_0_shows_its_keys():
    old = {k: v for k, v in alert().items() if k not in ("settings", "unmatched", "superseded", "problems")}
    old["transitions"] = [{k: v for k, v in t.items() if k not in ("claim", "deltas")} for t in old["transitions"]]
    text = MarkdownRenderer().render([{**old, "unmatched_in_before": ["lonely"], "unmatched_in_after": [3]}]).decode()
    assert "lonely" in text
    assert "VALIDATED → REFUTED" in text


@pytest.mark.parametrize("broken", [None, 3, "x", [], {}, [{}], [None], {"a": [1]}])
def test_a_misshapen_alert_is_shown(broken):
    fields = ("transitions", "unmatched", "settings", "problems", "unmatched_in_before", "before_root", "n_before")
    for name in fields:
        for renderer in (HtmlRenderer, MarkdownRenderer):
            assert renderer().render([alert(**{name: broken})])
