"""Substrates against the bare thing they wrap: the share of its speed that is left.

- ``command``, pipelined: a loop that writes lines to the same program and reads its answers, a window in flight.
- ``http``: httpx alone, one connection, the same bodies to the same server, the answer parsed.
- ``sklearn``: ``predict`` on lists of 1,000 texts of at least 200 characters, of the same loaded pipeline.
"""

from __future__ import annotations

import json
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import skops.io
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

from ophamin.protocols import Record
from ophamin.registry import make_substrate

ROUNDS = 3
LINES, WINDOW = 10_000, 64
REQUESTS = 600
TEXTS = 10_000

ECHO = """
import json, sys
for line in sys.stdin.buffer:
    d = json.loads(line)
    if "id" in d:
        sys.stdout.write(json.dumps({"id": d["id"], "output": {"seen": d["input"]}}) + "\\n"); sys.stdout.flush()
"""
SERVER = """
import asyncio
BODY = b'{"answer": "yes", "score": 0.5}'
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY)
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = next(l for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length:"))
            await reader.readexactly(int(length[15:]))
            writer.write(HEAD + BODY)
    except (asyncio.IncompleteReadError, ConnectionError): pass
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def _interleaved(ours: Callable[[], float], bare: Callable[[], float]) -> tuple[float, float]:
    """Median seconds of both, in turns, so that a busy moment meets either."""
    ours(), bare()
    pairs = [(ours(), bare()) for _ in range(ROUNDS)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def _row(name: str, bar: float, ours: float, bare: float, n: int, baseline: str) -> dict:
    ratio = bare / ours
    detail = f"{n / ours:,.0f} cycles/s against {n / bare:,.0f} by {baseline}"
    return {"name": name, "ratio": ratio, "bar": f">= {bar}", "ok": ratio >= bar, "detail": detail}


def _command(folder: Path) -> dict:
    program = folder / "echo.py"
    program.write_text(ECHO, encoding="utf-8")
    argv = [sys.executable, str(program)]
    records = [Record(f"r{i}", f"the text of stimulus {i}") for i in range(LINES)]

    def ours() -> float:
        substrate = make_substrate(f"command:{shlex.join(argv)}?pipeline={WINDOW}")
        substrate.reset(1)
        list(substrate.run_batch(records[:10], seed=1, timeout_s=60))
        began = time.perf_counter()
        results = list(substrate.run_batch(records, seed=1, timeout_s=60))
        took = time.perf_counter() - began
        substrate.close()
        assert all(r.status == "ok" for r in results)
        return took

    def bare() -> float:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def send(record: Record) -> None:
            line = {"id": record.id, "input": record.payload, "meta": {}, "seed": 1}
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()

        send(records[0])
        process.stdout.readline()
        began = time.perf_counter()
        for record in records[:WINDOW]:
            send(record)
        for position in range(LINES):
            json.loads(process.stdout.readline())
            if position + WINDOW < LINES:
                send(records[position + WINDOW])
        took = time.perf_counter() - began
        process.stdin.close(), process.stdout.close(), process.wait()
        return took

    return _row("command, pipelined", 0.5, *_interleaved(ours, bare), LINES, "a bare pipe loop")


def _http() -> dict:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/ask"
        records = [Record(f"r{i}", f"the text of stimulus {i}") for i in range(REQUESTS)]

        def ours() -> float:
            substrate = make_substrate(url)
            list(substrate.run_batch(records[:10], seed=1, timeout_s=60))
            began = time.perf_counter()
            results = list(substrate.run_batch(records, seed=1, timeout_s=60))
            took = time.perf_counter() - began
            substrate.close()
            assert all(r.status == "ok" for r in results)
            return took

        def bare() -> float:
            with httpx.Client() as client:
                for record in records[:10]:
                    client.post(url, json={"input": record.payload})
                began = time.perf_counter()
                for record in records:
                    client.post(url, json={"id": record.id, "input": record.payload, "meta": {}, "seed": 1}).json()
                return time.perf_counter() - began

        return _row("http, one connection", 0.6, *_interleaved(ours, bare), REQUESTS, "httpx alone")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def _sklearn(folder: Path) -> dict:
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(3000)]

    def text() -> str:
        line = ""
        while len(line) < 200:
            line += draw.choice(words) + " "
        return line

    texts = [text() for _ in range(TEXTS)]
    model = make_pipeline(TfidfVectorizer(), SGDClassifier(random_state=0))
    model.fit(texts[:2000], [len(t) % 2 for t in texts[:2000]])
    path = folder / "model.skops"
    skops.io.dump(model, path)
    substrate = make_substrate(f"sklearn:{path}?batch=1000")
    records = [Record(f"r{i}", t) for i, t in enumerate(texts)]
    loaded = skops.io.load(path)

    def ours() -> float:
        began = time.perf_counter()
        results = list(substrate.run_batch(records, seed=1, timeout_s=60))
        took = time.perf_counter() - began
        assert all(r.status == "ok" for r in results)
        return took

    def bare() -> float:
        began = time.perf_counter()
        for start in range(0, TEXTS, 1000):
            loaded.predict(texts[start : start + 1000])
        return time.perf_counter() - began

    return _row("sklearn, batches of 1,000 texts", 0.8, *_interleaved(ours, bare), TEXTS, "predict alone")


def run() -> list[dict]:
    """The rows of ``make bench``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [_command(folder), _http(), _sklearn(folder)]


if __name__ == "__main__":
    for row in run():
        print(row)
