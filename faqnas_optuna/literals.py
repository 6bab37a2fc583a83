"""Numbers as they are typed: plain digits, where Python also takes `1_0`, ` 10` and the digits of other scripts."""

import re

WHOLE = re.compile(r"-?[0-9]+")
DECIMAL = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def whole_number(text: str) -> int:
    """Return the whole number that a text states.

    Raises:
        ValueError: the text is anything else.
    """
    if not WHOLE.fullmatch(text):
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def decimal_number(text: str) -> float:
    """Return the number that a text states, with a decimal point or an exponent if it has one.

    Raises:
        ValueError: the text is anything else.
    """
    if not DECIMAL.fullmatch(text):
        raise ValueError(f"not a number: {text!r}")
    return float(text)
