"""What is wrong with a setting, in a user's words, and what was perhaps meant."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from pydantic_core import ErrorDetails

KINDS = {
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "model_type": "is a section of settings, written [{name}]",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list, as in [2, 3]",
}
"""What a setting should be, by pydantic's type of error, which speaks of JSON and Python."""


def explained(detail: ErrorDetails, settings_of: Callable[[list[str]], Iterable[str]]) -> str:
    """One pydantic error in a user's words.

    Args:
        settings_of: the names that there are in a section, or at the top.
    """
    # Positions inside a list are of no help: the message shows the value.
    path = [str(part) for part in detail["loc"] if not isinstance(part, int)]
    name = ".".join(path)
    if detail["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{did_you_mean(path[-1], settings_of(path[:-1]))}"
    if detail["type"] == "missing":
        return f"setting {name!r} is missing"
    message = KINDS.get(detail["type"], "").format(name=name) or detail["msg"].removeprefix("Value error, ")
    if not path:
        # A rule about several settings names them itself.
        return message
    return f"{name}: {message[0].lower()}{message[1:]} (it is {detail['input']!r})"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to an error, or the list of what there is."""
    known = list(known)
    if close := get_close_matches(word, known, n=1):
        return f": did you mean {close[0]!r}?"
    return f"; choose from {', '.join(known)}" if known else ""
