"""What a run says of a sequential rule: the looks it registers, and after the stop where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.protocols import RunSpec, ScenarioProtocol

__all__ = ["looks_option", "stop_sentence", "stopping_words"]

JSON = Any


def looks_option(scenario: ScenarioProtocol, spec: RunSpec) -> tuple[dict[str, JSON], str]:
    """The scenario's options, and the method that ``--set looks=50,100,200`` registers.

    Looks belong to the rule and not to the scenario, so every scenario has them where the rule is sequential.

    Raises:
        UsageError: Looks without a sequential rule, or beside another method.
    """
    options = dict(spec.options)
    if "looks" in scenario.options or not {"looks", "spending"} & set(options):
        return options, ""
    if spec.rule != "sequential":
        raise UsageError("looks and spending belong to rule sequential; add --sequential, or leave them out")
    looks, spending = options.pop("looks", None), options.pop("spending", "")
    if looks is None:
        raise UsageError("spending says how alpha is spent over registered looks; name them, --set looks=50,100,200")
    if options.get("method", "auto") != "auto":
        raise UsageError(f"--set looks=… registers a method of its own, so leave out --set method={options['method']}")
    listed = looks if isinstance(looks, str) else ",".join(map(str, looks)) if isinstance(looks, list) else str(looks)
    listed = listed.strip("[]").replace(" ", "")
    return options, f"group-sequential:{listed}" + (f"?spending={spending}" if spending else "")


def stopping_words(n_max: int, n: int, decided: bool) -> dict[str, JSON]:
    """What the verdict says of the stop, in cycles.

    Args:
        n_max: Most that were registered.
        n: Measured.
        decided: Whether a crossing ended the run.
    """
    return {
        "n_max": n_max,
        "stopped_at": n,
        "cycles_saved": n_max - n,
        "stopped_by": "crossing" if decided else "n_max",
    }


def stop_sentence(verdict: Mapping[str, JSON]) -> str:
    """The same as a sentence for the reasoning; "" for a run that cannot stop early."""
    if "n_max" not in verdict:
        return ""
    n, most = verdict["stopped_at"], verdict["n_max"]
    if verdict["stopped_by"] == "crossing":
        return f"Stopped after {n} of at most {most} cycles."
    return f"Not decided within its {most} cycles, and no last test is made at that n."
