"""``ophamin metrics``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ophamin.measuring._command.road import emit, pairs, settings_of

__all__ = ["metrics"]


@click.command()
@click.argument("proof")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="Also write the bundles there, one JSON object a line.")  # fmt: skip
@click.option("--set", "reference", multiple=True, metavar="NAME=VALUE",
              help="In place of the claim: h0, h1, mean, sigma, tau, weight, concentration.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, bundles included.")
@click.pass_context
def metrics(ctx: click.Context, proof: str, out: Path | None, reference: tuple[str, ...], as_json: bool) -> None:
    """Tell a proof's run cycle by cycle: one flat bundle each, from its stored observations. Nothing is run.

    A bundle has telemetry (counters, gauges, timers so far), validity (SRM p, log likelihood ratio, always-valid p,
    drift so far) and the outputs of the cycle. PROOF is a record.json or the beginning of an id in the store. Without
    --out or --json the last bundle is shown.

    \b
    Example:
      ophamin metrics 3fa9c1 --out metrics.jsonl
      ophamin metrics 3fa9c1 --set mean=0.21 --set sigma=0.05
    """
    from ophamin.measuring.scenarios.cycle_metrics import metrics_of
    from ophamin.measuring.scenarios.words import metrics_text
    from ophamin.proof.atomic import write_atomic
    from ophamin.proof.errors import UsageError
    from ophamin.registry.gathering import locate

    given = {}
    for name, value in pairs(reference, "--set", "--set mean=0.21").items():
        try:
            given[name] = float(value)
        except ValueError:
            raise UsageError(f"--set {name} takes a number, not {value!r}") from None
    found = metrics_of(locate(settings_of(ctx.obj), proof), given)
    if out is not None:
        lines = [json.dumps(bundle.to_dict(), ensure_ascii=False) + "\n" for bundle in found.bundles]
        write_atomic(out, "".join(lines).encode())
    if as_json:
        emit(found.to_dict())
    else:
        click.echo(metrics_text(found))
