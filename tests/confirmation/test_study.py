from collections.abc import Callable

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.confirmation.plan import ConfirmationBudget, missing_trainings
from faqnas_optuna.confirmation.study import Confirmation, enqueue
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import StudyMismatchError
from faqnas_optuna.signals import Interruption
from faqnas_optuna.storage.heartbeats import FAILURE, GIVEN_UP
from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.storage.optuna_internals import begin_queued_trial, storage_of
from faqnas_optuna.study.description import Finalist
from faqnas_optuna.study.lifecycle import resume
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.work import TrialOutcome, WorkerAction
from tests.confirmation.conftest import Make
from tests.conftest import reason_of


def finish(search: Confirmation, outcome: Callable[[object], TrialOutcome]) -> int:
    """Run the queued trainings and return their number."""
    count = 0
    state = read_state(search)
    while state.study.advance(state) is WorkerAction.RUNNING:
        trial = begin_queued_trial(search.study)
        assert trial is not None
        result = outcome(trial)
        for name, value in result.attributes.items():
            trial.set_user_attr(name, value)
        trial_state = TrialState.FAIL if result.values is None else TrialState.COMPLETE
        search.study.tell(trial, values=result.values, state=trial_state)
        state.refresh()
        count += 1
    return count


def succeed(_: object) -> TrialOutcome:
    attributes = {"confusion": [[5, 5], [5, 5]], "losses": [], "validation_accuracies": [], "parameters": 3}
    return TrialOutcome(values=(100.0, 0.5), attributes={"test_accuracy": 0.5, **attributes})


def test_a_known_finalist_is_found_although_the_study_was_deleted(confirmation: Make) -> None:
    search = confirmation(0)
    optuna.delete_study(study_name=search.name, storage=storage_of(search.study))
    assert search.finalist(0) == search.plan.finalists[0]


def test_it_ends_when_all_is_done_and_another_finalist_goes_on_with_it(confirmation: Make) -> None:
    search = confirmation(0)
    first = finish(search, succeed)
    assert first == len(search.all_trainings())
    assert reason_of(search) is StopReason.CONFIRMED
    search = resume(confirmation(0, 1))
    assert finish(search, succeed) == len(search.all_trainings()) - first > 0
    assert search.advance(read_state(search)) is WorkerAction.STOPPED


def test_more_seeds_go_on_with_it(confirmation: Make) -> None:
    finish(confirmation(0), succeed)
    search = resume(confirmation(0, budget=ConfirmationBudget(repeats=3)))
    # One more seed of the circuit and of each control.
    assert finish(search, succeed) == len(search.plan.finalists[0].networks)


def test_what_was_ended_by_a_signal_is_queued_anew(confirmation: Make) -> None:
    search = confirmation(0)
    ended: list[object] = []

    def once_interrupted(trial: object) -> TrialOutcome:
        if not ended:
            ended.append(trial)
            return TrialOutcome(values=None, attributes={FAILURE: f"{Interruption.__name__}: abandoned after SIGINT"})
        return succeed(trial)

    assert finish(search, once_interrupted) == len(search.all_trainings()) + 1
    assert reason_of(search) is StopReason.CONFIRMED


def test_what_failed_is_tried_again_when_it_is_resumed(confirmation: Make) -> None:
    search = confirmation(0)
    failed: list[object] = []

    def once_failing(trial: object) -> TrialOutcome:
        if not failed:
            failed.append(trial)
            return TrialOutcome(values=None, attributes={FAILURE: "TrainingError: the loss is nan"})
        return succeed(trial)

    assert finish(search, once_failing) == len(search.all_trainings())
    assert reason_of(search) is StopReason.CONFIRMED
    assert finish(resume(search), succeed) == 1


def test_what_was_given_up_for_good_is_not_queued_again(confirmation: Make) -> None:
    search = confirmation(0)
    with study_lock(search.study):
        enqueue(search.study, search.all_trainings()[:1])
    lost = begin_queued_trial(search.study)
    assert lost is not None
    lost.set_user_attr(FAILURE, f"{GIVEN_UP}: its worker was silent")
    search.study.tell(lost, state=TrialState.FAIL)
    trials: list[FrozenTrial] = search.study.get_trials(deepcopy=False)
    assert len(missing_trainings(search.all_trainings(), trials, resumed_at=0)) == len(search.all_trainings()) - 1
    assert len(missing_trainings(search.all_trainings(), trials, resumed_at=1)) == len(search.all_trainings())


def test_nothing_is_made_up_when_the_queue_is_empty(confirmation: Make) -> None:
    assert begin_queued_trial(confirmation(0).study) is None


def test_a_search_in_which_all_fails_stops(confirmation: Make) -> None:
    search = confirmation(0)
    finish(search, lambda _: TrialOutcome(values=None, attributes={FAILURE: "MemoryError: ", "worker": "w"}))
    assert reason_of(search) is StopReason.FAILURES


def test_real_trainings_are_judged_on_the_test_part(confirmation: Make, iris: DataSplits) -> None:
    search = confirmation(0)
    objective = search.objective(read_state(search), iris, worker="w")
    finish(search, objective)  # type: ignore[arg-type]  # an optuna.Trial
    trials = search.study.get_trials(deepcopy=False)
    assert len(trials) == len(search.all_trainings())
    for trial in trials:
        assert trial.state is TrialState.COMPLETE
        assert trial.values[1] == pytest.approx(1 - trial.user_attrs["test_accuracy"])
        assert sum(map(sum, trial.user_attrs["confusion"])) == len(iris.test)
    by_model = {trial.params["model"]: trial.values[0] for trial in trials}
    assert by_model["circuit"] == search.plan.finalists[0].quantum_flops
    # The FLOPs of the circuit itself come from the made-up search, so they are not compared with these.
    assert by_model["embedding"] > 0
    assert by_model["linear"] == by_model["mlp"] == by_model["svm"] == 0


def test_other_epochs_and_fewer_seeds_are_refused(confirmation: Make) -> None:
    search = confirmation(0)
    with pytest.raises(StudyMismatchError, match="epochs: stored 1, requested 5; .* another name with --name"):
        search.check_budget(ConfirmationBudget(epochs=5))
    with pytest.raises(StudyMismatchError, match="repeats: stored 2, requested 1"):
        search.check_budget(ConfirmationBudget(repeats=1))
    search.check_budget(ConfirmationBudget())


def test_a_finalist_comes_back_from_the_ledger_as_it_was(confirmation: Make) -> None:
    search = confirmation(0, 1)
    description, stored = search.description, search.metadata.description()
    assert stored == description
    assert stored is not None and stored.confirms is not None
    assert all(isinstance(finalist, Finalist) for finalist in stored.confirms.finalists)
