"""The record, end to end: each section right, and its verdict recomputed from the observations alone."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Command = Callable[..., subprocess.CompletedProcess[str]]
KEY = b"a key of this test, and of nobody else"
ACCURACY = ("metric", "--claim", "accuracy >= 0.8", "--corpus", "table:rows.csv", "--n", "100")
SECTIONS = ["identity", "claim", "preregistration", "data", "evidence", "verdict", "reproduction", "provenance"]


@pytest.fixture
def command(project: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process, in a project with a corpus of 400 rows."""
    from ophamin.cli._run import run

    lines = "".join(f"{i},word {i},{('yes', 'no')[i % 2]},{('attack', 'benign')[i % 3 > 0]}\n" for i in range(400))
    (project / "rows.csv").write_text(f"id,text,label,kind\n{lines}")

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return call


def road(command: Command, *words: str, code: int | None = None) -> tuple[dict[str, JSON], list[bytes], Path]:
    """Run; the record, its observations line by line, and its path."""
    done = command("run", *words, "--json")
    assert done.returncode in ({0, 1, 4} if code is None else {code}), done.stderr
    path = Path(json.loads(done.stdout)["path"])
    data = gzip.decompress(path.with_name("observations.jsonl.gz").read_bytes())
    return json.loads(path.read_bytes()), data.splitlines(keepends=True), path


