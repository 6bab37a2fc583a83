import io
import logging
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console

from faqnas_optuna.cli import display
from faqnas_optuna.cli.display import ConsoleHandler, show_progress
from faqnas_optuna.results.documents import Progress

UseConsole = Callable[[Console], io.StringIO]


def at(trials: int, study: str = "iris") -> Progress:
    return Progress(
        study=study,
        generation=min(trials // 4 + 1, 2),
        generations=2,
        trials=trials,
        planned=8,
        best_accuracy=None if trials == 0 else 0.5 + trials / 100,
        front=2,
        hypervolume=0.25,
    )


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseConsole]:
    def use(console: Console) -> io.StringIO:
        monkeypatch.setattr(display, "error_console", lambda: console)
        assert isinstance(console.file, io.StringIO)
        return console.file

    yield use


def test_without_a_terminal_there_is_a_line_for_each_generation(on: UseConsole) -> None:
    output = on(Console(file=io.StringIO(), width=140))
    with show_progress() as update:
        for trials in range(9):
            update(at(trials))
    assert [line.rpartition(" · ")[0] for line in output.getvalue().splitlines()] == [
        "iris: generation 2/2 · 4 trials · best accuracy 0.540 · front 2 · hypervolume 0.2500",
        "iris: generation 2/2 · 8 trials · best accuracy 0.580 · front 2 · hypervolume 0.2500",
    ]


def test_several_studies_are_told_apart(on: UseConsole) -> None:
    output = on(Console(file=io.StringIO(), width=140))
    with show_progress() as update:
        for trials in range(5):
            update(at(trials))
            update(at(trials, study="wine"))
    assert [line.partition(":")[0] for line in output.getvalue().splitlines()] == ["iris", "wine"]


@pytest.mark.parametrize(
    ("width", "text"),
    [(140, "iris: generation 1/2 · 3 trials · best accuracy 0.530 · front 2"), (80, "iris: gen 1/2 · 3 trials · best 0.530")],
)
def test_on_a_terminal_there_is_a_bar_that_fits(on: UseConsole, width: int, text: str) -> None:
    output = on(Console(file=io.StringIO(), width=width, force_terminal=True))
    with show_progress() as update:
        update(at(3))
    assert text in output.getvalue()
    assert "━" in output.getvalue()
    assert "0:00:00" in output.getvalue()


def test_a_quiet_worker_shows_nothing(on: UseConsole) -> None:
    output = on(Console(file=io.StringIO(), width=140))
    with show_progress(quiet=True) as update:
        update(at(8))
    assert output.getvalue() == ""


def test_messages_are_printed_as_they_are() -> None:
    output = io.StringIO()
    handler = ConsoleHandler(Console(file=output, width=20))
    handler.emit(logging.LogRecord("x", logging.WARNING, "", 0, "trial %d [red]failed[/red] in a long line", (3,), None))
    assert output.getvalue() == "trial 3 [red]failed[/red] in a long line\n"
