"""Formatting of numbers in messages and tables."""

from collections.abc import Sequence

MISSING = "–"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "trial"), counted(2000, "trial")
    ('1 trial', '2,000 trials')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration_text(seconds: float) -> str:
    """Return a duration with two significant digits, in a suitable unit.

    >>> duration_text(0.2), duration_text(34.1), duration_text(118), duration_text(9_000)
    ('1 s', '34 s', '2.0 min', '2.5 h')
    """
    for unit, length_s in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length_s:
            value = seconds / length_s
            return f"{value:.1f} {unit}" if value < 9.5 else f"{value:,.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def number_text(value: float | None, form: str = ".3f") -> str:
    """Format a number for a table; None is a dash."""
    return MISSING if value is None else f"{value:{form}}"


def interval_text(ends: Sequence[float] | None, digits: int = 3) -> str:
    """Format the ends of an interval for a table; None is a dash.

    >>> interval_text((0.25, 0.5))
    '0.250 to 0.500'
    """
    # The format `z` turns a rounded -0.000 into 0.000.
    return MISSING if ends is None else f"{ends[0]:z.{digits}f} to {ends[1]:z.{digits}f}"
