"""A generated stand-in for the payload collections, in their layout; nothing in it was taken from them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import quote_plus

from ophamin.seeing.corpus._cyber_grammar import attack, benign

__all__ = ["SAMPLE_NOTE", "write_cyber_sample"]

SAMPLE_NOTE = "SAMPLE.md"
_PER_KIND = 3600
_IN_LISTS = 300
_REQUESTS = 400
"""Of the payloads, again as whole requests, in the layouts of CSIC 2010 and of the Core Rule Set's tests."""
# Shares of payloads that resemble the other kind: without them any filter would be perfect.
_HARD_BENIGN, _HARD_ATTACK = 0.08, 0.03

_NOTE = """# Generated sample

Written by `ophamin corpus sample cyber-payloads` (seed {seed}). Every line here was generated from templates of our
own: it has the layout of the HttpParams data set, of libinjection's lists, of CSIC 2010 and of the Core Rule Set's
tests, and none of their content. Use it to try things out, never to claim something about real traffic. Licence:
CC0-1.0. The strings are inert test inputs: never execute them.
"""


def write_cyber_sample(folder: Path, seed: int) -> None:
    """Write ``httpparams/payload_full.csv``, ``libinjection/*.txt``, requests and ``SAMPLE.md`` into ``folder``.

    7,200 distinct payloads, half of each kind; all but a few numerals differ even when digits are masked.
    """
    rng = Random(seed)
    harmless = _distinct(rng, lambda: benign(rng, _HARD_BENIGN))
    attacks = _distinct(rng, lambda: attack(rng, _HARD_ATTACK))
    listed = [pair for pair in attacks if pair[1] in ("sqli", "xss")][:_IN_LISTS]
    rows = harmless[_IN_LISTS:] + [pair for pair in attacks if pair not in set(listed)]
    rng.shuffle(rows)
    table = io.StringIO()
    writer = csv.writer(table, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["payload", "length", "attack_type", "label"])
    writer.writerows([text, len(text), kind, "norm" if kind == "norm" else "anom"] for text, kind in rows)
    (folder / "httpparams").mkdir(parents=True, exist_ok=True)
    (folder / "libinjection").mkdir(exist_ok=True)
    _write(folder / SAMPLE_NOTE, _NOTE.format(seed=seed))
    _write(folder / "httpparams" / "payload_full.csv", table.getvalue())
    for name, pairs in {
        "false_positives.txt": harmless[:_IN_LISTS],
        "sqli-sample.txt": [pair for pair in listed if pair[1] == "sqli"],
        "xss-sample.txt": [pair for pair in listed if pair[1] == "xss"],
    }.items():
        lines = "".join(f"{quote_plus(text)}\n" for text, _ in pairs)
        _write(folder / "libinjection" / name, f"# generated sample\n{lines}")
    rows = rows[:_REQUESTS]
    (folder / "csic2010").mkdir(exist_ok=True)
    for name, wanted in (("normalTrafficTest.txt", "norm"), ("anomalousTrafficTest.txt", "anom")):
        chosen = [text for text, kind in rows if (kind == "norm") == (wanted == "norm")]
        _write(folder / "csic2010" / name, "".join(_request(i, text) for i, text in enumerate(chosen)))
    tests = folder / "crs-tests" / "tests" / "regression" / "tests" / "REQUEST-942-APPLICATION-ATTACK-SQLI"
    tests.mkdir(parents=True, exist_ok=True)
    _write(tests / "942100.yaml", _crs([pair for pair in rows if pair[1] in ("norm", "sqli")]))


def _request(index: int, text: str) -> str:
    head = "Host: shop.example\nUser-Agent: generated"
    if index % 2:
        return f"GET http://shop.example/find?q={quote_plus(text)} HTTP/1.1\n{head}\n\n\n"
    body = f"q={quote_plus(text)}"
    return f"POST http://shop.example/find HTTP/1.1\n{head}\nContent-Length: {len(body)}\n\n{body}\n\n"


def _crs(pairs: list[tuple[str, str]]) -> str:
    lines = ["---", "meta:", '  author: "generated sample"', "rule_id: 942100", "tests:"]
    for number, (text, kind) in enumerate(pairs, start=1):
        ids = "no_expect_ids" if kind == "norm" else "expect_ids"
        lines += [
            f"  - test_id: {number}",
            "    stages:",
            "      - input:",
            '          method: "GET"',
            f'          uri: "/get?q={quote_plus(text)}"',
            "          headers:",
            '            Host: "localhost"',
            "        output:",
            "          log:",
            f"            {ids}: [942100]",
        ]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _distinct(rng: Random, draw: Callable[[], tuple[str, str]]) -> list[tuple[str, str]]:
    """Draw until there are enough; at most three payloads share a digit-masked template."""
    found: dict[str, tuple[str, str]] = {}
    templates: dict[str, int] = {}
    while len(found) < _PER_KIND:
        text, kind = draw()
        template = re.sub(r"\d+", "0", text)
        if text not in found and templates.get(template, 0) < 3:
            templates[template] = templates.get(template, 0) + 1
            found[text] = (text, kind)
    return list(found.values())
