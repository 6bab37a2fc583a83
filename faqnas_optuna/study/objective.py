"""A trial's two values: suggest a genome, reuse or evaluate its circuit, record. The only glue of Optuna and training.

A circuit is not trained again, nor is another with the same effective gates, which costs something else but is worth the same.
"""

import logging
import math
import time
from abc import ABC, abstractmethod
from dataclasses import replace

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import SpaceConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.storage.opening import store_trial
from faqnas_optuna.storage.outages import DATABASE_ERRORS
from faqnas_optuna.study.records import TrialRecord
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.work import Evaluate, TrialOutcome
from faqnas_optuna.training import evaluation
from faqnas_optuna.training.evaluation import Evaluation
from faqnas_optuna.training.values import Costs

logger = logging.getLogger(__name__)

LONGEST_REASON = 1000


class Objective(ABC):
    """What a worker does in a trial."""

    def __call__(self, trial: optuna.Trial) -> TrialOutcome:
        """Run a trial. A candidate that fails is an outcome.

        Raises:
            UpdateFinishedTrialError: the trial was given up in the meantime.
            Exception: one of `DATABASE_ERRORS`.
        """
        try:
            return self._outcome(trial)
        except (*DATABASE_ERRORS, UpdateFinishedTrialError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            # One line, and not more than a database takes.
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
            logger.warning("trial %d failed: %s", trial.number, reason)
            return TrialOutcome(values=None, attributes={FAILURE: reason})

    @abstractmethod
    def _outcome(self, trial: optuna.Trial) -> TrialOutcome:
        """Train what the trial is about."""


class SearchObjective(Objective):
    """Suggests a genome, and reuses or evaluates its circuit.

    Args:
        state: the search; the caller refreshes it before each trial.
        splits: its data.
        worker: the name of this process, kept with the trial.
        evaluate: counts and trains a circuit; None for `training.evaluation.evaluate`.
    """

    def __init__(self, state: SearchState, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None) -> None:
        self._state = state
        self._config = state.study.config
        self._splits = splits
        self._worker = worker
        self._evaluate = evaluate or evaluation.evaluate

    def _outcome(self, trial: optuna.Trial) -> TrialOutcome:
        started = time.perf_counter()
        genome = suggest(trial, self._config.space)
        trial.set_user_attr("worker", self._worker)
        store_trial(trial)
        circuit = genome.circuit
        effective = effective_circuit(circuit).digest
        if known := self._state.by_effective.get(effective):
            n_features, n_classes = self._splits.n_features, self._splits.n_classes
            costs = Costs.of(circuit, n_features=n_features, n_classes=n_classes, device=self._config.device)
            values: tuple[float, float] = (costs.objective(self._config), known.values[1])
            record = replace(
                TrialRecord.from_attributes(known.user_attrs),
                circuit=circuit.digest,
                summary=str(circuit),
                effective=effective,
                costs=costs,
                seconds=round(time.perf_counter() - started, 6),
                worker=self._worker,
                reused_from=known.user_attrs.get("reused_from", known.number),
            )
        else:
            found = self._evaluate(circuit, self._splits, self._config)
            values = found.objectives(self._config)
            record = _record(circuit, effective, found, worker=self._worker)
        if not all(map(math.isfinite, values)):
            raise TrainingError(f"the objectives must be finite; they are {values}")
        return TrialOutcome(values=values, attributes=record.to_attributes())


def _record(circuit: Circuit, effective: str, found: Evaluation, *, worker: str) -> TrialRecord:
    return TrialRecord(
        circuit=circuit.digest,
        summary=str(circuit),
        effective=effective,
        costs=found.costs,
        scores=found.scores,
        seconds=round(found.seconds, 6),
        worker=worker,
        reused_from=None,
    )


def suggest(trial: optuna.Trial, space: SpaceConfig) -> Genome:
    """All genes of the space, the inactive ones too: a conditional space would break NSGA-II's crossover."""
    return Genome.from_params({gene: trial.suggest_categorical(gene, choices) for gene, choices in space.genes.items()})
