"""Progress bar of a study, in a notebook or on a terminal."""

import builtins
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tqdm import TqdmWarning

from faqnas_optuna.study.state import StudyState

if TYPE_CHECKING:
    from faqnas_optuna.api.race_service import RaceProgress

with warnings.catch_warnings():
    # Without ipywidgets a notebook gets a text bar; the warning about that does not help.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm


ShowRace = Callable[["RaceProgress"], None]
"""Function that shows the progress of a race."""


@contextmanager
def progress_bar(is_visible: bool | None, *, prefix: str = "") -> Iterator[Callable[[StudyState], None]]:
    """Show a progress bar; yield the function to call after each trial.

    Args:
        is_visible: Whether to show the bar; None to show it in notebooks and on terminals.
        prefix: Text before the name of the study.
    """
    # The total is unknown until the first call.
    with _bar(is_visible) as bar:

        def update(state: StudyState) -> None:
            progress = state.study.progress(state).after(prefix)
            if bar.total is None:
                # Earlier trials must not count towards the pace of this process.
                bar.initial = progress.trials
                bar.unit = f" {progress.noun}s"
            # All parts are drawn at once, by `refresh` below.
            bar.set_description(progress.study, refresh=False)
            # Not fixed: a search may be extended, and other workers add trials.
            bar.total = progress.planned
            # Set, not added: other workers have finished trials meanwhile.
            bar.n = progress.trials
            if progress.best:
                bar.set_postfix_str(progress.best, refresh=False)
            bar.refresh()

        yield update


@contextmanager
def work_bar(is_visible: bool | None, planned: int) -> Iterator[Callable[[int], None]]:
    """Show a bar of a known amount of work; yield the function to call with the finished amount.

    Args:
        is_visible: Whether to show the bar; None to show it in notebooks and on terminals.
        planned: Total amount of work.
    """
    with _bar(is_visible, total=planned, unit=" networks") as bar:
        yield lambda done: bar.update(done - bar.n)


@contextmanager
def race_bar(is_visible: bool | None, *, prefix: str = "") -> Iterator[ShowRace]:
    """Show the progress of a race; yield the function to call with it.

    Args:
        is_visible: Whether to show the bar; None to show it in notebooks and on terminals.
        prefix: Text before the stage of the race.
    """
    with _bar(is_visible, unit=" trainings") as bar:

        def update(progress: "RaceProgress") -> None:
            if bar.total is None:
                # Earlier trainings must not count towards the pace of this call.
                bar.initial = progress.trainings
            bar.set_description(f"{prefix}{progress.stage}", refresh=False)
            bar.total = progress.planned
            bar.n = progress.trainings
            bar.set_postfix_str(progress.remaining, refresh=False)
            bar.refresh()

        yield update


def _bar(is_visible: bool | None, **settings: Any) -> "tqdm[Any]":
    """Return a bar, which draws nothing if it is not visible or has no place to draw."""
    # IPython adds this builtin; a notebook's stderr is not a terminal.
    is_notebook = hasattr(builtins, "get_ipython")
    # Services may run without stderr.
    has_place = is_notebook or sys.stderr is not None
    if is_visible is None:
        is_visible = is_notebook or (has_place and sys.stderr.isatty())
    return tqdm(disable=not (is_visible and has_place), **settings)
