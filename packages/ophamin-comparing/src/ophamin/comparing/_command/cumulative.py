"""``ophamin cumulative …``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ophamin.comparing._command.synthesis import verified_index
from ophamin.comparing._output import json_line
from ophamin.proof.errors import UsageError
from ophamin.proof.printable import printable
from ophamin.protocols import Settings

if TYPE_CHECKING:
    from ophamin.comparing.drift.proofs import Proof
    from ophamin.comparing.index import Problem
    from ophamin.comparing.series.points import Series

__all__ = ["look", "register"]

JSON = Any
CODES = {"VALIDATED": 0, "REFUTED": 1, "INCONCLUSIVE": 4}
TAMPERED = 3
_WIDTH = 40

_metric = click.argument("metric")
_directory = click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
_claim = click.option(
    "--claim", default="", metavar="DIGEST", help="Beginning of the claim's digest, where several have METRIC."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


@click.command(short_help="Register how much is pooled, before the first look.")
@_metric
@_directory
@click.option("--max-n", type=click.IntRange(min=1), help="Observations at which looking ends.")
@click.option("--commits", type=click.IntRange(min=1), help="The same as so many commits, as large as those in DIR.")
@click.option("--alpha", type=float, help="Two-sided, of all looks together.  [default: that of the project]")
@click.option(
    "--spending", type=click.Choice(["obrien-fleming", "pocock", "power"]), default="obrien-fleming",
    show_default=True, help="How alpha is spent.",
)  # fmt: skip
@click.option("--drift-alpha", type=float, default=0.1, show_default=True, help="Of the tests of drift at each look.")
@click.option("--include-earlier", is_flag=True, help="Also pool what was measured before the registration.")
@_claim
@_json
@click.pass_obj
def register(
    settings: Settings,
    metric: str,
    directory: Path | None,
    max_n: int | None,
    commits: int | None,
    alpha: float | None,
    spending: str,
    drift_alpha: float,
    include_earlier: bool,
    claim: str,
    as_json: bool,
) -> None:
    """Register, in the project's ledger, after how many observations commits of METRIC are no longer pooled.

    Only commits that are measured afterwards are pooled, unless --include-earlier says otherwise, which each look then
    repeats. Registering anew after commits were measured is another attempt: half of alpha, and later commits only.

    \b
    Example:
      ophamin cumulative register accuracy --commits 20
    """
    from ophamin.comparing.series.looking import choose
    from ophamin.comparing.series.registering import Plan
    from ophamin.comparing.series.registering import register as enter
    from ophamin.proof.ledger import Ledger
    from ophamin.proof.project import Project

    if (max_n is None) == (commits is None):
        raise UsageError("say by one of the two when looking ends: --max-n N, or --commits N")
    proofs, _ = _proofs(settings, metric, directory)
    series = choose(proofs, metric, claim)
    typical = _typical(proofs, series)
    if max_n is None:
        if not typical:
            raise UsageError("no commit here says how much was observed; give --max-n")
        max_n = (commits or 0) * typical
    plan = Plan(max_n, settings.alpha if alpha is None else alpha, spending, drift_alpha, include_earlier)
    found = enter(Ledger(Project(Path(settings.project)).ledger_dir), series, plan)
    count = max_n / typical if typical else None
    if as_json:
        said = {k: v for k, v in found.value.items() if k not in ("type", "key")}
        whole = {"index": found.index, "new": not found.renewed, "commits": count, **said}
        click.echo(json_line(whole))
        return
    value = found.value
    about = "" if count is None else f", about {count:.3g} commits as large as those here"
    word = "registered already" if found.renewed else "registered"
    click.echo(printable(f"{word} as entry {found.index}: {metric} {value['comparator']} {value['theta']}"))
    click.echo(f"  looking ends at {max_n:,} observations{about}")
    click.echo(f"  alpha {value['alpha_used']:.3g} over all looks, spent by {spending}; attempt {value['attempt']}")
    click.echo(f"  {_which(value)}")


@click.command(short_help="What the commits say together, under what was registered.")
@_metric
@_directory
@_claim
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="Signing key.  [default: $OPHAMIN_SIGN_KEY, else your own]"
)
@_json
@click.pass_context
def look(
    ctx: click.Context, metric: str, directory: Path | None, claim: str, key_file: Path | None, as_json: bool
) -> None:
    """Pool the commits of METRIC that were measured since the registration, as a signed record.

    Drift is tested first: what differs between commits is not averaged. Every commit spends its share of alpha on the
    way to the registered maximum, however often it is looked at; looking again at the same commits costs nothing.

    Exits 3 when a proof is not what was signed (it is left out); 0 when the pooled claim holds; 1 when it does not; 4
    when neither is shown, or the commits are not pooled.

    \b
    Example:
      ophamin cumulative look accuracy
    """
    from ophamin.comparing.series import looking

    settings: Settings = ctx.obj
    proofs, problems = _proofs(settings, metric, directory)
    found = looking.look(proofs, metric, settings, claim=claim, key_file=key_file)
    record = found.kept.record
    code = CODES[record["result"]["outcome"]]
    if any(problem.state == "forged" for problem in problems):
        code = TAMPERED
    if as_json:
        body = {k: v for k, v in record.items() if k not in ("signature", "attestations")}
        left_out = [{"path": str(p.path), "state": p.state, "reason": p.reason} for p in problems]
        whole = {
            "exit_code": code, "record": str(found.kept.path), "repeated": found.repeated, "beyond": found.beyond,
            **body, "problems": left_out,
        }  # fmt: skip
        click.echo(json_line(whole))
    else:
        for line in _lines(record, found.repeated, found.beyond):
            click.echo(printable(line))
        for problem in problems:
            click.echo(f"{problem.state}: {printable(problem.path)}: {printable(problem.reason)}", err=True)
        click.echo(f"record: {found.kept.path}")
    ctx.exit(code)


def _proofs(settings: Settings, metric: str, directory: Path | None) -> tuple[list[Proof], list[Problem]]:
    with verified_index(settings, directory) as index:
        proofs, problems = [index.load(entry) for entry in index.having(metric)], index.problems()
    if not proofs:
        raise UsageError(f"no sound proof lies in {directory or settings.store}")
    return proofs, problems


def _typical(proofs: Sequence[Proof], series: Series) -> int:
    """Observations of a commit as large as those there are; 0 when none says."""
    from statistics import median_low

    ours = {point.proof_id for point in series.points}
    sizes = [p.body["verdict"].get("n_used") or 0 for p in proofs if p.proof_id in ours]
    return median_low(sizes) if sizes else 0


def _which(value: Mapping[str, JSON]) -> str:
    if value["include_earlier"]:
        return f"pooled with {value['points_there']} commits that were measured before it was registered"
    return f"pooled are commits measured from now on ({value['points_there']} were there)"


def _lines(record: Mapping[str, JSON], repeated: bool, beyond: int) -> list[str]:
    from ophamin.comparing.series.cumulative_record import sentence

    said, result = record["registration"], record["result"]
    lines = [
        f"{said['metric']} {said['comparator']} {said['theta']}: {result['outcome']}",
        f"  {sentence(record)}",
    ]
    p_values = [("Q", result["heterogeneity_p"]), ("change point", result["change_p"])]
    tests = ", ".join(f"{name} p {p:.3g}" for name, p in p_values if p is not None)
    lines.append(f"  drift: {tests}, each held to {said['drift_alpha'] / 2:.3g}")
    last = record["points"][-1]["step"]
    if last is not None:
        bound = "none yet" if last["boundary"] is None else f"{last['boundary']:.3f}"
        lines.append(f"  spent {last['spent']:.3g} of {said['alpha_used']:.3g}; boundary {bound} standard errors")
    lines += _forest(record["points"], said["theta"])
    if said["include_earlier"]:
        lines.append(
            f"  {said['points_there']} commits were there at the registration: alpha does not hold for what they say"
        )
    if said["attempt"] > 1:
        lines.append(
            f"  attempt {said['attempt']} at this series: alpha is {said['alpha']:.3g} / 2^{said['attempt'] - 1}"
        )
    reasons = [row["reason"] for row in record["left_out"]]
    lines += [f"  left out: {reasons.count(reason)} ({reason})" for reason in sorted(set(reasons))]
    if repeated:
        lines.append("  these commits were looked at before: nothing was spent")
    if beyond:
        lines.append(f"  the registration has ended: {beyond} later commits are not pooled; register anew for them")
    return lines


def _forest(points: Sequence[Mapping[str, JSON]], theta: float) -> list[str]:
    """The pooled value and its corrected interval after each commit, against θ."""
    held = [p for p in points if p["step"] is not None and p["step"]["lower"] is not None]
    if not held:
        return []
    # The widest intervals are of the first commits; the half-way one sets the scale, and what is wider runs out of it.
    middle = held[len(held) // 2]["step"]
    reach: float = max(middle["upper"] - middle["value"], *(abs(p["step"]["value"] - theta) for p in held)) * 1.2
    low: float = theta - reach

    def at(value: float) -> int:
        return min(_WIDTH, max(0, round((value - low) / (2 * reach) * _WIDTH)))

    lines = []
    for point in held[-20:]:
        step, row = point["step"], [" "] * (_WIDTH + 1)
        left, right = at(step["lower"]), at(step["upper"])
        row[left : right + 1] = "-" * (right - left + 1)
        row[at(theta)] = "|"
        row[at(step["value"])] = "o"
        name = point["revision"][:12] or point["created_at"][:19]
        lines.append(f"  {name:19} {''.join(row)} {step['value']:.4g} [{step['lower']:.4g}, {step['upper']:.4g}]")
    return lines
