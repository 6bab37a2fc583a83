"""What a person sees: live progress, plain lines where there is no terminal, and tables."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from faqnas_optuna.report import Progress

PLAIN_LINE_EVERY_S = 10.0
PIPE_WIDTH = 140
"""Columns of a table that goes into a pipe or a file, where nobody can say how wide it is."""

ProgressCallback = Callable[[Progress], None]


def make_console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


class ConsoleHandler(logging.Handler):
    """Log messages through the console that also draws the progress bar, so that neither tears the other."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False, soft_wrap=True)


@contextmanager
def show_progress(console: Console) -> Iterator[ProgressCallback]:
    """A bar on a terminal; elsewhere a line for each generation, and one every few seconds."""
    with _live_bar(console) if console.is_terminal else _plain_lines(console) as update:
        yield update


def describe(progress: Progress) -> str:
    accuracy = "–" if progress.best_accuracy is None else f"{progress.best_accuracy:.3f}"
    return (
        f"generation {progress.generation}/{progress.generations} · {progress.trials} trials · best accuracy {accuracy}"
        f" · front {progress.front} · hypervolume {progress.hypervolume:.4f}"
    )


@contextmanager
def _live_bar(console: Console) -> Iterator[ProgressCallback]:
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn())
    with ProgressBar(*columns, console=console) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda progress: bar.update(
            task, completed=progress.trials, total=progress.planned, description=describe(progress)
        )


@contextmanager
def _plain_lines(console: Console) -> Iterator[ProgressCallback]:
    started = time.monotonic()
    last_line, last_generation = started, 1

    def update(progress: Progress) -> None:
        nonlocal last_line, last_generation
        now = time.monotonic()
        if (
            progress.generation > last_generation
            or now - last_line >= PLAIN_LINE_EVERY_S
            or progress.trials == progress.planned
        ):
            last_line, last_generation = now, progress.generation
            console.print(f"{describe(progress)} · {now - started:.0f} s", soft_wrap=True)

    yield update


def front_table(front: Iterable[Mapping[str, Any]], summaries: Mapping[int, str]) -> Table:
    """The front of a `pareto_document`, with the circuits of its trials in words."""
    table = _table("trial", "accuracy", "quantum FLOPs", "classical FLOPs", "parameters", last="circuit")
    for entry in front:
        table.add_row(
            str(entry["trial"]),
            f"{entry['val_accuracy']:.3f}",
            f"{entry['quantum_flops']:,}",
            f"{entry['classical_flops']:,}",
            f"{entry['parameters']:,}",
            summaries[entry["trial"]],
        )
    return table


def status_table(studies: Iterable[Mapping[str, Any]]) -> Table:
    numbers = ("generation", "successful", "running", "failed", "best accuracy", "front", "hypervolume")
    table = _table("study", "state", *numbers, last="workers")
    for study in studies:
        trials, best = study["trials"], study["best_accuracy"]
        table.add_row(
            escape(study["study"]),
            f"stopped: {study['stop']['reason']}" if study["stop"] else "running",
            f"{study['generations_closed']}/{study['generations']}",
            str(trials["successful"]),
            str(trials["running"]),
            str(trials["failed"]),
            "–" if best is None else f"{best:.3f}",
            str(study["front"]),
            f"{study['hypervolume']:.4f}",
            escape(", ".join(study["workers"])),
        )
    return table


def datasets_table(datasets: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("name", "samples", "features", "classes", last="source")
    for dataset in datasets:
        numbers = (f"{dataset[column]:,}" for column in ("samples", "features", "classes"))
        table.add_row(dataset["name"], *numbers, dataset["source"])
    return table


def _table(first: str, *middle: str, last: str) -> Table:
    """A plain table: texts at both ends to the left, what is between to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for column in middle:
        table.add_column(column, justify="right")
    table.add_column(last)
    return table
