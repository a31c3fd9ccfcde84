"""``http://host/path``: a service that answers JSON over HTTP."""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ophamin.proof.canonical import digest
from ophamin.proof.errors import MissingDependency, SubstrateFailure, UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.seeing._params import choice, integer, number
from ophamin.seeing.substrate._json import UnsuitableOutput, as_output, to_json
from ophamin.seeing.substrate._seeds import cycle_seed
from ophamin.seeing.substrate._template import fill, has_place, read_template

if TYPE_CHECKING:
    from ophamin.seeing.substrate._exchange import Exchange, Reply, Request, Unreached

__all__ = ["HttpSubstrate"]

_FAILURES_IN_A_ROW = 10
_WIRE = {"id": "{id}", "input": "{input}", "meta": "{meta}", "seed": "{seed}"}
# preset → path below the base URL, template, path of the answer
_PRESETS: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "chat": (
        "/chat/completions",
        {"messages": [{"role": "user", "content": "{input}"}], "temperature": 0, "seed": "{seed}"},
        "choices[0].message.content",
    ),
    "embeddings": ("/embeddings", {"input": "{input}"}, "data[0].embedding"),
}


class HttpSubstrate:
    """A service asked once per stimulus, over connections that are kept alive.

    The raw output is the JSON of the answer, whole; an answer that is no object, ``x``, becomes ``{"output": x}``.

    ============================================================  ==========================================
    what came                                                     what it is
    ============================================================  ==========================================
    status 2xx and JSON, whatever its content type says           ``ok``
    status 2xx and anything else: HTML, NaN, nothing, over 10 MB  ``error``: behaviour
    any other status, redirects included, but for those below     ``error``: behaviour
    no connection, a reset, half a body, garbage for framing      transport: tried again, then ``unmeasured``
    no complete answer in time                                    transport; ``error`` with ``late=error``
    429, and 503 with Retry-After                                 tried again when it asks, then ``unmeasured``
    401 and 407                                                   the run stops: the key is not accepted
    ten cycles in a row without an answer                         the run stops
    ============================================================  ==========================================

    ``timeout_s`` is for a cycle with all its attempts. ``wall_s`` is the exchange that was answered, without earlier
    attempts and pauses, and absent with ``concurrency`` above 1. Redirects are never followed.

    Args:
        arg: The URL; ``http://host/path`` is itself a spec, ``http:https://host/path`` another. Without a query.
        template: The body, JSON or ``@file``; text in it that reads ``{input}``, ``{id}``, ``{seed}`` or ``{meta}`` is
            replaced. Default: an object of these four. With a preset, its keys are added to the preset's.
        answer: Path of the answer in the output, such as ``choices[0].text``: where the role ``answer`` is found.
        preset: ``chat`` or ``embeddings`` of an OpenAI-compatible service; the URL is then the base, such as ``…/v1``.
        model: The model's name in a preset's body.
        method: ``POST``, ``PUT``, or ``GET`` for a request without a body.
        query: Query of the URL, such as ``q={input}``.
        headers: Further headers, a JSON object; never a secret, since they are part of the identity.
        key_env: Environment variable that holds a key. It is sent, and appears in no record: where a service echoes
            it, ``[secret]`` stands instead.
        key_header: Header of the key; default ``Authorization``, as ``Bearer KEY``.
        concurrency: How many requests may be in flight.
        retries: How often a failed transport is tried again, after 0.1 s, 0.2 s, 0.4 s…
        attempt_s: Longest one attempt may take, seconds; default: what is left of the cycle.
        late: ``unmeasured``, or ``error`` where a late answer is the service's own fault.
        reset: Path that takes ``{"op": "reset", "seed"}`` by POST at every reset.
        revision: Version of the service, as you know it.

    Raises:
        MissingDependency: httpx is not installed.
        UsageError: A parameter makes no sense, or the variable of the key is not set.

    Example:
        >>> chat = HttpSubstrate("http://localhost:8000/v1", preset="chat", model="tiny")
        >>> chat.fields
        {'answer': 'choices[0].message.content'}
        >>> chat.close()
    """

    def __init__(
        self,
        arg: str,
        *,
        template: str = "",
        answer: str = "",
        preset: str = "",
        model: str = "",
        method: str = "POST",
        query: str = "",
        headers: str = "",
        key_env: str = "",
        key_header: str = "",
        concurrency: str | int = 1,
        retries: str | int = 2,
        attempt_s: str | float = "",
        late: str = "unmeasured",
        reset: str = "",
        revision: str = "",
    ) -> None:
        try:
            from ophamin.seeing.substrate import _exchange
        except ImportError as error:
            raise MissingDependency("the http substrate", "httpx", "ophamin-seeing[http]") from error
        self._module = _exchange
        url = _checked_url(f"http:{arg}" if arg.startswith("//") else arg)
        body: Any = read_template("template", template) if template else None
        if preset:
            path, parts, found = _PRESETS[choice("preset", preset, tuple(_PRESETS))]
            if not model:
                raise UsageError(f"preset={preset} needs model=, the model's name at that service")
            if body is not None and not isinstance(body, dict):
                raise UsageError("template= must be an object where a preset is given: its keys are added")
            url = url if url.endswith(path) else url.rstrip("/") + path
            body = {"model": model, **parts, **(body or {})}
            answer = answer or found
        elif model:
            raise UsageError("model= needs preset=chat or preset=embeddings; elsewhere write it into the template")
        self._method = choice("method", method, ("POST", "PUT", "GET"))
        if self._method == "GET" and body is not None:
            raise UsageError("method=GET has no body; put the stimulus into query=q={input}")
        self._template = None if self._method == "GET" else _WIRE if body is None else body
        self._query = parse_qsl(query, keep_blank_values=True)
        if not has_place([self._template, [value for _, value in self._query]]):
            raise UsageError("the stimulus would not be sent: write {input} into template= or query=")
        self._url = url
        self.fields = {"answer": answer} if answer else {}
        self._retries = integer("retries", retries, high=100)
        self._concurrency = integer("concurrency", concurrency, low=1, high=1000)
        self._attempt_s = number("attempt_s", attempt_s, low=0.001) if attempt_s != "" else math.inf
        self._late = choice("late", late, ("unmeasured", "error"))
        self._reset_url = _beside(url, reset) if reset else ""
        self._revision = revision
        self._headers = _header_fields(headers)
        self._secret, self._key_env = _key(key_env), key_env
        self._key_header = key_header or "Authorization"
        self._exchange: Exchange | None = None
        self._failures = 0
        config = {
            "url": url,
            "method": self._method,
            "template": self._template,
            "query": [list(pair) for pair in self._query],
            "answer": answer,
            "headers": self._headers,
            "concurrency": self._concurrency,
            "retries": self._retries,
            "attempt_s": None if math.isinf(self._attempt_s) else self._attempt_s,
            "late": self._late,
            "reset": self._reset_url,
            "revision": revision,
        }
        name = f"{url} {model}".strip()
        self._identity = SubstrateIdentity("http", name, digest(config), revision, None)

    def identity(self) -> SubstrateIdentity:
        """The URL and all that shapes the requests, never a key; the revision is what ``revision`` said."""
        return self._identity

    def reset(self, seed: int) -> None:
        """Tell the service to start over, where it has a path for that.

        Raises:
            SubstrateFailure: It has one and did not answer with a status 2xx.
        """
        if not self._reset_url:
            return
        body = json.dumps({"op": "reset", "seed": seed}).encode()
        found = self._client().cycle(self._module.Request("POST", self._reset_url, body), 60.0)
        told = self._refused(found)
        if told:
            raise SubstrateFailure(f"{self._reset_url} did not reset: {told}")

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Args:
            records: The stimuli.
            seed: The run's seed; ``{seed}`` in the template is one derived from it and the record.
            timeout_s: Longest a cycle may take, with all its attempts.

        Raises:
            SubstrateFailure: The key is not accepted, or nothing was answered ten times in a row.
        """
        if self._concurrency == 1:
            for index, record in enumerate(records):
                request = self._request(record, seed)
                sent = request if isinstance(request, str) else self._client().cycle(request, timeout_s)
                yield self._result(index, record, sent)
            return
        # More are begun than may be in flight, so that one slow answer at the head does not idle the others.
        ahead = 4 * self._concurrency
        begun: deque[Future[Reply | Unreached] | str] = deque()
        following = 0
        try:
            for index, record in enumerate(records):
                while following < len(records) and len(begun) < ahead:
                    request = self._request(records[following], seed)
                    begun.append(request if isinstance(request, str) else self._client().submit(request, timeout_s))
                    following += 1
                found = begun[0]
                result = self._result(index, record, found if isinstance(found, str) else found.result())
                begun.popleft()
                yield result
        finally:
            if begun:
                for left in begun:
                    if not isinstance(left, str):
                        left.cancel()
                self._client().abandon()

    def processes(self) -> list[int]:
        """None: the service is not ours."""
        return []

    def close(self) -> None:
        """Close every connection."""
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    def _client(self) -> Exchange:
        if self._exchange is None:
            headers = {"Content-Type": "application/json", "Accept": "application/json", **self._headers}
            if self._secret:
                bearer = self._key_header.lower() == "authorization"
                headers[self._key_header] = f"Bearer {self._secret}" if bearer else self._secret
            self._exchange = self._module.Exchange(
                headers, concurrency=self._concurrency, retries=self._retries, attempt_s=self._attempt_s
            )
        return self._exchange

    def _request(self, record: Record, seed: int) -> Request | str:
        """What to send, or why it cannot be sent."""
        try:
            given, meta = to_json(record.payload), to_json(dict(record.meta))
        except UnsuitableOutput as error:
            return f"not sent: {str(error).replace('output', 'payload', 1)}"
        values = {"input": given, "id": record.id, "seed": cycle_seed(seed, record.id), "meta": meta}
        body = None
        if self._template is not None:
            body = json.dumps(fill(self._template, values), separators=(",", ":"), allow_nan=False).encode()
        filled = ((key, fill(value, values)) for key, value in self._query)
        query = tuple((key, value if isinstance(value, str) else json.dumps(value)) for key, value in filled)
        return self._module.Request(self._method, self._url, body, query)

    def _result(self, index: int, record: Record, found: Reply | Unreached | str) -> CycleResult:
        if isinstance(found, str):
            return CycleResult(index, record.id, "", "unmeasured", None, found)
        if isinstance(found, self._module.Unreached):
            reason = self._without_secret(found.reason)
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                raise SubstrateFailure(f"{self._url} gave no answer {self._failures} times in a row, last: {reason}")
            if found.late and self._late == "error":
                return CycleResult(index, record.id, "", "error", None, reason)
            return CycleResult(index, record.id, "", "unmeasured", None, reason)
        self._failures = 0
        wall_s = found.wall_s if self._concurrency == 1 else None
        told = self._refused(found)
        if told:
            return CycleResult(index, record.id, "", "error", None, told, wall_s)
        try:
            output = as_output(_parsed(self._body(found)))
        except ValueError as error:
            return CycleResult(index, record.id, "", "error", None, str(error), wall_s)
        return CycleResult(index, record.id, "", "ok", output, None, wall_s)

    def _refused(self, found: Reply | Unreached) -> str:
        """Why this is no answer, or ""; the status alone is judged."""
        if isinstance(found, self._module.Unreached):
            return self._without_secret(found.reason)
        if 200 <= found.status < 300:
            return found.problem
        if found.status in (401, 407):
            key = f"the key in ${self._key_env}" if self._key_env else "a request without a key (key_env=NAME)"
            raise SubstrateFailure(f"{self._url} does not accept {key}: HTTP {found.status}{self._excerpt(found)}")
        if 300 <= found.status < 400:
            where = self._without_secret(found.headers.get("location", "nowhere"))[:300]
            return f"HTTP {found.status}, a redirect to {where}, which is not followed; name the final address"
        return f"HTTP {found.status}{self._excerpt(found)}"

    def _excerpt(self, reply: Reply) -> str:
        text = " ".join(self._body(reply).decode("utf-8", "backslashreplace").split())
        return f": {text[:200]}" if text else ""

    def _body(self, reply: Reply) -> bytes:
        return reply.body.replace(self._secret.encode(), b"[secret]") if self._secret else reply.body

    def _without_secret(self, text: str) -> str:
        return text.replace(self._secret, "[secret]") if self._secret else text


def _parsed(body: bytes) -> Any:
    """The answer as JSON.

    Raises:
        ValueError: It is none; says what it is.
    """
    if not body.strip():
        raise ValueError("its answer is empty")

    def refuse(name: str) -> None:
        raise ValueError(f"its answer holds {name}, which is not JSON")

    try:
        return json.loads(body, parse_constant=refuse)
    except RecursionError:
        raise ValueError("its answer is nested too deep") from None
    except ValueError as error:
        if str(error).startswith("its answer"):
            raise
        raise ValueError(f"its answer is not JSON: {body[:80]!r}") from None


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"http:{url}: is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"http:{url}: write http://host:port/path or http:https://host/path")
    if parts.username or parts.password:
        raise UsageError("a URL with a password in it would stand in every record; use key_env=NAME")
    if parts.query or parts.fragment:
        raise UsageError(f"http:{url}: give the query by query=, percent-encoded")
    return url


def _beside(url: str, path: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, "/" + path.lstrip("/"), "", ""))


def _header_fields(given: str) -> dict[str, str]:
    fields = read_template("headers", given) if given else {}
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise UsageError(f'headers={given}: must be a JSON object of texts, such as {{"X-Tenant": "a"}}')
    return fields


def _key(name: str) -> str:
    if not name:
        return ""
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageError(f"key_env={name}: that environment variable is not set; export it first")
    return value
