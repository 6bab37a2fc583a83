"""Text tables that keep every column at any terminal width."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from textwrap import wrap

from faqnas_optuna.escaping import on_one_line

GAPS = (2, 1)
"""Spaces between two columns: the preferred number, and the number for narrow terminals."""
SHORTEST = 12
"""Minimum number of characters that a shortened name keeps."""
INDENT = "  "
"""Indentation of the cells that are printed below their row."""


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table with left-aligned names, right-aligned numbers, and a final column of text.

    Attributes:
        names: Headings of the columns of names. Long names may be shortened in the middle.
        numbers: Headings of the columns of numbers.
        last: Heading of the final column.
        rows: Cells of each row, in the order of the columns.
    """

    names: Sequence[str]
    numbers: Sequence[str]
    last: str
    rows: list[Sequence[str]] = field(default_factory=list)

    def lines(self, width: int | None) -> list[str]:
        """Return the header and the rows, without dropping any column.

        If a row is too wide, long names are shortened first. If that is not enough, the final column moves below the row, and
        after it as many of the last numbers as necessary, each with its heading.

        Args:
            width: Number of characters per line of the terminal; None for no limit.
        """
        header = [*self.names, *self.numbers, self.last]
        # Names come from users, and a line break in one would break the table.
        rows = [list(map(on_one_line, row)) for row in self.rows]
        natural_widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        # All columns side by side are tried first. The last layout, names alone, is used even if it is too wide.
        for n_beside, gap in product(range(len(natural_widths), len(self.names) - 1, -1), GAPS):
            widths = self._shrink_names(natural_widths[:n_beside], width, gap)
            if not width or _total_width(widths, gap) <= width:
                break
        lines = [self._line(header[:n_beside], widths, gap)]
        for row in rows:
            lines.append(self._line(row[:n_beside], widths, gap))
            numbers = ", ".join(map(" ".join, zip(header[n_beside:-1], row[n_beside:-1], strict=True)))
            for text in filter(None, (numbers, *row[n_beside:][-1:])):
                lines += wrap(text, width or len(text), initial_indent=INDENT, subsequent_indent=INDENT)
        return lines

    def _shrink_names(self, widths: list[int], width: int | None, gap: int) -> list[int]:
        """Return the column widths after shortening names, the longest first, until the row fits or all are at the minimum."""
        smaller = list(widths)
        names = range(len(self.names))
        while width and _total_width(smaller, gap) > width and max(smaller[column] for column in names) > SHORTEST:
            smaller[max(names, key=lambda column: smaller[column])] -= 1
        return smaller

    def _line(self, cells: Sequence[str], widths: list[int], gap: int) -> str:
        # The zip is not strict because `cells` also holds the numbers and the final column.
        names = [shortened(cell, room).ljust(room) for cell, room in zip(cells, widths[: len(self.names)], strict=False)]
        end = len(self.names) + len(self.numbers)
        numbers = [cell.rjust(room) for cell, room in zip(cells[len(names) : end], widths[len(names) : end], strict=True)]
        # The final column is not padded, so that no line has trailing spaces.
        return (" " * gap).join([*names, *numbers, *cells[end:]]).rstrip()


def shortened(name: str, width: int) -> str:
    """Return a name of at most `width` characters, with an ellipsis in place of its middle.

    Names of studies and files usually differ at their ends.

    >>> shortened("digits-long-run-seed-3", 12)
    'digits…eed-3'
    """
    if len(name) <= width:
        return name
    head = width // 2
    tail = width - head - 1
    return f"{name[:head]}…{name[len(name) - tail :]}"


def in_blocks(drawing: str, width: int | None) -> str:
    """Return a circuit drawing in blocks that fit the terminal, one below another.

    Args:
        drawing: One line `NUMBER: ─…` per wire. Each block repeats the numbers.
        width: Number of characters per line of the terminal; None for no limit.
    """
    lines = [line.partition(" ") for line in drawing.splitlines()]
    length = max(len(wire) for _, _, wire in lines)
    room = max(width - max(len(number) for number, _, _ in lines) - 1, 1) if width else length
    starts = range(0, length, room)
    return "\n\n".join("\n".join(f"{number} {wire[start : start + room]}" for number, _, wire in lines) for start in starts)


def _total_width(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)
