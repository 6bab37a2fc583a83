"""Wording of numbers in messages and tables."""

from collections.abc import Sequence

MISSING = "–"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 trial`, `2,000 trials`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def number_text(value: float | None, form: str = ".3f") -> str:
    """Return a number as tables show it, a dash for None."""
    return MISSING if value is None else f"{value:{form}}"


def interval_text(ends: Sequence[float] | None, digits: int = 3) -> str:
    """Return the two ends of an interval as tables show them, a dash for None."""
    return MISSING if ends is None else f"{ends[0]:z.{digits}f} to {ends[1]:z.{digits}f}"
