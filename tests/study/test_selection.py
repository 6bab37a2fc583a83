import math
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


@pytest.mark.parametrize("text", [*EXAMPLES, "cheapest-within:0", "cheapest-within:1", "cheapest-within:0.0025"])
def test_a_rule_is_read_as_it_is_written(text: str) -> None:
    assert str(SelectionRule.parse(text)) == text


def test_every_rule_has_an_example() -> None:
    assert [SelectionRule.parse(text).rule for text in EXAMPLES] == list(Rule)


@pytest.mark.parametrize(
    "text",
    ["", "Knee", "kne", "knee:", "best:0.1", "cheapest-within", "cheapest-within:", "cheapest-within:x"]
    + [f"cheapest-within:{number}" for number in ("-0.1", "1.1", "nan", "inf", "0,01", "0.01:1")],
)
def test_what_is_no_rule_is_refused_with_the_rules(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        SelectionRule.parse(text)
    assert str(refused.value) == (
        f"a rule is knee, best, or cheapest-within:X with X from 0 to 1, as in cheapest-within:0.01; it is {text!r}"
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
    pick, circuits = SelectionRule.parse(text), front((1234, 0.25))
    assert pick.choose(circuits) is circuits[0]
    assert (
        pick.why(circuits, cost_with_name=COST_WITH_NAME)
        == "it is the only circuit of the front, with an error of 0.250 at 1,234 quantum FLOPs"
    )


@given(fronts(), st.integers(0, 10))
def test_what_is_near_the_lowest_error_is_what_brute_force_finds(circuits: list[Candidate], tenths: int) -> None:
    """Compare in tenths, as whole numbers: a sum such as 0.1 + 0.2 must not exclude 0.3."""
    errors = {one.trial: round(10 * one.val_error) for one in circuits}
    near = [one for one in circuits if errors[one.trial] - min(errors.values()) <= tenths]
    cheapest = min(one.quantum_flops for one in near)
    chosen = SelectionRule(rule=Rule.CHEAPEST_WITHIN, within=tenths / 10).choose(circuits)
    assert chosen.trial == min(one.trial for one in near if one.quantum_flops == cheapest)


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
    ],
)
def test_the_reason_is_told_with_numbers(text: str, trial: int, why: str) -> None:
    pick = SelectionRule.parse(text)
    assert pick.choose(WINE) is WINE[trial]
    assert pick.why(WINE, cost_with_name=COST_WITH_NAME) == why


@pytest.mark.parametrize("text", EXAMPLES)
def test_of_equal_circuits_the_first_trial_is_taken_in_whatever_order_they_come(text: str) -> None:
    circuits = front((10, 0.9), (100, 0.2), (100, 0.2), (1000, 0.199), (1000, 0.199))
    chosen = {SelectionRule.parse(text).choose(order).trial for order in permutations(circuits)}
    assert chosen == {3 if text == "best" else 1}
