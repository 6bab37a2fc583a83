"""Columns for the costs and scores of a circuit, shared by terminal, HTML, JSON, CSV, LaTeX and data frames.

The columns for the circuits of a confirmation are in `confirmation.circuit_table`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, Generic, TypeVar

from faqnas_optuna.config import ErrorEstimate, Score
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.training.statistics import accuracy_interval
from faqnas_optuna.wording import interval_text, number_text

Row = TypeVar("Row")
"""Subject of a row: a candidate, or the entry of a circuit in a document."""
Source = TypeVar("Source")
"""Common source of all rows: the description of a study, or a document."""
Value = float | Sequence[float] | None
"""A number, the two ends of an interval, or None if the trial lacks the value."""


class Output(Flag):
    """Kinds of output that may contain a column."""

    TABLE = auto()
    """Tables of fronts, in the terminal and in HTML."""
    LATEX = auto()
    """Tables of fronts for LaTeX."""
    ENTRY = auto()
    """Entries of fronts, in JSON documents and CSV files."""
    FRAME = auto()
    """Data frames of fronts and trials."""
    TRIAL = auto()
    """Listings of one trial, as text and as JSON."""


EVERYWHERE = ~Output(0)
"""All outputs."""


def _always(source: object) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class ResultColumn(Generic[Row, Source]):
    """A column for one cost or score of a circuit."""

    name: str
    """Key in JSON documents, CSV files and data frames."""
    label: str = ""
    """Label in the listing of a trial; leading spaces indent it below the value that it details."""
    heading: str = ""
    """Heading in tables. `{device}` stands for the name of the study's device."""
    latex: str = ""
    """Heading in LaTeX; empty to use `heading`."""
    digits: int = 3
    """Number of decimals."""
    is_difference: bool = False
    """True if positive values are printed with a plus sign."""
    outputs: Output
    """Outputs that contain the column."""
    read: Callable[[Row, Source], Value]
    """Function that returns the value for a row."""
    is_there: Callable[[Source], bool] = _always
    """Function that returns whether a study has the value."""
    is_in_tables: Callable[[Source], bool] = _always
    """Function that returns whether tables and LaTeX contain the column; other outputs contain it in any case."""

    def heading_in(self, study: Description) -> str:
        """Return the heading for the tables of a study."""
        # Headings of studies without a device have no placeholder, so that "None" is never printed.
        device = study.config.device
        return self.heading.format(device=device and device.name)

    def text(self, value: Value) -> str:
        """Return a value formatted for people."""
        if isinstance(value, Sequence):
            return interval_text(value, self.digits)
        # `z` prints differences that round to zero as +0.000, never as -0.000.
        sign = "+z" if self.is_difference else ""
        return number_text(value, f"{sign},.{self.digits}f")


def _has_device(study: Description) -> bool:
    return study.config.device is not None


CandidateColumn = ResultColumn[Candidate, Description]
"""A column for the candidates of a search."""


def _cost(name: str, label: str, outputs: Output, *, digits: int = 0, **settings: Any) -> CandidateColumn:
    """Return a column for the field of `Costs` called `name`."""

    def read(candidate: Candidate, study: Description) -> Value:
        value: float | None = getattr(candidate.costs, name)
        return value

    return CandidateColumn(name=name, label=label, outputs=outputs, digits=digits, read=read, **settings)


FLOPS = (
    CandidateColumn(
        name="quantum_flops",
        label="quantum FLOPs",
        heading="quantum FLOPs",
        latex=r"$F_\mathrm{Q}$",
        digits=0,
        outputs=EVERYWHERE,
        read=lambda candidate, study: candidate.quantum_flops,
    ),
    # Every circuit is counted by both counters, whichever the study minimises; tables have no room for all.
    _cost("quantum_flops_profiler", "  by the profiler", Output.FRAME | Output.TRIAL),
    _cost("effective_flops_profiler", "    effective", Output.FRAME | Output.TRIAL),
    _cost("quantum_flops_analytic", "  analytic", Output.FRAME | Output.TRIAL),
    _cost("effective_flops_analytic", "    effective", Output.FRAME | Output.TRIAL),
)
"""Quantum FLOPs by the study's counter, then by each counter."""

DEVICE = (
    _cost(
        "neg_log_esp",
        "−ln ESP",
        EVERYWHERE,
        heading="−ln ESP on {device}",
        latex=r"$-\ln\mathrm{ESP}$",
        digits=4,
        is_there=_has_device,
    ),
    # The two-qubit gates cause most of the loss. LaTeX tables, which must fit a page, have the objective alone.
    _cost("two_qubit_gates", "  two-qubit gates", ~Output.LATEX, heading="two-qubit gates", is_there=_has_device),
    _cost("duration_us", "  duration, µs", Output.ENTRY | Output.FRAME | Output.TRIAL, digits=3, is_there=_has_device),
)
"""Costs on the study's device."""

NETWORK = (
    _cost("classical_flops", "classical FLOPs", EVERYWHERE, heading="classical FLOPs", latex=r"$F_\mathrm{C}$"),
    _cost("parameters", "parameters", EVERYWHERE, heading="parameters"),
    _cost("effective_parameters", "  effective", Output.ENTRY | Output.FRAME | Output.TRIAL),
)
"""Costs that also depend on the numbers of features and classes."""


