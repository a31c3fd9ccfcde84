from __future__ import annotations

import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from ophamin.instrumenting.flame import Stacks, difference
from ophamin.instrumenting.flame._svg import LETTER, NARROWEST
from ophamin.proof.errors import UsageError

NS = "{http://www.w3.org/2000/svg}"
EXAMPLE = Stacks({("main", "load"): 30, ("main", "parse", "split"): 50, ("main",): 20}, "samples", "demo")


def frames(svg):
    """Drawn frames: tooltip → (x, y, width, fill, text)."""
    root = ElementTree.fromstring(svg)
    (group,) = [g for g in root.iter(f"{NS}g") if g.get("id") == "frames"]
    found = {}
    for g in group:
        rect, text = g.find(f"{NS}rect"), g.find(f"{NS}text")
        found[g.find(f"{NS}title").text] = (
            float(rect.get("x")), float(rect.get("y")), float(rect.get("width")), rect.get("fill"), text.text or "",
        )  # fmt: skip
    return found


def words(svg):
    return " ".join(ElementTree.fromstring(svg).itertext())


def test_widths_are_weights_and_children_stand_under_their_callers():
    drawn = frames(EXAMPLE.svg(width=1020))
    assert drawn["all (100 samples, 100.0 %)"][2] == 1000
    main, load = drawn["main (100 samples, 100.0 %)"], drawn["load (30 samples, 30.0 %)"]
    parse, split = drawn["parse (50 samples, 50.0 %)"], drawn["split (50 samples, 50.0 %)"]
    assert (main[2], load[2], parse[2]) == (1000, 300, 500)
    assert (load[0], parse[0], split[0]) == (10, 310, 310)
    assert main[1] < load[1] == parse[1] < split[1]
    assert split[4] == "split"


def test_equal_captures_give_equal_bytes_whatever_their_order():
    turned = Stacks(dict(reversed(EXAMPLE.weights.items())), "samples", "demo")
    assert turned.svg() == EXAMPLE.svg()


def test_the_picture_can_be_read_by_who_cannot_see_it():
    root = ElementTree.fromstring(EXAMPLE.svg())
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert root.find(f"{NS}title").text == "demo"
    alternative = root.find(f"{NS}desc").text
    assert "100 samples" in alternative
    assert alternative.index("split: 50 samples, 50.0 %") < alternative.index("load: 30 samples")


@pytest.mark.parametrize("unit", ["samples", "bytes", "microseconds"])
def test_a_flame_graph_of_nothing_says_so_and_is_a_whole_file(unit):
    for svg in (Stacks({}, unit, "x", "It ended at once.").svg(), difference(Stacks({}, unit), Stacks({}, unit)).svg()):
        assert "Nothing was captured" in words(svg)
        assert frames(svg) == {}
    assert "It ended at once." in words(Stacks({}, unit, "x", "It ended at once.").svg())
    assert "Nothing was captured in the first." in words(difference(Stacks({}, unit), Stacks({("a",): 1}, unit)).svg())


def test_hostile_names_stay_text_and_nothing_needs_the_network():
    attack = "</title><script>alert(1)</script>]]>&\"'<\x00\ud83d\uffff"
    svg = Stacks({(attack, attack): 5}, "samples", attack, attack, {attack: attack}).svg(title=attack)
    root = ElementTree.fromstring(svg)
    assert len(list(root.iter(f"{NS}script"))) == 1
    assert "alert" not in root.find(f"{NS}script").text
    # The namespaces are names, not addresses that anything fetches.
    assert set(re.findall(rb"https?://[^\s\"'<]+", svg)) == {b"http://www.w3.org/2000/svg"}
    assert not re.search(rb"\b(href|src|url\(|@import)", svg)


def test_text_stays_inside_its_frame_and_what_is_too_narrow_is_counted():
    many = Stacks({("main", f"a_function_with_a_long_name_{i:04} (pkg/module.py:{i})"): 1 + i % 7 for i in range(6000)})
    svg = many.svg()
    drawn = frames(svg)
    assert all(len(text) * LETTER <= width for _, _, width, _, text in drawn.values() if text)
    assert all(width >= NARROWEST for _, _, width, _, _ in drawn.values())
    told = re.search(r"([\d,]+) frames are too narrow to be drawn", words(svg))
    assert int(told[1].replace(",", "")) == 6002 - len(drawn)


