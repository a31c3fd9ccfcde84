"""Python, wheels against the pinned set, plug-ins, keys, ledger, and what wheels check themselves."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from ophamin import registry
from ophamin.proof.errors import OphaminError, PluginError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.protocols import CheckResult, Settings

__all__ = ["health"]

_PIN = re.compile(r"^(ophamin-[a-z]+)(?:\[[^]]*\])?==([^;\s]+)\s*(?:;(.*))?$")


def pinned() -> dict[str, str]:
    """Distribution → version that this meta-package pins, read from its own metadata."""
    pins = {}
    for line in requires("ophamin") or ():
        match = _PIN.match(line.strip())
        if match:
            pins[match[1]] = match[2]
    return dict(sorted(pins.items()))


def _wheels() -> list[CheckResult]:
    lines = []
    for name, wanted in {"ophamin": version("ophamin"), **pinned()}.items():
        try:
            have = version(name)
        except PackageNotFoundError:
            extra = name.removeprefix("ophamin-")
            lines.append(CheckResult(name, "missing", f"pip install 'ophamin[{extra}]'"))
            continue
        if have == wanted:
            lines.append(CheckResult(name, "ok", have))
        else:
            # Wheels are versioned separately: another version is allowed by its range, and said.
            lines.append(CheckResult(name, "ok", f"{have}, off the pinned set, which has {wanted}"))
    return lines


def _plugins() -> list[CheckResult]:
    lines = []
    for group in registry.GROUPS.values():
        states = group.states()
        broken = [(name, problem) for _, name, _, problem in states if problem]
        if not broken and states:
            lines.append(CheckResult(group.group, "ok", f"{len(states)} load"))
        lines += [CheckResult(f"{group.group} {name}", "broken", problem) for name, problem in broken]
    return lines


def _keys() -> CheckResult:
    try:
        ring = Keyring()
        own = ring.list()
    except (OphaminError, OSError) as error:
        return CheckResult("keys", "broken", str(error))
    if not own:
        return CheckResult("keys", "missing", f"none yet in {ring.home}; the first run makes one")
    return CheckResult("keys", "ok", f"{len(own)} in {ring.home}")


def _ledger(settings: Settings) -> CheckResult:
    directory = Project(Path(settings.project)).ledger_dir
    if not directory.is_dir():
        return CheckResult("ledger", "missing", f"none yet in {directory}; the first run makes one")
    try:
        report = Ledger(directory, create=False).verify()
    except (OphaminError, OSError) as error:
        return CheckResult("ledger", "broken", str(error))
    if not report.ok:
        return CheckResult("ledger", "broken", report.problem)
    return CheckResult("ledger", "ok", f"{report.size} entries")


def _foreign() -> list[CheckResult]:
    lines: list[CheckResult] = []
    for name in registry.checks.names():
        try:
            lines += registry.checks.get(name)()
        except PluginError:
            continue  # already listed among the plug-ins, with its reason
    return lines


def health(settings: Settings) -> list[CheckResult]:
    """Look at everything an installation needs.

    Args:
        settings: The project whose ledger is looked at.

    Returns:
        Lines ``(name, state, detail)``; ``broken`` is what must be mended, ``missing`` is not.
    """
    return [
        CheckResult("python", "ok", f"{platform.python_version()} {platform.system()} {platform.machine()}"),
        *_wheels(),
        *_plugins(),
        _keys(),
        _ledger(settings),
        *_foreign(),
    ]
