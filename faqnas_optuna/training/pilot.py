"""Pilot of a study: random circuits, each trained several times before the search, to estimate the reliability of a
training."""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count, islice, takewhile

import numpy as np

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import Engine, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, TrainingError
from faqnas_optuna.training.evaluation import prepare, train_from
from faqnas_optuna.training.limits import Limits
from faqnas_optuna.training.reliability import Reliability, intraclass_correlation

logger = logging.getLogger(__name__)

CIRCUITS = 24
TRAININGS = 4
MIN_CIRCUITS = 6
"""Minimum number of circuits. With fewer, the confidence interval would cover most of its range."""
STREAM = 1
"""Last word of the seeds of the pilot. Seeds of the search lack it, and those of confirmations have another."""
PROGRESS_INTERVAL_S = 10.0
LIMIT_S = 10.0
"""Time limit of a pilot whose result is only reported. A pilot that sets the number of repeats has no limit."""


@dataclass(frozen=True, kw_only=True)
class PilotPlan:
    """Arguments that all circuits of a pilot share."""

    splits: DataSplits
    config: StudyConfig
    deadline: float
    """Time on the monotonic clock, which all processes of a machine share, after which no training starts."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Scores of one circuit."""

    number: int
    """Number of the circuit in the order of drawing."""
    scores: tuple[float, ...]
    """Validation scores, one per training; empty if a training diverged."""
    is_late: bool
    """True if the deadline passed before the last training."""


Task = tuple[int, Circuit]
"""Circuit with its number."""
TaskRunner = Callable[[Callable[[PilotPlan, Task], Row], PilotPlan, Iterable[Task]], Generator[Row, None, None]]
"""Function that runs tasks, for example in several processes, and yields their results in any order."""


def measure_reliability(
    splits: DataSplits, config: StudyConfig, *, limit_s: float | None, hand_out: TaskRunner | None = None
) -> Reliability | None:
    """Estimate the reliability of a training from random circuits of the space, trained within the budget of the search.

    Args:
        limit_s: Time limit, which may reduce the number of circuits; None for no limit.
        hand_out: Runs the trainings; None to run them in this process one by one.

    Returns:
        None if too few circuits could be trained, or if all their scores are equal.
    """
    unsupported = config.space.without_fast_form
    if config.engine is Engine.FAST and unsupported:
        names = ", ".join(unsupported)
        logger.warning(
            "circuits with %s are trained by PennyLane, which is much slower: the fast engine does not support %s", names, names
        )
    logger.info("measuring the reliability of a training: %d random circuits, %d trainings of each", CIRCUITS, TRAININGS)
    # Loading and compiling must not count against the time limit.
    prepare(config.engines)
    start = time.monotonic()
    circuits = [*islice(_random_circuits(Limits.of(config, splits)), CIRCUITS)]
    if limit_s is not None and circuits and _takes_longer(limit_s, splits, config, circuits[0]):
        logger.info("not measuring the reliability of a training: it would take too long")
        return None
    plan = PilotPlan(splits=splits, config=config, deadline=math.inf if limit_s is None else start + limit_s)
    scores = _complete_scores(_train_circuits(plan, circuits, hand_out or _run_in_turn))
    return intraclass_correlation(np.array(scores)) if len(scores) >= MIN_CIRCUITS else None


def _train_circuits(plan: PilotPlan, circuits: Sequence[Circuit], hand_out: TaskRunner) -> dict[int, Row]:
    """Train the circuits until the deadline and return their rows by number."""
    last_progress = time.monotonic()
    rows: dict[int, Row] = {}
    # Closing the generator ends the trainings that other processes are still running.
    with closing(hand_out(train_circuit, plan, enumerate(circuits))) as results:
        for row in results:
            if row.is_late:
                break
            rows[row.number] = row
            if time.monotonic() - last_progress > PROGRESS_INTERVAL_S:
                last_progress = time.monotonic()
                logger.info("measuring the reliability of a training: %d of %d circuits", len(rows), CIRCUITS)
    return rows


def _complete_scores(rows: Mapping[int, Row]) -> list[tuple[float, ...]]:
    """Return the scores of all circuits before the first one that was not trained in time."""
    # Another process may have finished a later circuit. Using it would favour circuits whose trainings are short.
    numbers = takewhile(rows.__contains__, count())
    return [rows[number].scores for number in numbers if rows[number].scores]


def train_circuit(plan: PilotPlan, task: Task) -> Row:
    """Train one circuit from several seeds and return its scores."""
    number, circuit = task
    scores: list[float] = []
    try:
        for repeat in range(TRAININGS):
            if time.monotonic() > plan.deadline:
                return Row(number=number, scores=(), is_late=True)
            scores.append(_score(circuit, plan.splits, plan.config, repeat))
    except TrainingError:
        # One circuit less does not matter. If all trainings diverge, the search will report it.
        scores.clear()
    return Row(number=number, scores=tuple(scores), is_late=False)


def _run_in_turn(
    work: Callable[[PilotPlan, Task], Row], shared: PilotPlan, tasks: Iterable[Task]
) -> Generator[Row, None, None]:
    """Run the tasks one by one in this process."""
    for task in tasks:
        yield work(shared, task)


def with_repeats_for(config: StudyConfig, reliability: Reliability | None) -> StudyConfig:
    """Return the settings with the number of repeats that makes scores reliable.

    Raises:
        ConfigError: The reliability is unknown.
    """
    if reliability is None:
        raise ConfigError(
            "--repeats auto needs random circuits with different scores; all scores were equal, or too few circuits could be"
            " trained; give a number"
        )
    return config.with_repeats(reliability.repeats)


def _takes_longer(limit_s: float, splits: DataSplits, config: StudyConfig, circuit: Circuit) -> bool:
    """Return whether the smallest useful pilot would exceed the limit, judged by short trainings of its first circuit."""
    needed_epochs = TRAININGS * MIN_CIRCUITS * config.training.epochs
    epoch_s = 0.0
    # A single epoch overestimates the time: the constant effort of a training and cold caches dominate it. If one epoch is fast
    # enough, the answer is clear; otherwise longer trainings measure better, as long as they fit into the limit.
    for epochs in (1, 10, 100):
        if epochs > config.training.epochs or epochs * epoch_s > limit_s:
            break
        short = config.training.model_copy(update={"epochs": epochs})
        start = time.monotonic()
        with suppress(TrainingError):
            _score(circuit, splits, config.model_copy(update={"training": short}), repeat=0)
        epoch_s = (time.monotonic() - start) / epochs
        if epoch_s * needed_epochs <= limit_s:
            return False
    return True


def _score(circuit: Circuit, splits: DataSplits, config: StudyConfig, repeat: int) -> float:
    """Train a circuit and return its validation score."""
    generator = np.random.default_rng([config.seed, int(circuit.digest, 16), repeat, STREAM])
    return train_from(generator, circuit, splits, config).validation.by(config.score)


def _random_circuits(limits: Limits) -> Iterator[Circuit]:
    """Yield the distinct effective circuits of random genomes of a space, a thousand or, with limits, more."""
    config = limits.config
    generator = np.random.default_rng([config.seed, STREAM])
    distinct = set()
    # Tight limits allow only a small share of the genomes.
    for _ in range(10_000 if config.limits.by_name else 1000):
        genes = {gene: choices[generator.integers(len(choices))] for gene, choices in config.space.genes.items()}
        circuit = Genome.from_params(genes).circuit
        effective = effective_circuit(circuit)
        if effective not in distinct and limits.allow(circuit):
            distinct.add(effective)
            yield effective
