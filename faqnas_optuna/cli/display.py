"""What a person sees: live progress, plain lines where there is no terminal, and tables."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

if TYPE_CHECKING:
    # At run time these would bring torch into commands that do without.
    from faqnas_optuna.config import SearchConfig
    from faqnas_optuna.evidence.measurement import Measurement
    from faqnas_optuna.results.documents import Progress
    from faqnas_optuna.search.records import Candidate
    from faqnas_optuna.search.standing import Standing
    from faqnas_optuna.workers.readiness import Finding

PLAIN_LINE_EVERY_S = 10.0
PIPE_WIDTH = 140
"""Columns of a table that goes into a pipe or a file, where nobody can say how wide it is."""

WIDE = 125
"""Columns that the bar with everything beside it needs."""

ProgressCallback = Callable[["Progress"], None]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise what is being handled: Rich would end the program here, within whatever it does."""
        raise


def make_console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # Asked here: Rich takes a file for a terminal if FORCE_COLOR is set, and would draw its animation into it.
    if stream and stream.isatty():
        return _Console(stderr=stderr, highlight=False)
    return _Console(stderr=stderr, highlight=False, width=PIPE_WIDTH, force_terminal=False)


def is_moving_terminal(console: Console | None = None) -> bool:
    """Whether what was printed can be overwritten: on a terminal, by default that of stdout, which is not `dumb`."""
    console = console or make_console()
    return console.is_terminal and not console.is_dumb_terminal


@cache
def error_console() -> Console:
    """The one console on stderr: the progress bar and messages must share it, or they tear each other."""
    return make_console(stderr=True)


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


def describe(progress: "Progress", *, short: bool = False) -> str:
    trials = _counted(progress.trials, "trial")
    accuracy = "–" if progress.best_accuracy is None else f"{progress.best_accuracy:.3f}"
    if short:
        return f"gen {progress.generation}/{progress.generations} · {trials} · best {accuracy}"
    return (
        f"generation {progress.generation}/{progress.generations} · {trials} · best accuracy {accuracy}"
        f" · front {progress.front} · hypervolume {progress.hypervolume:.4f}"
    )


@contextmanager
def _live_bar(console: Console) -> Iterator[ProgressCallback]:
    short = console.width < WIDE
    width = 16 if short else 24
    columns = (SpinnerColumn(), BarColumn(bar_width=width), TextColumn("{task.description}"), TimeElapsedColumn())
    with ProgressBar(*columns, console=console) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda progress: bar.update(
            task,
            completed=progress.trials,
            total=progress.planned,
            description=f"{progress.study}: {describe(progress, short=short)}",
        )


@contextmanager
def _plain_lines(console: Console) -> Iterator[ProgressCallback]:
    started = time.monotonic()
    last_line = started
    # The generation last told of, by study: a worker may serve several.
    told: dict[str, int] = {}

    def update(progress: "Progress") -> None:
        nonlocal last_line
        now = time.monotonic()
        advanced = progress.generation > told.setdefault(progress.study, progress.generation)
        if advanced or now - last_line >= PLAIN_LINE_EVERY_S or progress.trials == progress.planned:
            last_line, told[progress.study] = now, progress.generation
            console.print(f"{progress.study}: {describe(progress)} · {now - started:.0f} s", soft_wrap=True)

    yield update


def print_front(front: Iterable["Candidate"]) -> None:
    table = _table("trial", "accuracy", "quantum FLOPs", "classical FLOPs", "parameters", last="circuit")
    for candidate in front:
        record = candidate.record
        table.add_row(
            str(candidate.trial),
            f"{record.val_accuracy:.3f}",
            f"{candidate.quantum_flops:,}",
            f"{record.classical_flops:,}",
            f"{record.parameters:,}",
            record.summary,
        )
    make_console().print(table)


def print_outlook(standing: "Standing", document: Mapping[str, Any], *, storage_option: str) -> None:
    """Why the search ended, what to make of it, and what to type next."""
    from faqnas_optuna.results.advice import advice

    console, search = make_console(), standing.search
    given_up = f", {document['given_up']} given up" if document["given_up"] else ""
    console.print(
        f"\nStopped because {_reason(document['stop_reason'], search.config.search)}: {_counted(document['trials'], 'trial')}"
        f" ({document['trained']} trained, {document['reused']} reused, {document['failed']} failed{given_up}),"
        f" hypervolume {document['hypervolume']:.4f}, {document['seconds']:.0f} s.",
        soft_wrap=True,
    )
    for line in advice(standing):
        console.print(f"Note: {line}", soft_wrap=True)
    commands = {
        f"show {search.name} {document['front'][-1]['trial']}{storage_option}": "the most accurate circuit, drawn",
        f"pareto {search.name} --plot front.html{storage_option}": "the front as an interactive plot",
        f"dashboard{storage_option}": "every trial in optuna-dashboard",
    }
    width = max(map(len, commands))
    console.print("\nNext:")
    for command, shown in commands.items():
        console.print(f"  faqnas-optuna {command:{width}}  {shown}", markup=False, soft_wrap=True)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _reason(reason: str | None, limits: "SearchConfig") -> str:
    """A `StopReason` in words."""
    one = limits.generations == 1
    reasons = {
        "generations": "the only generation is done" if one else f"all {limits.generations} generations are done",
        "stagnation": f"{_counted(limits.patience, 'generation')} brought no improvement",
        "requested": "it was asked to",
        "failures": f"{limits.population} trials failed in a row",
    }
    return reasons[reason] if reason else "it was interrupted"


