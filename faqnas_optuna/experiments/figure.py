"""Figure of an experiment: the fronts of each method, a panel per data set."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import StudyConfig
from faqnas_optuna.experiments.plan import Experiment
from faqnas_optuna.files import write_atomically
from faqnas_optuna.reporting.attainment import Floats
from faqnas_optuna.reporting.front_plot import FrontPlot
from faqnas_optuna.reporting.matplotlib_front import as_file, legend_below, prepare, styled
from faqnas_optuna.reporting.plotly_front import check_printed
from faqnas_optuna.reporting.sizes import Form, Size
from faqnas_optuna.reporting.staircase_plot import draw_staircases
from faqnas_optuna.reporting.study_groups import BANDS, staircase

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_WIDTH_INCHES = 2.2
"""Minimum width of a panel."""
PANEL_HEIGHT_INCHES = 2.0
LEGEND_INCHES = 0.8
"""Height of the legend and the label of the cost axis."""


@dataclass(frozen=True, kw_only=True)
class MethodFronts:
    """Fronts of one method on one data set."""

    dataset: str
    method: str
    fronts: Sequence[Floats]
    """Costs and errors (circuits, 2) of the front of each study."""


def write_experiment_plot(
    experiment: Experiment, fronts: Sequence[MethodFronts], path: Path, *, size: Size | None, origin: Mapping[str, Any]
) -> None:
    """Draw the median attainment surface of each method, with the band of its quartiles, in a panel per data set.

    Args:
        fronts: Fronts of the methods; errors are those of the confirmations if whole fronts are confirmed.
        path: File name ending in `.png`, `.pdf` or `.svg`.
        size: Width of the figure, a page by default; the height grows with the number of panels.

    Raises:
        OutputError: The suffix is another one, or the file cannot be written.
    """
    check_printed(path)
    form = (size or Size.PAGE).form
    # An unfinished experiment has no panels for data sets without results.
    datasets = [dataset for dataset in experiment.datasets if any(entry.dataset == dataset for entry in fronts)]
    columns = max(1, min(len(datasets), int(form.inches[0] / PANEL_WIDTH_INCHES)))
    rows = math.ceil(len(datasets) / columns)
    # Panels grow with the text, so that labels do not overlap on slides.
    scale = form.text_pt / Size.PAGE.form.text_pt
    form = replace(form, inches=(form.inches[0], scale * (PANEL_HEIGHT_INCHES * rows + LEGEND_INCHES)))
    figure = _figure(experiment, datasets, fronts, form, columns=columns, rows=rows)
    write_atomically(path, as_file(figure, path, form, json.dumps(origin)))


def _figure(
    experiment: Experiment, datasets: Sequence[str], fronts: Sequence[MethodFronts], form: Form, *, columns: int, rows: int
) -> "Figure":
    from matplotlib.figure import Figure

    config = experiment.cells[0].config
    plot = _axes_of(config)
    label = f"test error{config.score.remark}" if experiment.file.confirm.front else plot.y_label
    with styled(form):
        figure = Figure(figsize=form.inches, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False)
        handles: dict[str, Any] = {}
        for place, panel in enumerate(panels.flat):
            if place >= len(datasets):
                panel.set_axis_off()
                continue
            dataset = datasets[place]
            prepare(panel, plot, replace(form, has_title=False))
            # Panels are narrow: the label of the other axis is at the left ones only, and the form of the cost in the caption.
            panel.set_xlabel(plot.cost_name)
            panel.set_ylabel(label if place % columns == 0 else "")
            panel.set_title(dataset, fontsize=form.text_pt)
            entries = {entry.method: entry.fronts for entry in fronts if entry.dataset == dataset}
            end = max(float(front[:, 0].max()) for members in entries.values() for front in members)
            # A method has the same colour in every panel, also where another one has no front.
            steps = [staircase(method, entries[method], end) for method in experiment.file.methods if method in entries]
            drawn = draw_staircases(panel, steps, form, order=list(experiment.file.methods))
            handles |= {handle.get_label(): handle for handle in drawn}
        if any(len(entry.fronts) > 1 for entry in fronts):
            # An entry without a mark.
            (handles["bands"],) = panels.flat[0].plot([], [], linestyle="", label=BANDS)
        legend_below(figure, list(handles.values()))
    return figure


def _axes_of(config: StudyConfig) -> FrontPlot:
    """Return a plot without circuits, which has the labels of the axes."""
    return FrontPlot(
        title="",
        front=[],
        dominated=[],
        repeats=config.training.repeats,
        confirmed={},
        score=config.score,
        cost_name=config.cost_name,
        is_by_flops=config.device is None,
    )
