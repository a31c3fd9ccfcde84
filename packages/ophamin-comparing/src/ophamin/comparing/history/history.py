"""``ophamin history``: the same claim at every revision, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ophamin import registry
from ophamin.comparing.history.journal import Journal
from ophamin.comparing.history.measuring import Bench, Measured, Report, folder_of, key_of
from ophamin.comparing.history.revisions import Moving, Revision, moving
from ophamin.proof.errors import UsageError
from ophamin.protocols import RunSpec, Settings

__all__ = ["Flip", "History", "flips_in", "history", "worst"]


@dataclass(frozen=True)
class Flip:
    """Two neighbours of which one is VALIDATED and the other REFUTED.

    Args:
        before: Last revision with the old verdict.
        after: First revision with the new one.
        between: Revisions between them that were skipped or not decided.
    """

    before: Measured
    after: Measured
    between: tuple[Measured, ...] = ()


@dataclass(frozen=True)
class History:
    """What was found at each revision.

    Args:
        moved: The arms, and where they moved.
        points: One for each revision, oldest first.
        seconds: How long this process took.
        own_records: Whether each was measured on records of its own.
    """

    moved: Moving
    points: tuple[Measured, ...]
    seconds: float
    own_records: bool = False

    @property
    def flips(self) -> list[Flip]:
        """Where the verdict flipped; each verdict errs with its own α, and nothing corrects for their number."""
        where = flips_in([point.outcome for point in self.points])
        return [Flip(self.points[i], self.points[j], self.points[i + 1 : j]) for i, j in where]

    @property
    def outcome(self) -> str:
        """REFUTED when any is, else INCONCLUSIVE when any is, else VALIDATED; SKIPPED when nothing was measured."""
        return worst([point.outcome for point in self.points])

    @property
    def exit_code(self) -> int:
        """1 when any is refuted, else 4 when any is undecided, else 6 when nothing was measured, else 0."""
        return {"REFUTED": 1, "INCONCLUSIVE": 4, "VALIDATED": 0, "SKIPPED": 6}[self.outcome]


def flips_in(outcomes: Sequence[str]) -> list[tuple[int, int]]:
    """Positions of neighbours that are decided differently, whatever undecided ones lie between.

    Example:
        >>> flips_in(["VALIDATED", "INCONCLUSIVE", "REFUTED", "REFUTED"])
        [(0, 2)]
    """
    decided = [i for i, outcome in enumerate(outcomes) if outcome in ("VALIDATED", "REFUTED")]
    return [(i, j) for i, j in pairwise(decided) if outcomes[i] != outcomes[j]]


def worst(outcomes: Sequence[str]) -> str:
    """The outcome that speaks for all of them.

    Example:
        >>> worst(["VALIDATED", "SKIPPED"])
        'VALIDATED'
    """
    return next((o for o in ("REFUTED", "INCONCLUSIVE", "VALIDATED") if o in outcomes), "SKIPPED")


def history(
    spec: RunSpec,
    revisions: Callable[[Moving], Sequence[Revision]],
    settings: Settings,
    *,
    limit_s: float = 600.0,
    fresh: bool = False,
    retry: bool = False,
    progress: Report | None = None,
    each: Callable[[int, int, float | None], None] | None = None,
) -> History:
    """Measure a scenario at each revision, in order; what was measured before is not measured again.

    Args:
        spec: The run; arms that take ``rev`` and name none move.
        revisions: Which revisions of the repository the arms move in.
        settings: Of the project.
        limit_s: Longest one revision may take, seconds.
        fresh: Measure all anew, as new attempts.
        retry: Try again what was skipped.
        progress: Told of the cycles of each run.
        each: Told before each revision: its number from 0, how many there are, and about how many seconds are left.

    Raises:
        UsageError: No system moves, no such revisions, the corpus is too small for records of each one's own, or the
            request makes no sense at any of them.
        OphaminError: Whatever is no fault of a revision.

    Example:
        >>> history(spec, lambda moved: walk(moved.repository, "v1", "HEAD"), settings)  # doctest: +SKIP
    """
    moved = moving(spec.arms)
    wanted = revisions(moved)
    if spec.own_records and spec.n is not None:
        _check_room(spec, len(wanted))
    began, points, run = time.monotonic(), [], 0
    with Journal(folder_of(settings), key_of("history", spec, moved), fresh=fresh) as journal:
        if retry:
            journal.forget_skipped()
        bench = Bench(spec, moved, settings, journal, limit_s=limit_s, progress=progress)
        for i, revision in enumerate(wanted):
            if each is not None:
                each(i, len(wanted), (time.monotonic() - began) / run * (len(wanted) - i) if run else None)
            points.append(bench.measure(revision))
            run += not points[-1].again
    _same_everywhere(points)
    return History(moved, tuple(points), time.monotonic() - began, spec.own_records)


def _check_room(spec: RunSpec, revisions: int) -> None:
    """Refuse before anything is measured what the corpus cannot give; groups and copies are counted by the run."""
    words = spec.corpus or registry.get_scenario(spec.scenario)().default_corpus
    corpus = registry.make_corpus(words, Path(spec.data_root) if spec.data_root else None)
    if corpus.availability().state != "ok":
        return  # the run says why, and how to get it
    count, n = corpus.count(), spec.n or 0
    if revisions * n > count:
        raise UsageError(
            f"{revisions} revisions with {n} records of their own each ask for {revisions * n:,}, and corpus {words!r} "
            f"has {count:,}; ask for fewer (--n, --every), or add data"
        )


def _same_everywhere(points: Sequence[Measured]) -> None:
    """A request that is refused alike at every revision is at fault itself."""
    reasons = {point.skipped for point in points}
    if len(reasons) == 1 and all(point.refused for point in points):
        raise UsageError(reasons.pop())
