"""``ophamin bisect``: which commit flipped the verdict, in about log₂N decisions.

Each decision is a run of its own, registered at α/⌈log₂N⌉, so that by Bonferroni the answer is wrong with at most α
when every step is decided at once: a wrong turn needs a false VALIDATED or a false REFUTED. A step that stays undecided
is registered again, on fresh records and more of them, at half its α each time (VERDICTS: attempt k at α/2^(k−1)); the
sum of what was spent is in the result. That there is one flip between the ends is assumed, not shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ophamin.comparing.history.journal import Journal
from ophamin.comparing.history.measuring import Bench, Measured, Report, folder_of, key_of
from ophamin.comparing.history.revisions import Moving, Revision, moving, walk
from ophamin.proof.errors import UsageError
from ophamin.protocols import RunSpec, Settings

__all__ = ["Bisection", "Search", "bisect", "steps_of"]

_LEAST_N = 2


def steps_of(candidates: int) -> int:
    """Decisions a bisection of that many candidates needs, at least 1: ⌈log₂N⌉.

    Example:
        >>> [steps_of(n) for n in (1, 2, 3, 4, 20)]
        [1, 1, 2, 2, 5]
    """
    return max(1, math.ceil(math.log2(candidates)))


@dataclass
class Search:
    """A search for the first bad position, when all before it are good and all after it bad.

    Args:
        low: Last known good position.
        high: First known bad position.
        passed_over: Positions that gave no verdict.

    Example:
        >>> found = Search(0, 8)
        >>> found.run(lambda i: None if i == 4 else i < 6)
        >>> found.candidates, found.passed_over
        (range(6, 7), [4])
    """

    low: int
    high: int
    passed_over: list[int] = field(default_factory=list)

    @property
    def candidates(self) -> range:
        """Positions of which one is the first bad."""
        return range(self.low + 1, self.high + 1)

    def run(self, ask: Callable[[int], bool | None]) -> None:
        """Narrow the ends as far as can be told.

        Args:
            ask: Whether a position is good; ``None`` when nobody can tell, and a neighbour is asked then.
        """
        while (position := self._nearest_to_the_middle()) is not None:
            good = ask(position)
            if good is None:
                self.passed_over.append(position)
            elif good:
                self.low = position
            else:
                self.high = position

    def _nearest_to_the_middle(self) -> int | None:
        middle = (self.low + self.high) // 2
        between = (i for i in range(self.low + 1, self.high) if i not in self.passed_over)
        return min(between, key=lambda i: (abs(i - middle), i), default=None)


@dataclass(frozen=True)
class Bisection:
    """What a bisection found.

    Args:
        moved: The arms, and where they moved.
        revisions: From the good end to the bad one.
        runs: Every run, in order, tries of one revision included.
        first_bad: Revisions of which one flipped the verdict; empty when the ends were not as stated.
        alpha_step: α of each decision's first try.
        error_bound: What the decisions that led here may err together, at most; the ends have α of their own.
        reason: One sentence.
        undecided: Whether a revision that could be measured stayed undecided.
    """

    moved: Moving
    revisions: tuple[Revision, ...]
    runs: tuple[Measured, ...]
    first_bad: tuple[Revision, ...]
    alpha_step: float
    error_bound: float
    reason: str
    undecided: bool = False

    @property
    def outcome(self) -> str:
        """FOUND (one commit or a range), UNDECIDED, NOT_AS_STATED, or SKIPPED: an end that cannot be measured."""
        if self.undecided and len(self.first_bad) != 1:
            return "UNDECIDED"
        if self.first_bad:
            return "FOUND"
        return "SKIPPED" if any(run.skipped for run in self.runs) else "NOT_AS_STATED"

    @property
    def exit_code(self) -> int:
        """0 found, 1 the ends are not as stated, 4 undecided, 6 an end cannot be measured."""
        return {"FOUND": 0, "NOT_AS_STATED": 1, "UNDECIDED": 4, "SKIPPED": 6}[self.outcome]


class _Asker:
    """Decides revisions, each by as many registrations as it takes."""

    def __init__(self, bench: Bench, spec: RunSpec, alpha: float, tries: int) -> None:
        self._bench, self._spec, self._alpha, self._tries = bench, spec, alpha, tries
        self.runs: list[Measured] = []
        self.undecided = False

    def decide(self, revision: Revision) -> Measured:
        """The last run at a revision: decided, skipped, or undecided after all tries."""
        n, found = self._spec.n, Measured(revision)
        for nth in range(1, self._tries + 1):
            latest = self._bench.measure(revision, nth, alpha=self._alpha, n=n)
            if nth > 1 and latest.skipped:
                # The corpus has no more fresh records, say: what was decided before stands.
                self.runs.append(latest)
                break
            found = latest
            self.runs.append(found)
            if found.outcome != "INCONCLUSIVE":
                return found
            n = 2 * (n or _units(found))
        self.undecided = True
        return found

    def good(self, revision: Revision) -> bool | None:
        """Whether it is good, or nobody can tell."""
        return {"VALIDATED": True, "REFUTED": False}.get(self.decide(revision).outcome)


def _units(found: Measured) -> int:
    assert found.proof is not None
    plan = found.proof.body["preregistration"].get("plan") or {}
    return max(int(plan.get("n_units") or 0), _LEAST_N)


def bisect(
    spec: RunSpec,
    good: str,
    bad: str,
    settings: Settings,
    *,
    tries: int = 3,
    limit_s: float = 600.0,
    fresh: bool = False,
    retry: bool = False,
    progress: Report | None = None,
    each: Callable[[Revision, int], None] | None = None,
) -> Bisection:
    """Find the commit at which a claim that was VALIDATED became REFUTED, along first parents.

    Args:
        spec: The run; ``alpha`` is that of the whole search, and ``n`` that of a first try.
        good: A revision at which the claim holds.
        bad: A later one at which it does not.
        settings: Of the project.
        tries: Registrations a revision may take until it is decided; each doubles n and halves α.
        limit_s: Longest one run may take, seconds.
        fresh: Begin anew, with new attempts.
        retry: Try again what was skipped.
        progress: Told of the cycles of each run.
        each: Told before each decision: which revision, and how many commits are still suspect.

    Raises:
        UsageError: No system moves, the ends are one commit, or the bad one does not descend from the good one.
        OphaminError: Whatever is no fault of a revision.

    Example:
        >>> bisect(spec, "v1", "HEAD", settings).first_bad  # doctest: +SKIP
    """
    moved = moving(spec.arms)
    revisions = tuple(walk(moved.repository, good, bad, first_parent=True))
    if len(revisions) < 2:
        raise UsageError("the good and the bad revision are the same commit; name two")
    last = len(revisions) - 1
    alpha = spec.alpha / steps_of(last)
    with Journal(folder_of(settings), key_of("bisect", spec, moved, revisions[0].commit, revisions[-1].commit, tries),
                 fresh=fresh) as journal:  # fmt: skip
        if retry:
            journal.forget_skipped()
        asker = _Asker(Bench(spec, moved, settings, journal, limit_s=limit_s, progress=progress), spec, alpha, tries)

        def result(reason: str, first_bad: Sequence[Revision] = (), error_bound: float = 0.0) -> Bisection:
            return Bisection(
                moved, revisions, tuple(asker.runs), tuple(first_bad), alpha, error_bound, reason, asker.undecided
            )

        for position, word, wanted in ((0, "good", "VALIDATED"), (last, "bad", "REFUTED")):
            if each is not None:
                each(revisions[position], last)
            end = asker.decide(revisions[position])
            if end.refused:
                raise UsageError(end.skipped)
            if end.outcome != wanted:
                return result(_not_as_stated(end, word, wanted))
        confirmed = len(asker.runs)
        asker.undecided = False

        found = Search(0, last)

        def ask(position: int) -> bool | None:
            if each is not None:
                each(revisions[position], len(found.candidates))
            return asker.good(revisions[position])

        found.run(ask)
        suspects = [revisions[i] for i in found.candidates]
        spent = math.fsum(run.alpha_used or 0.0 for run in asker.runs[confirmed:])
        return result(_answer(suspects, revisions[found.low], asker.undecided), suspects, spent)


def _not_as_stated(end: Measured, word: str, wanted: str) -> str:
    where = f"the {word} end {end.revision.commit[:12]}"
    if end.skipped:
        return f"{where} cannot be measured, so name another: {end.skipped}"
    if end.outcome == "INCONCLUSIVE":
        return f"{where} stays INCONCLUSIVE, so there is no flip to look for; give more data (--n, a larger corpus)"
    return f"{where} is {end.outcome} on fresh data, not {wanted}: between these ends no flip is to be found"


def _answer(suspects: Sequence[Revision], low: Revision, undecided: bool) -> str:
    if len(suspects) == 1:
        return f"{suspects[0].commit[:12]} flipped the verdict, if one commit did: its parent was good, it is bad"
    why = "stay undecided or cannot be measured" if undecided else "cannot be measured"
    return f"one of {len(suspects)} commits after {low.commit[:12]} flipped the verdict; those between {why}"
