from __future__ import annotations

import pickle
import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_substrate
from ophamin.testing import check_substrate

TEXTS = [f"{'union select' if i % 2 else 'the weather'} number {i}" for i in range(40)]
KINDS = ["attack" if i % 2 else "benign" for i in range(40)]


class Marker:
    """Unpickling one leaves a file behind: the proof that code ran."""

    def __reduce__(self):
        return (open, (Marker.path, "w"))


@pytest.fixture(scope="module")
def text_model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, KINDS)


@pytest.fixture
def dump(tmp_path: Path):
    def write(model: object, name: str = "model.skops") -> Path:
        skops.io.dump(model, tmp_path / name)
        return tmp_path / name

    return write


def run(spec: str, *payloads, timeout_s: float = 60.0):
    substrate = make_substrate(spec)
    return list(substrate.run_batch([Record(f"r{i}", p) for i, p in enumerate(payloads)], seed=1, timeout_s=timeout_s))


@pytest.mark.parametrize("query", ["", "?batch=1", "?proba=false", "?batch=5"])
def test_contract(text_model, dump, query: str) -> None:
    path = dump(text_model)
    check_substrate(lambda: make_substrate(f"sklearn:{path}{query}"))


def test_it_answers_as_the_estimator_does(text_model, dump) -> None:
    results = run(f"sklearn:{dump(text_model)}?batch=7", *TEXTS)
    assert [r.output["answer"] for r in results] == text_model.predict(TEXTS).tolist()
    expected = text_model.predict_proba(TEXTS)
    assert np.allclose([r.output["confidence"] for r in results], expected.max(axis=1))
    assert results[0].output["probabilities"].keys() == {"attack", "benign"}
    assert all(r.wall_s is None for r in results)
    assert run(f"sklearn:{dump(text_model)}?batch=1", "a")[0].wall_s > 0
    assert run(f"sklearn:{dump(text_model)}?proba=false", "a")[0].output.keys() == {"answer"}


def test_arrays_numbers_and_tables(dump) -> None:
    line = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    assert [r.output["answer"] for r in run(f"sklearn:{dump(line)}", 2.0, 3.0)] == pytest.approx([5.0, 7.0])
    assert run(f"sklearn:{dump(line)}", np.array([2.0]))[0].output == {"answer": pytest.approx(5.0)}
    many = LinearRegression().fit([[0.0], [1.0]], [[1.0, 0.0], [3.0, 1.0]])
    assert run(f"sklearn:{dump(many)}", [2.0])[0].output["answer"] == pytest.approx([5.0, 2.0])
    clusters = KMeans(2, n_init=1, random_state=0).fit([[0.0], [0.1], [9.0], [9.1]])
    assert run(f"sklearn:{dump(clusters)}", [0.0])[0].output["answer"] in (0, 1)
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
    table = make_pipeline(make_column_transformer((StandardScaler(), ["a", "b"])), LinearRegression()).fit(
        frame, [0, 1, 2]
    )
    assert run(f"sklearn:{dump(table)}", {"a": 1.0, "b": 0.0})[0].output["answer"] == pytest.approx(1.0)


def test_one_bad_input_fails_alone(text_model, dump) -> None:
    line = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    results = run(f"sklearn:{dump(line)}", [1.0], [1.0, 2.0], [float("nan")], [2.0])
    assert [r.status for r in results] == ["ok", "error", "error", "ok"]
    assert "ValueError" in results[1].error
    assert "NaN" in results[2].error


def test_a_batch_that_is_late_is_an_error(dump) -> None:
    slow = make_pipeline(FunctionTransformer(sleepy), LinearRegression()).fit([[0.0], [1.0]], [1.0, 3.0])
    path = dump(slow)
    name = f"{sleepy.__module__}.sleepy"
    with pytest.raises(UsageError, match="sleepy"):
        make_substrate(f"sklearn:{path}")
    results = run(f"sklearn:{path}?trust={name}&batch=2", [1.0], [77.0], [2.0], timeout_s=0.4)
    assert [r.status for r in results] == ["ok", "error", "ok"]
    assert results[1].error == "timeout after 0.4 s"


def sleepy(rows):
    import time

    time.sleep(60 if np.asarray(rows).max() > 70 else 0)
    return rows


@pytest.mark.parametrize("form", ["pickle", "joblib", "renamed", "zip", "text", "truncated", "absent", "folder"])
def test_nothing_unsafe_is_ever_unpickled(tmp_path: Path, text_model, form: str) -> None:
    Marker.path = str(tmp_path / "code-ran")
    path = tmp_path / {"pickle": "m.pkl", "joblib": "m.joblib"}.get(form, "m.skops")
    if form in ("pickle", "renamed"):
        path.write_bytes(pickle.dumps(Marker()))
    elif form == "joblib":
        joblib.dump(Marker(), path)
    elif form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", pickle.dumps(Marker()))
    elif form == "text":
        path.write_text("hello")
    elif form == "truncated":
        skops.io.dump(text_model, path)
        path.write_bytes(path.read_bytes()[:-200])
    elif form == "folder":
        path.mkdir()
    said = {
        "pickle": "is a pickle",
        "joblib": "is a pickle",
        "renamed": "is a pickle",
        "absent": "No such file",
        "folder": "directory",
    }
    with pytest.raises(UsageError, match=said.get(form, "not a skops file")):
        make_substrate(f"sklearn:{path}")
    assert not Path(Marker.path).exists()


def test_a_hostile_schema_is_refused(tmp_path: Path) -> None:
    for schema in (
        "{",
        "[]",
        '{"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": {}}',
        '{"__loader__": "Nothing"}',
    ):
        path = tmp_path / "m.skops"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", schema)
        with pytest.raises(UsageError):
            make_substrate(f"sklearn:{path}")


def test_types_are_named_before_they_are_trusted(dump) -> None:
    model = make_pipeline(FunctionTransformer(sleepy), LinearRegression()).fit([[0.0], [1.0]], [1.0, 3.0])
    path = dump(model)
    with pytest.raises(UsageError) as caught:
        make_substrate(f"sklearn:{path}?trust=some.other.Type")
    assert f"trust={sleepy.__module__}.sleepy" in str(caught.value)


def test_identity(text_model, dump, tmp_path: Path) -> None:
    path = dump(text_model)
    one = make_substrate(f"sklearn:{path}").identity()
    assert one.revision.startswith("sha256:")
    assert one.kind == "sklearn"
    dump(DummyClassifier(strategy="prior").fit([[0], [1]], [0, 1]))
    other = make_substrate(f"sklearn:{path}").identity()
    assert other.config_hash != one.config_hash
    assert other.revision != one.revision


def test_what_is_no_estimator_and_slips(dump, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="has no predict"):
        make_substrate(f"sklearn:{dump({'a': 1})}")
    with pytest.raises(UsageError, match="needs a file"):
        make_substrate("sklearn")
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.delitem(sys.modules, "ophamin.seeing.substrate._skops", raising=False)
    import ophamin.seeing.substrate as package

    monkeypatch.delattr(package, "_skops", raising=False)
    with pytest.raises(MissingDependency, match=r"ophamin-seeing\[sklearn\]"):
        make_substrate("sklearn:model.skops")
