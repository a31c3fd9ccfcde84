"""``simulated``: data whose truth is known, made on demand and the same everywhere."""

from __future__ import annotations

import hashlib
import heapq
import json
import random
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.protocols import Availability, DatasetInfo, Record

__all__ = ["SimulatedCorpus"]

Maker = Callable[[int], Record]
_CONTINUOUS: dict[str, tuple[float, Callable[[random.Random], float]]] = {
    "normal": (0.0, lambda rng: rng.gauss(0.0, 1.0)),
    "exponential": (1.0, lambda rng: rng.expovariate(1.0)),
    "uniform": (0.5, lambda rng: rng.random()),
}
FAMILIES = ("binomial", *_CONTINUOUS, "stimuli", "sizes")
_SYLLABLES = [c + v for c in "bcdfghjklmnprstvz" for v in "aeiou"]


class SimulatedCorpus:
    """Records of a family, by arithmetic from their number; nothing is read and nothing is held.

    ===============  =================================================================================
    family           a record is
    ===============  =================================================================================
    ``binomial``     every outcome of every sample size in ``sizes``: payload ``{"value": [1, 1, 0]}``, labels
                     ``n`` and ``k``
    ``normal``       one of ``runs`` samples of ``n`` values (also ``exponential``, ``uniform``): payload
                     ``{"value": […]}``, label ``truth``, the mean of the law
    ``stimuli``      one of ``n`` short texts of made-up words, labels ``kind`` (attack or benign, half each)
                     and ``label``, the same; no two have one template
    ``sizes``        one of ``repeats`` texts of each of ``steps`` sizes from ``smallest`` to ``largest`` characters,
                     in geometric steps, and as many empty ones: label ``size``
    ===============  =================================================================================

    Args:
        arg: Unused.
        data_root: Unused.
        family: See above.
        n: Values in a sample, or number of stimuli.
        runs: Samples.
        sizes: Sample sizes of ``binomial``, joined by commas.
        seed: Seed of the data.
        smallest: Least size of ``sizes`` but 0, characters.
        largest: Greatest size of ``sizes``.
        steps: How many sizes, 0 not counted.
        repeats: Texts of each size.

    Example:
        >>> corpus = SimulatedCorpus(family="binomial", sizes="2")
        >>> [(r.id, r.payload["value"]) for r in corpus.records()]
        [('n2-k0', [0, 0]), ('n2-k1', [1, 0]), ('n2-k2', [1, 1])]
    """

    name = "simulated"
    folders: Sequence[str] = ()

    def __init__(
        self,
        arg: str = "",
        data_root: Path | None = None,
        *,
        family: str = "binomial",
        n: str | int = 10,
        runs: str | int = 10_000,
        sizes: str = "10,30,60",
        seed: str | int = 1,
        smallest: str | int = 100,
        largest: str | int = 10_000,
        steps: str | int = 10,
        repeats: str | int = 20,
    ) -> None:
        if arg:
            raise UsageError(
                f"simulated takes no argument, only parameters such as simulated?family=normal, not {arg!r}"
            )
        if family not in FAMILIES:
            raise UsageError(f"family={family}: must be one of {', '.join(FAMILIES)}")
        self._family = family
        self._n, self._runs, self._seed = _whole("n", n), _whole("runs", runs), _whole("seed", seed, 0)
        self._sizes = sorted({_whole("sizes", s) for s in sizes.split(",")})
        self._smallest, self._largest = _whole("smallest", smallest), _whole("largest", largest)
        self._steps, self._repeats = _whole("steps", steps, 2), _whole("repeats", repeats)
        if self._family == "sizes" and self._largest <= self._smallest:
            raise UsageError(f"largest={largest}: must be above smallest={smallest}")
        self._count, self._make = self._maker()

    def _maker(self) -> tuple[int, Maker]:
        if self._family == "binomial":
            cells = [(n, k) for n in self._sizes for k in range(n + 1)]
            return len(cells), lambda i: _outcome(*cells[i])
        if self._family == "stimuli":
            return self._n, self._stimulus
        if self._family == "sizes":
            ratio = self._largest / self._smallest
            sizes = sorted({round(self._smallest * ratio ** (k / (self._steps - 1))) for k in range(self._steps)})
            cells = [(size, k) for size in (0, *sizes) for k in range(self._repeats)]
            return len(cells), lambda i: self._sized(*cells[i])
        return self._runs, self._sample

    def _sample(self, i: int) -> Record:
        truth, draw = _CONTINUOUS[self._family]
        rng = random.Random(f"{self._seed}:{self._family}:{self._n}:{i}")
        return Record(f"run{i}", {"value": [draw(rng) for _ in range(self._n)]}, labels={"truth": truth})

    def _sized(self, size: int, k: int) -> Record:
        rng = random.Random(f"{self._seed}:sizes:{size}:{k}")
        syllables = rng.choices(_SYLLABLES, k=size // 2 + 1)
        words = [s + " " if i % 3 == 2 else s for i, s in enumerate(syllables)]
        return Record(f"size{size}-{k}", "".join(words)[:size], f"size {size}", labels={"size": size, "kind": "sized"})

    def _stimulus(self, i: int) -> Record:
        rng = random.Random(f"{self._seed}:stimuli:{i}")
        kind = "attack" if i % 2 else "benign"
        made = rng.choices(_SYLLABLES, k=12)
        words = ["".join(made[at : at + 3]) for at in (0, 3, 6, 9)]
        # The number, spelled in letters, keeps any two apart whatever is folded.
        words.append("".join(chr(ord("a") + int(d)) for d in str(i)))
        return Record(f"s{i}", " ".join(words), labels={"kind": kind, "label": kind})

    def availability(self) -> Availability:
        """Always there."""
        return Availability("ok", found="made on demand", size=f"{self._count} records", licence="CC0-1.0")

    def records(self) -> Iterator[Record]:
        """All records, made one at a time."""
        return map(self._make, range(self._count))

    def sample(self, n: int, seed: int, where: Callable[[Record], bool] | None = None) -> list[Record]:
        """Up to ``n`` records, uniform without replacement, in seeded order.

        Source: bottom-k sampling by a keyed hash, Cohen and Kaplan (2007), PODC.
        """
        key = seed.to_bytes(16, "big")

        def rank(record: Record) -> bytes:
            return hashlib.blake2b(record.id.encode(), digest_size=16, key=key).digest()

        return heapq.nsmallest(n, self.records() if where is None else filter(where, self.records()), key=rank)

    def count(self) -> int:
        """How many records there are."""
        return self._count

    def content_hash(self) -> str:
        """``sha256:…`` over the parameters, which determine every byte, and the version of this generator."""
        return digest({**self._parameters(), "generator": version("ophamin-measuring")})

    def _parameters(self) -> dict[str, Any]:
        if self._family == "binomial":
            return {"family": "binomial", "sizes": self._sizes}
        if self._family == "stimuli":
            return {"family": "stimuli", "n": self._n, "seed": self._seed}
        if self._family == "sizes":
            range_ = {"smallest": self._smallest, "largest": self._largest, "steps": self._steps}
            return {"family": "sizes", **range_, "repeats": self._repeats, "seed": self._seed}
        return {"family": self._family, "n": self._n, "runs": self._runs, "seed": self._seed}

    def describe(self) -> DatasetInfo:
        """Its family and parameters."""
        about = ", ".join(f"{k} {v}" for k, v in self._parameters().items())
        return DatasetInfo(self.name, "simulated", f"made by ophamin-measuring: {about}", "CC0-1.0")

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write the first 100 records as ``simulated.jsonl``, to look at; the corpus itself needs no file."""
        made = SimulatedCorpus(
            family=self._family,
            n=self._n,
            runs=self._runs,
            sizes=",".join(map(str, self._sizes)),
            seed=seed,
            smallest=self._smallest,
            largest=self._largest,
            steps=self._steps,
            repeats=self._repeats,
        )
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "simulated.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            for _, record in zip(range(100), made.records(), strict=False):
                row = {"id": record.id, "payload": record.payload, "labels": dict(record.labels)}
                file.write(json.dumps(row, sort_keys=True) + "\n")
        return directory


def _outcome(n: int, k: int) -> Record:
    return Record(f"n{n}-k{k}", {"value": [1] * k + [0] * (n - k)}, labels={"n": n, "k": k})


def _whole(name: str, text: str | int, low: int = 1) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not low <= value < 2**32:
        raise UsageError(f"{name}={text}: must be a whole number, at least {low}")
    return value
