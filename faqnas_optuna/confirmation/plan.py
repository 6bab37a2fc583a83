"""Plan of a confirmation: the finalists of a search, and the trainings that they need.

The stored description of a confirmation lists the finalists with their networks. The trainings, one trial each, follow from it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.config import ErrorEstimate, StudyConfig
from faqnas_optuna.confirmation.baselines import Baseline, Model, label
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.documents import check_successful
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.study.description import ConfirmationPlan, Finalist
from faqnas_optuna.study.records import INTERRUPTED, Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import candidates_of_trials, read_state

SUFFIX = ".confirm"
"""Suffix appended to the name of a search to form the default name of its confirmation."""


class Training(NamedTuple):
    """One training of a confirmation."""

    network: str
    """Description of the network. Networks with equal descriptions are trained once, for all finalists that have them."""
    repeat: int
    """Number of the repeat, from 0; with the study's seed it determines the random generator."""
    finalist: int
    """Trial number, in the search, of the first finalist that has the network; for a baseline, of the plan's first finalist."""
    model: str
    """Role of the network, one of `Model` or `Baseline`."""


@dataclass(frozen=True, kw_only=True)
class ConfirmationBudget:
    """Requested budget of a confirmation. None stands for the stored value or, in a new confirmation, the default."""

    epochs: int | None = None
    """Epochs per training."""
    repeats: int | None = None
    """Trainings per network."""
    baselines: tuple[str, ...] | None = None
    """Baselines to compare with, of `BASELINES`."""


DEFAULT_EPOCHS = 50
DEFAULT_REPEATS = 10
BASELINES = tuple(str(name) for name in (*Model, *Baseline) if name is not Model.CIRCUIT)
"""Names of all baselines: the controls, which are trained like the circuit, and the classical models of scikit-learn."""
NO_BASELINES = "none"
"""Choice of no baseline."""


@dataclass(frozen=True, kw_only=True)
class SizeLimit:
    """Maximum size of the training part for a classical model; above it, fitting would take hours."""

    samples: int | None = None
    values: int
    """Maximum number of samples times features."""

    def allows(self, n_samples: int, n_features: int) -> bool:
        """Return whether a training part of this size is small enough."""
        return n_samples * n_features <= self.values and (self.samples is None or n_samples <= self.samples)

    def __str__(self) -> str:
        values = f"{self.values:,} values (samples × features)"
        return f"at most {values}" if self.samples is None else f"at most {self.samples:,} training samples and {values}"


# The time of a support vector machine grows with the square of the number of samples, that of logistic regression with the
# number of values: with ten classes its thousand iterations take about two minutes at this limit.
SVM_LIMIT = SizeLimit(samples=10_000, values=10_000_000)
LIMITS = {Baseline.LOGISTIC: SizeLimit(values=50_000_000), Baseline.SVM: SVM_LIMIT, Baseline.SVM_GRID: SVM_LIMIT}
"""Size limits of the classical models."""


