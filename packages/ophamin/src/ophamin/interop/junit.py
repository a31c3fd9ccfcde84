"""JUnit XML, the one writer for every kind of record: a test case per row of the kind's ``cases``.

The form that CI servers read (Jenkins, GitLab, GitHub actions for tests): ``testsuites/testsuite/testcase`` with
``failure``, ``error`` and ``skipped``; https://github.com/testmoapp/junitxml describes what they agree on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

from ophamin import registry
from ophamin.protocols import LossReport, RecordKind

__all__ = ["JUnitExporter", "verdict_of"]

JSON = Any

PASSED = frozenset({"VALIDATED", "AGREE", "ok", "good", "passed", "unchanged", "recovery"})
FAILED = frozenset({"REFUTED", "DISAGREE", "failed", "bad", "regression"})
SKIPPED = frozenset({"NOT_APPLICABLE", "unavailable", "skipped", "missing", "lateral", "unmatched"})
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def verdict_of(outcome: str) -> str:
    """What an outcome is to JUnit; one that is neither good, bad nor left out could not be decided, an ``error``.

    Example:
        >>> [verdict_of(o) for o in ("VALIDATED", "REFUTED", "INCONCLUSIVE", "unavailable")]
        ['', 'failure', 'error', 'skipped']
    """
    if outcome in PASSED:
        return ""
    return "failure" if outcome in FAILED else "skipped" if outcome in SKIPPED else "error"


class JUnitExporter:
    """Writes a record of any installed kind as one JUnit test suite.

    Example:
        >>> JUnitExporter().media_type
        'application/xml'
    """

    name = "junit"
    media_type = "application/xml"

    @property
    def kinds(self) -> Sequence[str]:
        """Every installed kind of record: each has rows."""
        return registry.records.names()

    def export(self, record: Mapping[str, JSON], out: BinaryIO, **options: JSON) -> LossReport:
        """Write ``record`` as JUnit XML.

        Args:
            record: A record of an installed kind.
            out: Where to.
            **options: None are known.

        Raises:
            TypeError: An option was given.
            RecordError: It is of no installed kind.
        """
        if options:
            raise TypeError(f"the JUnit exporter has no option {', '.join(options)}")
        kind = _kind_of(record)
        cases = list(kind.cases(record))
        said = [verdict_of(str(case["outcome"])) for case in cases]
        suite = f"ophamin {kind.name} {str(record[kind.id_field])[:16]}"
        counts = f'tests="{len(cases)}" ' + " ".join(
            f'{name}="{said.count(what)}"'
            for name, what in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
        )
        lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {counts}>"]
        lines.append(f"<testsuite name={_attribute(suite)} {counts}>")
        lines.append(
            f'<properties><property name="{kind.id_field}" value={_attribute(record[kind.id_field])}/></properties>'
        )
        lines += [_case(f"ophamin.{kind.name}", case, verdict) for case, verdict in zip(cases, said, strict=True)]
        lines += ["</testsuite>", "</testsuites>"]
        out.write("\n".join(lines).encode("utf-8") + b"\n")
        return LossReport(("signature and attestations", "every section but the cases' names, outcomes and messages"))


def _kind_of(record: Mapping[str, JSON]) -> RecordKind:
    # Imported here: reading is wanted by an export only.
    from ophamin.proof.signed import identify

    return identify(record, [registry.records.get(name) for name in registry.records.names()])


def _case(classname: str, case: Mapping[str, JSON], verdict: str) -> str:
    opening = f"<testcase classname={_attribute(classname)} name={_attribute(case['name'])}"
    outcome, message = str(case["outcome"]), _text(case.get("message", ""))
    if not verdict:
        return f"{opening}><system-out>{outcome}: {message}</system-out></testcase>" if message else f"{opening}/>"
    if verdict == "skipped":
        said = _attribute(f"{outcome}: {case.get('message', '')}")
        return f"{opening}><skipped message={said}/></testcase>"
    said = _attribute(outcome)
    return f"{opening}><{verdict} type={said} message={said}>{message}</{verdict}></testcase>"


def _clean(value: object) -> str:
    r"""Without what XML 1.0 cannot hold, which is made visible."""
    return _NOT_XML.sub(lambda m: f"\\x{ord(m[0]):02x}", str(value))


def _text(value: object) -> str:
    return escape(_clean(value))


def _attribute(value: object) -> str:
    return quoteattr(_clean(value), {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})
