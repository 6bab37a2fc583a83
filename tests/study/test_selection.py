import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faqnas_optuna.circuits.genome import Embedding, Entangler, Genome, Rotation, Topology
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.study.pareto import non_dominated
from faqnas_optuna.study.records import Candidate, TrialRecord
from faqnas_optuna.study.selection import EXAMPLES, Rule, SelectionRule

GENOME = Genome(
    n_qubits=2,
    embedding=Embedding.ANGLE,
    entangler=Entangler.CZ,
    topology=Topology.LINEAR,
    depth=1,
    rotation_1=Rotation.RX,
    rotation_2=Rotation.RX,
    rotation_3=Rotation.RX,
    rotation_4=Rotation.RX,
)
COST_WITH_NAME = StudyConfig(dataset="wine").cost_with_name
KNEE, BEST = SelectionRule.parse("knee"), SelectionRule.parse("best")


def front(*points: tuple[int, float]) -> list[Candidate]:
    """Return circuits with the given (quantum FLOPs, validation error), as trials numbered from 0."""
    record = TrialRecord.from_attributes({})
    return [
        Candidate(trial=number, place=number, generation=0, genome=GENOME, quantum_flops=flops, val_error=error, record=record)
        for number, (flops, error) in enumerate(points)
    ]


@st.composite
def fronts(draw: st.DrawFn) -> list[Candidate]:
    """Draw a front of few distinct values, so that ties and equal points are common."""
    points = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12))
    is_non_dominated = non_dominated(np.array(points, dtype=np.float64))
    points_of_front = [(10 * flops, error / 10) for (flops, error), keep in zip(points, is_non_dominated, strict=True) if keep]
    return draw(st.permutations(front(*points_of_front)))


WINE = front((60, 0.528), (264, 0.417), (634, 0.389), (709, 0.306), (1165, 0.222), (38997, 0.056))


@pytest.mark.parametrize(
    "text",
    [
        *EXAMPLES,
        "cheapest-within:0",
        "cheapest-within:1",
        "cheapest-within:0.0025",
        "best-under:1234567",
        "best-under:0.25",
        "at-least:1",
    ],
)
def test_a_rule_is_read_as_it_is_written(text: str) -> None:
    assert str(SelectionRule.parse(text)) == text


def test_every_rule_has_an_example() -> None:
    assert [SelectionRule.parse(text).rule for text in EXAMPLES] == list(Rule)


