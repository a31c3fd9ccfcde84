"""``ophamin summarize``, ``diagnose``, ``analyze`` and ``correct``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.comparing._output import json_line
from ophamin.proof.errors import IntegrityError, MissingDependency, UsageError
from ophamin.protocols import Settings

if TYPE_CHECKING:
    from ophamin.comparing.drift.proofs import Proof
    from ophamin.comparing.index import Entry, Problem, ProofIndex
    from ophamin.comparing.synthesis.diagnosis import Question

__all__ = ["analyze", "correct", "diagnose", "summarize", "verified_index"]

JSON = Any
REFUTED, NOTHING, TAMPERED, INCONCLUSIVE, UNCHECKED = 1, 2, 3, 4, 5

_directory = click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


@contextlib.contextmanager
def verified_index(settings: Settings, directory: Path | None) -> Iterator[ProofIndex]:
    """The index of a folder, up to date; default: the project's store."""
    from ophamin.comparing.index import ProofIndex

    with ProofIndex(directory or settings.store, workers=min(os.cpu_count() or 1, 8)) as index:
        tick = _ticker()
        index.refresh(tick)
        if tick is not None:
            click.echo("\r\x1b[2K", nl=False, err=True)
        yield index


def _ticker() -> Callable[[int], None] | None:
    """Counts on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        return None
    return lambda read: click.echo(f"\r\x1b[2Kverifying: {read:,} files read", nl=False, err=True)


def _code(outcomes: Sequence[str], entries: Sequence[Entry], problems: Sequence[Problem]) -> int:
    if any(problem.state == "forged" for problem in problems):
        return TAMPERED
    if "REFUTED" in outcomes:
        return REFUTED
    if not all(entry.verified for entry in entries):
        return UNCHECKED
    if "INCONCLUSIVE" in outcomes:
        return INCONCLUSIVE
    return 0 if entries else NOTHING


def _finish(
    ctx: click.Context, code: int, result: dict[str, JSON], text: str, index: ProofIndex, as_json: bool
) -> None:
    """Print the answer, and every file that has no part in it with the reason."""
    from ophamin.comparing._show import printable
    from ophamin.comparing.synthesis.words import problems_json

    problems = [*problems_json(index.problems()), *_unknown(index.entries())]
    if as_json:
        whole = {"exit_code": code, **result, "problems": problems, "other_records": index.others()}
        click.echo(json_line(whole))
    else:
        click.echo(text)
        for problem in problems:
            click.echo(f"{problem['state']}: {printable(problem['path'])}: {printable(problem['reason'])}", err=True)
    ctx.exit(code)


def _unknown(entries: Sequence[Entry]) -> list[dict[str, str]]:
    reason = "counted, but nobody known signed it; ophamin record verify says more"
    return [
        {"state": "could not be checked", "path": str(entry.path), "reason": reason}
        for entry in entries
        if not entry.verified
    ]


@click.command()
@_directory
@_json
@click.pass_context
def summarize(ctx: click.Context, directory: Path | None, as_json: bool) -> None:
    """Count the proofs in DIR by verdict, scenario, tier and revision, and list where verdicts flipped.

    DIR is any folder of records, nested as it likes; the default is the project's store. What is no sound proof is
    named with its reason and left out.

    Exits 3 when a record is not what was signed; else by the latest proof of each series: 1 when one is REFUTED, 5
    when nobody known signed one, 4 when one is INCONCLUSIVE, 2 when there is none, else 0.

    Example: ophamin summarize proofs/
    """
    from ophamin.comparing.synthesis.summary import summarize as summary_of
    from ophamin.comparing.synthesis.words import summary_json, summary_text

    with verified_index(ctx.obj, directory) as index:
        series = index.series()
        found = summary_of(series)
        code = _code([one.entries[-1].outcome for one in series], index.entries(), index.problems())
        _finish(ctx, code, summary_json(found), summary_text(found), index, as_json)


@click.command()
@click.argument("metric")
@_directory
@_json
@click.pass_context
def analyze(ctx: click.Context, metric: str, directory: Path | None, as_json: bool) -> None:
    """Show the course of METRIC over revisions, with intervals, in every series of DIR that has it.

    Values are shown as they were signed, never averaged; whatever else differs along a series is said. That two
    intervals overlap is no test: ophamin compare tests a difference.

    Exits 3 when a record is not what was signed, 5 when nobody known signed one, 2 when no proof has the metric,
    else 0.

    Example: ophamin analyze accuracy proofs/
    """
    from ophamin.comparing.synthesis.trajectory import analyze as course_of
    from ophamin.comparing.synthesis.words import analysis_json, analysis_text

    with verified_index(ctx.obj, directory) as index:
        found = course_of(index.series(), metric)
        code = _code([], [point.entry for one in found for point in one.points], index.problems())
        _finish(ctx, code, analysis_json(found), analysis_text(found), index, as_json)


@click.command()
@_directory
@click.option("--method", type=click.Choice(["holm", "bh", "by"]), default="holm", show_default=True,
              help="Holm bounds the family-wise error rate, the others the false-discovery rate.")  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 0.5, min_open=True, max_open=True), default=None,
              help="α of the family, each way.  [default: the project's]")  # fmt: skip
@_json
@click.pass_context
def correct(ctx: click.Context, directory: Path | None, method: str, alpha: float | None, as_json: bool) -> None:
    """Correct the verdicts in DIR for how many claims there are; a verdict can only weaken.

    The family is the latest proof of each series. It is corrected twice at α: over the validating p-values and over
    the refuting ones. Exact claims are not counted; undecided ones count with p = 1.

    Exits 3 when a record is not what was signed; else by the corrected verdicts: 1 when one is REFUTED, 5 when
    nobody known signed one, 4 when one is INCONCLUSIVE, 2 when there is none, else 0.

    Example: ophamin correct proofs/ --method bh
    """
    from ophamin.comparing.synthesis.correction import correct as corrected
    from ophamin.comparing.synthesis.words import correction_json, correction_text

    settings: Settings = ctx.obj
    with verified_index(settings, directory) as index:
        latest = [one.entries[-1] for one in index.series()]
        proofs = [index.load(entry) for entry in latest]
        found = corrected(proofs, method=method, alpha=settings.alpha if alpha is None else alpha)
        code = _code([one.outcome for one in found.claims], latest, index.problems())
        _finish(ctx, code, correction_json(found), correction_text(found), index, as_json)


@click.command()
@click.argument("proof")
@click.option("--store", "directory", type=click.Path(path_type=Path), default=None,
              help="Where its siblings lie.  [default: the project's store]")  # fmt: skip
@_json
@click.pass_context
def diagnose(ctx: click.Context, proof: str, directory: Path | None, as_json: bool) -> None:
    """Say of one proof what would change its verdict, and which siblings it has.

    PROOF is a record.json or the beginning of an id in the store. For an INCONCLUSIVE one it says how many
    observations a new registration needs, which asks ophamin plan.

    Exits 3 when the proof is not what was signed, 1 when it is REFUTED, 5 when nobody known signed it, 4 when it is
    INCONCLUSIVE, else 0.

    Example: ophamin diagnose 3fa9c1
    """
    from ophamin.comparing.synthesis.diagnosis import diagnose as diagnosis_of
    from ophamin.comparing.synthesis.words import diagnosis_json, diagnosis_text

    settings: Settings = ctx.obj
    found = _proof(settings, proof)
    series = []
    if directory is not None or Path(settings.store).is_dir():
        with verified_index(settings, directory) as index:
            series = index.series()
    told = diagnosis_of(found, series, lambda question: _planned(settings, question))
    code = REFUTED if found.outcome == "REFUTED" else UNCHECKED if not found.verified else 0
    if not code and found.outcome == "INCONCLUSIVE":
        code = INCONCLUSIVE
    click.echo(json_line({"exit_code": code, **diagnosis_json(told)}) if as_json else diagnosis_text(told))
    ctx.exit(code)


def _proof(settings: Settings, word: str) -> Proof:
    from ophamin import registry
    from ophamin.comparing.drift.proofs import proof_of
    from ophamin.proof.keys import Keyring
    from ophamin.proof.signed import verify
    from ophamin.registry.gathering import ledger_of, locate

    record = registry.read_record(locate(settings, word))
    if record.kind.name != "proof":
        raise UsageError(f"{word} is a record of kind {record.kind.name}; diagnose takes a proof")
    found = verify(record, Keyring(), ledger=ledger_of(settings, record))
    if found.exit_code == 3:
        bad = "; ".join(f"{check.name}: {check.detail}" for check in found.checks if check.state == "bad")
        raise IntegrityError(f"{record.path} is not what was signed: {bad}")
    return proof_of(record.object, record.path, verified=found.ok)


def _planned(settings: Settings, question: Question) -> int | None:
    """n by ``ophamin plan``, found by its name: wheels meet in the registry."""
    from ophamin import registry

    if "plan" not in registry.commands.names():
        raise MissingDependency(
            "how many more observations a claim needs", "ophamin-measuring", "ophamin-comparing[stats]"
        )
    words = [question.scenario, "--alpha", repr(question.alpha), "--json"]
    for name, value in question.options.items():
        if value is not None:
            text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            words += ["--set", f"{name}={text}"]
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            registry.commands.get("plan").main(words, prog_name="ophamin plan", standalone_mode=False, obj=settings)
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    n = json.loads(out.getvalue())["n"]
    return None if n is None else int(n)