def test_stacks_deeper_than_pythons_are_drawn():
    svg = Stacks({tuple(f"f{i}" for i in range(5000)): 3}).svg()
    assert len(frames(svg)) == 2001  # cut at the 2,000th


def test_a_width_that_holds_no_text_is_refused():
    with pytest.raises(UsageError, match="at least 400"):
        EXAMPLE.svg(width=10)


def test_a_difference_is_red_where_a_share_grew_and_blue_where_it_shrank():
    after = Stacks({("main", "load"): 120, ("main", "parse", "split"): 40, ("main", "new"): 40}, "samples", "demo")
    svg = difference(EXAMPLE, after).svg()
    drawn = frames(svg)
    assert drawn["load (30.0 % before, 60.0 % now, +30.0 pp)"][3].startswith("hsl(0,85%")
    assert drawn["split (50.0 % before, 20.0 % now, −30.0 pp)"][3].startswith("hsl(212,85%")
    assert drawn["main (100.0 % before, 100.0 % now, +0.0 pp)"][3] == "hsl(0,0%,92%)"
    assert drawn["load (30.0 % before, 60.0 % now, +30.0 pp)"][2] == pytest.approx(1180 * 0.6)
    moved = difference(Stacks({("f (m.py:1)",): 1}), Stacks({("f (m.py:9)",): 1})).svg()
    assert "f (m.py:9) (100.0 % before, 100.0 % now, +0.0 pp)" in frames(moved)
    # Only the first has it: no width, but named.
    back = words(difference(after, EXAMPLE).svg())
    assert "− new: 20.0 % before, gone now" in back


# --- in a real browser


def _browser():
    return next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)


@pytest.fixture
def browse(tmp_path):
    """What a real browser makes of a page: its document after scripts ran."""
    if _browser() is None:
        pytest.skip("no headless browser (chromium, chromium-headless-shell) is installed")

    def dump(address):
        done = subprocess.run(
            [str(_browser()), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--allow-file-access-from-files", "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom", address],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.decode()

    return dump


def test_a_browser_shows_it_searches_and_zooms(browse, tmp_path):
    (tmp_path / "demo.svg").write_bytes(EXAMPLE.svg())
    plain = browse((tmp_path / "demo.svg").as_uri())
    assert ">search</text>" in plain  # the script ran
    assert plain.count('class="f hit"') == 0
    marked = browse((tmp_path / "demo.svg").as_uri() + "#split")
    assert marked.count('class="f hit"') == 1
    assert "found 50.0 %: split" in marked
    # The same picture in a page that measures what is drawn and clicks a frame.
    (tmp_path / "page.html").write_text(
        """<!doctype html><meta charset=utf-8><iframe id=f src=demo.svg width=1300 height=400></iframe><script>
        document.getElementById('f').onload = function () {
          var svg = this.contentDocument, found = [];
          var g = [...svg.querySelectorAll('.f')].find(e => e.textContent.startsWith('parse'));
          [...svg.querySelectorAll('.f')].forEach(function (e) {
            var t = e.querySelector('text'), r = e.querySelector('rect');
            if (t.textContent && t.getBBox().width > r.getBBox().width) { found.push(t.textContent); }
          });
          g.dispatchEvent(new MouseEvent('click'));
          var shown = [...svg.querySelectorAll('.f')].filter(e => e.style.display !== 'none').length;
          document.title = 'over=' + found.length + ' shown=' + shown + ' width=' + g.querySelector('rect').getAttribute('width');
        };</script>""",
        "utf-8",
    )
    page = browse((tmp_path / "page.html").as_uri())
    assert "<title>over=0 shown=4 width=1180</title>" in page


def test_without_scripts_the_picture_is_whole(browse, tmp_path):
    (tmp_path / "demo.svg").write_bytes(EXAMPLE.svg())
    # Inside <img> no browser runs a script; the policy forbids them for the page as well, but for this one.
    (tmp_path / "page.html").write_text(
        """<!doctype html><meta charset=utf-8><img id=i src=demo.svg><script>
        document.getElementById('i').onload = function () {
          var c = document.createElement('canvas'); c.width = this.naturalWidth; c.height = this.naturalHeight;
          document.title = 'size ' + this.naturalWidth + 'x' + (this.naturalHeight > 80);
        };</script>""",
        "utf-8",
    )
    assert "<title>size 1200xtrue</title>" in browse((tmp_path / "page.html").as_uri())
