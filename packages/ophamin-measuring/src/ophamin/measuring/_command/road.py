"""``ophamin run``, ``plan``, ``reproduce`` and ``recompute``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import Progress, RunSpec, Settings

__all__ = ["emit", "pairs", "plan", "recompute", "reproduce", "run", "settings_of"]

JSON = Any
CODES = {"VALIDATED": 0, "AGREE": 0, "REFUTED": 1, "DISAGREE": 1, "INCONCLUSIVE": 4}
# In this order: the pass for memory comes after the run, and no other instrument is to watch it.
FLAME_GRAPHS = ("flamegraph-memory", "flamegraph-cpu")
WATCHING = "resources,tracing"
_ARM = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=(.+)", re.DOTALL)


def pairs(words: Sequence[str], what: str, example: str) -> dict[str, str]:
    """NAME=VALUE words as a mapping; ``what`` and ``example`` are for the error."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"{what} {word!r} is not NAME=VALUE, such as {example}")
        if name in found:
            raise UsageError(f"{what} {name!r} is given twice")
        found[name] = value
    return found


def _options(words: Sequence[str], claim: str | None) -> dict[str, str]:
    options = pairs(words, "--set", "--set limit=0.05")
    if claim is not None:
        if "claim" in options:
            raise UsageError("--claim says the same as --set claim=…; give one of them")
        options["claim"] = claim
    return options


def _rule(rule: str | None, sequential: bool) -> str:
    if sequential and rule not in (None, "sequential"):
        raise UsageError(f"--sequential and --rule {rule} say different things; give one")
    return "sequential" if sequential else rule or ""


def _arms(words: Sequence[str]) -> dict[str, str]:
    arms: dict[str, str] = {}
    for word in words:
        match = _ARM.fullmatch(word)
        name, spec = (match[1], match[2]) if match else ("main", word)
        if name in arms:
            raise UsageError(
                f"arm {name!r} is given twice; several systems are told apart by --substrate ARM=SPEC, "
                "such as --substrate base=python:old:f --substrate head=python:new:f"
            )
        arms[name] = spec
    return arms


def _instruments(words: Sequence[str], flamegraph: bool) -> list[str]:
    from ophamin import registry

    named = [name for word in words for name in word.split(",")]
    names = list(dict.fromkeys([*(FLAME_GRAPHS if flamegraph else ()), *named]))
    for name in names:
        if name in (*FLAME_GRAPHS, *WATCHING.split(",")) and name not in registry.instruments.names():
            raise MissingDependency(f"the instrument {name!r}", "ophamin-instrumenting", "ophamin[instrumenting]")
    return names


def _ticker() -> Callable[[Progress], None] | None:
    """Counts, time and time left on a terminal, nothing in a pipe; never a running result."""
    if not sys.stderr.isatty():
        return None

    def tick(progress: Progress) -> None:
        left, end = "", ""
        if progress.total:
            if 0 < progress.done < progress.total:
                left = f", {progress.elapsed_s * (progress.total - progress.done) / progress.done:.0f} s left"
            end = "\n" if progress.done >= progress.total else ""
        total = f" of {progress.total}" if progress.total else ""
        words = f"\r\x1b[2K{progress.phase}: {progress.done}{total}, {progress.elapsed_s:.0f} s{left}{end}"
        print(words, end="", file=sys.stderr, flush=True)

    return tick


def emit(value: Mapping[str, JSON]) -> None:
    """Print one JSON object."""
    click.echo(json.dumps(value, ensure_ascii=False))


def settings_of(settings: Settings | None) -> Settings:
    """The settings given by the command line's root, or those of the project here."""
    if settings is not None:
        return settings
    from ophamin.proof.project import Project

    project = Project.find()
    return Settings(str(project.root), str(project.proofs))


