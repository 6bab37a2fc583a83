from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import NSGAIIISampler, NSGAIISampler
from optuna.trial import TrialState
from scipy.stats import chisquare

from faqnas_optuna.circuits.genome import GENES
from faqnas_optuna.config import Objectives, Sampler, SearchConfig
from faqnas_optuna.signals import Interruption
from faqnas_optuna.storage.heartbeats import FAILURE, GIVEN_UP, RETRY_HISTORY
from faqnas_optuna.storage.opening import backend, batched, open_storage, store_trial
from faqnas_optuna.storage.optuna_internals import study_id_of, trial_id_of
from faqnas_optuna.study.records import GENERATION_KEY, generation_of, leaves_place, place_of
from faqnas_optuna.study.sampler import SeededSampler
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from tests.conftest import cheap_values, run_trials, small_config, successful

CONFIG = SearchConfig(population=6)


def toy(trial: optuna.Trial) -> tuple[float, float]:
    genes = {gene: trial.suggest_categorical(gene, choices) for gene, choices in GENES.items()}
    return float(genes["n_qubits"]), 1.0 / float(genes["depth"])  # type: ignore[arg-type]


def history(study: optuna.Study) -> list[Any]:
    return [(trial.params, trial.values, trial.system_attrs[GENERATION_KEY]) for trial in study.trials]


NewStudy = Callable[..., optuna.Study]


@pytest.fixture
def toy_study(storage_url: str) -> NewStudy:
    """Return a function that creates a separate study over all genes with our sampler."""
    storage = open_storage(storage_url, create=True)

    def make(config: SearchConfig = CONFIG, seed: int = 0) -> optuna.Study:
        sampler = SeededSampler(config, GENES, seed=seed)
        return optuna.create_study(storage=storage, directions=["minimize", "minimize"], sampler=sampler)

    return make


def test_an_interrupted_study_goes_on_as_if_it_had_not_been(toy_study: NewStudy) -> None:
    whole, parts = toy_study(), toy_study()
    whole.optimize(toy, n_trials=30)
    for count in (1, 8, 21):
        # A new process starts with a new sampler.
        parts.sampler = SeededSampler(CONFIG, GENES, seed=0)
        parts.optimize(toy, n_trials=count)
    assert history(whole) == history(parts)


def test_another_seed_searches_elsewhere(toy_study: NewStudy) -> None:
    first, second = toy_study(seed=0), toy_study(seed=1)
    first.optimize(toy, n_trials=6)
    second.optimize(toy, n_trials=6)
    assert history(first) != history(second)


