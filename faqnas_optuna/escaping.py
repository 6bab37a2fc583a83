"""Escaping of control characters, which a terminal would obey, in names of files, columns, classes and studies."""

from collections.abc import Iterable
from typing import Any, TextIO

DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Characters that change the writing direction of the text after them."""
CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *DIRECTIONS)
ESCAPES = {code: f"\\u{code:04x}" for code in CONTROLS}
"""Escapes as in JSON, so that an escaped JSON document keeps its values."""
LINE_ENDS_KEPT = {code: escape for code, escape in ESCAPES.items() if chr(code) not in "\n\t"}


def escaped(text: str) -> str:
    """Return a text of one or more lines without control characters."""
    return text.translate(LINE_ENDS_KEPT)


def on_one_line(text: str) -> str:
    """Return a text without control characters, line ends among them."""
    return text.translate(ESCAPES)


class EscapingStream:
    """Text stream that escapes control characters.

    Attributes:
        unescaped: Underlying stream, for code that draws on a terminal and escapes names itself.
    """

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unescaped, name)

    def write(self, text: str) -> int:
        self.unescaped.write(escaped(text))
        # Of the text before escaping: callers compare the number with what they passed.
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)
