"""MLflow: records as runs of a tracking server, and runs back as lineage.

A record is logged once: it is found again by its digest. Nothing is read from MLflow's word alone: a record that comes
back is verified, and what is not what was signed is left out.

Source: MLflow's client and REST API, https://mlflow.org/docs/latest/ (3.x).
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ophamin import registry
from ophamin.comparing.provenance.filling import take_in
from ophamin.comparing.provenance.graph import mentions, provenance_of
from ophamin.comparing.provenance.lineage import LineageStore
from ophamin.comparing.provenance.neighbours import bound
from ophamin.comparing.provenance.runs_of import Shown, shown_of
from ophamin.proof.errors import MissingDependency, OphaminError, SubstrateFailure, UnknownRecord, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.printable import printable
from ophamin.proof.recordkind import RecordKind
from ophamin.proof.signed import verify
from ophamin.proof.store import Store

# Read when it is imported: without it MLflow reports home.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
try:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError
except ImportError as missing:
    raise MissingDependency("tracking with MLflow", "mlflow", "ophamin-comparing[mlflow]") from missing

__all__ = ["Imported", "Logged", "ToLog", "Tracking", "TrackingServerDown"]

JSON = Any
FOLDER = "record"
RECORD = "record.json"
CASES = "cases.json"
_ID_TAG = "ophamin.record_id"
_PAGE = 500
_BATCH = 100
_ANSWER_S = 10.0
_ENDED = {"FINISHED", "FAILED", "KILLED"}


class TrackingServerDown(SubstrateFailure):
    """The tracking server does not answer, or not as one."""


@dataclass(frozen=True)
class ToLog:
    """One record with what lies beside it.

    Args:
        record: As read.
        kind: Its kind.
        folder: Of its files, when it has one of its own.
    """

    record: Mapping[str, JSON]
    kind: RecordKind
    folder: Path | None = None

    @property
    def id(self) -> str:
        """The record's id."""
        return str(self.record[self.kind.id_field])


@dataclass(frozen=True)
class Logged:
    """A record's run.

    Args:
        record_id: The record.
        run_id: The run.
        new: Whether it was logged now.
        lost: What MLflow could not carry.
    """

    record_id: str
    run_id: str
    new: bool
    lost: Sequence[str] = ()


@dataclass
class Imported:
    """What came back.

    Args:
        runs: Ids of all runs of the experiment.
        records: Ids of the records that were verified and stored.
        left_out: Run id → why its record was not taken.
        files_left_out: ``RUN/NAME`` of a file beside a record that was taken → why the file was not.
        tampered: Whether one of them is not what was signed.
    """

    runs: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    files_left_out: dict[str, str] = field(default_factory=dict)
    tampered: bool = False