def _score_columns(score: Score) -> tuple[CandidateColumn, ...]:
    """Return the columns for a score: its mean over the trainings, their standard deviation, and the 95 % interval."""
    name = f"val_{score.key}"
    return (
        CandidateColumn(
            name=name,
            label=score.in_words,
            heading=score.value,
            outputs=EVERYWHERE,
            read=lambda candidate, study: score.of(
                accuracy=candidate.scores.val_accuracy, balanced=candidate.scores.val_balanced_accuracy
            ),
            # Tables stay narrow: the balanced accuracy has a column only if it is the score or the data are the user's own.
            is_in_tables=lambda study: score is Score.ACCURACY or study.config.shows_balanced,
        ),
        CandidateColumn(
            name=f"{name}_std",
            label="  std. deviation",
            outputs=Output.FRAME | Output.TRIAL,
            read=lambda candidate, study: candidate.scores.deviation(score),
        ),
        CandidateColumn(
            name=f"{name}_interval",
            label="  95 % CI",
            heading="95 % CI",
            latex=r"95\,\% CI",
            outputs=EVERYWHERE,
            read=lambda candidate, study: candidate.scores.interval(score, study.config.training.repeats),
            # Tables have the interval of the minimised score alone, and one training gives no interval.
            is_in_tables=lambda study: study.config.score is score and study.config.training.repeats > 1,
        ),
    )


def _wilson_interval(candidate: Candidate, study: Description) -> Value:
    """Return the 95 % Wilson interval of an accuracy, given the number of validation samples; None in a race.

    The interval is about other samples. In a race it would be mistaken for that of the mean score.
    """
    if candidate.scores.val_accuracy is None or candidate.race is not None:
        return None
    low, high = accuracy_interval(candidate.scores.val_accuracy, study.sizes["validation"])
    # JSON documents have the rounded ends too: further digits mean nothing beside the width of the interval.
    return round(low, 4), round(high, 4)


SCORES = (
    # The pooled score is the complement of `val_error`, which entries and listings contain already.
    CandidateColumn(
        name="pooled",
        heading="pooled",
        outputs=Output.TABLE | Output.LATEX | Output.FRAME,
        read=lambda candidate, study: 1 - candidate.val_error,
        is_there=lambda study: study.config.search.front is ErrorEstimate.POOLED,
    ),
    *_score_columns(Score.ACCURACY),
    CandidateColumn(
        name="val_accuracy_wilson",
        label="  Wilson 95 % CI",
        heading="Wilson 95 % CI",
        outputs=Output.FRAME | Output.TRIAL,
        read=_wilson_interval,
    ),
    *_score_columns(Score.BALANCED),
)
"""Scores on the validation part with their uncertainties."""


def _is_race(study: Description) -> bool:
    return study.race is not None


RACE = (
    CandidateColumn(
        name="score_interval",
        label="  simultaneous 95 % CI",
        heading="simultaneous 95 % CI",
        latex=r"95\,\% CI",
        outputs=EVERYWHERE,
        read=lambda candidate, study: None if candidate.race is None else (candidate.race.score_low, candidate.race.score_high),
        is_there=_is_race,
    ),
    CandidateColumn(
        name="trainings",
        label="trainings",
        heading="trainings",
        digits=0,
        outputs=EVERYWHERE,
        read=lambda candidate, study: None if candidate.race is None else candidate.race.trainings,
        is_there=_is_race,
    ),
)
"""Values of a race."""

ERROR = (
    CandidateColumn(
        name="majority_score",
        label="majority class",
        outputs=Output.TRIAL,
        read=lambda candidate, study: study.majority_score,
        is_there=lambda study: study.majority_score is not None,
    ),
    CandidateColumn(
        name="val_error",
        label="validation error",
        outputs=Output.ENTRY | Output.FRAME | Output.TRIAL,
        read=lambda candidate, study: candidate.val_error,
    ),
)
"""The second objective, and the score of the majority class for comparison."""

Group = tuple[ResultColumn[Row, Source], ...]

# Tables begin with what readers compare; documents begin with the costs, which do not depend on any training.
ORDER: dict[Output, tuple[Group[Candidate, Description], ...]] = {
    Output.TABLE: (SCORES, RACE, DEVICE, FLOPS, NETWORK),
    Output.LATEX: (SCORES, RACE, DEVICE, FLOPS, NETWORK),
    Output.ENTRY: (FLOPS, DEVICE, NETWORK, SCORES, RACE, ERROR),
    Output.FRAME: (FLOPS, DEVICE, SCORES, RACE, ERROR, NETWORK),
    Output.TRIAL: (FLOPS, DEVICE, NETWORK, SCORES, RACE, ERROR),
}


def columns_among(groups: Iterable[Group[Row, Source]], output: Output, source: Source) -> list[ResultColumn[Row, Source]]:
    """Return the columns of `groups` that are part of an output, in order."""
    return [
        column
        for group in groups
        for column in group
        if output in column.outputs and column.is_there(source)
        if column.is_in_tables(source) or output not in Output.TABLE | Output.LATEX
    ]


def columns(
    output: Output, study: Description, groups: Iterable[Group[Candidate, Description]] | None = None
) -> list[CandidateColumn]:
    """Return the columns of an output in order.

    Args:
        groups: Groups of columns; None for all groups of the output.
    """
    return columns_among(ORDER[output] if groups is None else groups, output, study)


def values(
    output: Output, candidate: Candidate, study: Description, groups: Iterable[Group[Candidate, Description]] | None = None
) -> dict[str, Any]:
    """Return the values of a circuit by column name, in the order of an output."""
    return {column.name: column.read(candidate, study) for column in columns(output, study, groups)}


BY_NAME = {column.name: column for groups in ORDER.values() for group in groups for column in group}
"""All columns by name."""
