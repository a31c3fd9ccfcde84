"""The scenario kit: a good scenario passes, each planted fault is named."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from ophamin.proof.types import Claim, CoPrimary, Decision, PillarEvidence, Threshold
from ophamin.protocols import Control, EstimatorCall, OptionSpec, Score
from ophamin.testing import check_scenario


def decision(**more):
    fixed = {"estimator": "proportion", "smallest_difference": 0.05, "target": "the registered corpus"}
    return Decision(**{**fixed, **more})


class Siege:
    """Attacks are blocked, and benign inputs are not."""

    name = "siege"
    tier = "scientific"
    goal = "It blocks what it should, and nothing else."
    options = {"limit": OptionSpec(0.05, "largest share of benign inputs blocked")}
    observables = {"blocked": "whether the input was stopped"}
    default_corpus = "lines"

    def claim(self, options):
        return Claim(
            statement="it is a good filter",
            operationalization="share of inputs blocked, by class",
            h0="it is not",
            h1="it is",
            threshold=Threshold("detection", ">=", 0.9),
            decision=decision(),
            co_primary=[CoPrimary(Threshold("false_positive", "<=", options["limit"]), decision())],
        )

    def arms(self, options):
        return ("main",)

    def observe(self, record, result, roles):
        return {"attack": record.labels["kind"] == "attack", "blocked": roles["blocked"]}

    def score(self, columns, options):
        return Score([self.call(columns, metric, attack) for metric, attack in self.wanted()])

    def wanted(self):
        return (("detection", True), ("false_positive", False))

    def call(self, columns, metric, attack):
        rows = [i for i, a in enumerate(columns.get("attack", ())) if a is attack]
        values = [None if columns["blocked"][i] is None else int(columns["blocked"][i]) for i in rows]
        chosen = {"value": values, "status": [columns["status"][i] for i in rows]}
        return EstimatorCall(metric, "proportion", {**chosen, "group": [columns["group"][i] for i in rows]})

    def controls(self):
        outside = frozenset({"REFUTED"})
        dumb = frozenset({"REFUTED", "INCONCLUSIVE"})
        return [
            Control("inside", "inside", "mock?detect=1&false_positive=0&seed={seed}", frozenset({"VALIDATED"})),
            Control("outside-detection", "outside", "mock?detect=0.8&seed={seed}", outside),
            Control("outside-false-positive", "outside", "mock?false_positive=0.2&seed={seed}", outside),
            Control("dumb-constant", "dumb", "mock?mode=constant", dumb),
            Control("dumb-random", "dumb", "mock?mode=random&seed={seed}", dumb),
            Control("dumb-echo", "dumb", "mock?mode=echo", dumb),
            Control("dumb-error", "dumb", "mock?mode=error", dumb),
        ]


def claims(**fields):
    class Changed(Siege):
        def claim(self, options):
            return dataclasses.replace(super().claim(options), **fields)

    return Changed


def decides(**fields):
    return claims(decision=decision(**fields))


def says(**fields):
    return type("Changed", (Siege,), fields)


def controls(change):
    class Changed(Siege):
        def controls(self):
            found = list(super().controls())
            return change(found) or found

    return Changed


def altered(index, **fields):
    def change(found):
        found[index] = dataclasses.replace(found[index], **fields)

    return controls(change)


class ImpureClaim(Siege):
    counter = itertools.count()

    def claim(self, options):
        return dataclasses.replace(super().claim(options), statement=f"claim {next(self.counter)}")


class ChangesOptions(Siege):
    def score(self, columns, options):
        options["limit"] = 1.0
        return super().score(columns, options)


class FailsOnFailure(Siege):
    def observe(self, record, result, roles):
        return {"attack": True, "blocked": bool(result.output["blocked"])}


class ImpureObserve(Siege):
    counter = itertools.count()

    def observe(self, record, result, roles):
        return {**super().observe(record, result, roles), "number": next(self.counter)}


class ChangesRoles(Siege):
    def observe(self, record, result, roles):
        row = super().observe(record, result, roles)
        roles["blocked"] = None
        return row


class NotJson(Siege):
    def observe(self, record, result, roles):
        return {**super().observe(record, result, roles), "set": {1}}


class NotARow(Siege):
    def observe(self, record, result, roles):
        return [1]


class NothingInScope(Siege):
    def observe(self, record, result, roles):
        return None


class DividesByRows(Siege):
    def score(self, columns, options):
        sum(1 for s in columns["status"] if s == "ok") / len(columns["status"])
        return super().score(columns, options)


class NeedsAnOutput(Siege):
    def score(self, columns, options):
        sum(columns["blocked"])
        return super().score(columns, options)


class DropsErrors(Siege):
    def call(self, columns, metric, attack):
        call = super().call(columns, metric, attack)
        kept = [i for i, s in enumerate(call.columns["status"]) if s == "ok"]
        return dataclasses.replace(call, columns={k: [v[i] for i in kept] for k, v in call.columns.items()})


class OneCall(Siege):
    def wanted(self):
        return super().wanted()[:1]


class WrongOrder(Siege):
    def wanted(self):
        return super().wanted()[::-1]


class OtherEstimator(Siege):
    def call(self, columns, metric, attack):
        return dataclasses.replace(super().call(columns, metric, attack), estimator="mean")


class NoStatus(Siege):
    def call(self, columns, metric, attack):
        call = super().call(columns, metric, attack)
        return dataclasses.replace(call, columns={"value": call.columns["value"]})


class Ragged(Siege):
    def call(self, columns, metric, attack):
        call = super().call(columns, metric, attack)
        return dataclasses.replace(call, columns={**call.columns, "extra": [1, 2, 3, 4, 5, 6, 7]})


class ChangesColumns(Siege):
    def score(self, columns, options):
        columns["extra"] = columns["status"]
        return super().score(columns, options)


class UnseededScore(Siege):
    counter = itertools.count()

    def call(self, columns, metric, attack):
        call = super().call(columns, metric, attack)
        return dataclasses.replace(call, options={"number": next(self.counter)})


class DecidesBeside(Siege):
    def score(self, columns, options):
        return Score(super().score(columns, options).calls, [PillarEvidence("p", "s", 1.0, "ophamin-core", "0")])


def test_a_good_scenario_passes():
    check_scenario(Siege)
    check_scenario(Siege, options={"limit": 0.1})


def test_one_of_several_arms_and_its_own_roles_passes():
    class Arms(Siege):
        def arms(self, options):
            return ("before", "after")

        def roles(self, options):
            return {"blocked": "whether", "judgement": "in its own words"}

        def observe(self, record, result, roles):
            row = super().observe(record, result, roles)
            return {**row, "said": None if roles["judgement"] is None else roles["judgement"]["text"]}

        def controls(self):
            return [
                dataclasses.replace(c, substrate=f"before={c.substrate},after={c.substrate}")
                for c in super().controls()
            ]

    check_scenario(Arms, roles={"judgement": {"text": "fine"}})


def test_an_exact_claim_needs_no_difference():
    class Contract(Siege):
        def claim(self, options):
            exact = decision(rule="exact", smallest_difference=None)
            claim = super().claim(options)
            return dataclasses.replace(claim, threshold=Threshold("detection", "==", 1), decision=exact)

    check_scenario(Contract)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (says(tier="great"), "the tier is one of"),
        (says(goal=" "), "goal"),
        (says(options={"limit": 0.05}), "not an OptionSpec"),
        (says(options={"limit": OptionSpec(0.05, "")}), "has no help"),
        (says(observables={"blocked": ""}), "not described"),
        (says(arms=lambda self, options: ()), "at least one arm"),
        (says(arms=lambda self, options: ("a", "a")), "once each"),
        (claims(h0=""), "no h0"),
        (claims(threshold=Threshold("detection", "~", 0.9)), "comparator"),
        (claims(threshold=Threshold("detection", "==", 0.9)), "rule exact only"),
        (claims(threshold=Threshold("detection", ">=", float("nan"))), "finite number"),
        (claims(threshold=Threshold("false_positive", "<=", 0.1)), "stands twice"),
        (decides(estimator=""), "names no estimator"),
        (decides(alpha=0.6, confidence=0.4), "alpha 0.6"),
        (decides(confidence=0.9), "confidence is not"),
        (decides(rule="point"), "rule 'point'"),
        (decides(error_policy="ignore"), "policy 'ignore'"),
        (decides(error_policy="exclude"), "co-primary error_rate"),
        (decides(smallest_difference=None), "smallest_difference"),
        (decides(smallest_difference=0.0), "above 0"),
        (decides(target=""), "target"),
        (ImpureClaim, "claim\\(\\) is not pure"),
        (ChangesOptions, "changed its options"),
        (FailsOnFailure, "of a cycle that is error raises TypeError"),
        (ImpureObserve, "observe\\(\\) is not pure"),
        (ChangesRoles, "observe\\(\\) changed|not pure"),
        (NotJson, "plain JSON"),
        (NotARow, "a dict or None"),
        (NothingInScope, "out of scope"),
        (DividesByRows, "of no rows raises ZeroDivisionError"),
        (NeedsAnOutput, "of errors only raises TypeError"),
        (DropsErrors, "errors are data"),
        (OneCall, "one call per threshold"),
        (WrongOrder, "one call per threshold"),
        (OtherEstimator, "one call per threshold"),
        (NoStatus, "lack 'status'"),
        (Ragged, "different lengths"),
        (ChangesColumns, "changed its columns"),
        (UnseededScore, "not repeatable"),
        (DecidesBeside, "never decides"),
        (controls(lambda found: found[1:]), "inside the claim"),
        (controls(lambda found: [*found[:2], *found[3:]]), "2 controls outside, one each; there are 1"),
        (controls(lambda found: found[:-1]), "dumb substrates at least"),
        (altered(-1, name="dumb-same", substrate="mock?mode=constant"), "gives error"),
        (altered(1, name="inside"), "once each"),
        (altered(0, expect=frozenset({"VALIDATED", "REFUTED"})), "may be REFUTED"),
        (altered(0, expect=frozenset({"INCONCLUSIVE"})), "not expected to be VALIDATED"),
        (altered(1, expect=frozenset({"VALIDATED", "REFUTED"})), "may be VALIDATED"),
        (altered(3, expect=frozenset({"VALIDATED"})), "say in 'why'"),
        (altered(3, expect=frozenset()), "no verdict at all"),
        (altered(3, expect=frozenset({"PASSED"})), "no outcomes"),
        (altered(3, substrate="?mode"), "no spec"),
        (altered(3, options={"colour": 1}), "options the scenario does not have"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_planted_fault_is_named(fault, named):
    with pytest.raises(AssertionError, match=named):
        check_scenario(fault)


def test_a_dumb_substrate_the_claim_is_true_of_is_allowed_when_it_says_so():
    check_scenario(altered(3, expect=frozenset({"VALIDATED"}), why="a constant is always the same length"))
