"""What accuracies are due to, against scipy, statsmodels and least squares over all 23,328 genomes."""

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
    """Return the genomes of each circuit, and what they cost."""
    return Genomes.of(every_circuit(), np.array(space()[2]))


def every_circuit() -> tuple[Circuit, ...]:
    """Return all circuits of the paper's space."""
    return space()[0]


@cache
def every_genome() -> tuple[NDArray[np.int64], dict[str, list[Any]]]:
    """The circuit of each genome, and its genes."""
    places = {circuit: place for place, circuit in enumerate(every_circuit())}
    genomes = [*enumerate_genomes()]
    genes = {name: [getattr(genome, name) for genome in genomes] for name in ("n_qubits", "embedding", "entangler", "depth")}
    return np.array([places[genome.circuit] for genome in genomes]), genes


@cache
def truth() -> NDArray[np.float64]:
    """(circuits,) made-up accuracies."""
    known = [
        0.03 * circuit.n_qubits + 0.05 * (circuit.entangler == "CZ") + 0.02 * EffectiveGates(circuit=circuit).mixing_layers
        for circuit in every_circuit()
    ]
    return np.array(known) + 0.05 * np.random.default_rng(1).normal(size=len(every_circuit()))


def trained(seeds: int, *, luck: float, of: int) -> NDArray[np.float64]:
    """(circuits, seeds) those accuracies with luck."""
    return truth()[:, np.newaxis] + luck * np.random.default_rng(of).normal(size=(len(every_circuit()), seeds))


def residuals(values: NDArray[np.float64], genes: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    """What the best sum of effects of genes leaves."""
    dummies = [np.array(gene) == level for gene in genes for level in sorted(set(gene))[1:]]
    design = np.column_stack([np.ones(len(values)), *dummies]).astype(np.float64)
    left: NDArray[np.float64] = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return left


def test_the_jackknife_of_a_mean_is_its_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=7)
    (found,) = jackknife(lambda seeds: np.array([values[seeds].mean()]), 7)
    assert (found.low, found.high) == pytest.approx(mean_interval(float(values.mean()), float(values.std(ddof=1)), 7))
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
    found = decompose(all_genomes(), np.repeat(truth()[:, np.newaxis], 3, axis=1))
    assert found.flops.value == pytest.approx(stats.pearsonr(flops, accuracies)[0])
    assert found.rank.value == pytest.approx(stats.spearmanr(flops, accuracies)[0])
    for value, given in ((found.beyond_qubits, ["n_qubits"]), (found.beyond_genes, list(genes))):
        left = [residuals(values, [genes[name] for name in given]) for values in (flops, accuracies)]
        assert value.value == pytest.approx(stats.pearsonr(*left)[0])
    assert sum(share.value for share in found.shares.values()) == pytest.approx(1)
    assert found.shares["seed_variance"].value == pytest.approx(0, abs=1e-12)
    qubits = [np.mean(accuracies[np.array(genes["n_qubits"]) == number]) for number in range(2, 11)]
    assert found.shares["qubits"].value == pytest.approx(np.var(qubits) / np.var(accuracies))


def test_what_was_put_in_is_found_within_its_interval() -> None:
    without = decompose(all_genomes(), np.repeat(truth()[:, np.newaxis], 3, axis=1))
    variance = float(np.var(truth()[every_genome()[0]]))
    share = variance / (variance + 0.1**2)
    expected = {name: share * without.shares[name].value for name in SHARES} | {"seed_variance": 1 - share}
    # Of a share that is next to nothing the interval tells no more than that.
    told = [name for name in SHARES if expected[name] > 0.001]
    assert {"qubits", "entangler", "layers", "rest", "seed_variance"} <= set(told)
    within = dict.fromkeys([*told, "flops", "beyond_qubits", "beyond_genes"], 0)
    for table in range(20):
        found = decompose(all_genomes(), trained(6, luck=0.1, of=table))
        assert all(abs(found.shares[name].value) < 0.001 for name in set(SHARES) - set(told))
        for name in told:
            within[name] += found.shares[name].low <= expected[name] <= found.shares[name].high
        for name in ("flops", "beyond_qubits", "beyond_genes"):
            within[name] += getattr(found, name).low <= getattr(without, name).value <= getattr(found, name).high
    # Of 20 intervals of 95 % fewer than 15 hold it with a chance below 0.0003.
    assert min(within.values()) >= 15, within


def test_a_mixed_model_of_statsmodels_finds_the_same_variances() -> None:
    import statsmodels.formula.api as smf

    seeds, chosen = 6, np.random.default_rng(0).choice(len(every_circuit()), 300, replace=False)
    accuracies = trained(seeds, luck=0.1, of=0)
    frame = pd.DataFrame(
        {
            # In percent: of smaller numbers statsmodels thinks that they are at their boundary.
            "accuracy": 100 * accuracies[chosen].ravel(),
            "circuit": np.repeat(chosen, seeds),
            "qubits": np.repeat([every_circuit()[place].n_qubits for place in chosen], seeds),
        }
    )
    fitted = smf.mixedlm("accuracy ~ C(qubits)", frame, groups="circuit").fit()
    found = decompose(all_genomes(), accuracies)
    variance = float((all_genomes().weights @ all_genomes().centred(accuracies) ** 2).mean())
    assert found.shares["seed_variance"].value * variance == pytest.approx(fitted.scale / 1e4, rel=0.1)
    circuits = 1 - found.shares["seed_variance"].value - found.shares["qubits"].value
    assert circuits * variance == pytest.approx(float(fitted.cov_re.iloc[0, 0]) / 1e4, rel=0.25)


def test_where_all_are_alike_nothing_is_due_to_anything() -> None:
    found = decompose(all_genomes(), np.full((len(every_circuit()), 3), 0.5))
    assert {share.value for share in found.shares.values()} == {0} and found.flops.value == found.rank.value == 0
