"""Which runs a sweep has, and in which order."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import SweepSpec

__all__ = ["DESIGNS", "MAX_CELLS", "assignments", "generators", "ordered"]

JSON = Any
MAX_CELLS = 10_000
DESIGNS = ("full", "fractional", "latin-hypercube", "one-factor")


def assignments(spec: SweepSpec, seed: int = 0) -> list[dict[str, JSON]]:
    """The runs of one block: factor → value.

    Sources: Box, Hunter and Hunter, Statistics for Experimenters (2005), ch. 6 (fractions); McKay, Beckman and Conover
    (1979), by ``scipy.stats.qmc`` (Latin hypercube).

    Args:
        spec: Factors and design.
        seed: Of a design that draws.

    Returns:
        Distinct assignments, in the design's own order.

    Raises:
        UsageError: No run, more than ``MAX_CELLS``, or a design that does not fit its factors.

    Example:
        >>> from ophamin.protocols import RunSpec
        >>> base = RunSpec("metric", {"main": "mock"})
        >>> assignments(SweepSpec(base, {"n": [100, 200], "corpus": ["a"]}))
        [{'n': 100, 'corpus': 'a'}, {'n': 200, 'corpus': 'a'}]
    """
    if spec.design not in DESIGNS:
        raise UsageError(f"no design is called {spec.design!r}; designs: {', '.join(DESIGNS)}")
    if spec.blocks < 1:
        raise UsageError(f"a sweep has at least one block, not {spec.blocks}")
    if spec.ranges and spec.design != "latin-hypercube":
        raise UsageError(f"ranges are drawn from by design latin-hypercube; {spec.design} takes lists of values")
    if spec.samples and spec.design not in ("fractional", "latin-hypercube"):
        raise UsageError(f"samples belong to the designs fractional and latin-hypercube, not to {spec.design}")
    if not spec.grid and not spec.ranges:
        raise UsageError("the sweep has no factor, so no cell; give one under grid, such as grid: {n: [100, 200]}")
    for name, levels in spec.grid.items():
        if not levels:
            raise UsageError(f"factor {name!r} has no value, so the sweep has 0 cells; give it at least one")
        if len({digest(level) for level in levels}) < len(levels):
            raise UsageError(f"factor {name!r} has a value twice; to run cells again, give more blocks")
    _check_size(spec)
    if spec.design == "full":
        return [dict(zip(spec.grid, values, strict=True)) for values in product(*spec.grid.values())]
    if spec.design == "one-factor":
        return _one_factor(spec.grid)
    return _fraction(spec) if spec.design == "fractional" else _latin(spec, seed)


def _check_size(spec: SweepSpec) -> None:
    if spec.design == "full":
        size = math.prod(len(levels) for levels in spec.grid.values())
    elif spec.design == "one-factor":
        size = 1 + sum(len(levels) - 1 for levels in spec.grid.values())
    else:
        size = spec.samples
    total = size * spec.blocks
    if total > MAX_CELLS:
        raise UsageError(
            f"the sweep has {total:,} cells, and one sweep runs at most {MAX_CELLS:,}; give fewer values, split it, or "
            "draw some with design: latin-hypercube and samples: 200"
        )


def _one_factor(grid: Mapping[str, Sequence[JSON]]) -> list[dict[str, JSON]]:
    """The first level of every factor, then each other level alone."""
    centre = {name: levels[0] for name, levels in grid.items()}
    return [centre, *({**centre, name: level} for name, levels in grid.items() for level in levels[1:])]


def generators(names: Sequence[str], samples: int) -> dict[str, tuple[str, ...]]:
    """Which product of base factors each further two-level factor follows: the aliases of a regular fraction.

    Args:
        names: Factors.
        samples: Runs, a power of two below 2^k.

    Returns:
        Factor → the base factors whose product sets its level; longest words first.

    Raises:
        UsageError: So many runs make no regular fraction of so many factors.

    Example:
        >>> generators(["a", "b", "c", "d"], 8)
        {'d': ('a', 'b', 'c')}
    """
    k, m = len(names), max(samples, 1).bit_length() - 1
    if samples != 2**m or m >= k or samples < k + 1:
        fit = ", ".join(str(2**i) for i in range(1, k) if 2**i >= k + 1)
        what = f"samples of {k} factors in a regular fraction: {fit}" if fit else f"{k} factors have no fraction"
        raise UsageError(f"{samples} runs make no regular fraction; {what}; or use design: full")
    base = names[:m]
    words = [word for size in range(m, 1, -1) for word in combinations(base, size)]
    return dict(zip(names[m:], words, strict=False))


def _fraction(spec: SweepSpec) -> list[dict[str, JSON]]:
    wrong = [name for name, levels in spec.grid.items() if len(levels) != 2]
    if wrong:
        raise UsageError(f"a fractional design takes two values of each factor; {wrong[0]!r} has another number")
    names = list(spec.grid)
    aliases = generators(names, spec.samples)
    base = [name for name in names if name not in aliases]
    runs = []
    for signs in product((-1, 1), repeat=len(base)):
        level = dict(zip(base, signs, strict=True))
        level |= {name: math.prod(level[b] for b in word) for name, word in aliases.items()}
        runs.append({name: spec.grid[name][level[name] > 0] for name in names})
    return runs


def _latin(spec: SweepSpec, seed: int) -> list[dict[str, JSON]]:
    if spec.samples < 1:
        raise UsageError("a Latin hypercube needs the number of its runs; give samples, such as samples: 50")
    for name, ends in spec.ranges.items():
        if len(ends) != 2 or not all(math.isfinite(e) for e in ends) or not ends[0] < ends[1]:
            raise UsageError(f"the range of {name!r} is [lowest, highest], not {list(ends)}")
    try:
        from ophamin.comparing.orchestration.latin import unit_points
    except ImportError as error:
        raise MissingDependency("a Latin hypercube", "scipy", "ophamin-comparing[table]") from error
    names = [*spec.ranges, *spec.grid]
    runs: dict[str, dict[str, JSON]] = {}
    for point in unit_points(len(names), spec.samples, seed):
        run: dict[str, JSON] = {}
        for name, u in zip(names, point, strict=True):
            if name in spec.ranges:
                low, high = spec.ranges[name]
                run[name] = low + u * (high - low)
            else:
                levels = spec.grid[name]
                run[name] = levels[min(int(u * len(levels)), len(levels) - 1)]
        runs.setdefault(digest(run), run)
    return list(runs.values())


def ordered(spec: SweepSpec, seed: int) -> list[tuple[int, dict[str, JSON]]]:
    """All runs in the order they are dispatched: block after block, each shuffled on its own.

    Args:
        spec: The sweep.
        seed: Of the order; derived from the sweep's content, so nobody picks it.

    Returns:
        Block and assignment of each run.
    """
    runs = assignments(spec, seed)
    rng = random.Random(seed)
    found: list[tuple[int, dict[str, JSON]]] = []
    for block in range(spec.blocks):
        found += [(block, run) for run in rng.sample(runs, len(runs))]
    return found
