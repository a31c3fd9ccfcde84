"""Scrapes of real exporters, over windows with real restarts, and of servers that do it wrong."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import verify
from ophamin.protocols import Settings
from ophamin.registry import read_record
from ophamin.seeing.telemetry import errors
from ophamin.seeing.telemetry._parse import parse_metrics
from ophamin.seeing.telemetry.report import report_telemetry
from ophamin.seeing.telemetry.scrape import scrape
from ophamin.seeing.telemetry.window import changes, missing_series

# A real exporter, told what to do by lines on standard input.
EXPORTER = """
import sys
from prometheus_client import Counter, Gauge, Histogram, Info, Summary, disable_created_metrics, start_http_server
port = int(sys.argv[1])
if "plain" in sys.argv:
    disable_created_metrics()
jobs = Counter("jobs", "Jobs done", ["queue"])
level = Gauge("level", "A level", ["tank"])
took = Histogram("took_seconds", "Time of a job", buckets=(0.1, 1.0), unit="seconds")
Summary("size_bytes", "Size").observe(5)
Info("build", "What it is").info({"version": "1"})
level.labels("a").set(float("nan"))
level.labels("b").set(3)
start_http_server(port, addr="127.0.0.1")
print("ready", flush=True)
for line in sys.stdin:
    word, _, n = line.strip().partition(" ")
    if word == "jobs":
        jobs.labels("mail").inc(float(n))
    elif word == "took":
        took.observe(float(n), {"trace_id": "abc123"})
    elif word == "forget":
        level.remove("b")
    print("done", flush=True)
