"""Makes the golden records beside it: one signed audit record of every version and form.

Run once per new version, in an environment with ruff and bandit: ``python make.py``. Records of earlier versions are
never made again: that they still verify is the promise. All carry an HMAC under ``KEY``, which is public.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from ophamin.auditing.audit import audit
from ophamin.auditing.examining import examine_with
from ophamin.auditing.record import AUDIT
from ophamin.auditing.target import Target
from ophamin.auditing.tools.bandit import Bandit
from ophamin.auditing.tools.ruff import Ruff
from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.keys import Signer
from ophamin.proof.reading import write_object
from ophamin.proof.signed import sign
from ophamin.protocols import Settings

KEY = b"ophamin-auditing-golden-key"
HERE = Path(__file__).parent
SOURCES = {
    "app/__init__.py": "",
    "app/main.py": 'import os\nimport subprocess\n\n\ndef run(name):\n    return subprocess.call("echo " + name, shell=True)\n',
    "app/naïve.py": "def add(a, b):\n    return a + c\n",
}


def write(name: str, obj: dict) -> None:
    path = HERE / name
    if path.exists():
        sys.exit(f"{name} is there; a golden record is never made again")
    write_object(path, obj)


def old_body(version: str, pillars: list[dict]) -> dict:
    """A body of 1.0 or 1.1, as RECORD-KINDS describes them."""
    kept = ("pillar_name", "rule_id", "severity", "message", "path", "line", "column", "extra")
    new = ("complete", "rules", "warnings")
    listed = []
    for pillar in pillars:
        found = [{k: f[k] for k in kept} for f in pillar["findings"]]
        listed.append({**{k: v for k, v in pillar.items() if k not in new}, "findings": found})
    missing = {
        "pillar_name": "vulture", "tool_name": "vulture", "tool_version": "", "status": "unavailable",
        "target_path": "/srv/example/app", "finding_count": 0, "findings": [], "severity_histogram": {},
        "per_file_top10": [], "per_rule_top10": [], "raw_stdout_bytes": 0, "raw_stderr_bytes": 0, "exit_code": None,
        "wall_time_s": 0.0, "error_message": "vulture is not installed", "extra": {},
    }  # fmt: skip
    listed.append(missing)
    everything = [f for p in listed for f in p["findings"]]
    body = {
        "schema_version": version,
        "identity": {
            "ophamin_version": "0.100.0",
            "ophamin_git_commit": "",
            "captured_at": "2026-05-01T12:00:00.000000+00:00",
        },
        "target": {"target_path": "/srv/example/app", "target_content_hash": "0" * 64},
        "pillars": listed,
        "summary": {
            "total_findings": len(everything),
            "severity_histogram": {
                s: sum(f["severity"] == s for f in everything) for s in {f["severity"] for f in everything}
            },
            "findings_per_pillar": {p["pillar_name"]: p["finding_count"] for p in listed},
            "top_files": [["app/main.py", sum(f["path"] == "app/main.py" for f in everything)]],
            "pillars_run": [p["pillar_name"] for p in listed if p["status"] == "ok"],
            "pillars_unavailable": ["vulture"],
            "pillars_errored": [],
        },
        "reproduction": {"command": "ophamin audit /srv/example/app"},
    }
    if version == "audit/1.1":
        body["preregistration"] = {
            "config_hash": "1" * 64,
            "data_hash": "0" * 64,
            "analysis_plan": "gate on a chosen audit statistic",
            "sweep_grid": {},
            "preregistered_at": body["identity"]["captured_at"],
        }
        body["pre_registered_metric"] = "total_findings"
        body["verdict"] = {
            "outcome": "VALIDATED",
            "observed_value": float(len(everything)),
            "threshold": {"metric": "total_findings", "comparator": "<=", "value": 50.0, "units": ""},
            "reasoning": "at most 50",
        }
    return body


def moved(value, old: str, new: str):
    if isinstance(value, dict):
        return {moved(k, old, new): moved(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [moved(v, old, new) for v in value]
    return value.replace(old, new) if isinstance(value, str) else value


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "example"
        for name, content in SOURCES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, "utf-8")
        (root / ".git").mkdir()  # the root of a repository, as far as paths go
        settings = Settings(project=f"{folder}/project", store=f"{folder}/proofs")
        Path(folder, "key").write_bytes(KEY)
        Path(folder, "key").chmod(0o600)
        done = audit(
            root / "app", settings, tools=["ruff", "bandit"], gates=["high == 0"], key_file=Path(folder, "key")
        )
        body = {k: v for k, v in done.record.items() if k not in ("audit_id", "signature", "attestations")}
        body = moved(json.loads(json.dumps(body)), str(root), "/srv/example")
        write("audit-1.2.json", sign(body, AUDIT, Signer(KEY)))
        (pillars,) = examine_with({"ruff": Ruff(), "bandit": Bandit()}, Target.at(root / "app"), 60.0)
        pillars = moved(pillars, str(root), "/srv/example")
    signer = Signer(KEY)
    for version, form in (("1.0", "compact"), ("1.0", "spaced"), ("1.1", "compact"), ("1.1", "spaced")):
        body = old_body(f"audit/{version}", pillars)
        data = canonical_bytes(body, form=form)
        write(f"audit-{version}-{form}.json", {"audit_id": content_id(data), **body, "signature": signer.hmac(data)})


if __name__ == "__main__":
    main()
