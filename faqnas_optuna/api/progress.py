"""Progress bar of a study, in a notebook or on a terminal."""

import builtins
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import TqdmWarning

from faqnas_optuna.study.state import StudyState

with warnings.catch_warnings():
    # Where a notebook lacks ipywidgets the bar is one of characters, which is no reason to warn.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm


@contextmanager
def progress_bar(shown: bool | None) -> Iterator[Callable[[StudyState], None]]:
    """A bar while something runs, and what to call after each trial.

    Args:
        shown: None to show it where it moves: in notebooks and on terminals.
    """
    with _bar(shown) as bar:

        def update(state: StudyState) -> None:
            known = state.study.progress(state)
            if bar.total is None:
                # The pace is that of this process, whatever was there before.
                bar.initial, bar.unit = known.trials, f" {known.noun}s"
            bar.set_description(known.study, refresh=False)
            bar.total, bar.n = known.planned, known.trials
            if known.best:
                bar.set_postfix_str(known.best, refresh=False)
            bar.refresh()

        yield update


@contextmanager
def work_bar(shown: bool | None, planned: int) -> Iterator[Callable[[int], None]]:
    """Show a bar of a known amount of work; yield what to call with the amount that is done.

    Args:
        shown: None to show it where it moves: in notebooks and on terminals.
    """
    with _bar(shown, total=planned, unit=" networks") as bar:
        yield lambda done: bar.update(done - bar.n)


def _bar(shown: bool | None, **settings: Any) -> "tqdm[Any]":
    """Return a bar, which draws nothing where it is not to be shown or there is no place for it.

    Args:
        shown: as `progress_bar` takes it.
    """
    # IPython puts its function there, and only some of its shells have a stderr that says it is a terminal.
    is_notebook = hasattr(builtins, "get_ipython")
    # A process may be started without stderr, as services are.
    has_place = is_notebook or sys.stderr is not None
    if shown is None:
        shown = is_notebook or (has_place and sys.stderr.isatty())
    return tqdm(disable=not (shown and has_place), **settings)
