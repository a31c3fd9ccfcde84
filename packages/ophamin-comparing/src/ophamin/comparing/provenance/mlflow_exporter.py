"""The exporter ``mlflow``: a record as a run of a tracking server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ophamin import registry
from ophamin.proof.errors import UsageError
from ophamin.protocols import LossReport

__all__ = ["MLflowExporter"]

JSON = Any
EXPERIMENT = "ophamin"


class MLflowExporter:
    """Logs a record of any installed kind to a tracking server; what it writes is the address of the run.

    Example:
        >>> MLflowExporter().name
        'mlflow'
    """

    name = "mlflow"
    media_type = "application/json"

    @property
    def kinds(self) -> Sequence[str]:
        """Every installed kind of record."""
        return registry.records.names()

    def export(self, record: Mapping[str, JSON], out: BinaryIO, **options: JSON) -> LossReport:
        """Log ``record`` and write ``{tracking_uri, experiment, run_id, new}``.

        Args:
            record: A signed record of an installed kind.
            out: Where the address goes.
            **options: ``uri`` (default: ``$MLFLOW_TRACKING_URI``), ``experiment`` (default: ``ophamin``), ``folder``
                with the files that belong to the record.

        Raises:
            UsageError: No address was given.
            TypeError: An option is unknown.
            MissingDependency: MLflow is not installed.
            SubstrateFailure: The server does not answer.
        """
        unknown = sorted(set(options) - {"uri", "experiment", "folder"})
        if unknown:
            raise TypeError(f"the MLflow exporter has no option {', '.join(unknown)}")
        uri = options.get("uri") or os.environ.get("MLFLOW_TRACKING_URI", "")
        if not uri:
            raise UsageError("no tracking server is named; set MLFLOW_TRACKING_URI or use ophamin mlflow log --uri")
        from ophamin.comparing.provenance.tracking import ToLog, Tracking
        from ophamin.proof.signed import identify

        kind = identify(record, [registry.records.get(name) for name in registry.records.names()])
        folder = options.get("folder")
        tracking = Tracking(str(uri), str(options.get("experiment") or EXPERIMENT))
        [logged] = tracking.log([ToLog(record, kind, Path(folder) if folder else None)])
        address = {"tracking_uri": tracking.public_uri, "experiment": tracking.experiment}
        out.write(json.dumps({**address, "run_id": logged.run_id, "new": logged.new}).encode("utf-8") + b"\n")
        return LossReport(tuple(logged.lost))
