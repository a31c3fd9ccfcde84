from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophamin.proof.verification import Finding, Verification
from ophamin.reporting._pages import document
from ophamin.reporting._text import visible
from ophamin.reporting.renderers.html import HtmlRenderer

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style><svg/onload=alert(1)>",
    "{{ 7*7 }}{% include 'x' %}",
    "javascript:alert(1) [a](javascript:alert(1)) <javascript:alert(1)>",
    "safe‮elas\x00\x1b[31m​",
    "]]><!-- x",
]
hostile = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))


class Page(HTMLParser):
    """Elements with their attributes, and the text of the statement."""

    def __init__(self, html: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.statement: list[str] = []
        self._in = ""
        self.feed(html.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in = "statement" if dict(attrs).get("class") == "statement" else ""

    def handle_endtag(self, tag):
        self._in = ""

    def handle_data(self, data):
        self.text.append(data)
        if self._in:
            self.statement.append(data)

    @property
    def shape(self):
        """Names of elements, and of their attributes."""
        return [(tag, sorted(attrs)) for tag, attrs in self.elements]


def everywhere(value, text):
    """The same shape with every string replaced."""
    if isinstance(value, dict):
        return {k: everywhere(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [everywhere(v, text) for v in value]
    return text if isinstance(value, str) else value


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=hostile)
def test_no_element_or_attribute_comes_from_a_record(body, text):
    # The record's own members last: the text may be the name of one ("claim").
    record = {text: {text: text}, "proof_id": "ab" * 32, **body(text)}
    page = Page(HtmlRenderer().render([record], title=text))
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "h1", "main", "article", "p", "strong", "span",
               "h2", "section", "h3", "figure", "figcaption", "div", "table", "caption", "thead", "tbody", "tr", "th",
               "td", "dl", "dt", "dd", "pre", "code", "details", "summary", "footer",
               "svg", "desc", "defs", "g", "path", "use", "text", "clippath", "rect", "pattern"}  # fmt: skip
    assert {tag for tag, _ in page.elements} <= allowed
    assert not any(name.startswith("on") for _, names in page.shape for name in names)
    for tag, attrs in page.elements:
        for name in ("href", "xlink:href", "src"):
            assert (attrs.get(name) or "#").startswith("#"), tag
    expected = visible(text) or "a claim without a statement"
    # HTML folds carriage returns; ours are visible before that.
    assert "".join(page.statement) == expected


def test_a_record_full_of_scripts_has_the_elements_of_a_harmless_one(proof, audit):
    for record in (proof(), audit):
        for text in HOSTILE[:5]:
            plain = Page(HtmlRenderer().render([everywhere(record, "plain")]))
            nasty = Page(HtmlRenderer().render([everywhere(record, text)]))
            assert {t for t, _ in nasty.shape} == {t for t, _ in plain.shape}


def test_the_page_is_self_contained_and_safe(proof):
    html = HtmlRenderer().render([proof(), proof("Another.")]).decode()
    page = Page(html.encode())
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "img", "form"}
    assert "@import" not in html
    assert "url(http" not in html
    assert ("html", {"lang": "en"}) in page.elements
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [attrs["href"][1:] for tag, attrs in page.elements if tag == "a"]
    assert targets == ["r1", "r2"]
    assert set(targets) <= set(ids)
    assert html.count("<caption>") == html.count("<table")


def test_the_same_records_give_the_same_bytes(proof, audit):
    assert HtmlRenderer().render([proof(), audit]) == HtmlRenderer().render([proof(), audit])


def test_a_proof_says_what_its_verdict_is_worth(proof):
    text = "".join(Page(HtmlRenderer().render([proof()])).text)
    for said in (
        "If this claim were false, how often would this procedure say VALIDATED? At most 5 % of the time",
        "L 97.5 %",
        "0.0547 (95 % one-sided)",
        "scipy 1.15.3",
        "ophamin run metric",
        "398",
        "before the data",
    ):
        assert said in text


def test_an_approximate_guarantee_is_called_so(proof):
    record = proof()
    record["evidence"][1]["guarantee"] = "approximate"
    assert "About 5 % of the time, if the assumptions" in HtmlRenderer().render([record]).decode()


def test_the_error_of_a_claim_is_exact_only_when_every_part_is(proof):
    record = proof()
    record["claim"]["decision"]["rule"] = "exact"
    assert "At most 5 %" in HtmlRenderer().render([record]).decode()
    record["claim"]["co_primary"][0]["decision"]["rule"] = "exact"
    assert (
        "Never: it says VALIDATED only where the whole target was measured" in HtmlRenderer().render([record]).decode()
    )


def test_a_proof_of_version_1_0_promises_nothing_it_does_not_hold(old_proof):
    text = "".join(Page(HtmlRenderer().render([old_proof])).text)
    assert "Not known: a record of version 1.0" in text
    assert "no interval stands behind it" in text


def test_an_audit_says_what_was_not_looked_at(audit):
    text = "".join(Page(HtmlRenderer().render([audit])).text)
    for said in ("… and 101 more", "not installed, so nothing was looked at", "ran out of time", "bandit, mypy, slow"):
        assert said in text
    assert text.index("high") < text.index("F000")
    assert "at least 1" not in text
    assert text.count("unknown") >= 3


def test_an_audit_whose_tool_read_only_a_part_is_called_incomplete(audit):
    audit["pillars"] = audit["pillars"][:1]
    audit["pillars"][0] |= {
        "complete": False,
        "warnings": ["bad.py was not examined: syntax error"],
        "finding_count": 0,
    }
    del audit["verdict"]
    text = "".join(Page(HtmlRenderer().render([audit])).text)
    assert "every tool finished." not in text
    for said in (
        "not everything was examined, so there may be more",
        "ruff did not examine every file",
        "ok: finished, but did not examine every file",
        "at least 0",
        "bad.py was not examined: syntax error",
    ):
        assert said in text


def test_an_audit_whose_summary_alone_says_incomplete_is_called_so(audit):
    audit["pillars"], audit["summary"] = audit["pillars"][:1], {"complete": False}
    text = "".join(Page(HtmlRenderer().render([audit])).text)
    assert "Not everything was looked at: the record's summary says so" in text


def test_an_audit_is_named_by_what_was_audited_and_sums_up_its_gates(audit):
    audit["target"] |= {"path": ".", "target_path": "/home/me/src"}
    audit["pillars"] = audit["pillars"][:1]
    page = document([audit], "").pages[0]
    assert page.heading == "Audit of src"
    assert page.summary == ("high: 1", "none needed", "1 tool")
    del audit["verdict"]
    assert document([audit], "").pages[0].summary == ("301", "—", "1 tool")


def test_the_verdict_of_a_bad_record_is_never_green(proof):
    bad = Verification([Finding("id", "bad", "x")])
    html = (
        HtmlRenderer().render([proof(), proof()], verifications=[bad, Verification([Finding("id", "good")])]).decode()
    )
    assert '<span class="word untrusted">VALIDATED: not trusted</span>' in html
    assert html.count('<span class="word good">VALIDATED</span>') == 1
    assert '<p class="badge untrusted"><strong>VALIDATED: not trusted</strong>' in html


def test_a_bare_point_is_not_called_exact(old_proof, proof):
    assert document([old_proof], "").pages[0].summary[1] == "none (bare point)"
    exact = proof()
    exact["claim"]["decision"]["rule"] = "exact"
    exact["verdict"]["interval"] = {"lower": 3, "upper": 3, "level": 0.95}
    page = document([exact], "").pages[0]
    assert page.summary[1] == "none needed"
    assert not page.parts[0].has_interval
    exact["verdict"]["interval"] = {"lower": 1, "upper": 3, "level": 0.95}
    page = document([exact], "").pages[0]
    assert page.summary[1] == "1 to 3"
    assert page.parts[0].lower_confidence is None


def test_measured_numbers_are_short(proof):
    record = proof()
    record["verdict"]["observed_value"] = 0.0591852
    html = HtmlRenderer().render([record]).decode()
    shown = html.split("<details>")[0]
    assert "0.05919" in shown
    assert "0.0591852" not in shown


def test_a_chart_can_be_read_on_a_phone(proof):
    html = HtmlRenderer().render([proof()]).decode()
    assert '<figure><div class="wide" tabindex="0" role="region" aria-label="Interval against threshold"><svg' in html
    assert "figure svg { display: block; width: 100%; min-width: 40rem;" in html


def test_the_state_of_a_record_is_loud_when_bad_and_quiet_when_good(proof):
    bad = Verification([Finding("id", "bad", "the body hashes to something else")])
    good = Verification([Finding("id", "good")], signer="installation")
    html = HtmlRenderer().render([proof(), proof()], verifications=[bad, good]).decode()
    assert html.count('role="alert"') == 1
    assert "DO NOT TRUST THIS RECORD" in html
    assert "the body hashes to something else" in html
    assert "(installation)" in html
    assert 'role="alert"' not in HtmlRenderer().render([proof()]).decode()


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.just(10**400),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=60)
@given(data=st.data())
def test_a_record_of_any_shape_is_shown(data):
    sections = ("identity", "claim", "preregistration", "data", "evidence", "verdict", "reproduction", "provenance",
                "pillars", "target", "attestations", "schema_version")  # fmt: skip
    record = {name: data.draw(JSON) for name in data.draw(st.sets(st.sampled_from(sections)))}
    record[data.draw(st.sampled_from(["proof_id", "audit_id", "other_id"]))] = data.draw(JSON)
    assert document([record], "").pages
    assert HtmlRenderer().render([record]).startswith(b"<!DOCTYPE html>")


