"""``ophamin decide``."""

from __future__ import annotations

from pathlib import Path

import click

from ophamin.measuring._command.road import CODES, emit, pairs

__all__ = ["decide"]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True,
              help="CSV, TSV, JSON lines or Parquet file; each may end in .gz.")  # fmt: skip
@click.option("--claim", required=True, help="METRIC COMPARATOR VALUE, e.g. 'accuracy >= 0.9'.")
@click.option("--column", "columns", multiple=True, metavar="NAME=COLUMN",
              help="Where a column lies: correct, answer, label, status, arm, pair or a ROLE.")  # fmt: skip
@click.option("--cluster", default=None, metavar="COLUMN", help="Independent unit: user, session, document.")
@click.option("--paired", default=None, metavar="COLUMN",
              help="The baseline's value in the same row; the claim is on a difference.")  # fmt: skip
@click.option("--set", "options", multiple=True, metavar="NAME=VALUE",
              help="delta, support, method, error_policy as of the scenario metric.")  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 0.5, min_open=True, max_open=True), default=0.05,
              show_default=True, help="One-sided error rate.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def decide(
    ctx: click.Context,
    data: Path,
    claim: str,
    columns: tuple[str, ...],
    cluster: str | None,
    paired: str | None,
    options: tuple[str, ...],
    alpha: float,
    as_json: bool,
) -> None:
    """Judge results you already have. Nothing is registered, and no proof is written.

    The verdict is formed as in a run, from an interval; but whoever saw the results before stating the claim errs
    more often than it says. Exit code: 0 VALIDATED, 1 REFUTED, 4 INCONCLUSIVE.

    \b
    Example:
      ophamin decide --data results.csv --claim 'accuracy >= 0.9' --cluster user
      ophamin decide --data results.csv --claim 'accuracy_difference >= -0.02' --paired baseline
    """
    from ophamin.measuring.pillars._data import read_table
    from ophamin.measuring.scenarios.judging import columns_asked, judge
    from ophamin.measuring.scenarios.words import judgement_json, judgement_text
    from ophamin.proof.errors import UsageError

    named = pairs(columns, "--column", "--column correct=is_right")
    for option, role, column in (("--cluster", "group", cluster), ("--paired", "baseline", paired)):
        if column is not None and role in named:
            raise UsageError(f"{option} says the same as --column {role}=…; give one of them")
        if column is not None:
            named[role] = column
    _, wanted = columns_asked(claim)
    # These change what is decided, so a column that merely has the name is not enough.
    table = read_table(data, named, [n for n in wanted if n not in ("group", "baseline") or n in named])
    given = pairs(options, "--set", "--set delta=0.02")
    if "claim" in given:
        raise UsageError("give the claim by --claim")
    found = judge(table, claim, alpha=alpha, options=given)
    if as_json:
        emit({"data": str(data), **judgement_json(found)})
    else:
        click.echo(judgement_text(found))
    ctx.exit(CODES[found.decision.outcome])
