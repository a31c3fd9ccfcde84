"""What ``ophamin verify`` asks of this wheel: are its tools there, and do they start?"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ophamin import registry
from ophamin.auditing.tools._examine import first_line, program_of, requirement, tool_version
from ophamin.proof.errors import OphaminError
from ophamin.protocols import CheckResult

__all__ = ["check_auditors"]


def check_auditors() -> Sequence[CheckResult]:
    """One line per tool of ours: its version, that it is missing and how to get it, or why it does not start.

    Example:
        >>> "auditor ruff" in [name for name, _, _ in check_auditors()]
        True
    """
    ours = [name for name in registry.auditors.names() if registry.auditors.origin(name).startswith("ophamin-auditing")]
    return [_check(name) for name in ours]


def _check(name: str) -> CheckResult:
    line = f"auditor {name}"
    try:
        tool = registry.auditors.get(name)()
    except OphaminError as error:
        return CheckResult(line, "broken", str(error))
    program = program_of(tool)
    if program is None:
        return CheckResult(line, "missing", f"pip install {shlex.quote(requirement(tool))}")
    if hasattr(tool, "program"):  # a library: that it is found is all there is to ask
        try:
            return CheckResult(line, "ok", f"{name} {version(name)} ({program[0]})")
        except PackageNotFoundError:
            return CheckResult(line, "broken", f"{name} has no version; install it again")
    asked = tool_version(program, Path.cwd())
    if asked.exit_code != 0:
        reason = asked.failure or asked.stopped or f"exit {asked.exit_code}: {first_line(asked.stderr)}"
        return CheckResult(line, "broken", f"{' '.join(program)} --version: {reason}")
    return CheckResult(line, "ok", f"{first_line(asked.stdout)} ({program[0]})")
