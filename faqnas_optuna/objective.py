"""A trial's two values: suggest a genome, reuse or evaluate its circuit, record. The only glue of Optuna and training."""

import time
from dataclasses import replace

import optuna

from faqnas_optuna.config import SpaceConfig
from faqnas_optuna.datasets import DataSplits
from faqnas_optuna.evaluation import evaluate
from faqnas_optuna.genome import Genome
from faqnas_optuna.study import Search, TrialRecord

FAILURE = "failure"
"""The attribute of a failed trial that says why."""


class Objective:
    """What a worker gives to `study.optimize`.

    Args:
        search: the study and its configuration.
        splits: its data.
        worker: the name of this process, kept with the trial.
    """

    def __init__(self, search: Search, splits: DataSplits, *, worker: str) -> None:
        self._search = search
        self._splits = splits
        self._worker = worker

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """(quantum FLOPs, validation error) of the genome that the trial suggests."""
        try:
            return self._evaluate(trial)
        except BaseException as error:
            trial.set_user_attr(FAILURE, f"{type(error).__name__}: {error}")
            raise

    def _evaluate(self, trial: optuna.Trial) -> tuple[float, float]:
        started = time.perf_counter()
        genome = suggest(trial, self._search.config.space)
        trial.set_user_attr("worker", self._worker)
        if known := self._known(genome):
            values: tuple[float, float] = (known.values[0], known.values[1])
            record = replace(
                TrialRecord.from_attributes(known.user_attrs),
                seconds=round(time.perf_counter() - started, 3),
                worker=self._worker,
                reused_from=known.user_attrs.get("reused_from", known.number),
            )
        else:
            config = self._search.config
            evaluation = evaluate(genome.circuit, self._splits, config)
            values = evaluation.objectives(config.flops)
            record = TrialRecord.of_evaluation(genome, evaluation, worker=self._worker)
        for name, value in record.to_attributes().items():
            trial.set_user_attr(name, value)
        return values

    def _known(self, genome: Genome) -> optuna.trial.FrozenTrial | None:
        """A successful trial of the same circuit."""
        digest = genome.circuit.digest
        return next((trial for trial in self._search.successful() if trial.user_attrs.get("circuit") == digest), None)


def suggest(trial: optuna.Trial, space: SpaceConfig) -> Genome:
    """All nine genes, the inactive ones too: a conditional space would break NSGA-II's crossover."""
    return Genome.from_params({gene: trial.suggest_categorical(gene, choices) for gene, choices in space.genes.items()})