def test_a_huge_string_is_cut_and_says_so(proof):
    html = HtmlRenderer().render([proof("x" * 1_000_000)])
    assert len(html) < 400_000
    assert b"more characters)" in html


def test_without_matplotlib_a_sentence_stands_for_the_chart(proof, monkeypatch):
    from ophamin.proof.errors import MissingDependency
    from ophamin.reporting.renderers import html

    def missing(*args, **kwargs):
        raise MissingDependency("the interval chart", "matplotlib", "ophamin-reporting[plots]")

    monkeypatch.setattr(html, "interval_chart", missing)
    page = HtmlRenderer().render([proof()]).decode()
    assert "<svg" not in page
    assert "ophamin-reporting[plots]" in page
    assert "lower bound" in page


def _browser():
    return next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)


@pytest.mark.skipif(_browser() is None, reason="no headless browser (chromium, chromium-headless-shell) is installed")
def test_a_real_browser_runs_no_script_of_a_record(proof, tmp_path):
    attack = "<script>document.title='hacked';document.body.dataset.ran='yes'</script>"
    record = everywhere(proof(), attack + "<img src=x onerror=\"document.title='hacked'\">")
    record["verdict"]["interval"] = proof()["verdict"]["interval"]
    (tmp_path / "report.html").write_bytes(HtmlRenderer().render([record, proof(attack)], title=attack))
    done = subprocess.run(
        [str(_browser()), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "report.html").as_uri()],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    page = Page(done.stdout)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert "data-ran" not in dict(next(attrs for tag, attrs in page.elements if tag == "body"))
    assert attack in "".join(page.statement)
    assert "hacked" not in done.stdout.decode().split("<title>")[1][:8]
