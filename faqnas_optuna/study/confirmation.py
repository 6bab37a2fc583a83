"""Confirmations: finalists of a search trained anew from new seeds, beside their controls, and judged on the test part.

A confirmation is a study of its own. Its description names the finalists and the networks that each needs; from that follows
which trainings there are, a trial each. They wait in Optuna's queue, so workers anywhere take their part. Whoever looks queues
what is missing: what was begun and never queued, or ended by a signal, or is needed since a finalist was added.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from faqnas_optuna.config import Engine, StudyConfig
from faqnas_optuna.errors import ConfigError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.signals import Interruption
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.storage.opening import storage_lock, study_lock
from faqnas_optuna.study.checks import has_result
from faqnas_optuna.study.metadata import ConfirmationPlan, Description, Finalist
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.study import Search, create_described, load, versions
from faqnas_optuna.training.controls import Baseline, Model, label

INTERRUPTED = (KeyboardInterrupt.__name__, Interruption.__name__)
"""How the reason begins of a trial that was ended by a signal."""
SUFFIX = ".confirm"
"""What the name of a search's confirmation ends with, unless it was given another."""


class Training(NamedTuple):
    """One training of a confirmation."""

    network: str
    """What is trained, in words: equal ones serve several finalists."""
    seed: int
    finalist: int
    """The trial of the search that it is trained for, the first if there are several."""
    model: str
    """Whether it is the circuit, or which of its controls."""


@dataclass(frozen=True, kw_only=True)
class ConfirmationBudget:
    """What a confirmation is asked to be; None for what stands, or else for the default."""

    epochs: int | None = None
    seeds: int | None = None


DEFAULT_EPOCHS, DEFAULT_SEEDS = 50, 10
LARGEST_SVM = 10_000
"""Maximum number of training samples of a support vector machine, whose time grows with their square."""


def baselines_for(n_train: int) -> tuple[str, ...]:
    """Return the classical models that are fitted to a number of training samples."""
    return tuple(str(name) for name in Baseline if name is Baseline.LOGISTIC or n_train <= LARGEST_SVM)


def name_for(study: str) -> str:
    """What the confirmation of a search is called, unless it was given another name."""
    return f"{study}{SUFFIX}"


def candidates_of(search: Search, numbers: Iterable[int]) -> list[Candidate]:
    """Trials of a search, by number.

    Raises:
        StudyNotFoundError: it has no such trial.
        ConfigError: the trial has no result.
    """
    found = []
    for number in dict.fromkeys(numbers):
        trial = search.trial(number)
        if not has_result(trial, is_confirmation=False):
            raise ConfigError(f"trial {number} of study {search.name!r} has no result to confirm; choose one that succeeded")
        found.append(Candidate.of_trial(trial, search.config))
    return found


def finalists_of(
    candidates: Iterable[Candidate], *, config: StudyConfig, n_features: int, n_classes: int
) -> tuple[Finalist, ...]:
    """Candidates of a search with the networks that each is confirmed by.

    Args:
        config: the search's.
    """
    score, repeats = config.score, config.training.repeats
    return tuple(
        Finalist(
            trial=candidate.trial,
            genome=candidate.genome,
            quantum_flops=candidate.quantum_flops,
            neg_log_esp=candidate.record.neg_log_esp,
            believed=(candidate.believed(config), candidate.record.score_std(score), repeats),
            networks={
                str(model): label(model, candidate.genome.circuit, n_features=n_features, n_classes=n_classes)
                for model in _models(candidate)
            },
        )
        for candidate in candidates
    )


def _models(candidate: Candidate) -> list[Model]:
    """The circuit and the controls that are something else than itself."""
    itself = set()
    if not candidate.effective.is_entangled:
        itself.add(Model.SEPARABLE)
        if not candidate.effective.live_angles:
            itself.add(Model.EMBEDDING)
    return [model for model in Model if model not in itself]


def needed(description: Description) -> list[Training]:
    """Return all trainings of a confirmation, in the order of the queue.

    Seed by seed, so that a part of it is a fair one; the classical models, which nothing can interrupt, come last.
    """
    confirms = description.confirms
    assert confirms is not None
    networks: dict[str, tuple[int, str]] = {}
    for finalist in confirms.finalists:
        for model, network in finalist.networks.items():
            networks.setdefault(network, (finalist.trial, model))
    seeds = range(description.config.training.repeats)
    trained = [Training(network, seed, *networks[network]) for seed in seeds for network in networks]
    return [*trained, *(Training(name, 0, confirms.finalists[0].trial, name) for name in confirms.baselines)]


