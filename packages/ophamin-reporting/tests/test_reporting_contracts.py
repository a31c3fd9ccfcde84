"""Both renderers keep the contract of a renderer."""

from __future__ import annotations

import json

import pytest

from ophamin.reporting.renderers.html import HtmlRenderer
from ophamin.reporting.renderers.markdown import MarkdownRenderer
from ophamin.testing import check_renderer


@pytest.mark.parametrize("renderer", [HtmlRenderer, MarkdownRenderer])
def test_contract(renderer, write_proof):
    first, second = (json.loads(write_proof(f"{name}.json").read_text()) for name in "ab")
    second["claim"]["statement"] = "another claim"
    check_renderer(renderer, [first, second])
