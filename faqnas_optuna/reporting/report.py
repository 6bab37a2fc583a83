"""Report of a study: a document for programs, and blocks of text for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.reporting.text_tables import TextTable

# One wording for the terminal, web pages and LaTeX.
BRACKETS = "Gates in brackets do not affect any measurement."
NO_EFFECT = "together, its entanglers have no effect"


@dataclass(frozen=True)
class Line:
    """A line of text that is not wrapped at the width of the terminal."""

    text: str


Block = TextTable | Line | str
"""A table, a line, or sentences that may be wrapped between words."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of a study."""

    document: Mapping[str, Any]
    """The results as plain values, for JSON."""
    blocks: Sequence[Block]
    """The results as text for people, in order."""


def majority_line(majority_score: float, score: Score, part: str) -> str:
    """Return the sentence below a table of scores that gives the score of always predicting the majority class.

    >>> majority_line(0.361, Score.ACCURACY, "test")
    'Always predicting the majority class gives a test accuracy of 0.361.'
    """
    balanced = score.of(accuracy="", balanced="balanced ")
    return f"Always predicting the majority class gives a {balanced}{part} accuracy of {majority_score:.3f}."
