"""Content of a front figure, printed or in a browser, and the meaning of its marks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

from optuna.trial import FrozenTrial

from faqnas_optuna.config import ErrorEstimate, Score
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState

# Blue and vermilion of Okabe and Ito remain distinct with colour vision deficiencies; in grey print the shapes differ.
BAND = "#DCE9F2"
"""Colour of the band of a race."""
ESTIMATED = "#0072B2"
"""Colour of the values from the search."""
CONFIRMED = "#D55E00"
"""Colour of the values from a confirmation."""
DOMINATED = "#BBBBBB"
"""Colour of the dominated circuits."""

MANY = 1_000
"""Number of dominated circuits from which their marks are small."""
MANY_SPOTS = 300
"""Number of dominated circuits from which they have no text under the mouse, which would be the largest part of a page."""

CONFIRMED_NAME = "confirmed on the test part, 95 % CI"
DOMINATED_NAME = "dominated circuits"


@dataclass(frozen=True, kw_only=True)
class ConfirmedError:
    """Error of a circuit on the test part, from the trainings of a confirmation."""

    error: float
    """Mean over the trainings."""
    low: float
    """Lower end of the 95 % interval of the mean."""
    high: float
    """Upper end of the 95 % interval of the mean."""


class Spot(NamedTuple):
    """Point of a figure with the text that is displayed under the mouse."""

    x: float
    y: float
    """Values on the axes: in a front, cost and error."""
    text: str
    """Lines of text."""
    is_minor: bool = False
    """True if the text is left out on small screens."""


class Mark(StrEnum):
    """Mark of a circuit of the front."""

    EFFECTIVE = "all gates effective"
    """A filled circle."""
    INERT = "some gates inert"
    """An open circle."""
    LACKING = "not entangled or no effective rotation"
    """An open square: such a circuit has little in common with the one that its genes describe."""

    @classmethod
    def of(cls, candidate: Candidate) -> "Mark":
        """Return the mark of a circuit."""
        # A circuit that lacks a kind of gate usually has inert ones too: the stronger statement comes first.
        gates = candidate.effective_gates
        if not candidate.is_entangled or not gates.effective_angles:
            return cls.LACKING
        return cls.INERT if gates.inert else cls.EFFECTIVE

    @property
    def is_filled(self) -> bool:
        """True if the mark is filled."""
        return self is Mark.EFFECTIVE

    @property
    def is_square(self) -> bool:
        """True if the mark is a square, False if it is a circle."""
        return self is Mark.LACKING


@dataclass(frozen=True, kw_only=True)
class FrontPlot:
    """The circuits of a figure, with their errors and the uncertainties of these."""

    title: str
    front: list[Candidate]
    """Circuits of the front, sorted by cost."""
    dominated: list[Candidate]
    """Circuits off the front."""
    repeats: int
    """Number of trainings behind each validation error."""
    confirmed: Mapping[str, ConfirmedError]
    """Confirmed errors by the digest of the circuit."""
    score: Score = Score.ACCURACY
    """Score whose complement is the error."""
    cost_name: str = "quantum FLOPs"
    """Name of the cost, the first objective."""
    is_by_flops: bool = True
    """True if the cost is a number of FLOPs, False if it is -ln ESP on a device."""
    is_pooled: bool = False
    """True if the validation errors are pooled over all trainings of the study."""
    level: float | None = None
    """Confidence level of the certificate of a race; None for a search."""
    majority_error: float | None = None
    """Validation error of always answering the most frequent class; None if unknown."""
    band: Sequence[tuple[float, float, float]] = ()
    """Points (cost, lowest possible error, certain error) at which the band around the best front of a race changes.

    Empty for a search. The best front of the race lies within the band, with the confidence of the certificate.
    """
    omitted: int = 0
    """Number of circuits off the front that are not drawn."""

    @classmethod
    def of(cls, state: SearchState, confirmed: Mapping[str, ConfirmedError] | None, *, limit: int | None = None) -> Self:
        """Return the figure's content for a study and the confirmed errors of its circuits by digest.

        Args:
            limit: Maximum number of circuits off the front that are drawn; None to draw all of them.
        """
        search = state.study
        config = search.config
        front = state.front
        # Sorted by digest, since trial numbers depend on the timing of the workers: equal results give equal files. As digests
        # are random, the first ones are a random sample.
        others = sorted(state.by_circuit.keys() - {candidate.record.circuit for candidate in front})
        cost = config.cost_name if config.device else f"{config.flops} FLOPs"
        majority_score = search.description.majority_score
        race = search.description.race
        return cls(
            title=f"{search.name}: {len(front)} of {len(state.by_circuit)} circuits are on the front ({cost})",
            front=front,
            dominated=state.candidates_of(others[:limit]),
            repeats=config.training.repeats,
            confirmed=confirmed or {},
            score=config.score,
            cost_name=config.cost_name,
            is_by_flops=config.device is None,
            is_pooled=config.search.front is ErrorEstimate.POOLED,
            level=race.level if race else None,
            majority_error=None if majority_score is None else 1 - majority_score,
            band=_race_band(state.by_circuit.values()) if race else (),
            omitted=0 if limit is None else max(len(others) - limit, 0),
        )

    @property
    def x_label(self) -> str:
        """Label of the cost axis."""
        return f"{self.cost_name} (forward pass of one sample)" if self.is_by_flops else self.cost_name

    @property
    def y_label(self) -> str:
        """Label of the error axis. Confirmed errors are on the test part, the others on the validation part."""
        # One axis serves both parts, so its label must name both as soon as there is a confirmed error.
        validation = "pooled validation" if self.is_pooled else "validation"
        return f"{validation} or test error{self.score.remark}" if self.pairs else f"{validation} error{self.score.remark}"

    @property
    def majority_name(self) -> str | None:
        """Legend entry for always answering the most frequent class; None if its error is unknown."""
        return None if self.majority_error is None else f"majority class: error {self.majority_error:.3f}"

    @property
    def interval_name(self) -> str:
        """Legend entry for the intervals of the validation errors."""
        if self.level is not None:
            return f"simultaneous {100 * self.level:.0f} % CI of the mean"
        return f"95 % CI of the mean of {self.repeats} trainings"

    @property
    def bars(self) -> list[tuple[Candidate, tuple[float, float]]]:
        """Circuits of the front with the 95 % interval of their mean error; circuits trained once have no interval."""
        # The interval of the circuit's own trainings need not contain a pooled error.
        if self.is_pooled:
            return []
        intervals = [(candidate, self.interval(candidate)) for candidate in self.front]
        return [(candidate, interval) for candidate, interval in intervals if interval]

    def interval(self, candidate: Candidate) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean error of a circuit; None without one."""
        if candidate.race is not None:
            return 1 - candidate.race.score_high, 1 - candidate.race.score_low
        return candidate.val_error_interval(self.score, self.repeats)

    @property
    def dominated_name(self) -> str:
        """Legend entry for the circuits off the front."""
        # In a race, a circuit with few trainings may have a lower mean error than the front by chance.
        name = DOMINATED_NAME if self.level is None else "other circuits"
        drawn = len(self.dominated)
        return f"{name} ({drawn:,} of {drawn + self.omitted:,})" if self.omitted else name

    @property
    def band_name(self) -> str:
        """Legend entry for the band."""
        return f"best possible front ({100 * (self.level or 0):.0f} % confidence)"

    @property
    def pairs(self) -> list[tuple[Candidate, ConfirmedError]]:
        """Confirmed circuits with their confirmed errors."""
        # A circuit that was on the front when it was confirmed may be dominated now.
        errors = [(candidate, self.confirmed.get(candidate.record.circuit)) for candidate in (*self.front, *self.dominated)]
        return [(candidate, confirmed) for candidate, confirmed in errors if confirmed]

    def spot_of(self, candidate: Candidate) -> Spot:
        """Return the point of a circuit."""
        interval = self.interval(candidate)
        uncertainty = f" ({1 - interval[1]:.3f} to {1 - interval[0]:.3f}, {self.interval_name})" if interval else ""
        lines = (
            f"trial {candidate.trial}",
            str(candidate.effective_gates),
            f"{self.score.in_words} {candidate.scores.mean(self.score):.3f}{uncertainty}",
            f"{candidate.cost:{',.0f' if self.is_by_flops else '.4f'}} {self.cost_name}",
            f"{candidate.costs.parameters:,} parameters",
        )
        return Spot(candidate.cost, candidate.val_error, "\n".join(lines))

    def confirmed_spot_of(self, candidate: Candidate, confirmed: ConfirmedError) -> Spot:
        """Return the point of a confirmed error."""
        lines = (
            f"trial {candidate.trial}, confirmed",
            f"error on the test part{self.score.remark} {confirmed.error:.3f}",
            f"95 % CI: {confirmed.low:.3f} to {confirmed.high:.3f}",
        )
        return Spot(candidate.cost, confirmed.error, "\n".join(lines))

    @property
    def spots(self) -> list[Spot]:
        """Points with their texts; of points at one place, the last is under the mouse."""
        dominated = self.dominated if len(self.dominated) < MANY_SPOTS else []
        return [
            *(self.spot_of(candidate)._replace(is_minor=True) for candidate in dominated),
            *(self.spot_of(candidate) for candidate in self.front),
            *(self.confirmed_spot_of(candidate, confirmed) for candidate, confirmed in self.pairs),
        ]

    def meaning_of(self, mark: Mark) -> str | None:
        """Return the legend entry of a mark; None if no circuit of the front has the mark."""
        circuits = [candidate for candidate in self.front if Mark.of(candidate) is mark]
        if not circuits:
            return None
        if mark is Mark.LACKING:
            # The legend names only what circuits of this front lack.
            entangled = all(candidate.is_entangled for candidate in circuits)
            rotated = all(candidate.effective_gates.effective_angles for candidate in circuits)
            return " or ".join(["not entangled"] * (not entangled) + ["no effective rotation"] * (not rotated))
        return str(mark)


def _race_band(trials: Iterable[FrozenTrial]) -> list[tuple[float, float, float]]:
    """Return the band of a race from its trials (see `FrontPlot.band`)."""
    by_cost = {trial.values[0]: (1 - trial.user_attrs["possible"], 1 - trial.user_attrs["certain"]) for trial in trials}
    highest = max(by_cost, default=0.0)
    band: list[tuple[float, float, float]] = []
    for cost in sorted(by_cost):
        if not band or band[-1][1:] != by_cost[cost] or cost == highest:
            band.append((cost, *by_cost[cost]))
    return band


def points(candidates: list[Candidate]) -> tuple[list[float], list[float]]:
    """Return the costs and the validation errors of circuits."""
    return [candidate.cost for candidate in candidates], [candidate.val_error for candidate in candidates]