_substrate = click.option(
    "--substrate",
    "substrates",
    multiple=True,
    metavar="[ARM=]SPEC",
    help="System to measure, e.g. python:pkg.mod:func, command:'./prog --flag', mock; once for each arm.",
)
_corpus = click.option("--corpus", default="", metavar="SPEC", help="Corpus, e.g. table:rows.csv?text=prompt&label=y.")
_set = click.option("--set", "options", multiple=True, metavar="NAME=VALUE", help="Option of the scenario.")
_claim = click.option("--claim", default=None, help="Short for --set claim=…, e.g. 'accuracy >= 0.9'.")
_n = click.option("--n", type=click.IntRange(min=1), default=None, help="Units to measure, per stratum.")
_alpha = click.option("--alpha", type=float, default=None, help="One-sided error rate of the first attempt.")
_attempts = click.option(
    "--attempts", type=click.IntRange(min=1), default=1, show_default=True, help="Attempts registered in advance."
)
_data_root = click.option("--data-root", default=None, help="Where corpora lie.  [default: $OPHAMIN_DATA_ROOT]")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@click.argument("scenario")
@_substrate
@_corpus
@_set
@_claim
@_n
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=None, help="Chosen seed; recorded as chosen.")
@click.option("--rule", type=click.Choice(["interval", "sequential", "exact"]), default=None, help="Decision rule.")
@click.option("--sequential", is_flag=True, help="Short for --rule sequential: stop as soon as it is decided.")
@click.option(
    "--error-policy", type=click.Choice(["bound", "fail", "exclude"]), default=None, help="What errors count."
)
@_data_root
@click.option("--field", "fields", multiple=True, metavar="ROLE=PATH", help="Where a role lies in the output.")
@click.option("--key-file", default="", help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else the installation's]")
@click.option("--store", default=None, help="Folder of the proofs.  [default: proofs/ of the project]")
@_alpha
@_attempts
@click.option("--instrument", "instruments", multiple=True, is_flag=False, flag_value=WATCHING, metavar="[NAME,…]",
              help=f"Instrument that watches the run; without a name {WATCHING}.")  # fmt: skip
@click.option("--flamegraph", is_flag=True, help="Leave flame graphs of CPU time and memory beside the proof.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Longest one cycle may take, seconds.")
@click.option("--fresh", is_flag=True, help="Abandon an interrupted run of the same and start a new attempt.")
@_json
@click.pass_context
def run(
    ctx: click.Context,
    scenario: str,
    substrates: tuple[str, ...],
    corpus: str,
    options: tuple[str, ...],
    claim: str | None,
    n: int | None,
    seed: int | None,
    rule: str | None,
    sequential: bool,
    error_policy: str | None,
    data_root: str | None,
    fields: tuple[str, ...],
    key_file: str,
    store: str | None,
    alpha: float | None,
    attempts: int,
    instruments: tuple[str, ...],
    flamegraph: bool,
    timeout: float,
    fresh: bool,
    as_json: bool,
) -> None:
    """Register a claim, measure it, decide it and sign the record.

    The claim enters the ledger before the first cycle. Interrupted, the same command resumes the same attempt.
    Exit code: 0 VALIDATED, 1 REFUTED, 4 INCONCLUSIVE, 2 usage or not applicable, 6 the system failed.

    \b
    Example:
      ophamin run metric --claim 'accuracy >= 0.9' --corpus 'table:rows.csv?text=prompt&label=y' \\
          --substrate python:mypkg.model:predict
      ophamin run metric --sequential --claim 'accuracy >= 0.9' --n 600 \\
          --corpus 'table:rows.csv?text=prompt&label=y' --substrate python:mypkg.model:predict
    """
    from ophamin import registry

    settings = settings_of(ctx.obj)
    registry.get_scenario(scenario)  # a slip in the name is told before what that name would need
    if not substrates:
        raise UsageError(
            'name the system to measure: --substrate python:pkg.mod:func, --substrate "command:./prog --flag", '
            "--substrate mock, or one --substrate ARM=SPEC for each arm (ophamin substrate list)"
        )
    named = pairs(fields, "--field", "--field blocked=verdict.is_blocked")
    spec = RunSpec(
        scenario=scenario,
        arms=_arms(substrates),
        corpus=corpus,
        options=_options(options, claim),
        fields={**settings.fields, **named},
        n=n,
        seed=seed,
        rule=_rule(rule, sequential),
        instruments=_instruments(instruments, flamegraph),
        alpha=settings.alpha if alpha is None else alpha,
        attempts=attempts,
        error_policy=error_policy or "",
        timeout_s=timeout,
        project=settings.project,
        store=settings.store if store is None else store,
        data_root=settings.data_root if data_root is None else data_root,
        key_file=key_file,
        fresh=fresh,
    )
    from ophamin.measuring.scenarios import run_scenario
    from ophamin.measuring.scenarios._road.checks import check_fields, check_settings
    from ophamin.measuring.scenarios._road.setup import resolve_claim
    from ophamin.measuring.scenarios.roles import roles_of
    from ophamin.measuring.scenarios.words import run_text, summary

    check_settings(spec)
    plugin, typed, _ = resolve_claim(spec)
    check_fields(scenario, roles_of(plugin, typed), named)
    try:
        result = run_scenario(spec, progress=_ticker())
    except KeyboardInterrupt:
        click.echo(
            "ophamin: interrupted; the journal is kept: the same command resumes this attempt, --fresh starts another",
            err=True,
        )
        ctx.exit(130)
    if as_json:
        emit(summary(result.record, result.path))
    else:
        click.echo(run_text(result.record, result.path))
    ctx.exit(CODES[result.outcome])


@click.command()
@click.argument("scenario")
@_set
@_claim
@_n
@_alpha
@_attempts
@click.option("--power", type=click.FloatRange(0.5, 1, max_open=True), default=0.8, show_default=True,
              help="Power to validate at δ inside and to refute at δ outside.")  # fmt: skip
@click.option("--error-rate", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
              help="Share of cycles expected to fail.")  # fmt: skip
@click.option("--assume", "assumed", multiple=True, metavar="NAME=VALUE",
              help="Assumption about the data, e.g. sd=0.2, icc=0.1, group_size=5.")  # fmt: skip
@click.option("--family", type=click.IntRange(1, 10_000), default=None, metavar="M",
              help="Claims like this one that are corrected together, such as the cells of a sweep.")  # fmt: skip
@click.option("--correction", type=click.Choice(["holm", "hochberg", "bonferroni", "bh", "by"]), default=None,
              help="How they are corrected.  [default: holm]")  # fmt: skip
@click.option("--sequential", is_flag=True, help="Plan a run that stops as soon as it is decided; n is its maximum.")
@_substrate
@_corpus
@_data_root
@_json
@click.pass_context
def plan(
    ctx: click.Context,
    scenario: str,
    options: tuple[str, ...],
    claim: str | None,
    n: int | None,
    alpha: float | None,
    attempts: int,
    power: float,
    error_rate: float,
    assumed: tuple[str, ...],
    family: int | None,
    correction: str | None,
    sequential: bool,
    substrates: tuple[str, ...],
    corpus: str,
    data_root: str | None,
    as_json: bool,
) -> None:
    """Say how many units a claim needs, or what a given n can show. Nothing is registered.

    With --substrate it also says how long that takes, from at most 5 cycles whose outputs nobody looks at.

    \b
    Example:
      ophamin plan metric --claim 'accuracy >= 0.9' --set delta=0.05
      ophamin plan metric --claim 'accuracy >= 0.9' --n 200
      ophamin plan metric --claim 'accuracy >= 0.9' --sequential
      ophamin plan metric --claim 'accuracy >= 0.9' --family 8
    """
    from ophamin.measuring.scenarios.forecast import forecast
    from ophamin.measuring.scenarios.words import plan_text

    settings = settings_of(ctx.obj)
    spec = RunSpec(
        scenario=scenario,
        arms=_arms(substrates),
        corpus=corpus,
        options=_options(options, claim),
        n=n,
        alpha=settings.alpha if alpha is None else alpha,
        attempts=attempts,
        rule=_rule(None, sequential),
        data_root=settings.data_root if data_root is None else data_root,
    )
    assumptions = {name: _float(name, value) for name, value in pairs(assumed, "--assume", "--assume sd=0.2").items()}
    if correction is not None and family is None:
        raise UsageError("--correction is of a family; say of how many claims, --family M")
    found = forecast(
        spec, power=power, error_rate=error_rate, assumptions=assumptions, family=family,
        correction=correction or "holm",
    )  # fmt: skip
    if as_json:
        emit(found)
        return
    click.echo(plan_text(found))


def _float(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"--assume {name} takes a number, not {value!r}") from None


@click.command()
@click.argument("proof")
@click.option("--substrate", "substrates", multiple=True, metavar="[ARM=]SPEC",
              help="The same system, where it has another address here.")  # fmt: skip
@_data_root
@_json
@click.pass_context
def reproduce(
    ctx: click.Context, proof: str, substrates: tuple[str, ...], data_root: str | None, as_json: bool
) -> None:
    """Run a proof again, on the same records with the same seed, and say whether it agrees.

    PROOF is a record.json or the beginning of an id in the store. Equal observations agree exactly; otherwise the
    difference is decided against the registered smallest difference. Exit code: 0 AGREE, 1 DISAGREE, 4 INCONCLUSIVE,
    5 when nobody known signed the proof, which says what is run.

    \b
    Example:
      ophamin reproduce 3fa9c1
    """
    from ophamin.measuring.scenarios.reproduction import reproduce as again
    from ophamin.measuring.scenarios.words import reproduction_text
    from ophamin.registry.gathering import locate

    settings = settings_of(ctx.obj)
    found = again(
        locate(settings, proof),
        project=settings.project,
        data_root=settings.data_root if data_root is None else data_root,
        arms=_arms(substrates),
        progress=_ticker(),
    )
    if as_json:
        emit(found.to_dict())
    else:
        click.echo(reproduction_text(found))
    ctx.exit(CODES[found.answer])


@click.command()
@click.argument("proof")
@_json
@click.pass_context
def recompute(ctx: click.Context, proof: str, as_json: bool) -> None:
    """Score a proof's stored observations again, and say whether they give what it states. Nothing is run.

    PROOF is a record.json or the beginning of an id in the store. Compared are value, interval and outcome of each
    threshold, the counts, the evidence, and the claim. Exit code: 0 they do, 3 they do not (or the proof is bad).

    \b
    Example:
      ophamin recompute 3fa9c1
    """
    from ophamin.measuring.scenarios.recomputing import recompute as again
    from ophamin.measuring.scenarios.words import recomputation_text
    from ophamin.registry.gathering import locate

    found = again(locate(settings_of(ctx.obj), proof))
    if as_json:
        emit(found.to_dict())
    else:
        click.echo(recomputation_text(found))
    ctx.exit(0 if found.agrees else 3)
