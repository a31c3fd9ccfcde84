"""A local server that answers as osv.dev does, from a folder of advisories, to this machine only.

OSV API, https://google.github.io/osv.dev/api/: ``POST /v1/query``, ``POST /v1/querybatch``, ``GET /v1/vulns/ID``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from packageurl import PackageURL

from ophamin.auditing.tools._osv import ECOSYSTEM, Advisories

__all__ = ["serving"]

JSON = Any
MOST_BYTES = 16 << 20
MOST_QUERIES = 1000
"""As many as osv.dev takes in one batch."""
WAIT_S = 30.0


class _BadRequest(ValueError):
    """What was asked makes no sense."""


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    # Head and body leave as one packet at once; else each answer waits 40 ms for the other side's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = WAIT_S
    server: _Server

    def do_POST(self) -> None:
        """Queries."""
        try:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= MOST_BYTES:
                raise _BadRequest("the request is too long")
            asked = json.loads(self.rfile.read(length).decode("utf-8"))
            if self.path == "/v1/query":
                self._answer(200, self._query(asked))
            elif self.path == "/v1/querybatch":
                self._answer(200, self._batch(asked))
            else:
                self._answer(404, {"code": 5, "message": "Not Found"})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self.close_connection = True
            self._answer(400, {"code": 3, "message": f"Invalid query: {str(error)[:200]}"})

    def do_GET(self) -> None:
        """One advisory, by its identifier."""
        name = unquote(self.path.removeprefix("/v1/vulns/"))
        found = self.server.advisories.by_id.get(name) if self.path.startswith("/v1/vulns/") else None
        self._answer(200, found) if found else self._answer(404, {"code": 5, "message": "Bug not found."})

    def _query(self, asked: Mapping[str, JSON]) -> dict[str, JSON]:
        if "commit" in asked:
            raise _BadRequest("only versions can be asked for, not commits")
        package, version = asked["package"], str(asked.get("version") or "")
        if "purl" in package:
            purl = PackageURL.from_string(package["purl"])
            if purl.version and version:
                raise _BadRequest("the version is given twice")
            name, version = purl.name, purl.version or version
            ecosystem = ECOSYSTEM if purl.type == "pypi" else purl.type
        else:
            name, ecosystem = package["name"], package["ecosystem"]
        if ecosystem != ECOSYSTEM:
            return {}
        found = self.server.advisories.query(str(name), version)
        return {"vulns": found} if found else {}

    def _batch(self, asked: Mapping[str, JSON]) -> dict[str, JSON]:
        queries = asked["queries"]
        if len(queries) > MOST_QUERIES:
            raise _BadRequest(f"more than {MOST_QUERIES} queries")
        results = []
        for query in queries:
            found = self._query(query).get("vulns", [])
            rows = [{"id": a["id"], "modified": a.get("modified", "")} for a in found]
            results.append({"vulns": rows} if rows else {})
        return {"results": results}

    def _answer(self, code: int, body: JSON) -> None:
        data = json.dumps(body).encode("utf-8")
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: JSON) -> None:
        """Say nothing: standard error is the audit's."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, advisories: Advisories) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.advisories = advisories

    def handle_error(self, request: JSON, client_address: JSON) -> None:
        """Whoever hangs up early does no harm."""


@contextmanager
def serving(advisories: Advisories) -> Iterator[str]:
    """Serve advisories on a free port of 127.0.0.1 as long as the block runs.

    Yields:
        The address of the service, ``http://127.0.0.1:PORT/v1/query``.

    Example:
        >>> with serving(Advisories({}, {})) as url:
        ...     url.startswith("http://127.0.0.1:") and url.endswith("/v1/query")
        True
    """
    server = _Server(advisories)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
