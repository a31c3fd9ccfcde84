"""The one module that knows matplotlib: a figure, and its SVG made fit to stand in a page."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from ophamin.reporting._text import clip, number, percent, visible
from ophamin.reporting.charts.interval import IntervalPart, plottable
from ophamin.reporting.charts.trajectory import Trajectory

__all__ = ["draw", "draw_trajectory"]

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
# Becomes currentColor, so that the chart follows the page into dark mode and onto paper.
_INK = "#0a0b0c"
_HOLDS = "#2a7f7f"
# Inches; the page shows them at about 1.5 times their size where there is room, and never much smaller.
_WIDTH, _ROW, _EDGE, _TALL = 7.4, 1.45, 0.08, 3.4
_MOST_POINTS = 200
_SMALL, _TEXT = 9, 10  # points
# Text stays text: it can be searched, copied and read out, and takes the font of the page.
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ophamin",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": _TEXT,
    "hatch.linewidth": 0.6,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "text.usetex": False,
}


def draw(parts: Sequence[IntervalPart], *, name: str, title: str, description: str) -> str:
    """SVG of the parts; see ``ophamin.reporting.charts.interval.interval_chart``."""
    height = _EDGE + _ROW * len(parts)

    def fill(figure: Figure) -> None:
        for row, part in enumerate(parts):
            bottom = (height - (row + 1) * _ROW + 0.34) / height
            _draw_part(figure.add_axes((0.02, bottom, 0.96, 0.56 / height)), part, _label(row))

    labels = {_label(row): clip(visible(_heading(part)), 80) for row, part in enumerate(parts)}
    return _fit(_svg(height, fill), name, labels, title, description)


def draw_trajectory(path: Trajectory, *, name: str, title: str, description: str) -> str:
    """SVG of pooled commits; see ``ophamin.reporting.charts.trajectory.trajectory_chart``."""

    def fill(figure: Figure) -> None:
        _draw_trajectory(figure.add_axes((0.1, 0.5 / _TALL, 0.88, (_TALL - 0.95) / _TALL)), path, _label(0))

    heading = f"{path.name}: {path.outcome}" if path.outcome else path.name
    return _fit(_svg(_TALL, fill), name, {_label(0): clip(visible(heading), 80)}, title, description)


def _svg(height: float, fill: Callable[[Figure], None]) -> str:
    """A figure of that height in inches, drawn by ``fill``, as matplotlib writes it."""
    with mpl.rc_context():
        # The user's own matplotlibrc must not change the bytes.
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type] # its keys are a Literal of 300 names
        figure = Figure(figsize=(_WIDTH, height))
        FigureCanvasSVG(figure)
        fill(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _label(row: int) -> str:
    """What matplotlib draws instead of text of a record, whose glyphs and markup are none of its business."""
    return f"row {row}"


def _heading(part: IntervalPart) -> str:
    return f"{part.name}: {part.outcome}" if part.outcome else part.name


def _draw_part(axes: Axes, part: IntervalPart, label: str) -> None:
    low, high = _limits([float(v) for v in (part.theta, part.value, part.lower, part.upper) if plottable(v)])
    theta = float(part.theta)
    axes.set_xlim(low, high)
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_INK)
    axes.tick_params(axis="x", colors=_INK, labelsize=_SMALL, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.set_title(label, loc="left", fontsize=_TEXT, color=_INK, pad=20)
    _hatch(axes.axvspan, part.comparator, low, theta, high)
    axes.axvline(theta, color=_INK, linewidth=1.4, linestyle=(0, (4, 2)))
    axes.annotate(
        f"θ = {number(part.theta)}", (theta, 1), (0, 1), textcoords="offset points", ha=_anchor(theta, low, high),
        va="bottom", fontsize=_SMALL, color=_INK, annotation_clip=False,
    )  # fmt: skip
    if part.has_interval:
        _draw_bounds(axes, part, low, high)
    if plottable(part.value):
        axes.plot([float(part.value)], [0], marker="D", markersize=7, color=_INK, linestyle="none")


def _hatch(span: Callable[..., Any], comparator: str, low: float, theta: float, high: float) -> None:
    """Mark the side on which the claim holds."""
    if comparator in ("<=", "<", ">=", ">"):
        ends = (low, theta) if comparator in ("<=", "<") else (theta, high)
        span(*ends, facecolor=_HOLDS, alpha=0.16, linewidth=0)
        span(*ends, facecolor="none", edgecolor=_HOLDS, alpha=0.8, hatch="//", linewidth=0)


def _draw_trajectory(axes: Axes, path: Trajectory, label: str) -> None:
    theta = float(path.theta)
    points = [(i, p) for i, p in enumerate(path.points) if p.drawable][-_MOST_POINTS:]
    n, value = [float(p.n) for _, p in points], [float(p.value) for _, p in points]
    held = [(float(p.n), float(p.lower), float(p.upper)) for _, p in points if p.held]
    # The half-way interval sets the scale: those of the first commits are so wide that nothing else would be seen.
    middle = held[len(held) // 2 :][:1]
    around = [theta + sign * (upper / 2 - lower / 2) for sign in (-1, 1) for _, lower, upper in middle]
    low, high = _limits([theta, *value, *around, *(end for _, *ends in middle for end in ends)])
    most = [float(path.max_n)] if plottable(path.max_n) and path.max_n > 0 else []
    axes.set_xlim(0, 1.03 * max(n + most))
    axes.set_ylim(low, high)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_INK)
    axes.tick_params(colors=_INK, labelsize=_SMALL, length=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.set_title(label, loc="left", fontsize=_TEXT, color=_INK, pad=8)
    axes.set_xlabel("observations", fontsize=_SMALL, color=_INK)
    _hatch(axes.axhspan, path.comparator, low, theta, high)
    axes.axhline(theta, color=_INK, linewidth=1.4, linestyle=(0, (4, 2)))
    for end in most:
        axes.axvline(end, color=_INK, linewidth=1)
        axes.annotate(
            "maximum", (end, high), (-3, -3), textcoords="offset points", ha="right", va="top", fontsize=_SMALL,
            color=_INK,
        )  # fmt: skip
    where = [at for at, _, _ in held]
    for sign in (-1, 1):
        # A value beyond it is one whose interval leaves θ out: both say the same.
        bound = [theta + sign * (upper / 2 - lower / 2) for _, lower, upper in held]
        axes.plot(where, bound, color=_INK, linewidth=1.2, linestyle=(0, (1, 1.5)))
    for at, lower, upper in held:
        axes.plot([at, at], [lower, upper], color=_INK, linewidth=2)
    axes.plot(n, value, color=_INK, linewidth=0.8, marker="o", markersize=4)
    decisive = [(float(p.n), float(p.value)) for i, p in points if i == path.crossed]
    for at, there in decisive:
        axes.plot([at], [there], color=_INK, marker="D", markersize=9, fillstyle="none", markeredgewidth=1.6)


def _draw_bounds(axes: Axes, part: IntervalPart, low: float, high: float) -> None:
    """The bar between the bounds; where one is missing it runs into an arrow at the edge."""
    margin = 0.015 * (high - low)
    ends = []
    for bound, edge, confidence, letter, outside in (
        (part.lower, low, part.lower_confidence, "L", -1),
        (part.upper, high, part.upper_confidence, "U", 1),
    ):
        if plottable(bound):
            end, words = float(bound), f"{letter} {percent(confidence)}" if confidence is not None else letter
            axes.plot([end, end], [-0.38, 0.38], color=_INK, linewidth=2)
            axes.annotate(
                words, (end, 0.38), (3 * outside, 3), textcoords="offset points", fontsize=_SMALL, color=_INK,
                ha="left" if outside > 0 else "right", va="bottom",
            )  # fmt: skip
        else:
            end, words = edge - outside * margin, f"no {letter}"
            axes.plot([end], [0], marker=">" if outside > 0 else "<", markersize=9, color=_INK, linestyle="none")
            axes.annotate(
                words, (end, 0.2), (0, 3), textcoords="offset points", fontsize=_SMALL, color=_INK,
                ha="right" if outside > 0 else "left", va="bottom",
            )  # fmt: skip
        ends.append(end)
    axes.plot(ends, [0, 0], color=_INK, linewidth=2.6, solid_capstyle="butt")


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Room around all values, also where they are one and the same."""
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    pad = 0.22 * (high - low) if high > low else 0.5 * largest or 1.0
    pad = max(pad, 1e-9 * largest, 1e-100)  # an axis narrower than this has no floats for its ticks
    return low - pad, high + pad


def _anchor(x: float, low: float, high: float) -> str:
    """Alignment that keeps a label inside the axis."""
    share = (x - low) / (high - low)
    return "left" if share < 0.12 else "right" if share > 0.88 else "center"


def _fit(svg: str, name: str, labels: Mapping[str, str], title: str, description: str) -> str:
    """Make ids unique on a page, drop size and global styles, let ink follow the page, add the text alternative."""
    root = ET.fromstring(svg)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    for parent in root.iter():
        for child in list(parent):
            # matplotlib's style rule would apply to the whole page it stands on.
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        if element.tag == f"{{{_SVG}}}text":
            element.text = labels.get(element.text or "", element.text)
        for key, value in element.attrib.items():
            if key == "id":
                value = f"{name}-{value}"
            elif key == f"{{{_XLINK}}}href" and value.startswith("#"):
                value = f"#{name}-{value[1:]}"
            elif key in ("style", "clip-path", "fill", "stroke"):
                value = value.replace(_INK, "currentColor").replace("url(#", f"url(#{name}-")
            element.set(key, value)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(position, element)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    return ET.tostring(root, encoding="unicode")
