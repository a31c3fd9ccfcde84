"""The Well: frame by frame against bare h5py, contiguous and chunked, of a genuine frame's size."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np

from ophamin.seeing.corpus.the_well import TheWellCorpus

TRAJECTORIES, FRAMES, SIZES = 6, 101, (128, 384)  # as turbulent_radiative_layer_2D has them

_spec = importlib.util.spec_from_file_location(
    "bench_corpora_enron", Path(__file__).with_name("bench_corpora_enron.py")
)
assert _spec is not None
assert _spec.loader is not None
_enron = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_enron)


def write(path: Path, fields: dict[str, int], **storage: Any) -> None:
    """A file in the layout: field name → order."""
    rng = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file.attrs["n_trajectories"] = TRAJECTORIES
        dims = file.create_group("dimensions")
        dims.attrs["spatial_dims"] = ["x", "y"]
        dims["time"] = np.arange(FRAMES, dtype=np.float32)
        for name, size in zip("xy", SIZES, strict=True):
            dims[name] = np.arange(size, dtype=np.float32)
        for order in range(3):
            group = file.create_group(f"t{order}_fields")
            for name, own in fields.items():
                if own == order:
                    shape = (TRAJECTORIES, FRAMES, *SIZES, *(2,) * order)
                    data = np.round(rng.standard_normal(shape).astype(np.float32), 2)
                    made = group.create_dataset(name, data=data, **storage)
                    made.attrs["time_varying"] = made.attrs["sample_varying"] = True
                    made.attrs["dim_varying"] = [True, True]


def _ours(path: Path) -> int:
    return sum(r.payload.shape[0] for r in TheWellCorpus(str(path)).records())


def _bare(path: Path, fields: dict[str, int]) -> Callable[[], int]:
    """The same frames by h5py alone; several fields joined into one array by numpy, as the records have them."""

    def read() -> int:
        seen = 0
        with h5py.File(path) as file:
            stored = [file[f"t{order}_fields"][name] for name, order in fields.items()]
            for trajectory in range(TRAJECTORIES):
                for frame in range(FRAMES):
                    parts = [data[trajectory, frame] for data in stored]
                    if len(parts) > 1:
                        flat = [part if part.ndim == 3 else part[..., np.newaxis] for part in parts]
                        parts = [np.concatenate(flat, axis=-1)]
                    seen += parts[0].shape[0]
        return seen

    return read


def run() -> list[dict[str, Any]]:
    """One row per promise: name, ratio, bar, ok, detail."""
    rows = []
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, {"OPHAMIN_HOME": f"{name}/home"}):
        whole = {"chunks": (1, 1, *SIZES), "compression": "gzip", "compression_opts": 4, "shuffle": True}
        for label, fields, storage in (
            ("one field, contiguous", {"density": 0}, {}),
            ("density, pressure, velocity, joined", {"density": 0, "pressure": 0, "velocity": 1}, {}),
            ("one field, chunked and gzipped", {"density": 0}, whole),
        ):
            path = Path(name) / "bench.hdf5"
            write(path, fields, **storage)
            ratio, seconds = _enron.ratio_of(_bare(path, fields), lambda path=path: _ours(path))
            detail = f"{TRAJECTORIES * FRAMES / seconds:,.0f} frames/s of {SIZES[0]} x {SIZES[1]}"
            rows.append(
                {
                    "name": f"the_well, {label} / h5py",
                    "ratio": ratio,
                    "bar": ">= 0.7",
                    "ok": ratio >= 0.7,
                    "detail": detail,
                }
            )
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:64} {row['ratio']:6.2f} {row['bar']:8} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}")
