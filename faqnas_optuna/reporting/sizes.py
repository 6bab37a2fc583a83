"""How large a printed figure is, with its text and marks."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class Form:
    """The measures of a printed figure. Text is in points of 1/72 inch, and marks and lines grow with it."""

    inches: tuple[float, float]
    """Width and height."""
    text_pt: float
    dpi: int
    """Pixels per inch, of a PNG."""
    has_title: bool
    """Where a caption will stand below it, it needs none."""

    @property
    def mark_pt(self) -> float:
        """Diameter of a point of the front."""
        return 0.6 * self.text_pt

    @property
    def line_pt(self) -> float:
        """Width of a line that is to be seen well."""
        return 0.12 * self.text_pt


class Size(StrEnum):
    """Where a figure will stand."""

    COLUMN = "column"
    """In a column of a journal: 3.4 by 3 inches, text of 8 points."""
    PAGE = "page"
    """Over the width of a page: 7 by 4.5 inches, text of 10 points."""
    SLIDE = "slide"
    """On a slide, 16:9: 10 by 5.625 inches, text of 15 points, and a title."""

    @property
    def form(self) -> Form:
        match self:
            case Size.COLUMN:
                return Form(inches=(3.4, 3.0), text_pt=8, dpi=300, has_title=False)
            case Size.PAGE:
                return Form(inches=(7, 4.5), text_pt=10, dpi=300, has_title=False)
            case Size.SLIDE:
                return Form(inches=(10, 5.625), text_pt=15, dpi=192, has_title=True)
