"""LaTeX tables for papers, typeset with the packages booktabs and tabularx or array."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NewType

from faqnas_optuna.config import CountedGates
from faqnas_optuna.reporting.columns import BY_NAME, Output, ResultColumn, Value, columns
from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.note import COUNTED
from faqnas_optuna.reporting.report import BRACKETS
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState

Latex = NewType("Latex", str)
"""Text that is valid LaTeX."""

ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    # At the beginning of a row LaTeX would read these as options of the `\\` that ends the row before.
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
    **{character: f"\\{character}" for character in "{}$&#%_"},
}


def escaped(text: str) -> Latex:
    r"""Return plain text as LaTeX that prints it unchanged.

    >>> print(escaped("50 % of a_b"))
    50 \% of a\_b
    """
    characters = "".join(ESCAPES.get(character, character) for character in " ".join(text.split()))
    # TeX prints two hyphens as a dash.
    return Latex(re.sub("-(?=-)", "-{}", characters))


def grouped(number: int) -> Latex:
    r"""Return an integer with thin spaces between groups of three digits.

    >>> print(grouped(38997))
    38\,997
    """
    return Latex(f"{number:,}".replace(",", r"\,"))


TEXT = r">{\raggedright\arraybackslash}X"
"""Column of left-aligned text, wrapped so that the table is as wide as the page's text."""
MOST_BESIDE_TEXT = 6
"""Maximum number of number columns that leave room for text beside them, in an `article` of one column, 345 points wide."""
MOST_IN_FOOTNOTESIZE = 8
"""Maximum number of number columns in `footnotesize`; wider tables are set in `scriptsize`."""


def table(
    headings: Sequence[Latex],
    rows: Sequence[Sequence[Latex]],
    *,
    caption: Latex,
    label: str,
    origin: Mapping[str, Any],
    text_first: bool = False,
) -> str:
    """Return a table float as wide as the text; in documents of two columns it spans both.

    Args:
        headings: Headings of the columns: numbers first, one column of text last; the text first if `text_first`.
        rows: Cells of each row, one per heading.
        label: Label for `ref`, without the prefix `tab:`. Characters other than ASCII letters, digits, `.` and `-` become `-`.
        origin: Source of the values, written into a comment.
    """
    numbers = len(headings) - 1
    most_in_footnotesize = MOST_IN_FOOTNOTESIZE
    if text_first:
        package, lines = _text_beside(headings, rows, f"{TEXT}{'r' * numbers}")
        # The text takes room from the numbers, which `scriptsize` and small separations give back.
        most_in_footnotesize = MOST_BESIDE_TEXT
        lines.insert(0, r"\setlength{\tabcolsep}{2.5pt}")
    elif numbers <= MOST_BESIDE_TEXT:
        package, lines = _text_beside(headings, rows, f"{'r' * numbers}{TEXT}")
    else:
        package, lines = _text_below(headings, rows)
    lines = [
        rf"% Needs \usepackage{{booktabs,{package}}}.",
        # JSON escapes line breaks within strings, so the comment cannot end early.
        f"% Made by faqnas-optuna from {json.dumps(origin)}",
        r"\begin{table*}",
        r"\centering",
        r"\footnotesize" if numbers <= most_in_footnotesize else r"\scriptsize",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{re.sub('[^A-Za-z0-9.-]', '-', label)}}}",
        r"\smallskip",
        *lines,
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _text_beside(headings: Sequence[Latex], rows: Sequence[Sequence[Latex]], specification: str) -> tuple[str, list[str]]:
    """Return the package and the lines of a table with the text in a column of its own."""
    lines = [
        rf"\begin{{tabularx}}{{\linewidth}}{{{specification}}}",
        r"\toprule",
        _row(headings),
        r"\midrule",
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabularx}",
    ]
    return "tabularx", lines


def _text_below(headings: Sequence[Latex], rows: Sequence[Sequence[Latex]]) -> tuple[str, list[str]]:
    """Return the package and the lines of a table with the text on a line of its own below each row of numbers."""
    *numbers, text = headings
    below = rf"\multicolumn{{{len(numbers)}}}{{@{{}}>{{\raggedright\arraybackslash}}p{{\linewidth}}@{{}}}}"
    # `@{}` and the small column separation leave the whole width to the numbers; `\extracolsep{\fill}` spreads them over it.
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
    # Space is wanted between rows, not after the last one.
    lines[-1:] = [r"\bottomrule", r"\end{tabular*}"]
    return "array", lines


