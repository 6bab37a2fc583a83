"""Sizes of printed figures, with their text and marks."""

from dataclasses import dataclass
from enum import StrEnum

from faqnas_optuna.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Form:
    """Dimensions of a printed figure. Marks and lines scale with the text."""

    inches: tuple[float, float]
    """Width and height."""
    text_pt: float
    """Size of the text in points of 1/72 inch."""
    dpi: int
    """Resolution of PNG files in pixels per inch."""
    has_title: bool
    """True if the figure has a title of its own; figures in papers have a caption instead."""

    @property
    def mark_pt(self) -> float:
        """Diameter of the mark for a point of the front, in points."""
        return 0.6 * self.text_pt

    @property
    def line_pt(self) -> float:
        """Width of a clearly visible line, in points."""
        return 0.12 * self.text_pt


class Size(StrEnum):
    """Intended place of a figure."""

    COLUMN = "column"
    """One column of a journal: 3.4 by 3 inches, text of 8 points."""
    PAGE = "page"
    """The width of a page: 7 by 4.5 inches, text of 10 points."""
    SLIDE = "slide"
    """A slide of 16:9: 10 by 5.625 inches, text of 15 points, with a title."""

    @property
    def form(self) -> Form:
        """Dimensions of a figure for this place."""
        match self:
            case Size.COLUMN:
                return Form(inches=(3.4, 3.0), text_pt=8, dpi=300, has_title=False)
            case Size.PAGE:
                return Form(inches=(7, 4.5), text_pt=10, dpi=300, has_title=False)
            case Size.SLIDE:
                # 192 dpi make 1920 by 1080 pixels, the resolution of most projectors.
                return Form(inches=(10, 5.625), text_pt=15, dpi=192, has_title=True)


def size_of(name: str | None) -> Size | None:
    """Return the size with this name; None for None.

    Raises:
        ConfigError: There is no such size.
    """
    if name not in (None, *Size):
        raise ConfigError(f"size must be one of {', '.join(Size)}; it is {name!r}")
    return Size(name) if name else None
