"""Strict parsing of numbers: plain digits only, while Python also accepts `1_0`, ` 10` and digits of other scripts."""

import re

# Python's `\d` also matches digits of other scripts.
WHOLE = re.compile(r"-?[0-9]+")
DECIMAL = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def whole_number(text: str) -> int:
    """Parse a whole number.

    Raises:
        ValueError: The text is not a whole number.

    >>> whole_number("-12")
    -12
    """
    if not WHOLE.fullmatch(text):
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def decimal_number(text: str) -> float:
    """Parse a number, optionally with a decimal point or an exponent.

    Raises:
        ValueError: The text is not a number.

    >>> decimal_number("2.5e-3")
    0.0025
    """
    if not DECIMAL.fullmatch(text):
        raise ValueError(f"not a number: {text!r}")
    return float(text)
