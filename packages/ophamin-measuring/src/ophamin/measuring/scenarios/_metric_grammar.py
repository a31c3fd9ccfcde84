"""The grammar of a claim in words: ``METRIC COMPARATOR VALUE [and METRIC COMPARATOR VALUE …]``.

=======================  ==================================================================
``accuracy``             share of records answered with their label
``error_rate``           share of cycles that fail
``rate(ROLE)``           share of cycles whose ROLE is true
``mean(ROLE)``           mean of ROLE
``median(ROLE)``         quantiles of ROLE: also ``p50`` … ``p99.9(ROLE)`` and ``quantile(ROLE, 0.95)``
``…_difference``         of ``accuracy``, ``error_rate``, ``rate(ROLE)``, ``mean(ROLE)``: arm *head* − arm *base*
=======================  ==================================================================
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches

from ophamin.proof.errors import UsageError

__all__ = ["EXAMPLE", "Part", "parse_claim"]

EXAMPLE = "--set claim='accuracy >= 0.9'"
_BARE = ("accuracy", "error_rate")
_OF_ROLE = ("rate", "mean", "median", "quantile")
_SPLIT = re.compile(r"\s+and\s+", re.IGNORECASE)
_CLAIM = re.compile(r"(?P<metric>[^<>=!≤≥~]*?)\s*(?P<comparator>[<>=!≤≥~]+)\s*(?P<value>.*)", re.DOTALL)
_METRIC = re.compile(r"(?P<name>[A-Za-z_]\w*(?:\.\d+)?)\s*(?:\(\s*(?P<args>[^()]*)\))?")
_ROLE = re.compile(r"[A-Za-z_][\w.-]*")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
_COMPARATORS = {"<=": "<=", "≤": "<=", "=<": "<=", "<": "<", ">=": ">=", "≥": ">=", "=>": ">=", ">": ">"}
_SLIPS = {"=": ">= or <=", "!=": "> or <", "~": ">= and <=", "<<": "<", ">>": ">", "<>": "> or <"}


@dataclass(frozen=True)
class Part:
    """One threshold in words.

    Args:
        kind: ``accuracy``, ``error_rate``, ``rate``, ``mean`` or ``quantile``.
        role: Observable it speaks of, "" for ``accuracy`` and ``error_rate``.
        q: Which quantile, in (0, 1).
        difference: Whether it is the difference of two arms, head − base.
        comparator: ``<=``, ``<``, ``>=`` or ``>``.
        value: θ.
        metric: The metric as written, spaces removed.
    """

    kind: str
    role: str
    q: float | None
    difference: bool
    comparator: str
    value: float
    metric: str

    @property
    def proportion(self) -> bool:
        """Whether one row is true or false."""
        return self.kind in ("accuracy", "error_rate", "rate")


def parse_claim(text: str) -> list[Part]:
    """Read a claim.

    Args:
        text: e.g. ``accuracy >= 0.9`` or ``rate(blocked) <= 2% and error_rate <= 0.01``.

    Returns:
        Its parts, all of which must hold.

    Raises:
        UsageError: It cannot be read; the message says what to write instead.

    Example:
        >>> [part] = parse_claim("p95(latency_s) <= 0.2")
        >>> part.kind, part.role, part.q, part.value
        ('quantile', 'latency_s', 0.95, 0.2)
    """
    if not text.strip():
        raise UsageError(f"say what is claimed, such as {EXAMPLE}")
    parts = [_part(piece.strip()) for piece in _SPLIT.split(text.strip())]
    if len({(p.metric, p.comparator) for p in parts}) < len(parts):
        raise UsageError(f"{text!r} states the same side of one metric twice; keep the stricter one")
    if len({p.difference for p in parts}) > 1:
        raise UsageError(f"{text!r} mixes one arm with two; state the difference as a claim of its own")
    return parts


def _part(text: str) -> Part:
    match = _CLAIM.fullmatch(text)
    if not match or not match["metric"] or not match["value"]:
        raise UsageError(f"{text!r} is not METRIC COMPARATOR VALUE, such as {EXAMPLE}")
    kind, role, q, difference, metric = _metric(match["metric"])
    value = _value(match["value"], text)
    comparator = match["comparator"]
    if comparator == "==":
        raise UsageError(
            f"{text!r}: no sample shows equality; write two claims that hold together, "
            f"'{metric} >= {value:g} - δ and {metric} <= {value:g} + δ' with the δ that is near enough for you"
        )
    if comparator not in _COMPARATORS:
        near = _SLIPS.get(comparator)
        raise UsageError(
            f"{text!r}: {comparator!r} is no comparator; use <=, <, >= or >" + (f", here {near}" if near else "")
        )
    low, high = (-1.0, 1.0) if difference else (0.0, 1.0)
    if kind in (*_BARE, "rate") and not low <= value <= high:
        raise UsageError(f"{text!r}: {metric} lies between {low:g} and {high:g}; write a share, such as 0.9 or 90%")
    return Part(kind, role, q, difference, _COMPARATORS[comparator], value, metric)


def _value(text: str, claim: str) -> float:
    number = text.strip()
    percent = number.endswith("%")
    try:
        value = float(number[:-1]) / 100 if percent else float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{claim!r}: {text!r} is no number; write the threshold as 0.9 or 90%, without a unit")
    return value


def _metric(text: str) -> tuple[str, str, float | None, bool, str]:
    match = _METRIC.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r} is no metric; {_known()}")
    name, args = match["name"], match["args"]
    difference = name.endswith("_difference")
    base = name.removesuffix("_difference")
    percentile = _PERCENTILE.fullmatch(base)
    if base not in (*_BARE, *_OF_ROLE) and not percentile:
        near = get_close_matches(base, [*_BARE, *_OF_ROLE, "p95"], 1)
        raise UsageError(f"no metric is called {name!r}; " + (f"did you mean {near[0]!r}? " if near else "") + _known())
    if base in _BARE:
        if args is not None:
            raise UsageError(f"{base} takes no observable: write {name}, or rate(ROLE) for the share of another one")
        return base, "", None, difference, name
    given = [a.strip() for a in (args or "").split(",")]
    wanted = f"{base}(ROLE, 0.95)" if base == "quantile" else f"{base}(ROLE)"
    if len(given) != (2 if base == "quantile" else 1) or not _ROLE.fullmatch(given[0]):
        raise UsageError(f"{text!r}: write {wanted}, where ROLE is what the system gives, such as value or latency_s")
    role = given[0]
    q = _quantile(base, percentile.group(1) if percentile else "", given, text)
    if q is not None and difference:
        raise UsageError(f"{name!r}: a quantile of two arms has no paired difference here; use mean_difference({role})")
    if q is None:
        return base, role, None, difference, f"{name}({role})"
    # One name for one quantile, however it was asked for.
    return "quantile", role, q, False, f"p{100 * q:g}({role})"


def _quantile(base: str, percent: str, given: list[str], text: str) -> float | None:
    if base in ("rate", "mean"):
        return None
    if base == "median":
        return 0.5
    try:
        q = round(float(percent) / 100, 12) if percent else float(given[1])
    except ValueError:
        q = math.nan
    if not 0 < q < 1:
        raise UsageError(f"{text!r}: a quantile lies between 0 and 1, such as quantile({given[0]}, 0.95)")
    return q


def _known() -> str:
    return (
        "metrics: accuracy, error_rate, rate(ROLE), mean(ROLE), median(ROLE), p95(ROLE), quantile(ROLE, 0.95), and "
        "for two arms accuracy_difference, error_rate_difference, rate_difference(ROLE), mean_difference(ROLE)"
    )
