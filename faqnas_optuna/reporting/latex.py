"""Tables for papers: LaTeX that needs booktabs, and tabularx for text that is broken into lines."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NewType

from faqnas_optuna.config import CountedGates
from faqnas_optuna.reporting.columns import BY_NAME, Output, ResultColumn, Value, columns
from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.note import COUNTED
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState

Latex = NewType("Latex", str)
"""Text that LaTeX may read as it is."""

ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    # At the beginning of a row they would belong to the end of the one before.
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
    **{character: f"\\{character}" for character in "{}$&#%_"},
}


def escaped(text: str) -> Latex:
    """Plain text, so that LaTeX prints it as it stands."""
    printed = "".join(ESCAPES.get(character, character) for character in " ".join(text.split()))
    # Two hyphens would become a dash.
    return Latex(re.sub("-(?=-)", "-{}", printed))


def grouped(number: int) -> Latex:
    r"""A whole number with thin spaces between its thousands: 38\,997."""
    return Latex(f"{number:,}".replace(",", r"\,"))


TEXT = r">{\raggedright\arraybackslash}X"
"""Alignment of text, which is broken into lines where the table would be wider than the text of the page."""
MOST_BESIDE_TEXT = 6
"""Maximum number of columns of numbers that leave room for text in one column of an article, which is 345 points wide."""
MOST_IN_FOOTNOTESIZE = 8
"""Maximum number of columns of numbers in the larger of the two sizes."""


def table(
    headings: Sequence[Latex], rows: Sequence[Sequence[Latex]], *, caption: Latex, label: str, told: Mapping[str, Any]
) -> str:
    """Return a float over the width of the text, in a class of two columns over both.

    Args:
        headings: the last is that of a text, the others are those of numbers.
        rows: each with a cell for every heading.
        label: what `ref` is given after `tab:`; other characters than letters, digits, `.` and `-` become `-`.
        told: what decided the values, for a comment.
    """
    numbers = len(headings) - 1
    layout = _text_beside if numbers <= MOST_BESIDE_TEXT else _text_below
    package, lines = layout(headings, rows)
    lines = [
        rf"% Needs \usepackage{{booktabs,{package}}}.",
        # One line: JSON has no other line breaks.
        f"% Made by faqnas-optuna from {json.dumps(told)}",
        r"\begin{table*}",
        r"\centering",
        r"\footnotesize" if numbers <= MOST_IN_FOOTNOTESIZE else r"\scriptsize",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{re.sub('[^A-Za-z0-9.-]', '-', label)}}}",
        r"\smallskip",
        *lines,
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _text_beside(headings: Sequence[Latex], rows: Sequence[Sequence[Latex]]) -> tuple[str, list[str]]:
    """Return the package and lines of a table whose text stands in a column of its own."""
    lines = [
        rf"\begin{{tabularx}}{{\linewidth}}{{{'r' * (len(headings) - 1)}{TEXT}}}",
        r"\toprule",
        _row(headings),
        r"\midrule",
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabularx}",
    ]
    return "tabularx", lines


def _text_below(headings: Sequence[Latex], rows: Sequence[Sequence[Latex]]) -> tuple[str, list[str]]:
    """Return the package and lines of a table whose last column stands below each row, over the width of the table.

    In one column of an article so many numbers leave no room for text beside them.
    """
    *numbers, text = headings
    below = rf"\multicolumn{{{len(numbers)}}}{{@{{}}>{{\raggedright\arraybackslash}}p{{\linewidth}}@{{}}}}"
    lines = [
        r"\setlength{\tabcolsep}{1.5pt}",
        rf"\begin{{tabular*}}{{\linewidth}}{{@{{\extracolsep{{\fill}}}}{'r' * len(numbers)}@{{}}}}",
        r"\toprule",
        _row([_stacked(heading) for heading in numbers]),
        _row([Latex(f"{below}{{{text}}}")]),
        r"\midrule",
    ]
    for *cells, words in rows:
        lines += [_row(cells), _row([Latex(f"{below}{{{words}}}")]), r"\addlinespace"]
    # The space is between rows.
    lines[-1:] = [r"\bottomrule", r"\end{tabular*}"]
    return "array", lines


BROKEN = {"Parameters": ["Para-", "meters"], "embedding": ["embed-", "ding"], "separable": ["sepa-", "rable"]}
"""Words of headings that are wider than the numbers below them, in parts."""


def _stacked(heading: Latex) -> Latex:
    """Return a heading with its words one above another."""
    lines = [part for word in heading.split(" ") for part in BROKEN.get(word, [word])]
    return Latex(r"\shortstack[r]{" + r"\\".join(lines) + "}") if len(lines) > 1 else heading


LOST = Latex(BY_NAME["neg_log_esp"].latex)
"""What is lost on a device, as a heading."""


def front_table(state: SearchState, front: Sequence[Candidate]) -> str:
    """The front of a study, or some circuits of it, a row a circuit; with the intervals of mean scores, if each is of several
    trainings."""
    study = state.study.description
    shown = columns(Output.LATEX, study)
    rows = [
        [
            Latex(str(candidate.trial)),
            *(cell_of(column, column.read(candidate, study)) for column in shown),
            escaped(str(candidate.effective_gates)),
        ]
        for candidate in front
    ]
    return table(
        [Latex("Trial"), *(Latex(column.latex or column.heading_in(study).capitalize()) for column in shown), Latex("Circuit")],
        rows,
        caption=_caption(state),
        label=f"front-{state.study.name}",
        told={"study": state.study.name, **provenance(state.study)},
    )


def majority_remark(majority_score: float | None) -> str:
    """Return the remark on the score of always answering the most frequent class."""
    return "" if majority_score is None else f" Majority class: {majority_score:.3f}."


def cell_of(column: ResultColumn[Any, Any], value: Value) -> Latex:
    r"""Return a value with thin spaces between its thousands: 38\,997."""
    if value is None:
        return Latex("--")
    ends = value if isinstance(value, Sequence) else (value,)
    return Latex("--".join(f"{end:,.{column.digits}f}".replace(",", r"\,") for end in ends))


def _caption(state: SearchState) -> Latex:
    """What the columns are, in sentences."""
    config, sizes = state.study.config, state.study.description.sizes
    training = config.training
    trainings = f", the mean of {training.repeats} trainings" if training.repeats > 1 else ""
    interval = " with its $t$ interval" if training.repeats > 1 else ""
    own, others = config.score.of(accuracy=(interval, ""), balanced=("", interval))
    epochs = "epoch" if training.epochs == 1 else "epochs"
    gates = ", without the inert gates" if config.gates is CountedGates.EFFECTIVE else ""
    inert = " Gates in brackets change no measured value." if any(one.effective_gates.inert for one in state.front) else ""
    balanced = f" Balanced is the mean of the recalls of the classes{others}." if config.shows_balanced else ""
    majority = majority_remark(state.study.description.majority_score)
    cost, told = "quantum FLOPs", ""
    if device := config.device:
        cost = f"{LOST} on {escaped(device.name)}"
        told = f" ESP is the estimated success probability of its effective gates, by the figures of {escaped(device.date)}."
    return Latex(
        f"The circuits of study {escaped(state.study.name)} that no other beats in both {cost} and validation"
        f" error{config.score.remark}, of {grouped(len(state.by_circuit))}. Accuracy is that of"
        f" {grouped(sizes['validation'])} validation samples of {escaped(config.dataset)} after"
        f" {grouped(training.epochs)} {epochs} of training{trainings}{own}.{balanced}{majority}{told}"
        rf" $F_\mathrm{{Q}}$ are the quantum FLOPs of one sample, forward, {COUNTED[config.flops]}{gates};"
        rf" $F_\mathrm{{C}}$ are the classical ones.{inert}"
    )


def _row(cells: Sequence[Latex]) -> str:
    return " & ".join(cells) + r" \\"
