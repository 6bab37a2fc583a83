"""Tables as lines of text that stay whole in whatever width there is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from textwrap import wrap

from faqnas_optuna.escaping import on_one_line

GAPS = (2, 1)
"""Spaces between two columns, and what they are where room is scarce."""
SHORTEST = 12
"""So many characters a long name keeps."""
INDENT = "  "


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """Names to the left, numbers to the right, and at the end a text that may stand below its row.

    Attributes:
        names: columns of names, which may be shortened in their middle.
        numbers: columns between those and the last.
        last: the column at the end.
        rows: the cells, in the order of the columns.
    """

    names: Sequence[str]
    numbers: Sequence[str]
    last: str
    rows: list[Sequence[str]] = field(default_factory=list)

    def lines(self, width: int | None) -> list[str]:
        """The header, and the rows. No column is left out.

        Where not all fits beside each other, long names are shortened; where that does not do, the last column stands below,
        and so do, with their names, as many of the numbers before it as have to.

        Args:
            width: columns of the terminal; None if there is none, and nothing is shortened.
        """
        header = [*self.names, *self.numbers, self.last]
        rows = [list(map(on_one_line, row)) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for beside, gap in product(range(len(widths), len(self.names) - 1, -1), GAPS):
            fitting = self._fitted(widths[:beside], width, gap)
            if _width(fitting, gap) <= (width or _width(fitting, gap)):
                break
        lines = [self._line(header[:beside], fitting, gap)]
        for row in rows:
            lines.append(self._line(row[:beside], fitting, gap))
            numbers = ", ".join(map(" ".join, zip(header[beside:-1], row[beside:-1], strict=True)))
            for below in filter(None, (numbers, *row[beside:][-1:])):
                lines += wrap(below, width or len(below), initial_indent=INDENT, subsequent_indent=INDENT)
        return lines

    def _fitted(self, widths: list[int], width: int | None, gap: int) -> list[int]:
        """The widths with names shortened as far as needed and allowed, the longest first."""
        fitting = list(widths)
        names = range(len(self.names))
        while width and _width(fitting, gap) > width and max(fitting[column] for column in names) > SHORTEST:
            fitting[max(names, key=lambda column: fitting[column])] -= 1
        return fitting

    def _line(self, cells: Sequence[str], widths: list[int], gap: int) -> str:
        names = [shortened(cell, room).ljust(room) for cell, room in zip(cells, widths[: len(self.names)], strict=False)]
        end = len(self.names) + len(self.numbers)
        numbers = [cell.rjust(room) for cell, room in zip(cells[len(names) : end], widths[len(names) : end], strict=True)]
        return (" " * gap).join([*names, *numbers, *cells[end:]]).rstrip()


def shortened(name: str, room: int) -> str:
    """A name in so many characters: what is left out is its middle, for the ends tell names apart."""
    if len(name) <= room:
        return name
    head = room // 2
    return f"{name[:head]}…{name[len(name) - (room - head - 1) :]}"


def in_blocks(drawing: str, width: int | None) -> str:
    """A drawing of wires that go on below where they do not fit, each again with its number: lines of `NUMBER: ─…`."""
    lines = [line.partition(" ") for line in drawing.splitlines()]
    length = max(len(wire) for _, _, wire in lines)
    room = max(width - max(len(number) for number, _, _ in lines) - 1, 1) if width else length
    blocks = range(0, length, room)
    return "\n\n".join("\n".join(f"{number} {wire[at : at + room]}" for number, _, wire in lines) for at in blocks)


def _width(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)
