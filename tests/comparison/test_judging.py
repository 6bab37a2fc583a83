import math

import numpy as np
import pytest
from scipy.stats import t, wilcoxon

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.comparison.judging import LOOKS, Contest, JudgedSearch, achieved_hypervolume, interval, judge, run_contest
from faqnas_optuna.comparison.replay import (
    FrontCircuit,
    SearchStep,
    SearchTrace,
    TrainingBudget,
    estimated_front,
    replay,
)
from faqnas_optuna.comparison.samplers import searcher
from faqnas_optuna.study.pareto import log_hypervolume
from tests.support.benchmarks import MadeUp

BUDGET = TrainingBudget(trainings=32)


def by_qubits(circuit: Circuit) -> float:
    return 0.3 + 0.05 * circuit.n_qubits


def one(flops: int, estimate: float) -> FrontCircuit:
    return FrontCircuit(row=flops, flops=flops, search_estimate=estimate, trainings=1)


def test_what_is_attained_is_a_sum_of_rectangles() -> None:
    front = [one(10, 0.5), one(100, 0.8)]
    width = math.log10(1.1 * 1000 / 10)
    expected = (0.4 * math.log10(100 / 10) + 0.7 * math.log10(1100 / 100)) / width
    assert achieved_hypervolume(front, [0.4, 0.7], (10, 1000)) == pytest.approx(expected)
    # A circuit worse than estimated lowers the achieved hypervolume.
    assert achieved_hypervolume(front, [0.4, 0.2], (10, 1000)) < achieved_hypervolume(front[:1], [0.4], (10, 1000))


def test_of_promises_that_are_kept_it_is_the_hypervolume() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        front = [
            one(int(flops), float(estimate))
            for flops, estimate in zip(np.unique(generator.integers(10, 1000, 6)), np.sort(generator.random(6)), strict=False)
        ]
        points = np.array([(chosen.flops, 1 - chosen.search_estimate) for chosen in front], np.float64)
        expected = log_hypervolume(points, (10, 1000))
        assert achieved_hypervolume(front, [chosen.search_estimate for chosen in front], (10, 1000)) == pytest.approx(expected)


def test_without_noise_all_is_as_promised() -> None:
    benchmark = MadeUp(by_qubits, noise=0)
    result = judge(replay(searcher("nsga2"), benchmark, BUDGET, seed=0), benchmark, BUDGET)
    assert result.optimism == pytest.approx(0) and result.achieved_hypervolume[-1] == pytest.approx(
        result.estimated_hypervolume
    )
    assert (
        list(result.achieved_hypervolume) == sorted(result.achieved_hypervolume) and len(result.achieved_hypervolume) == LOOKS
    )
    assert result.trainings == result.circuits == result.spent == 32


def test_a_circuit_is_judged_by_the_trainings_that_were_not_paid_for() -> None:
    benchmark = MadeUp(by_qubits, noise=0.1)
    trace = replay(searcher("random:2"), benchmark, BUDGET, seed=5)
    paid = set(benchmark.validation_lookups)
    benchmark.validation_lookups.clear()
    result = judge(trace, benchmark, BUDGET)
    assert paid.isdisjoint(benchmark.validation_lookups) and paid.isdisjoint(benchmark.test_lookups)
    best = max(estimated_front(trace, benchmark, spent=math.inf), key=lambda chosen: chosen.search_estimate)
    effective = benchmark.effective[best.row]
    unseen = benchmark.unseen_seeds(effective, 2, search=5)
    assert result.best == pytest.approx(np.mean([benchmark.test(effective, seed) for seed in unseen]))
    assert result.optimism == pytest.approx(
        best.search_estimate - np.mean([benchmark.validation(effective, seed) for seed in unseen])
    )


def test_luck_alone_attains_nothing() -> None:
    """Check that with equal circuits the search estimates are optimistic, but the judged accuracy is unbiased."""
    benchmark = MadeUp(lambda _: 0.5, noise=0.1)
    results = [judge(replay(searcher("random"), benchmark, BUDGET, seed=seed), benchmark, BUDGET) for seed in range(40)]
    optimism = np.array([result.optimism for result in results])
    assert optimism.mean() > 0.1
    best = np.array([result.best for result in results])
    assert abs(best.mean() - 0.5) < 4 * best.std(ddof=1) / math.sqrt(len(best))


def test_searchers_are_held_against_one_pair_by_pair() -> None:
    generator = np.random.default_rng(1)
    shares = {"a": generator.random(12), "b": generator.random(12) + 0.2, "c": generator.random(12)}
    comparisons = Contest(searches={name: tuple(map(judged, values)) for name, values in shares.items()}).comparisons_with("a")
    assert set(comparisons) == {"b", "c"}
    p = {name: wilcoxon(shares[name], shares["a"], method="exact").pvalue for name in comparisons}
    for name, (comparison, adjusted) in comparisons.items():
        assert comparison.difference == pytest.approx((shares[name] - shares["a"]).mean())
        assert comparison.p == pytest.approx(p[name])
        assert adjusted == pytest.approx(
            min(1.0, 2 * p[name]) if p[name] == min(p.values()) else max(p[name], 2 * min(p.values()))
        )


def judged(share: float) -> JudgedSearch:
    return JudgedSearch(
        achieved_hypervolume=(0.0, float(share)),
        estimated_hypervolume=1,
        optimism=0,
        best=1,
        cheapest_within_tolerance=1,
        cheapest_within_tolerance_flops=1,
        front=1,
        circuits=1,
        trainings=1,
        spent=1,
    )


def test_intervals_are_those_of_student() -> None:
    values = [0.1, 0.4, 0.3, 0.9]
    low, high = t.interval(0.95, 3, loc=np.mean(values), scale=np.std(values, ddof=1) / 2)
    assert interval(values) == pytest.approx((np.mean(values), low, high))
    assert interval([0.3]) == (0.3, 0.3, 0.3)


@pytest.mark.slow
def test_processes_find_what_one_finds() -> None:
    benchmark, names = MadeUp(by_qubits, noise=0.1), ["random", "nsga2"]
    counts: list[int] = []
    contest = run_contest(names, benchmark, TrainingBudget(trainings=8), searches=2, processes=2, on_done=counts.append)
    assert counts == [0, 1, 2, 3, 4]
    for name in names:
        expected = [
            judge(
                replay(searcher(name), benchmark, TrainingBudget(trainings=8), seed=seed),
                benchmark,
                TrainingBudget(trainings=8),
            )
            for seed in (0, 1)
        ]
        assert list(contest.searches[name]) == expected


def test_the_thrifty_choice_is_the_cheapest_that_promises_nearly_as_much() -> None:
    benchmark = MadeUp(by_qubits, noise=0)
    rows = sorted(range(len(benchmark.circuits)), key=lambda row: benchmark.flops[row])
    two = next(row for row in rows if benchmark.circuits[row].n_qubits == 2)
    ten = next(row for row in rows if benchmark.circuits[row].n_qubits == 10)
    nine = next(row for row in rows if benchmark.circuits[row].n_qubits == 9)

    def judge_rows(*suggested: int) -> JudgedSearch:
        steps = tuple(
            SearchStep(row=row, value=benchmark.validation(benchmark.effective[row], 0), spent=place)
            for place, row in enumerate(suggested, 1)
        )
        return judge(SearchTrace(searcher="x", seed=0, pooled=False, steps=steps), benchmark, BUDGET)

    assert judge_rows(two, nine, ten).cheapest_within_tolerance_flops == benchmark.flops[ten]
    assert judge_rows(two).cheapest_within_tolerance_flops == benchmark.flops[two]
