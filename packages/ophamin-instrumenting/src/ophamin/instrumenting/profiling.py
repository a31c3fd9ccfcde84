"""Profiling any program: it is started, its whole process tree is looked at while it runs, and its end is taken."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import os
import platform
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

from ophamin.instrumenting import overhead
from ophamin.instrumenting._account import COUNTED, Account, Reading
from ophamin.instrumenting._family import Family
from ophamin.instrumenting._other import Other
from ophamin.instrumenting._own import account_of, peak_of
from ophamin.instrumenting.record import PROFILE, UNITS
from ophamin.proof.errors import UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import sign
from ophamin.proof.store import Store

__all__ = ["MOST_ROWS", "PERIOD_S", "SERIES", "Profiled", "environment", "profile", "profile_body"]

JSON = Any
PERIOD_S = 0.02
"""Seconds between two looks at the process tree."""
MOST_ROWS = 8000
"""Rows of the series; when they are full every other one is left out from then on and of those there are."""
SERIES = "series.csv"
_COLUMNS = ("t_s", "processes", "threads", "rss_bytes", *COUNTED)
_FORWARDED = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT")


@dataclass
class _Watch:
    """What the looks have shown."""

    family: Family
    began: float = field(default_factory=time.perf_counter)
    rows: list[tuple[float | None, ...]] = field(default_factory=list)
    looks: int = 0
    every: int = 1
    peak: int = 0
    most: dict[str, float] = field(default_factory=dict)
    used: dict[int, float] = field(default_factory=dict)
    orphans: dict[Other, Reading] = field(default_factory=dict)
    lost: bool = False

    def look(self, pid: int) -> None:
        """One look at the tree of ``pid``."""
        snapshot = self.family.look([pid])
        others = snapshot.others
        pids = {process.pid for process in others}
        for process, reading in others.items():
            if process.pid != pid and (process in self.orphans or reading.parent not in pids):
                self.orphans[process] = reading  # nobody of the tree will wait for it
        self.lost = self.lost or any(process not in others for process in self.orphans)
        readings = list(others.values())
        rss = snapshot.rss()
        if rss is None:
            return
        highest = max((r.rss_peak_bytes for r in readings if r.rss_peak_bytes is not None), default=0)
        self.peak = max(self.peak, rss, highest)
        threads = _sum([r.threads for r in readings])
        for name, value in (("processes", len(readings)), ("threads", threads)):
            if value is not None:
                self.most[name] = max(self.most.get(name, 0), value)
        self.looks += 1
        if (self.looks - 1) % self.every:
            return
        used = [self._grown(i, _used(readings, i)) for i in range(len(COUNTED))]
        self.rows.append((time.perf_counter() - self.began, len(readings), threads, rss, *used))
        if len(self.rows) >= MOST_ROWS:
            del self.rows[1::2]
            self.every *= 2

    def _grown(self, i: int, value: float | None) -> float | None:
        """What was used never falls, though an ended process is told more coarsely than a living one."""
        if value is None:
            return None
        self.used[i] = max(self.used.get(i, value), value)
        return self.used[i]

    def series(self) -> bytes:
        """The rows as CSV; what could not be told is an empty field."""
        out = io.StringIO()
        print(",".join(_COLUMNS), file=out)
        for row in self.rows:
            print(",".join("" if v is None else f"{v:.6f}" if isinstance(v, float) else str(v) for v in row), file=out)
        return out.getvalue().encode("ascii")


def _sum(values: Sequence[float | None]) -> float | None:
    there = [v for v in values if v is not None]
    return sum(there) if len(there) == len(values) else None


def _used(readings: Sequence[Reading], i: int) -> float | None:
    """Of the living and of the children they have waited for, since they were started."""
    if COUNTED[i].startswith("context_switches"):
        return _sum([r.own[i] for r in readings])
    if COUNTED[i].startswith("io_"):
        return _sum([r.own[i] for r in readings])  # ended children are in it already
    return _sum([None if r.own[i] is None else r.own[i] + (r.ended[i] or 0) for r in readings])  # type: ignore[operator]


@dataclass(frozen=True)
class Profiled:
    """A profile that is signed and stored.

    Args:
        record: The signed record.
        path: Its ``record.json``.
    """

    record: dict[str, JSON]
    path: Path


def profile(
    argv: Sequence[str],
    store: Store,
    *,
    period_s: float = PERIOD_S,
    key_file: Path | None = None,
    pairs: int = 30,
    files: Callable[[], dict[str, bytes]] | None = None,
    quiet: bool = False,
) -> Profiled:
    """Run a program, look at its process tree, and keep what it cost as a signed record.

    Args:
        argv: The program and its arguments; found on PATH as a shell would, no shell runs it.
        store: Where the record goes.
        period_s: Seconds between two looks.
        key_file: Signing key; default the installation's.
        pairs: Pairs of the measurement of the overhead, which follows the program; 0: none.
        files: Makes further files to bind to the record, after the program has ended.
        quiet: Send the program's standard output to standard error.

    Raises:
        UsageError: There is no such program, it cannot be started, or the period makes no sense.
    """
    if not 0.001 <= period_s <= 60:
        raise UsageError(f"a period is 0.001 to 60 seconds, not {period_s:g}")
    signer = Keyring().signer(key_file)  # a key that may not be used is found before the program has run
    body, series = profile_body(argv, period_s=period_s, pairs=pairs, quiet=quiet)
    neighbours: dict[str, bytes] = {SERIES: series, **(files() if files is not None else {})}
    body["artifacts"] = [_bound(name, data) for name, data in neighbours.items()]
    record = sign(body, PROFILE, signer)
    return Profiled(record, store.put(record, PROFILE, dict(neighbours)))


def _bound(name: str, data: bytes) -> dict[str, JSON]:
    suffixes = {".csv": "text/csv", ".svg": "image/svg+xml", ".json": "application/json", ".txt": "text/plain"}
    media = suffixes.get(Path(name).suffix, "application/octet-stream")
    return {"name": name, "media_type": media, "digest": "sha256:" + hashlib.sha256(data).hexdigest()}


def profile_body(
    argv: Sequence[str], *, period_s: float = PERIOD_S, pairs: int = 30, quiet: bool = False
) -> tuple[dict[str, JSON], bytes]:
    """The body of the record, without artifacts, and the series as CSV."""
    watch = _Watch(Family())
    cpu = time.process_time()
    try:
        wall_s, code, used = _run(argv, watch, period_s, quiet)
        own_cpu = time.process_time() - cpu
        # What the program left running nobody has waited for; it counts by what it has used so far.
        left = watch.family.look([]).others
        watch.orphans.update(left)
        left_running = sum(reading.rss_bytes is not None for reading in left.values())
    finally:
        watch.family.close()
    totals = {**used, "wall_s": wall_s}
    for reading in watch.orphans.values():
        for i, name in enumerate(COUNTED):
            value = reading.own[i]
            if name in totals and value is not None:
                totals[name] += value
    if "page_faults_minor" in totals and "page_faults_major" in totals:
        totals["page_faults"] = totals["page_faults_minor"] + totals["page_faults_major"]
    resources: dict[str, JSON] = {name: {"unit": UNITS[name], "total": value} for name, value in totals.items()}
    resources |= {name: {"unit": UNITS[name], "max": value} for name, value in watch.most.items()}
    if watch.peak:
        resources["rss_peak_bytes"] = {"unit": "B", "max": watch.peak}
    name = Path(argv[0]).name or argv[0]
    body = {
        "schema_version": "profile/1.0",
        **environment(),
        "target": {"kind": "command", "name": _plain(name), "argv": [_plain(word) for word in argv]},
        "ending": {
            "exit_code": code if code >= 0 else None,
            "signal": _signal_name(-code) if code < 0 else None,
            "complete": not watch.lost and bool(used),
            "left_running": left_running,
        },
        "resources": dict(sorted(resources.items())),
        "sampling": {"period_s": period_s, "n_samples": watch.looks, "cpu_s": own_cpu},
        "artifacts": [],
    }
    if pairs:
        body["overhead"] = overhead.of_sampling(period_s, pairs=pairs).to_dict()
    return body, watch.series()


def _plain(word: str) -> str:
    """Text that a record can hold: bytes of an argument that are no text are shown as escapes."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def environment() -> dict[str, JSON]:
    """The sections on who made a profile, when and on what."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in ("ophamin", "ophamin-core", "ophamin-instrumenting", "psutil"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    found["cpus"] = str(os.cpu_count() or "")
    return {
        "identity": {
            "ophamin_version": found.get("ophamin", found["ophamin-core"]),
            "captured_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"),
        },
        "environment": found,
    }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _run(argv: Sequence[str], watch: _Watch, period_s: float, quiet: bool) -> tuple[float, int, dict[str, float]]:
    """Wall seconds, exit code (negative: a signal), and what the program used with all it waited for."""
    with _Signals() as signals:
        watch.began = time.perf_counter()
        try:
            program = subprocess.Popen(list(argv), stdout=2 if quiet else None)
        except FileNotFoundError:
            raise UsageError(f"there is no program {argv[0]!r}; give its path or a name on PATH") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"{argv[0]!r} cannot be started: {getattr(error, 'strerror', None) or error}") from None
        ours = watch.family.look([os.getpid()]).own
        signals.to(program)
        upcoming = watch.began
        while True:
            watch.look(program.pid)
            upcoming = max(upcoming + period_s, time.perf_counter())
            ended = _wait(program, upcoming)
            if ended is not None:
                code, used, most = ended
                # The largest of its processes; below our own size it is ours, which a fork hands down to it.
                if ours is not None and most > (ours.rss_peak_bytes or most):
                    watch.peak = max(watch.peak, most)
                return time.perf_counter() - watch.began, code, used


def _wait(program: subprocess.Popen[bytes], until: float) -> tuple[int, dict[str, float], int] | None:
    """How it ended, what it used and how large it was at most, bytes; ``None`` when it still runs at ``until``."""
    if not hasattr(os, "wait4"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return program.wait(max(until - time.perf_counter(), 0)), {}, 0
        return None
    pause = 0.0005
    while True:
        pid, status, usage = os.wait4(program.pid, os.WNOHANG)
        if pid:
            program.returncode = os.waitstatus_to_exitcode(status)
            account: Account = account_of(usage)
            used = {n: v for n, v in zip(COUNTED, account, strict=True) if v is not None}
            return program.returncode, used, peak_of(usage)
        left = until - time.perf_counter()
        if left <= 0:
            return None
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.01)


class _Signals:
    """While the program runs, what is meant to end us is passed on to it, and it decides.

    A terminal sends its Ctrl-C to the program as well as to us, so it is passed on only where there is none.
    """

    def __init__(self) -> None:
        self._program: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        with contextlib.suppress(ValueError):  # not the main thread: signals are somebody else's
            for name in _FORWARDED:
                number = getattr(signal, name, None)
                if number is not None:
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program
        for number in self._early:
            self._pass(number)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._program is None:
            self._early.append(number)
        else:
            self._pass(number)

    def _pass(self, number: int) -> None:
        from_terminal = number in (signal.SIGINT, getattr(signal, "SIGQUIT", None)) and _has_terminal()
        if self._program is not None and self._program.returncode is None and not from_terminal:
            with contextlib.suppress(OSError):
                os.kill(self._program.pid, number)


def _has_terminal() -> bool:
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
