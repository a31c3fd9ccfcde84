"""What a run, a plan, a reproduction and a recomputation say to people and to programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ophamin.measuring.scenarios._road.remarks import remarks
from ophamin.measuring.scenarios.judging import Judgement
from ophamin.measuring.scenarios.recomputing import Recomputation
from ophamin.measuring.scenarios.reproduction import Reproduction
from ophamin.proof.errors import UsageError
from ophamin.proof.types import to_json

if TYPE_CHECKING:
    from ophamin.measuring.scenarios.cycle_metrics import RunMetrics  # follows drift, and so loads river

__all__ = [
    "judgement_json",
    "judgement_text",
    "metrics_text",
    "plan_text",
    "recomputation_text",
    "reproduction_text",
    "run_text",
    "summary",
]

JSON = Any


def _printable(text: str) -> str:
    """Text that cannot steer a terminal, whatever a claim or a path holds; its lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)


def summary(record: Mapping[str, JSON], path: str) -> dict[str, JSON]:
    """What ``run --json`` prints of a stored record."""
    verdict, registered = record["verdict"], record["preregistration"]
    counts = ("n_planned", "n_used", "n_errors", "n_unmeasured")
    return {
        "outcome": verdict["outcome"],
        "reasoning": verdict["reasoning"],
        "threshold": verdict["threshold"],
        "observed_value": verdict["observed_value"],
        "interval": verdict["interval"],
        "co_primary": verdict["co_primary"],
        **{name: verdict[name] for name in counts},
        **{name: verdict[name] for name in ("n_max", "stopped_at", "cycles_saved", "stopped_by") if name in verdict},
        "attempt": registered["attempt"],
        "alpha_used": registered["alpha_used"],
        "error_bound": registered["error_bound"],
        "seed": registered["seed"],
        "proof_id": record["proof_id"],
        "path": path,
    }


def run_text(record: Mapping[str, JSON], path: str) -> str:
    """The verdict for people: outcome, interval against threshold, n, error bound, proof."""
    verdict, registered = record["verdict"], record["preregistration"]
    parts = [(record["claim"]["threshold"], verdict)]
    parts += [
        (claimed["threshold"], found)
        for claimed, found in zip(record["claim"]["co_primary"], verdict["co_primary"], strict=True)
    ]
    lines = [f"{verdict['outcome']}  {record['claim']['statement']}"]
    for threshold, found in parts:
        lines.append(f"  {_against(threshold, found)}")
    if verdict["decided_by"].startswith("none"):
        lines.append(f"  not decided: {verdict['decided_by'].removeprefix('none: ')}")
    failed = f", {verdict['n_errors']} errors, {verdict['n_unmeasured']} unmeasured"
    lines.append(f"  cycles   {verdict['n_used']} of {verdict['n_planned']} used{failed}")
    if "n_max" in verdict:
        saved = f", {verdict['cycles_saved']} saved" if verdict["cycles_saved"] else ""
        lines.append(f"  stopped  at {verdict['stopped_at']} of at most {verdict['n_max']} cycles{saved}")
    common = record["evidence"][0]["detail"].get("commonest_error") if record["evidence"] else None
    if common:
        lines.append(f"  error    {common['error']} ({common['cycles']} cycles, the commonest)")
    lines += [f"  asked    {words}" for words in _asked(record)]
    lines.append(f"  attempt  {registered['attempt']}; a false claim would be VALIDATED so far with probability "
                 f"<= {registered['error_bound']:g}")  # fmt: skip
    lines += [f"  note     {words}" for words in remarks(registered, record["data"]["datasets"])]
    lines += [f"  {more}" for more in _more(record)]
    lines += [f"  proof    {record['proof_id']}", f"  path     {path}"]
    return _printable("\n".join(lines))


def _number(value: JSON) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _against(threshold: Mapping[str, JSON], found: Mapping[str, JSON]) -> str:
    units = f" {threshold['units']}" if threshold["units"] else ""
    value = found["observed_value"]
    words = f"{threshold['metric']}" + (" has no value" if value is None else f" = {_number(value)}{units}")
    interval = found["interval"]
    if interval is not None:
        low = "-inf" if interval["lower"] is None else _number(interval["lower"])
        high = "inf" if interval["upper"] is None else _number(interval["upper"])
        words += f", interval [{low}, {high}]"
    return f"{words} against {threshold['comparator']} {_number(threshold['value'])}{units}"


