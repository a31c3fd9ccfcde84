"""Two captures of the same kind compared: where the share of a frame grew, and where it shrank."""

from __future__ import annotations

from dataclasses import dataclass

from ophamin.instrumenting.flame._stacks import Stack, Stacks, frame_key
from ophamin.instrumenting.flame._svg import draw
from ophamin.instrumenting.flame._tree import Frame, tree_of
from ophamin.instrumenting.flame._words import amount, percent
from ophamin.proof.errors import UsageError

__all__ = ["Change", "Difference", "difference"]

NAMED = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One frame in two captures, over all places it occurs in.

    Args:
        frame: Name and file, without the line.
        before: Share of the first capture it used itself, 0 to 1.
        after: Share of the second.
    """

    frame: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """How much the share grew; negative: shrank."""
        return self.after - self.before


@dataclass(frozen=True)
class Difference:
    """A differential flame graph (Gregg 2014): shares of the second capture against those of the first.

    Captures differ in length, so each is taken relative to its own total; frames match by name and file, so
    that code which only moved within its file is the same code.

    Args:
        before: The first capture.
        after: The second; it gives the widths.

    Raises:
        UsageError: They are in different units.

    Example:
        >>> a = Stacks({("main", "f"): 50, ("main", "g"): 50})
        >>> b = Stacks({("main", "f"): 150, ("main", "h"): 50})
        >>> [(c.frame, c.before, c.after) for c in Difference(a, b).changes()]
        [('g', 0.5, 0.0), ('f', 0.5, 0.75), ('h', 0.0, 0.25)]
    """

    before: Stacks
    after: Stacks

    def __post_init__(self) -> None:
        if self.before.unit != self.after.unit:
            raise UsageError(
                f"a capture in {self.before.unit} and one in {self.after.unit} cannot be compared; "
                "capture both the same way"
            )

    def changes(self) -> list[Change]:
        """Every frame that used something itself, by how much its share moved, most first."""
        shares: list[dict[str, float]] = []
        for stacks in (self.before, self.after):
            found: dict[str, float] = {}
            total = stacks.total
            for stack, weight in stacks.weights.items():
                key = frame_key(stack[-1])
                found[key] = found.get(key, 0) + weight / total
            shares.append(found)
        before, after = shares
        changes = [Change(f, before.get(f, 0.0), after.get(f, 0.0)) for f in {**before, **after}]
        return sorted(changes, key=lambda c: (-abs(c.change), c.frame))

    def removed(self) -> list[str]:
        """Frames of the first capture that the second has nowhere."""
        seen = {frame_key(frame) for stack in self.after.weights for frame in stack}
        gone = {frame_key(frame) for stack in self.before.weights for frame in stack} - seen
        return sorted(gone)

    def collapsed(self) -> str:
        """Two-column collapsed stacks, ``stack BEFORE AFTER``, as difffolded.pl writes and flamegraph.pl reads."""
        lines: dict[Stack, list[int]] = {}
        for column, stacks in enumerate((self.before, self.after)):
            for stack, weight in stacks.weights.items():
                lines.setdefault(tuple(map(frame_key, stack)), [0, 0])[column] += weight
        return "".join(f"{';'.join(stack)} {a} {b}\n" for stack, (a, b) in sorted(lines.items()))

    def svg(self, *, title: str = "", width: int = 1200) -> bytes:
        """The picture: widths of the second capture; red where a share grew, blue where it shrank.

        Frames that only the first capture has can have no width: they are named under the picture.

        Args:
            title: Headline; default the names of both.
            width: Pixels, at least 400.
        """
        root = tree_of(self.after.weights, self.before.weights)
        totals = (max(root.before, 1), max(root.total, 1))
        most = max((abs(_change(frame, totals)) for frame in root.walk()), default=0.0)

        def words(frame: Frame) -> str:
            then, now = frame.before / totals[0], frame.total / totals[1]
            return f"{percent(then)} before, {percent(now)} now, {percent(now - then, sign=True)}"

        unit = self.after.unit
        moved = [c for c in self.changes() if abs(c.change) >= 0.0005][:NAMED]
        told = [f"{c.frame}: {percent(c.before)} before, {percent(c.after)} now" for c in moved]
        facts = [f"before: {amount(root.before, unit)}", f"now: {amount(root.total, unit)}"]
        facts.append("widths: now; red: a larger share than before, blue: a smaller one")
        notes = [note for note in (self.before.note, self.after.note) if note]
        if not root.total or not root.before:
            which = "both captures" if not (root.total or root.before) else "the first" if root.total else "the second"
            notes.insert(0, f"Nothing was captured in {which}.")
        names = [stacks.name for stacks in (self.before, self.after) if stacks.name]
        return draw(
            root,
            title=title or " → ".join(dict.fromkeys(names)) or "differential flame graph",
            facts=facts,
            notes=notes,
            alternative="Own shares that moved most: " + "; ".join(told) + "." if told else "",
            color=lambda frame: _color(_change(frame, totals), most),
            words=words,
            width=width,
            below=self._gone(root.before),
        )

    def _gone(self, total: int) -> list[str]:
        seen = set(self.removed())
        gone: dict[str, int] = {}
        for stack, weight in self.before.weights.items():
            for key in {frame_key(frame) for frame in stack} & seen:
                gone[key] = gone.get(key, 0) + weight
        ranked = sorted(gone.items(), key=lambda item: (-item[1], item[0]))
        lines = [f"− {frame}: {percent(weight / total)} before, gone now" for frame, weight in ranked[:NAMED]]
        if len(ranked) > NAMED:
            lines.append(f"− and {len(ranked) - NAMED:,} more frames that are gone")
        return lines


def difference(before: Stacks, after: Stacks) -> Difference:
    """Compare two captures; see ``Difference``."""
    return Difference(before, after)


def _change(frame: Frame, totals: tuple[int, int]) -> float:
    return frame.total / totals[1] - frame.before / totals[0]


def _color(change: float, most: float) -> str:
    """White for no change, full red or blue for the largest one of the picture."""
    if most == 0 or abs(change) < 1e-9:
        return "hsl(0,0%,92%)"
    strength = min(abs(change) / most, 1.0)
    return f"hsl({0 if change > 0 else 212},85%,{94 - 24 * strength:.0f}%)"
