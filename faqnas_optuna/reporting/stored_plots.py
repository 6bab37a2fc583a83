"""Plots that are stored with a study, so that optuna-dashboard displays them without this package.

Its own plot of the front has a linear cost axis, on which nearly all circuits lie at zero, and it has none of the hypervolume.
"""

import json
import math
from collections.abc import Callable
from typing import Any

from faqnas_optuna.reporting.front_plot import FrontPlot
from faqnas_optuna.reporting.plain_figures import front_figure, hypervolume_figure
from faqnas_optuna.study.state import SearchState, StudyState
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.wording import counted

MAX_DOMINATED = 100
"""Maximum number of circuits off the front in a stored plot; each takes 100 bytes."""
MAX_GENERATIONS = 200
"""Maximum number of generations in a stored plot; of more, every second, third, … is drawn."""


def store_plots(study: StoredStudy[Any], read: Callable[[], StudyState]) -> None:
    """Store the plots of a search or race if its stored plots are outdated; does nothing for a confirmation.

    Plots change with every closed generation of a search, with its last trial, and with every result of a race.

    Args:
        read: Function that returns the state of the study, called only if it is needed.
    """
    # Asked first, because nothing has changed after most trials.
    metadata = study.metadata
    race = study.description.race
    generations = [] if race else metadata.timed_generations()
    extent = race.trainings if race else sum(closed.trials for closed, _ in generations)
    # Read only where it matters: the last generation of a search with a limit of trials may never be closed.
    stop = metadata.stop() if study.config.search.trials else None
    if stop and stop.reason is StopReason.TRIALS:
        extent = study.planned
    if metadata.plotted_extent() == extent:
        return
    state = read()
    # A confirmation has no front, though it may have the summary of the race whose circuits it confirms.
    if not isinstance(state, SearchState):
        return
    front = front_figure(FrontPlot.of(state, None, limit=MAX_DOMINATED))
    # optuna-dashboard displays plots in half of its width, which has no room for the usual title.
    front["layout"]["title"] = {"text": f"Front after {counted(extent, 'training' if race else 'trial')}"}
    figures = {"front": front}
    if generations:
        # Counted from the end, so that the last generation is drawn.
        step = math.ceil(len(generations) / MAX_GENERATIONS)
        figures["hypervolume"] = hypervolume_figure(generations[::-1][::step][::-1])
    # The fixed ids replace the plots of earlier generations.
    plots = {f"faqnas-{name}": json.dumps(figure, separators=(",", ":")) for name, figure in figures.items()}
    with study.existing():
        metadata.store_plots(plots, extent=extent)