def _more(record: Mapping[str, JSON]) -> list[str]:
    """After INCONCLUSIVE: the n of a new registration, at the α it would have."""
    verdict, registered = record["verdict"], record["preregistration"]
    if not verdict["n_used"]:
        return []  # a larger sample of nothing decides nothing
    if verdict["outcome"] != "INCONCLUSIVE" or verdict["interval"] is None or record["claim"]["co_primary"]:
        return []
    from ophamin.measuring.decision import alpha_for
    from ophamin.measuring.planning import how_many_more
    from ophamin.proof.types import Decision, Interval, Threshold

    decision = Decision(**record["claim"]["decision"])
    if decision.rule == "sequential":
        decision = replace(decision, rule="interval", method="")  # what a fixed n would be
    threshold = Threshold(**record["claim"]["threshold"])
    try:
        alpha = alpha_for(decision.alpha, registered["attempt"] + 1, decision.attempts)
        more = how_many_more(threshold, decision, Interval(**verdict["interval"]), alpha=alpha)
        left = _left(record)
        short = more.high is not None and left is not None and left < more.high
        return [
            f"next     {more.note}"
            + (f"; the corpus has {f'at most {left}' if left else 'none'} left" if short else "")
        ]
    except UsageError:
        return []  # nothing can be told without a smallest difference or a further attempt


def _left(record: Mapping[str, JSON]) -> int | None:
    """Records this attempt did not measure; earlier attempts may have measured some of them."""
    data = record["data"]["datasets"][0]
    found: int = data["n_records"] - data["selection"]["n_selected"]
    return max(0, found)


def _asked(record: Mapping[str, JSON]) -> list[str]:
    """That fewer units were measured than ``--n`` asked for."""
    asked = record["reproduction"]["run_spec"]["n"]
    data, got = record["data"]["datasets"][0], record["preregistration"]["plan"]["n_units"]
    if asked is None or asked <= got:
        return []
    return [f"n = {asked}, and {got} were found: the corpus has {data['n_records']} records"]


def plan_text(found: Mapping[str, JSON]) -> str:
    """A plan for people: n by threshold and jointly, or what the given n settles, and the time it takes."""
    lines = [found["statement"]]
    if found["rule"] == "exact":
        lines.append("  rule exact: the whole corpus is measured, twice; there is no sampling error to plan for")
    per = f" in each of {', '.join(found['strata'])}" if found["strata"] else ""
    for part in found["parts"]:
        delta = "" if part["delta"] is None else f", smallest difference worth knowing δ = {part['delta']:g}"
        lines.append(f"  {part['threshold']}{delta}")
        if part["n"] is not None and found["given_n"] is None:
            lines.append(f"    n = {part['n']} units{per} for power {found['power']:g}")
        if part["smallest_difference"] is not None:
            lines.append(f"    settles a difference of {part['smallest_difference']:.4g} with that n")
        if part["least_n"] is not None:
            lines.append(f"    fewer than {part['least_n']} can never validate")
    if found["n"] is not None:
        what = "jointly" if len(found["parts"]) > 1 else "altogether"
        lines.append(f"  {what}: n = {found['n']} units{per}, {found['n_cycles']} cycles")
        if found["power_validate"] is not None:
            lines.append(
                f"    power {found['power_validate']:.3f} to validate if {_truths(found['validate_at'])}, "
                f"{found['power_refute']:.3f} to refute if {_truths(found['refute_at'], ' or ')}"
                + (" (underpowered)" if found["underpowered"] else "")
            )
        if found["expected_n_validate"] is not None:
            fixed = "" if found["fixed_n"] is None else f"; a fixed n would be {found['fixed_n']}"
            lines.append(
                "    n is the maximum: it stops after about "
                f"{found['expected_n_validate']:.0f} of them in the first case, "
                f"{found['expected_n_refute']:.0f} in the second{fixed}"
            )
    if found["family"] is not None and found["family"]["n"] is not None:
        lines += _family_lines(found["family"])
    if found["n_records"] is not None:
        words = f"the corpus has {found['n_records']} records"
        short = found["n"] is not None and found["n_cycles"] > found["n_records"] * found["arms"]
        lines.append(f"  {words}, fewer than that" if short else f"  {words}")
    lines += [f"  note: {note}" for note in found["notes"]]
    if found["seconds"] is not None:
        lines.append(
            f"  time: about {found['seconds']:.1f} s, from {found['timed_cycles']} cycles whose outputs nobody read"
        )
    return _printable("\n".join(lines))


def _family_lines(family: Mapping[str, JSON]) -> list[str]:
    """What the correction asks of a claim, and what the family shows if all its claims are alike."""
    lines = [
        f"  family: {family['m']} claims, corrected by {family['correction']} at alpha {family['alpha']:g}; planned at "
        f"{family['first_alpha']:.4g}, so that each has this power whatever the others show"
    ]
    for name, where in (("validated", "δ inside"), ("refuted", "δ outside")):
        if (found := family[name]) is not None:
            lines.append(
                f"    if all truths lie {where}, independent: {found['each']:.3f} that a claim is {name}, "
                f"{found['all']:.3f} that all are, {found['any']:.3f} that any is"
            )
    return lines


