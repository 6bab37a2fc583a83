"""The pilot of a study: random circuits trained several times before the search, to see how far two trainings agree."""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count, islice, takewhile

import numpy as np

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import Engine, SpaceConfig, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, TrainingError
from faqnas_optuna.training.evaluation import prepare, train_from
from faqnas_optuna.training.reliability import Reliability, intraclass_correlation

logger = logging.getLogger(__name__)

CIRCUITS, TRAININGS = 24, 4
FEWEST_CIRCUITS = 6
"""Fewer say nothing: the interval would be most of what there is."""
STREAM = 1
"""Sets the seeds apart from those of the search, which have no such word, and from those of confirmations."""
TELL_EVERY_S = 10.0
LIMIT_S = 10.0
"""So long a study may wait to know what its trainings are worth, unless they decide how many there are to be."""


@dataclass(frozen=True, kw_only=True)
class PilotPlan:
    """What is the same for all circuits of a pilot."""

    splits: DataSplits
    config: StudyConfig
    deadline: float
    """On the monotonic clock, which all processes of a machine share; no training begins after it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The scores of one circuit."""

    number: int
    """Of the circuit, in the order in which circuits were drawn."""
    scores: tuple[float, ...]
    """Validation scores, one per training; empty if a training diverged."""
    is_late: bool
    """Whether the deadline came before all trainings were done."""


Task = tuple[int, Circuit]
"""A circuit with its number."""
TaskRunner = Callable[[Callable[[PilotPlan, Task], Row], PilotPlan, Iterable[Task]], Generator[Row, None, None]]
"""Has tasks done, for instance by several processes, and gives their results in any order."""


def measure_reliability(
    splits: DataSplits, config: StudyConfig, *, limit_s: float | None, hand_out: TaskRunner | None = None
) -> Reliability | None:
    """Train random circuits of the space within the budget of the search, from seeds of their own, and compare.

    Args:
        limit_s: fewer circuits are trained where all would take longer; None to take the time.
        hand_out: has them trained; None to train them in this process, one after the other.

    Returns:
        None if too few circuits could be trained, or all are the same.
    """
    if config.engine is Engine.FAST and (slow := config.space.without_fast_form):
        named = ", ".join(slow)
        logger.warning("circuits with %s are trained by PennyLane, since the fast engine has no %s: far slower", named, named)
    logger.info("measuring how far trainings agree: %d random circuits, %d trainings of each", CIRCUITS, TRAININGS)
    prepare(config.engines)
    started = time.monotonic()
    if limit_s is not None and _takes_longer(limit_s, splits, config):
        logger.info("trainings take too long for that")
        return None
    plan = PilotPlan(splits=splits, config=config, deadline=math.inf if limit_s is None else started + limit_s)
    rows = _complete(_trained(plan, hand_out or _one_after_the_other))
    return intraclass_correlation(np.array(rows)) if len(rows) >= FEWEST_CIRCUITS else None


def _trained(plan: PilotPlan, hand_out: TaskRunner) -> dict[int, Row]:
    """Train the circuits until the deadline; return their rows by number."""
    told = time.monotonic()
    circuits = enumerate(islice(_random_circuits(plan.config.space, plan.config.seed), CIRCUITS))
    rows: dict[int, Row] = {}
    with closing(hand_out(train_circuit, plan, circuits)) as results:
        for row in results:
            if row.is_late:
                break
            rows[row.number] = row
            if time.monotonic() - told > TELL_EVERY_S:
                told = time.monotonic()
                logger.info("measuring how far trainings agree: %d of %d circuits", len(rows), CIRCUITS)
    return rows


def _complete(rows: Mapping[int, Row]) -> list[tuple[float, ...]]:
    """Return the scores of the circuits before the first that was not done in time.

    Of several processes one may have finished a later circuit. To use it would favour circuits whose trainings are short.
    """
    in_time = takewhile(rows.__contains__, count())
    return [rows[number].scores for number in in_time if rows[number].scores]


def train_circuit(plan: PilotPlan, task: Task) -> Row:
    """Train one circuit from several seeds."""
    number, circuit = task
    scores: list[float] = []
    try:
        for repeat in range(TRAININGS):
            if time.monotonic() > plan.deadline:
                return Row(number=number, scores=(), is_late=True)
            scores.append(_score(circuit, plan.splits, plan.config, repeat))
    except TrainingError:
        # If it is not this circuit alone, the search will tell.
        scores.clear()
    return Row(number=number, scores=tuple(scores), is_late=False)


def _one_after_the_other(
    work: Callable[[PilotPlan, Task], Row], shared: PilotPlan, tasks: Iterable[Task]
) -> Generator[Row, None, None]:
    for task in tasks:
        yield work(shared, task)


def with_repeats_for(config: StudyConfig, reliability: Reliability | None) -> StudyConfig:
    """The settings with as many repeats as make the values of circuits reliable.

    Raises:
        ConfigError: it is not known.
    """
    if reliability is None:
        raise ConfigError(
            "--repeats auto needs circuits that can be told apart, and all random ones were worth the same, or none could be"
            " trained; give a number"
        )
    return config.with_repeats(reliability.repeats)


def _takes_longer(limit_s: float, splits: DataSplits, config: StudyConfig) -> bool:
    """Whether the fewest trainings that say something would, by some epochs of the first circuit.

    One epoch is little beside what else a training does, and the first of all may meet a cold cache: it is believed if it is
    short. If not, more are tried, as long as they fit.
    """
    circuit, needed = next(_random_circuits(config.space, config.seed)), TRAININGS * FEWEST_CIRCUITS * config.training.epochs
    epoch_s = 0.0
    for epochs in (1, 10, 100):
        if epochs > config.training.epochs or epochs * epoch_s > limit_s:
            break
        short, started = config.training.model_copy(update={"epochs": epochs}), time.monotonic()
        with suppress(TrainingError):
            _score(circuit, splits, config.model_copy(update={"training": short}), repeat=0)
        epoch_s = (time.monotonic() - started) / epochs
        if epoch_s * needed <= limit_s:
            return False
    return True


def _score(circuit: Circuit, splits: DataSplits, config: StudyConfig, repeat: int) -> float:
    generator = np.random.default_rng([config.seed, int(circuit.digest, 16), repeat, STREAM])
    return train_from(generator, circuit, splits, config).validation.by(config.score)


def _random_circuits(space: SpaceConfig, seed: int) -> Iterator[Circuit]:
    """Circuits of random genomes of a space, each with other effective gates; as many as a thousand genomes have."""
    generator = np.random.default_rng([seed, STREAM])
    seen = set()
    for _ in range(1000):
        genes = {gene: choices[generator.integers(len(choices))] for gene, choices in space.genes.items()}
        circuit = effective_circuit(Genome.from_params(genes).circuit)
        if circuit not in seen:
            seen.add(circuit)
            yield circuit
