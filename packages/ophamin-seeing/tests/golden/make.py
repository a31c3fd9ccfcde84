"""Makes the golden records beside it: one signed record of every kind and version of this wheel.

Run once per new version: ``python make.py``. Records of earlier versions are never made again: that they still verify
is the promise. All carry an HMAC under ``KEY``, which is public. The first forms (integer 1) follow the description of
an earlier implementation field by field, once over each canonical form, because no published example is known.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.keys import Signer
from ophamin.proof.reading import write_object
from ophamin.proof.signed import sign
from ophamin.protocols import Settings
from ophamin.seeing.discovery.discover import DiscoverSpec, discover
from ophamin.seeing.discovery.record import SCHEMA_DOCUMENT
from ophamin.seeing.telemetry.record import TELEMETRY
from ophamin.seeing.telemetry.report import report_telemetry
from ophamin.seeing.wiring.record import WIRING
from ophamin.seeing.wiring.report import report_wiring

KEY = b"ophamin-seeing-golden-key"
HERE = Path(__file__).parent
SOURCES = {
    "wiring.toml": '[strata.app]\nmatch = ["src/app/**"]\nexpected = 2\n',
    "src/app/__init__.py": "from app import used\nimport app.absent\n",
    "src/app/used.py": "def f():\n    return 1\n",
    "src/app/lost.py": "def f(): ...\n",
    "src/app/naïve.py": "def f(:\n",
    "tests/test_it.py": "from app import lost\n",
}
WHO = {"ophamin_version": "0.100.0", "ophamin_git_commit": "", "captured_at": "2026-05-01T12:00:00+00:00"}
WHERE = {"kimera_repo_path": "/srv/kimera", "kimera_git_commit": "0" * 40}

FIRST_FORMS = {
    "inventory": (
        "inventory_id",
        {
            "schema_version": 1,
            **WHO,
            **WHERE,
            "strata": [
                {
                    "stratum": "engines",
                    "description": "What computes",
                    "expected_count": 1,
                    "count": 1,
                    "is_live": True,
                    "surfaces": [
                        {
                            "name": "Walker",
                            "kind": "class",
                            "file_path": "kimera/walker.py",
                            "line_count": 120,
                            "metadata": {"docstring": "Géométrie"},
                        }
                    ],
                }
            ],
        },
    ),
    "telemetry-first": (
        "snapshot_id",
        {
            "schema_version": 1,
            "ophamin_version": "0.100.0",
            "source_url": "http://localhost:8000/metrics",
            "scraped_at": "2026-05-01T12:00:00+00:00",
            "wall_time_s": 0.25,
            "raw_bytes_len": 412,
            "families": [
                {
                    "name": "jobs",
                    "metric_type": "counter",
                    "documentation": "Jobs done",
                    "samples": [{"name": "jobs_total", "labels": [["queue", "mail"]], "value": 4.0, "timestamp": None}],
                }
            ],
        },
    ),
    "wiring-first": (
        "report_id",
        {
            "schema_version": 1,
            **WHO,
            **WHERE,
            "surfaces": [
                {
                    "surface_name": "walker",
                    "stratum": "engines",
                    "file_path": "kimera/walker.py",
                    "annotation": "",
                    "incoming_imports": 3,
                    "classification": "wired",
                    "stub_count": 0,
                    "n_functions": 4,
                    "n_classes": 1,
                    "parse_error": "",
                    "stub_density": 0.0,
                }
            ],
            "per_stratum": [
                {
                    "stratum": "engines",
                    "n_total": 1,
                    "n_wired": 1,
                    "n_wire_candidate": 0,
                    "n_orphan": 0,
                    "n_archived": 0,
                    "n_parse_error": 0,
                    "n_with_stubs": 0,
                    "sum_incoming_imports": 3,
                    "wired_rate": 1.0,
                    "orphan_rate": 0.0,
                    "wire_candidate_rate": 0.0,
                }
            ],
        },
    ),
}


def write(name: str, obj: dict) -> None:
    path = HERE / name
    if path.exists():
        sys.exit(f"{name} is there; a golden record is never made again")
    write_object(path, obj)


def moved(value, old: str, new: str):
    if isinstance(value, dict):
        return {moved(k, old, new): moved(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [moved(v, old, new) for v in value]
    return value.replace(old, new) if isinstance(value, str) else value


def serve_metrics() -> str:
    from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

    registry = CollectorRegistry()
    Counter("jobs", "Jobs done", ["queue"], registry=registry).labels("mail").inc(4)
    took = Histogram("took_seconds", "Time of a job", buckets=(0.1, 1.0), registry=registry)
    took.observe(0.5, {"trace_id": "abc123"})
    server, _ = start_http_server(0, addr="127.0.0.1", registry=registry)
    return f"http://127.0.0.1:{server.server_port}/metrics"


def main() -> None:
    signer = Signer(KEY)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OPHAMIN_HOME"] = f"{folder}/home"
        root = Path(folder).resolve() / "example"
        for name, content in SOURCES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, "utf-8")
        rows = root / "rows.csv"
        rows.write_text("prompt\n" + "".join(f"question {i}\n" for i in range(12)), "utf-8")
        settings = Settings(project=f"{folder}/project", store=f"{folder}/proofs")
        spec = DiscoverSpec("mock?seed=1&drop=label&fault_rate=0.5&error_rate=0.1", f"table:{rows}?text=prompt", n=12)
        made = {
            "wiring-1.0": (report_wiring(root, settings).record, WIRING),
            "telemetry-1.0": (report_telemetry(serve_metrics(), settings, window_s=0.2).record, TELEMETRY),
            "schema-document-1.0": (discover(spec, settings).record, SCHEMA_DOCUMENT),
        }
        for name, (record, kind) in made.items():
            outside = (kind.id_field, "signing_key", "signature", "attestations")
            body = {k: v for k, v in record.items() if k not in outside}
            write(f"{name}.json", sign(moved(json.loads(json.dumps(body)), str(root), "/srv/example"), kind, signer))
    for name, (id_field, body) in FIRST_FORMS.items():
        for form in ("compact", "spaced"):
            data = canonical_bytes(body, form=form)
            signed = {id_field: content_id(data), **body, "signature": signer.hmac(data)}
            write(f"{name}-{form}.json", signed)


if __name__ == "__main__":
    main()