def print_trial(document: Mapping[str, Any]) -> None:
    """A `trial_document`: a line for each value, genes last, and the drawing."""
    hidden = ("schema_version", "genome", "drawing")
    fields = {name: value for name, value in document.items() if name not in hidden} | document.get("genome", {})
    console = make_console()
    for name, value in fields.items():
        shown = "–" if value is None else f"{value:.4f}" if isinstance(value, float) else value
        console.print(f"{LABELS.get(name, name.replace('_', ' ')):26}{shown}", markup=False, soft_wrap=True)
    if "drawing" in document:
        console.print(f"\n{document['drawing']}", markup=False, soft_wrap=True)


LABELS = {"generation": "generation (from 0)", "val_accuracy_interval": "95 % interval"}


def print_status(document: Mapping[str, Any]) -> None:
    """A line for each study, why those that have stopped did, how long the others take, and who works on them."""
    numbers = ("generation", "trials", "running", "failed", "best", "front", "hypervolume")
    table, remarks = _table("study", *numbers, last="state"), []
    workers = _table("worker", "study", "trial", "last heartbeat", last="circuit")
    for study in document["studies"]:
        trials, best, stop = study["trials"], study["best_accuracy"], study["stop"]
        table.add_row(
            study["study"],
            f"{study['generations_closed']}/{study['generations']}",
            str(trials["successful"]),
            str(trials["running"]),
            str(trials["failed"]),
            "–" if best is None else f"{best:.3f}",
            str(study["front"]),
            f"{study['hypervolume']:.4f}",
            study["state"],
        )
        if stop:
            remarks.append(f"{study['study']} stopped: {stop['reason']}, {stop['at']}, {stop['by']}")
        elif study["resumed"]:
            remarks.append(f"{study['study']} resumed: {study['resumed'][-1]['at']}, {study['resumed'][-1]['by']}")
        if study["workers"] and (left := study["minutes_left"]) is not None:
            limit = f"at most {_counted(round(left), 'minute')}" if left >= 0.5 else "less than a minute"
            remarks.append(f"{study['study']}: {study['trials_per_minute']:.1f} trials a minute, {limit} left")
        for worker in study["workers"]:
            heard = "–" if worker["heard_s_ago"] is None else f"{worker['heard_s_ago']:.0f} s ago"
            workers.add_row(worker["worker"] or "–", study["study"], str(worker["trial"]), heard, worker["circuit"] or "–")
    remarks += [f"leaving out study {left['study']}: {left['reason']}" for left in document["left_out"]]
    console = make_console()
    if table.row_count:
        console.print(table)
    for remark in remarks:
        console.print(remark, markup=False, soft_wrap=True)
    if workers.row_count:
        console.print()
        console.print(workers)


def print_datasets(datasets: Iterable[Mapping[str, Any]]) -> None:
    table = _table("name", "samples", "features", "classes", last="source")
    for dataset in datasets:
        numbers = (f"{dataset[column]:,}" for column in ("samples", "features", "classes"))
        table.add_row(dataset["name"], *numbers, dataset["source"])
    make_console().print(table)


def print_finding(finding: "Finding") -> None:
    """A line: whether it is well, what it is, how it is."""
    mark = "ready" if finding.ready else "LACKS"
    make_console().print(f"{mark}  {finding.what:9} {finding.told}", markup=False, soft_wrap=True)


def print_bench(measurements: Iterable["Measurement"]) -> None:
    table = _table("what", "ours", "reference", "ratio", "target", "met", last="case")
    for one in measurements:
        table.add_row(
            one.what,
            f"{one.value:.3g} {one.unit}",
            "–" if one.reference is None else f"{one.reference:.3g} {one.unit}",
            "–" if one.ratio is None else f"{one.ratio:.1f}",
            one.target or "–",
            "yes" if one.met else "no",
            one.case,
        )
    make_console().print(table)


def _table(first: str, *middle: str, last: str) -> Table:
    """A plain table: texts at both ends to the left, what is between to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for column in middle:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(last)
    return table
