"""Values that pass between a study and its workers."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Self

import optuna

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Score, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.wording import counted

if TYPE_CHECKING:
    # This import at run time would load numba in commands that only read a study.
    from faqnas_optuna.training.evaluation import Evaluation

Evaluate = Callable[[Circuit, DataSplits, StudyConfig], "Evaluation"]
"""Function that counts and trains a circuit."""
Lock = Callable[[optuna.Study], AbstractContextManager[Callable[[], bool]]]
"""Exclusive lock of a study. It yields a function that returns whether the lock is still held."""


class WorkerAction(Enum):
    """Next action of the workers of a study."""

    RUNNING = auto()
    """Run trials."""
    FULL = auto()
    """Wait for the running trials, because no other trial is needed."""
    STOPPED = auto()
    """Leave the study."""


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    """Result of a trial, before it is stored."""

    values: tuple[float, float] | None
    """Cost and error; None if the trial failed."""
    attributes: Mapping[str, Any]
    """User attributes to store: the record of the result, or the reason of the failure."""
    has_trained: bool = True
    """False if the values of another trial were reused, which does not show that the worker can train."""


RunTrial = Callable[[optuna.Trial], TrialOutcome]
"""Function that runs a trial and returns its outcome."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a study that needs a known number of trainings."""

    study: str
    trials: int
    """Number of successful trials."""
    planned: int
    """Number of trials that the study needs; for a study that has stopped, the number of its trials."""
    generation: int = 1
    """Number, from 1, of the generation that is not full yet."""
    noun: str = "training"
    """Word for a trial."""

    def after(self, prefix: str) -> Self:
        """Return the progress with a prefix before the name of the study."""
        return replace(self, study=f"{prefix}{self.study}")

    @property
    def best(self) -> str | None:
        """Best results so far, as text beside a progress bar; None if there are none."""
        return None

    def describe(self, *, short: bool = False) -> str:
        """Return the progress as text.

        Args:
            short: Whether the text must fit into a narrow terminal.
        """
        return f"{self.trials:,} of {counted(self.planned, self.noun)}"


@dataclass(frozen=True, kw_only=True)
class SearchProgress(Progress):
    """Progress of a search, which may stop before all generations are complete."""

    noun: str = "trial"
    generations: int
    best_score: float | None
    """Highest score of a circuit on the validation part."""
    front: int | None
    """Number of circuits on the front; None for a pooled front, which would have to be computed after every trial."""
    hypervolume: float
    """Hypervolume in (log₁₀ cost, validation error)."""
    score: Score = Score.ACCURACY
    """Kind of score by which the study selects circuits."""

    @property
    def best(self) -> str | None:
        if self.best_score is None:
            return None
        front = "" if self.front is None else f", front {self.front}"
        return f"best {self.score.in_words} {self.best_score:.3f}{front}, hypervolume {self.hypervolume:.4f}"

    def describe(self, *, short: bool = False) -> str:
        trials = counted(self.trials, self.noun)
        best = "–" if self.best_score is None else f"{self.best_score:.3f}"
        # The narrow form leaves out the front and the hypervolume.
        if short:
            return f"gen {self.generation}/{self.generations} · {trials} · best {best}"
        front = "" if self.front is None else f" · front {self.front}"
        return (
            f"generation {self.generation}/{self.generations} · {trials} · best {self.score.in_words} {best}"
            f"{front} · hypervolume {self.hypervolume:.4f}"
        )
