import io
import logging

import pytest
from rich.console import Console

from faqnas_optuna.cli.console import ConsoleHandler, make_console, messages, show_progress
from faqnas_optuna.study.work import SearchProgress


def at(trials: int, study: str = "iris") -> SearchProgress:
    return SearchProgress(
        study=study,
        generation=min(trials // 4 + 1, 2),
        generations=2,
        trials=trials,
        planned=8,
        best_score=None if trials == 0 else 0.5 + trials / 100,
        front=2,
        hypervolume=0.25,
    )


def text_on(console: Console) -> str:
    """Return the text written to a console."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_there_is_a_line_for_each_generation() -> None:
    output = Console(file=io.StringIO(), width=140)
    with show_progress(console=output) as update:
        for trials in range(9):
            update(at(trials))
    assert [line.rpartition(" · ")[0] for line in text_on(output).splitlines()] == [
        "iris: generation 2/2 · 4 trials · best accuracy 0.540 · front 2 · hypervolume 0.2500",
        "iris: generation 2/2 · 8 trials · best accuracy 0.580 · front 2 · hypervolume 0.2500",
    ]


def test_several_studies_are_told_apart() -> None:
    output = Console(file=io.StringIO(), width=140)
    with show_progress(console=output) as update:
        for trials in range(5):
            update(at(trials))
            update(at(trials, study="wine"))
    assert [line.partition(":")[0] for line in text_on(output).splitlines()] == ["iris", "wine"]


@pytest.mark.parametrize(
    ("width", "text"),
    [(140, "iris: generation 1/2 · 3 trials · best accuracy 0.530 · front 2"), (80, "iris: gen 1/2 · 3 trials · best 0.530")],
)
def test_on_a_terminal_there_is_a_bar_that_fits(width: int, text: str) -> None:
    output = Console(file=io.StringIO(), width=width, force_terminal=True)
    with show_progress(console=output) as update:
        update(at(3))
    assert text in text_on(output)
    assert "━" in text_on(output)
    assert "0:00:00" in text_on(output)


def test_a_quiet_worker_shows_nothing() -> None:
    output = Console(file=io.StringIO(), width=140)
    with show_progress(quiet=True, console=output) as update:
        update(at(8))
    assert text_on(output) == ""


def test_messages_are_printed_as_they_are() -> None:
    output = io.StringIO()
    handler = ConsoleHandler(Console(file=output, width=20))
    handler.emit(logging.LogRecord("x", logging.WARNING, "", 0, "trial %d [red]failed[/red] in a long line", (3,), None))
    assert output.getvalue() == "trial 3 [red]failed[/red] in a long line\n"


@pytest.mark.parametrize(("variable", "value"), [("FORCE_COLOR", "1"), ("TERM", "dumb"), ("NO_COLOR", "1")])
def test_a_file_gets_plain_lines_whatever_the_environment(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with show_progress(console=make_console(stderr=True)) as update:
        update(at(8))
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and "\x1b" not in err


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    output = Console(file=io.StringIO(), width=140, force_terminal=True)
    with show_progress(console=output) as update:
        update(at(8))
    assert "\x1b" not in text_on(output)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_worker_without_a_study_says_that_it_waits(is_terminal: bool) -> None:
    output = Console(file=io.StringIO(), width=140, force_terminal=is_terminal)
    with show_progress(console=output) as update:
        for progress in (None, None, at(4), None):
            update(progress)
    if is_terminal:
        assert "waiting for a study" in text_on(output)
        # The bar must not still show the last study.
        assert "4 trials" not in text_on(output).splitlines()[-1]
    else:
        assert text_on(output) == 2 * "waiting for a study\n"


def test_what_is_waited_for_at_the_end_is_told_once() -> None:
    output = Console(file=io.StringIO(), width=140)
    with show_progress(console=output) as update:
        for _ in range(3):
            update(at(8))
    assert text_on(output).count("\n") == 1


def test_one_is_not_many() -> None:
    text = at(1).describe()
    assert "1 trial ·" in text and "1 trials" not in text


@pytest.mark.parametrize("quiet", [False, True])
def test_messages_leave_the_logger_as_it_was(quiet: bool) -> None:
    logger = logging.getLogger("faqnas_optuna")
    before = logger.level, list(logger.handlers)
    with messages(quiet=quiet):
        assert logger.level == (logging.WARNING if quiet else logging.INFO)
    assert (logger.level, list(logger.handlers)) == before