def missing(description: Description, trials: Iterable[FrozenTrial], *, since: int) -> list[Training]:
    """The trainings that are neither done nor queued nor running.

    Args:
        trials: of the confirmation, by number.
        since: what has failed before this trial is tried again; what has failed since, for a reason of its own, is not.
    """
    settled = set()
    for trial in trials:
        if trial.state is not TrialState.FAIL or (trial.number >= since and not _was_interrupted(trial)):
            # One without them was put there by somebody else.
            settled.add((trial.user_attrs.get("network"), trial.user_attrs.get("seed")))
    return [training for training in needed(description) if (training.network, training.seed) not in settled]


def enqueue(study: Study, trainings: Iterable[Training]) -> None:
    """Queue trainings for whoever asks first. The caller holds the study lock."""
    for training in trainings:
        study.enqueue_trial(
            {"finalist": training.finalist, "model": training.model, "seed": training.seed},
            user_attrs={"network": training.network, "seed": training.seed},
        )


def next_queued(study: Study) -> Trial | None:
    """Begin a queued trial; None if there is none, where `Study.ask` would make one up."""
    trial_id = study._pop_waiting_trial_id()
    return None if trial_id is None else Trial(study, trial_id)


def find(storage: BaseStorage, name: str, search: Search) -> Search | None:
    """The confirmation of this name, if there is one.

    Raises:
        StudyMismatchError: it confirms another search, or an earlier one of the name, or is none.
    """
    try:
        found = load(storage, name)
    except StudyNotFoundError:
        return None
    confirms = found.description.confirms
    if confirms is None or (confirms.study, confirms.created) != (search.name, search.description.created):
        is_what = "is no confirmation" if confirms is None else f"confirms an earlier study {confirms.study!r}, or another"
        raise StudyMismatchError(f"study {name!r} {is_what}; choose another name with --as")
    return found


def extended(
    storage: BaseStorage, url: str, name: str, search: Search, confirms: ConfirmationPlan, budget: ConfirmationBudget
) -> Search:
    """The confirmation of some finalists, made, or with those added that it lacks.

    Raises:
        StudyMismatchError: it exists with another budget, or confirms something else.
    """
    with storage_lock(url):
        found = find(storage, name, search)
        if found is None:
            return create_described(storage, name, _description(search, confirms, budget))
    with study_lock(found.study), found.existing():
        # Others may have added to it since it was found.
        check_budget(found.as_it_is_now(), budget)
        return found.with_confirms(confirms.finalists, seeds=budget.seeds)


def check_budget(confirmation: Search, budget: ConfirmationBudget) -> None:
    """Refuse other epochs, and fewer seeds: more can be added.

    Raises:
        StudyMismatchError: names what differs.
    """
    training = confirmation.config.training
    if budget.epochs not in (None, training.epochs):
        told = f"epochs: stored {training.epochs}, asked {budget.epochs}"
    elif budget.seeds is not None and budget.seeds < training.repeats:
        told = f"seeds: stored {training.repeats}, asked {budget.seeds}"
    else:
        return
    raise StudyMismatchError(
        f"study {confirmation.name!r} exists with other settings: {told}; ask for the stored ones, or choose another name with"
        " --as"
    )


def _description(search: Search, confirms: ConfirmationPlan, budget: ConfirmationBudget) -> Description:
    training = {"epochs": budget.epochs or DEFAULT_EPOCHS, "repeats": budget.seeds or DEFAULT_SEEDS}
    config = search.config.model_copy(
        # Of the engines the fast one alone trains circuits that lack a part.
        update={"engine": Engine.FAST, "training": search.config.training.model_copy(update=training)}
    )
    return replace(
        search.description,
        config=config,
        created=datetime.now(UTC).isoformat(),
        versions=versions(),
        reliability=None,
        confirms=confirms,
    )


def _was_interrupted(trial: FrozenTrial) -> bool:
    """Whether a failed trial was ended by a signal. One that was given up is queued anew at once, as often as it may be."""
    return str(trial.user_attrs.get(FAILURE)).startswith(INTERRUPTED)
