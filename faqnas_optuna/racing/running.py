"""The stages of a race, and its result, which is available at any time."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from faqnas_optuna.errors import NoSuccessfulTrialError
from faqnas_optuna.racing.bounds import Floats, Histograms, Integers
from faqnas_optuna.racing.certification import Certificate, certify, staircase
from faqnas_optuna.racing.halving import halve
from faqnas_optuna.racing.plan import RacePlan
from faqnas_optuna.racing.trainer import Trainer


class Stage(StrEnum):
    """Stage of a race."""

    HALVING = "halving"
    CERTIFICATION = "certification"


@dataclass(frozen=True, kw_only=True)
class RaceResult:
    """Scores of all circuits, and the front."""

    means: Floats
    """(K,) mean score of each circuit."""
    trainings: Integers
    """(K,) number of trainings of each circuit."""
    low: Floats
    """(K,) lower end of the simultaneous interval of the mean score."""
    high: Floats
    """(K,) upper end of the simultaneous interval of the mean score."""
    certain: Floats
    """(K,) score that the front certainly reaches at the cost of each circuit."""
    possible: Floats
    """(K,) highest possible score at the cost of each circuit."""
    front: Integers
    """(n,) circuits of the front, sorted by cost."""
    epsilon: float
    """Maximum by which a circuit can be better than the front at its cost."""
    is_complete: bool
    """False if the race was interrupted."""


class Race:
    """Race between the circuits of a plan.

    Args:
        plan: Circuits and settings.
        train: Runs the trainings.
    """

    def __init__(self, plan: RacePlan, train: Trainer) -> None:
        self._plan = plan
        self._train = train
        self._certificate: Certificate | None = None
        self._is_complete = False
        self._finalists: Integers = np.arange(len(plan.entries))
        self.stage = Stage.HALVING
        self.open_circuits: Integers = np.arange(len(plan.entries))
        """Circuits that are still in the halving or, during certification, may be better than the front by more than ε."""
        self.within: float | None = None

    @property
    def epsilon(self) -> float | None:
        """ε of the last round of certification; None before."""
        return None if self._certificate is None else self._certificate.epsilon

    def run(self, trainings: int, within: float | None = None) -> None:
        """Run the race.

        Args:
            trainings: Budget of the first stage, at least one training per circuit.
            within: ε of the certificate; None to end after the first stage.
        """
        self.within = within
        histograms, self._finalists = halve(self._train, len(self._plan.entries), trainings, on_round=self._enter)
        if within is not None:
            self.stage = Stage.CERTIFICATION
            self._certificate = Certificate(self._plan.costs)
            certify(self._train, self._certificate, histograms.sizes, within, on_round=self._enter)
        self._is_complete = True

    def result(self) -> RaceResult:
        """Return the result of the trainings so far.

        Raises:
            NoSuccessfulTrialError: Some circuits have not been trained yet.
        """
        # A complete race ignores further trainings that are stored, so that its result can be reproduced.
        trainings = self._train.targets if self._is_complete else self._train.trainings
        if not trainings.all():
            raise NoSuccessfulTrialError(
                f"the race has trained {np.count_nonzero(trainings):,} of {len(trainings):,} circuits so far, too few for a"
                " front; repeat the command to continue"
            )
        histograms = self._train.histograms(trainings)
        everything = np.arange(len(trainings))
        certificate = self._certificate or Certificate(self._plan.costs)
        # Before the first round of certification has ended, no circuit has a lower bound.
        candidates = np.flatnonzero(certificate.lower)
        if not len(candidates):
            candidates = self.open_circuits if self.stage is Stage.HALVING else self._finalists
            certificate.raise_lower(histograms, candidates)
        certificate.reduce_upper(histograms, everything)
        front = self._front(certificate, histograms, candidates)
        low, high = certificate.intervals(histograms)
        return RaceResult(
            means=histograms.means,
            trainings=trainings,
            low=low,
            high=high,
            certain=certificate.certain_of(front),
            possible=certificate.possible,
            front=front,
            epsilon=certificate.epsilon_of(front),
            is_complete=self._is_complete,
        )

    def _front(self, certificate: Certificate, histograms: Histograms, candidates: Integers) -> Integers:
        """Return the certified front or, before certification, the best of the candidates by their means."""
        if self.within is not None and certificate.epsilon <= self.within:
            return certificate.front(self.within)
        return staircase(histograms.means, self._plan.costs, candidates)

    def _enter(self, open_circuits: Integers) -> None:
        self.open_circuits = open_circuits
