"""Stacks and their weights: what a flame graph is drawn from, in the two formats other tools read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ophamin.proof.errors import UsageError

__all__ = ["Stack", "Stacks", "clean_text", "frame_key", "parse_capture"]

JSON = Any
Stack = tuple[str, ...]
UNITS = ("samples", "microseconds", "bytes")
SCHEMA = "https://www.speedscope.app/file-format-schema.json"
LONGEST_FRAME = 1_000
DEEPEST = 2_000
# What XML, a terminal or a line of text cannot carry.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")
_LINE = re.compile(r":\d+\)$")
_COUNT = re.compile(r"(.*\S)\s+(\d{1,18})\s*")
# Unit of a profile by speedscope, how many of ours one of it is, and ours.
_SCALES = {
    "none": (1, "samples"),
    "bytes": (1, "bytes"),
    "nanoseconds": (1e-3, "microseconds"),
    "microseconds": (1, "microseconds"),
    "milliseconds": (1e3, "microseconds"),
    "seconds": (1e6, "microseconds"),
}


def frame_key(frame: str) -> str:
    """A frame without its line number, so that code which only moved is still the same code.

    Example:
        >>> frame_key("Parser.parse (pkg/parser.py:41)")
        'Parser.parse (pkg/parser.py)'
    """
    return _LINE.sub(")", frame)


def clean_text(text: str) -> str:
    """The text without what XML, a terminal or a line cannot carry."""
    return _CONTROL.sub(" ", text)


def _clean(frame: str) -> str:
    """A frame that every format can carry: no control characters, no ``;``, which parts frames, not endless."""
    words = clean_text(str(frame)).replace(";", ",").strip() or "?"
    return words if len(words) <= LONGEST_FRAME else words[: LONGEST_FRAME - 1] + "…"


@dataclass(frozen=True)
class Stacks:
    """Call stacks, outermost frame first, each with how much of something it used.

    Equal stacks are added up, frames are made safe for every format, and the order is fixed, so equal
    captures give equal bytes.

    Args:
        weights: Stack → weight, whole numbers of ``unit``; weights of 0 or less are left out.
        unit: ``microseconds`` of CPU time, ``bytes`` or ``samples``.
        name: What was captured, one line.
        note: What a reader has to know, such as why there is nothing; one sentence or "".
        details: How it was captured (tool, rate, duration), shown with the graph.

    Raises:
        UsageError: There is no such unit.

    Example:
        >>> stacks = Stacks({("main", "load"): 30, ("main",): 10}, "samples", "demo")
        >>> print(stacks.collapsed(), end="")
        main 10
        main;load 30
        >>> stacks.total
        40
    """

    weights: Mapping[Stack, int]
    unit: str = "samples"
    name: str = ""
    note: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise UsageError(f"the unit of a flame graph is one of {', '.join(UNITS)}, not {self.unit!r}")
        clean: dict[str, str] = {}
        merged: dict[Stack, int] = {}
        for stack, weight in self.weights.items():
            if weight > 0 and stack:
                frames = tuple(clean.get(f) or clean.setdefault(f, _clean(f)) for f in stack[:DEEPEST])
                merged[frames] = merged.get(frames, 0) + int(weight)
        object.__setattr__(self, "weights", dict(sorted(merged.items())))
        object.__setattr__(self, "name", clean_text(self.name))
        object.__setattr__(self, "note", clean_text(self.note))

    @property
    def total(self) -> int:
        """All weights together; 0 when nothing was captured."""
        return sum(self.weights.values())

    def __add__(self, other: Stacks) -> Stacks:
        """Both captures together, named as the first.

        Raises:
            UsageError: They are of different units.
        """
        if self.unit != other.unit and self.weights and other.weights:
            raise UsageError(f"stacks in {self.unit} and in {other.unit} cannot be added")
        weights = dict(self.weights)
        for stack, weight in other.weights.items():
            weights[stack] = weights.get(stack, 0) + weight
        notes = dict.fromkeys(note for note in (self.note, other.note) if note)
        unit = self.unit if self.weights or not other.weights else other.unit
        return Stacks(weights, unit, self.name or other.name, " ".join(notes), {**other.details, **self.details})

    def under(self, *frames: str) -> Stacks:
        """The same stacks below these outer frames, e.g. the name of a process."""
        return Stacks(
            {(*frames, *s): w for s, w in self.weights.items()}, self.unit, self.name, self.note, self.details
        )

    def collapsed(self) -> str:
        """Collapsed stacks: one line ``outer;inner WEIGHT`` each, the format of flamegraph.pl, sorted."""
        return "".join(f"{';'.join(stack)} {weight}\n" for stack, weight in self.weights.items())

    @classmethod
    def from_collapsed(cls, text: str, *, unit: str = "samples", name: str = "") -> Stacks:
        """Read collapsed stacks, whoever wrote them.

        Raises:
            UsageError: A line is not frames and a whole number.
        """
        weights: dict[Stack, int] = {}
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            match = _COUNT.fullmatch(line.rstrip("\r"))
            if match is None:
                shown = line if len(line) <= 60 else line[:60] + "…"
                raise UsageError(f"line {number} is not a collapsed stack, such as 'main;load 30': {shown!r}")
            stack = tuple(match[1].split(";"))
            weights[stack] = weights.get(stack, 0) + int(match[2])
        return cls(weights, unit, name)

    def speedscope(self) -> dict[str, JSON]:
        """The capture as an object of speedscope's file format (https://www.speedscope.app), one sampled profile."""
        index: dict[str, int] = {}
        samples = [[index.setdefault(frame, len(index)) for frame in stack] for stack in self.weights]
        return {
            "$schema": SCHEMA,
            "name": self.name,
            "exporter": "ophamin",
            "activeProfileIndex": 0,
            "shared": {"frames": [{"name": frame} for frame in index]},
            "profiles": [
                {
                    "type": "sampled",
                    "name": self.note or self.name,
                    "unit": "none" if self.unit == "samples" else self.unit,
                    "startValue": 0,
                    "endValue": self.total,
                    "samples": samples,
                    "weights": list(self.weights.values()),
                }
            ],
        }

    @classmethod
    def from_speedscope(cls, obj: Mapping[str, JSON], *, name: str = "") -> Stacks:
        """Read a speedscope file, sampled and evented profiles; several profiles (threads) are added up.

        Raises:
            UsageError: It is not of that format.
        """
        try:
            frames = [_labelled(frame) for frame in obj["shared"]["frames"]]
            found: dict[Stack, float] = {}
            units = set()
            for profile in obj["profiles"]:
                scale, unit = _SCALES[profile["unit"]]
                units.add(unit)
                read = _sampled if profile["type"] == "sampled" else _evented
                for stack, weight in read(profile, frames):
                    found[stack] = found.get(stack, 0) + weight * scale
            weights = {stack: round(weight) for stack, weight in found.items()}
            name = name or str(obj.get("name") or "")
        except (KeyError, TypeError, IndexError, ValueError, AttributeError, OverflowError) as error:
            raise UsageError(f"not a speedscope file: {type(error).__name__}: {error}") from error
        if len(units) > 1:
            raise UsageError("its profiles are in different units; keep one of them")
        return cls(weights, units.pop() if units else "samples", name)

    def svg(self, *, title: str = "", width: int = 1200) -> bytes:
        """A self-contained SVG that any browser opens without network; see ``ophamin.instrumenting.flame``.

        Args:
            title: Headline; default the name.
            width: Pixels, at least 400.
        """
        from ophamin.instrumenting.flame._svg import render

        return render(self, title=title, width=width)