def test_generations_have_the_size_of_the_population(toy_study: NewStudy) -> None:
    study = toy_study()
    study.optimize(toy, n_trials=30)
    assert [trial.system_attrs[GENERATION_KEY] for trial in study.trials] == [n // 6 for n in range(30)]


def test_the_generation_is_kept_where_optuna_keeps_it() -> None:
    assert NSGAIISampler._get_generation_key() == GENERATION_KEY


@pytest.mark.slow
def test_what_is_drawn_does_not_depend_on_whether_there_was_a_crossover() -> None:
    """Check that crossover and mutation use independent generators: mutated genes are uniform with or without crossover."""
    sampler = SeededSampler(SearchConfig(), GENES, seed=0)
    drawn: dict[bool, list[int]] = {True: [], False: []}
    for number in range(4_000):
        sampler._seed_samplers(place=number)
        genetic: Any = sampler._genetic
        crossed = bool(genetic._rng.rng.rand() < 0.8)
        drawn[crossed].append(int(sampler._random._rng.rng.rand() * 9))
    for values in drawn.values():
        observed = np.bincount(values, minlength=9)
        assert chisquare(observed).pvalue > 1e-3


def test_children_descend_from_parents(toy_study: NewStudy) -> None:
    # Without mutation, every gene of a child is a gene of a parent.
    study = toy_study(SearchConfig(population=6, mutation=0.0))
    study.optimize(toy, n_trials=12)
    for gene in GENES:
        first = {trial.params[gene] for trial in study.trials[:6]}
        assert {trial.params[gene] for trial in study.trials[6:]} <= first


@pytest.mark.parametrize("objectives", Objectives)
def test_parents_are_selected_by_the_objectives(toy_study: NewStudy, objectives: Objectives) -> None:
    def both(trial: optuna.Trial) -> tuple[float, float]:
        cost, depth = toy(trial)
        # A lower error costs more, and no two trials have the same error.
        return cost, depth / cost + trial.number * 1e-6

    study = toy_study(SearchConfig(population=6, objectives=objectives))
    study.optimize(both, n_trials=13)
    assert isinstance(study.sampler, SeededSampler)
    parents = study.sampler._memory.parents[2]
    assert len(parents) == 6
    lowest = sorted(trial.values[1] for trial in study.trials[:12])[:6]
    is_elite = sorted(trial.values[1] for trial in parents) == lowest
    assert is_elite is (objectives is Objectives.ERROR)
    # Both values are stored.
    assert {trial.values[0] for trial in study.trials} <= set(map(float, range(2, 11)))


def test_a_study_in_memory_is_searched_alike(toy_study: NewStudy) -> None:
    stored = toy_study()
    stored.optimize(toy, n_trials=20)
    sampler = SeededSampler(CONFIG, GENES, seed=0)
    forgotten = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    forgotten.optimize(toy, n_trials=20)
    assert history(forgotten) == history(stored)


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


@pytest.mark.filterwarnings("ignore:NSGAIIISampler is experimental")
@pytest.mark.parametrize(("kind", "plain"), [(Sampler.NSGA2, NSGAIISampler), (Sampler.NSGA3, NSGAIIISampler)])
def test_what_is_remembered_changes_nothing(toy_study: NewStudy, kind: Sampler, plain: Any) -> None:
    """Compare with Optuna's own sampler, equally seeded, which reads all trials again for each trial."""
    config = SearchConfig(population=6, sampler=kind)

    class Plain(SeededSampler):
        def _genetic_algorithm(self, seed: int) -> Any:
            return plain(
                population_size=config.population,
                crossover_prob=config.crossover,
                mutation_prob=config.mutation,
                seed=seed,
            )

    ours, optunas = toy_study(config), toy_study()
    optunas.sampler = Plain(config, GENES, seed=0)
    ours.optimize(toy, n_trials=40)
    optunas.optimize(toy, n_trials=40)
    # Optuna stores the generation under the name of the class.
    generations = [trial.system_attrs[f"{plain.__name__}:generation"] for trial in optunas.trials]
    assert [trial.system_attrs[GENERATION_KEY] for trial in ours.trials] == generations
    assert [(trial.params, trial.values) for trial in ours.trials] == [(trial.params, trial.values) for trial in optunas.trials]


def test_parents_that_another_worker_has_just_chosen_are_read_with_their_values(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=4)))
    other = load(open_storage(backend(search.study).url), search.name)
    run_trials(search, 3, cheap_values)
    other.study.get_trials()
    # The fourth trial closes the generation and the fifth chooses the parents; the other study has read neither.
    run_trials(search, 2, cheap_values)
    with batched(other.study).cached_reads():
        sampler: Any = other.study.sampler
        parents = sampler._genetic.get_parent_population(other.study, 1)
    assert [trial.number for trial in parents] == [0, 1, 2, 3]
    assert all(trial.values for trial in parents)


