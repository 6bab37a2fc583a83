"""A trial's two values: suggest a genome, reuse or evaluate its circuit, record. The only glue of Optuna and training."""

import logging
import time
from dataclasses import replace

import optuna

from faqnas_optuna.config import SpaceConfig
from faqnas_optuna.datasets import DataSplits
from faqnas_optuna.evaluation import evaluate
from faqnas_optuna.genome import Genome
from faqnas_optuna.standing import Standing
from faqnas_optuna.storage import set_trial_user_attrs
from faqnas_optuna.study import TrialRecord

logger = logging.getLogger(__name__)

FAILURE = "failure"
"""The attribute of a failed trial that says why."""


class Objective:
    """What a worker gives to `study.optimize`.

    Args:
        standing: the study, and what it has found so far; the caller refreshes it before each trial.
        splits: its data.
        worker: the name of this process, kept with the trial.
    """

    def __init__(self, standing: Standing, splits: DataSplits, *, worker: str) -> None:
        self._standing = standing
        self._config = standing.search.config
        self._splits = splits
        self._worker = worker

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """(quantum FLOPs, validation error) of the genome that the trial suggests."""
        try:
            return self._evaluate(trial)
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            logger.warning("trial %d failed: %s", trial.number, reason)
            trial.set_user_attr(FAILURE, reason)
            raise

    def _evaluate(self, trial: optuna.Trial) -> tuple[float, float]:
        started = time.perf_counter()
        genome = suggest(trial, self._config.space)
        trial.set_user_attr("worker", self._worker)
        if known := self._standing.by_circuit.get(genome.circuit.digest):
            values: tuple[float, float] = (known.values[0], known.values[1])
            record = replace(
                TrialRecord.from_attributes(known.user_attrs),
                seconds=round(time.perf_counter() - started, 3),
                worker=self._worker,
                reused_from=known.user_attrs.get("reused_from", known.number),
            )
        else:
            evaluation = evaluate(genome.circuit, self._splits, self._config)
            values = evaluation.objectives(self._config.flops)
            record = TrialRecord.of_evaluation(genome, evaluation, worker=self._worker)
        set_trial_user_attrs(trial, record.to_attributes())
        return values


def suggest(trial: optuna.Trial, space: SpaceConfig) -> Genome:
    """All nine genes, the inactive ones too: a conditional space would break NSGA-II's crossover."""
    return Genome.from_params({gene: trial.suggest_categorical(gene, choices) for gene, choices in space.genes.items()})
