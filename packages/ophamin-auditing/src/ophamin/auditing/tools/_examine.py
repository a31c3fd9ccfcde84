"""From one tool to one entry of the record's ``pillars``: what every tool of ours has in common."""

from __future__ import annotations

import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Protocol

from ophamin.auditing._counts import pillar_counts
from ophamin.auditing.cache import caching
from ophamin.auditing.target import Target, text
from ophamin.auditing.tools._run import Completed, in_environment, locate, run

__all__ = [
    "Blocker",
    "Parsed",
    "Tool",
    "ToolError",
    "examine",
    "pillar_entry",
    "program_of",
    "requirement",
    "tool_version",
]

JSON = Any
STDERR_KEPT = 4000
VERSION_TIMEOUT_S = 20.0
MAX_BLOCKERS = 50
"""More files at which a tool stops are not passed over one by one: that is no state to check."""


class ToolError(ValueError):
    """A tool ended in a way, or printed something, that is not a result."""


@dataclass(frozen=True)
class Blocker:
    """A file at which a tool stops, and how to make it go on without.

    Args:
        path: As the record names it.
        reason: Why it stopped.
        words: What to add to its command line.
        apart: The file, where it can be examined in a run of its own; then the tool has ``apart``.
    """

    path: str
    reason: str
    words: Sequence[str]
    apart: Path | None = None


@dataclass(frozen=True)
class Parsed:
    """What a tool said.

    Args:
        findings: In the record's form.
        rules: Rule id → what is known about it (``name``, ``url``, …).
        unread: ``{path, reason}`` of files it could not examine: nothing is known of those.
        warnings: What it complained about besides.
        extra: More, JSON-able.
    """

    findings: Sequence[Mapping[str, JSON]]
    rules: Mapping[str, JSON] = field(default_factory=dict)
    unread: Sequence[Mapping[str, str]] = ()
    warnings: Sequence[str] = ()
    extra: Mapping[str, JSON] = field(default_factory=dict)


class Tool(Protocol):
    """A tool that is a program.

    Besides these a tool may have ``requirement`` (what ``pip install`` brings it; default: its name), ``parser`` (the
    version of our reading of its output; a tool that has one is cached), ``program()``, ``cwd(target)``,
    ``environment(target)``, ``also_reads(target)``: files besides sources and settings that can change its answer,
    ``reads(target)``: whether the target has a file of a kind it looks at; if not, its silence says nothing,
    ``blockers(done, target)``: files it has to be run again without, ``apart(target, files, scratch)``: command lines,
    each with the files it examines, for those of them that need runs of their own, and with it
    ``remembering(words, scratch)``: the command line of a run that saves those work.
    """

    name: str
    isolated: bool

    def arguments(self, target: Target) -> tuple[list[str], Mapping[str, JSON]]:
        """Its command line without the program, and what to note of its configuration."""
        ...

    def parse(self, done: Completed, target: Target) -> Parsed:
        """Its findings; raises ``ToolError`` when it has not finished its work."""
        ...


def tool_version(program: Sequence[str], cwd: Path, timeout_s: float = VERSION_TIMEOUT_S) -> Completed:
    """Ask a program for its version."""
    return run([*program, "--version"], cwd=cwd, timeout_s=min(timeout_s, VERSION_TIMEOUT_S))


def first_line(data: bytes) -> str:
    """The first line that is not empty."""
    return next((line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()), "")