@pytest.mark.parametrize("kind", Sampler)
def test_every_sampler_has_generations_and_continues(toy_study: NewStudy, kind: Sampler) -> None:
    config = SearchConfig(population=6, sampler=kind)
    whole, parts = toy_study(config), toy_study(config)
    whole.optimize(toy, n_trials=24)
    for count in (7, 17):
        parts.sampler = SeededSampler(config, GENES, seed=0)
        parts.optimize(toy, n_trials=count)
    assert history(whole) == history(parts)
    assert [trial.system_attrs[GENERATION_KEY] for trial in whole.trials] == [n // 6 for n in range(24)]


def test_random_genomes_are_uniform(toy_study: NewStudy) -> None:
    study = toy_study(SearchConfig(population=6, sampler=Sampler.RANDOM))
    study.optimize(toy, n_trials=600)
    for gene, choices in GENES.items():
        counts = [sum(trial.params[gene] == choice for trial in study.trials) for choice in choices]
        assert chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("kind", [Sampler.NSGA2, Sampler.NSGA3, Sampler.RANDOM])
def test_a_synchronous_search_is_the_same_whichever_trials_are_lost(new_search: Callable[..., Search], kind: Sampler) -> None:
    limits = SearchConfig(population=6, generations=4, patience=9, synchronous=True, sampler=kind)
    undisturbed = new_search(small_config(search=limits), name="undisturbed")
    run_trials(undisturbed, 24, cheap_values)
    disturbed = new_search(small_config(search=limits), name="disturbed")
    storage = backend(disturbed.study)
    lost = {2: "requeued", 4: "before genes", 9: "interrupted", 13: "given up", 14: "requeued"}
    while len(successful(disturbed)) < 24:
        place = len(successful(disturbed))
        how = lost.pop(place, None)
        if how is None:
            run_trials(disturbed, 1, cheap_values)
            continue
        trial = disturbed.study.ask()
        if how != "before genes":
            for gene, choices in GENES.items():
                trial.suggest_categorical(gene, choices)
            store_trial(trial)
        trial_id = trial_id_of(disturbed.study.trials[trial.number])
        if how == "requeued":
            genes = trial.params
            storage.abandon(study_id_of(disturbed.study), trial_id, "silent")
            attributes = disturbed.study.trials[trial.number].system_attrs
            disturbed.study.add_trial(
                optuna.create_trial(
                    state=TrialState.WAITING,
                    params=genes,
                    distributions=trial.distributions,
                    system_attrs={**attributes, RETRY_HISTORY: [trial.number]},
                )
            )
            # Another worker takes the next place before the lost trial is repeated.
            continue
        reason = f"{Interruption.__name__}: signal" if how == "interrupted" else f"{GIVEN_UP}: its worker lost the lock"
        trial.set_user_attr(FAILURE, reason)
        disturbed.study.tell(trial, state=TrialState.FAIL)

    def by_place(search: Search) -> dict[int, Any]:
        return {place_of(trial): (trial.params, trial.values, generation_of(trial)) for trial in successful(search)}

    assert len(disturbed.study.trials) > 24
    assert by_place(disturbed) == by_place(undisturbed)
    fronts = [[candidate.record.circuit for candidate in read_state(search).front] for search in (undisturbed, disturbed)]
    assert fronts[0] == fronts[1]


def test_a_genome_that_has_ended_several_workers_is_not_repeated() -> None:
    history = {RETRY_HISTORY: [3, 7]}
    killed = optuna.create_trial(state=TrialState.FAIL, user_attrs={FAILURE: f"{GIVEN_UP}: silent"}, system_attrs=history)
    assert not leaves_place(killed)
    assert place_of(killed) == 3


@pytest.mark.parametrize("kind", [Sampler.NSGA2, Sampler.NSGA3])
@pytest.mark.parametrize("objectives", Objectives)
def test_a_synchronous_search_is_the_same_whichever_worker_selects_the_parents(
    new_search: Callable[..., Search], kind: Sampler, objectives: Objectives
) -> None:
    limits = SearchConfig(population=6, generations=5, patience=9, synchronous=True, sampler=kind, objectives=objectives)
    alone = new_search(small_config(search=limits), name="alone")
    run_trials(alone, 30, cheap_values)
    new_search(small_config(search=limits), name="shared")
    workers = [load(open_storage(backend(alone.study).url), "shared") for _ in range(3)]
    for number in range(30):
        # Not in turns of a generation's size, so that each worker is at some time the first of a generation.
        run_trials(workers[number % 7 % 3], 1, cheap_values)
    assert history(workers[0].study) == history(alone.study)
