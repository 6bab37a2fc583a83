from collections.abc import Callable
from typing import NoReturn

import optuna
import pytest
from optuna.trial import TrialState

from faqnas_optuna.circuits.genome import GENES, Circuit, Genome
from faqnas_optuna.config import FlopsCounter, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.signals import Signals
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.study import objective as objective_module
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.work import Evaluate
from faqnas_optuna.training.evaluation import Evaluation, evaluate
from faqnas_optuna.workers.loop import StudyWorker, worker_name
from tests.conftest import small_config, successful

FEW = SpaceConfig(n_qubits=(2, 3), depth=(1,))


def run(search: Search, splits: DataSplits, count: int, *, evaluate: Evaluate = evaluate) -> None:
    worker = StudyWorker(search, splits, Signals(), evaluate=evaluate)
    for _ in range(count):
        worker.look()
        worker.run_trial()


@pytest.mark.parametrize("counter", FlopsCounter)
def test_a_trial_stores_what_its_circuit_evaluates_to(
    new_search: Callable[..., Search], iris: DataSplits, counter: FlopsCounter
) -> None:
    search = new_search(small_config(space=FEW, flops=counter))
    run(search, iris, 1)
    (trial,) = successful(search)
    assert list(trial.params) == list(GENES)
    expected = evaluate(Genome.from_params(trial.params).circuit, iris, search.config)
    candidate = Candidate.of_trial(trial, search.config)
    assert tuple(trial.values) == expected.objectives(search.config)
    assert candidate.costs == expected.costs
    assert candidate.scores == expected.scores
    assert candidate.record.worker == worker_name()
    assert candidate.record.reused_from is None


def test_a_circuit_is_trained_once(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(space=FEW))
    trained = []

    def counting(circuit: Circuit, splits: DataSplits, config: StudyConfig) -> Evaluation:
        trained.append(circuit)
        return evaluate(circuit, splits, config)

    run(search, iris, 40, evaluate=counting)
    trials = successful(search)
    circuits, effective = ({trial.user_attrs[name] for trial in trials} for name in ("circuit", "effective"))
    assert len(trained) == len(set(trained)) == len(effective) < len(circuits) < 40
    for trial in trials:
        genome = Genome.from_params(trial.params)
        assert tuple(trial.values) == evaluate(genome.circuit, iris, search.config).objectives(search.config)
        if (source := trial.user_attrs.get("reused_from")) is not None:
            assert trials[source].user_attrs["effective"] == trial.user_attrs["effective"]
            # Every reusing trial refers directly to the trial that was trained.
            assert "reused_from" not in trials[source].user_attrs


def test_a_trial_that_fails_says_why_and_the_study_goes_on(new_search: Callable[..., Search], iris: DataSplits) -> None:
    search = new_search(small_config(space=FEW))

    def diverge(*_: object) -> NoReturn:
        raise TrainingError("the loss is nan")

    run(search, iris, 1, evaluate=diverge)
    run(search, iris, 1)
    failed, succeeded = search.study.get_trials(deepcopy=False)
    assert (failed.state.name, succeeded.state.name) == ("FAIL", "COMPLETE")
    assert failed.user_attrs["failure"] == "TrainingError: the loss is nan"


def test_a_trial_that_was_given_up_meanwhile_is_left_as_it_is(
    new_search: Callable[..., Search], iris: DataSplits, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Give the trial up while its genes are being suggested, one of the moments at which this may be noticed."""
    search = new_search(small_config(space=FEW))
    suggest = objective_module.suggest

    def late(trial: optuna.Trial, space: SpaceConfig) -> Genome:
        search.study.tell(trial.number, state=TrialState.FAIL)
        return suggest(trial, space)

    with monkeypatch.context() as patched:
        patched.setattr(objective_module, "suggest", late)
        run(search, iris, 1)
    (trial,) = search.study.get_trials(deepcopy=False)
    assert (trial.state, trial.user_attrs) == (TrialState.FAIL, {})
    assert caplog.messages == ["trial 0 was given up meanwhile; its late result is dropped"]
