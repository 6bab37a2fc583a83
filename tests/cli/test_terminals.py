"""Output on narrow and wide terminals."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from faqnas_optuna.reporting.documents import trial_document
from faqnas_optuna.storage.opening import batched
from faqnas_optuna.study.objective import suggest
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from tests.conftest import RunCli, cheap_values, run_trials
from tests.support.sampling import mostly_slow
from tests.support.terminal import LongSearch, each_width
from tests.support.terminal import at_terminal as at_terminal  # the fixture

NAME = "breast-cancer-with-fifty-epochs-and-more"


@pytest.fixture
def long_names(new_search: Callable[..., Search]) -> Search:
    """Return a finished study, next to one with two workers; both have names of 40 characters."""
    finished = new_search(name=NAME)
    run_trials(finished, 8, cheap_values)
    finished.advance(read_state(finished))
    running = new_search(name=NAME[::-1])
    for worker in ("a-host-of-a-cluster-with-a-long-name:1234567", "b:1"):
        trial = running.study.ask()
        suggest(trial, running.config.space)
        trial.set_user_attr("worker", worker)
        batched(running.study).store(trial._trial_id)
    return finished


@each_width
def test_status_is_whole(long_names: Search, at_terminal: LongSearch, columns: int) -> None:
    terminal = at_terminal("status", columns=columns)
    assert terminal.end() == 0
    header, first, *others = terminal.lines
    assert header.split()[:6] == ["study", "gen", "trials", "best", "front", "hypervolume"]
    # The name is shortened in the middle, so that the terminal breaks no line.
    assert first.split()[0] == NAME or re.fullmatch(r"breast[\w-]*…[\w-]*more", first.split()[0])
    assert first.split()[1:3] == ["2/2", "8"]
    text = "\n".join(terminal.lines)
    assert "finished" in text and "running, 2 workers" in text
    assert sum("qubits, " in line for line in others) == 2
    assert re.search(r"a-host[\w-]*…[\w:-]*4567|a-host-of-a-cluster-with-a-long-name:1234567", text)


@each_width
def test_many_finished_studies_are_a_line_each(
    new_search: Callable[..., Search], at_terminal: LongSearch, columns: int
) -> None:
    for number in range(3):
        search = new_search(name=f"{NAME[:-1]}{number}")
        run_trials(search, 8, cheap_values)
        search.advance(read_state(search))
    terminal = at_terminal("status", columns=columns)
    assert terminal.end() == 0
    assert [line.split()[-1] for line in terminal.lines] == ["state", "finished", "finished", "finished"]
    assert [line.split()[0][-1] for line in terminal.lines[1:]] == ["0", "1", "2"]


@each_width
def test_the_front_is_whole(long_names: Search, at_terminal: LongSearch, columns: int) -> None:
    terminal = at_terminal("pareto", NAME, columns=columns)
    assert terminal.end() == 0
    circuits = [str(candidate.effective_gates) for candidate in read_state(long_names).front]
    assert [line[line.index(circuit) :] for line in terminal.lines for circuit in circuits if circuit in line] == circuits
    assert "accuracy  quantum FLOPs  classical FLOPs  parameters" in terminal.lines[0]


@each_width
def test_one_trial_is_shown(long_names: Search, at_terminal: LongSearch, columns: int) -> None:
    document = trial_document(long_names, 3)
    terminal = at_terminal("show", NAME, "3", columns=columns)
    assert terminal.end() == 0
    values = dict(re.findall(r"^(\S.*?) {2,}(\S.*)$", "\n".join(terminal.lines), re.MULTILINE))
    # 60 columns suffice for the widest value next to its label.
    assert values["study"] == NAME
    assert (values["generation"], values["accuracy"]) == ("1", f"{document['val_accuracy']:.3f}")
    drawn = [line for line in terminal.lines if re.match(r"\d: ", line)]
    for wire, line in enumerate(document["drawing"].splitlines()):
        assert f"{wire}: " + "".join(part[3:] for part in drawn if part.startswith(f"{wire}: ")) == line


BUSY = ("start", "iris", "--population", "10", "--generations", "9999", "--patience", "9999", "--epochs", "1")


@pytest.mark.parametrize("workers", mostly_slow(["1", "2"]))
def test_ctrl_c_and_messages_leave_the_bar_whole(at_terminal: LongSearch, workers: str) -> None:
    terminal = at_terminal(*BUSY, "--workers", workers, columns=80)
    terminal.read_until(lambda lines: any(re.search(r"gen [2-9]/9999", line) for line in lines))
    terminal.type(b"\x03")
    assert terminal.end() == 130
    bars = [line for line in terminal.lines if "gen " in line and "/9999" in line]
    assert len(bars) == 1, terminal.lines
    # The line must contain nothing but the bar.
    assert re.fullmatch(r"(\^C)?\S? ?[━╸╺ ]+ iris: gen \d+/9999 · \d+ trials · best \d\.\d+ \d:\d\d:\d\d", bars[0]), bars
    (message,) = [line for line in terminal.lines if "SIGINT" in line]
    # Between two trials this process has none to finish, but another worker may have one.
    idle = "leaving" if workers == "1" else "finishing the running trials; signal again to abandon them"
    assert re.fullmatch(rf"(\^C)?SIGINT: (finishing the running trial; signal again to abandon it|{idle})", message)
    after = "\n".join(terminal.lines[terminal.lines.index(bars[0]) :])
    assert "interrupted; finished trials are kept. Continue with: faqnas-optuna resume iris" in after.replace("\n", " ")


@pytest.mark.parametrize("env", mostly_slow([{"NO_COLOR": "1"}, {"TERM": "dumb"}]), ids=["NO_COLOR", "dumb"])
def test_who_wants_plain_lines_gets_them(at_terminal: LongSearch, env: dict[str, str]) -> None:
    terminal = at_terminal("start", "iris", "--population", "4", "--generations", "2", "--epochs", "1", columns=80, env=env)
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.output
    assert any(line.startswith("iris: generation 2/2 · 8 trials") for line in terminal.lines)
    (again,) = [line for line in terminal.lines if line.startswith("Finished: all 2 generations are done. 8 trials")]
    assert again


@pytest.mark.slow
def test_libraries_say_nothing(long_names: Search, run_cli: RunCli, tmp_path: Path) -> None:
    """Give Matplotlib an unusable cache directory, which it would warn about."""
    (tmp_path / "a-file").touch()
    drawn = run_cli("pareto", NAME, "--plot", "front.png", env={"MPLCONFIGDIR": str(tmp_path / "a-file" / "x")})
    assert (drawn.returncode, drawn.stderr) == (0, "wrote front.png\n")


def complete(run_forked: RunCli, shell: str, *words: str) -> list[str]:
    """Return the completions that a shell offers for the last word."""
    line = {"COMP_WORDS": "faqnas-optuna " + " ".join(words), "COMP_CWORD": str(len(words))}
    process = run_forked(env={**line, "_FAQNAS_OPTUNA_COMPLETE": f"{shell}_complete"})
    assert (process.returncode, process.stderr) == (0, "")
    return [line.partition(",")[2] for line in process.stdout.split()]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("st",), ["start", "status", "stop"]),
        (("start", "i"), ["iris"]),
        (("start", "--dataset", "mn"), ["mnist-5k", "mnist"]),
        (("start", "wine", "--fl"), ["--flops"]),
        (("show", "br"), [NAME]),
        (("worker", ""), [NAME, NAME[::-1]]),
        (("status", "--storage", "sqlite:///absent.db", "b"), []),
        (("status", "--storage", "nonsense", "b"), []),
    ],
    ids=" ".join,
)
def test_a_shell_completes_names(
    long_names: Search, run_forked: RunCli, tmp_path: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    before = {*tmp_path.iterdir()}
    assert complete(run_forked, "bash", *words) == offered
    assert {*tmp_path.iterdir()} <= before
