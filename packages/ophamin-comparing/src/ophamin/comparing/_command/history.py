"""``ophamin history``, ``bisect`` and ``cost-gate``."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.comparing._output import json_line
from ophamin.proof.errors import UsageError
from ophamin.protocols import Progress, RunSpec, Settings

if TYPE_CHECKING:
    from ophamin.comparing.history.revisions import Revision
    from ophamin.proof.keys import Signer

__all__ = ["bisect", "cost_gate", "history"]

JSON = Any
_ARM = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=(.+)", re.DOTALL)
_INTERRUPTED = "ophamin: interrupted; what was measured is kept, and the same command goes on from there"


class _Line:
    """One line on a terminal that is written over again and again; nothing in a pipe."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self.head = ""

    def say(self, words: str) -> None:
        if self._shown:
            print(f"\r\x1b[2K{words}", end="", file=sys.stderr, flush=True)

    def tick(self, progress: Progress) -> None:
        of = f" of {progress.total}" if progress.total else ""
        self.say(f"{self.head}: {progress.phase} {progress.done}{of}, {progress.elapsed_s:.0f} s")

    def end(self) -> None:
        self.say("")


def _pairs(words: Sequence[str], option: str, example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {word!r} is not NAME=VALUE, such as {option} {example}")
        if name in found:
            raise UsageError(f"{option} {name!r} is given twice")
        found[name] = value
    return found


def _arms(words: Sequence[str]) -> dict[str, str]:
    arms: dict[str, str] = {}
    for word in words:
        match = _ARM.fullmatch(word)
        name, spec = (match[1], match[2]) if match else ("main", word)
        if name in arms:
            raise UsageError(f"arm {name!r} is given twice; tell systems apart by --substrate NAME=SPEC")
        arms[name] = spec
    if not arms:
        raise UsageError("name the system to measure: --substrate 'repo:.?target=pkg.mod:func'")
    return arms


def _settings(settings: Settings | None) -> Settings:
    if settings is not None:
        return settings
    from ophamin.proof.project import Project

    project = Project.find()
    return Settings(str(project.root), str(project.proofs))


_RUN_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("scenario"),
    click.option("--substrate", "substrates", multiple=True, metavar="[ARM=]SPEC",
                 help="System to measure. One that takes rev= and names none moves, e.g. repo:.?target=pkg.mod:func."),
    click.option("--corpus", default="", metavar="SPEC", help="Corpus, e.g. table:rows.csv?text=prompt&label=y."),
    click.option("--set", "options", multiple=True, metavar="NAME=VALUE", help="Option of the scenario."),
    click.option("--claim", default=None, help="Short for --set claim=…, e.g. 'accuracy >= 0.9'."),
    click.option("--n", type=click.IntRange(min=1), default=None, help="Units to measure, per stratum."),
    click.option("--rule", type=click.Choice(["interval", "sequential", "exact"]), default=None, help="Decision rule."),
    click.option("--error-policy", type=click.Choice(["bound", "fail", "exclude"]), default=None,
                 help="What errors count."),
    click.option("--field", "fields", multiple=True, metavar="ROLE=PATH", help="Where a role lies in the output."),
    click.option("--data-root", default=None, help="Where corpora lie.  [default: $OPHAMIN_DATA_ROOT]"),
    click.option("--key-file", default="", help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else your own]"),
    click.option("--store", default=None, help="Folder of the proofs.  [default: proofs/ of the project]"),
    click.option("--alpha", type=float, default=None, help="One-sided error rate; of a bisection, of all of it."),
    click.option("--instrument", "instruments", multiple=True, metavar="NAME", help="Instrument that watches a run."),
    click.option("--timeout", type=float, default=60.0, show_default=True, help="Longest one cycle may take, seconds."),
    click.option("--limit", "limit_s", type=click.FloatRange(0, min_open=True), default=600.0, show_default=True,
                 help="Longest one run may take, seconds; a revision that takes longer is skipped."),
    click.option("--retry", is_flag=True, help="Try again what was skipped before."),
    click.option("--fresh", is_flag=True, help="Measure all anew, as new attempts, instead of going on."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)  # fmt: skip


def _run_options(command: Any) -> Any:
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


def _spec(settings: Settings, given: Mapping[str, JSON]) -> RunSpec:
    options = _pairs(given["options"], "--set", "limit_s=0.05")
    if given["claim"] is not None:
        if "claim" in options:
            raise UsageError("--claim says the same as --set claim=…; give one of them")
        options["claim"] = given["claim"]
    return RunSpec(
        scenario=given["scenario"],
        arms=_arms(given["substrates"]),
        corpus=given["corpus"],
        options=options,
        fields={**settings.fields, **_pairs(given["fields"], "--field", "blocked=verdict.is_blocked")},
        n=given["n"],
        rule=given["rule"] or "",
        instruments=list(given["instruments"]),
        alpha=settings.alpha if given["alpha"] is None else given["alpha"],
        error_policy=given["error_policy"] or "",
        timeout_s=given["timeout"],
        project=settings.project,
        store=settings.store if given["store"] is None else given["store"],
        data_root=settings.data_root if given["data_root"] is None else given["data_root"],
        key_file=given["key_file"],
        fresh=given["fresh"],
        own_records=given.get("records") == "own",
    )


def _key(given: str) -> Signer:
    """Asked for before any work, so that a key that may not be used costs nothing."""
    from ophamin.comparing._signed import signer_of

    return signer_of(Path(given) if given else None)


def _finish(
    ctx: click.Context,
    found: Mapping[str, JSON],
    text: str,
    as_json: bool,
    *,
    request: Mapping[str, JSON],
    argv: Sequence[str],
    settings: Settings,
    signer: Signer,
) -> None:
    """Keep the signed record, print, and exit as found."""
    from ophamin.comparing._signed import keep
    from ophamin.comparing.history.record import HISTORY, history_body

    kept = keep(history_body(argv[1], request, found, argv), HISTORY, settings, signer)
    if as_json:
        click.echo(json_line({**found, "record": str(kept.path)}))
    else:
        click.echo(f"{text}\nrecord: {kept.path}")
    ctx.exit(found["exit_code"])


@click.command()
@_run_options
@click.option("--revisions", required=True, metavar="A..B", help="From A, which is measured too, to B, or to HEAD.")
@click.option("--first-parent", is_flag=True, help="Walk along first parents, so that a merge is one step.")
@click.option("--every", type=click.IntRange(min=1), default=1, show_default=True, metavar="K",
              help="Measure each K-th revision, and the last.")  # fmt: skip
@click.option("--records", type=click.Choice(["same", "own"]), default="same", show_default=True,
              help="The same for every revision, or records of its own for each, to be pooled.")  # fmt: skip
@click.pass_context
def history(
    ctx: click.Context, /, revisions: str, first_parent: bool, every: int, as_json: bool, **given: JSON
) -> None:
    """Measure a scenario at each revision of a repository, and say where its verdict flipped.

    Every revision is a run of its own: registered, measured in a clean checkout, decided, signed and stored. One that
    cannot be measured is skipped with its reason. Interrupted or killed, the same command goes on where it was, and
    what was measured is not measured again. Exit code: 1 any is REFUTED, 4 any is INCONCLUSIVE, 6 nothing could be
    measured, 0 all are VALIDATED.

    With --records own no revision measures a record that another run of the claim did: then what they found can be
    added up (ophamin cumulative), and is compared unpaired.

    \b
    Example:
      ophamin history metric --revisions v1.0..HEAD --claim 'accuracy >= 0.9' --n 300 \\
          --corpus 'table:rows.csv?text=prompt&label=y' --substrate 'repo:.?target=mypkg.model:predict'
    """
    from ophamin.comparing.history._show import history_json, history_text
    from ophamin.comparing.history.history import history as measured
    from ophamin.comparing.history.measuring import stated, words_of
    from ophamin.comparing.history.revisions import Moving, range_of, uncommitted, walk

    settings, line = _settings(ctx.obj), _Line()
    first, last = range_of(revisions)
    spec, signer = _spec(settings, given), _key(given["key_file"])

    def chosen(moved: Moving) -> list[Revision]:
        found = walk(moved.repository, first, last, first_parent=first_parent, every=every)
        if remark := uncommitted(moved.repository, [revision.commit for revision in found]):
            click.echo(remark, err=True)
        return found

    def each(number: int, total: int, left_s: float | None) -> None:
        left = "" if left_s is None else f", about {left_s:.0f} s left"
        line.head = f"revision {number + 1} of {total}{left}"
        line.say(line.head)

    try:
        found = measured(
            spec, chosen, settings, limit_s=given["limit_s"], fresh=given["fresh"],
            retry=given["retry"], progress=line.tick, each=each,
        )  # fmt: skip
    except KeyboardInterrupt:
        click.echo(_INTERRUPTED, err=True)
        ctx.exit(130)
    finally:
        line.end()
    way = {"revisions": revisions, "first-parent": first_parent, "every": every if every > 1 else None}
    _finish(
        ctx, history_json(found), history_text(found), as_json, request={**stated(spec), **way},
        argv=words_of("history", spec, **way), settings=replace(settings, store=spec.store), signer=signer,
    )  # fmt: skip


@click.command()
@_run_options
@click.option("--good", required=True, metavar="A", help="A revision at which the claim holds.")
@click.option("--bad", required=True, metavar="B", help="A later one at which it does not.")
@click.option("--tries", type=click.IntRange(1, 6), default=3, show_default=True,
              help="Registrations until a revision is decided; each doubles n and halves its alpha.")  # fmt: skip
@click.pass_context
def bisect(ctx: click.Context, /, good: str, bad: str, tries: int, as_json: bool, **given: JSON) -> None:
    """Find the commit that flipped a verdict from VALIDATED to REFUTED, in about log2(N) runs.

    Both ends are decided first, on fresh records. Each decision is held to alpha / log2(N), rounded up; one that stays
    undecided is registered again with more data. That there is one flip is assumed. A revision that cannot be measured
    is passed over, and the answer may then be a range. Exit code: 0 found, 1 the ends are not as stated, 4 undecided,
    6 an end cannot be measured.

    \b
    Example:
      ophamin bisect metric --good v1.0 --bad HEAD --claim 'accuracy >= 0.9' --n 300 \\
          --corpus 'table:rows.csv?text=prompt&label=y' --substrate 'repo:.?target=mypkg.model:predict'
    """
    from ophamin.comparing.history._show import bisection_json, bisection_text
    from ophamin.comparing.history.bisect import bisect as searched
    from ophamin.comparing.history.measuring import stated, words_of

    settings, line = _settings(ctx.obj), _Line()
    spec, signer = _spec(settings, given), _key(given["key_file"])

    def each(revision: Revision, suspects: int) -> None:
        line.head = f"{revision.commit[:12]}, {suspects} suspect"
        line.say(line.head)

    try:
        found = searched(
            spec, good, bad, settings, tries=tries, limit_s=given["limit_s"], fresh=given["fresh"],
            retry=given["retry"], progress=line.tick, each=each,
        )  # fmt: skip
    except KeyboardInterrupt:
        click.echo(_INTERRUPTED, err=True)
        ctx.exit(130)
    finally:
        line.end()
    way = {"good": good, "bad": bad, "tries": tries}
    _finish(
        ctx, bisection_json(found), bisection_text(found), as_json, request={**stated(spec), **way},
        argv=words_of("bisect", spec, **way), settings=replace(settings, store=spec.store), signer=signer,
    )  # fmt: skip


@click.command("cost-gate")
@click.option("--substrate", "substrates", multiple=True, metavar="[NAME=]SPEC",
              help="System to time, without rev=, e.g. repo:.?target=pkg.mod:func; one or more.")  # fmt: skip
@click.option("--base", required=True, metavar="A", help="Revision the other is held against.")
@click.option("--head", default="HEAD", show_default=True, metavar="B", help="Revision that may be slower.")
@click.option("--corpus", required=True, metavar="SPEC", help="What one pass works through.")
@click.option("--n", type=click.IntRange(min=1), default=20, show_default=True, help="Records of a pass.")
@click.option("--margin", type=float, default=0.03, show_default=True, help="Slow-down that is let pass, a share.")
@click.option("--alpha", type=float, default=0.01, show_default=True, help="Error of each side, over all looks.")
@click.option("--rounds", type=click.IntRange(4, 1000), default=10, show_default=True, help="Rounds at most.")
@click.option("--inner", "inner_s", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
              help="Least time each process works in a round, seconds.")  # fmt: skip
@click.option("--noise-limit", type=float, default=0.05, show_default=True,
              help="Spread of identical code beyond which nothing is decided.")  # fmt: skip
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Longest one cycle may take, seconds.")
@click.option("--data-root", default=None, help="Where corpora lie.  [default: $OPHAMIN_DATA_ROOT]")
@click.option("--key-file", default="", help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else your own]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def cost_gate(
    ctx: click.Context,
    substrates: tuple[str, ...],
    base: str,
    head: str,
    corpus: str,
    n: int,
    margin: float,
    alpha: float,
    rounds: int,
    inner_s: float,
    noise_limit: float,
    timeout: float,
    data_root: str | None,
    key_file: str,
    as_json: bool,
) -> None:
    """Say whether a revision is slower than another by more than a margin.

    Both are timed side by side in one session: fresh processes, in an order that is drawn and reversed round by round,
    each working for a second, of which the least time of a pass counts. Where identical code spreads by more than
    --noise-limit, the answer is INCONCLUSIVE. Exit code: 0 not slower, 1 slower, 4 neither was shown.

    \b
    Example:
      ophamin cost-gate --base main --head HEAD --substrate 'repo:.?target=mypkg.model:predict' \\
          --corpus 'table:rows.csv?text=prompt'
    """
    from ophamin.comparing.history._show import gate_json, gate_text
    from ophamin.comparing.history.cost_gate import GateSpec, gate_request, gate_words
    from ophamin.comparing.history.cost_gate import cost_gate as timed
    from ophamin.comparing.history.gate_rule import GateRule

    settings, line = _settings(ctx.obj), _Line()
    systems, signer = _arms(substrates), _key(key_file)
    spec = GateSpec(
        systems=systems,
        base=base,
        head=head,
        corpus=corpus,
        n=n,
        rule=GateRule(margin, alpha, rounds, noise_limit, len(systems)),
        inner_s=inner_s,
        timeout_s=timeout,
        data_root=settings.data_root if data_root is None else data_root,
    )
    began = time.monotonic()

    def tick(progress: Progress) -> None:
        left = (time.monotonic() - began) / progress.done * ((progress.total or 0) - progress.done)
        line.say(f"round {progress.done} of {progress.total}, at most {left:.0f} s left")

    try:
        found = timed(spec, settings, progress=tick)
    except KeyboardInterrupt:
        click.echo("ophamin: interrupted; a session is one sitting, so the same command begins another", err=True)
        ctx.exit(130)
    finally:
        line.end()
    _finish(
        ctx, gate_json(found), gate_text(found), as_json, request=gate_request(spec), argv=gate_words(spec),
        settings=settings, signer=signer,
    )  # fmt: skip
