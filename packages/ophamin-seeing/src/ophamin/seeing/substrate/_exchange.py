"""The client of the ``http`` substrate: one exchange, its deadline, and what a failure of it means.

httpx limits each read, which a server that sends one byte at a time never exceeds. So a watch over all connections
shuts the socket of an exchange whose time is up. The blocking client is used because it answers three times as fast as
the asynchronous one, also with several requests in flight, each in a thread of its own.
"""

from __future__ import annotations

import contextlib
import email.utils
import queue
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from ophamin.seeing.substrate._json import MAX_BYTES

__all__ = ["Exchange", "Reply", "Request", "Unreached"]

_BACKOFF_S = 0.1
_LONGEST_S = 1e6  # eleven days, and still milliseconds that poll() can count


@dataclass(frozen=True)
class Request:
    """One request; ``body`` is ``None`` for a method without one."""

    method: str
    url: str
    body: bytes | None
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Reply:
    """What a service answered, or why that cannot be used, and how long that one exchange took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    wall_s: float
    problem: str = ""


@dataclass(frozen=True)
class Unreached:
    """Why there is no answer; ``late`` when the time was up rather than the connection broken."""

    reason: str
    late: bool = False


class Exchange:
    """Keep-alive connections to one service.

    Args:
        headers: Sent with every request; secrets included.
        concurrency: How many requests may be in flight, each on a connection of its own.
        retries: How often an exchange that found no answer is tried again.
        attempt_s: Longest that one attempt may take, seconds.
    """

    def __init__(self, headers: Mapping[str, str], *, concurrency: int, retries: int, attempt_s: float) -> None:
        self._retries, self._attempt_s = retries, attempt_s
        self._lines = [_Line(headers) for _ in range(concurrency)]
        self._free: queue.SimpleQueue[_Line] = queue.SimpleQueue()
        for line in self._lines:
            self._free.put(line)
        self._watch = _Watch(self._lines)
        self._workers = ThreadPoolExecutor(concurrency, "ophamin-http") if concurrency > 1 else None
        self._given_up = threading.Event()
        # Also when the owner is forgotten, and at the interpreter's exit.
        self._finalizer = weakref.finalize(self, _let_go, self._watch, self._lines, self._workers)

    def submit(self, request: Request, timeout_s: float) -> Future[Reply | Unreached]:
        """Begin a cycle in a thread; only with ``concurrency`` above 1."""
        assert self._workers is not None
        return self._workers.submit(self.cycle, request, timeout_s, self._given_up)

    def cycle(self, request: Request, timeout_s: float, given_up: threading.Event | None = None) -> Reply | Unreached:
        """Attempts until there is an answer, the tries are used up, or the time is over.

        Args:
            request: What to send.
            timeout_s: Longest the whole cycle may take, waiting between attempts included.
            given_up: Set when nobody waits for it any more.
        """
        given_up = given_up or self._given_up
        line = self._free.get()
        try:
            deadline = time.perf_counter() + timeout_s
            for attempt in range(self._retries + 1):
                if given_up.is_set():
                    return Unreached("given up")
                limit_s = min(self._attempt_s, deadline - time.perf_counter(), _LONGEST_S)
                found = line.exchange(request, limit_s, self._watch, given_up)
                pause = _BACKOFF_S * 2**attempt
                failed = found
                if isinstance(found, Reply):
                    asked = _asked_to_wait(found)
                    if asked is None:
                        return found
                    failed = Unreached(f"HTTP {found.status}, asked to come back in {asked:g} s")
                    pause = max(pause, asked)
                if attempt == self._retries or time.perf_counter() + pause >= deadline:
                    break
                given_up.wait(pause)
            assert isinstance(failed, Unreached)
            tries = f" ({attempt + 1} attempts)" if attempt else ""
            return Unreached(f"{failed.reason}{tries}", failed.late)
        finally:
            self._free.put(line)

    def abandon(self) -> None:
        """Break off whatever is in flight: nobody waits for it any more."""
        self._given_up.set()
        self._given_up = threading.Event()
        for line in self._lines:
            line.cut(only_if_late=False)

    def close(self) -> None:
        """Close every connection and wait until the threads have ended; may be called twice."""
        self.abandon()
        self._finalizer()
        if self._workers is not None:
            self._workers.shutdown()
        self._watch.join()


class _Line:
    """One connection, used by one exchange at a time."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        # A client of its own has one connection, so that the socket seen last is the one in use.
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        self.client = httpx.Client(headers=dict(headers), limits=limits, follow_redirects=False)
        self.deadline: float | None = None
        self._socket: socket.socket | None = None
        self._cut = self._closed = False
        self._lock = threading.RLock()  # may be entered twice: the collector may close it anywhere

    def exchange(self, request: Request, limit_s: float, watch: _Watch, given_up: threading.Event) -> Reply | Unreached:
        """One attempt of at most ``limit_s`` seconds."""
        if limit_s <= 0:
            return Unreached("no time was left to ask", late=True)
        late = Unreached(f"no complete answer within {limit_s:.3g} s", late=True)
        started = time.perf_counter()
        with self._lock:
            if self._closed:
                return Unreached("given up")
            self._cut = False
            self.deadline = started + limit_s
        watch.expect(limit_s)
        try:
            # Asked after the deadline stands: whoever gives up from here on cuts this exchange.
            if given_up.is_set():
                return Unreached("given up")
            asked = self.client.build_request(
                request.method,
                request.url,
                content=request.body,
                params=request.query or None,
                timeout=limit_s,
                extensions={"trace": self._trace},
            )
            response = self.client.send(asked, stream=True)
            try:
                body, problem = _read(response)
            finally:
                response.close()
            wall_s = time.perf_counter() - started
        except httpx.TimeoutException:
            return late
        except httpx.TransportError as error:
            return late if self._cut else Unreached(_told(error))
        finally:
            with self._lock:
                self.deadline = None
            if self._closed:
                self.client.close()
        if self._cut or wall_s > limit_s:
            return late
        return Reply(response.status_code, response.headers, body, wall_s, problem)

    def cut(self, *, only_if_late: bool) -> None:
        """Shut the socket under an exchange, which then fails in its own thread."""
        with self._lock:
            if self.deadline is None or (only_if_late and time.perf_counter() < self.deadline):
                return
            self._cut = True
            self._shut()

    def close(self) -> None:
        """Close the connection now, or have the exchange under way do it, which is cut. Never waits."""
        with self._lock:
            self._closed = True
            if self.deadline is not None:
                self._cut = True
                self._shut()
                return
        self.client.close()

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self._cut:  # while it was being connected
                    self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # closed already
                # Not the method of an SSL socket, which would take its state from under the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Watch:
    """A thread that looks at all deadlines, as rarely as the shortest time limit allows."""

    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self._tick_s = float("inf")
        self._changed = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None

    def expect(self, limit_s: float) -> None:
        """Know that an exchange with this limit has begun; costs a comparison, but for the first and shorter ones."""
        if limit_s >= self._tick_s:
            return
        with self._changed:
            self._tick_s = limit_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._changed.notify()

    def end(self) -> None:
        """Tell the thread to end; may be called twice. Never waits."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def join(self) -> None:
        """Wait until it has ended."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._ended:
                now = time.perf_counter()
                due = [line.deadline - now for line in self._lines if line.deadline is not None]
                self._changed.wait(max(0.001, min([self._tick_s, *due], default=1.0)))
                for line in self._lines:
                    line.cut(only_if_late=True)


