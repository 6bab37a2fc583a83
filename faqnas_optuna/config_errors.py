"""Messages about invalid settings, with suggestions."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from pydantic_core import ErrorDetails

KINDS = {
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "model_type": "must be a section, written [{name}]",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list such as [2, 3]",
}
"""Rules by type of pydantic's errors, whose own messages speak of JSON and Python."""


def explained(detail: ErrorDetails, settings_of: Callable[[list[str]], Iterable[str]]) -> str:
    """Return the message for one error of pydantic.

    Args:
        detail: Error of pydantic.
        settings_of: Function that returns the names of the settings in a section; [] is the top level.
    """
    # Positions inside a list are omitted because the message shows the value.
    path = [str(part) for part in detail["loc"] if not isinstance(part, int)]
    name = ".".join(path)
    if detail["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{did_you_mean(path[-1], settings_of(path[:-1]))}"
    if detail["type"] == "missing":
        return f"setting {name!r} is missing"
    # pydantic puts this prefix before the text of our validators.
    message = KINDS.get(detail["type"], "").format(name=name) or detail["msg"].removeprefix("Value error, ")
    if not path:
        # A rule about several settings names them in its message.
        return message
    return f"{name}: {message[0].lower()}{message[1:]} (it is {detail['input']!r})"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return a suggestion to append to an error, or the list of choices.

    >>> did_you_mean("irsi", ["iris", "wine"])
    ": did you mean 'iris'?"
    """
    choices = list(choices)
    # At least 60 % similar, the default of `difflib`.
    if close := get_close_matches(word, choices, n=1):
        return f": did you mean {close[0]!r}?"
    return f"; choose from {', '.join(choices)}" if choices else ""
