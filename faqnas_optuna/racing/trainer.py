"""Trainings of a race, run by workers and stored in a folder from which an interrupted race resumes."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from platform import node
from statistics import fmean
from typing import Self

import numpy as np

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.resplits import Resplits
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import StudyMismatchError
from faqnas_optuna.racing.bounds import Floats, Histograms, Integers
from faqnas_optuna.racing.plan import RacePlan
from faqnas_optuna.racing.scores import Block, Scores
from faqnas_optuna.study_file import document_differences
from faqnas_optuna.tables.plan import versions
from faqnas_optuna.tables.result_folder import ResultFolder
from faqnas_optuna.training.bulk import load_bulk, train_repeats

TASK_S = 0.5
"""Approximate duration of the trainings that one worker runs before it reports."""
WRITE_INTERVAL_S = 5.0
"""Minimum number of seconds between two files of results. A kill loses the results since the last one, and running tasks."""

PILOT_CIRCUITS = 100
"""Approximate number of circuits by which the duration of a training is measured."""

Task = tuple[Block, ...]
"""Trainings that one worker runs before it reports."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Data and settings that are common to all trainings; sent to each worker once."""

    circuits: tuple[Circuit, ...]
    """Effective circuits, which blocks refer to by index."""
    splits: DataSplits
    resplits: Resplits | None
    """New split for each training; None if all trainings have the same split."""
    config: StudyConfig
    versions: dict[str, str]
    """Versions that every worker must have."""

    @classmethod
    def of(cls, plan: RacePlan, splits: DataSplits) -> Self:
        """Return the job of a race."""
        return cls(
            circuits=tuple(entry.effective for entry in plan.entries),
            splits=splits,
            resplits=Resplits(splits, seed=plan.config.split_seed) if plan.resplit else None,
            config=plan.config,
            versions=versions(),
        )


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """Scores of the trainings of a task."""

    blocks: Task
    scores: tuple[Floats, ...]
    """Scores of each block."""
    seconds: tuple[float, ...]
    """Duration of each block."""


HandOut = Callable[[Iterable[Task]], Iterator[TaskResult]]
"""Function that has `run_task` called by workers and yields the results in any order."""


def run_task(job: Job, task: Task) -> TaskResult:
    """Run the trainings of a task, in a worker.

    Raises:
        StudyMismatchError: The worker has other versions than the race.
        TrainingError: A training diverged.
    """
    lines = document_differences(job.versions, versions())
    if lines:
        raise StudyMismatchError(
            f"the worker on {node()} has other versions, {'; '.join(lines)}; install the same versions everywhere"
        )
    load_bulk(job.config)
    scores = []
    seconds = []
    for block in task:
        start = time.perf_counter()
        scores.append(_train(job, block))
        seconds.append(time.perf_counter() - start)
    return TaskResult(blocks=task, scores=tuple(scores), seconds=tuple(seconds))


def _train(job: Job, block: Block) -> Floats:
    """Run the trainings of a block and return their scores."""
    circuit = job.circuits[block.circuit]
    repeats = range(block.begin, block.end)
    if job.resplits is None:
        return train_repeats(circuit, job.splits, job.config, repeats)
    # All circuits have the same split for the same repeat, so that it is drawn once.
    scores = [train_repeats(circuit, job.resplits(repeat), job.config, [repeat]) for repeat in repeats]
    return np.concatenate(scores)


