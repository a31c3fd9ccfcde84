from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from ophamin.proof.errors import MissingDependency, SubstrateFailure, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_substrate
from ophamin.seeing.substrate._exchange import Exchange, Request
from ophamin.seeing.substrate._template import fill
from ophamin.testing import check_substrate

# A real server in a process of its own. What it does wrong is asked for by the stimulus.
SERVER = r"""
import json, socket, struct, sys, threading, time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen, connections, state = Counter(), set(), {"seed": None, "in_flight": 0, "most": 0}
lock = threading.Lock()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def raw(self, data): self.wfile.write(data); self.wfile.flush()
    def reply(self, value, status=200, content_type="application/json", **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items(): self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.raw(body)
    def reset_connection(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
    def do_GET(self): self.reply({"path": self.path, "length": self.headers.get("Content-Length")})
    def do_POST(self):
        with lock:
            state["in_flight"] += 1
            state["most"] = max(state["most"], state["in_flight"])
        try: self.answer()
        except (BrokenPipeError, ConnectionResetError): pass
        finally:
            with lock: state["in_flight"] -= 1
    def answer(self):
        connections.add(self.client_address)
        d = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/reset": state["seed"] = d["seed"]; return self.reply({})
        if self.path == "/broken-reset": return self.reply({}, 500)
        if self.path == "/v1/chat/completions":
            return self.reply({"id": "c1", "model": d["model"], "asked": d, "choices": [{"message": {"role": "assistant", "content": d["messages"][-1]["content"].upper()}}]})
        if self.path == "/v1/embeddings":
            return self.reply({"data": [{"embedding": [float(len(d["input"])), 0.5]}], "model": d["model"]})
        if self.path == "/secret":
            return self.reply({"authorization": self.headers.get("Authorization"), "key": self.headers.get("X-Key"), "tenant": self.headers.get("X-Tenant")})
        if self.path == "/secret-error": return self.reply(("you sent " + str(self.headers.get("Authorization"))).encode(), 500)
        if self.path == "/locked": return self.reply({"detail": "bad key"}, 401)
        if self.path == "/whole": return self.reply(d)
        text = d["input"] if isinstance(d["input"], str) else ""
        word, _, argument = text.partition(" ")
        if word.startswith("twice-"):  # only the first attempt goes wrong
            seen[d["id"]] += 1
            word = word[6:] if seen[d["id"]] == 1 else ""
        if word == "reset": return self.reset_connection()
        if word == "stall": time.sleep(30); return
        if word == "dribble":
            self.raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(300): self.raw(b"a"); time.sleep(0.1)
        if word == "drip":
            self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(300): self.raw(b" "); time.sleep(0.1)
        if word == "slow": time.sleep(float(argument))
        if word == "500": return self.reply(b"Internal\n  Server Error", 500, "text/plain")
        if word == "html": return self.reply(b"<html><body>Sign in</body></html>", 200, "text/html")
        if word == "status": return self.reply({"detail": "no"}, int(argument))
        if word == "429": return self.reply({}, 429)
        if word == "wait": return self.reply({}, 503, Retry_After=argument)
        if word == "redirect": return self.reply({}, 302, Location="/elsewhere?" + argument)
        if word == "nan": return self.reply(b'{"x": NaN}')
        if word == "empty": return self.reply(b"")
        if word == "deep": return self.reply(b"[" * 200000)
        if word == "plain": return self.reply({"n": 1}, 200, "text/plain")
        if word == "list": return self.reply([1, 2])
        if word == "latin": return self.reply(b'{"x": "\xff"}')
        if word == "big": return self.reply(b'"' + b"x" * 11_000_000 + b'"')
        if word == "bomb":
            import gzip
            return self.reply(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")
        if word == "badgzip": return self.reply(b"no gzip at all", Content_Encoding="gzip")
        if word == "half":
            self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"half\":")
            self.close_connection = True; self.connection.shutdown(socket.SHUT_RDWR); return
        if word == "garbage":
            self.raw(b"SSH-2.0-OpenSSH\r\n\r\n"); self.close_connection = True; self.connection.shutdown(socket.SHUT_RDWR); return
        if word == "chunks":
            self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnonsense\r\n")
            self.close_connection = True; self.connection.shutdown(socket.SHUT_RDWR); return
        if word == "calm":  # handlers of exchanges that were broken off earlier may still sleep
            while state["in_flight"] > 1: time.sleep(0.01)
            state["most"] = 0
        if word == "most": return self.reply({"most": state["most"], "connections": len(connections)})
        self.reply({"seen": d["input"], "seed": d["seed"], "told": state["seed"], "keys": sorted(d)})

class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    def handle_error(self, *args): pass

server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = tmp_path_factory.mktemp("http") / "server.py"
    path.write_text(SERVER, encoding="utf-8")
    process = subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True)
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def ask(server):
    made = []

    def run(*texts, path: str = "/ask", timeout_s: float = 20.0, records=None, **params):
        query = "&".join(f"{k}={quote_plus(str(v))}" for k, v in params.items())
        substrate = make_substrate(f"{server}{path}{'?' + query if query else ''}")
        made.append(substrate)
        substrate.reset(3)
        stimuli = records or [Record(f"r{i}", text) for i, text in enumerate(texts)]
        return list(substrate.run_batch(stimuli, seed=1, timeout_s=timeout_s))

    yield run
    for substrate in made:
        substrate.close()


@pytest.mark.parametrize("query", ["", "?concurrency=4", "?reset=/reset"])
def test_contract(server, query: str) -> None:
    check_substrate(lambda: make_substrate(f"{server}/ask{query}"), slow=Record("slow", "slow 1"))


def test_the_wire_and_keep_alive(server, ask) -> None:
    results = ask("a", "b", reset="/reset")
    assert [r.output["seen"] for r in results] == ["a", "b"]
    assert results[0].output["keys"] == ["id", "input", "meta", "seed"]
    assert results[0].output["told"] == 3
    assert all(0 < r.wall_s < 5 for r in results)
    many = ask(*["most"] * 20)
    assert many[-1].output["connections"] - many[0].output["connections"] == 0
    with pytest.raises(SubstrateFailure, match="did not reset: HTTP 500"):
        ask("a", reset="/broken-reset")


def test_concurrency(server, ask) -> None:
    assert ask("calm")[0].status == "ok"
    results = ask(*["slow 0.2"] * 16, "most", concurrency=8)
    assert all(r.status == "ok" and r.wall_s is None for r in results)
    assert [r.record_id for r in results] == [f"r{i}" for i in range(17)]
    assert 4 <= results[-1].output["most"] <= 8


BEHAVIOUR = {
    "500": "HTTP 500: Internal Server Error",
    "html": "not JSON: b'<html>",
    "status 404": 'HTTP 404: {"detail": "no"}',
    "status 503": "HTTP 503",
    "status 502": "HTTP 502",
    "redirect x": "redirect to /elsewhere?x, which is not followed",
    "nan": "NaN",
    "empty": "empty",
    "deep": "nested too deep",
    "latin": "not JSON",
    "big": "longer than 10 MB",
    "bomb": "longer than 10 MB",
    "badgzip": "does not decode as gzip",
}


@pytest.mark.parametrize("stimulus", BEHAVIOUR)
def test_what_the_service_does_wrong_is_the_error_of_that_cycle(ask, stimulus: str) -> None:
    results = ask("a", stimulus, "c")
    assert [r.status for r in results] == ["ok", "error", "ok"]
    assert BEHAVIOUR[stimulus] in results[1].error
    assert results[1].wall_s > 0


TRANSPORT = {
    "reset": "transport failed",
    "half": "transport failed",
    "garbage": "transport failed",
    "chunks": "transport failed",
    "stall": "no complete answer within",
    "dribble": "no complete answer within",
    "drip": "no complete answer within",
    "429": "HTTP 429",
    "wait 1": "HTTP 503, asked to come back in 1 s",
    "wait Wed, 21 Oct 2015 07:28:00 GMT": "HTTP 503, asked to come back in 0 s",
    "wait 3600": "asked to come back in 3600 s",
}


@pytest.mark.parametrize("stimulus", TRANSPORT)
def test_a_failure_of_transport_is_never_behaviour(ask, stimulus: str) -> None:
    began = time.monotonic()
    # Only what never answers is waited for; the neighbours get the time a busy machine needs.
    hangs = stimulus in ("stall", "dribble", "drip")
    results = ask("a", stimulus, "c", timeout_s=2.5 if hangs else 10.0, retries=1)
    assert [r.status for r in results] == ["ok", "unmeasured", "ok"]
    assert TRANSPORT[stimulus] in results[1].error
    assert results[1].output is None
    assert time.monotonic() - began < 20, "the service would keep it for 30 s"


@pytest.mark.parametrize("stimulus", ["reset", "half", "garbage", "chunks", "429", "wait 0", "stall"])
def test_it_is_tried_again_as_registered(ask, stimulus: str) -> None:
    once = [Record(f"again {time.monotonic_ns()}", f"twice-{stimulus}")]
    assert ask(records=once, retries=1, attempt_s=1.0)[0].status == "ok"
    never = [Record(f"never {time.monotonic_ns()}", f"twice-{stimulus}")]
    assert ask(records=never, retries=0, timeout_s=1.0)[0].status == "unmeasured"


def test_a_late_answer_may_be_registered_as_behaviour(ask) -> None:
    assert [r.status for r in ask("slow 2", timeout_s=0.3, retries=0, late="error")] == ["error"]
    assert [r.status for r in ask("reset", timeout_s=2, retries=0, late="error")] == ["unmeasured"]


@pytest.mark.parametrize("query", ["", "?concurrency=3"])
@pytest.mark.parametrize("timeout_s", [1e12, float("inf")])
def test_any_patience_is_possible(ask, query: str, timeout_s: float) -> None:
    assert [r.status for r in ask("a", "b", query=query, timeout_s=timeout_s)] == ["ok", "ok"]


def test_wall_s_is_the_answered_exchange_alone(ask) -> None:
    [result] = ask(records=[Record(f"w{time.monotonic_ns()}", "twice-wait 1")], retries=1)
    assert result.status == "ok"
    assert result.wall_s < 1.0, "the pause of a second is not the service's"


def test_any_content_type_and_shape(ask) -> None:
    results = ask("plain", "list")
    assert [r.output for r in results] == [{"n": 1}, {"output": [1, 2]}]


def test_presets(server, ask) -> None:
    [result] = ask("hi {id}", path="/v1", preset="chat", model="tiny", template='{"max_tokens": 5, "temperature": 1}')
    assert result.output["choices"][0]["message"]["content"] == "HI {ID}", "a stimulus is never itself a template"
    assert result.output["asked"]["max_tokens"] == 5
    assert result.output["asked"]["temperature"] == 1
    assert result.output["asked"]["messages"] == [{"role": "user", "content": "hi {id}"}]
    chat = make_substrate(f"{server}/v1?preset=chat&model=tiny")
    assert chat.fields == {"answer": "choices[0].message.content"}
    assert chat.identity().name == f"{server}/v1/chat/completions tiny"
    [result] = ask("four", path="/v1", preset="embeddings", model="e")
    assert result.output["data"][0]["embedding"] == [4.0, 0.5]
    assert make_substrate(f"{server}/v1/embeddings?preset=embeddings&model=e").identity().name.count("embeddings") == 1


def test_templates(server, ask, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"q": "Is <{input}> spam? {seed}", "all": ["{input}", {"m": "{meta}"}], "id": "{id}"}')
    record = Record("a", [1, {"b": 2}], meta={"lang": "en"})
    [result] = ask(records=[record], path="/whole", template=f"@{body}")
    assert result.output["all"] == [[1, {"b": 2}], {"m": {"lang": "en"}}]
    assert result.output["q"].startswith('Is <[1, {"b": 2}]> spam? ')
    assert result.output["id"] == "a"
    substrate = make_substrate(f"{server}/find?method=GET&query=q%3D%7Binput%7D%26k%3D1")
    [got] = substrate.run_batch([Record("a", "x y&z")], seed=1, timeout_s=9)
    substrate.close()
    assert got.output == {"path": "/find?q=x+y%26z&k=1", "length": None}
    assert fill("{input}{id}", {"input": "{id}", "id": "7"}) == "{id}7"


def test_no_key_in_any_record(server, ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", "s3cr3t-t0k3n")
    [result] = ask("a", path="/secret", key_env="SERVICE_KEY", headers='{"X-Tenant": "t1"}')
    assert result.output == {"authorization": "Bearer [secret]", "key": None, "tenant": "t1"}
    [result] = ask("a", path="/secret", key_env="SERVICE_KEY", key_header="X-Key")
    assert result.output == {"authorization": None, "key": "[secret]", "tenant": None}
    [result] = ask("a", path="/secret-error", key_env="SERVICE_KEY")
    assert result.error == "HTTP 500: you sent Bearer [secret]"
    one = make_substrate(f"{server}/secret?key_env=SERVICE_KEY").identity()
    monkeypatch.setenv("SERVICE_KEY", "another")
    assert make_substrate(f"{server}/secret?key_env=SERVICE_KEY").identity() == one
    assert "s3cr3t" not in repr(one)
    with pytest.raises(SubstrateFailure, match=r"does not accept the key in \$SERVICE_KEY: HTTP 401"):
        ask("a", path="/locked", key_env="SERVICE_KEY")
    with pytest.raises(SubstrateFailure, match="without a key"):
        ask("a", path="/locked")


def test_a_service_that_is_not_there_stops_the_run() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    substrate = make_substrate(f"http://127.0.0.1:{port}/ask?retries=0")
    batch = substrate.run_batch([Record(f"r{i}", "x") for i in range(20)], seed=1, timeout_s=5)
    assert [next(batch).status for _ in range(9)] == ["unmeasured"] * 9
    with pytest.raises(SubstrateFailure, match="10 times in a row") as caught:
        next(batch)
    assert caught.value.exit_code == 6
    substrate.close()


def test_a_dead_server_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "server.py"
    path.write_text(SERVER.replace('("127.0.0.1", 0)', '("127.0.0.1", int(sys.argv[1]))'), encoding="utf-8")

    def start(port: int) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, path, str(port)], stdout=subprocess.PIPE, text=True)

    first = start(0)
    port = int(first.stdout.readline())
    substrate = make_substrate(f"http://127.0.0.1:{port}/ask?retries=6")
    batch = substrate.run_batch([Record("a", "x"), Record("b", "y")], seed=1, timeout_s=20)
    assert next(batch).status == "ok"
    first.kill(), first.wait(), first.stdout.close()
    again = threading.Timer(0.5, lambda: later.append(start(port)))
    later: list[subprocess.Popen[str]] = []
    again.start()
    assert next(batch).output["seen"] == "y"
    again.join()
    later[0].kill(), later[0].wait(), later[0].stdout.close()
    substrate.close()


def test_an_abandoned_batch_and_a_forgotten_substrate(server) -> None:
    substrate = make_substrate(f"{server}/ask?concurrency=2")
    batch = substrate.run_batch(
        [Record("a", "x"), *(Record(f"s{i}", "slow 25") for i in range(6))], seed=1, timeout_s=20
    )
    assert next(batch).status == "ok"
    batch.close()
    began = time.monotonic()
    assert [r.output["seen"] for r in substrate.run_batch([Record("b", "y")], seed=1, timeout_s=20)] == ["y"]
    assert time.monotonic() - began < 15, "what was abandoned would take 25 s"
    threads = threading.active_count()
    del substrate, batch
    gc.collect()
    limit = time.monotonic() + 20
    while threading.active_count() >= threads and time.monotonic() < limit:
        time.sleep(0.02)
    assert threading.active_count() < threads


def test_the_last_reference_may_be_dropped_by_a_thread_of_its_own(server) -> None:
    threads = threading.active_count()
    exchange = Exchange({}, concurrency=2, retries=0, attempt_s=20)
    free = exchange._free
    lines = [free.get(), free.get()]  # so that both threads wait, with the exchange in their hands
    answers = [exchange.submit(Request("POST", f"{server}/whole", b"{}"), 20) for _ in range(2)]
    dropped_by: list[str] = []
    weakref.finalize(exchange, lambda: dropped_by.append(threading.current_thread().name))
    del exchange
    for line in lines:
        free.put(line)
    assert [getattr(answer.result(), "status", None) for answer in answers] == [200, 200]
    limit = time.monotonic() + 20
    while (not dropped_by or threading.active_count() > threads) and time.monotonic() < limit:
        time.sleep(0.02)
    assert dropped_by[0].startswith("ophamin-http")
    assert threading.active_count() <= threads
    assert all(line.client.is_closed for line in lines)


def test_identity_is_what_shapes_the_answers(server) -> None:
    hashes = {
        make_substrate(f"{server}/ask{query}").identity().config_hash
        for query in (
            "",
            "?retries=5",
            "?concurrency=2",
            "?template=%7B%22a%22%3A%22%7Binput%7D%22%7D",
            "?revision=2",
            "?late=error",
            "?attempt_s=1",
        )
    }
    assert len(hashes) == 7
    assert make_substrate(f"{server}/ask?revision=v2").identity().revision == "v2"
    assert make_substrate(f"http:{server}/ask").identity() == make_substrate(f"{server}/ask").identity()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("http:ftp://x/y", "write http://"),
        ("http", "write http://"),
        ("http://user:pw@host/x", "password"),
        ("http://host:notaport/x", "no URL"),
        ("http://host/x?template=nojson", "not JSON"),
        ("http://host/x?template=@/absent.json", "cannot be read"),
        ("http://host/x?template=%7B%22a%22%3A1%7D", "would not be sent"),
        ("http://host/x?method=GET", "would not be sent"),
        ("http://host/x?preset=chat", "needs model="),
        ("http://host/x?preset=chats&model=m", "did you mean 'chat'"),
        ("http://host/x?model=m", "needs preset="),
        ("http://host/x?headers=[1]", "JSON object of texts"),
        ("http://host/x?key_env=NO_SUCH_VARIABLE_SET", "is not set"),
        ("http://host/x?late=never", "unmeasured, error"),
    ],
)
def test_slips_are_told_in_one_sentence(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_substrate(spec)


def test_without_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "ophamin.seeing.substrate._exchange", raising=False)
    import ophamin.seeing.substrate as package

    monkeypatch.delattr(package, "_exchange", raising=False)
    with pytest.raises(MissingDependency, match=r"pip install 'ophamin-seeing\[http\]'"):
        make_substrate("http://host/x")


def test_what_cannot_be_sent_is_unmeasured(ask) -> None:
    results = ask(records=[Record("a", object()), Record("b", b"\xff"), Record("c", "x")])
    assert [r.status for r in results] == ["unmeasured", "ok", "ok"]
    assert json.dumps(results[1].output["seen"]) == '{"base64": "/w=="}'
