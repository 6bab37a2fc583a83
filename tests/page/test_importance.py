import warnings
from collections.abc import Callable

import pytest
from optuna.importance import FanovaImportanceEvaluator

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.page.importance import gene_importances
from faqnas_optuna.study.search import Search
from tests.conftest import run_trials


def test_a_gene_that_decides_an_objective_explains_it(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 40, lambda genome: (float(genome.n_qubits), 0.1 * genome.depth))
    importances = gene_importances(search)
    assert importances is not None and (importances.trials, importances.trees) == (40, 64)
    assert max(importances.cost, key=lambda gene: importances.cost[gene]) == "n_qubits"
    assert importances.genes[0] == "depth"
    assert importances.error["depth"] > 0.8 and importances.cost["n_qubits"] > 0.8
    assert sum(importances.cost.values()) == pytest.approx(1)


def test_they_are_those_of_optuna(new_search: Callable[..., Search]) -> None:
    search = new_search()
    run_trials(search, 20, lambda genome: (float(genome.n_qubits * genome.depth), 1 / genome.n_qubits))
    importances = gene_importances(search)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = FanovaImportanceEvaluator(seed=0).evaluate(search.study, target=lambda trial: trial.values[1])
    assert importances is not None
    total = sum(shares.values())
    assert importances.error == pytest.approx({gene: share / total for gene, share in shares.items()})
    assert gene_importances(search) == importances


@pytest.mark.parametrize("count", [0, 1, 5])
def test_without_variance_no_gene_matters(new_search: Callable[..., Search], count: int) -> None:
    search = new_search()
    run_trials(search, count, lambda genome: (1.0, 0.5))
    assert gene_importances(search) is None


def test_one_objective_may_be_constant(new_search: Callable[..., Search]) -> None:
    def values(genome: Genome) -> tuple[float, float]:
        return 1.0, 1 / genome.n_qubits

    search = new_search()
    run_trials(search, 10, values)
    importances = gene_importances(search)
    assert importances is not None and importances.cost == {} and len(importances.error) == 9
