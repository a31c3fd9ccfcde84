"""``ophamin demo``: five claims about a real system, one of them wrong on purpose."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import click

from ophamin import registry
from ophamin.cli._output import as_json, emit_json
from ophamin.proof.errors import MissingDependency
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.proof.signed import verify
from ophamin.protocols import Progress, RunSpec, Settings

__all__ = ["CLAIMS", "DemoClaim", "demo"]

SEED = 20260
CORPUS = "cyber-payloads?split=test"
# A small training set: a filter that errs now and then is worth five claims.
FILTER = "payload-filter?max_train=250&data_root={data_root}"


@dataclass(frozen=True)
class DemoClaim:
    """One claim of the demo, with the outcome the demo says it will have.

    Args:
        title: What is claimed, in plain words.
        scenario: Scenario that decides it.
        expected: VALIDATED, REFUTED or INCONCLUSIVE.
        options: ``--set`` values.
        corpus: Corpus spec, "" for the scenario's default.
        why: Why that outcome is expected.
    """

    title: str
    scenario: str
    expected: str
    options: dict[str, Any] = field(default_factory=dict)
    corpus: str = CORPUS
    why: str = ""


CLAIMS = (
    DemoClaim(
        "The filter lets nine of ten harmless inputs pass and stops nine of ten attacks",
        "concentrated-immune-siege",
        "VALIDATED",
        {"false_positive_limit": 0.1, "detection_limit": 0.9, "false_positive_delta": 0.025, "detection_delta": 0.025},
        why="nine in ten is what a small linear model over character n-grams reaches",
    ),
    DemoClaim(
        "It answers within 50 ms, 95 times out of 100",
        "throughput-ceiling",
        "VALIDATED",
        {"limit_s": 0.05},
        why="a linear model over one short string takes about a millisecond",
    ),
    DemoClaim(
        "Its stated confidence matches its hit rate",
        "calibrated-confidence",
        "VALIDATED",
        {"limit": 0.1},
        why="logistic regression is fitted to its own log-likelihood",
    ),
    DemoClaim(
        "Every answer has the fields and types that were promised",
        "interface-contract",
        "VALIDATED",
        {"contract": '{"blocked": "boolean", "confidence": "number 0..1", "answer": "string"}'},
        why="the output is built in one place",
    ),
    DemoClaim(
        "It is right 97 times out of 100 (wrong on purpose)",
        "metric",
        "REFUTED",
        {"claim": "accuracy >= 0.97", "delta": 0.02},
        why="250 examples do not suffice for that; a tool that cannot refute is worth nothing",
    ),
)


def _need() -> None:
    """Refuse before anything is written, naming what brings the wheels the demo walks through."""
    needs = {"corpora": "cyber-payloads", "substrates": "payload-filter", "runners": "scenario", "renderers": "html"}
    missing = [f"the {registry.GROUPS[g].noun} {n!r}" for g, n in needs.items() if n not in registry.GROUPS[g].names()]
    if missing:
        raise MissingDependency("the demo", " and ".join(missing), "ophamin[seeing,measuring,reporting]")


def _folder(out: Path) -> Path:
    """The first free ``run-N`` under ``out``: every demo is a project of its own."""
    number = 1
    while (out / f"run-{number}").exists():
        number += 1
    folder = out / f"run-{number}"
    folder.mkdir(parents=True)
    return folder


def _ticker(title: str) -> Any:
    """Counts and time on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        return None

    def tick(progress: Progress) -> None:
        total = f"/{progress.total}" if progress.total else ""
        end = f"  {progress.phase} {progress.done}{total}, {progress.elapsed_s:.0f} s"
        print(f"\r\x1b[2K  {title[:60]}{end}", end="", file=sys.stderr, flush=True)

    return tick


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Folder for the demo's project.",
)
@as_json
@click.pass_context
def demo(ctx: click.Context, out: Path, as_json: bool) -> None:
    """Walk the whole road: five claims about a real payload filter, one wrong on purpose.

    Generates a labelled sample corpus, trains the filter on one half, registers each claim, measures it
    on the other half, decides, signs, and writes an HTML report whose path is printed last. Exits 0 when
    every outcome is the one the demo states beforehand.

    Example: ophamin demo
    """
    settings: Settings = ctx.obj
    _need()
    run = registry.runners.get("scenario")
    renderer = registry.renderers.get("html")()
    start = time.monotonic()
    folder = _folder(out.absolute())
    data_root = registry.make_corpus("cyber-payloads", folder / "data").write_sample(folder / "data", SEED)
    say = (lambda *_: None) if as_json else click.echo
    say(f"a labelled sample corpus was generated in {data_root}")
    results = []
    for number, claim in enumerate(CLAIMS, 1):
        say(f"{number}. {claim.title}. Expected: {claim.expected}, because {claim.why}.")
        spec = RunSpec(
            scenario=claim.scenario,
            arms={"main": FILTER.format(data_root=quote_plus(str(data_root)))},
            corpus=claim.corpus,
            options=claim.options,
            alpha=settings.alpha,
            project=str(folder),
            data_root=str(data_root),
            argv=("ophamin", "demo"),
        )
        result = run(spec, progress=_ticker(claim.title))
        if sys.stderr.isatty():
            print("\r\x1b[2K", end="", file=sys.stderr)
        say(f"   {result.reasoning}")
        results.append(result)
    report = folder / f"report{renderer.suffix}"
    ring, ledger = Keyring(), Ledger(Project(folder).ledger_dir, create=False)
    checked = [verify(registry.read_record(r.path), ring, ledger=ledger) for r in results]
    title = "Five claims about a payload filter, the last one wrong on purpose"
    report.write_bytes(renderer.render([r.record for r in results], title=title, verifications=checked))
    as_expected = [r.outcome == c.expected for r, c in zip(results, CLAIMS, strict=True)]
    if as_json:
        emit_json(
            {
                "report": str(report),
                "elapsed_s": round(time.monotonic() - start, 3),
                "claims": [
                    {
                        "title": c.title,
                        "expected": c.expected,
                        "outcome": r.outcome,
                        "proof_id": r.proof_id,
                        "path": r.path,
                    }
                    for c, r in zip(CLAIMS, results, strict=True)
                ],
            }
        )
    else:
        took = time.monotonic() - start
        say(f"{sum(as_expected)} of {len(CLAIMS)} outcomes as expected, {took:.0f} s; proofs in {folder / 'proofs'}")
        say(str(report))
    ctx.exit(0 if all(as_expected) and all(c.ok for c in checked) else 1)
