"""How far a study is, as a bar in a notebook or on a terminal."""

import builtins
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    is_shown = _moves() if shown is None else shown
    with tqdm(disable=not (is_shown and _has_place())) as bar:

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
    is_shown = _moves() if shown is None else shown
    with tqdm(total=planned, unit=" networks", disable=not (is_shown and _has_place())) as bar:
        yield lambda done: bar.update(done - bar.n)


def _moves() -> bool:
    # Only some of IPython's shells have a stderr that says it is a terminal.
    return _is_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _has_place() -> bool:
    """Return whether there is something to draw on: a process may be started without stderr, as services are."""
    return _is_notebook() or sys.stderr is not None


def _is_notebook() -> bool:
    # IPython puts its function there.
    return hasattr(builtins, "get_ipython")