def examine(tool: Tool, path: Path, timeout_s: float) -> dict[str, JSON]:
    """Run a tool on a target.

    Args:
        tool: What to run.
        path: File or folder.
        timeout_s: Longest the tool may take, seconds.

    Returns:
        An entry of ``pillars`` with one of four states: ``ok``; ``unavailable``: there is no such program;
        ``error``: it crashed or could not do its work; ``timeout``. Only ``ok`` says anything about findings.
    """
    target = Target.at(path)
    program = program_of(tool)
    if program is None:
        reason = f"{tool.name} is not installed: pip install {shlex.quote(requirement(tool))}"
        return pillar_entry(tool.name, target, "unavailable", error_message=reason)
    began = time.perf_counter()
    version = _version(tool.name, program, target, timeout_s)
    arguments, noted = tool.arguments(target)
    session = caching.get()
    if session and (known_entry := session.find(tool, target, program, version, arguments)):
        return known_entry
    cwd, env = (_asked(tool, name, target) for name in ("cwd", "environment"))

    def start(words: Sequence[str]) -> Completed:
        left = max(timeout_s - (time.perf_counter() - began), 0.001)
        return run([*program, *words], cwd=cwd or target.root, timeout_s=left, env=env)

    known: dict[str, JSON] = {
        "version": version,
        "noted": {**noted, "argv": [text(a) for a in [tool.name, *arguments]]},
    }
    if not in_environment(program):  # whatever PATH has under this name
        known["noted"] |= {"program": text(program[0])}
    with tempfile.TemporaryDirectory(prefix="ophamin-audit-") as scratch:
        return _examined(tool, target, arguments, start, Path(scratch), timeout_s, known)


def _examined(
    tool: Tool,
    target: Target,
    arguments: Sequence[str],
    start: Callable[[Sequence[str]], Completed],
    scratch: Path,
    timeout_s: float,
    known: dict[str, JSON],
) -> dict[str, JSON]:
    """Run it as often as it takes: without the files at which it stops, and for those that need runs of their own."""
    passed_over: dict[str, Blocker] = {}
    while True:
        words = [*(word for blocker in passed_over.values() for word in blocker.words), *arguments]
        if any(blocker.apart for blocker in passed_over.values()):
            words = _asked(tool, "remembering", words, scratch) or words
        done = start(words)
        new = {b.path: b for b in (tool.blockers(done, target) if hasattr(tool, "blockers") else ())}
        # One that comes again cannot be passed over: something imports it.
        if done.stopped or not new or new.keys() & passed_over.keys() or len(passed_over) + len(new) > MAX_BLOCKERS:
            break
        passed_over |= new
    known["done"] = done
    if done.stopped == "timeout":
        reason = f"{tool.name} did not finish within {timeout_s:g} s; raise --timeout"
        return pillar_entry(tool.name, target, "timeout", error_message=reason, **known)
    try:
        if done.stopped == "flood":
            written = max(done.written) / 2**20
            raise ToolError(f"{tool.name} wrote {written:.0f} MiB and was stopped; audit a smaller path")
        if done.stopped:
            raise ToolError(f"{tool.name} was interrupted")
        if done.failure:
            raise ToolError(f"{tool.name} could not be started: {text(done.failure)}")
        if done.exit_code is None or done.exit_code < 0:
            raise ToolError(f"{tool.name} was killed by signal {-(done.exit_code or 0)}{_stderr(done)}")
        parsed = tool.parse(done, target)
        for more, more_done, paths in _apart(tool, target, list(passed_over.values()), start, scratch):
            parsed = _joined(parsed, more, paths)
            known["done"] = done = replace(
                done,
                wall_s=done.wall_s + more_done.wall_s,
                written=(done.written[0] + more_done.written[0], done.written[1] + more_done.written[1]),
            )
            passed_over = {path: blocker for path, blocker in passed_over.items() if path not in paths}
        left = [{"path": b.path, "reason": b.reason} for b in passed_over.values()]
        if target.sources() and _asked(tool, "reads", target) is False:
            left.append({"path": target.name, "reason": f"{tool.name} reads no file of this kind"})
        parsed = replace(parsed, unread=[*parsed.unread, *left])
    except ToolError as error:
        return pillar_entry(tool.name, target, "error", error_message=str(error), **known)
    return pillar_entry(tool.name, target, "ok", parsed=parsed, **known)


def _apart(
    tool: Tool,
    target: Target,
    blockers: Sequence[Blocker],
    start: Callable[[Sequence[str]], Completed],
    scratch: Path,
) -> Iterator[tuple[Parsed, Completed, set[str]]]:
    """What the tool says of files that need runs of their own; nothing of those whose run failed."""
    files = {blocker.apart: blocker.path for blocker in blockers if blocker.apart is not None}
    if not files:
        return
    for words, examined in _asked(tool, "apart", target, list(files), scratch):
        done = start(words)
        if done.stopped or done.failure:
            return  # its time is over, or it was interrupted: the rest stays unread, which is said
        try:
            parsed = tool.parse(done, target)
        except ToolError:
            continue
        yield parsed, done, {files[file] for file in examined}


