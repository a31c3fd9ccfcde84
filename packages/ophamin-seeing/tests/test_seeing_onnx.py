"""ONNX models written byte by byte: the format is protocol buffers, and a few fields of it do."""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_substrate
from ophamin.testing import check_substrate

FLOAT, INT64, STRING = 1, 7, 8


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def info(name: str, kind: int, shape: list[int | str]) -> bytes:
    dims = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def node(operation: str, inputs: list[str], output: str) -> bytes:
    return b"".join(field(1, i) for i in inputs) + field(2, output) + field(3, output) + field(4, operation)


def tensor(name: str, rows: list[list[float]]) -> bytes:
    flat = [x for row in rows for x in row]
    return (
        field(1, len(rows))
        + field(1, len(rows[0]))
        + field(2, FLOAT)
        + field(8, name)
        + field(9, struct.pack(f"<{len(flat)}f", *flat))
    )


def model(nodes: list[bytes], inputs: list[bytes], outputs: list[bytes], tensors: tuple[bytes, ...] = ()) -> bytes:
    graph = b"".join(field(1, n) for n in nodes) + field(2, "g") + b"".join(field(5, t) for t in tensors)
    graph += b"".join(field(11, i) for i in inputs) + b"".join(field(12, o) for o in outputs)
    return field(1, 8) + field(8, field(1, "") + field(2, 17)) + field(7, graph)


WEIGHTS = [[1.0, -1.0], [0.5, 2.0]]
CLASSIFIER = model(
    [node("MatMul", ["x", "w"], "logits"), node("Softmax", ["logits"], "p")],
    [info("x", FLOAT, ["N", 2])],
    [info("logits", FLOAT, ["N", 2]), info("p", FLOAT, ["N", 2])],
    (tensor("w", WEIGHTS),),
)
SUM = model(
    [node("Add", ["a", "b"], "sum")], [info("a", FLOAT, ["N"]), info("b", FLOAT, ["N"])], [info("sum", FLOAT, ["N"])]
)
FIXED = model([node("Add", ["a", "a"], "twice")], [info("a", FLOAT, [3])], [info("twice", FLOAT, [3])])
ROW = model([node("Add", ["a", "a"], "twice")], [info("a", INT64, [1, 2])], [info("twice", INT64, [1, 2])])
SAME = model([node("Identity", ["t"], "u")], [info("t", STRING, ["N"])], [info("u", STRING, ["N"])])
NAN = model([node("Sqrt", ["x"], "y")], [info("x", FLOAT, ["N"])], [info("y", FLOAT, ["N"])])
SLOW = model(
    [node("MatMul", [f"t{i}", "t0"], f"t{i + 1}") for i in range(200)],
    [info("t0", FLOAT, ["N", "M", "M"])],
    [info("t200", FLOAT, ["N", "M", "M"])],
)
MEAN = model([node("ReduceMean", ["x"], "m")], [info("x", FLOAT, ["N", 2])], [info("m", FLOAT, [1, 1])])


@pytest.fixture
def write(tmp_path: Path):
    def made(data: bytes) -> Path:
        path = tmp_path / f"model{len(list(tmp_path.iterdir()))}.onnx"
        path.write_bytes(data)
        return path

    return made


def run(spec: str, *payloads, timeout_s: float = 60.0):
    substrate = make_substrate(spec)
    return list(substrate.run_batch([Record(f"r{i}", p) for i, p in enumerate(payloads)], seed=1, timeout_s=timeout_s))


@pytest.mark.parametrize("query", ["", "?batch=5"])
def test_contract(write, query: str) -> None:
    path = write(SAME)
    check_substrate(lambda: make_substrate(f"onnx:{path}{query}"))


