"""Terminals and files: messages, and live progress, plain lines where there is no terminal."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import IO, TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.segment import Segment

from faqnas_optuna.escaping import EscapingStream, escaped

if TYPE_CHECKING:
    # At run time it would bring Optuna into commands that do without.
    from faqnas_optuna.study.work import Progress

PLAIN_LINE_EVERY_S = 10.0
WIDE = 125
"""Columns that the bar with everything beside it needs."""

ProgressCallback = Callable[["Progress | None"], None]
"""Shows how far a study is; None while no study runs."""

IDLE = "waiting for a study to run"


class _Console(Console):
    """Console that prints text as it is, but for control characters: no markup, no emoji, no highlighting.

    It writes control sequences of its own beneath the stream that escapes those of others.
    """

    def __init__(self, *, stderr: bool, force_terminal: bool | None = None) -> None:
        super().__init__(stderr=stderr, force_terminal=force_terminal, markup=False, emoji=False, highlight=False)

    @property
    def file(self) -> IO[str]:
        stream = super().file
        return stream.unescaped if isinstance(stream, EscapingStream) else stream

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escaped(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Raise what is being handled: Rich would end the program here, within whatever it does."""
        raise


def make_console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # Asked here: Rich takes a file for a terminal if FORCE_COLOR is set, and would draw its animation into it.
    if stream and stream.isatty():
        return _Console(stderr=stderr)
    return _Console(stderr=stderr, force_terminal=False)


def is_moving_terminal(console: Console | None = None) -> bool:
    """Whether what was printed may be overwritten: on a terminal, by default that of stdout, which is not `dumb`, and whose
    user does not ask for plain text by NO_COLOR."""
    console = console or make_console()
    return console.is_terminal and not console.is_dumb_terminal and not os.environ.get("NO_COLOR")


@cache
def error_console() -> Console:
    """The one console on stderr: the progress bar and messages must share it, or they tear each other."""
    return make_console(stderr=True)


def print_message(text: str) -> None:
    """A line on stderr, above the bar if there is one."""
    error_console().print(text, soft_wrap=True)


class ConsoleHandler(logging.Handler):
    """Log messages through a console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False, soft_wrap=True)


@contextmanager
def messages(*, quiet: bool = False) -> Iterator[None]:
    """Show what the package logs, on stderr; if quiet, only warnings and errors."""
    logger, handler = logging.getLogger("faqnas_optuna"), ConsoleHandler(error_console())
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def forget_console() -> None:
    """Create the console again for the next message: the standard error of a forked process may be another."""
    logging.getLogger("faqnas_optuna").handlers.clear()
    error_console.cache_clear()


@contextmanager
def show_progress(*, quiet: bool = False, console: Console | None = None) -> Iterator[ProgressCallback]:
    """On stderr a bar, if that is a terminal; elsewhere a line for each generation, and one every few seconds.

    Args:
        console: in the place of that on stderr.
    """
    console = console or error_console()
    if quiet:
        yield lambda _: None
        return
    with _live_bar(console) if is_moving_terminal(console) else _plain_lines(console) as update:
        yield update


@contextmanager
def _live_bar(console: Console) -> Iterator[ProgressCallback]:
    short = console.width < WIDE
    width = 16 if short else 24
    columns = (SpinnerColumn(), BarColumn(bar_width=width), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with ProgressBar(*columns, console=console) as bar:
        task = bar.add_task("starting", total=None)

        def update(progress: "Progress | None") -> None:
            if progress is None:
                bar.update(task, completed=0, total=None, description=IDLE)
                return
            description = f"{progress.study}: {progress.describe(short=short)}"
            bar.update(task, completed=progress.trials, total=progress.planned, description=description)

        yield update


@contextmanager
def _plain_lines(console: Console) -> Iterator[ProgressCallback]:
    started = time.monotonic()
    last_line = started
    # What was last told of, by study: a worker may serve several.
    told: dict[str, Progress] = {}
    is_idle = False

    def update(progress: "Progress | None") -> None:
        nonlocal last_line, is_idle
        if progress is None:
            if not is_idle:
                console.print(IDLE)
            is_idle = True
            return
        is_idle = False
        now, last = time.monotonic(), told.setdefault(progress.study, progress)
        ended = progress.trials == progress.planned and (progress is last or progress.trials > last.trials)
        if ended or progress.generation > last.generation or now - last_line >= PLAIN_LINE_EVERY_S:
            last_line, told[progress.study] = now, progress
            console.print(f"{progress.study}: {progress.describe()} · {now - started:.0f} s", soft_wrap=True)

    yield update


@contextmanager
def show_work(name: str, noun: str, planned: int, *, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """Show on stderr how much of a known amount of work is done, and when all of it will be: by a bar, or by lines.

    Args:
        name: of the work.
        noun: what is counted.
        console: in the place of that on stderr.

    Yields:
        What is to be called with the number of those that are done; the first call tells how many were before.
    """
    console = console or error_console()
    started, before, told = 0.0, None, 0.0
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with ProgressBar(*columns, console=console, disable=not is_moving_terminal(console)) as bar:
        task = bar.add_task(f"{name}: starting", total=planned)

        def update(done: int) -> None:
            nonlocal started, before, told
            now = time.monotonic()
            if before is None:
                started, before, told = now, done, now - PLAIN_LINE_EVERY_S
            line = f"{name}: {done:,} of {planned:,} {noun}s{_expected_end(now - started, done - before, planned - done)}"
            bar.update(task, completed=done, description=line)
            if bar.disable and (now - told >= PLAIN_LINE_EVERY_S or done == planned):
                told = now
                console.print(line, soft_wrap=True)

        yield update


def _expected_end(seconds: float, done: int, left: int) -> str:
    """When as much as is left will be done, at the pace so far."""
    if not (done and left):
        return ""
    end = datetime.now() + timedelta(seconds=left * seconds / done)
    day = "" if end.date() == datetime.now().date() else f"{end:%d %B} "
    return f" · ends at {day}{end:%H:%M}"
