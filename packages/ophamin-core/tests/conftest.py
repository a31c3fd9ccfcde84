"""Core needs nothing but the standard library, and its tests nothing but pytest.

Where hypothesis is absent (the plain environment of every interpreter, tests-integration/test_interpreters.py),
the property tests are left out, by name.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

collect_ignore = (
    []
    if find_spec("hypothesis")
    else sorted(p.name for p in Path(__file__).parent.glob("test_*.py") if "from hypothesis" in p.read_text("utf-8"))
)


def pytest_report_header() -> str:
    """Say what is left out."""
    return f"left out without hypothesis: {', '.join(collect_ignore)}" if collect_ignore else ""
