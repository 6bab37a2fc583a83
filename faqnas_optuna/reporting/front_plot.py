"""What a figure of a front shows, printed or in a browser, and what its marks mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from faqnas_optuna.config import ErrorEstimate, Score
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState

BELIEVED, CONFIRMED, DOMINATED = "#0072B2", "#D55E00", "#BBBBBB"
"""Blue and vermilion of Okabe and Ito differ for all eyes. In grey print the shapes of the marks tell them apart."""

CONFIRMED_NAME = "confirmed on the test part, 95 %"
DOMINATED_NAME = "dominated circuits"


@dataclass(frozen=True, kw_only=True)
class ConfirmedError:
    """What training a circuit anew has shown of it."""

    error: float
    """The mean over the trainings, on the test part."""
    low: float
    """The 95 % interval of that mean."""
    high: float


class Mark(StrEnum):
    """How a circuit of the front is drawn."""

    EFFECTIVE = "all gates effective"
    """A filled circle."""
    INERT = "some gates inert"
    """An open circle."""
    LACKING = "no effective entangler or no effective rotation"
    """An open square: without either it is hardly the circuit that its genes tell of."""

    @classmethod
    def of(cls, candidate: Candidate) -> "Mark":
        gates = candidate.effective_gates
        if gates.lacks:
            return cls.LACKING
        return cls.INERT if gates.inert else cls.EFFECTIVE

    @property
    def is_filled(self) -> bool:
        return self is Mark.EFFECTIVE

    @property
    def is_square(self) -> bool:
        return self is Mark.LACKING


@dataclass(frozen=True, kw_only=True)
class FrontPlot:
    """The circuits of a figure, with all that is known of their errors."""

    title: str
    front: list[Candidate]
    """By cost."""
    dominated: list[Candidate]
    repeats: int
    """Trainings of which each validation error is the mean."""
    confirmed: Mapping[str, ConfirmedError]
    """By the circuit's digest."""
    score: Score = Score.ACCURACY
    """What errors are the complement of."""
    cost_name: str = "quantum FLOPs"
    """What they cost in."""
    is_by_flops: bool = True
    """Whether the cost is one of whole numbers."""
    is_pooled: bool = False
    """Whether validation errors are those that all trainings tell together."""
    majority_error: float | None = None
    """Validation error of always answering the most frequent class; None if it is unknown."""

    @classmethod
    def of(cls, state: SearchState, confirmed: Mapping[str, ConfirmedError] | None) -> Self:
        """What a study has found, and what was confirmed of it."""
        search, best = state.study, state.front
        others = state.by_circuit.keys() - {candidate.record.circuit for candidate in best}
        circuits = f"{len(best)} of {len(state.by_circuit)} circuits"
        by = search.config.cost_name if search.config.device else f"{search.config.flops} FLOPs"
        return cls(
            title=f"{search.name}: {circuits} are on the front ({by})",
            front=best,
            dominated=sorted(
                (one for one in state.candidates if one.record.circuit in others), key=lambda one: one.record.circuit
            ),
            repeats=search.config.training.repeats,
            confirmed=confirmed or {},
            score=search.config.score,
            cost_name=search.config.cost_name,
            is_by_flops=search.config.device is None,
            is_pooled=search.config.search.front is ErrorEstimate.POOLED,
            majority_error=None if (rate := search.description.majority_score) is None else 1 - rate,
        )

    @property
    def x_label(self) -> str:
        return f"{self.cost_name} (one sample, forward)" if self.is_by_flops else self.cost_name

    @property
    def y_label(self) -> str:
        """Of what is drawn in it: what was confirmed are test errors."""
        validation = "pooled validation" if self.is_pooled else "validation"
        return f"{validation} or test error{self.score.remark}" if self.pairs else f"{validation} error{self.score.remark}"

    @property
    def majority_name(self) -> str | None:
        """The entry of a legend for always answering the most frequent class, which most figures are too low to show."""
        return None if self.majority_error is None else f"majority class: error {self.majority_error:.3f}"

    @property
    def interval_name(self) -> str:
        return f"95 % of the mean of {self.repeats} trainings"

    @property
    def bars(self) -> list[tuple[Candidate, tuple[float, float]]]:
        """The circuits of the front that were trained several times, with the interval of their mean error."""
        found = [(candidate, candidate.val_error_interval(self.score, self.repeats)) for candidate in self.front]
        return [(candidate, interval) for candidate, interval in found if interval]

    @property
    def pairs(self) -> list[tuple[Candidate, ConfirmedError]]:
        """The circuits of which something was confirmed."""
        known = [(candidate, self.confirmed.get(candidate.record.circuit)) for candidate in (*self.front, *self.dominated)]
        return [(candidate, confirmed) for candidate, confirmed in known if confirmed]

    def named(self, mark: Mark) -> str | None:
        """What a mark means, of the circuits of this front that have it; None if none has."""
        have = [candidate for candidate in self.front if Mark.of(candidate) is mark]
        if not have:
            return None
        if mark is Mark.LACKING:
            entangled = all(candidate.effective_gates.is_entangled for candidate in have)
            rotated = all(candidate.effective_gates.effective_angles for candidate in have)
            return " or ".join(["no effective entangler"] * (not entangled) + ["no effective rotation"] * (not rotated))
        return str(mark)


def points(candidates: list[Candidate]) -> tuple[list[float], list[float]]:
    """What they cost and their validation errors."""
    return [candidate.cost for candidate in candidates], [candidate.val_error for candidate in candidates]
