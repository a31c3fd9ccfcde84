"""What ``ophamin verify`` asks of this wheel: are its tools there, and do they start?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ophamin.auditing.tools._examine import first_line, tool_version
from ophamin.auditing.tools._run import locate
from ophamin.protocols import CheckResult

__all__ = ["check_auditors"]


def check_auditors() -> Sequence[CheckResult]:
    """One line per tool: its version, that it is missing and how to get it, or why it does not start.

    Example:
        >>> [name for name, _, _ in check_auditors()]
        ['auditor ruff', 'auditor bandit']
    """
    return [_check(name) for name in ("ruff", "bandit")]


def _check(name: str) -> CheckResult:
    line = f"auditor {name}"
    program = locate(name)
    if program is None:
        return CheckResult(line, "missing", f"pip install {name}")
    asked = tool_version(program, Path.cwd())
    if asked.exit_code != 0:
        reason = asked.failure or asked.stopped or f"exit {asked.exit_code}: {first_line(asked.stderr)}"
        return CheckResult(line, "broken", f"{' '.join(program)} --version: {reason}")
    return CheckResult(line, "ok", f"{first_line(asked.stdout)} ({program[0]})")
