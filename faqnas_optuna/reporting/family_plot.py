"""Figure that compares the families of the circuits of a race."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from faqnas_optuna.reporting.documents import provenance
from faqnas_optuna.reporting.families import Family, Trait
from faqnas_optuna.reporting.front_plot import FrontPlot
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.reporting.staircase_plot import Staircase, StaircasePlot, write_staircase_plot
from faqnas_optuna.study.state import SearchState


def write_family_plot(
    families: Sequence[Family], state: SearchState, by: Trait, path: Path, *, size: Size | None = None
) -> None:
    """Draw the staircase of each family over a logarithmic cost axis, each with its band.

    Args:
        families: Families of the circuits of a race.
        state: State of the race.
        by: Property of the families.
        path: File name ending in `.png`, `.pdf`, `.svg` or `.html`.
        size: Size of a printed figure; the width of a page by default.

    Raises:
        OutputError: The suffix is another one, an HTML page has a size, or the file cannot be written.
    """
    axes = replace(FrontPlot.of(state, None), title=f"{state.study.name}: families by {by}")
    plot = StaircasePlot(
        staircases=[_staircase(family) for family in families],
        axes=axes,
        band_name=f"bands: best circuit of each family ({100 * (axes.level or 0):.0f} % confidence)",
    )
    description = json.dumps({"study": state.study.name, **provenance(state.study)})
    write_staircase_plot(plot, path, size=size, description=description)


def _staircase(family: Family) -> Staircase:
    costs = [step.cost for step in family.stairs]
    lowest = [1 - step.high for step in family.stairs]
    highest = [1 - step.low for step in family.stairs]
    return Staircase(
        name=family.name,
        costs=costs,
        errors=[1 - step.score for step in family.stairs],
        band=(costs, lowest, highest),
    )
