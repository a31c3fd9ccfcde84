"""Mine again whenever the substrate's revision changes, and write what changed.

Each look and each mining is a process of its own: code that was imported once would answer for its old revision for
ever. The state lies in ``.ophamin/discovery/`` and is written after the record and the change it tells of, so a watch
that is killed goes on where it was; at worst it says one change twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ophamin.proof.atomic import write_all, write_atomic
from ophamin.proof.canonical import digest
from ophamin.proof.errors import OphaminError, RecordError, SubstrateFailure, UsageError
from ophamin.proof.project import Project
from ophamin.proof.reading import parse, read_object
from ophamin.protocols import Settings
from ophamin.seeing._signed import text
from ophamin.seeing.discovery.diff import diff
from ophamin.seeing.discovery.discover import DiscoverSpec

__all__ = ["Event", "watch"]

JSON = Any
_ENOUGH_TO_STOP_S = 5.0


@dataclass(frozen=True)
class Event:
    """What a watch has to say.

    Args:
        event: ``first`` (mined for the first time), ``changed`` (mined again), ``unchanged`` (a restart found the
            revision it knew), ``failed`` (the substrate cannot be looked at now) or ``recovered``.
        revision: Of the substrate.
        document: Path of the stored document.
        changes: As ``diff`` has it, for ``changed``.
        reason: Of a failure.
    """

    event: str
    revision: str = ""
    document: str = ""
    changes: Mapping[str, JSON] | None = None
    reason: str = ""


def watch(
    spec: DiscoverSpec, settings: Settings, *, interval_s: float = 10.0, checks: int | None = None
) -> Iterator[Event]:
    """Look at the substrate every ``interval_s`` seconds and yield what there is to say.

    Args:
        spec: What to mine.
        settings: Of the project whose store and state are used.
        interval_s: Seconds between two looks.
        checks: Looks after which it ends; ``None``: never.

    Raises:
        UsageError: An interval that is no time, or a spec that makes no sense.
        OphaminError: The first look or the first mining fails.
    """
    if not 0 < interval_s <= 86_400:
        raise UsageError(f"an interval is more than 0 seconds and at most a day, not {interval_s:g}")
    folder = Project(Path(settings.project)).state / "discovery"
    name = digest([spec.substrate, spec.corpus, spec.n, spec.seed, spec.examples]).removeprefix("sha256:")[:16]
    state_file, log = folder / f"{name}.json", folder / f"{name}.changes.jsonl"
    state = _load(state_file)
    looked, failing = 0, ""
    while checks is None or looked < checks:
        if looked:
            time.sleep(interval_s)
        looked += 1
        try:
            system = _child({"do": "identity", "spec": asdict(spec), "settings": asdict(settings)})
            key = [system["config_hash"], system["revision"], system["dirty"]]
            known = state.get("document", "")
            if state.get("key") == key and known and Path(known).is_file():
                if failing:
                    yield Event("recovered", system["revision"], known)
                elif looked == 1:
                    yield Event("unchanged", system["revision"], known)
                failing = ""
                continue
            made = _child({"do": "discover", "spec": asdict(spec), "settings": asdict(settings)})
        except OphaminError as error:
            if not state and not failing:
                raise
            # A file saved halfway, a checkout in motion: said once, and looked at again.
            if str(error) != failing:
                failing = str(error)
                yield Event("failed", reason=failing)
            continue
        failing = ""
        event = _event(known, made["path"], system["revision"])
        folder.mkdir(parents=True, exist_ok=True)
        if event.changes is not None:
            _append(log, {"document": made["path"], "before": known, **event.changes})
        state = {"substrate": text(spec.substrate), "corpus": text(spec.corpus), "key": key, "document": made["path"]}
        write_atomic(state_file, (json.dumps(state, indent=2) + "\n").encode("utf-8"))
        yield event


def _event(known: str, path: str, revision: str) -> Event:
    before: Mapping[str, JSON] | None = None
    if known:
        with contextlib.suppress(OphaminError):  # the earlier document was removed or damaged: begin anew
            before = read_object(known)
    if before is None:
        return Event("first", revision, path)
    try:
        return Event("changed", revision, path, diff(before, read_object(path)))
    except UsageError as error:  # not one good answer, before or now
        return Event("changed", revision, path, {"changes": [], "notes": [str(error)]})


def _load(file: Path) -> dict[str, JSON]:
    try:
        return parse(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, RecordError) as error:
        raise UsageError(
            f"{text(file)}, the state of this watch, cannot be read ({error}); remove it to begin anew"
        ) from None


def _append(file: Path, row: Mapping[str, JSON]) -> None:
    data = (json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n").encode("utf-8")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _child(request: Mapping[str, JSON]) -> dict[str, JSON]:
    """One question to a fresh process; its failure is raised here as what it was."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ophamin.seeing.discovery._child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us; the child is stopped below, with all it started
    )
    try:
        answer, _ = process.communicate(json.dumps(request).encode("utf-8"))
    except BaseException:
        _stop(process)
        raise
    try:
        told = json.loads(answer)
    except ValueError:
        raise SubstrateFailure(f"looking at the substrate ended with exit status {process.returncode}") from None
    if "error" in told:
        kind: type[OphaminError] = UsageError if told["exit_code"] == 2 else SubstrateFailure
        failure = kind(told["error"])
        failure.exit_code = told["exit_code"]
        raise failure
    found: dict[str, JSON] = told["result"]
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_ENOUGH_TO_STOP_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
