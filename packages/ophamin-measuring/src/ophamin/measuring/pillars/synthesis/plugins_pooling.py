"""Pillar I as plug-ins: a pooled effect, without each study, accumulated, and regressed on moderators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from ophamin.measuring.pillars._columns import Floats, require
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.synthesis._studies import (
    LEVEL,
    METHOD,
    PREDICTION,
    STUDIES,
    TEST,
    pooled_evidence,
    read_studies,
    refused,
)
from ophamin.measuring.pillars.synthesis.pooling import Pooled, meta_regression, pool
from ophamin.measuring.pillars.synthesis.sequence import cumulative, leave_one_out
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["CumulativeMeta", "LeaveOneOut", "Meta", "MetaRegression"]


_PREDICTED = {"t-k-2": "t with k-2 df", "t-k-1": "t with k-1 df", "z": "normal"}


def _cautions(found: Pooled, effect: Floats, variance: Floats, method: str, test: str) -> list[str]:
    """What is known to mislead in this way of pooling."""
    notes = []
    if found.k == 1:
        notes.append("one study: nothing was pooled, and its heterogeneity is unknown")
    elif test == "z" and method != "FE" and found.k < 20:
        notes.append(
            f"{found.k} studies and a normal interval: it is narrower than it states, for tau2 is taken as known; "
            "knapp-hartung-adhoc allows for that"
        )
    if test == "knapp-hartung" and found.k > 1:
        here = "here it is" if found.se < pool(effect, variance, method=method).se else "here it is not"
        notes.append(
            f"a Hartung–Knapp factor below 1 makes the standard error smaller than the normal one ({here}); "
            "knapp-hartung-adhoc never does"
        )
    if found.tau2_truncated and method != "FE":
        notes.append("the estimate of tau2 fell to 0: that is no evidence of one common effect")
    return notes


class Meta:
    """Pooled effect of k studies with τ², I², H², Q, a prediction interval and the data of a forest plot.

    Source: Borenstein et al. (2009), *Introduction to Meta-Analysis*; see ``synthesis.heterogeneity`` for τ².

    Example:
        >>> result = Meta().compute({"effect": [0.1, 0.3, 0.35, 0.65], "variance": [0.03, 0.03, 0.05, 0.01]}, seed=0)
        >>> result.evidence[0].statistic_name, round(result.evidence[0].statistic_value, 3)
        ('pooled_effect', 0.377)
    """

    name = "I.meta"
    library = "statsmodels"
    columns = STUDIES
    options: Mapping[str, OptionSpec] = {"method": METHOD, "test": TEST, "level": LEVEL, "prediction": PREDICTION}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Pool the studies.

        Args:
            columns: ``effect``, ``variance`` and perhaps ``study``; shape (k,).
            seed: Not used: nothing is drawn.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        method, test, level = given["method"], given["test"], given["level"]
        rows, notes = read_studies(self.name, columns)
        y, v = rows["effect"], rows["variance"]
        if not len(y):
            return refused(self.name, "there are no studies")
        found = pool(y, v, **given)
        evidence = pooled_evidence(self.name, found, method, test, level)
        if found.k > 1:
            low, high = found.tau2_interval(y, v, level)
            evidence.append(
                finding(self.name, "tau2_interval", found.tau2, low=low, high=high, n=found.k, method="q-profile",
                        guarantee="approximate", level=level)
            )  # fmt: skip
            if not low <= found.tau2 <= high:
                notes.append(f"the Q-profile interval of τ² is made around the PM estimate and leaves out {method}'s")
            low, high = found.i2_interval(y, v, level)
            evidence.append(
                finding(self.name, "I2_interval", found.i2, low=low, high=high, n=found.k, method="q-profile",
                        guarantee="approximate", level=level)
            )  # fmt: skip
        if math.isfinite(found.prediction[0]):
            evidence.append(
                finding(self.name, "prediction_interval", found.estimate, low=found.prediction[0],
                        high=found.prediction[1], n=found.k, method=_PREDICTED[given["prediction"]],
                        guarantee="approximate", level=level)
            )  # fmt: skip
        half = float(norm.ppf((1 + level) / 2)) * np.sqrt(v)
        forest = {
            "study": rows["study"],
            "effect": y.tolist(),
            "lower": (y - half).tolist(),
            "upper": (y + half).tolist(),
            "weight": found.weights.tolist(),
        }
        return PillarResult(evidence, {"forest": forest}, warnings=[*notes, *_cautions(found, y, v, method, test)])


class LeaveOneOut:
    """The pooled effect without each study in turn.

    Source: Viechtbauer & Cheung (2010), Res Synth Methods 1:112.

    Example:
        >>> table = {"effect": [0.1, 0.3, 0.35, 0.65], "variance": [0.03, 0.03, 0.05, 0.01]}
        >>> len(LeaveOneOut().compute(table, seed=0).tables["leave_one_out"]["effect"])
        4
    """

    name = "I.leave_one_out"
    library = OWN
    columns = STUDIES
    options: Mapping[str, OptionSpec] = {"method": METHOD, "test": TEST, "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Pool without each; columns as of ``I.meta``.

        Returns:
            The table ``leave_one_out``; evidence: the least and the greatest pooled effect.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        rows, notes = read_studies(self.name, columns)
        if len(rows["effect"]) < 2:
            return refused(self.name, "leaving one out needs at least two studies")
        found = leave_one_out(rows["effect"], rows["variance"], **given)
        whole = pool(rows["effect"], rows["variance"], **given)
        notes += _cautions(whole, rows["effect"], rows["variance"], given["method"], given["test"])
        estimates = [p.estimate for p in found]
        evidence = [
            finding(self.name, name, value, n=len(found), tau2_method=given["method"])
            for name, value in (("least_pooled_effect", min(estimates)), ("greatest_pooled_effect", max(estimates)))
        ]
        signs = {p.lower > 0 or p.upper < 0 for p in found}
        if len(signs) > 1:
            notes.append("whether the interval leaves 0 out depends on a single study")
        return PillarResult(evidence, {"leave_one_out": _table(rows["study"], found)}, warnings=notes)


def _table(names: Sequence[str], found: Sequence[Pooled]) -> dict[str, list[Any]]:
    """Pooled effects as a table."""
    fields = {"effect": "estimate", "se": "se", "lower": "lower", "upper": "upper", "tau2": "tau2", "I2": "i2"}
    return {"study": list(names), **{c: [finite(getattr(p, f)) for p in found] for c, f in fields.items()}}


class CumulativeMeta:
    """The pooled effect after each study, in order of time; corrected for the looks when a maximum is registered.

    Source: Lau et al. (1992), NEJM 327:248; Lan & DeMets (1983), Biometrika 70:659.

    Example:
        >>> table = {"effect": [0.5, 0.3, 0.4], "variance": [0.05, 0.04, 0.02], "time": [2001, 2004, 2009]}
        >>> CumulativeMeta().compute(table, seed=0).tables["cumulative"]["study"]
        ['1', '2', '3']
    """

    name = "I.cumulative"
    library = OWN
    columns: Mapping[str, str] = {**STUDIES, "time": "optional: when it was added; ties stay in order"}
    options: Mapping[str, OptionSpec] = {
        "method": METHOD,
        "test": TEST,
        "level": LEVEL,
        "max_information": OptionSpec(0.0, "registered maximum of sum 1/(v+tau2); 0 leaves the looks uncorrected"),
        "spending": OptionSpec("obrien-fleming", "how alpha is spent: obrien-fleming, pocock or power"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Accumulate; columns as of ``I.meta`` and perhaps ``time``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        most = given.pop("max_information") or None
        rows, notes = read_studies(self.name, columns, *(["time"] if "time" in columns else []))
        if not len(rows["effect"]):
            return refused(self.name, "there are no studies")
        order = np.argsort(rows["time"], kind="stable").tolist() if "time" in rows else None
        found = cumulative(rows["effect"], rows["variance"], order=order, max_information=most, **given)
        table = _table([rows["study"][i] for i in found.order], found.pooled)
        last = found.pooled[-1]
        evidence = pooled_evidence(self.name, last, given["method"], given["test"], given["level"])
        notes += _cautions(last, rows["effect"], rows["variance"], given["method"], given["test"])
        if most is None:
            if last.k > 1:
                notes.append(
                    f"{last.k} looks without a correction: an interval that leaves 0 out at one of them says less than "
                    "it states (without any effect 25 % of series show one by 20 looks); register max_information"
                )
        else:
            table |= {
                "information": [finite(x) for x in found.information],
                "corrected_lower": [finite(x) for x in found.lower],
                "corrected_upper": [finite(x) for x in found.upper],
            }
            held = [i for i in range(last.k) if math.isfinite(found.lower[i])]
            if held:
                at = found.crossed if found.crossed is not None else held[-1]
                evidence.append(
                    finding(self.name, "corrected_pooled_effect", found.pooled[at].estimate, low=found.lower[at],
                            high=found.upper[at], n=at + 1, method=f"{given['spending']} spending",
                            guarantee="approximate", level=given["level"], crossed=found.crossed is not None)
                )  # fmt: skip
        return PillarResult(evidence, {"cumulative": table}, warnings=notes)


class MetaRegression:
    """Effects regressed on a moderator of the studies.

    Source: Thompson & Sharp (1999), Stat Med 18:2693; Knapp & Hartung (2003), Stat Med 22:2693.

    Example:
        >>> table = {"effect": [0.1, 0.2, 0.4, 0.5], "variance": [0.02] * 4, "moderator": [1, 2, 3, 4]}
        >>> round(MetaRegression().compute(table, seed=0).evidence[1].statistic_value, 2)
        0.14
    """

    name = "I.meta_regression"
    library = OWN
    columns: Mapping[str, str] = {
        **STUDIES,
        "moderator": "a number that may explain the effects",
        "moderator_2": "optional: a second one",
        "moderator_3": "optional: a third one",
    }
    options: Mapping[str, OptionSpec] = {"method": METHOD, "test": TEST, "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Regress; columns as of ``I.meta`` and ``moderator``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        require(self.name, columns, "moderator")
        named = [m for m in ("moderator", "moderator_2", "moderator_3") if m in columns]
        rows, notes = read_studies(self.name, columns, *named)
        try:
            found = meta_regression(rows["effect"], rows["variance"], {m: rows[m] for m in named}, **given)
        except UsageError as error:
            if len(rows["effect"]) > len(named) + 1 and not (rows["variance"] > 0).all():
                raise
            return refused(self.name, str(error))
        evidence = [
            finding(
                self.name, name, found.coefficients[i], low=found.lower[i], high=found.upper[i],
                p_value=found.p_values[i], n=len(rows["effect"]), method=f"{given['method']} {given['test']}",
                guarantee="approximate", se=finite(found.se[i]), level=given["level"],
            )
            for i, name in enumerate(found.names)
        ]  # fmt: skip
        evidence += [
            finding(self.name, "tau2", found.tau2, method=given["method"]),
            finding(self.name, "R2", found.r2, units="%"),
            finding(
                self.name, "Q_residual", found.q_residual, p_value=found.q_residual_p_value, df=found.q_residual_df
            ),
            finding(
                self.name,
                "Q_moderators",
                found.q_moderators,
                p_value=found.q_moderators_p_value,
                n=len(rows["effect"]),
                df=found.q_moderators_df,
                method="wald chi2" if given["test"] == "z" else "wald F",
            ),
        ]
        if found.r2 is None or not math.isfinite(found.r2):
            notes.append("R² has no value: without the moderators there is no τ² to explain")
        if len(rows["effect"]) < 10 * len(named):
            notes.append(f"{len(rows['effect'])} studies for {len(named)} moderators: fewer than 10 each find little")
        return PillarResult(evidence, warnings=notes)