@pytest.mark.parametrize(
    "text",
    ["", "Knee", "kne", "knee:", "best:0.1", "cheapest-within", "cheapest-within:", "cheapest-within:x"]
    + [
        f"{rule}:{number}"
        for rule in ("cheapest-within", "at-least")
        for number in ("-0.1", "1.1", "nan", "inf", "0,01", "0.01:1")
    ]
    + [f"best-under{number}" for number in ("", ":", ":0", ":-1", ":38,997", ":1e999", ":inf")],
)
def test_what_is_no_rule_is_refused_with_the_rules(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        SelectionRule.parse(text)
    assert str(refused.value) == (
        "a rule is knee, best, cheapest-within:X or at-least:SCORE with a number from 0 to 1, or best-under:COST with a cost"
        f" above 0, as in cheapest-within:0.01; it is {text!r}"
    )


@given(fronts())
def test_the_knee_makes_the_largest_triangle_with_the_ends(circuits: list[Candidate]) -> None:
    """Compare with the area of the triangle with both ends, whose order does not depend on the axes' scales."""

    def area(one: Candidate) -> float:
        """Return twice the signed area, positive below the line."""
        (x, y), (x_0, y_0), (x_1, y_1) = ((math.log10(c.quantum_flops), c.val_error) for c in (one, cheapest, best))
        return (y_1 - y_0) * (x - x_0) - (x_1 - x_0) * (y - y_0)

    cheapest, best = min(circuits, key=lambda one: one.quantum_flops), min(circuits, key=lambda one: one.val_error)
    chosen, largest = KNEE.choose(circuits), max(map(area, circuits))
    assert area(chosen) == pytest.approx(largest, abs=1e-8)
    if largest < 1e-8:
        assert chosen.val_error == best.val_error


def test_the_knee_of_a_front_of_the_readme() -> None:
    """Check trial 4 by hand: u = log(1165 / 60) / log(38997 / 60) = 0.4581, v = (0.222 - 0.056) / (0.528 - 0.056) = 0.3517."""
    assert KNEE.choose(WINE) is WINE[4]
    assert KNEE.why(WINE, cost_with_name=COST_WITH_NAME) == (
        "of 6 circuits it lies farthest below the line from the cheapest to the most accurate, 0.19 of the way to the ideal"
        " corner, with an error of 0.222 at 1,165 quantum FLOPs"
    )


def test_the_scale_of_flops_is_logarithmic() -> None:
    """Check a front whose knee would be the last circuit but one on a linear scale."""
    circuits = front((10, 0.9), (100, 0.3), (1000, 0.25), (100_000, 0.2))
    assert KNEE.choose(circuits) is circuits[1]


def test_without_a_knee_it_is_the_most_accurate() -> None:
    for circuits in (
        front((10, 0.9), (1000, 0.1)),
        front((10, 0.9), (100, 0.8), (1000, 0.1)),
        front((10, 0.9), (100, 0.5), (1000, 0.1)),
    ):
        assert KNEE.choose(circuits) is circuits[-1]
        assert KNEE.why(circuits, cost_with_name=COST_WITH_NAME) == (
            f"none of {len(circuits)} circuits lies below the line from the cheapest to the most accurate, so it is the most"
            " accurate, with an error of 0.100 at 1,000 quantum FLOPs"
        )


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_single_circuit_is_taken_by_every_rule(text: str) -> None:
    pick, circuits = SelectionRule.parse(text), front((1234, 0.05))
    assert pick.choose(circuits) is circuits[0]
    assert (
        pick.why(circuits, cost_with_name=COST_WITH_NAME)
        == "it is the only circuit of the front, with an error of 0.050 at 1,234 quantum FLOPs"
    )


@given(fronts(), st.integers(0, 10))
def test_what_is_near_the_lowest_error_is_what_brute_force_finds(circuits: list[Candidate], tenths: int) -> None:
    """Compare in tenths, as whole numbers: a sum such as 0.1 + 0.2 must not exclude 0.3."""
    errors = {one.trial: round(10 * one.val_error) for one in circuits}
    near = [one for one in circuits if errors[one.trial] - min(errors.values()) <= tenths]
    cheapest = min(one.quantum_flops for one in near)
    chosen = SelectionRule(rule=Rule.CHEAPEST_WITHIN, limit=tenths / 10).choose(circuits)
    assert chosen.trial == min(one.trial for one in near if one.quantum_flops == cheapest)


@given(fronts(), st.integers(1, 100))
def test_the_best_under_a_cost_is_that_of_brute_force(circuits: list[Candidate], limit: int) -> None:
    rule = SelectionRule.parse(f"best-under:{limit}")
    affordable = [(one.val_error, one.quantum_flops, one.trial) for one in circuits if one.quantum_flops <= limit]
    if affordable:
        assert rule.choose(circuits).trial == min(affordable)[-1]
        return
    cheapest = min(circuits, key=lambda one: (one.quantum_flops, one.val_error, one.trial))
    with pytest.raises(ConfigError, match=f"front, trial {cheapest.trial}, costs {cheapest.quantum_flops}; raise the limit"):
        rule.choose(circuits)


@given(fronts(), st.integers(0, 10))
def test_the_cheapest_of_at_least_a_score_is_that_of_brute_force(circuits: list[Candidate], tenths: int) -> None:
    """Compare in tenths: 1 - 0.7 is a little larger than 0.3."""
    rule = SelectionRule.parse(f"at-least:{tenths / 10}")
    good = [(one.quantum_flops, one.val_error, one.trial) for one in circuits if 10 - round(10 * one.val_error) >= tenths]
    if good:
        assert rule.choose(circuits).trial == min(good)[-1]
        return
    best = min(circuits, key=lambda one: (one.val_error, one.quantum_flops, one.trial))
    with pytest.raises(ConfigError, match=f"trial {best.trial}, has a validation score of {1 - best.val_error:.4f}; lower"):
        rule.choose(circuits)


def test_costs_on_devices_are_limits_too() -> None:
    """Costs on a device are small fractions, which the messages must not round to whole numbers."""
    circuits = [
        replace(one, record=replace(one.record, costs=replace(one.costs, neg_log_esp=cost)))
        for one, cost in zip(front((60, 0.5), (709, 0.3)), (0.125, 0.25), strict=True)
    ]
    assert SelectionRule.parse("best-under:0.25").choose(circuits) is circuits[1]
    with pytest.raises(ConfigError, match=r"best-under:0\.1: the cheapest circuit of the front, trial 0, costs 0\.1250;"):
        SelectionRule.parse("best-under:0.1").choose(circuits)


@given(fronts())
def test_the_best_has_the_lowest_error_and_costs_least(circuits: list[Candidate]) -> None:
    chosen = BEST.choose(circuits)
    assert (chosen.val_error, chosen.quantum_flops) == min((one.val_error, one.quantum_flops) for one in circuits)
    assert chosen is SelectionRule.parse("cheapest-within:0").choose(circuits)


@pytest.mark.parametrize(
    ("text", "trial", "why"),
    [
        ("best", 5, "of 6 circuits it has the lowest error, 0.056, at 38,997 quantum FLOPs"),
        ("cheapest-within:0.01", 5, "within 0.01 of the lowest error, 0.056, it is the cheapest of 1: 38,997 quantum FLOPs"),
        ("cheapest-within:0.25", 3, "within 0.25 of the lowest error, 0.056, it is the cheapest of 3: 709 quantum FLOPs"),
        ("cheapest-within:1", 0, "within 1 of the lowest error, 0.056, it is the cheapest of 6: 60 quantum FLOPs"),
        (
            "best-under:1000",
            3,
            "among 4 circuits of at most 1,000 quantum FLOPs it has the lowest error, 0.306, at 709 quantum FLOPs",
        ),
        ("best-under:60", 0, "among 1 circuit of at most 60 quantum FLOPs it has the lowest error, 0.528, at 60 quantum FLOPs"),
        (
            "at-least:0.6",
            2,
            "among 4 circuits with a score of at least 0.6 it is the cheapest: 634 quantum FLOPs, with an error of 0.389",
        ),
    ],
)
def test_the_reason_is_told_with_numbers(text: str, trial: int, why: str) -> None:
    pick = SelectionRule.parse(text)
    assert pick.choose(WINE) is WINE[trial]
    assert pick.why(WINE, cost_with_name=COST_WITH_NAME) == why


@pytest.mark.parametrize("text", EXAMPLES)
def test_of_equal_circuits_the_first_trial_is_taken_in_whatever_order_they_come(text: str) -> None:
    circuits = front((10, 0.9), (100, 0.1), (100, 0.1), (1000, 0.099), (1000, 0.099))
    chosen = {SelectionRule.parse(text).choose(order).trial for order in permutations(circuits)}
    assert chosen == {3 if text in ("best", "best-under:10000") else 1}