def parse_baselines(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return a choice of baselines in the order of `BASELINES`.

    >>> parse_baselines("mlp, logistic")
    ('mlp', 'logistic')
    >>> parse_baselines("none")
    ()

    Args:
        names: Names, or text with names separated by commas; `none` alone for no baseline.

    Raises:
        ConfigError: A name is unknown, or `none` is not alone.
    """
    chosen = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    if chosen == [NO_BASELINES]:
        return ()
    for name in chosen:
        if name == NO_BASELINES:
            raise ConfigError(f"baselines: {NO_BASELINES} chooses no baseline; leave it or the other names out")
        if name not in BASELINES:
            raise ConfigError(f"unknown baseline {name!r}; choose from {', '.join(BASELINES)}, or {NO_BASELINES}")
    return tuple(name for name in BASELINES if name in chosen)


def baselines_for(n_train: int, n_features: int) -> tuple[str, ...]:
    """Return the names of the classical models to fit, given the size of the training part.

    >>> baselines_for(10_001, 4)
    ('logistic',)
    """
    return tuple(str(name) for name, limit in LIMITS.items() if limit.allows(n_train, n_features))


def choose_baselines(plan: ConfirmationPlan, chosen: Collection[str] | None) -> ConfirmationPlan:
    """Return a plan with some of its baselines alone.

    Args:
        chosen: Names of `BASELINES`; None for all.
    """
    if chosen is None:
        return plan
    names = {Model.CIRCUIT, *chosen}
    finalists = tuple(
        replace(finalist, networks={model: network for model, network in finalist.networks.items() if model in names})
        for finalist in plan.finalists
    )
    fitted = tuple(name for name in plan.baselines if name in names)
    return replace(plan, finalists=finalists, baselines=fitted, chosen=tuple(chosen))


def name_for(study: str) -> str:
    """Return the default name for the confirmation of a search."""
    return f"{study}{SUFFIX}"


def candidates_of(search: Search, numbers: Iterable[int]) -> list[Candidate]:
    """Return trials of a search as candidates, without duplicates, in the order of `numbers`.

    Raises:
        StudyNotFoundError: The search has no trial with one of these numbers.
        ConfigError: A trial has no result.
    """
    trials = []
    # A dictionary drops repeated numbers and, unlike a set, keeps the order.
    for number in dict.fromkeys(numbers):
        trial = search.trial(number)
        if not search.has_result(trial):
            raise ConfigError(f"trial {number} of study {search.name!r} has no result to confirm; choose a successful trial")
        trials.append(trial)
    return candidates_of_trials(search, trials)


def choose_finalists(
    search: Search, *, numbers: Sequence[int] | None = None, top: int | None = None, pick: SelectionRule | None = None
) -> list[Candidate]:
    """Return the circuits of a search that are to be confirmed; by default the whole front.

    Args:
        numbers: Numbers of the trials to confirm; `top` and `pick` are then ignored.
        top: Maximum number of circuits to take from the front, lowest validation error first.
        pick: Rule that selects one circuit of the front; `top` is then ignored.

    Raises:
        ConfigError: A trial has no result, or no circuit of the front satisfies the rule.
        StudyNotFoundError: The search has no trial with one of these numbers.
        NoSuccessfulTrialError: No trial has succeeded yet.
    """
    if numbers is not None:
        return candidates_of(search, numbers)
    state = read_state(search)
    check_successful(state)
    if pick:
        return [state.choose(pick)]
    return sorted(state.front, key=lambda candidate: (candidate.val_error, candidate.cost))[:top]


def finalists_of(
    candidates: Iterable[Candidate], *, config: StudyConfig, n_features: int, n_classes: int
) -> tuple[Finalist, ...]:
    """Return the finalists for some candidates of a search, each with the networks to train for it.

    Args:
        config: Settings of the search.
        n_features: Number of features; with `n_classes` it determines the width of the MLP control.
        n_classes: Number of classes.
    """
    is_pooled = config.search.front is ErrorEstimate.POOLED
    return tuple(
        Finalist(
            trial=candidate.trial,
            genome=candidate.genome,
            quantum_flops=candidate.quantum_flops,
            neg_log_esp=candidate.costs.neg_log_esp,
            # The search may be deleted or go on, so its scores are stored with the confirmation.
            search_estimate=(
                candidate.search_estimate(config),
                # A pooled estimate is not the mean of these trainings, so their deviation gives no interval for it.
                None if is_pooled else candidate.scores.deviation(config.score),
                config.training.repeats,
            ),
            networks={
                str(model): label(model, candidate.genome.circuit, n_features=n_features, n_classes=n_classes)
                for model in _models(candidate)
            },
        )
        for candidate in candidates
    )


def _models(candidate: Candidate) -> list[Model]:
    """Return `Model.CIRCUIT` and the controls whose networks differ from the circuit's."""
    equal_controls = set()
    if not candidate.is_entangled:
        equal_controls.add(Model.SEPARABLE)
        if not candidate.effective_gates.effective_angles:
            equal_controls.add(Model.EMBEDDING)
    return [model for model in Model if model not in equal_controls]


def all_trainings(plan: ConfirmationPlan, *, repeats: int) -> list[Training]:
    """Return all trainings of a confirmation, in the order in which they are queued.

    Args:
        repeats: Number of trainings per network.
    """
    networks: dict[str, tuple[int, str]] = {}
    for finalist in plan.finalists:
        for model, network in finalist.networks.items():
            networks.setdefault(network, (finalist.trial, model))
    # Repeat by repeat, so that at any time all networks have nearly the same number of trainings and can be compared.
    network_trainings = [Training(network, repeat, *networks[network]) for repeat in range(repeats) for network in networks]
    # The scikit-learn models come last. They belong to no finalist, but a trial must have one: the first.
    return [*network_trainings, *(Training(name, 0, plan.finalists[0].trial, name) for name in plan.baselines)]


def missing_trainings(trainings: Iterable[Training], trials: Iterable[FrozenTrial], *, resumed_at: int) -> list[Training]:
    """Return the trainings to be queued: those that have no trial, or only failed trials that are to be tried again.

    Args:
        trainings: All trainings of the confirmation.
        trials: Trials of the confirmation.
        resumed_at: Number of the first trial since the last resumption. Failures before it are tried again, later ones only if
            a signal caused them.
    """
    not_due = set()
    for trial in trials:
        if trial.state is not TrialState.FAIL or (trial.number >= resumed_at and not _was_interrupted(trial)):
            # Trials that another program added to the study lack these attributes.
            not_due.add((trial.user_attrs.get("network"), trial.user_attrs.get("seed")))
    return [training for training in trainings if (training.network, training.repeat) not in not_due]


def _was_interrupted(trial: FrozenTrial) -> bool:
    """Return whether a failed trial was ended by a signal."""
    # Trials of dead workers do not count: they are requeued immediately, up to the maximum number of retries.
    return str(trial.user_attrs.get(FAILURE)).startswith(INTERRUPTED)
