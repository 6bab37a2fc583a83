"""Estimates of the remaining work of an experiment."""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.confirmation.baselines import Model
from faqnas_optuna.experiments.plan import Cell, Experiment
from faqnas_optuna.racing.plan import sample_genomes
from faqnas_optuna.reporting.frames import data_frame
from faqnas_optuna.study.race_size import TRAININGS_PER_CIRCUIT, space_size
from faqnas_optuna.training.evaluation import prepare, train_from, training_generator
from faqnas_optuna.training.limits import Limits

if TYPE_CHECKING:
    # Importing pandas takes a second.
    from pandas import DataFrame

PILOT_CIRCUITS = 12
"""Number of random circuits whose training is timed for an estimate."""
# Rounded from the experiment of docs/experiments.md: 60 studies took 200 s of processor time, their trainings 36 s.
TRIAL_S = 0.01
"""Duration of a trial without its training: its transactions, in which workers wait for each other."""
STUDY_S = 1.0
"""Duration of the beginning and end of a study and its confirmation: reading the data, starting the workers."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Expected work for one method on one data set."""

    dataset: str
    method: str
    studies: int
    """Number of studies that are not complete."""
    trainings: int
    """Maximum number of trainings of their searches."""
    confirmations: int
    """Maximum number of trainings of their confirmations."""
    training_s: float
    """Expected duration of all trainings on one core."""
    overhead_s: float
    """Expected duration of everything else, which more workers do not shorten."""

    def seconds(self, processes: int) -> float:
        """Return the expected duration with some number of processes."""
        return self.training_s / processes + self.overhead_s


def estimates(experiment: Experiment, complete: Collection[str], *, data_dir: Path | None) -> Iterator[Estimate]:
    """Yield the remaining work of each method on each data set, with durations from timed trainings of random circuits.

    The number of trainings is an upper limit: a search may stop early, and reuses the training of a circuit.

    Args:
        complete: Names of the complete studies.
    """
    confirm = experiment.file.confirm
    chosen = experiment.budget.baselines
    # Each picked circuit has up to four controls.
    controls = [model for model in Model if chosen is None or model in chosen]
    networks = len({Model.CIRCUIT, *controls}) * len(experiment.rules)
    for dataset in experiment.datasets:
        for method in experiment.file.methods:
            cells = [cell for cell in experiment.cells if (cell.dataset, cell.method) == (dataset, method)]
            missing = [cell for cell in cells if cell.name not in complete]
            trainings = sum(map(_trainings, missing))
            # A race stores its circuits together.
            trials = 0 if cells[0].race else trainings // cells[0].config.training.repeats
            confirmations = len(missing) * networks * confirm.repeats
            seconds = _seconds_per_epoch(cells[0], data_dir) if missing else 0.0
            epochs = trainings * cells[0].config.training.epochs + confirmations * confirm.epochs
            yield Estimate(
                dataset=dataset,
                method=method,
                studies=len(missing),
                trainings=trainings,
                confirmations=confirmations,
                training_s=seconds * epochs,
                overhead_s=len(missing) * STUDY_S + TRIAL_S * (trials + confirmations),
            )


def work_frame(work: Iterable[Estimate], processes: int) -> "DataFrame":
    """Return a data frame with a row per estimate, and the expected duration with some number of processes."""
    return data_frame(
        {
            "dataset": one.dataset,
            "method": one.method,
            "studies": one.studies,
            "trainings": one.trainings,
            "confirmations": one.confirmations,
            "seconds": one.seconds(processes),
        }
        for one in work
    )


def _trainings(cell: Cell) -> int:
    """Return the maximum number of trainings of a study."""
    if cell.race:
        circuits = cell.race.sample or space_size(cell.config.space)
        return cell.race.trainings or TRAININGS_PER_CIRCUIT * circuits
    return cell.config.search.planned * cell.config.training.repeats


def _seconds_per_epoch(cell: Cell, data_dir: Path | None) -> float:
    """Return the mean duration of an epoch over random circuits."""
    config = cell.config
    splits = DataSource(files=cell.files and cell.files.located(data_dir), data_dir=data_dir).load(config)
    # Loading and compiling do not count.
    prepare(config.engines)
    durations = []
    for genome in sample_genomes(Limits.of(config, splits), PILOT_CIRCUITS, np.random.default_rng(config.seed)):
        generator = training_generator(config.seed, genome.circuit, 0)
        started = time.perf_counter()
        train_from(generator, genome.circuit, splits, config)
        durations.append(time.perf_counter() - started)
    return fmean(durations) / config.training.epochs