def _joined(all_: Parsed, more: Parsed, paths: set[str]) -> Parsed:
    """One answer; of the run apart only what it says of its own files, for it follows imports into the others."""
    findings = [finding for finding in more.findings if finding["path"] in paths]
    known = {finding["rule_id"] for finding in findings}
    rules = {**{rule: text for rule, text in more.rules.items() if rule in known}, **all_.rules}
    warnings = list(dict.fromkeys([*all_.warnings, *more.warnings]))
    return replace(all_, findings=[*all_.findings, *findings], rules=rules, warnings=warnings)


def requirement(tool: object) -> str:
    """What ``pip install`` brings a tool."""
    return str(getattr(tool, "requirement", None) or getattr(tool, "name", ""))


def program_of(tool: object) -> list[str] | None:
    """The words that start a tool, or ``None`` when it is not installed."""
    own = getattr(tool, "program", None)
    found: list[str] | None = own() if own else locate(getattr(tool, "name", ""))
    return found


def _asked(tool: object, name: str, *words: object) -> JSON:
    method = getattr(tool, name, None)
    return method(*words) if method else None


def _version(name: str, program: Sequence[str], target: Target, timeout_s: float) -> str:
    """Of a tool of this environment its distribution's, else what the program says of itself."""
    if in_environment(program):
        try:
            return f"{name} {installed_version(name)}"
        except PackageNotFoundError:
            pass
    asked = tool_version(program, target.root, timeout_s)
    said = first_line(asked.stdout) if asked.exit_code == 0 else ""
    return f"{name} {said}" if said[:1].isdigit() else said


def failed(tool: str, done: Completed, what: str) -> ToolError:
    """The error of a tool that did not do its work, with what it said about it."""
    return ToolError(f"{tool} {what} (exit {done.exit_code}){_stderr(done)}")


def _stderr(done: Completed) -> str:
    said = done.stderr.decode("utf-8", "replace").strip()
    if len(said) > STDERR_KEPT:
        said = "…" + said[-STDERR_KEPT:]
    return f": {said}" if said else ""


def warnings_in(stderr: bytes) -> list[str]:
    """Lines of standard error that begin like a warning or an error."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    return [line.strip() for line in lines if re.search(r"\b(warning|error)\b", line[:80], re.IGNORECASE)]


def pillar_entry(
    name: str,
    target: Target,
    status: str,
    *,
    parsed: Parsed | None = None,
    version: str = "",
    done: Completed | None = None,
    error_message: str = "",
    noted: Mapping[str, JSON] | None = None,
) -> dict[str, JSON]:
    """One entry of ``pillars``, with all its fields.

    Args:
        name: The pillar's and the tool's name.
        target: What was audited.
        status: ``ok``, ``unavailable``, ``error`` or ``timeout``.
        parsed: What the tool said, when it finished.
        version: Its version, as it says itself.
        done: How its run ended, when there was one.
        error_message: One sentence, "" when ok.
        noted: Configuration, for ``extra``.
    """
    found = parsed or Parsed(())
    order = ("path", "line", "column", "rule_id", "message")
    findings = sorted((dict(f) for f in found.findings), key=lambda f: tuple(f[k] for k in order))
    unread = [{k: text(v) for k, v in u.items()} for u in found.unread]
    missed = [f"{u['path']} was not examined: {u['reason']}" for u in unread]
    warnings = [text(w) for w in (*missed, *found.warnings)]
    return {
        "pillar_name": name,
        "tool_name": name,
        "tool_version": version,
        "status": status,
        "target_path": text(target.path),
        "findings": findings,
        **pillar_counts(status, findings),
        "complete": status == "ok" and not unread,
        "rules": dict(found.rules),
        "warnings": warnings,
        "raw_stdout_bytes": done.written[0] if done else 0,
        "raw_stderr_bytes": done.written[1] if done else 0,
        "exit_code": done.exit_code if done else None,
        "wall_time_s": round(done.wall_s, 6) if done else 0.0,
        "error_message": text(error_message),
        "extra": {**(noted or {}), **found.extra, **({"unread": unread} if unread else {})},
    }
