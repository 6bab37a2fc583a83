"""Printed figures as inline SVG for HTML pages, with texts under the mouse."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faqnas_optuna.reporting.front_plot import MANY_SPOTS, Spot
from faqnas_optuna.reporting.matplotlib_front import POINTS_PER_INCH, as_file
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCREEN_DPI = 120
"""Resolution of the marks that are pixels, in pixels per inch."""


def responsive_svg(draw: "Callable[[Size], Figure]", spots: Sequence[Spot], *, name: str, label: str) -> str:
    """Return a figure in two sizes, of which the style sheet shows the one that fits the window.

    Args:
        draw: Function that draws the figure for a place.
        spots: Points with texts under the mouse.
        name: Name of the figure, which no other figure of the page has.
        label: Description for readers who cannot see the figure.
    """
    major = [spot for spot in spots if not spot.is_minor]
    # The window decides, so the page needs both.
    sizes = {Size.PAGE: spots, Size.COLUMN: major}
    return "".join(inline_svg(draw(size), size, some, name=f"{name}{size[0]}", label=label) for size, some in sizes.items())


def inline_svg(figure: "Figure", size: Size, spots: Sequence[Spot], *, name: str, label: str) -> str:
    """Return a figure as an SVG element; equal figures give equal text.

    Args:
        figure: Figure whose first axes contain the spots.
        size: Place that the figure was drawn for, which is the class of the element.
        spots: Points with texts under the mouse.
        name: Prefix of ids and classes, which no other figure of the page has.
        label: Description for readers who cannot see the figure.
    """
    # Thousands of marks would take a megabyte as vectors.
    for line in figure.axes[0].lines:
        line.set_rasterized(np.size(line.get_xdata()) >= MANY_SPOTS)
    # The positions of the spots need the final layout, which writing the file must not change.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    content = as_file(figure, Path("figure.svg"), replace(size.form, dpi=SCREEN_DPI), "").decode()
    width, height = (POINTS_PER_INCH * length for length in figure.get_size_inches())
    head = f'<svg class="{size}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">'
    body = _compact(content[content.index("<defs>") : content.rindex("</svg>")], name)
    return f"{head}{body}{_spots(figure, spots, height)}</svg>"


def _compact(svg: str, name: str) -> str:
    """Return the elements of an SVG file in a third of its length: styles as classes, short ids, and rounded positions."""
    # matplotlib's own style sheet has the selector *, which would apply to the whole page: the page has its rules.
    svg = re.sub(r"<!--.*?-->|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s+", " ", svg).replace("> <", "><").replace("xlink:href", "href")
    # The page decides the font. Most texts have a rotation by 0.
    svg = re.sub(r"font-family: [^;\"]*;? ?| transform=\"rotate\(-?0 [^\"]*\"", "", svg)
    svg = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda match: _rounded(match[0]), svg)
    # Equal parts of two figures have equal ids, which would occur twice in the page.
    used = dict.fromkeys(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    short = {long: f"{name}_{number}" for number, long in enumerate(used)}
    svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{short[match[1]]}"' if match[1] in short else "", svg)
    svg = re.sub(r'(url\(|href=")#([^)"]+)', lambda match: f"{match[1]}#{short[match[2]]}", svg)
    styles: dict[str, str] = {}
    svg = re.sub(r'style="([^"]*)"', lambda match: f'class="{styles.setdefault(match[1], f"{name}-{len(styles)}")}"', svg)
    # Groups without attributes have no effect; the innermost are unwrapped first.
    while (shorter := re.sub(r"<g>((?:(?!</?g[ >]).)*)</g>", r"\1", svg)) != svg:
        svg = shorter
    rules = "".join(f".{selector}{{{style}}}" for style, selector in styles.items())
    return f"<style>{rules}</style>{svg}"


def _rounded(attribute: str) -> str:
    """Return an attribute with positions rounded to 0.01 points, and lines without repeated commands.

    >>> _rounded(' d="M 38.722584 256.4 L 500.999760 3.0 L 1 2 "')
    ' d="M 38.72 256.4 501 3 1 2 "'
    """
    attribute = re.sub(r"\d+\.\d+", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), attribute)
    # Positions after that of M are those of lines; after a curve, C, they would continue it.
    return attribute if "C" in attribute else attribute.replace(" L ", " ")


def _spots(figure: "Figure", spots: Sequence[Spot], height: float) -> str:
    """Return transparent circles with texts at the spots, in the coordinates of the SVG element."""
    circles = []
    for spot in spots:
        x, y = figure.axes[0].transData.transform((spot.x, spot.y)) * POINTS_PER_INCH / figure.dpi
        # The y axis of SVG points down.
        circles.append(f'<circle cx="{x:.1f}" cy="{height - y:.1f}" r="5"><title>{escape(spot.text)}</title></circle>')
    return f'<g class="spots">{"".join(circles)}</g>' if circles else ""
