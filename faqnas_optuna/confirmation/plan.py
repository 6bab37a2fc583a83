"""The plan of a confirmation: finalists of a search, and the trainings that each needs.

The description of a confirmation names the finalists and the networks that each needs; from that follows which trainings there
are, a trial each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.config import StudyConfig
from faqnas_optuna.confirmation.baselines import Baseline, Model, label
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.documents import check_successful
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.study.metadata import ConfirmationPlan, Finalist
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import INTERRUPTED, read_state

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
    repeats: int | None = None


DEFAULT_EPOCHS, DEFAULT_REPEATS = 50, 10
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
        if not search.has_result(trial):
            raise ConfigError(f"trial {number} of study {search.name!r} has no result to confirm; choose one that succeeded")
        found.append(Candidate.of_trial(trial, search.config))
    return found


def chosen_finalists(
    search: Search, *, numbers: Sequence[int] | None = None, top: int | None = None, pick: SelectionRule | None = None
) -> list[Candidate]:
    """Return the circuits of a search to confirm: some trials, the best of its front, what a rule picks, or all of the front.

    Raises:
        ConfigError: a trial has no result.
        StudyNotFoundError: there is no such trial.
        NoSuccessfulTrialError: there is no front yet.
    """
    if numbers is not None:
        return candidates_of(search, numbers)
    state = read_state(search)
    check_successful(state)
    if pick:
        return [pick.choose(state.front)]
    return sorted(state.front, key=lambda one: (one.val_error, one.cost))[:top]


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
            neg_log_esp=candidate.costs.neg_log_esp,
            search_estimate=(candidate.search_estimate(config), candidate.scores.deviation(score), repeats),
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
    if not candidate.effective_gates.is_entangled:
        itself.add(Model.SEPARABLE)
        if not candidate.effective_gates.effective_angles:
            itself.add(Model.EMBEDDING)
    return [model for model in Model if model not in itself]


def needed(plan: ConfirmationPlan, *, repeats: int) -> list[Training]:
    """Return all trainings of a confirmation, in the order of the queue.

    Seed by seed, so that a part of it is a fair one; the classical models, which nothing can interrupt, come last.

    Args:
        repeats: trainings of each network.
    """
    networks: dict[str, tuple[int, str]] = {}
    for finalist in plan.finalists:
        for model, network in finalist.networks.items():
            networks.setdefault(network, (finalist.trial, model))
    trained = [Training(network, seed, *networks[network]) for seed in range(repeats) for network in networks]
    return [*trained, *(Training(name, 0, plan.finalists[0].trial, name) for name in plan.baselines)]


def missing(trainings: Iterable[Training], trials: Iterable[FrozenTrial], *, since: int) -> list[Training]:
    """Return the trainings that are neither done nor queued nor running.

    Args:
        trainings: those that are needed.
        trials: of the confirmation, by number.
        since: what has failed before this trial is tried again; what has failed since, for a reason of its own, is not.
    """
    settled = set()
    for trial in trials:
        if trial.state is not TrialState.FAIL or (trial.number >= since and not _was_interrupted(trial)):
            # One without them was put there by somebody else.
            settled.add((trial.user_attrs.get("network"), trial.user_attrs.get("seed")))
    return [training for training in trainings if (training.network, training.seed) not in settled]


def _was_interrupted(trial: FrozenTrial) -> bool:
    """Whether a failed trial was ended by a signal. One that was given up is queued anew at once, as often as it may be."""
    return str(trial.user_attrs.get(FAILURE)).startswith(INTERRUPTED)
