"""The report of a study: a document for programs, and blocks of text for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.reporting.text_tables import TextTable

BRACKETS = "What stands in brackets changes no measured value."


@dataclass(frozen=True)
class Line:
    """A line of text that is not broken where a terminal ends."""

    text: str


Block = TextTable | Line | str
"""A table, a line, or sentences, which may be broken between words."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of a study."""

    document: Mapping[str, Any]
    """Plain values, for JSON."""
    blocks: Sequence[Block]
    """The same for a person, in order."""


def majority_line(majority_score: float, score: Score, part: str) -> str:
    """Return the sentence that belongs below a table of scores."""
    balanced = score.of(accuracy="", balanced="balanced ")
    return f"Always answering the majority class has a {balanced}{part} accuracy of {majority_score:.3f}."
