from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from ophamin.proof.verification import Finding, Verification
from ophamin.reporting._text import visible
from ophamin.reporting.renderers.markdown import MarkdownRenderer, escape

ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def unescape(markdown: str) -> str:
    """What CommonMark makes of backslash escapes and our three entities, where nothing else is markup."""
    text = ESCAPE.sub(r"\1", markdown)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@given(st.text(max_size=80))
@example("a | b `c` <d> [e](f) *g* __h__ ~~i~~ #j $k$ !l @m \\| \\")
@example("www.example.org https://x.example :smile: &lt;")
def test_escaped_text_reads_as_itself_and_holds_no_markup(text):
    escaped = escape(text)
    assert "\n" not in escaped
    assert unescape(escaped) == re.sub(r"[ \t\n]+", " ", visible(text)).strip()
    bare = re.sub(r"\\[\\`*\[\]~$#|!@_:.]", "", escaped)
    assert not re.search(r"[`*\[\]~$#|!@<>\\]", bare)
    assert not re.search(r"&(?!(amp|lt|gt);)", bare)
    assert "://" not in bare
    assert not re.search(r"www\.", bare, re.IGNORECASE)


def test_names_of_metrics_stay_readable():
    assert escape("false_positive_rate") == "false_positive_rate"
    assert escape("10:00:00") == "10:00:00"


def test_hostile_cells_do_not_break_a_table(proof):
    text = MarkdownRenderer().render([proof("a | b\n\n# heading\n- item <script>"), proof()]).decode()
    rows = [line for line in text.splitlines() if line.startswith("| 1 |")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 8
    assert "<script>" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "\n# heading" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def test_code_cannot_leave_its_fence(proof):
    record = proof()
    record["reproduction"]["command"] = "echo\n`````\n<script>alert(1)</script>"
    text = MarkdownRenderer().render([record]).decode()
    assert "``````\necho\n`````\n<script>alert(1)</script>\n``````\n" in text


def test_it_says_what_the_page_says(proof, old_proof, audit):
    bad = Verification([Finding("id", "bad", "x")])
    text = MarkdownRenderer().render([proof(), old_proof, audit], verifications=[bad]).decode()
    assert "> **⚠ DO NOT TRUST THIS RECORD**" in text
    assert "At most 5 % of the time" in text
    assert "… and 101 more" in text


def test_other_kinds_show_what_their_own_wheel_lists(monkeypatch):
    class Kind:
        name, id_field, version, schema = "tally", "tally_id", "tally/1.0", {}

        def accepts(self, record):
            return "tally_id" in record

        def forms(self, version):
            return ("compact",)

        def check(self, record):
            return []

        def cases(self, record):
            return [{"name": "column | a", "outcome": "drift", "message": f"effect {record['effect']}"}]

    from ophamin import registry

    names, get = registry.records.names(), registry.records.get
    monkeypatch.setattr(registry.records, "names", lambda: [*names, "tally"])
    monkeypatch.setattr(registry.records, "get", lambda name: Kind() if name == "tally" else get(name))
    text = MarkdownRenderer().render([{"tally_id": "0" * 64, "effect": 0.25}]).decode()
    assert r"| column \| a | drift | effect 0.25 |" in text
    # One that is not shaped as its wheel knows is still shown, without.
    assert "drift" not in MarkdownRenderer().render([{"tally_id": "0" * 64}]).decode()
