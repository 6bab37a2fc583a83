from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import NSGAIISampler
from scipy.stats import chisquare

from faqnas_optuna.circuits.genome import GENES
from faqnas_optuna.config import SearchConfig
from faqnas_optuna.search.records import GENERATION_KEY
from faqnas_optuna.search.sampler import SeededNSGAIISampler
from faqnas_optuna.search.study import Search
from tests.conftest import cheap_values, run_trials, small_config, successful

CONFIG = SearchConfig(population=6)


def toy(trial: optuna.Trial) -> tuple[float, float]:
    genes = {gene: trial.suggest_categorical(gene, choices) for gene, choices in GENES.items()}
    return float(genes["n_qubits"]), 1.0 / float(genes["depth"])  # type: ignore[arg-type]


def history(study: optuna.Study) -> list[Any]:
    return [(trial.params, trial.values, trial.system_attrs[GENERATION_KEY]) for trial in study.trials]


def toy_study(seed: int = 0) -> optuna.Study:
    return optuna.create_study(directions=["minimize", "minimize"], sampler=SeededNSGAIISampler(CONFIG, GENES, seed=seed))


def test_an_interrupted_study_goes_on_as_if_it_had_not_been() -> None:
    whole, parts = toy_study(), toy_study()
    whole.optimize(toy, n_trials=30)
    for count in (1, 8, 21):
        # A new process begins with a new sampler.
        parts.sampler = SeededNSGAIISampler(CONFIG, GENES, seed=0)
        parts.optimize(toy, n_trials=count)
    assert history(whole) == history(parts)


def test_another_seed_searches_elsewhere() -> None:
    first, second = toy_study(seed=0), toy_study(seed=1)
    first.optimize(toy, n_trials=6)
    second.optimize(toy, n_trials=6)
    assert history(first) != history(second)


def test_generations_have_the_size_of_the_population() -> None:
    study = toy_study()
    study.optimize(toy, n_trials=30)
    assert [trial.system_attrs[GENERATION_KEY] for trial in study.trials] == [n // 6 for n in range(30)]


def test_the_generation_is_kept_where_optuna_keeps_it() -> None:
    assert NSGAIISampler._get_generation_key() == GENERATION_KEY


def test_what_is_drawn_does_not_depend_on_whether_there_was_a_crossover() -> None:
    """The generators that cross and that draw are apart: a gene drawn anew takes each value equally often, either way."""
    sampler = SeededNSGAIISampler(SearchConfig(), GENES, seed=0)
    drawn: dict[bool, list[int]] = {True: [], False: []}
    for number in range(4_000):
        nsga2, random = sampler._samplers(trial_number=number)
        crossed = bool(nsga2._rng.rng.rand() < 0.8)
        drawn[crossed].append(int(random._rng.rng.rand() * 9))
    for values in drawn.values():
        observed = np.bincount(values, minlength=9)
        assert chisquare(observed).pvalue > 1e-3


def test_children_descend_from_parents() -> None:
    # Without mutation, every gene of a child is a gene of a parent.
    study = optuna.create_study(
        directions=["minimize", "minimize"],
        sampler=SeededNSGAIISampler(SearchConfig(population=6, mutation=0.0), GENES, seed=0),
    )
    study.optimize(toy, n_trials=12)
    for gene in GENES:
        first = {trial.params[gene] for trial in study.trials[:6]}
        assert {trial.params[gene] for trial in study.trials[6:]} <= first


def test_a_foreign_trial_does_not_shrink_the_space(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, mutation=0.0)))
    run_trials(search, 3, cheap_values)
    foreign: dict[str, BaseDistribution] = {"depth": CategoricalDistribution([1, 2, 3, 4])}
    search.study.add_trial(optuna.create_trial(values=[1e9, 1.0], params={"depth": 1}, distributions=foreign))
    run_trials(search, 3, cheap_values)
    parents = [trial for trial in successful(search) if trial.system_attrs.get(GENERATION_KEY) == 0]
    child = successful(search)[-1]
    assert child.system_attrs[GENERATION_KEY] == 1
    assert all(child.params[gene] in {parent.params[gene] for parent in parents} for gene in GENES)
