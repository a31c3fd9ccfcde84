"""Stacks as a tree of frames, which is what gets drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ophamin.instrumenting.flame._stacks import Stack, frame_key

__all__ = ["Frame", "tree_of"]


@dataclass(slots=True)
class Frame:
    """A frame in its place in the stacks.

    Args:
        label: What it is called.
        total: Weight of it and of all it called.
        alone: Weight of itself.
        before: In a comparison, ``total`` of the first capture.
        below: What it called, by key.
    """

    label: str
    total: int = 0
    alone: int = 0
    before: int = 0
    below: dict[str, Frame] = field(default_factory=dict)

    def called(self) -> list[Frame]:
        """What it called, by name: a flame graph's horizontal axis is the alphabet, not time."""
        return [self.below[key] for key in sorted(self.below)]

    def walk(self) -> Iterator[Frame]:
        """It and everything below, without recursion: stacks may be deeper than Python's."""
        waiting = [self]
        while waiting:
            frame = waiting.pop()
            yield frame
            waiting += frame.below.values()


def tree_of(weights: Mapping[Stack, int], before: Mapping[Stack, int] | None = None) -> Frame:
    """The tree of stacks, its root being everything.

    Args:
        weights: The stacks that give the widths.
        before: Stacks to compare with; frames then match by name and file, not by line.
    """
    root = Frame("all")
    key_of = (lambda frame: frame) if before is None else frame_key
    for stack, weight in weights.items():
        root.total += weight
        node = root
        for frame in stack:
            node = node.below.setdefault(key_of(frame), Frame(frame))
            node.total += weight
        node.alone += weight
    for stack, weight in (before or {}).items():
        root.before += weight
        node = root
        for frame in stack:
            node = node.below.setdefault(key_of(frame), Frame(frame))
            node.before += weight
    return root