def _labelled(frame: Mapping[str, JSON]) -> str:
    name, file, line = str(frame["name"]), frame.get("file"), frame.get("line")
    if not file or name.endswith(")"):
        return name
    return f"{name} ({file}:{line})" if line else f"{name} ({file})"


def _sampled(profile: Mapping[str, JSON], frames: Sequence[str]) -> Iterator[tuple[Stack, float]]:
    samples, weights = profile["samples"], profile["weights"]
    if len(samples) != len(weights):
        raise ValueError(f"{len(samples)} samples and {len(weights)} weights")
    for sample, weight in zip(samples, weights, strict=True):
        yield tuple(frames[_position(i)] for i in sample), float(weight)


def _evented(profile: Mapping[str, JSON], frames: Sequence[str]) -> Iterable[tuple[Stack, float]]:
    open_frames: list[int] = []
    last = profile["startValue"]
    for event in profile["events"]:
        if open_frames and event["at"] > last:
            yield tuple(frames[i] for i in open_frames), float(event["at"] - last)
        last = event["at"]
        frame = _position(event["frame"])
        if event["type"] == "O":
            open_frames.append(frame)
        elif open_frames and open_frames[-1] == frame:
            open_frames.pop()
        else:
            raise ValueError("a frame is closed that is not the innermost open one")


def _position(value: JSON) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not the index of a frame")
    return value


def parse_capture(data: bytes, *, name: str = "", unit: str = "samples") -> Stacks:
    """Read a capture of either format: speedscope JSON or collapsed stacks.

    Args:
        data: The file's bytes.
        name: What it is called.
        unit: Unit of collapsed stacks, which do not tell it themselves.

    Raises:
        UsageError: It is neither.

    Example:
        >>> parse_capture(b"main;load 30\\n").total
        30
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"neither collapsed stacks nor speedscope JSON: byte {error.start} is not UTF-8") from error
    if not text.lstrip().startswith("{"):
        return Stacks.from_collapsed(text, unit=unit, name=name)
    try:
        obj = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"neither collapsed stacks nor speedscope JSON: {error}") from error
    return Stacks.from_speedscope(obj, name=name)
