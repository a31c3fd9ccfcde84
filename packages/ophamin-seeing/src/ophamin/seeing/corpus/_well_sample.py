"""A small simulation in the layout of The Well: the Gray–Scott reaction–diffusion system, solved here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]  # it ships no types
import numpy as np

__all__ = ["SAMPLE_NOTE", "gray_scott", "write_well_sample"]

SAMPLE_NOTE = "SAMPLE.md"
_NAME = "gray_scott_reaction_diffusion"
_SIDE, _FRAMES, _BETWEEN = 32, 11, 60
_KINDS = {"gliders": (0.014, 0.054), "maze": (0.029, 0.057), "spots": (0.030, 0.062)}
_FILES = {"train": (("maze", 3), ("spots", 3)), "valid": (("gliders", 1),), "test": (("spots", 1),)}

_NOTE = """# Generated sample

Written by `ophamin corpus sample the_well` (seed {seed}). The Gray-Scott equations solved by Ophamin on a
{side} x {side} periodic grid, in the file layout of The Well; none of its data. Use it to try things out, never to
claim something about The Well's simulations. Licence: CC0-1.0.
"""


def gray_scott(
    a: np.ndarray, b: np.ndarray, *, feed: float, kill: float, steps: int, rates: tuple[float, float] = (0.16, 0.08)
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate dA/dt = rA ∇²A − AB² + F(1 − A), dB/dt = rB ∇²B + AB² − (F + k)B on a periodic square grid.

    Five-point Laplacian, spacing 1, forward Euler with step 1 (stable for rates below 0.25). Sums and products only, so
    that every machine gets the same bits.

    Args:
        a: Concentration A, shape (n, n), float64.
        b: Concentration B, likewise.
        feed: F.
        kill: k.
        steps: How many steps.
        rates: Diffusion of A and of B, in grid spacings² per step.

    Returns:
        Both concentrations after the last step.

    Source: Pearson (1993), Complex Patterns in a Simple System, Science 261.
    """
    for _ in range(steps):
        reaction = a * b * b
        a, b = (
            a + rates[0] * _laplacian(a) - reaction + feed * (1.0 - a),
            b + rates[1] * _laplacian(b) + reaction - (feed + kill) * b,
        )
    return a, b


def _laplacian(field: np.ndarray) -> np.ndarray:
    around: np.ndarray = np.roll(field, 1, 0) + np.roll(field, -1, 0) + np.roll(field, 1, 1) + np.roll(field, -1, 1)
    return around - 4.0 * field


def write_well_sample(folder: Path, seed: int) -> None:
    """Write ``datasets/gray_scott_reaction_diffusion`` with its three splits, ``stats.yaml`` and ``SAMPLE.md``."""
    rng = np.random.default_rng(seed)
    root = folder / "datasets" / _NAME
    trained = []
    for split, files in _FILES.items():
        (root / "data" / split).mkdir(parents=True, exist_ok=True)
        for kind, trajectories in files:
            feed, kill = _KINDS[kind]
            frames = np.stack([_trajectory(rng, feed, kill) for _ in range(trajectories)])
            _write(root / "data" / split / f"{_NAME}_{kind}_F_{feed}_k_{kill}.hdf5", frames, feed, kill)
            if split == "train":
                trained.append(frames)
    lines = []
    for name, values in (("mean", np.mean), ("std", np.std)):
        lines.append(f"{name}:")
        for channel, field in enumerate("AB"):
            lines.append(f"  {field}: {float(values(np.concatenate(trained)[:, :, channel])):.5g}")
    (root / "stats.yaml").write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")
    (folder / SAMPLE_NOTE).write_text(_NOTE.format(seed=seed, side=_SIDE), encoding="utf-8", newline="\n")


def _trajectory(rng: np.random.Generator, feed: float, kill: float) -> np.ndarray:
    """Shape (frames, 2, side, side), from a few square seeds of B in a sea of A."""
    a, b = np.ones((_SIDE, _SIDE)), np.zeros((_SIDE, _SIDE))
    for x, y in rng.integers(0, _SIDE - 6, size=(4, 2)):
        a[x : x + 6, y : y + 6], b[x : x + 6, y : y + 6] = 0.5, 0.25 + 0.05 * rng.random((6, 6))
    frames = [(a, b)]
    for _ in range(_FRAMES - 1):
        frames.append(gray_scott(*frames[-1], feed=feed, kill=kill, steps=_BETWEEN))
    return np.array(frames, dtype=np.float32)


def _write(path: Path, frames: np.ndarray, feed: float, kill: float) -> None:
    flags = {"sample_varying": False, "time_varying": False}
    text = h5py.string_dtype()

    def put(group: Any, name: str, data: Any, **attributes: Any) -> None:
        made = group.create_dataset(name, data=data, track_times=False)  # times would differ from run to run
        for key, value in attributes.items():
            made.attrs[key] = value

    with h5py.File(path, "w", libver="earliest") as file:
        file.attrs["dataset_name"] = _NAME
        file.attrs["grid_type"] = "cartesian"
        file.attrs["n_spatial_dims"] = 2
        file.attrs["n_trajectories"] = len(frames)
        file.attrs.create("simulation_parameters", ["F", "k"], dtype=text)
        file.attrs["F"], file.attrs["k"] = feed, kill
        dims = file.create_group("dimensions")
        dims.attrs.create("spatial_dims", ["x", "y"], dtype=text)
        time = np.arange(_FRAMES, dtype=np.float32) * _BETWEEN
        put(dims, "time", time, sample_varying=False, time_varying=True)
        for name in "xy":
            put(dims, name, np.arange(_SIDE, dtype=np.float32), **flags)
        conditions = file.create_group("boundary_conditions")
        for name in "xy":
            one = conditions.create_group(f"{name}_periodic")
            one.attrs.create("associated_dims", [name], dtype=text)
            one.attrs["associated_fields"] = np.array([])
            one.attrs["bc_type"] = "PERIODIC"
            one.attrs["sample_varying"] = one.attrs["time_varying"] = False
            mask = np.zeros(_SIDE, dtype=bool)
            mask[[0, -1]] = True
            put(one, "mask", mask)
        scalars = file.create_group("scalars")
        scalars.attrs.create("field_names", ["F", "k"], dtype=text)
        for name, value in (("F", feed), ("k", kill)):
            put(scalars, name, np.float32(value), **flags)
        for order, names in enumerate((["A", "B"], [], [])):
            group = file.create_group(f"t{order}_fields")
            if names:
                group.attrs.create("field_names", names, dtype=text)
            else:
                group.attrs["field_names"] = np.array([])
            for channel, name in enumerate(names):
                all_vary = {"dim_varying": [True, True], "sample_varying": True, "time_varying": True}
                put(group, name, frames[:, :, channel], **all_vary)