"""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Exporter:
    def __init__(self, program: Path, *words: str, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/metrics"
        command = [sys.executable, str(program), str(self.port), *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Callable[..., Exporter]]:
    program = tmp_path / "exporter.py"
    program.write_text(EXPORTER, encoding="utf-8")
    made: list[Exporter] = []

    def make(*words: str, port: int = 0) -> Exporter:
        made.append(Exporter(program, *words, port=port))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    return Settings(project=str(tmp_path / "project"), store=str(tmp_path / "proofs"))


def row(rows, name: str, **labels: str):
    [found] = [r for r in rows if r["name"] == name and dict(r["labels"]) == labels]
    return found


def samples(scraped) -> dict[tuple[str, ...], object]:
    return {
        (s["name"], *(f"{k}={v}" for k, v in s["labels"])): s["value"] for f in scraped.families for s in f["samples"]
    }


def test_a_real_exporter_in_both_formats(exporter) -> None:
    served = exporter()
    served.tell("jobs 4")
    served.tell("took 0.5")
    rich, plain = scrape(served.url), scrape(served.url, format="text")
    assert (rich.format, plain.format) == ("openmetrics", "text")
    for scraped in (rich, plain):
        values = samples(scraped)
        assert values["jobs_total", "queue=mail"] == 4.0
        assert values["took_seconds_bucket", "le=+Inf"] == 1.0
        assert values["level", "tank=a"] == "NaN"
        kinds = {f["name"]: f["type"] for f in scraped.families}
        assert (kinds["jobs"], kinds["took_seconds"], kinds["level"]) == ("counter", "histogram", "gauge")
        assert not scraped.warnings
    exemplars = [s for f in rich.families for s in f["samples"] if "exemplar" in s]
    assert [(s["name"], s["exemplar"]["labels"], s["exemplar"]["value"]) for s in exemplars] == [
        ("took_seconds_bucket", [["trace_id", "abc123"]], 0.5)
    ]
    assert not [s for f in plain.families for s in f["samples"] if "exemplar" in s]


@pytest.mark.parametrize("words", [(), ("plain",)], ids=["with _created", "without"])
@pytest.mark.parametrize("form", ["text", "openmetrics"])
def test_increases_over_a_window_and_what_vanished(exporter, project, form: str, words: tuple[str, ...]) -> None:
    served = exporter(*words)
    served.tell("jobs 4")
    threading.Timer(0.3, lambda: (served.tell("jobs 2.5"), served.tell("took 5"), served.tell("forget"))).start()
    kept = report_telemetry(served.url, project, window_s=1.0, format=form)
    record = kept.record
    jobs = row(record["changes"], "jobs_total", queue="mail")
    assert (jobs["state"], jobs["before"], jobs["after"], jobs["delta"]) == ("ok", 4.0, 6.5, 2.5)
    assert jobs["rate_per_s"] == pytest.approx(2.5 / record["window_s"])
    assert row(record["changes"], "took_seconds_bucket", le="1.0")["delta"] == 0.0
    assert row(record["changes"], "took_seconds_bucket", le="+Inf")["delta"] == 1.0
    assert row(record["changes"], "took_seconds_sum")["delta"] == 5.0
    assert record["missing"] == [{"name": "level", "labels": [["tank", "b"]], "type": "gauge"}]
    assert not any(c["name"] == "level" for c in record["changes"])
    found = verify(read_record(kept.path), Keyring())
    assert found.ok


@pytest.mark.parametrize("form", ["text", "openmetrics"])
def test_a_restart_is_a_reset_even_when_the_number_rose(exporter, form: str) -> None:
    first = exporter()
    first.tell("jobs 4")
    before = scrape(first.url, format=form)
    first.stop()
    second = exporter(port=first.port)
    second.tell("jobs 9")
    after = scrape(second.url, format=form)
    found = row(changes(before.families, after.families, 2.0), "jobs_total", queue="mail")
    assert (found["state"], found["delta"], found["rate_per_s"]) == ("reset", 9.0, 4.5)


def test_without_creation_times_a_fall_is_a_reset_and_a_rise_after_a_restart_is_ambiguous(exporter) -> None:
    first = exporter("plain")
    first.tell("jobs 4")
    before = scrape(first.url)
    first.stop()
    time.sleep(0.02)  # the start time of a process counts in hundredths of a second
    for jobs, state, delta in ((3, "reset", 3.0), (9, "ambiguous", None), (4, "ambiguous", None)):
        again = exporter("plain", port=first.port)
        again.tell(f"jobs {jobs}")
        found = row(changes(before.families, scrape(again.url).families, 1.0), "jobs_total", queue="mail")
        assert (found["state"], found["delta"]) == (state, delta)
        again.stop()


def test_a_counter_that_vanished_is_missing_and_one_that_came_is_new() -> None:
    def scraped(*names: str):
        return [{"type": "counter", "samples": [{"name": n, "labels": [], "value": 1.0} for n in names]}]

    found = changes(scraped("a", "b"), scraped("b", "c"), 1.0)
    assert [(c["name"], c["state"], c["delta"]) for c in found] == [
        ("a", "missing", None),
        ("b", "ok", 0.0),
        ("c", "new", None),
    ]
    assert [m["name"] for m in missing_series(scraped("a", "b"), scraped("b", "c"))] == ["a"]


NODE_EXPORTER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")


def test_the_node_exporter(project) -> None:
    if NODE_EXPORTER is None:
        pytest.skip("prometheus-node-exporter is not installed; CI installs it from Debian")
    port = free_port()
    process = subprocess.Popen(
        [NODE_EXPORTER, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        limit = time.monotonic() + 20
        while True:
            try:
                urlopen(url, timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < limit, "the node exporter did not come up"
                time.sleep(0.05)
        # Versions differ in what they offer, and the answer's own Content-Type decides.
        for form in ("text", "auto"):
            record = report_telemetry(url, project, window_s=0.5, format=form).record
            assert form == "auto" or record["source"]["format"] == form
            names = {f["name"] for f in record["families"]}
            assert {"node_cpu_seconds", "node_memory_MemTotal_bytes"} <= names
            cpu = [c for c in record["changes"] if c["name"] == "node_cpu_seconds_total"]
            assert cpu
            assert all(c["state"] == "ok" and c["delta"] >= 0 for c in cpu)
            assert sum(c["delta"] for c in cpu) > 0
            assert record["missing"] == []
    finally:
        process.terminate()
        process.wait(10)


# --- servers that do it wrong

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
GOOD = b"# TYPE up gauge\nup 1\n"


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """A real socket that answers each request with the given bytes, at the given pace."""
    open_ones: list[socket.socket] = []

    def make(answer: bytes, *, drip_s: float = 0.0, stall_s: float = 0.0, at_once: int = 0) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        open_ones.append(server)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65536)
                        time.sleep(stall_s)
                        pieces = [answer] if not drip_s else [answer[:at_once], *(bytes([b]) for b in answer[at_once:])]
                        for piece in pieces:
                            connection.sendall(piece)
                            time.sleep(drip_s)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/metrics"

    yield make
    for server in open_ones:
        server.close()


def body(content: bytes, kind: bytes = b"text/plain", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (
        kind,
        len(content),
        more,
        content,
    )


WRONG = {
    "html": (body(b"<html>", b"text/html; charset=utf-8"), errors.NotMetrics, "text/html"),
    "json": (body(b"{}", b"application/json"), errors.NotMetrics, "application/json"),
    "protobuf": (body(b"\x0a", b"application/vnd.google.protobuf"), errors.NotMetrics, "protobuf"),
    "empty": (body(b""), errors.NotMetrics, "nothing"),
    "comments only": (body(b"# just words\n"), errors.NotMetrics, "no metric"),
    "binary": (body(b"up 1\n\xff\xfe\n"), errors.MalformedMetrics, "line 2"),
    "null byte": (body(b"up 1\nx\0y 2\n"), errors.MalformedMetrics, "line 2"),
    "malformed": (body(b'# TYPE up gauge\nup 1\nup{a="b" 2\n'), errors.MalformedMetrics, "line 3"),
    "no value": (body(b"up 1\n\nup_again one\n"), errors.MalformedMetrics, "line 3"),
    "no eof": (body(GOOD, b"application/openmetrics-text; version=1.0.0"), errors.MalformedMetrics, "EOF"),
    "short": (body(GOOD).replace(b"Length: 21", b"Length: 99"), errors.EndpointDown, "hung up"),
    "reset": (b"", errors.EndpointDown, "no metrics"),
    "not http": (b"SSH-2.0-OpenSSH\r\n", errors.EndpointDown, "HTTP"),
    "error": (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", errors.EndpointDown, "503"),
    "not found": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", errors.EndpointDown, "404"),
    "redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n",
        errors.Redirected,
        "169.254.169.254",
    ),
    "packed": (body(GOOD, more=b"Content-Encoding: br\r\n"), errors.NotMetrics, "'br'"),
    "bad gzip": (body(GOOD, more=b"Content-Encoding: gzip\r\n"), errors.EndpointDown, "no metrics"),
    "cut gzip": (body(gzip.compress(GOOD)[:-9], more=b"Content-Encoding: gzip\r\n"), errors.EndpointDown, "cut short"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_an_endpoint_does_wrong_has_its_name(answering, name: str) -> None:
    answer, kind, words = WRONG[name]
    with pytest.raises(kind, match=words) as caught:
        scrape(answering(answer), timeout_s=5)
    assert "\n" not in str(caught.value)
    assert type(caught.value) is kind


def test_a_packed_answer_is_unpacked_and_a_bomb_is_not(answering) -> None:
    packed = body(gzip.compress(GOOD), more=b"Content-Encoding: gzip\r\n")
    assert samples(scrape(answering(packed))) == {("up",): 1.0}
    bomb = gzip.compress(b"# " + b"x" * (40 * 2**20) + b"\n")
    with pytest.raises(errors.ResponseTooBig, match="32 MiB"):
        scrape(answering(body(bomb, more=b"Content-Encoding: gzip\r\n")))
    with pytest.raises(errors.ResponseTooBig):
        scrape(answering(HEAD + b"\r\n" + b"# more\n" * (33 * 2**20 // 7)))


@pytest.mark.parametrize("pace", [{"stall_s": 30.0}, {"drip_s": 0.02}, {"drip_s": 0.02, "at_once": len(HEAD) + 2}])
def test_a_slow_answer_ends_at_the_limit_however_it_drips(answering, pace) -> None:
    url = answering(HEAD + b"\r\n" + GOOD * 100, **pace)
    started = time.perf_counter()
    with pytest.raises(errors.EndpointSlow, match=r"within 0\.6 s"):
        scrape(url, timeout_s=0.6)
    assert time.perf_counter() - started < 15, "the endpoint would take 20 s or more"


def test_nothing_there_wrong_schemes_and_no_addresses() -> None:
    with pytest.raises(errors.EndpointDown, match="refused"):
        scrape(f"http://127.0.0.1:{free_port()}/metrics")
    with pytest.raises(errors.EndpointDown):
        scrape("http://no-such-host.invalid/metrics")
    for url in ("file:///etc/passwd", "ftp://localhost/x", "localhost:9100/metrics", "/metrics"):
        with pytest.raises(errors.WrongScheme, match="http"):
            scrape(url)
    for url in ("http://", "http://localhost:99999/", "http://local host/", "http://[::1/", "http://a\r\nX: y/"):
        with pytest.raises(UsageError):
            scrape(url)
    for options in ({"timeout_s": 0}, {"timeout_s": float("nan")}, {"format": "xml"}):
        with pytest.raises(UsageError):
            scrape("http://localhost", **options)


def test_a_password_is_sent_and_never_kept(project) -> None:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                seen.append(connection.recv(65536))
                connection.sendall(body(GOOD))

        threading.Thread(target=serve, daemon=True).start()
        kept = report_telemetry(f"http://me:s3cret@127.0.0.1:{server.getsockname()[1]}/metrics", project)
    assert b"Authorization: Basic bWU6czNjcmV0" in seen[0]
    assert "s3cret" not in kept.path.read_text("utf-8")
    assert "me:" not in json.dumps(kept.record["source"])


@pytest.mark.slow
def test_more_series_than_two_scrapes_of_a_record_hold_are_told(answering, project) -> None:
    labels = ",".join(f'l{i}="v"' for i in range(8))
    rows = "".join(f'c_total{{n="{i}",{labels}}} 1\n' for i in range(16_000))
    url = answering(body(b"# TYPE c_total counter\n" + rows.encode()))
    assert len(report_telemetry(url, project).record["families"][0]["samples"]) == 16_000
    with pytest.raises(errors.ResponseTooBig, match="narrower"):
        report_telemetry(url, project, window_s=0.1)


def test_too_many_series_are_refused_before_they_are_parsed() -> None:
    text = b"# HELP m of many\n# TYPE m gauge\n" + b"".join(b'm{i="%d"} 1\n' % i for i in range(100_000))
    tracemalloc.start()
    try:
        with pytest.raises(errors.ResponseTooBig, match="x has 100000 series, more than the 40000"):
            parse_metrics(text, "text", "x")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_series_that_stands_twice_counts_once_and_is_told(answering, project) -> None:
    kept = report_telemetry(answering(body(b'up{a="1"} 1\nup{a="1"} 2\n')), project)
    assert [s["value"] for f in kept.record["families"] for s in f["samples"]] == [1.0]
    assert "twice" in kept.record["warnings"][0]


def test_buckets_that_do_not_grow_are_told() -> None:
    text = b'# TYPE h histogram\nh_bucket{le="1"} 5\nh_bucket{le="+Inf"} 3\nh_count 3\nh_sum 1\n'
    _, warnings = parse_metrics(text, "text", "x")
    assert "do not grow" in warnings[0]


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet='ab{}=",\\ \n#1.eE+-NaHELPTYunitcr_', max_size=200).map(str.encode)
    ),
    st.sampled_from(["text", "openmetrics"]),
)
def test_no_text_makes_anything_but_families_or_a_typed_error(text: bytes, kind: str) -> None:
    try:
        families, _ = parse_metrics(text, kind, "x")
    except errors.NotMetrics:
        return
    json.dumps(families, allow_nan=False)


def test_without_the_parsers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m.startswith("prometheus_client")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "ophamin.seeing.telemetry._parse")
    with pytest.raises(MissingDependency, match=r"pip install 'ophamin-seeing\[telemetry\]'"):
        scrape("http://localhost")