BROKEN = {"Parameters": ["Para-", "meters"], "embedding": ["embed-", "ding"], "separable": ["sepa-", "rable"]}
"""Hyphenation of words in headings that are wider than the numbers below them."""


def _stacked(heading: Latex) -> Latex:
    """Return a heading with one word per line."""
    lines = [part for word in heading.split(" ") for part in BROKEN.get(word, [word])]
    return Latex(r"\shortstack[r]{" + r"\\".join(lines) + "}") if len(lines) > 1 else heading


NEG_LOG_ESP = Latex(BY_NAME["neg_log_esp"].latex)
"""Heading of the cost on a device."""


def front_table(state: SearchState, front: Sequence[Candidate]) -> str:
    """Return the table of a study's front, or of some of its circuits, with one row per circuit.

    Scores have their 95 % intervals beside them if each circuit was trained several times.
    """
    study = state.study.description
    table_columns = columns(Output.LATEX, study)
    headings = [Latex(column.latex or column.heading_in(study).capitalize()) for column in table_columns]
    rows = [
        [
            Latex(str(candidate.trial)),
            *(cell_of(column, column.read(candidate, study)) for column in table_columns),
            escaped(str(candidate.effective_gates)),
        ]
        for candidate in front
    ]
    # The name of the study makes labels unique in a paper about several studies.
    return table(
        [Latex("Trial"), *headings, Latex("Circuit")],
        rows,
        caption=_caption(state),
        label=f"front-{state.study.name}",
        origin={"study": state.study.name, **provenance(state.study)},
    )


def majority_remark(majority_score: float | None) -> str:
    """Return the remark on the score of always answering the most frequent class; empty if it is unknown."""
    return "" if majority_score is None else f" Majority class: {majority_score:.3f}."


def cell_of(column: ResultColumn[Any, Any], value: Value) -> Latex:
    """Return the cell of a value: an interval with a dash between its ends, `--` for None."""
    if value is None:
        return Latex("--")
    # The comma of Python's format becomes a thin space, since in some countries it would read as a decimal point.
    ends = value if isinstance(value, Sequence) else (value,)
    return Latex("--".join(f"{end:,.{column.digits}f}".replace(",", r"\,") for end in ends))


def _caption(state: SearchState) -> Latex:
    """Return sentences that explain the columns of a front."""
    config = state.study.config
    sizes = state.study.description.sizes
    training = config.training
    trainings = f", the mean of {training.repeats} trainings" if training.repeats > 1 else ""
    interval = " with its $t$ interval" if training.repeats > 1 else ""
    # Only the score that the study minimises has an interval in the table.
    after_accuracy, after_balanced = config.score.of(accuracy=(interval, ""), balanced=("", interval))
    epochs = "epoch" if training.epochs == 1 else "epochs"
    gates = ", without the inert gates" if config.gates is CountedGates.EFFECTIVE else ""
    has_inert = any(candidate.effective_gates.inert for candidate in state.front)
    inert = f" {BRACKETS}" if has_inert else ""
    balanced = f" Balanced accuracy is the mean recall over the classes{after_balanced}." if config.shows_balanced else ""
    majority = majority_remark(state.study.description.majority_score)
    cost = "quantum FLOPs"
    esp = ""
    if device := config.device:
        cost = f"{NEG_LOG_ESP} on {escaped(device.name)}"
        esp = (
            f" ESP is the estimated success probability of its effective gates, with the device data of {escaped(device.date)}."
        )
    return Latex(
        f"Circuits of study {escaped(state.study.name)} that are non-dominated in {cost} and validation"
        f" error{config.score.remark}, among {grouped(len(state.by_circuit))}. Accuracy is measured on"
        f" {grouped(sizes['validation'])} validation samples of {escaped(config.dataset)} after"
        f" {grouped(training.epochs)} {epochs} of training{trainings}{after_accuracy}.{balanced}{majority}{esp}"
        rf" $F_\mathrm{{Q}}$: quantum FLOPs of the forward pass of one sample, {COUNTED[config.flops]}{gates};"
        rf" $F_\mathrm{{C}}$: classical FLOPs.{inert}"
    )


def _row(cells: Sequence[Latex]) -> str:
    return " & ".join(cells) + r" \\"
