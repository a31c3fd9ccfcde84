"""What was pooled after each commit against its threshold, with the bounds that spending sets, as SVG.

Nothing here imports matplotlib; only drawing does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.reporting._text import clip, measured, number, visible
from ophamin.reporting.charts.interval import IntervalPart, plottable

__all__ = ["Trajectory", "TrajectoryPoint", "describe_trajectory", "trajectory_chart"]

JSON = Any


@dataclass(frozen=True)
class TrajectoryPoint:
    """What the commits up to one of them say together.

    Args:
        n: Observations up to here.
        value: Pooled value.
        lower: Lower end of its interval, corrected for all looks; ``None`` where nothing is spent yet.
        upper: Upper end, likewise.
    """

    n: JSON
    value: JSON
    lower: JSON = None
    upper: JSON = None

    @property
    def drawable(self) -> bool:
        """Whether there is a place for it."""
        return plottable(self.n) and self.n > 0 and plottable(self.value)

    @property
    def held(self) -> bool:
        """Whether it has an interval to draw."""
        return plottable(self.lower) and plottable(self.upper)


@dataclass(frozen=True)
class Trajectory:
    """A threshold, and what was pooled on the way to the registered maximum.

    Args:
        metric: Name of the metric.
        comparator: One of ``>= <= > <``.
        theta: θ.
        points: One for each commit, in the order they were taken in.
        max_n: Observations at which looking ends.
        crossed: Position of the point that decided; ``None`` when none did.
        outcome: VALIDATED, REFUTED or INCONCLUSIVE.
    """

    metric: str
    comparator: str
    theta: JSON
    points: Sequence[TrajectoryPoint]
    max_n: JSON = None
    crossed: JSON = None
    outcome: str = ""

    @property
    def name(self) -> str:
        """The threshold in words, e.g. ``accuracy ≥ 0.9``."""
        return IntervalPart(self.metric, self.comparator, self.theta).name

    @property
    def drawable(self) -> bool:
        """Whether there is a finite θ and a point to show beside it."""
        return plottable(self.theta) and any(point.drawable for point in self.points)


def describe_trajectory(path: Trajectory) -> str:
    """The picture in words, for whoever does not see it.

    Example:
        >>> path = Trajectory("accuracy", ">=", 0.9, [TrajectoryPoint(300, 0.94, 0.92, 0.96)], 600, outcome="VALIDATED")
        >>> describe_trajectory(path)
        'accuracy ≥ 0.9: 1 commit pooled; after 300 of at most 600 observations: 0.94 [0.92, 0.96]; VALIDATED.'
    """
    said = [f"{path.name}: {len(path.points):,} commit{'' if len(path.points) == 1 else 's'} pooled"]
    at = path.crossed if isinstance(path.crossed, int) and 0 <= path.crossed < len(path.points) else None
    if path.points:
        told = path.points[-1 if at is None else at]
        value, lower, upper = (measured(v, path.theta) for v in (told.value, told.lower, told.upper))
        interval = "no interval yet" if told.lower is None and told.upper is None else f"[{lower}, {upper}]"
        when = "" if at is None else f"decided at commit {at + 1:,}, "
        said.append(f"{when}after {number(told.n)} of at most {number(path.max_n)} observations: {value} {interval}")
    return visible(f"{'; '.join(said)}{f'; {clip(path.outcome, 40)}' if path.outcome else ''}.")


def trajectory_chart(path: Trajectory, *, name: str = "chart", title: str = "Pooled, commit by commit") -> str:
    """Draw the pooled value after each commit, over the observations up to it.

    The dashed line is θ, the hatched side is where the claim holds. The dotted lines are the bounds that spending sets:
    a pooled value beyond them decides, which it is where its interval leaves θ out. Reads without colour. The bytes
    depend on the arguments and the installed matplotlib only.

    Args:
        path: What to draw. The half-way interval sets the scale; what is wider runs out of the picture.
        name: Prefix of every id, unique on the page it will stand on; letters, digits and ``-``.
        title: Title of the picture, read out by screen readers, followed by ``describe_trajectory``.

    Returns:
        An ``<svg role="img">`` element, without size: it fills its container.

    Raises:
        MissingDependency: matplotlib is not installed.
        UsageError: Nothing is drawable.

    Example:
        >>> points = [TrajectoryPoint(150, 0.93), TrajectoryPoint(300, 0.94, 0.91, 0.97)]
        >>> trajectory_chart(Trajectory("accuracy", ">=", 0.9, points, 600)).startswith("<svg")
        True
    """
    if not path.drawable:
        raise UsageError("there is no finite threshold and no finite pooled value, so there is nothing to draw")
    try:
        from ophamin.reporting.charts._figure import draw_trajectory
    except ImportError as error:
        raise MissingDependency("the chart of pooled commits", "matplotlib", "ophamin-reporting[plots]") from error
    return draw_trajectory(path, name=name, title=visible(title), description=describe_trajectory(path))
