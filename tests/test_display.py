import io
import logging

from rich.console import Console

from faqnas_optuna.display import ConsoleHandler, show_progress
from faqnas_optuna.report import Progress


def at(trials: int) -> Progress:
    return Progress(
        generation=min(trials // 4 + 1, 2),
        generations=2,
        trials=trials,
        planned=8,
        best_accuracy=None if trials == 0 else 0.5 + trials / 100,
        front=2,
        hypervolume=0.25,
    )


def test_without_a_terminal_there_is_a_line_for_each_generation() -> None:
    output = io.StringIO()
    with show_progress(Console(file=output, width=140)) as update:
        for trials in range(9):
            update(at(trials))
    assert [line.rpartition(" · ")[0] for line in output.getvalue().splitlines()] == [
        "generation 2/2 · 4 trials · best accuracy 0.540 · front 2 · hypervolume 0.2500",
        "generation 2/2 · 8 trials · best accuracy 0.580 · front 2 · hypervolume 0.2500",
    ]


def test_on_a_terminal_there_is_a_bar() -> None:
    output = io.StringIO()
    with show_progress(Console(file=output, width=140, force_terminal=True)) as update:
        update(at(3))
    assert "generation 1/2 · 3 trials · best accuracy 0.530" in output.getvalue()
    assert "━" in output.getvalue()


def test_messages_are_printed_as_they_are() -> None:
    output = io.StringIO()
    handler = ConsoleHandler(Console(file=output, width=20))
    handler.emit(logging.LogRecord("x", logging.WARNING, "", 0, "trial %d [red]failed[/red] in a long line", (3,), None))
    assert output.getvalue() == "trial 3 [red]failed[/red] in a long line\n"
