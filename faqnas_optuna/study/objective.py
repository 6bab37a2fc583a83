"""Objective functions of trials, which connect Optuna with the training.

An effective circuit is trained only once. Circuits that differ in inert gates alone have different costs but the same scores.
"""

import logging
import math
import time
from abc import ABC, abstractmethod
from dataclasses import replace

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.storage.opening import store_trial
from faqnas_optuna.storage.outages import DATABASE_ERRORS
from faqnas_optuna.study.records import SOURCE_SCORES, TrialRecord
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.work import Evaluate, TrialOutcome
from faqnas_optuna.training import evaluation
from faqnas_optuna.training.limits import Limits
from faqnas_optuna.training.values import ValidationScores

logger = logging.getLogger(__name__)

MAX_REASON_LENGTH = 1000
"""Maximum number of characters of the reason of a failed trial."""


class Objective(ABC):
    """Objective function of a study: the work of one trial."""

    def __call__(self, trial: optuna.Trial) -> TrialOutcome:
        """Run a trial and return its outcome, which may be a failure.

        Raises:
            UpdateFinishedTrialError: The trial was given up in the meantime.
            Exception: One of `DATABASE_ERRORS`.
        """
        try:
            return self._outcome(trial)
        except (*DATABASE_ERRORS, UpdateFinishedTrialError):
            # The worker retries after an outage, and drops a trial that was given up.
            raise
        # A second signal arrives as KeyboardInterrupt; the trial then fails with the signal as its reason.
        except (Exception, KeyboardInterrupt) as error:
            # One line, and not longer than an attribute may be in any database.
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_REASON_LENGTH]
            logger.warning("trial %d failed: %s", trial.number, reason)
            return TrialOutcome(values=None, attributes={FAILURE: reason})

    @abstractmethod
    def _outcome(self, trial: optuna.Trial) -> TrialOutcome:
        """Do the work of a trial."""


class SearchObjective(Objective):
    """Objective function of a search: suggest a genome, then reuse or evaluate its circuit.

    Args:
        state: State of the search; the caller refreshes it before each trial.
        splits: Data of the search.
        worker: Name of this process, stored with each trial.
        evaluate: Function that counts and trains a circuit; None for `training.evaluation.evaluate`.
    """

    def __init__(self, state: SearchState, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None) -> None:
        self._state = state
        self._config = state.study.config
        self._limits = Limits.of(self._config, splits)
        self._splits = splits
        self._worker = worker
        self._evaluate = evaluate or evaluation.evaluate

    def _outcome(self, trial: optuna.Trial) -> TrialOutcome:
        started = time.perf_counter()
        genome = suggest(trial, self._config.space)
        trial.set_user_attr("worker", self._worker)
        # Genes and worker are stored before the training, so that others see them, and can repeat the trial if this worker
        # dies.
        store_trial(trial)
        circuit = genome.circuit
        # Samplers respect the limits, but users may enqueue any genome.
        if not self._limits.allow(circuit):
            raise TrainingError(f"{circuit} is beyond the limits of the study")
        effective = effective_circuit(circuit).digest
        twin = self._state.by_effective.get(effective)
        source_scores = trial.user_attrs.get(SOURCE_SCORES)
        if twin:
            record = replace(
                TrialRecord.from_attributes(twin.user_attrs),
                circuit=circuit.digest,
                summary=str(circuit),
                effective=effective,
                costs=self._limits.costs(circuit),
                seconds=round(time.perf_counter() - started, 6),
                worker=self._worker,
                # The trial with the training, even if the twin reused it too.
                reused_from=twin.user_attrs.get("reused_from", twin.number),
            )
            values: tuple[float, float] = (record.costs.objective(self._config), twin.values[1])
        else:
            # The creation of the study has checked that they are those of this study's protocol.
            if source_scores:
                costs = self._limits.costs(circuit)
                scores = ValidationScores(**source_scores)
                seconds = time.perf_counter() - started
            else:
                result = self._evaluate(circuit, self._splits, self._config)
                costs = result.costs
                scores = result.scores
                seconds = result.seconds
            values = (costs.objective(self._config), 1 - scores.mean(self._config.score))
            record = TrialRecord(
                circuit=circuit.digest,
                summary=str(circuit),
                effective=effective,
                costs=costs,
                scores=scores,
                seconds=round(seconds, 6),
                worker=self._worker,
                reused_from=None,
            )
        # `study.checks` would report other values as damage of the study.
        if not all(map(math.isfinite, values)):
            raise TrainingError(f"the objectives must be finite; they are {values}")
        return TrialOutcome(values=values, attributes=record.to_attributes(), has_trained=not (twin or source_scores))


def suggest(trial: optuna.Trial, space: SpaceConfig) -> Genome:
    """Suggest all genes of a space, including those that the other genes make inactive."""
    # NSGA-II crosses only trials that have the same parameters, so a conditional space would break it.
    return Genome.from_params({gene: trial.suggest_categorical(gene, choices) for gene, choices in space.genes.items()})
