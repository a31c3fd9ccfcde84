"""One HTTP request with a limit on time and size; redirects are told, not followed, and no proxy is asked."""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from ophamin.proof.errors import UsageError
from ophamin.seeing._signed import printable
from ophamin.seeing._versions import own_version
from ophamin.seeing.telemetry.errors import (
    EndpointDown,
    EndpointSlow,
    NotMetrics,
    Redirected,
    ResponseTooBig,
    WrongScheme,
)

__all__ = ["ACCEPT", "MAX_BYTES", "Response", "fetch", "without_secrets"]

MAX_BYTES = 32 * 1024 * 1024
"""Of one answer, unpacked."""
ACCEPT = {
    "auto": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
    "text": "text/plain;version=0.0.4",
}
"""What is asked for, by format."""
_CHARACTERS = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True)
class Response:
    """What came back.

    Args:
        body: Unpacked bytes.
        content_type: As sent, "" when absent.
        wall_s: Seconds from connecting to the last byte.
    """

    body: bytes
    content_type: str
    wall_s: float


def _split(url: str) -> SplitResult:
    if _CHARACTERS.search(url):
        raise UsageError(f"{printable(url)!r} is no address: it holds a space or a control character")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{printable(url)!r} is no address: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise WrongScheme(f"{printable(url)!r} is not an http or https address, such as http://localhost:9100/metrics")
    if not parts.hostname:
        raise UsageError(f"{printable(url)!r} names no host; write http://localhost:9100/metrics")
    return parts


def without_secrets(url: str) -> str:
    """The address without user name and password."""
    parts = _split(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def fetch(url: str, *, accept: str, timeout_s: float, max_bytes: int = MAX_BYTES) -> Response:
    """Ask once.

    Args:
        url: ``http`` or ``https``; a user name and password in it are sent as basic authentication.
        accept: Value of the header.
        timeout_s: Seconds for all of it: connecting, waiting, reading to the last byte.
        max_bytes: Longest body, unpacked.

    Raises:
        WrongScheme: Another scheme.
        UsageError: No address.
        EndpointDown: Nothing answers, it hangs up, or it answers with an HTTP error.
        EndpointSlow: Not within ``timeout_s``.
        Redirected: It answers that the metrics are elsewhere.
        ResponseTooBig: A longer body.
        NotMetrics: It is packed in a way nobody asked for.
    """
    parts = _split(url)
    shown = without_secrets(url)
    headers = {"Accept": accept, "Accept-Encoding": "gzip", "User-Agent": f"ophamin-seeing/{own_version()}"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
    path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    expired = threading.Event()
    opened: list[socket.socket] = []

    def expire() -> None:
        # Not a timeout of each read, which a server that drips bytes never meets: an end to the whole.
        expired.set()
        for sock in opened:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    alarm = threading.Timer(timeout_s, expire)
    alarm.daemon = True
    started = time.perf_counter()
    alarm.start()
    try:
        connection.connect()
        opened.append(connection.sock)  # the connection forgets it as soon as the answer says it will be closed
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        _refuse(response, shown)
        body = _read(response, max_bytes, shown)
        wall_s = time.perf_counter() - started
        if expired.is_set():
            raise EndpointSlow(f"{shown} did not answer whole within {timeout_s:g} s; allow more by --timeout")
        return Response(body, response.getheader("Content-Type", ""), wall_s)
    except (OSError, http.client.HTTPException, zlib.error, UnicodeError) as error:
        if isinstance(error, EndpointSlow):
            raise
        if expired.is_set() or isinstance(error, TimeoutError):
            raise EndpointSlow(
                f"{shown} did not answer whole within {timeout_s:g} s; allow more by --timeout"
            ) from error
        raise EndpointDown(f"{shown} gives no metrics: {_told(error)}") from error
    finally:
        alarm.cancel()
        connection.close()


def _told(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, http.client.IncompleteRead):
        return f"it hung up after {len(error.partial)} bytes of the answer"
    if isinstance(error, http.client.HTTPException):
        return printable(f"it does not speak HTTP ({type(error).__name__}: {str(error)[:80]})").strip()
    if isinstance(error, OSError):
        return printable(error.strerror or error)
    return printable(f"{type(error).__name__}: {error}")


def _refuse(response: http.client.HTTPResponse, shown: str) -> None:
    if 300 <= response.status < 400:
        where = printable(response.getheader("Location", "elsewhere"))[:200]
        raise Redirected(f"{shown} redirects to {where}; name that address if it is the one you mean")
    if response.status != 200:
        raise EndpointDown(f"{shown} answers {response.status} {printable(response.reason)[:80]}".rstrip())


def _read(response: http.client.HTTPResponse, max_bytes: int, shown: str) -> bytes:
    coding = response.getheader("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip"):
        raise NotMetrics(f"{shown} sends its metrics packed as {printable(coding)[:40]!r}, which was not asked for")
    unpack = zlib.decompressobj(wbits=31) if coding == "gzip" else None
    body = bytearray()
    while chunk := response.read(1 << 16):
        body += unpack.decompress(chunk, max_bytes + 1 - len(body)) if unpack else chunk
        if len(body) > max_bytes:
            raise ResponseTooBig(f"{shown} sends more than {max_bytes // 2**20} MiB; scrape a narrower address")
    if unpack is not None and not unpack.eof:
        raise EndpointDown(f"{shown} gives no metrics: its packed answer is cut short")
    if response.length:  # read1 and read do not complain of a body shorter than announced in every Python
        raise EndpointDown(f"{shown} gives no metrics: it hung up {response.length} bytes before the end")
    return bytes(body)
