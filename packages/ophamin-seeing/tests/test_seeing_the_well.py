"""The Well: frames as the layout says, with and without its flags; damaged files are named."""

from __future__ import annotations

import math
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ophamin.proof.errors import CorpusUnavailable
from ophamin.registry import make_corpus
from ophamin.seeing.corpus._well_sample import gray_scott

N, T, X, Y = 2, 5, 8, 6
RNG = np.random.default_rng(1)
P = RNG.standard_normal((N, T, X, Y)).astype("f4")
V = RNG.standard_normal((N, T, X, Y, 2)).astype("f4")
C = RNG.standard_normal((N, T, X, Y, 2, 2)).astype("f4")
MASK = RNG.standard_normal((X, Y)).astype("f4")
PROFILE = RNG.standard_normal((N, T, Y)).astype("f4")
ALL = {"dim_varying": [True, True], "sample_varying": True, "time_varying": True}


def put(group: Any, name: str, data: Any, flags: dict[str, Any] | None = None, **storage: Any) -> None:
    made = group.create_dataset(name, data=data, **storage)
    for key, value in (flags or {}).items():
        made.attrs[key] = value


def write(path: Path, *, flags: bool = True, **storage: Any) -> Path:
    """Everything the layout knows, in one small file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["n_trajectories"] = N
        file.attrs["dataset_name"] = "small"
        dims = file.create_group("dimensions")
        dims.attrs["spatial_dims"] = ["x", "y"]
        dims["time"] = np.stack([np.arange(T), np.arange(T) * 2.0])
        dims["x"], dims["y"] = np.arange(X, dtype="f4"), np.arange(Y, dtype="f4")
        scalars = file.create_group("scalars")
        none = {"sample_varying": False, "time_varying": False}
        put(scalars, "Re", np.float32(0.03), none if flags else {})
        put(scalars, "seed", np.array([7, 8]), {**none, "sample_varying": True} if flags else {})
        put(scalars, "drive", np.array([0.0, 1, np.nan, 3, 4]), {**none, "time_varying": True} if flags else {})
        t0, t1, t2 = (file.create_group(f"t{i}_fields") for i in range(3))
        t0.attrs["field_names"] = ["pressure", "profile", "mask"]
        put(t0, "pressure", P, ALL if flags else {}, **storage)
        put(t0, "profile", PROFILE, {**ALL, "dim_varying": [False, True]} if flags else {})
        put(t0, "mask", MASK, {**ALL, "sample_varying": False, "time_varying": False} if flags else {})
        put(t1, "velocity", V, ALL if flags else {})
        put(t2, "C", C, ALL if flags else {})
        wall = file.create_group("boundary_conditions").create_group("x_wall")
        wall.attrs["bc_type"], wall.attrs["associated_dims"] = b"WALL", "x"
        wall.attrs["associated_fields"] = np.array([])
        wall["mask"] = np.arange(X) == 0
        wall["values"] = np.array([np.inf, 1.0])
    return path


@pytest.mark.parametrize("flags", [True, False], ids=["flags", "no flags"])
def test_every_feature_of_the_layout(tmp_path: Path, flags: bool) -> None:
    path = write(tmp_path / "small.hdf5", flags=flags)
    corpus = make_corpus(f"the_well:{path}")
    assert corpus.availability().state == "ok"
    records = list(corpus.records())
    assert len(records) == corpus.count() == N * T
    assert len({r.id for r in records}) == N * T
    assert len({r.group for r in records}) == N
    for record in records:
        n, t = record.meta["trajectory"], record.meta["frame"]
        profile = np.broadcast_to(PROFILE[n, t], (X, Y))
        expected = np.stack(
            [P[n, t], profile, *np.moveaxis(V[n, t], -1, 0), *np.moveaxis(C[n, t].reshape(X, Y, 4), -1, 0)], -1
        )
        assert np.array_equal(record.payload, expected)
        assert record.payload.flags.owndata or record.payload.base.flags.owndata
        drive = None if t == 2 else float(t)
        assert record.labels == {"dataset": tmp_path.name, "split": "", "Re": 0.03, "seed": 7 + n, "drive": drive}
        assert record.meta["time"] == t * (1.0 + n)
    meta = dict(records[0].meta)
    assert meta["channels"] == ["pressure", "profile", "velocity_x", "velocity_y", "C_xx", "C_xy", "C_yx", "C_yy"]
    assert meta["boundary_conditions"] == {
        "x_wall": {"type": "WALL", "dims": ["x"], "fields": [], "points": 1, "values": [None, 1.0]}
    }
    assert meta["non_finite"] == 0
    assert pickle.loads(pickle.dumps(records[0])).meta == meta


def test_chosen_fields(tmp_path: Path) -> None:
    path = write(tmp_path / "small.hdf5")
    for record in make_corpus(f"the_well:{path}?fields=mask,pressure").records():
        n, t = record.meta["trajectory"], record.meta["frame"]
        assert np.array_equal(record.payload, np.stack([MASK, P[n, t]], -1))
    only = next(make_corpus(f"the_well:{path}?fields=pressure").records())
    assert np.array_equal(only.payload[..., 0], P[0, 0])
    found = make_corpus(f"the_well:{path}?fields=presure").availability()
    assert (found.state, "no field presure; its fields: pressure, profile, mask, velocity, C" in found.found) == (
        "wrong",
        True,
    )


@pytest.mark.parametrize("chunks", [(1, 1, X, Y), (1, 3, 4, 6), (2, 5, 8, 6)])
def test_storage_does_not_matter(tmp_path: Path, chunks: tuple[int, ...]) -> None:
    plain = write(tmp_path / "a" / "small.hdf5")
    packed = write(tmp_path / "b" / "small.hdf5", chunks=chunks, compression="gzip", shuffle=True, fletcher32=True)
    one, two = (list(make_corpus(f"the_well:{path}").records()) for path in (plain, packed))
    assert all(np.array_equal(a.payload, b.payload) for a, b in zip(one, two, strict=True))


def test_a_damaged_chunk_costs_its_own_frame(tmp_path: Path) -> None:
    folder = tmp_path / "the_well" / "datasets" / "small" / "data" / "train"
    path = write(folder / "small.hdf5", chunks=(1, 1, X, Y), fletcher32=True)
    with h5py.File(path) as file:
        info = file["t0_fields/pressure"].id.get_chunk_info_by_coord((1, 3, 0, 0))
    with path.open("r+b") as raw:
        raw.seek(info.byte_offset + 5)
        raw.write(b"\xff\xff\xff")
    corpus = make_corpus("the_well", tmp_path)
    ids = [r.id for r in corpus.records()]
    assert len(ids) == N * T - 1
    assert "small/train/small:1:3" not in ids
    assert dict(corpus.problems()) == {"a frame that cannot be read": 1}  # type: ignore[attr-defined]
    drawn = corpus.sample(N * T, 3)
    assert sorted(r.id for r in drawn) == sorted(ids), "a damaged frame is replaced by another"
    assert sorted(r.id for r in corpus.sample(N * T, 3, lambda r: r.meta["frame"] == 3)) == ["small/train/small:0:3"]


@pytest.mark.parametrize("n", [0, 1, 4])
def test_a_sample_is_what_reading_everything_gives(tmp_path: Path, n: int) -> None:
    path = write(tmp_path / "small.hdf5")
    corpus = make_corpus(f"the_well:{path}")
    quick, thorough = corpus.sample(n, 5), corpus.sample(n, 5, lambda r: True)
    assert [r.id for r in quick] == [r.id for r in thorough]
    assert all(
        np.array_equal(a.payload, b.payload) and dict(a.meta) == dict(b.meta) and a.labels == b.labels
        for a, b in zip(quick, thorough, strict=True)
    )


def break_shape(file: Any) -> None:
    del file["t0_fields/pressure"]
    put(file["t0_fields"], "pressure", np.zeros((N, T, X + 1, Y)), ALL)


def break_text(file: Any) -> None:
    file["t0_fields"].create_dataset("words", data="text")


def break_external(file: Any) -> None:
    del file["t0_fields/pressure"]
    file["t0_fields"].create_dataset("pressure", (N, T, X, Y), "u1", external=[("/etc/passwd", 0, N * T * X * Y)])


def break_link(file: Any) -> None:
    file["t0_fields"]["other"] = h5py.ExternalLink("elsewhere.hdf5", "/x")


def break_virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((N, T, X, Y), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.hdf5", "x", (N, T, X, Y))
    file["t0_fields"].create_virtual_dataset("other", layout)


def break_fields(file: Any) -> None:
    for order in range(3):
        del file[f"t{order}_fields"]


def break_huge(file: Any) -> None:
    file.attrs["n_trajectories"] = 1
    for name in ("x", "y"):
        del file[f"dimensions/{name}"]
        file["dimensions"].create_dataset(name, (10**6,), "f4")
    break_fields(file)
    file.create_group("t0_fields").create_dataset("bomb", (1, T, 10**6, 10**6), "f4", chunks=(1, 1, 10, 10))


def break_chain(file: Any) -> None:
    file["hop"] = h5py.ExternalLink("../train/a.hdf5", "/t0_fields/pressure")
    del file["t0_fields/pressure"]
    file["t0_fields/pressure"] = h5py.SoftLink("/hop")


BROKEN = {
    break_chain: "pressure is a link into another file",
    break_shape: "which its flags and dimensions do not give",
    break_text: "the field words holds no numbers",
    break_external: "has its data in another file",
    break_link: "is a link into another file",
    break_virtual: "has its data in another file",
    break_fields: "no field in t0_fields",
    break_huge: "a frame of 4000000000000 bytes",
}


@pytest.mark.parametrize("how", BROKEN, ids=lambda f: f.__name__)
def test_a_file_that_is_not_as_the_layout_says(tmp_path: Path, how: Any) -> None:
    folder = tmp_path / "the_well" / "datasets" / "small" / "data"
    good, bad = write(folder / "train" / "a.hdf5"), write(folder / "valid" / "b.hdf5")
    with h5py.File(bad, "r+") as file:
        how(file)
    corpus = make_corpus("the_well", tmp_path)
    state = corpus.availability()
    assert (state.state, BROKEN[how] in state.found, "b.hdf5" in state.found) == ("partial", True, True), state.found
    assert {r.labels["split"] for r in corpus.records()} == {"train"}
    [reason] = corpus.problems()  # type: ignore[attr-defined]
    assert BROKEN[how] in reason
    good.unlink()
    with pytest.raises(CorpusUnavailable, match="wrong"):
        list(make_corpus("the_well", tmp_path).records())


def test_truncation_anywhere_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "the_well" / "datasets" / "small" / "data" / "test"
    whole = write(folder / "small.hdf5").read_bytes()
    for keep in (1, 100, 3000, len(whole) // 2, len(whole) - 1):
        (folder / "small.hdf5").write_bytes(whole[:keep])
        state = make_corpus("the_well", tmp_path).availability()
        assert state.state == "wrong", keep
        assert "truncated" in state.found or "no HDF5 file" in state.found, state.found
    for what, says in ((b"", "is empty"), (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer")):
        (folder / "small.hdf5").write_bytes(what)
        assert says in make_corpus("the_well", tmp_path).availability().found


def test_no_flipped_byte_makes_it_fail(tmp_path: Path) -> None:
    path = write(tmp_path / "small.hdf5")
    whole = path.read_bytes()
    for at in range(8, min(len(whole), 30_000), 97):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        corpus = make_corpus(f"the_well:{path}")
        if corpus.availability().state == "ok":
            list(zip(range(20), corpus.records(), strict=False))


def test_what_is_asked_for_and_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "the_well" / "datasets" / "small" / "data" / "test"
    write(folder / "small.hdf5")
    assert "no smal; did you mean 'small'?" in make_corpus("the_well:smal", tmp_path).availability().found
    other = make_corpus("the_well?split=valid", tmp_path).availability()
    assert (other.state, "no file of the split valid" in other.found) == ("absent", True)
    assert "the-well-download" in other.how_to_get
    assert make_corpus("the_well:small?split=test", tmp_path).count() == N * T
    assert make_corpus(f"the_well:{folder.parent.parent}", tmp_path).count() == N * T


def test_non_finite_frames_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "small.hdf5")
    with h5py.File(path, "r+") as file:
        file["t0_fields/pressure"][1, 2, 0, :3] = [np.nan, np.inf, -np.inf]
    odd = {r.id[-3:]: r.meta["non_finite"] for r in make_corpus(f"the_well:{path}").records() if r.meta["non_finite"]}
    assert odd == {"1:2": 3}


def test_the_sample_solves_the_equations(tmp_path: Path) -> None:
    # Diffusion alone: each Fourier mode decays by 1 − r·(2 − 2 cos k) per step, exactly, in this scheme.
    x = np.arange(32)
    mode = np.cos(2 * np.pi * 3 * x / 32)[:, None] * np.ones(32)
    a, b = gray_scott(mode, np.zeros((32, 32)), feed=0.0, kill=0.0, steps=50)
    assert np.allclose(a, mode * (1 - 0.16 * (2 - 2 * math.cos(2 * math.pi * 3 / 32))) ** 50, atol=1e-12)
    assert not b.any()
    # Without diffusion, A + B changes only by feed and kill.
    flat = np.full((4, 4), 0.5)
    a, b = gray_scott(flat, flat / 2, feed=0.03, kill=0.06, steps=1)
    assert np.allclose(a + b, 0.75 + 0.03 * 0.5 - 0.09 * 0.25)
    root = make_corpus("the_well").write_sample(tmp_path, 1)
    records = list(make_corpus("the_well?split=train", root).records())
    assert {r.payload.shape for r in records} == {(32, 32, 2)}
    last = [r.payload[..., 1].std() for r in records if r.meta["frame"] == 10]
    assert min(last) > 0.01, "a pattern has formed"


def test_the_sample_is_the_same_bytes_for_a_seed(tmp_path: Path) -> None:
    trees = []
    for name in ("a", "b"):
        root = make_corpus("the_well").write_sample(tmp_path / name, 3)
        trees.append({p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()})
    assert trees[0] == trees[1]


def test_frames_are_not_held(tmp_path: Path) -> None:
    path = tmp_path / "large.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["n_trajectories"] = 1
        dims = file.create_group("dimensions")
        dims.attrs["spatial_dims"] = ["x", "y"]
        dims["time"], dims["x"], dims["y"] = np.arange(4000.0), np.arange(64.0), np.arange(64.0)
        file.create_group("t0_fields").create_dataset("u", (1, 4000, 64, 64), "f4")  # 64 MB
    tracemalloc.start()
    held = make_corpus(f"the_well:{path}").sample(50, 1, lambda r: True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(held) == 50
    assert peak < 12_000_000


@pytest.mark.data
def test_real_files(real_root: Path) -> None:
    corpus = make_corpus("the_well", real_root)
    assert (corpus.availability().state, corpus.count()) == ("ok", 210)
    assert sum(1 for _ in corpus.records()) == 210
    variants = real_root / "the_well" / "variants"
    maze = [r.payload for r in make_corpus(f"the_well:{variants}/maze_chunked_gzip.hdf5").records()]
    whole = real_root / "the_well/datasets/gray_scott_reaction_diffusion/data/train"
    plain = [r.payload for r in make_corpus(f"the_well:{next(whole.glob('*maze*'))}").records()]
    assert all(np.array_equal(a, b) for a, b in zip(maze, plain, strict=False))
    assert len(maze) == 21
    full = list(make_corpus(f"the_well:{variants}/full_schema_synthetic.hdf5").records())
    assert (len(full), full[0].payload.shape, sum(bool(r.meta["non_finite"]) for r in full)) == (10, (8, 6, 8), 1)
    dummy = next(make_corpus(f"the_well:{variants}/official_dummy.hdf5").records())
    assert (dummy.meta["channels"], dummy.payload.shape) == (["field_x", "field_y"], (32, 32, 2))
    broken = make_corpus(f"the_well:{variants}/truncated.hdf5").availability()
    assert (broken.state, "truncated" in broken.found) == ("wrong", True)