def _let_go(watch: _Watch, lines: list[_Line], workers: ThreadPoolExecutor | None) -> None:
    # Whoever drops the last reference comes here, be it one of the threads that end: so nothing is waited for.
    if workers is not None:
        workers.shutdown(wait=False, cancel_futures=True)
    for line in lines:
        line.close()
    watch.end()


def _read(response: httpx.Response) -> tuple[bytes, str]:
    parts: list[bytes] = []
    size = 0
    try:
        for chunk in response.iter_bytes():
            parts.append(chunk)
            size += len(chunk)
            if size > MAX_BYTES:
                return b"", f"its answer is longer than {MAX_BYTES // 1_000_000} MB"
    except httpx.DecodingError as error:
        return b"", f"its answer does not decode as {response.headers.get('content-encoding')}: {error}"
    return b"".join(parts), ""


def _asked_to_wait(reply: Reply) -> float | None:
    """Seconds a busy service asks to wait: 429 always, 503 only with Retry-After; ``None`` for any other answer."""
    if reply.status not in (429, 503):
        return None
    given = reply.headers.get("retry-after", "").strip()
    if not given:
        return 0.0 if reply.status == 429 else None
    if given.isdecimal():
        return float(given[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except ValueError:
        return 0.0


def _told(error: httpx.TransportError) -> str:
    message = " ".join(str(error).split())
    return f"transport failed: {type(error).__name__}{': ' + message[:300] if message else ''}"