def test_outputs_by_name_answers_and_confidence(write) -> None:
    path = write(CLASSIFIER)
    rows = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    logits = rows @ np.array(WEIGHTS, np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for batch in (1, 4):
        results = run(f"onnx:{path}?classes=benign,attack&scores=p&batch={batch}", *rows.tolist())
        assert np.allclose([r.output["p"] for r in results], shares, atol=1e-5)
        assert np.allclose([r.output["logits"] for r in results], logits, atol=1e-5)
        assert [r.output["answer"] for r in results] == [["benign", "attack"][i] for i in shares.argmax(axis=1)]
        assert np.allclose([r.output["confidence"] for r in results], shares.max(axis=1), atol=1e-5)
        assert all((r.wall_s is None) == (batch > 1) for r in results)
    [raw] = run(f"onnx:{path}?classes=benign,attack&scores=logits", [3.0, -1.0])
    assert raw.output["answer"] == "benign"
    assert "confidence" not in raw.output, "logits are no probabilities"


def test_inputs_by_name_shapes_and_types(write) -> None:
    both = write(SUM)
    assert run(f"onnx:{both}?batch=2", {"a": 1, "b": 2}, {"a": 3, "b": 4})[1].output == {"sum": 7.0}
    results = run(f"onnx:{both}", {"a": 1}, 5.0)
    assert "the payload has no b" in results[0].error
    assert "name one by input=" in results[1].error
    assert run(f"onnx:{write(FIXED)}", [1, 2, 3])[0].output == {"twice": [2.0, 4.0, 6.0]}
    assert run(f"onnx:{write(ROW)}", [1, 2])[0].output == {"twice": [2, 4]}
    assert [r.output["u"] for r in run(f"onnx:{write(SAME)}?batch=3", "ab", b"cd", "é")] == ["ab", "cd", "é"]


def test_one_bad_input_fails_alone_and_nan_is_null(write) -> None:
    results = run(f"onnx:{write(CLASSIFIER)}?batch=4", [1, 2], "text", [1, 2, 3], [3, 4])
    assert [r.status for r in results] == ["ok", "error", "error", "ok"]
    assert [r.output for r in run(f"onnx:{write(NAN)}", 4.0, -1.0)] == [{"y": 2.0}, {"y": None}]
    apart = run(f"onnx:{write(MEAN)}?batch=2", [1, 2], [3, 4])
    assert [r.output for r in apart] == [{"m": [1.5]}, {"m": [3.5]}], "one row for two stimuli: they are asked apart"


def test_a_model_that_hangs_is_broken_off_inside(write) -> None:
    square = np.eye(900, dtype=np.float32)
    path = write(SLOW)
    began = time.monotonic()
    [result] = run(f"onnx:{path}", square, timeout_s=0.3)
    assert result.error == "timeout after 0.3 s"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("data", [b"", b"hello", CLASSIFIER[:-20], b"\x80\x04\x95", b"\xff" * 1000])
def test_what_is_no_model(write, data: bytes) -> None:
    with pytest.raises(UsageError, match="cannot be loaded as an ONNX model"):
        make_substrate(f"onnx:{write(data)}")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("input=z", "inputs are x"),
        ("scores=z&classes=a,b", "outputs are logits, p"),
        ("classes=a,b", "needs scores="),
        ("scores=p", "needs classes="),
        ("batch=0", "batch=0"),
    ],
)
def test_slips_are_told_in_one_sentence(write, query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_substrate(f"onnx:{write(CLASSIFIER)}?{query}")


def test_more_slips(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no file"):
        make_substrate(f"onnx:{tmp_path}/absent.onnx")
    with pytest.raises(UsageError, match="needs a file"):
        make_substrate("onnx")
    with pytest.raises(UsageError, match="fixes its first dimension"):
        make_substrate(f"onnx:{write(FIXED)}?batch=2")
    [result] = run(f"onnx:{write(CLASSIFIER)}?classes=a,b,c&scores=p", [1, 2])
    assert "a score for each of 3 classes" in result.error
    one, other = (make_substrate(f"onnx:{write(data)}").identity() for data in (SUM, NAN))
    assert one.revision != other.revision
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "ophamin.seeing.substrate._session", raising=False)
    import ophamin.seeing.substrate as package

    monkeypatch.delattr(package, "_session", raising=False)
    with pytest.raises(MissingDependency, match=r"ophamin-seeing\[onnx\]"):
        make_substrate("onnx:model.onnx")
