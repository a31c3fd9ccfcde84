"""Diagnostic D as a plug-in: the posterior of a mean or a proportion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.diagnostics.posterior import BACKENDS, posterior_mean, posterior_proportion
from ophamin.measuring.pillars._columns import complete, numbers
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["BayesianPosterior"]


class BayesianPosterior:
    """Posterior of a mean or a proportion with a credible interval; chains that did not mix are refused.

    Source: see ``diagnostics.posterior``.

    Example:
        >>> prior = {"of": "proportion", "prior_a": 1.0, "prior_b": 1.0}
        >>> result = BayesianPosterior().compute({"value": [1, 0, 1, 1]}, seed=0, **prior)
        >>> round(result.evidence[0].statistic_value, 4)
        0.6667
    """

    name = "D.posterior"
    library = OWN
    columns: Mapping[str, str] = {"value": "observations; 0 and 1 for a proportion"}
    options: Mapping[str, OptionSpec] = {
        "of": OptionSpec("mean", "mean or proportion"),
        "backend": OptionSpec("conjugate", f"{', '.join(BACKENDS)}; the samplers are in the extra bayes"),
        "prior_a": OptionSpec(0.5, "first parameter of a proportion's Beta prior"),
        "prior_b": OptionSpec(0.5, "second parameter"),
        "draws": OptionSpec(1000, "draws of each chain, after as many of warm-up"),
        "chains": OptionSpec(4, "chains"),
        "level": OptionSpec(0.95, "content of the central credible interval"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compute the posterior.

        Args:
            columns: ``value``.
            seed: Of the sampler.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: the posterior mean, ``None`` when its chains were refused, with R-hat, ESS and divergences.

        Raises:
            UsageError: Malformed columns or options.
            MissingDependency: A sampler that is not installed.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        if given["of"] not in ("mean", "proportion"):
            raise UsageError(f"the posterior is of a mean or a proportion, not {given['of']!r}")
        kept, left_out = complete(value=numbers(self.name, columns, "value"))
        y = kept["value"]
        notes = [f"{left_out} rows lack a value and were left out"] if left_out else []
        sampling = {key: given[key] for key in ("backend", "level", "draws", "chains")}
        if given["of"] == "proportion" and not np.isin(y, (0, 1)).all():
            raise UsageError("a proportion is of values 0 and 1")
        try:
            if given["of"] == "proportion":
                prior = (given["prior_a"], given["prior_b"])
                found = posterior_proportion(int(y.sum()), len(y), prior=prior, seed=seed, **sampling)
            else:
                found = posterior_mean(y, seed=seed, **sampling)
        except UsageError as error:
            return PillarResult([finding(self.name, "posterior_mean", None, n=len(y))], warnings=[*notes, str(error)])
        detail: dict[str, Any] = {"sd": finite(found.sd), "level": given["level"], "of": given["of"]}
        if found.chains is not None:
            detail |= {"rhat": finite(found.chains.rhat), "ess_bulk": finite(found.chains.ess_bulk)}
            detail |= {"ess_tail": finite(found.chains.ess_tail), "divergences": found.chains.divergences}
        if found.refused and found.chains is not None:
            notes.append(f"the draws are refused: {found.chains.problem}; draw more, or standardise the data")
        item = finding(
            self.name, "posterior_mean", found.mean, low=found.lower, high=found.upper, n=len(y),
            library=found.library, method=None if found.refused else f"credible {found.backend}",
            guarantee=None if found.refused else "approximate",
            seed=None if found.chains is None else seed, **detail,
        )  # fmt: skip
        if given["of"] == "mean":
            notes.append(
                "assumes independent normal observations; a credible interval speaks of belief, not of error rates"
            )
        return PillarResult([item], warnings=notes)
