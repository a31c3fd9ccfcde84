"""``the_well``: frames of physical simulations, from the HDF5 files of The Well."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophamin.protocols import Availability, DatasetInfo, Record
from ophamin.seeing._params import choice, nearest
from ophamin.seeing.corpus._base import ROOT_VARIABLE, candidates, data_root_of, foreign, require, seeded_sample, tried
from ophamin.seeing.corpus._hashing import manifest_hash
from ophamin.seeing.corpus._problems import Problems
from ophamin.seeing.corpus._streamed import StreamedCorpus

if TYPE_CHECKING:
    from ophamin.seeing.corpus._well_file import WellFile

__all__ = ["TheWellCorpus"]

_SPLITS = ("train", "valid", "test")
_ENDINGS = (".hdf5", ".h5")
_NOTE = "SAMPLE.md"
_UNREADABLE = "a frame that cannot be read"
_HOW = (
    "pip install the_well and the-well-download --base-path <data root>/the_well "
    "--dataset turbulent_radiative_layer_2D --split valid, or a generated sample: ophamin corpus sample the_well "
    f"--out data; then name the folder by --data-root or {ROOT_VARIABLE}"
)
_SIZE = "15 TB in all, from 7 GB for one data set"
_LICENCE = "CC BY 4.0"
_SOURCE = "https://polymathic-ai.org/the_well/"
_CITED = "Ohana et al. (2024), The Well: a Large-Scale Collection of Diverse Physics Simulations, NeurIPS"


class TheWellCorpus(StreamedCorpus):
    """One record per frame: the payload is an array ``(*spatial, channels)``, ``group`` is the trajectory.

    Channels are the fields that vary in time, in the file's order, vectors and tensors by component
    (``velocity_x``, ``stress_xy``); ``meta["channels"]`` names them. A field without an axis for a dimension is spread
    along it. Labels: ``dataset``, ``split`` and the simulation's scalars at that frame. ``meta`` also holds ``time``,
    ``spatial_dims``, ``boundary_conditions`` and what the file states of itself. A frame with NaN or infinite values is
    a record as any other, because simulations end so; ``meta["non_finite"]`` says how many there are.

    Only the frames asked for are read, a few at a time. ``sample`` without ``where`` reads no others.

    Args:
        arg: A data set's name, its folder, or one file; default: every data set that is there.
        data_root: Holds ``the_well`` (with ``datasets/<name>/data/<split>``), or is that folder; default
            ``$OPHAMIN_DATA_ROOT``.
        split: ``train``, ``valid`` or ``test``, or "" for all.
        fields: Only these, comma-separated, in this order; also such that do not vary in time.

    Example:
        >>> import tempfile
        >>> root = TheWellCorpus().write_sample(Path(tempfile.mkdtemp()), seed=1)
        >>> record = next(TheWellCorpus("gray_scott_reaction_diffusion", data_root=root, split="valid").records())
        >>> record.payload.shape, record.meta["channels"], record.meta["time"]
        ((32, 32, 2), ['A', 'B'], 0.0)
    """

    name = "the_well"
    folders: Sequence[str] = ("the_well",)

    def __init__(self, arg: str = "", data_root: Path | None = None, *, split: str = "", fields: str = "") -> None:
        self._arg = arg
        self._split = split and choice("split", split, _SPLITS)
        self._fields = tuple(name.strip() for name in fields.split(",")) if fields else ()
        self._places = candidates(data_root_of(data_root), self.folders)

    def availability(self) -> Availability:
        """Which data sets are there, which of their files are damaged, and what lies there instead."""
        looked = tried(self._places) if self._places or not self._arg else (self._arg,)
        files = self._files()
        if not files:
            return Availability("absent", looked, self._instead(), _HOW, _SIZE, _LICENCE)
        wrong = [reason for path, _, _ in files if (reason := self._wrong(path))]
        if len(wrong) == len(files):
            return Availability("wrong", looked, wrong[0], _HOW, _SIZE, _LICENCE)
        if wrong:
            found = f"{len(files) - len(wrong)} of {len(files)} files can be read; {wrong[0]}"
            return Availability("partial", looked, found, _HOW, _SIZE, _LICENCE)
        sets = sorted({dataset for _, dataset, _ in files})
        note = " (generated sample)" if _generated(files[0][0]) else ""
        return Availability("ok", looked, f"{', '.join(sets)}{note}: {len(files)} files", _HOW, _SIZE, _LICENCE)

    def count(self) -> int:
        """Number of frames in the files that can be opened, without reading them.

        A frame that turns out to be damaged when it is read is counted here, gives no record, and is in ``problems()``.
        """
        self._require()
        return sum(1 for _ in self._bare())

    def sample(self, n: int, seed: int, where: Callable[[Record], bool] | None = None) -> list[Record]:
        """Up to ``n`` frames, uniform without replacement, in seeded order.

        Without ``where`` only the frames drawn are read; with it every frame is, because ``where`` may look at it.
        """
        if where is not None:
            return seeded_sample(self.records(), n, seed, where)
        self._require()
        spare = 0
        while True:
            drawn = seeded_sample(self._bare(), n + spare, seed)
            found = self._filled(drawn)
            if len(found) >= n or len(drawn) < n + spare:
                return found[:n]
            spare += n - len(found)  # some of them are damaged: draw that many more

    def content_hash(self) -> str:
        """``sha256:…`` over the files of the chosen data sets and splits."""
        self._require()
        files = [path for path, _, _ in self._files()]
        # A single file counts by its name, several by their place below the folder they share.
        return manifest_hash(Path(os.path.commonpath([path.parent for path in files])), files)

    def describe(self) -> DatasetInfo:
        """Source, licence, the paper to cite and the size of the chosen files."""
        files = self._files()
        size = sum(path.stat().st_size for path, _, _ in files) if files else None
        if files and _generated(files[0][0]):
            return DatasetInfo(self.name, "generated sample", "ophamin corpus sample the_well", "CC0-1.0", "", size)
        return DatasetInfo(self.name, "physical simulations", _SOURCE, _LICENCE, _CITED, size)

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write ``the_well/datasets/gray_scott_reaction_diffusion``, simulated here; returns ``directory``."""
        from ophamin.seeing.corpus._well_sample import write_well_sample

        write_well_sample(directory / self.folders[0], seed)
        return directory

    def _read(self, problems: Problems) -> Iterator[Record]:
        readable = False
        for path, dataset, split in self._files():
            with self._opened(path, problems) as file:
                if file is None:
                    continue
                readable = True
                for trajectory in range(file.trajectories):
                    make = _maker(path, dataset, split, file, trajectory)
                    for frame, payload in enumerate(file.frames_of(trajectory)):
                        if isinstance(payload, OSError):
                            problems.add(f"{_prefix(path, dataset, split)}:{trajectory}:{frame}", _UNREADABLE)
                        else:
                            yield make(frame, payload)
        if not readable:
            require(self.name, self.availability())

    def _bare(self) -> Iterator[Record]:
        """Every record without what is read of it."""
        for path, dataset, split in self._files():
            with self._opened(path, Problems()) as file:
                for trajectory, frame in product(range(file.trajectories), range(file.frames)) if file else ():
                    name = f"{_prefix(path, dataset, split)}:{trajectory}:{frame}"
                    yield Record(name, None, None, {}, {"at": (path, dataset, split, trajectory, frame)})

    def _filled(self, bare: Sequence[Record]) -> list[Record]:
        """The same records, read, file by file; in the order given, without those that cannot be read."""
        found: dict[str, Record] = {}
        by_file: dict[Path, list[Record]] = {}
        for record in bare:
            by_file.setdefault(record.meta["at"][0], []).append(record)
        for path, records in by_file.items():
            with self._opened(path, Problems()) as file:
                for record in records if file else ():
                    assert file is not None  # or there is nothing to fill
                    _, dataset, split, trajectory, frame = record.meta["at"]
                    payload = file.read_or_error(trajectory, frame)
                    if not isinstance(payload, OSError):
                        found[record.id] = _maker(path, dataset, split, file, trajectory)(frame, payload)
        return [found[record.id] for record in bare if record.id in found]

    @contextmanager
    def _opened(self, path: Path, problems: Problems) -> Iterator[WellFile | None]:
        """The open file, or ``None`` and a line in ``problems``."""
        from ophamin.seeing.corpus._well_file import WellFile, WellFileError

        file, wrong = None, ""
        try:
            file = WellFile(path, self._fields)
        except WellFileError as error:
            wrong = foreign(path) or str(error)
        if file is None:
            problems.add(str(path), f"a file that cannot be read: {wrong}")
            yield None
            return
        with file:
            yield file

    def _wrong(self, path: Path) -> str:
        """What is wrong with a file, in words, or ""."""
        from ophamin.seeing.corpus._well_file import WellFile, WellFileError

        try:
            with WellFile(path, self._fields):
                return ""
        except WellFileError as error:
            return foreign(path) or f"{path.name}: {error}"

    def _require(self) -> None:
        files = self._files()
        if not files or all(self._wrong(path) for path, _, _ in files):
            require(self.name, self.availability())

    def _files(self) -> list[tuple[Path, str, str]]:
        """Every file with its data set and split, sorted; of a single file the split may be ""."""
        if self._arg:
            for place in (Path(self._arg).expanduser(), *(place / self._arg for place in self._places)):
                if place.is_file():
                    return [(place, *_whose(place))]
                if (place / "data").is_dir():
                    return self._of_set(place)
        for place in self._places:
            root = place / "datasets" if (place / "datasets").is_dir() else place
            if not root.is_dir():
                continue
            sets = [root] if (root / "data").is_dir() else sorted(p for p in root.iterdir() if (p / "data").is_dir())
            found = [file for one in sets if self._arg in ("", one.name) for file in self._of_set(one)]
            if found:
                return found
        return []

    def _of_set(self, folder: Path) -> list[tuple[Path, str, str]]:
        splits = (self._split,) if self._split else _SPLITS
        return [
            (path, folder.name, split)
            for split in splits
            if (folder / "data" / split).is_dir()
            for path in sorted((folder / "data" / split).iterdir())
            if path.suffix in _ENDINGS
        ]

    def _instead(self) -> str:
        """What is there when no file is: other data sets, or only other splits."""
        for place in self._places:
            root = place / "datasets" if (place / "datasets").is_dir() else place
            sets = sorted(p.name for p in root.iterdir() if (p / "data").is_dir()) if root.is_dir() else []
            if sets and self._arg and self._arg not in sets:
                return f"no {self._arg}{nearest(self._arg, sets)}; in {root} are: {', '.join(sets)}"
            if sets:
                return f"{root} has {', '.join(sets)}, but no file of the split {self._split or 'train, valid or test'}"
        return ""


def _maker(path: Path, dataset: str, split: str, file: WellFile, trajectory: int) -> Callable[[int, Any], Record]:
    """Makes the records of one trajectory; what its frames share is put together once."""
    from ophamin.seeing.corpus._well_file import FrameMeta

    group, about = f"{_prefix(path, dataset, split)}:{trajectory}", file.about
    times, scalars = file.times(trajectory), file.scalars(trajectory)
    whose = {"dataset": dataset, "split": split}

    def make(frame: int, payload: Any) -> Record:
        own = {"trajectory": trajectory, "frame": frame, "time": times[frame]}
        return Record(f"{group}:{frame}", payload, group, whose | scalars[frame], FrameMeta(about, payload, own))

    return make


def _prefix(path: Path, dataset: str, split: str) -> str:
    return "/".join(part for part in (dataset, split, path.stem) if part)


def _whose(path: Path) -> tuple[str, str]:
    """Data set and split of a single file, by the folders it lies in."""
    parent = path.parent
    if parent.name in _SPLITS and parent.parent.name == "data":
        return parent.parent.parent.name, parent.name
    return parent.name or path.stem, ""


def _generated(path: Path) -> bool:
    return any((folder / _NOTE).exists() for folder in path.parents[:5])
