"""The cycles of one attempt, into its journal; under rule exact, all of them twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from ophamin.measuring.scenarios._road.cycles import Ticker, cycle_count, observe_cycles, values_digest_of
from ophamin.measuring.scenarios._road.journal import Journal, parse_rows
from ophamin.measuring.scenarios._road.selection import Selection
from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.measuring.scenarios._road.watching import Watch
from ophamin.protocols import Progress

__all__ = ["measure_rows"]

Report = Callable[[Progress], None]


def measure_rows(
    setup: Setup, selection: Selection, alpha: float, seed: int, journal: Journal, progress: Report | None
) -> Mapping[str, str]:
    """Run all cycles that are not in the journal yet; under rule exact, then all of them once more.

    Args:
        setup: The prepared run.
        selection: Its records.
        alpha: α of this attempt, which a sequential rule watches.
        seed: Seed of this attempt.
        journal: Where the rows go.
        progress: Told of counts and time.

    Returns:
        ``{"second_pass": digest}`` under rule exact, else nothing.
    """
    total = cycle_count(setup, selection)
    done = journal.begin()
    established = any(json.loads(line)["status"] == "ok" for line in journal.lines())
    ticker = Ticker(progress, "cycles", total)
    stop = None
    if setup.sequential:
        watch = Watch(setup, selection, alpha, seed)
        # An interrupted process goes on from what it had seen.
        if any(watch.see(line) for line in journal.lines()[:done]):
            return {}
        stop = watch.see
    if done < total:
        observe_cycles(setup, selection, seed, journal.append, ticker, done=done, established=established, stop=stop)
    return {"second_pass": _second_pass(setup, selection, seed, progress)} if setup.exact else {}


def _second_pass(setup: Setup, selection: Selection, seed: int, progress: Report | None) -> str:
    rows: list[bytes] = []
    ticker = Ticker(progress, "second pass", cycle_count(setup, selection))
    # Another seed for the systems: with the same one a random system would repeat itself and pass for exact.
    other = (seed + 1) % 2**32
    observe_cycles(setup, selection, seed, rows.append, ticker, established=True, system_seed=other)
    return values_digest_of(parse_rows(b"".join(rows)))
