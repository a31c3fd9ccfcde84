"""What plugs into Ophamin: protocols, and the values that cross from wheel to wheel.

Names are loaded on use (PEP 562): the command starts without the two dozen dataclasses it may not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ophamin.protocols.plugins import (
        Auditor,
        Check,
        CheckResult,
        DatasetConnector,
        Estimator,
        Exporter,
        Instrument,
        Pillar,
        RecordKind,
        Renderer,
        Runner,
        ScenarioProtocol,
        SubstrateProbe,
    )
    from ophamin.protocols.settings import Settings
    from ophamin.protocols.types import (
        Availability,
        Columns,
        Control,
        CycleResult,
        DatasetInfo,
        Estimate,
        EstimatorCall,
        LossReport,
        OptionSpec,
        PillarResult,
        Progress,
        Record,
        RunResult,
        RunSpec,
        Score,
        SubstrateIdentity,
        SweepSpec,
    )

__all__ = [
    "Auditor",
    "Availability",
    "Check",
    "CheckResult",
    "Columns",
    "Control",
    "CycleResult",
    "DatasetConnector",
    "DatasetInfo",
    "Estimate",
    "Estimator",
    "EstimatorCall",
    "Exporter",
    "Instrument",
    "LossReport",
    "OptionSpec",
    "Pillar",
    "PillarResult",
    "Progress",
    "Record",
    "RecordKind",
    "Renderer",
    "RunResult",
    "RunSpec",
    "Runner",
    "ScenarioProtocol",
    "Score",
    "Settings",
    "SubstrateIdentity",
    "SubstrateProbe",
    "SweepSpec",
]

_PLUGINS = frozenset(
    {
        "Auditor",
        "Check",
        "CheckResult",
        "DatasetConnector",
        "Estimator",
        "Exporter",
        "Instrument",
        "Pillar",
        "RecordKind",
        "Renderer",
        "Runner",
        "ScenarioProtocol",
        "SubstrateProbe",
    }
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = "plugins" if name in _PLUGINS else "settings" if name == "Settings" else "types"
    value = getattr(import_module(f"ophamin.protocols.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
