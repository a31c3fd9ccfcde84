"""One HDF5 file in the layout of The Well: what it holds, and its frames.

Source: the data format in The Well's documentation, https://polymathic-ai.org/the_well/data_format/.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py  # type: ignore[import-untyped]  # it ships no types
import numpy as np

__all__ = ["Field", "FrameMeta", "WellFile", "WellFileError"]

_ORDERS = ("t0_fields", "t1_fields", "t2_fields")
_SMALL, _BLOCK = 64 << 10, 1 << 20
"""Bytes; frames smaller than the first are read by the second at once: one call of the library for several."""
_LARGEST = 1 << 30
_SHOWN = 16


class WellFileError(Exception):
    """A file that is not as the layout says; the message is the reason, without the file's name."""


class FrameMeta(Mapping[str, Any]):
    """What is known of a frame: what its file says, ``trajectory``, ``frame``, ``time`` and ``non_finite``.

    ``non_finite`` is how many values are NaN or infinite; they are counted when it is asked for.
    """

    __slots__ = ("_about", "_own", "_payload")

    def __init__(self, about: dict[str, Any], payload: np.ndarray, own: dict[str, Any]) -> None:
        self._about, self._payload, self._own = about, payload, own

    def __getitem__(self, key: str) -> Any:
        if key in self._own:
            return self._own[key]
        if key == "non_finite":
            finite = np.count_nonzero(np.isfinite(self._payload))
            self._own[key] = int(self._payload.size - finite)
            return self._own[key]
        return self._about[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._about
        yield from ("trajectory", "frame", "time", "non_finite")

    def __len__(self) -> int:
        return len(self._about) + 4

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a file.

    Args:
        name: As the file names it.
        order: 0 scalar, 1 vector, 2 tensor.
        sample_varying: Whether its first axis is the trajectory.
        time_varying: Whether its next axis is time.
        dim_varying: For each spatial dimension whether it has an axis.
        data: The dataset.
    """

    name: str
    order: int
    sample_varying: bool
    time_varying: bool
    dim_varying: tuple[bool, ...]
    data: Any

    def index(self, trajectory: int, frames: int | slice) -> tuple[int | slice, ...]:
        """Where a frame, or a run of frames, lies in the dataset."""
        if self.sample_varying:
            return (trajectory, frames) if self.time_varying else (trajectory,)
        return (frames,) if self.time_varying else ()


class WellFile:
    """An open file.

    Args:
        path: The file.
        fields: Names of the fields to read, in this order; default: all that vary in time, else all.

    Raises:
        WellFileError: It is truncated, no HDF5, or not in the layout.
    """

    def __init__(self, path: Path, fields: Sequence[str] = ()) -> None:
        try:
            self._file = h5py.File(path, "r", locking="best-effort")
        except OSError as error:
            cut = "truncated" in str(error)
            raise WellFileError("the file is truncated" if cut else f"no HDF5 file ({_short(error)})") from error
        try:
            self._read_layout(fields)
        except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError) as error:
            self._file.close()
            raise WellFileError(f"not in the layout of The Well ({_short(error)})") from error
        except WellFileError:
            self._file.close()
            raise

    def __enter__(self) -> WellFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def _read_layout(self, wanted: Sequence[str]) -> None:
        file = self._file
        group = _group(file, "dimensions")
        dims = _names(group.attrs.get("spatial_dims")) if group is not None else []
        if not dims and group is not None:
            dims = [name for name in group if name != "time"]
        self.spatial_dims = dims
        self.sizes = tuple(_axis_length(_dataset(group, name)) for name in dims) if group is not None else ()
        time = _dataset(group, "time") if group is not None and "time" in group else None
        stored = {(order, name): data for order, name, data in self._stored()}
        if not stored:
            raise WellFileError("no field in t0_fields, t1_fields or t2_fields")
        self.trajectories = _count(file.attrs.get("n_trajectories"), next(iter(stored.values())).shape[:1])
        frames = time.shape[-1] if time is not None and time.ndim else 0
        if not frames:  # no time axis is named: the second axis of a whole field is one
            frames = max((d.shape[1] for (o, _), d in stored.items() if d.ndim == 2 + len(dims) + o), default=1)
        self.frames = int(frames)
        self.fields = [self._field(order, name, data) for (order, name), data in stored.items()]
        self._choose(wanted)
        self._time = None if time is None else _numbers(time)
        self._scalars = self._read_scalars()
        self.about = {
            "channels": self.channels,
            "spatial_dims": dims,
            "boundary_conditions": self._read_boundaries(),
            "attributes": {name: _plain(value) for name, value in file.attrs.items()},
        }

    def _choose(self, wanted: Sequence[str]) -> None:
        if wanted:
            known = {field.name: field for field in self.fields}
            missing = [name for name in wanted if name not in known]
            if missing:
                raise WellFileError(f"no field {', '.join(missing)}; its fields: {', '.join(known)}")
            self.fields = [known[name] for name in wanted]
        else:
            self.fields = [field for field in self.fields if field.time_varying] or self.fields
        self.channels = [channel for field in self.fields for channel in self._components(field)]
        self.dtype = np.result_type(*(field.data.dtype for field in self.fields))
        size = math.prod(self.sizes) * len(self.channels) * self.dtype.itemsize
        if size > _LARGEST:
            raise WellFileError(f"a frame of {size} bytes")
        self._at_once = 1 if size >= _SMALL else _BLOCK // max(size, 1) or 1
        only = self.fields[0]
        self._plain = len(self.fields) == 1 and only.order == 0 and all(only.dim_varying) and only.time_varying

    def _stored(self) -> Iterator[tuple[int, str, Any]]:
        for order, group_name in enumerate(_ORDERS):
            group = _group(self._file, group_name)
            named = [] if group is None else _names(group.attrs.get("field_names"))
            # In the order the file gives them; those it does not name follow.
            for name in sorted(group or (), key=lambda n: named.index(n) if n in named else len(named)):
                data = _dataset(group, name)
                if data.dtype.kind not in "fiub":
                    raise WellFileError(f"the field {name} holds no numbers")
                yield order, name, data

    def _field(self, order: int, name: str, data: Any) -> Field:
        """The field with its flags; those that the file does not state are found by its shape."""
        stated = {flag: data.attrs.get(flag) for flag in ("sample_varying", "time_varying", "dim_varying")}
        dims = len(self.spatial_dims)
        samples = _choices(stated["sample_varying"])
        times = _choices(stated["time_varying"])
        varying: list[tuple[bool, ...]] = list(itertools.product((True, False), repeat=dims))
        if stated["dim_varying"] is not None:
            flags = tuple(bool(flag) for flag in np.atleast_1d(stated["dim_varying"]))
            varying = [flags] if len(flags) == dims else varying
        tail = (dims,) * order
        for spatial, sample, time in itertools.product(varying, samples, times):
            shape = (
                *((self.trajectories,) if sample else ()),
                *((self.frames,) if time else ()),
                *(size for size, there in zip(self.sizes, spatial, strict=True) if there),
            )
            if data.shape[: len(shape)] == shape and data.shape[len(shape) :] in (tail, *_vectors(order, data.shape)):
                return Field(name, order, sample, time, spatial, data)
        raise WellFileError(f"the field {name} has the shape {data.shape}, which its flags and dimensions do not give")

    def _components(self, field: Field) -> list[str]:
        """Names of a field's channels, e.g. ``velocity_x``."""
        sizes = field.data.shape[field.data.ndim - field.order :] if field.order else ()
        axes = [
            self.spatial_dims if size == len(self.spatial_dims) else [str(i) for i in range(size)] for size in sizes
        ]
        return ["_".join((field.name, "".join(parts))) if parts else field.name for parts in itertools.product(*axes)]

    def read(self, trajectory: int, frame: int) -> np.ndarray:
        """One frame, ``(*spatial, channels)``, an array of its own.

        Raises:
            OSError: It cannot be read: a damaged chunk, a missing filter.
        """
        return self._joined([field.data[field.index(trajectory, frame)] for field in self.fields])

    def read_or_error(self, trajectory: int, frame: int) -> np.ndarray | OSError:
        """``read``, or the error it raised."""
        try:
            return self.read(trajectory, frame)
        except OSError as error:
            return error

    def frames_of(self, trajectory: int) -> Iterator[np.ndarray | OSError]:
        """Every frame of a trajectory in turn; in place of one that cannot be read, the error."""
        if self._at_once == 1 and self._plain:  # the same as below, without what a single whole field does not need
            data, lead = self.fields[0].data, (trajectory,) if self.fields[0].sample_varying else ()
            for frame in range(self.frames):
                try:
                    array: np.ndarray = data[(*lead, frame)]
                except OSError as error:
                    yield error
                else:
                    yield array[..., np.newaxis]
            return
        if self._at_once == 1:
            for frame in range(self.frames):
                yield self.read_or_error(trajectory, frame)
            return
        for begin in range(0, self.frames, self._at_once):
            end = min(begin + self._at_once, self.frames)
            try:
                slabs = [field.data[field.index(trajectory, slice(begin, end))] for field in self.fields]
            except OSError:  # one damaged chunk must not hide its neighbours
                yield from (self.read_or_error(trajectory, frame) for frame in range(begin, end))
                continue
            vary = [field.time_varying for field in self.fields]
            for i in range(end - begin):
                # Copies: a view would keep the whole block in memory for as long as one frame is held.
                yield self._joined([np.array(s[i] if v else s) for s, v in zip(slabs, vary, strict=True)])

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        """The fields' arrays of one frame as one array, channels last."""
        if len(parts) == 1 and self._plain:
            return parts[0][..., np.newaxis]
        joined = np.empty((*self.sizes, len(self.channels)), self.dtype)
        flat, channel = joined.reshape(-1, len(self.channels)), 0
        for field, part in zip(self.fields, parts, strict=True):
            components = part.shape[part.ndim - field.order :] if field.order else ()
            if not all(field.dim_varying):
                axes = [size if there else 1 for size, there in zip(self.sizes, field.dim_varying, strict=True)]
                part = np.broadcast_to(part.reshape((*axes, *components)), (*self.sizes, *components))
            columns = part.reshape(len(flat), -1)
            for column in range(columns.shape[1]):  # one by one: several times faster than np.concatenate
                flat[:, channel] = columns[:, column]
                channel += 1
        return joined

    def times(self, trajectory: int) -> list[float | None]:
        """The time of each frame in the simulation's unit; ``None`` where the file does not say."""
        values = self._time
        if values is not None and values.ndim == 2:
            values = values[trajectory]
        if values is None or values.ndim != 1:
            return [None] * self.frames
        known = [_finite(value) for value in values[: self.frames]]
        return known + [None] * (self.frames - len(known))

    def scalars(self, trajectory: int) -> list[dict[str, Any]]:
        """Parameters of the simulation at each frame; ``None`` for one that is not finite."""
        found: list[dict[str, Any]] = [{} for _ in range(self.frames)]
        for name, (values, by_sample, by_time) in self._scalars.items():
            value = values[trajectory] if by_sample else values
            series = [_finite(one) for one in value] if by_time else [_finite(value)] * self.frames
            for one, known in zip(series, found, strict=True):
                known[name] = one
        return found

    def _read_scalars(self) -> dict[str, tuple[np.ndarray, bool, bool]]:
        group, found = _group(self._file, "scalars"), {}
        for name in group if group is not None else ():
            data = _dataset(group, name)
            if data.dtype.kind not in "fiub":
                continue  # a text is no parameter
            stated = _choices(data.attrs.get("sample_varying")), _choices(data.attrs.get("time_varying"))
            for by_sample, by_time in itertools.product(*stated):
                shape = (*((self.trajectories,) if by_sample else ()), *((self.frames,) if by_time else ()))
                if data.shape in (shape, shape or (1,)):
                    found[name] = (_numbers(data).reshape(shape), by_sample, by_time)
                    break
            else:
                raise WellFileError(f"the scalar {name} has the shape {data.shape}, which its flags do not give")
        return found

    def _read_boundaries(self) -> dict[str, Any]:
        group, found = _group(self._file, "boundary_conditions"), {}
        for name in group if group is not None else ():
            one = _group(group, name)
            if one is None:
                continue
            about: dict[str, Any] = {
                "type": _plain(one.attrs.get("bc_type")),
                "dims": _names(one.attrs.get("associated_dims")),
                "fields": _names(one.attrs.get("associated_fields")),
            }
            if "mask" in one:
                about["points"] = int(np.count_nonzero(_dataset(one, "mask")[()]))
            if "values" in one and _dataset(one, "values").size <= _SHOWN:
                about["values"] = [_finite(value) for value in np.ravel(_dataset(one, "values")[()])]
            found[name] = about
        return found


def _group(parent: Any, name: str) -> Any:
    """A group inside the same file, or ``None``."""
    if parent.get(name, getlink=True) is None:
        return None
    found = _inside(parent, name)
    return found if isinstance(found, h5py.Group) else None


def _inside(parent: Any, name: str) -> Any:
    """What a name leads to; it may lead over a link within the file to one out of it."""
    if isinstance(parent.get(name, getlink=True), h5py.ExternalLink):
        raise WellFileError(f"{name} is a link into another file")
    found = parent[name]
    if found.file.filename != parent.file.filename:
        raise WellFileError(f"{name} is a link into another file")
    return found


def _dataset(parent: Any, name: str) -> Any:
    """A dataset whose bytes lie in this file; a hostile one could name any other file of the reader's."""
    found = _inside(parent, name)
    if not isinstance(found, h5py.Dataset):
        raise WellFileError(f"{name} is no dataset")
    if found.external or found.is_virtual:
        raise WellFileError(f"{name} has its data in another file")
    return found


def _axis_length(data: Any) -> int:
    """How many points a coordinate has; per trajectory the last axis counts."""
    return int(data.shape[-1]) if data.ndim else 1


def _vectors(order: int, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Component axes of a field that has, e.g., three components on a plane."""
    return [shape[len(shape) - order :]] if order and max(shape[len(shape) - order :], default=9) <= 3 else []


def _choices(flag: Any) -> tuple[bool, ...]:
    return (True, False) if flag is None else (bool(flag),)


def _count(value: Any, shape: tuple[int, ...]) -> int:
    return int(value) if value is not None else int(shape[0]) if shape else 1


def _numbers(data: Any) -> np.ndarray:
    if data.size > 1 << 24:
        raise WellFileError(f"{data.name} has {data.size} values")
    return np.asarray(data[()])


def _names(value: Any) -> list[str]:
    """Names in an attribute: a text, a list of texts, or an empty array of anything."""
    if value is None:
        return []
    values = [value] if isinstance(value, (str, bytes)) else np.ravel(value).tolist()
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in values]


def _plain(value: Any) -> Any:
    """An attribute as JSON."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.ravel()[:_SHOWN].tolist()]
    return (
        _finite(value) if isinstance(value, (float, np.generic)) else value if isinstance(value, (str, int)) else None
    )


def _finite(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value[()]
    if isinstance(value, np.floating) and value.dtype.itemsize < 8:
        value = float(str(value))  # 0.03 as the file means it, and not the nearest double of its float32
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _short(error: Exception) -> str:
    return str(error).strip("'\"").partition("\n")[0][:160]