def _truths(at: Mapping[str, float], joined: str = " and ") -> str:
    """Truths at which a power holds."""
    return joined.join(f"{metric} is really {value:.6g}" for metric, value in at.items())


def reproduction_text(found: Reproduction) -> str:
    """A reproduction for people: the answer, and how far each threshold's metric moved."""
    how = "exactly: the same observations" if found.exact else "not to the digit"
    lines = [f"{found.answer}  {how} ({found.n} cycles)"]
    for part in found.comparisons:
        bounds = "" if part.lower is None else f" = {_number(part.difference)} [{part.lower:.6g}, {part.upper:.6g}]"
        margin = "" if part.margin is None else f" against ±{part.margin:g}"
        reason = f"; {part.reason}" if part.reason else ""
        lines.append(f"  difference in {part.metric}{bounds}{margin}: {part.answer}{reason}")
    return _printable("\n".join(lines))


def recomputation_text(found: Recomputation) -> str:
    """A recomputation for people: whether the rows give what the proof states, and where not."""
    if found.agrees:
        lines = [f"its {found.n} rows give what it states: {found.outcome}"]
    else:
        lines = [f"NOT what its {found.n} rows give, which is {found.outcome}"]
    for one in found.differences:
        lines.append(f"  {one.what} is stated as {one.stated!r:.80}, and is {one.found!r:.80}")
    if not found.code:
        lines.append("  note: the scenario's code is not that of the run, by its hash")
    return _printable("\n".join(lines))


def judgement_json(found: Judgement) -> dict[str, JSON]:
    """What ``decide --json`` prints."""
    decided = found.decision
    return {
        "outcome": decided.outcome,
        "statement": found.claim.statement,
        "reasoning": decided.reasoning,
        "decided_by": decided.decided_by,
        "timing": found.timing,
        "alpha": found.alpha,
        "design": found.design,
        "parts": [
            {
                "threshold": to_json(part.threshold),
                "outcome": part.outcome,
                "observed_value": part.estimate.value,
                "interval": to_json(part.interval),
                "interval_method": part.evidence.interval_method,
                "guarantee": part.evidence.guarantee,
                "estimator": part.decision.estimator,
                "library": f"{part.evidence.library} {part.evidence.library_version}",
                "n_planned": part.n_planned,
                "n_used": part.n_used,
                "n_errors": part.n_errors,
                "n_unmeasured": part.n_unmeasured,
                "n_groups": part.evidence.n_groups,
                "p_validated": part.p_validated,
                "p_refuted": part.p_refuted,
                "reason": part.reason,
            }
            for part in decided.parts
        ],
        "next": found.next,
        "notes": list(found.notes),
    }


def judgement_text(found: Judgement) -> str:
    """The verdict for people, and plainly that nothing was registered."""
    decided = found.decision
    lines = [f"{decided.outcome}  {found.claim.statement}"]
    for part in decided.parts:
        interval = {"observed_value": part.estimate.value, "interval": to_json(part.interval)}
        lines.append(f"  {_against(to_json(part.threshold), interval)}")
        units = part.evidence.n_groups
        grouped = f" in {units} independent units" if units is not None and units != part.estimate.n else ""
        lines.append(f"  by       {part.evidence.interval_method} ({part.evidence.guarantee}, {part.evidence.library} "
                     f"{part.evidence.library_version}), one-sided α {found.alpha:g}")  # fmt: skip
        failed = f", {part.n_errors} errors or empty, {part.n_unmeasured} unmeasured"
        lines.append(f"  rows     {part.n_used} of {part.n_planned} used{grouped}{failed}")
        if part.reason:
            lines.append(f"  not decided: {part.reason}")
    if found.next:
        lines.append(f"  next     {found.next}")
    lines += [f"  note     {words}" for words in found.notes]
    return _printable("\n".join(lines))


def metrics_text(found: RunMetrics) -> str:
    """What tier 2 compares with, and the bundle of the last cycle."""
    n = len(found.bundles)
    what = f"each cycle's {found.metric}" if found.metric else "no value of a cycle, for the claim has none"
    lines = [f"proof {found.proof_id}: {n} cycles, one bundle each", f"  followed: {what}"]
    for name, value in found.registered.items():
        shown = ", ".join(f"{k} {v:g}" for k, v in value.items()) if isinstance(value, Mapping) else f"{value:g}"
        lines.append(f"    {name} = {shown}")
    if n:
        last = found.bundles[-1]
        lines.append(f"  after cycle {last.index} ({last.arm}, {last.status}):")
        lines += [f"    {name} = {value:.6g}" for name, value in last.values.items()]
    if skipped := sorted({role for bundle in found.bundles for role in bundle.skipped}):
        lines.append(f"  no numbers, so in no bundle: {', '.join(skipped)}")
    return _printable("\n".join(lines))
