"""Messages and progress on stderr: a live bar on a terminal, plain lines elsewhere."""

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
    # At run time these imports would load Optuna in commands that do not need it.
    from faqnas_optuna.api.race_service import RaceProgress
    from faqnas_optuna.study.work import Progress

PLAIN_LINE_EVERY_S = 10.0
WIDE = 125
"""Number of columns that the full progress line needs."""

ProgressCallback = Callable[["Progress | None"], None]
"""Function that shows the progress of a study; called with None while no study is running."""

IDLE = "waiting for a study"


class _Console(Console):
    """Console that prints text verbatim: no markup, emoji or highlighting, and control characters escaped.

    Its own control sequences bypass the stream that escapes all others.
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
            # Control segments are Rich's own, such as movements of the cursor.
            yield segment if segment.control else Segment(escaped(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Reraise the error that is being handled; Rich would exit the program from here."""
        raise


def make_console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # With FORCE_COLOR set, Rich treats a file as a terminal and would draw its animation into it.
    if stream and stream.isatty():
        return _Console(stderr=stderr)
    return _Console(stderr=stderr, force_terminal=False)


def is_moving_terminal(console: Console | None = None) -> bool:
    """Return whether printed text may be overwritten.

    That needs a terminal, by default that of stdout, which is not `dumb`, and NO_COLOR must not be set.
    """
    console = console or make_console()
    return console.is_terminal and not console.is_dumb_terminal and not os.environ.get("NO_COLOR")


@cache
def error_console() -> Console:
    """Return the console of stderr, which the progress bar and messages share so that they do not garble each other."""
    return make_console(stderr=True)


def print_message(text: str) -> None:
    """Print a line on stderr, above the progress bar if there is one."""
    error_console().print(text, soft_wrap=True)


class ConsoleHandler(logging.Handler):
    """Handler that prints log messages through a console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False, soft_wrap=True)


@contextmanager
def messages(*, quiet: bool = False) -> Iterator[None]:
    """Print the log messages of the package on stderr; if quiet, only warnings and errors."""
    logger = logging.getLogger("faqnas_optuna")
    handler = ConsoleHandler(error_console())
    level_before = logger.level
    logger.addHandler(handler)
    # The package's logger, not the root: libraries stay silent.
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level_before)
        logger.removeHandler(handler)


def forget_console() -> None:
    """Drop the console, so that a forked process makes one for its own stderr."""
    # The handler holds the console of the parent and its lock.
    logging.getLogger("faqnas_optuna").handlers.clear()
    error_console.cache_clear()


@contextmanager
def show_progress(*, quiet: bool = False, console: Console | None = None) -> Iterator[ProgressCallback]:
    """Show progress on stderr: a bar on a terminal; elsewhere a line per generation, and one every few seconds.

    Args:
        console: Console to use instead of that of stderr.
    """
    console = console or error_console()
    if quiet:
        yield lambda _: None
        return
    with _live_bar(console) if is_moving_terminal(console) else _plain_lines(console) as update:
        yield update


@contextmanager
def _live_bar(console: Console) -> Iterator[ProgressCallback]:
    # Rich cuts a line that is too long, so a narrow terminal gets fewer figures.
    short = console.width < WIDE
    width = 16 if short else 24
    columns = (SpinnerColumn(), BarColumn(bar_width=width), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with ProgressBar(*columns, console=console) as bar:
        # No total yet: the bar pulses until the first progress.
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
    # The last printed progress by study: a worker may serve several.
    printed: dict[str, Progress] = {}
    is_idle = False

    def update(progress: "Progress | None") -> None:
        nonlocal last_line, is_idle
        if progress is None:
            if not is_idle:
                console.print(IDLE)
            is_idle = True
            return
        is_idle = False
        now = time.monotonic()
        # The first progress of a study is printed only with the next generation, or after some seconds.
        last = printed.setdefault(progress.study, progress)
        # A study that was complete from the beginning gets one line, too.
        ended = progress.trials == progress.planned and (progress is last or progress.trials > last.trials)
        if ended or progress.generation > last.generation or now - last_line >= PLAIN_LINE_EVERY_S:
            last_line = now
            printed[progress.study] = progress
            console.print(f"{progress.study}: {progress.describe()} · {now - started:.0f} s", soft_wrap=True)

    yield update


@contextmanager
def show_work(name: str, noun: str, planned: int, *, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """Show on stderr the progress of a known amount of work and its expected end, as a bar or as lines.

    Args:
        name: Name of the work.
        noun: Unit of the work, in the singular.
        planned: Total number of units.
        console: Console to use instead of that of stderr.

    Yields:
        Function to be called with the number of finished units; its first call sets the number finished before.
    """
    console = console or error_console()
    started = 0.0
    before: int | None = None
    last_line = 0.0
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with ProgressBar(*columns, console=console, disable=not is_moving_terminal(console)) as bar:
        task = bar.add_task(f"{name}: starting", total=planned)

        def update(done: int) -> None:
            nonlocal started, before, last_line
            now = time.monotonic()
            if before is None:
                started = now
                before = done
                # So that the first call prints a line.
                last_line = now - PLAIN_LINE_EVERY_S
            line = f"{name}: {done:,} of {planned:,} {noun}s{_expected_end(now - started, done - before, planned - done)}"
            bar.update(task, completed=done, description=line)
            # Without a terminal, a line every few seconds keeps log files short.
            if bar.disable and (now - last_line >= PLAIN_LINE_EVERY_S or done == planned):
                last_line = now
                console.print(line, soft_wrap=True)

        yield update


@contextmanager
def show_race(name: str, *, console: Console | None = None) -> Iterator[Callable[["RaceProgress"], None]]:
    """Show on stderr the progress of a race: a bar on a terminal; elsewhere a line per round, and one every few seconds.

    Args:
        name: Name of the race.
        console: Console to use instead of that of stderr.
    """
    console = console or error_console()
    started = time.monotonic()
    last_line = started - PLAIN_LINE_EVERY_S
    last_round: tuple[str, int] | None = None
    first: RaceProgress | None = None
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with ProgressBar(*columns, console=console, disable=not is_moving_terminal(console)) as bar:
        task = bar.add_task(f"{name}: starting", total=None)

        def update(progress: "RaceProgress") -> None:
            nonlocal last_line, last_round, first
            now = time.monotonic()
            first = first or progress
            done = progress.trainings - first.trainings
            end = _expected_end(now - started, done, progress.planned - progress.trainings, what=progress.part)
            line = f"{name}: {progress.describe()}{end}"
            bar.update(task, completed=progress.trainings, total=progress.planned, description=line)
            this_round = (progress.stage, progress.open_circuits)
            if bar.disable and (this_round != last_round or now - last_line >= PLAIN_LINE_EVERY_S):
                last_line = now
                console.print(f"{line} · {now - started:.0f} s", soft_wrap=True)
            last_round = this_round

        yield update


def _expected_end(seconds: float, done: int, remaining: int, *, what: str = "") -> str:
    """Return when the remaining work will be finished at the average pace so far.

    Args:
        what: Name of the part of the work that ends, followed by a space; empty if it is all of it.
    """
    if not (done and remaining):
        return ""
    # Naive local time, as on the user's clock.
    end = datetime.now() + timedelta(seconds=remaining * seconds / done)
    day = "" if end.date() == datetime.now().date() else f"{end:%d %B} "
    return f" · {what}ends at {day}{end:%H:%M}"
