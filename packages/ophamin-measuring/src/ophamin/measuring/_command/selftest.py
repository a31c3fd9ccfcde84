"""``ophamin selftest``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from ophamin.measuring._command.road import emit
from ophamin.proof.errors import UsageError
from ophamin.protocols import Settings

__all__ = ["selftest"]


def _ticker() -> Callable[[int, int, str], None] | None:
    """Counts, time and what was done last, on a terminal only."""
    if not sys.stderr.isatty():
        return None
    began = time.monotonic()

    def tick(done: int, total: int, label: str) -> None:
        took = time.monotonic() - began
        end = "\n" if done == total else ""
        words = f"\r\x1b[2Kselftest: {done} of {total}, {took:.0f} s: {label[:50]}{end}"
        print(words, end="", file=sys.stderr, flush=True)

    return tick


def _proofs(settings: Settings | None) -> Path:
    from ophamin.proof.project import Project

    return Path(settings.store) if settings is not None else Project.find().proofs


@click.command("selftest", short_help="Try every interval, test and stopping rule on data whose truth is known.")
@click.option("--quick/--full", "quick", default=True, show_default=True,
              help="Under a minute on two cores; or ten times the runs, and the dear ones, for a release.")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=None, help="Seed of the simulations.  [default: fixed]"
)
@click.option("--jobs", type=click.IntRange(1, 64), default=None, help="Worker processes.  [default: one per core]")
@click.option("--store", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="Folder of records.  [default: proofs/]")  # fmt: skip
@click.option("--key-file", type=click.Path(path_type=Path), default=None, help="Signing key.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def selftest(
    ctx: click.Context,
    quick: bool,
    seed: int | None,
    jobs: int | None,
    store: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Try every interval, test and stopping rule on data whose truth is known, and sign what was found.

    Each side's misses, errors at the threshold and power are counted against what the method is said to keep, with
    exact binomial limits: a right installation fails anything in the table at most 1 % of the time. The counts depend
    on the seed alone, not on the number of workers. Interrupted, or killed, the same command goes on where it stopped.
    Exit code: 0 nothing failed, 1 something did.

    \b
    Example:
      ophamin selftest
      ophamin selftest --full --seed 7 --jobs 8 --json
    """
    from ophamin.measuring.selftest.recording import selftest as tried
    from ophamin.measuring.selftest.report import text_report
    from ophamin.measuring.selftest.running import SEED
    from ophamin.proof.store import Store

    folder = Store(_proofs(ctx.obj) if store is None else store)
    try:
        done = tried(
            folder, mode="quick" if quick else "full", seed=SEED if seed is None else seed,
            jobs=min(os.cpu_count() or 1, 8) if jobs is None else jobs, key_file=key_file, progress=_ticker(),
        )  # fmt: skip
    except OSError as error:
        raise UsageError(f"{folder.root} cannot be written: {error.strerror or error}") from error
    if as_json:
        emit({"record": str(done.path), **done.record})
    else:
        click.echo(f"{text_report(done.record)}\nrecord: {done.path}")
    ctx.exit(0 if done.passed else 1)