def canonical(value: JSON) -> bytes:
    """RECORDS.md, said once more and on its own."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def body_of(record: Mapping[str, JSON]) -> dict[str, JSON]:
    outside = ("proof_id", "signature", "attestation", "attestations")
    return {name: value for name, value in record.items() if name not in outside}


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def leaf_of(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


@pytest.fixture
def walked(command: Command, project: Path) -> tuple[dict[str, JSON], list[bytes], Path]:
    """One ordinary run, after two others, signed with a known key."""
    (project / "team.key").write_bytes(KEY + b"\n")
    (project / "team.key").chmod(0o600)
    for theta in ("0.5", "0.6"):
        road(command, "metric", "--claim", f"accuracy >= {theta}", "--corpus", "table:rows.csv", "--substrate", "mock")
    return road(command, *ACCURACY, "--substrate", "mock?seed=3&correct=0.9", "--key-file", "team.key", code=0)


def test_id_signature_and_attestation_are_over_the_same_bytes(walked: JSON) -> None:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    record, _, path = walked
    data = canonical(body_of(record))
    assert set(body_of(record)) == {"schema_version", *SECTIONS, "signing_key"}
    assert record["schema_version"] == "1.1"
    assert record["proof_id"] == hashlib.sha256(data).hexdigest() == path.parent.name
    assert record["signature"] == hmac.new(KEY, data, "sha256").hexdigest()
    (attestation,) = record["attestations"]
    assert attestation["algorithm"] == "ed25519"
    public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(attestation["public_key"]))
    public.verify(bytes.fromhex(attestation["signature"]), data)  # raises when it is not


def test_identity_and_claim(walked: JSON) -> None:
    record, _, _ = walked
    identity, claim = record["identity"], record["claim"]
    assert identity["ophamin_version"] == version("ophamin")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", identity["created_at"])
    assert claim["threshold"] == {"metric": "accuracy", "comparator": ">=", "value": 0.8, "units": "fraction"}
    assert all(claim[words] for words in ("statement", "operationalization", "h0", "h1"))
    decision = claim["decision"]
    assert set(decision) >= {
        "rule", "method", "alpha", "confidence", "estimator", "error_policy", "support", "smallest_difference",
        "target", "group", "attempts",
    }  # fmt: skip
    assert (decision["rule"], decision["estimator"], decision["error_policy"]) == ("interval", "proportion", "bound")
    assert (decision["alpha"], decision["confidence"], decision["smallest_difference"]) == (0.05, 0.95, 0.05)
    assert "registered corpus" in decision["target"]


def test_the_registration_stands_in_the_ledger_before_the_run(walked: JSON, command: Command) -> None:
    record, rows, _ = walked
    registered = record["preregistration"]
    assert registered["timing"] == "before_data"
    assert registered["preregistered_at"] <= record["identity"]["created_at"]
    assert registered["claim_hash"] == sha256(canonical(record["claim"]))
    assert (registered["attempt"], registered["alpha_used"], registered["error_bound"]) == (1, 0.05, 0.05)
    assert registered["seed_origin"] == "derived"
    plan = registered["plan"]
    assert plan["n_planned"] == len(rows) == 100
    assert plan["underpowered"] is (plan["n_units_for_power"] > 100)
    assert 0 < plan["power_validate_at"]["power"] < 1
    code = registered["code"]
    assert (code["distribution"], code["version"]) == ("ophamin-measuring", version("ophamin-measuring"))
    place = registered["ledger"]
    shown = json.loads(command("log", "show", "--json").stdout)
    assert place["log_id"] == shown["log_id"]
    entries = shown["entries"]
    leaves = [leaf_of(canonical({k: v for k, v in e.items() if k not in ("index", "leaf_hash")})) for e in entries]
    assert [leaf.hex() for leaf in leaves] == [e["leaf_hash"] for e in entries]
    assert root_of(leaves).hex() == shown["root_hash"]
    assert root_of(leaves[: place["tree_size"]]).hex() == place["root_hash"]
    mine = entries[place["index"]]
    assert mine["leaf_hash"] == place["leaf_hash"]
    for name in ("alpha_used", "attempt", "seed", "claim_hash", "config_hash", "data_hash"):
        assert mine[name] == registered[name]
    assert mine["registered_at"] == registered["preregistered_at"]
    assert "proof_id" not in mine
    outcome = entries[place["index"] + 1]
    assert (outcome["registration"], outcome["outcome"]) == (place["index"], record["verdict"]["outcome"])
    assert outcome["proof_id"] == record["proof_id"]
    assert place["tree_size"] <= outcome["index"]


def test_the_data_are_bound_by_digest(walked: JSON, project: Path) -> None:
    record, rows, path = walked
    data = record["data"]
    assert data["substrate"]["kind"] == "mock"
    assert data["substrate"]["config_hash"].startswith("sha256:")
    (dataset,) = data["datasets"]
    assert dataset["content_hash"] == sha256((project / "rows.csv").read_bytes())
    assert dataset["content_hash"] == record["preregistration"]["data_hash"]
    assert (dataset["n_records"], dataset["kind"]) == (400, "table")
    parsed = [json.loads(row) for row in rows]
    chosen = dataset["selection"]
    assert (chosen["n_selected"], chosen["seed"]) == (100, record["preregistration"]["seed"])
    assert chosen["content_hash"] == sha256(canonical([row["record"] for row in parsed]))
    seen = data["observations"]
    assert seen["digest"] == sha256(b"".join(rows))
    assert seen["digest"] != sha256(path.with_name("observations.jsonl.gz").read_bytes())
    assert seen["merkle_root"] == root_of([leaf_of(row) for row in rows]).hex()
    assert seen["n_rows"] == len(rows)
    for index, (row, value) in enumerate(zip(rows, parsed, strict=True)):
        assert row == canonical(value) + b"\n"
        assert set(value) == {"index", "record", "arm", "status", "error", "wall_s", "unit", "block", "values"}
        assert (value["index"], value["block"]) == (index, index * 20 // 100)


def test_evidence_verdict_and_reproduction(walked: JSON, project: Path) -> None:
    record, rows, path = walked
    (evidence,) = record["evidence"]
    verdict, again = record["verdict"], record["reproduction"]
    right = sum(v["answer"] == v["truth"] for v in (json.loads(row)["values"] for row in rows))
    assert verdict["observed_value"] == evidence["statistic_value"] == right / 100
    assert (evidence["n"], evidence["n_groups"], evidence["role"]) == (100, 100, "primary")
    assert (evidence["interval_method"], evidence["guarantee"]) == ("clopper-pearson", "guaranteed")
    assert evidence["library_version"] == version(evidence["library"])
    interval = verdict["interval"]
    assert (interval["lower"], interval["upper"]) == (evidence["ci_low"], evidence["ci_high"])
    assert interval["level"] == pytest.approx(0.9)
    assert interval["sides"] == "two one-sided"
    assert verdict["threshold"] == record["claim"]["threshold"]
    assert (verdict["outcome"], verdict["decided_by"]) == ("VALIDATED", "interval")
    assert (verdict["n_planned"], verdict["n_used"], verdict["n_errors"], verdict["n_unmeasured"]) == (100, 100, 0, 0)
    for name, number in again["environment"].items():
        if name not in ("python", "platform"):
            assert number == version(name)
    assert again["seed"] == record["preregistration"]["seed"]
    assert again["argv"][:3] == ["ophamin", "run", "metric"]
    text = path.read_text()
    assert str(project) not in text
    assert KEY.decode() not in text


def test_the_command_in_a_record_says_the_same_run(walked: JSON, command: Command, tmp_path: Path) -> None:
    record, rows, _ = walked
    # Elsewhere, where nobody attempted it yet, it is the same claim on the same records.
    again, more, _ = road(command, *record["reproduction"]["argv"][2:], "--store", str(tmp_path / "elsewhere"), code=0)
    assert again["preregistration"]["attempt"] == 2
    assert again["claim"] == record["claim"]
    assert again["preregistration"]["config_hash"] == record["preregistration"]["config_hash"]
    assert not {json.loads(r)["record"] for r in rows} & {json.loads(r)["record"] for r in more}


def test_provenance_is_prov_json(walked: JSON) -> None:
    record, _, _ = walked
    graph = record["provenance"]
    things = {**graph["entity"], **graph["activity"], **graph["agent"]}
    ends = {
        "used": ("prov:activity", "prov:entity"),
        "wasGeneratedBy": ("prov:entity", "prov:activity"),
        "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
        "wasInformedBy": ("prov:informed", "prov:informant"),
        "wasAssociatedWith": ("prov:activity", "prov:agent"),
    }
    found = set()
    for relation, (first, second) in ends.items():
        for edge in graph[relation].values():
            assert edge[first] in things
            assert edge[second] in things
            kinds = [re.sub(r"^oph:|-[0-9a-f]{32}$", "", edge[end]) for end in (first, second)]
            found.add((relation, *kinds))
    assert found >= {
        ("wasGeneratedBy", "plan", "register"),
        ("wasDerivedFrom", "plan", "claim"),
        ("used", "run", "plan"),
        ("used", "run", "selection"),
        ("used", "run", "substrate"),
        ("wasDerivedFrom", "selection", "corpus"),
        ("wasGeneratedBy", "observations", "run"),
        ("wasDerivedFrom", "observations", "selection"),
        ("wasDerivedFrom", "observations", "substrate"),
        ("used", "decide", "observations"),
        ("wasDerivedFrom", "proof", "observations"),
        ("wasGeneratedBy", "proof", "decide"),
        ("wasInformedBy", "run", "register"),
        ("wasInformedBy", "decide", "run"),
        ("wasInformedBy", "sign", "decide"),
        ("wasAssociatedWith", "sign", "key"),
        ("wasAssociatedWith", "decide", "software"),
    }


def test_another_library_reads_the_provenance(walked: JSON) -> None:
    from prov import model

    graph = walked[0]["provenance"]
    document = model.ProvDocument.deserialize(content=json.dumps(graph), format="json")
    assert len(list(document.get_records())) == sum(len(graph[s]) for s in graph if s != "prefix")


# --- the verdict, from the observations alone

STIMULI = "simulated?family=stimuli&n=600"
CASES = {
    "share": (*ACCURACY, "--substrate", "mock?seed=3&correct=0.9"),
    "share-with-gaps": (*ACCURACY, "--substrate", "mock?seed=3&correct=0.95&error_rate=0.05&unmeasured_rate=0.05"),
    "share-fail": (*ACCURACY, "--substrate", "mock?seed=3&correct=0.97&error_rate=0.05", "--error-policy", "fail"),
    "refuted": (*ACCURACY, "--substrate", "mock?seed=3&correct=0.5"),
    "inconclusive": (*ACCURACY, "--substrate", "mock?seed=3&correct=0.8"),
    "mean": ("metric", "--claim", "mean(value) <= 0.6", "--set", "support=0,1", "--set", "delta=0.1",
             "--corpus", "table:rows.csv", "--substrate", "mock?seed=3&bernoulli=0.4"),
    "quantile": ("metric", "--claim", "p90(value) <= 2", "--corpus", "table:rows.csv", "--substrate", "mock?seed=3"),
    "two-parts": ("metric", "--claim", "accuracy >= 0.8 and error_rate <= 0.2", "--corpus", "table:rows.csv",
                  "--error-policy", "exclude", "--substrate", "mock?seed=3&error_rate=0.05&correct=0.95"),
    "difference": ("metric", "--claim", "accuracy_difference >= -0.1", "--corpus", "table:rows.csv", "--n", "200",
                   "--substrate", "base=mock?seed=3&correct=0.9", "--substrate", "head=mock?seed=4&correct=0.9"),
    "latency": ("throughput-ceiling", "--set", "limit_s=0.05", "--corpus", STIMULI, "--n", "400",
                "--substrate", "mock?seed=3&clock=virtual&latency_s=0.01&latency_law=lognormal"),
    "siege": ("concentrated-immune-siege", "--corpus", STIMULI, "--n", "200",
              "--substrate", "mock?seed=3&detect=0.99&false_positive=0.01"),
    "calibration": ("calibrated-confidence", "--corpus", STIMULI, "--n", "400",
                    "--substrate", "mock?seed=3&confidence=calibrated"),
    "contract": ("interface-contract", "--corpus", "table:rows.csv", "--substrate", "mock?seed=3"),
    "contract-broken": ("interface-contract", "--corpus", "table:rows.csv",
                        "--substrate", "mock?seed=3&drop=blocked&fault_rate=0.05"),
}  # fmt: skip


def columns(rows: Sequence[bytes]) -> dict[str, list[JSON]]:
    """The table a scenario scores: what it observed, and what the engine adds."""
    inside = [row for row in map(json.loads, rows) if row["values"] is not None]
    table = {name: [row["values"].get(name) for row in inside] for name in inside[0]["values"]}
    added = {
        "record_id": "record",
        "group": "unit",
        "arm": "arm",
        "status": "status",
        "block": "block",
        "wall_s": "wall_s",
    }
    return {**table, **{column: [row[name] for row in inside] for column, name in added.items()}}


@pytest.mark.parametrize("case", CASES)
def test_estimate_interval_and_verdict_follow_from_the_observations(command: Command, case: str) -> None:
    """A reader without the substrate and the corpus: the record, its rows, and the named scenario."""
    from ophamin import registry
    from ophamin.measuring.decision import decide_claim
    from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold

    record, rows, path = road(command, *CASES[case])
    stated = record["claim"]
    words = ("statement", "operationalization", "h0", "h1")
    claim = Claim(
        *(stated[w] for w in words),
        Threshold(**stated["threshold"]),
        Decision(**stated["decision"]),
        [CoPrimary(Threshold(**c["threshold"]), Decision(**c["decision"])) for c in stated["co_primary"]],
    )
    run = record["reproduction"]["run_spec"]
    scenario = registry.get_scenario(run["scenario"])()
    options = {name: option.default for name, option in scenario.options.items()}
    for name, value in run["options"].items():
        options[name] = value if options[name] is None else type(options[name])(value)
    score = scenario.score(columns(rows), options)
    registered, verdict = record["preregistration"], record["verdict"]
    decided = decide_claim(claim, score, alpha=registered["alpha_used"], seed=registered["seed"])
    assert decided.outcome == verdict["outcome"]
    found = [verdict, *verdict["co_primary"]]
    evidence = [e for e in record["evidence"] if e["role"] == "primary"]
    assert len(decided.parts) == len(found) == len(evidence)
    for part, told, item in zip(decided.parts, found, evidence, strict=True):
        assert told["observed_value"] == item["statistic_value"] == pytest.approx(part.estimate.value, rel=1e-12)
        if told["interval"] is not None:
            assert told["interval"]["lower"] == pytest.approx(part.interval.lower, rel=1e-9)
            assert told["interval"]["upper"] == pytest.approx(part.interval.upper, rel=1e-9)
    for part, told in zip(decided.parts[1:], verdict["co_primary"], strict=True):
        assert part.outcome == told["outcome"]
    states = [json.loads(row)["status"] for row in rows]
    assert (verdict["n_used"], verdict["n_errors"], verdict["n_unmeasured"]) == tuple(
        states.count(s) for s in ("ok", "error", "unmeasured")
    )
    assert verdict["n_planned"] == len(rows) == registered["plan"]["n_planned"]
    assert command("proof", "verify", str(path)).returncode == 0
    assert command("proof", "validate", str(path)).returncode == 0


def test_a_bound_takes_errors_at_their_worst(command: Command) -> None:
    """Against scipy's own Clopper-Pearson: failed cycles are wrong for L and right for U."""
    from scipy import stats

    record, rows, _ = road(command, *CASES["share-with-gaps"])
    parsed = [json.loads(row) for row in rows]
    right = sum(r["status"] == "ok" and r["values"]["answer"] == r["values"]["truth"] for r in parsed)
    gaps = sum(r["status"] != "ok" for r in parsed)
    assert gaps > 0
    interval = record["verdict"]["interval"]
    assert interval["lower"] == pytest.approx(stats.beta.ppf(0.05, right, 100 - right + 1), rel=1e-6)
    most = right + gaps
    upper = 1.0 if most == 100 else stats.beta.ppf(0.95, most + 1, 100 - most)
    assert interval["upper"] == pytest.approx(upper, rel=1e-6)


def test_rows_that_were_left_out_stand_in_the_record(ophamin: Command, project: Path) -> None:
    rows = "".join(f"row {i},yes\n" for i in range(80))
    (project / "some.csv").write_text(f"text,label\n{rows}one cell too,many,here\n")
    asked = ("--claim", "accuracy >= 0.5", "--corpus", "table:some.csv", "--substrate", "mock?correct=1")
    done = ophamin("run", "metric", *asked)
    assert done.returncode == 0, done.stderr
    assert "gave no record" in done.stdout
    (path,) = (project / "proofs").glob("proof/*/*/record.json")
    record = json.loads(path.read_bytes())
    assert sum(record["data"]["datasets"][0]["problems"].values()) == 1
    assert "gave no record" in record["verdict"]["reasoning"]
    assert ophamin("proof", "verify", str(path)).returncode == 0
