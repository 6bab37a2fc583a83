"""Values that pass between a study and its workers."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import optuna

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Score, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.wording import counted

if TYPE_CHECKING:
    # At run time it would bring numba into commands that only read.
    from faqnas_optuna.training.evaluation import Evaluation

Evaluate = Callable[[Circuit, DataSplits, StudyConfig], "Evaluation"]
"""Counts and trains a circuit."""
Lock = Callable[[optuna.Study], AbstractContextManager[Callable[[], bool]]]
"""Holds off the other workers of a study. It yields a function that says whether the lock is still held."""


class WorkerAction(Enum):
    """What a study asks of its workers."""

    RUNNING = auto()
    """To run trials."""
    FULL = auto()
    """To wait for the trials that still run: no other is needed."""
    STOPPED = auto()
    """To leave."""


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    """Result of a trial, before it is stored."""

    values: tuple[float, float] | None
    """(cost, error); None if it failed."""
    attributes: Mapping[str, Any]
    """What is stored with it: the record, or the reason of the failure."""


RunTrial = Callable[[optuna.Trial], TrialOutcome]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a study that needs a known number of trainings."""

    study: str
    trials: int
    """Successful trials."""
    planned: int
    """Trials that are needed; of a study that has stopped, those it has."""
    generation: int = 1
    """The generation that is being filled, from 1."""
    noun: str = "training"
    """Name of a trial."""

    @property
    def best(self) -> str | None:
        """The best results so far, to be shown beside a bar; None while there are none."""
        return None

    def describe(self, *, short: bool = False) -> str:
        """Return the progress in words."""
        return f"{self.trials:,} of {counted(self.planned, self.noun)}"


@dataclass(frozen=True, kw_only=True)
class SearchProgress(Progress):
    """Progress of a search, which may stop before all generations are run."""

    noun: str = "trial"
    generations: int
    best_score: float | None
    """Of the circuits, on the validation part."""
    front: int | None
    """Number of circuits on the front; None of a pooled front, which would have to be computed after each trial."""
    hypervolume: float
    """In (log₁₀ cost, validation error)."""
    score: Score = Score.ACCURACY
    """The one that the study goes by."""

    @property
    def best(self) -> str | None:
        if self.best_score is None:
            return None
        front = "" if self.front is None else f", front {self.front}"
        return f"best {self.score.in_words} {self.best_score:.3f}{front}, hypervolume {self.hypervolume:.4f}"

    def describe(self, *, short: bool = False) -> str:
        trials = counted(self.trials, self.noun)
        best = "–" if self.best_score is None else f"{self.best_score:.3f}"
        if short:
            return f"gen {self.generation}/{self.generations} · {trials} · best {best}"
        front = "" if self.front is None else f" · front {self.front}"
        return (
            f"generation {self.generation}/{self.generations} · {trials} · best {self.score.in_words} {best}"
            f"{front} · hypervolume {self.hypervolume:.4f}"
        )
