"""Variance decomposition, compared with scipy, statsmodels and least squares over all 23,328 genomes."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import Circuit, enumerate_genomes
from faqnas_optuna.training.statistics import mean_interval
from studies.claims.decomposition import SHARES, Genomes, decompose
from studies.claims.intervals import Interval, jackknife
from tests.support.benchmarks import space


@cache
def all_genomes() -> Genomes:
    """Return the genomes of each circuit and their costs."""
    return Genomes.of(every_circuit(), np.array(space()[2]))


def every_circuit() -> tuple[Circuit, ...]:
    """Return all circuits of the paper's space."""
    return space()[0]


@cache
def every_genome() -> tuple[NDArray[np.int64], dict[str, list[Any]]]:
    """Return the circuit index and the genes of each genome."""
    places = {circuit: place for place, circuit in enumerate(every_circuit())}
    genomes = [*enumerate_genomes()]
    genes = {name: [getattr(genome, name) for genome in genomes] for name in ("n_qubits", "embedding", "entangler", "depth")}
    return np.array([places[genome.circuit] for genome in genomes]), genes


@cache
def truth() -> NDArray[np.float64]:
    """Return made-up true accuracies, of the shape (circuits,)."""
    values = [
        0.03 * circuit.n_qubits + 0.05 * (circuit.entangler == "CZ") + 0.02 * EffectiveGates(circuit=circuit).mixing_depth
        for circuit in every_circuit()
    ]
    return np.array(values) + 0.05 * np.random.default_rng(1).normal(size=len(every_circuit()))


def trained(seeds: int, *, seed_noise: float, of: int) -> NDArray[np.float64]:
    """Return the true accuracies with seed noise of standard deviation `seed_noise`, of the shape (circuits, seeds)."""
    return truth()[:, np.newaxis] + seed_noise * np.random.default_rng(of).normal(size=(len(every_circuit()), seeds))


def residuals(values: NDArray[np.float64], genes: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    """Return the residuals of the least-squares sum of effects of the genes."""
    dummies = [np.array(gene) == level for gene in genes for level in sorted(set(gene))[1:]]
    design = np.column_stack([np.ones(len(values)), *dummies]).astype(np.float64)
    residual: NDArray[np.float64] = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return residual


def test_the_jackknife_of_a_mean_is_its_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=7)
    (interval,) = jackknife(lambda seeds: np.array([values[seeds].mean()]), 7)
    assert (interval.low, interval.high) == pytest.approx(mean_interval(float(values.mean()), float(values.std(ddof=1)), 7))
    assert Interval(value=1, low=0, high=2).mapped(lambda power: 10**power) == Interval(value=10, low=1, high=100)


def test_each_genome_counts_once() -> None:
    places, _ = every_genome()
    rows = np.bincount(all_genomes().circuits, all_genomes().weights)
    assert rows * len(places) == pytest.approx(np.bincount(places, minlength=len(every_circuit())))
    costs = np.array(space()[2])[places]
    dear = all_genomes().most_expensive(0.25)
    threshold = np.sort(costs)[::-1][len(costs) // 4 - 1]
    assert all_genomes().mean(dear.astype(np.float64)) == pytest.approx((costs >= threshold).mean())
    assert all_genomes().mean(all_genomes().spread(truth()), dear) == pytest.approx(truth()[places][costs >= threshold].mean())


def test_without_luck_correlations_are_those_of_scipy() -> None:
    places, genes = every_genome()
    accuracies, flops = truth()[places], np.log10(np.array(space()[2])[places])
    result = decompose(all_genomes(), np.repeat(truth()[:, np.newaxis], 3, axis=1))
    assert result.flops.value == pytest.approx(stats.pearsonr(flops, accuracies)[0])
    assert result.rank.value == pytest.approx(stats.spearmanr(flops, accuracies)[0])
    for value, controls in ((result.beyond_qubits, ["n_qubits"]), (result.beyond_genes, list(genes))):
        rest = [residuals(values, [genes[name] for name in controls]) for values in (flops, accuracies)]
        assert value.value == pytest.approx(stats.pearsonr(*rest)[0])
    assert sum(share.value for share in result.shares.values()) == pytest.approx(1)
    assert result.shares["seed_variance"].value == pytest.approx(0, abs=1e-12)
    qubits = [np.mean(accuracies[np.array(genes["n_qubits"]) == number]) for number in range(2, 11)]
    assert result.shares["qubits"].value == pytest.approx(np.var(qubits) / np.var(accuracies))


def test_what_was_put_in_is_found_within_its_interval() -> None:
    without = decompose(all_genomes(), np.repeat(truth()[:, np.newaxis], 3, axis=1))
    variance = float(np.var(truth()[every_genome()[0]]))
    share = variance / (variance + 0.1**2)
    expected = {name: share * without.shares[name].value for name in SHARES} | {"seed_variance": 1 - share}
    # The intervals of shares close to 0 do not have their nominal coverage: only the values are checked.
    positive = [name for name in SHARES if expected[name] > 0.001]
    assert {"qubits", "entangler", "layers", "rest", "seed_variance"} <= set(positive)
    within = dict.fromkeys([*positive, "flops", "beyond_qubits", "beyond_genes"], 0)
    for table in range(20):
        result = decompose(all_genomes(), trained(6, seed_noise=0.1, of=table))
        assert all(abs(result.shares[name].value) < 0.001 for name in set(SHARES) - set(positive))
        for name in positive:
            within[name] += result.shares[name].low <= expected[name] <= result.shares[name].high
        for name in ("flops", "beyond_qubits", "beyond_genes"):
            within[name] += getattr(result, name).low <= getattr(without, name).value <= getattr(result, name).high
    # The probability that fewer than 15 of 20 95 % intervals cover the true value is below 0.0003.
    assert min(within.values()) >= 15, within


def test_a_mixed_model_of_statsmodels_finds_the_same_variances() -> None:
    import statsmodels.formula.api as smf

    seeds, chosen = 6, np.random.default_rng(0).choice(len(every_circuit()), 300, replace=False)
    accuracies = trained(seeds, seed_noise=0.1, of=0)
    frame = pd.DataFrame(
        {
            # In percent: statsmodels reports smaller variances as being on the boundary.
            "accuracy": 100 * accuracies[chosen].ravel(),
            "circuit": np.repeat(chosen, seeds),
            "qubits": np.repeat([every_circuit()[place].n_qubits for place in chosen], seeds),
        }
    )
    fitted = smf.mixedlm("accuracy ~ C(qubits)", frame, groups="circuit").fit()
    result = decompose(all_genomes(), accuracies)
    variance = float((all_genomes().weights @ all_genomes().centred(accuracies) ** 2).mean())
    assert result.shares["seed_variance"].value * variance == pytest.approx(fitted.scale / 1e4, rel=0.1)
    circuits = 1 - result.shares["seed_variance"].value - result.shares["qubits"].value
    assert circuits * variance == pytest.approx(float(fitted.cov_re.iloc[0, 0]) / 1e4, rel=0.25)


def test_where_all_are_alike_nothing_is_due_to_anything() -> None:
    result = decompose(all_genomes(), np.full((len(every_circuit()), 3), 0.5))
    assert {share.value for share in result.shares.values()} == {0} and result.flops.value == result.rank.value == 0