class Tracking:
    """One experiment of a tracking server or store.

    Args:
        uri: ``http://…``, ``https://…``, ``sqlite:///…`` or whatever else MLflow tracks to.
        experiment: Its name; made when something is logged.

    Raises:
        UsageError: MLflow knows no such kind of address.
        TrackingServerDown: Nothing answers there.

    Example:
        >>> Tracking("http://127.0.0.1:5000", "proofs").log([])  # doctest: +SKIP
        []
    """

    def __init__(self, uri: str, experiment: str) -> None:
        if not uri or not experiment:
            raise UsageError("give the address of a tracking server and an experiment: --uri and --experiment")
        self.uri, self.experiment = uri, experiment
        _ask(uri)
        with self._said():
            self._client = MlflowClient(tracking_uri=uri)

    @property
    def public_uri(self) -> str:
        """The address without a password that may stand in it."""
        parts = urlsplit(self.uri)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else self.uri

    def log(self, records: Sequence[ToLog], *, progress: Callable[[int, int], None] | None = None) -> list[Logged]:
        """Log records that are not there yet; one that names others becomes the parent of their runs.

        Args:
            records: Verified records.
            progress: Told how many of how many are logged.

        Raises:
            TrackingServerDown: It does not answer any more; what was logged stays.
        """
        named = {item.id: mentions(item.record, item.kind.id_field) for item in records}
        inside = {child: parent for parent, children in named.items() for child in children if child in named}
        logged: dict[str, Logged] = {}
        with self._said():
            experiment = self._experiment(create=True)
            # Parents first; a circle, which nobody makes by rights, has no parents.
            for number, item in enumerate(sorted(records, key=lambda i: (_depth(i.id, inside), i.id)), 1):
                parent = logged.get(inside.get(item.id, ""))
                logged[item.id] = self._log(experiment, item, parent.run_id if parent else "")
                if progress is not None:
                    progress(number, len(records))
        return [logged[item.id] for item in records]

    def fetch(self, lineage: LineageStore, store: Store) -> Imported:
        """Take every run of the experiment into the lineage, and the records of those that have one into the store.

        Args:
            lineage: Where runs go, with their parents; a run stands there as ``mlflow:RUN_ID``.
            store: Where records go, with their files, once they are verified.

        Raises:
            UnknownRecord: There is no such experiment.
            TrackingServerDown: It does not answer.
        """
        found, keyring = Imported(), Keyring()
        with self._said():
            experiment = self._experiment(create=False)
            runs = list(self._runs(experiment, ""))
            for run in runs:
                data, name = run.data, f"mlflow:{run.info.run_id}"
                attributes = {"tracking_uri": self.public_uri, "metrics": _finite(data.metrics), "params": data.params}
                lineage.begin("mlflow", run.info.run_name or "", run_id=name, started_at=_iso(run.info.start_time),
                              attributes=attributes)  # fmt: skip
                if run.info.status in _ENDED:
                    outcome = data.tags.get("ophamin.outcome") or run.info.status
                    lineage.end(name, outcome, ended_at=_iso(run.info.end_time))
                found.runs.append(name)
                if _ID_TAG in data.tags:
                    self._fetch_record(run, lineage, store, keyring, found)
            known = set(found.runs)
            for run in runs:
                parent = f"mlflow:{run.data.tags.get('mlflow.parentRunId', '')}"
                if parent in known:
                    with contextlib.suppress(UsageError):  # a circle someone made there is not taken over
                        lineage.link(parent, f"mlflow:{run.info.run_id}")
        return found

    def _fetch_record(self, run: Any, lineage: LineageStore, store: Store, keyring: Keyring, found: Imported) -> None:
        run_id = run.info.run_id
        with tempfile.TemporaryDirectory() as folder:
            try:
                there = Path(self._client.download_artifacts(run_id, FOLDER, folder))
                record = registry.read_record(there / RECORD)
                checked = verify(record, keyring)
                if record.id != run.data.tags[_ID_TAG]:
                    raise UnknownRecord("the run's tag names another record")
                if checked.exit_code == 3:
                    checked.require()
                files, unbound = bound(record.object, {p.name: p for p in sorted(there.iterdir()) if p.name != RECORD})
                # What its graph is no PROV for is known before anything is stored.
                provenance_of(record.object, record.kind.name, record.kind.id_field)
                store.put(record.object, record.kind, files)
            except (OphaminError, MlflowException, OSError) as error:
                found.tampered = found.tampered or getattr(error, "exit_code", 0) == 3
                found.left_out[run_id] = _first_line(error)
                return
            found.files_left_out.update({f"{run_id}/{name}": why for name, why in unbound.items()})
        take_in(lineage, record, checked, keyring.trusted())
        with contextlib.suppress(UsageError):
            lineage.link(f"mlflow:{run_id}", record.id)
        found.records.append(record.id)

    # --- one run

    def _log(self, experiment: str, item: ToLog, parent: str) -> Logged:
        there = next(self._runs(experiment, f"tags.`{_ID_TAG}` = '{item.id}'"), None)
        if there is not None and there.info.status == "FINISHED":
            return Logged(item.id, there.info.run_id, new=False)
        shown = shown_of(item.record, item.kind)
        run_id = there.info.run_id if there is not None else self._begin(experiment, item, shown, parent)
        ended = _milliseconds(shown.ended_at)
        metrics = [Metric(name, value, ended or 0, 0) for name, value in shown.metrics.items()]
        params = [Param(name, value) for name, value in shown.params.items()]
        tags = [RunTag(name, value) for name, value in shown.tags.items()]
        for batch in _batches(params):
            self._client.log_batch(run_id, params=batch)
        for batch in _batches(tags):
            self._client.log_batch(run_id, tags=batch)
        for batch in _batches(metrics):
            self._client.log_batch(run_id, metrics=batch)
        self._files(run_id, item, shown)
        # Finished comes last: a run that is not, is logged again.
        self._client.set_terminated(run_id, "FINISHED", ended)
        return Logged(item.id, run_id, new=True, lost=shown.lost)

    def _begin(self, experiment: str, item: ToLog, shown: Shown, parent: str) -> str:
        tags = {_ID_TAG: item.id, **({"mlflow.parentRunId": parent} if parent else {})}
        run = self._client.create_run(experiment, _milliseconds(shown.started_at), tags, shown.name)
        return str(run.info.run_id)

    def _files(self, run_id: str, item: ToLog, shown: Shown) -> None:
        if item.folder is not None:
            for path in sorted(item.folder.iterdir()):
                if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                    self._client.log_artifact(run_id, str(path), FOLDER)
        else:
            self._client.log_dict(run_id, dict(item.record), f"{FOLDER}/{RECORD}")
        if shown.cases:
            columns = list(dict.fromkeys(name for case in shown.cases for name in case))
            rows = [[case.get(name) for name in columns] for case in shown.cases]
            # The form of mlflow.log_table, which its pages show as a table.
            self._client.log_dict(run_id, {"columns": columns, "data": rows}, CASES)
            self._client.set_tag(run_id, "mlflow.loggedArtifacts", f'[{{"path": "{CASES}", "type": "table"}}]')

    # --- the server

    def _experiment(self, *, create: bool) -> str:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                raise UsageError(f"experiment {self.experiment!r} was deleted there; restore it or name another")
            return str(found.experiment_id)
        if not create:
            raise UnknownRecord(f"there is no experiment {self.experiment!r} at {self.public_uri}")
        try:
            return str(self._client.create_experiment(self.experiment))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # somebody else was first
                raise
            return self._experiment(create=False)

    def _runs(self, experiment: str, where: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_runs([experiment], where, max_results=_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """MLflow's errors as ours; a server that went away is not waited for for minutes."""
        names = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
        if not sys.stderr.isatty():
            names["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        before = {name: os.environ.get(name) for name in names}
        os.environ.update({name: value for name, value in names.items() if before[name] is None})
        try:
            # MLflow prints addresses of runs; standard output is for results.
            with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
                # What MLflow uses of SQLAlchemy and others that they deprecate is MLflow's to change.
                warnings.simplefilter("ignore", DeprecationWarning)
                yield
        except MlflowException as error:
            said = _first_line(error)
            status = error.get_http_status_code()  # type: ignore[no-untyped-call]  # MLflow's own method
            if "Max retries exceeded" in said or "Connection" in said or status >= 500:
                raise TrackingServerDown(_down(self.public_uri, said)) from error
            raise UsageError(f"MLflow at {self.public_uri} refuses: {said}") from error
        except (
            SQLAlchemyError
        ) as error:  # a store without a server in front of it: no database, locked, of another make
            raise UsageError(f"MLflow cannot use the store {self.public_uri}: {_first_line(error)}") from error
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:500]


def _ask(uri: str) -> None:
    """Whether a server answers at all; MLflow itself would try for minutes."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        # A password may stand in it.
        raise UsageError(f"the address of the tracking server is none: {error}") from None
    if parts.scheme not in ("http", "https"):
        return
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        with urllib.request.urlopen(address, timeout=_ANSWER_S):  # the scheme is one of two
            pass
    except urllib.error.HTTPError:
        return  # it answers; what it thinks of us, MLflow will say
    except InvalidURL as error:
        raise UsageError(f"the address of the tracking server is none: {error}") from None
    except (OSError, ValueError, HTTPException) as error:  # the last: something answers, and it is no web server
        reason = getattr(error, "reason", None) or error
        raise TrackingServerDown(_down(address, str(reason))) from error


def _down(uri: str, reason: str) -> str:
    # What answers may say anything, on several lines.
    said = printable(" ".join(reason.split()))[:500]
    return (
        f"no tracking server answers at {uri} ({said}); start it (mlflow server --backend-store-uri "
        "sqlite:///mlflow.db) or check the address"
    )


def _depth(record_id: str, inside: Mapping[str, str]) -> int:
    above: list[str] = []
    while record_id in inside and record_id not in above:
        above.append(record_id)
        record_id = inside[record_id]
    return len(above)


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if abs(value) != float("inf") and value == value}


def _milliseconds(text: str) -> int | None:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


def _iso(milliseconds: int | None) -> str:
    try:
        known = datetime.fromtimestamp(milliseconds / 1000, timezone.utc) if milliseconds else None
    except (ValueError, OverflowError, OSError):  # of a year that no calendar here has
        known = None
    return "" if known is None else known.isoformat(timespec="microseconds")