class Trainer:
    """Trainings of a race. A call trains circuits and returns their histograms, as `halving.Train`.

    Args:
        job: Circuits, data and settings.
        folder: Folder of the results so far; locked by the caller.
        hand_out: Function that has tasks run by workers.
    """

    def __init__(self, job: Job, folder: ResultFolder, hand_out: HandOut) -> None:
        self._job = job
        self._folder = folder
        self._hand_out = hand_out
        self._scores = Scores(len(job.circuits))
        self._unwritten: list[TaskResult] = []
        self._written_at = time.monotonic()
        self._pace = Pace()
        self.on_done: Callable[[int, int], None] = lambda done, planned: None
        """Callback with the number of trainings so far and the number that the current round ends with."""
        self.targets = np.zeros(len(job.circuits), np.int64)
        """(K,) trainings of each circuit that the last call asked for."""
        for name in folder.names():
            self._read(name)

    @property
    def trainings(self) -> Integers:
        """(K,) number of trainings of each circuit before the first one that is missing."""
        return self._scores.complete

    def histograms(self, targets: Integers) -> Histograms:
        """Return the histograms of the first `targets` (K,) scores of each circuit, which must have been trained."""
        return self._scores.histograms(targets)

    def mean_seconds(self) -> float:
        """Return the mean duration of a training over all circuits, measured with a few of them."""
        targets = np.zeros_like(self.targets)
        # Circuits are sorted by cost, so that every size is among them.
        targets[:: max(len(targets) // PILOT_CIRCUITS, 1)] = 1
        self._run(targets)
        return fmean(map(self._pace.seconds, self._job.circuits))

    def __call__(self, targets: Integers) -> Histograms:
        """Train each circuit until it has `targets` (K,) trainings, and return the histograms of these.

        Raises:
            ClusterError: The connection to the cluster was lost.
            OutputError: Results cannot be written.
            StudyMismatchError: A worker has other versions.
            TrainingError: A training diverged.
            WorkerDiedError: A worker died.
        """
        self.targets = targets.copy()
        self._run(targets)
        return self._scores.histograms(targets)

    def _run(self, targets: Integers) -> None:
        """Run the trainings that are missing among the first `targets` (K,) of each circuit."""
        blocks = [part for block in self._scores.missing(targets) for part in self._split(block)]
        planned = int(targets.sum())
        done = planned - sum(block.end - block.begin for block in blocks)
        self.on_done(done, planned)
        try:
            for result in self._hand_out(self._tasks(blocks)):
                self._insert(result)
                self._unwritten.append(result)
                if time.monotonic() - self._written_at >= WRITE_INTERVAL_S:
                    self._write()
                done += sum(block.end - block.begin for block in result.blocks)
                self.on_done(done, planned)
        finally:
            self._write()

    def _split(self, block: Block) -> Iterator[Block]:
        """Yield parts of a block that each take about one task."""
        size = max(int(TASK_S / self._pace.seconds(self._job.circuits[block.circuit])), 1)
        for begin in range(block.begin, block.end, size):
            yield Block(block.circuit, begin, min(begin + size, block.end))

    def _tasks(self, blocks: list[Block]) -> Iterator[Task]:
        """Yield the blocks in tasks of about `TASK_S` seconds, the longest trainings first."""
        # Tasks of short trainings exceed that time least, so at the end of a round no worker waits long for another.
        task: list[Block] = []
        task_s = 0.0
        for block in sorted(blocks, key=lambda block: -self._job.circuits[block.circuit].n_qubits):
            task.append(block)
            task_s += self._pace.seconds(self._job.circuits[block.circuit]) * (block.end - block.begin)
            if task_s >= TASK_S:
                yield tuple(task)
                task = []
                task_s = 0.0
        if task:
            yield tuple(task)

    def _insert(self, result: TaskResult) -> None:
        for block, scores, seconds in zip(result.blocks, result.scores, result.seconds, strict=True):
            self._scores.insert(block, scores)
            self._pace.add(self._job.circuits[block.circuit], seconds, block.end - block.begin)

    def _write(self) -> None:
        """Write the results since the last file to a new one."""
        self._written_at = time.monotonic()
        if self._unwritten:
            blocks = [block for result in self._unwritten for block in result.blocks]
            scores = [scores for result in self._unwritten for scores in result.scores]
            names = self._folder.names()
            name = f"{int(names[-1]) + 1 if names else 0:06}"
            self._folder.write(name, {"blocks": np.array(blocks, np.int64), "scores": np.concatenate(scores)})
            self._unwritten = []

    def _read(self, name: str) -> None:
        """Read a file of results. The trainings of a damaged file are run again."""
        arrays = self._folder.read(name, "blocks", "scores")
        if arrays is None:
            return
        start = 0
        for circuit, begin, end in arrays["blocks"].tolist():
            length = end - begin
            self._scores.insert(Block(circuit, begin, end), arrays["scores"][start : start + length])
            start += length


class Pace:
    """Mean duration of a training by number of qubits, from the trainings so far."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._trainings: dict[int, int] = {}

    def add(self, circuit: Circuit, seconds: float, trainings: int) -> None:
        """Add trainings of a circuit that took some seconds."""
        n_qubits = circuit.n_qubits
        self._seconds[n_qubits] = self._seconds.get(n_qubits, 0.0) + seconds
        self._trainings[n_qubits] = self._trainings.get(n_qubits, 0) + trainings

    def seconds(self, circuit: Circuit) -> float:
        """Return the expected duration of a training of a circuit."""
        trainings = self._trainings.get(circuit.n_qubits)
        # Any value of the right order of magnitude until there is a measurement.
        return self._seconds[circuit.n_qubits] / trainings if trainings else math.ldexp(1e-3, circuit.n_qubits - 5)
