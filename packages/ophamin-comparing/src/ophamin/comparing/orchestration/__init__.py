"""Sweeps of many runs: a design, a journal that survives a kill, executors from one process to a cluster."""

from __future__ import annotations

from ophamin.comparing.orchestration.design import assignments, ordered
from ophamin.comparing.orchestration.executors import open_executor
from ophamin.comparing.orchestration.journal import SweepJournal
from ophamin.comparing.orchestration.runner import Cell, CellResult, ExperimentRunner
from ophamin.comparing.orchestration.work import Limits

__all__ = [
    "Cell",
    "CellResult",
    "ExperimentRunner",
    "Limits",
    "SweepJournal",
    "assignments",
    "open_executor",
    "ordered",
]
