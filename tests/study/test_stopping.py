"""Stopping decisions on made-up studies, without a database."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faqnas_optuna.config import SearchConfig
from faqnas_optuna.study.pareto import hypervolume, log_hypervolume
from faqnas_optuna.study.stopping import (
    ClosedGeneration,
    Decision,
    Failure,
    Point,
    Resumption,
    SearchFacts,
    StopReason,
    all_fail,
    decide,
    full_generations,
    is_complete,
    ready_to_close,
    refusal_to_resume,
    stagnated,
)

FLOPS_RANGE = (1, 10)


@pytest.mark.parametrize(
    ("hypervolumes", "expected"),
    [
        ([], False),
        ([0.5], False),
        ([0.5, 0.5], False),
        ([0.5, 0.5, 0.5], True),
        ([0.4, 0.5, 0.5], False),
        ([0.4, 0.5, 0.5, 0.5], True),
        ([0.5, 0.5, 0.6], False),
        ([0.5, 0.5 + 1e-12, 0.5 + 2e-12], True),
        ([0.0, 0.0, 0.0], True),
    ],
)
def test_stagnation_is_two_generations_without_growth(hypervolumes: list[float], expected: bool) -> None:
    assert stagnated(hypervolumes, patience=2) is expected


@pytest.mark.parametrize(
    ("sizes", "full"),
    [({}, 0), ({0: 3}, 0), ({0: 4}, 1), ({0: 5, 1: 4, 2: 1}, 2), ({1: 4}, 0), ({0: 4, 1: 3, 2: 4}, 1)],
)
def test_generations_are_full_in_order(sizes: dict[int, int], full: int) -> None:
    assert full_generations(sizes, 4) == full


@pytest.mark.parametrize(
    ("open_generations", "closed", "ready"),
    [
        ([], 0, [0, 1, 2]),
        ([3, 3], 0, [0, 1, 2]),
        ([2], 0, [0, 1]),
        ([0, 2], 0, []),
        ([], 2, [2]),
        ([0], 3, []),
    ],
)
def test_a_generation_waits_for_its_running_trials_and_those_before(
    open_generations: list[int], closed: int, ready: list[int]
) -> None:
    sizes = {0: 4, 1: 5, 2: 4, 3: 1}
    assert list(ready_to_close(sizes, open_generations, population=4, closed=closed)) == ready


@dataclass(frozen=True, kw_only=True)
class Report:
    """Outcome of a trial that a worker reports: its values, or a failure."""

    trial: int
    generation: int
    point: Point | None

    @property
    def circuit(self) -> str:
        """Return an identifier of the circuit: all trials of one circuit have the same values."""
        return repr(self.point)


def facts_after(reports: Sequence[Report], *, limits: SearchConfig, running: Sequence[Report] = ()) -> SearchFacts:
    """Return the input of a decision after these reports, in their order."""
    circuits: defaultdict[int, dict[str, Point]] = defaultdict(dict)
    failing: list[Failure] = []
    for report in reports:
        if report.point is None:
            failing.append(Failure(trial=report.trial, worker="w"))
        else:
            circuits[report.generation][report.circuit] = report.point
            failing = []
    return SearchFacts(
        limits=limits,
        flops_range=FLOPS_RANGE,
        circuits=circuits,
        sizes=Counter(report.generation for report in reports if report.point),
        open_generations={report.generation for report in running},
        failing=failing,
        running_workers=["w"] * len(running),
    )


def course(
    reports: Sequence[Report], looks: Sequence[bool], limits: SearchConfig
) -> tuple[list[ClosedGeneration], StopReason | None]:
    """Return the closed generations and the reason to stop after workers have reported in this order.

    Args:
        looks: Whether a worker decides after each report; one always does after the last.
    """
    closed: list[ClosedGeneration] = []
    for count, is_looked_at in enumerate([*looks[:-1], True], start=1):
        if is_looked_at:
            now = facts_after(reports[:count], limits=limits, running=reports[count:])
            decision = decide(replace(now, closed=tuple(closed)))
            closed += decision.close
            if decision.stop:
                return closed, decision.stop
    return closed, None


points = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda p: (float(p[0]), p[1] / 10))


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[Report], SearchConfig]:
    """Draw trials of several generations, some overfilled, the last perhaps incomplete; fewer fail than a generation has."""
    population = draw(st.integers(2, 4))
    limits = SearchConfig(population=population, generations=draw(st.integers(1, 5)), patience=draw(st.integers(1, 3)))
    sizes = [population + draw(st.integers(0, 2)) for _ in range(draw(st.integers(1, 4)))] + [draw(st.integers(0, population))]
    generations = [generation for generation, size in enumerate(sizes) for _ in range(size)]
    values: list[Point | None] = [draw(points) for _ in generations]
    failed = draw(st.lists(st.integers(0, len(sizes) - 1), max_size=population - 1))
    reports = zip([*generations, *failed], [*values, *[None] * len(failed)], strict=True)
    return [Report(trial=n, generation=g, point=p) for n, (g, p) in enumerate(reports)], limits


@given(studies(), st.randoms(use_true_random=False))
def test_it_does_not_matter_in_which_order_workers_report_nor_who_looks_when(
    study: tuple[list[Report], SearchConfig], chance: random.Random
) -> None:
    reports, limits = study
    expected = course(reports, [True] * len(reports), limits)
    for _ in range(3):
        shuffled = chance.sample(reports, len(reports))
        looks = [chance.random() < 0.5 for _ in reports]
        assert course(shuffled, looks, limits) == expected


@given(studies())
def test_what_is_kept_is_that_of_all_trials_up_to_the_generation(study: tuple[list[Report], SearchConfig]) -> None:
    reports, limits = study
    closed, stop = course(reports, [False] * len(reports), limits)
    for number, generation in enumerate(closed):
        within = np.array([report.point for report in reports if report.point and report.generation <= number])
        assert generation.generation == number
        assert generation.hypervolume == pytest.approx(log_hypervolume(within, FLOPS_RANGE), abs=1e-12)
        assert generation.linear_hypervolume == pytest.approx(hypervolume(within, (11.0, 1.0)), abs=1e-12)
        assert generation.trials == sum(bool(report.point) and report.generation == number for report in reports)
    hypervolumes = [generation.hypervolume for generation in closed]
    assert hypervolumes == sorted(hypervolumes)
    if stop is StopReason.GENERATIONS:
        assert len(closed) == limits.generations
    elif stop is StopReason.STAGNATION:
        assert stagnated(hypervolumes, limits.patience)
    assert not any(stagnated(hypervolumes[:count], limits.patience) for count in range(len(hypervolumes)))


def closed_generations(*hypervolumes: float, linear: float = 0.5) -> list[ClosedGeneration]:
    return [
        ClosedGeneration(generation=number, trials=2, front=1, hypervolume=hypervolume, linear_hypervolume=linear)
        for number, hypervolume in enumerate(hypervolumes)
    ]


def resumption(*, generation: int = 0, trial: int = 0) -> Resumption:
    return Resumption(generation=generation, trial=trial, limit=9, at="then", by="somebody", stop=None)


LIMITS = SearchConfig(population=2, generations=9, patience=2)
NOTHING = facts_after([], limits=LIMITS)


def test_nothing_follows_from_nothing() -> None:
    assert decide(NOTHING) == Decision()


def test_growth_on_the_logarithmic_scale_alone_is_growth() -> None:
    """Check a search in which cheap circuits become cheaper, so that the linear hypervolume hardly changes."""
    growing = closed_generations(0.5, 0.6, 0.7, linear=0.9)
    assert decide(replace(NOTHING, closed=growing)).stop is None
    grown = [
        replace(one, linear_hypervolume=0.9 + number / 100) for number, one in enumerate(closed_generations(0.5, 0.5, 0.5))
    ]
    assert decide(replace(NOTHING, closed=grown)).stop is StopReason.STAGNATION


def test_patience_counts_anew_after_a_resumption() -> None:
    stagnant = replace(NOTHING, closed=closed_generations(0.5, 0.5, 0.5, 0.5))
    assert decide(stagnant).stop is StopReason.STAGNATION
    assert decide(replace(stagnant, resumed=resumption(generation=3))).stop is None
    assert decide(replace(stagnant, resumed=resumption(generation=2))).stop is StopReason.STAGNATION


def test_a_study_that_was_given_more_generations_goes_on() -> None:
    done = replace(NOTHING, closed=closed_generations(0.1, 0.2, 0.3))
    for limit, expected in ((3, StopReason.GENERATIONS), (4, None)):
        limits = LIMITS.model_copy(update={"generations": limit})
        assert decide(replace(done, limits=limits)).stop is expected


@pytest.mark.parametrize(
    ("failing", "running", "since", "expected"),
    [
        ("a", "", 0, False),
        ("aa", "", 0, True),
        ("ab", "ba", 0, True),
        # Worker c, which has not failed, may still succeed.
        ("ab", "bc", 0, False),
        # A trial that has just begun has no worker yet; it may succeed.
        ("ab", ["a", ""], 0, False),
        ("aaa", "", 1, True),
        ("aaa", "", 2, False),
    ],
)
def test_a_study_fails_if_all_who_work_on_it_fail(failing: str, running: Sequence[str], since: int, expected: bool) -> None:
    failures = [Failure(trial=number, worker=worker) for number, worker in enumerate(failing)]
    now = replace(NOTHING, failing=failures, running_workers=list(running), resumed=resumption(trial=since))
    assert all_fail(now) is expected
    assert decide(now).stop is (StopReason.FAILURES if expected else None)


def limited(*, generations: int = 9, trials: int | None = None) -> SearchConfig:
    return SearchConfig(population=2, generations=generations, trials=trials)


def test_a_resumption_needs_generations_to_run() -> None:
    assert refusal_to_resume(closed=2, sizes={}, limits=limited(generations=3)) is None
    for limit in (1, 2):
        refusal = refusal_to_resume(closed=2, sizes={}, limits=limited(generations=limit))
        assert refusal == f"has closed 2 generations and its limit is {limit}"


def test_a_resumption_needs_trials_to_run() -> None:
    sizes = {0: 2, 1: 3}
    assert refusal_to_resume(closed=2, sizes=sizes, limits=limited(trials=6)) is None
    for limit in (4, 5):
        refusal = refusal_to_resume(closed=2, sizes=sizes, limits=limited(trials=limit))
        assert refusal == f"has 5 successful trials and its limit is {limit}"


@pytest.mark.parametrize(
    ("sizes", "limits", "expected"),
    [
        ({0: 2, 1: 1}, limited(trials=4), False),
        ({0: 2, 1: 2}, limited(trials=4), True),
        ({0: 2, 1: 1}, limited(trials=3), True),
        ({0: 2, 1: 1}, limited(generations=2), False),
        ({0: 2, 1: 2}, limited(generations=2), True),
        ({0: 2, 1: 2}, limited(generations=2, trials=9), True),
        ({}, limited(trials=1), False),
    ],
)
def test_a_search_is_complete_at_its_first_limit(sizes: dict[int, int], limits: SearchConfig, expected: bool) -> None:
    assert is_complete(sizes, limits) is expected


def test_a_limit_of_trials_may_leave_a_generation_open() -> None:
    circuits = {0: {"a": (1.0, 0.5), "b": (2.0, 0.4)}, 1: {"c": (3.0, 0.3)}}
    facts = replace(NOTHING, limits=limited(trials=3), circuits=circuits, sizes={0: 2, 1: 1})
    decision = decide(facts)
    assert ([closed.generation for closed in decision.close], decision.stop) == ([0], StopReason.TRIALS)


@given(studies(), st.randoms(use_true_random=False))
def test_a_limit_of_trials_does_not_depend_on_the_order_of_reports(
    study: tuple[list[Report], SearchConfig], chance: random.Random
) -> None:
    """Workers begin no trial beyond the limit, so none is running, perhaps to fail, when the limit is reached."""
    reports = [report for report in study[0] if report.point]
    limits = study[1].model_copy(update={"trials": len(reports), "generations": 9})
    expected = course(reports, [True] * len(reports), limits)
    assert expected[1] in (StopReason.TRIALS, StopReason.STAGNATION)
    shuffled = chance.sample(reports, len(reports))
    assert course(shuffled, [chance.random() < 0.5 for _ in reports], limits) == expected


def test_of_limits_that_are_reached_together_the_trials_are_named() -> None:
    done = replace(NOTHING, limits=limited(generations=2, trials=4), closed=closed_generations(0.1, 0.2), sizes={0: 2, 1: 2})
    assert decide(done).stop is StopReason.TRIALS
    # Stagnation is the reason that depends on the results, which the number of trials must not hide.
    stagnant = replace(done, limits=limited(generations=9, trials=6), closed=closed_generations(0.5, 0.5, 0.5))
    assert decide(replace(stagnant, sizes={0: 2, 1: 2, 2: 2})).stop is StopReason.STAGNATION
