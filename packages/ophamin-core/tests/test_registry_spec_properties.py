from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ophamin.proof.errors import UsageError
from ophamin.registry import Spec

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]*", fullmatch=True)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]*", fullmatch=True)
# What looks like the beginning of the parameters cannot be part of an argument.
ARGS = st.text().filter(lambda text: not re.search(r"\?[A-Za-z_][\w.-]*=", text) and not text.endswith("?"))


@given(NAMES, ARGS, st.dictionaries(KEYS, st.text(), max_size=4))
def test_a_spec_written_out_reads_back_the_same(name, arg, params):
    spec = Spec(name, arg, params)
    assert Spec.parse(str(spec)) == spec


@given(st.text())
def test_any_text_is_a_spec_or_a_usage_error(text):
    try:
        spec = Spec.parse(text)
    except UsageError:
        return
    assert Spec.parse(str(spec)) == spec
