import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

import click
import optuna
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from faqnas_optuna.__main__ import MessageStream
from faqnas_optuna.cli.program import cli
from faqnas_optuna.data import idx_files
from faqnas_optuna.data.named import DATASETS
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.training import evaluation
from tests.conftest import TIMEOUT_S, cheap_values, cli_environment, run_trials
from tests.support.commands import SMALL, Cli
from tests.support.commands import stored as stored  # the fixture
from tests.support.forked import Forked
from tests.support.sampling import mostly_slow


@pytest.mark.parametrize("name", [None, *cli.commands])
def test_every_command_has_help(name: str | None) -> None:
    result = CliRunner().invoke(cli, [*([name] if name else []), "--help"])
    assert result.exit_code == 0
    command = cli.commands[name] if name else cli
    assert command.help
    for parameter in command.params:
        is_for_us = isinstance(parameter, click.Option) and parameter.hidden
        assert parameter.param_type_name == "argument" or parameter.help or is_for_us, f"{name} {parameter.name}"


@pytest.mark.parametrize("name", cli.commands)
def test_every_option_can_be_set_in_the_environment(name: str) -> None:
    for parameter in cli.commands[name].params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            long = parameter.opts[0].lstrip("-").replace("-", "_").upper()
            # A variable must not make every call write the same file, nor be refused for a size or shots without a plot or
            # noise. Settings of `start` must not change other commands. `--listen` is internal.
            files = {("pareto", option) for option in ("CSV", "LATEX", "PLOT", "SIZE", "GROUP_BY")}
            files |= {("confirm", option) for option in ("LATEX", "SHOTS", "PLOT", "NAME", "SIZE", "CSV")}
            files |= {("experiment", option) for option in ("CSV", "LATEX", "PLOT", "SIZE")}
            files |= {("compare", "PLOT"), ("compare", "SIZE"), ("space", "OUT"), ("export", "OUT"), ("report", "OUT")}
            budgets = {(command, "EPOCHS") for command in ("confirm", "enumerate", "compare")}
            budgets |= {(command, "REPEATS") for command in ("confirm", "enumerate")}
            # `compare` and `confirm` have variables of these names, and `pareto` refuses families in a search.
            budgets |= {("race", "TRAININGS"), ("race", "SECONDS"), ("race", "BY"), ("pareto", "BY")}
            budgets |= {(command, option) for command in ("start", "resume") for option in ("TRIALS", "SECONDS")}
            without = {("resume", "GENERATIONS"), ("worker", "LISTEN"), *budgets, *files}
            assert parameter.envvar == (None if (name, long) in without else f"FAQNAS_{long}")


def test_a_detached_start_prints_its_study_as_json(cli_here: Cli) -> None:
    code, out, _ = cli_here("start", "--dataset", "iris", "--detach", "--json")
    assert code == 0
    (study,) = json.loads(out)["studies"]
    assert (study["study"], study["state"], study["trials"]["successful"]) == ("iris", "idle", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "--dataset", "iris", "--study", ""], "it is ''"),
        (["start", "--dataset", ""], "unknown data set ''"),
        (["worker", "iris", "--until-idle"], "leave one of them out"),
    ],
)
def test_what_would_mean_nothing_is_refused(cli_here: Cli, arguments: list[str], message: str) -> None:
    code, out, err = cli_here(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_watching_a_study_that_has_stopped_ends(stored: Cli) -> None:
    assert stored("stop", "iris")[0] == 0
    code, out, _ = stored("status", "iris", "--watch")
    assert code == 0
    assert out.count("iris stopped") == 1


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
@pytest.mark.parametrize(("option", "begins"), [("--csv", "trial,"), ("--latex", r"% Needs \usepackage{booktabs,tabularx}.")])
def test_the_front_can_be_printed_as_a_table(stored: Cli, tmp_path: Path, option: str, begins: str, name: str) -> None:
    code, out, err = stored("pareto", "iris", option, name)
    assert (code, err) == (0, "")
    assert out.startswith(begins)
    assert stored("pareto", "iris", option, "front.txt")[2] == "wrote front.txt\n"
    assert out == (tmp_path / "front.txt").read_text()
    code, out, err = stored("pareto", "iris", option, name, "--json")
    assert (code, out) == (2, "")
    assert f"{option} {name} and --json both print to stdout; leave one of them out or give a file" in err


def test_one_table_alone_is_printed(stored: Cli) -> None:
    code, out, err = stored("pareto", "iris", "--csv", "-", "--latex", "-")
    assert (code, out) == (2, "")
    assert "--csv - and --latex - both print to stdout" in err


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'pennylane', 'optuna', 'rich', 'sklearn'}"
    program = f"import sys; from faqnas_optuna.cli.program import cli; print(*{heavy} & {{*sys.modules}})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert result.stdout.strip() == ""


def test_the_list_of_data_sets(cli_here: Cli) -> None:
    code, out, err = cli_here("datasets")
    assert (code, err) == (0, "")
    assert [line.split()[:4] for line in out.splitlines()[1:3]] == [["iris", "150", "4", "3"], ["wine", "178", "13", "3"]]
    listed = json.loads(cli_here("datasets", "--json")[1])
    assert listed["schema_version"] == 1
    assert [entry["name"] for entry in listed["datasets"]] == list(DATASETS)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["start"], 2, "no data set is given; add one, for instance --dataset wine"),
        (["start", "--dataset", "whine"], 2, "unknown data set 'whine': did you mean 'wine'?"),
        (["start", "--dataset", "wine", "--epochs", "0"], 2, "--epochs.*: 0 is not in the range"),
        (["start", "--dataset", "wine", "--lr", "nan"], 2, "--lr.*: 'nan' is not a valid float range"),
        (["start", "--dataset", "wine", "--lr", "-1"], 2, "--lr.*: -1.0 is not in the range 0<x<=10"),
        (["start", "--dataset", "wine", "--flops", "guess"], 2, "'guess' is not one of 'profiler', 'analytic'"),
        (["start", "--dataset", "wine", "--study", "../x"], 2, "a study's name has"),
        (["start", "--dataset", "wine", "--config", "absent.toml"], 2, "absent.toml: cannot read the study file"),
        (["start", "--dataset", "mnist", "--data-dir", "."], 2, "train-images-idx3-ubyte.*datasets --download mnist"),
        (["start", "--dataset", "wine", "--storage", "wine.db"], 4, "not a database URL"),
        (["start", "--dataset", "wine", "--bogus"], 2, "No such option.*--bogus"),
        (["sttus"], 2, "No such command 'sttus'"),
        (["status"], 4, "there is no database"),
        (["worker", "wine"], 4, "there is no database"),
        (["pareto", "wine"], 4, "there is no database"),
        (["dashboard"], 4, "there is no database"),
        (["stop", "wine", "--storage", "postgresql://u:secret@127.0.0.1:1/x"], 4, r"u:\*\*\*@127.0.0.1:1/x: .*refused"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    cli_here: Cli, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    exit_code, out, err = cli_here(*arguments)
    assert (exit_code, out) == (code, "")
    assert err.count("\n") == 1
    assert err.startswith("Error: ")
    assert re.search(message, err)
    assert "secret" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_toml_with_an_unknown_key_is_refused(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('dataset = "wine"\n[training]\nepoch = 3\n')
    code, _, err = cli_here("start", "--config", "mine.toml")
    assert (code, err) == (2, "Error: mine.toml: unknown setting 'training.epoch': did you mean 'epochs'?\n")


def test_a_study_with_other_settings_is_refused(stored: Cli) -> None:
    code, out, err = stored("start", "--dataset", "iris", "--population", "4", "--generations", "2", "--epochs", "9")
    assert (code, out) == (3, "")
    assert err == (
        "Error: study 'iris' exists with other settings: training.epochs: stored 1, requested 9;"
        " use the stored ones, or start another study with --study\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["pareto", "irs"], 2, "no study 'irs': did you mean 'iris'?"),
        (["pareto", "iris", "--plot", "front.gif"], 2, "the name of a plot must end in .png, .pdf, .svg or .html"),
        (
            ["pareto", "iris", "--plot", "front.html", "--size", "slide"],
            2,
            "leave out --size, or choose a .png, .pdf or .svg file",
        ),
        (["pareto", "iris", "--size", "column"], 2, "add --plot, for instance --plot front.pdf"),
        (["pareto", "iris", "--size", "poster"], 2, "'poster' is not one of 'column', 'page', 'slide'"),
        (["show", "iris", "8"], 2, "no trial 8; it has 0 to 7"),
        (["show", "iris", "0_1"], 2, "it must be a trial number, knee, best, cheapest-within:X or at-least:SCORE"),
        (["confirm", "iris", "--trials", "0_1"], 2, "--trials must be a list of trial numbers such as 19,48; it is '0_1'"),
        (["start", "wine", "--epochs", "1_0"], 2, "'1_0' is not a valid integer range"),
        (["show", "iris", "one"], 2, "it must be a trial number, knee, best, cheapest-within:X or at-least:SCORE"),
        *(
            ([*command, "best-under:1"], 2, "study 'iris': best-under:1: the cheapest circuit of the front, trial ")
            for command in (["show", "iris"], ["export", "iris"])
            + tuple([command, "iris", "--pick"] for command in ("pareto", "confirm", "export", "report"))
        ),
        (
            ["pareto", "iris", "--pick", "at-least:1"],
            2,
            "study 'iris': at-least:1: the most accurate circuit of the front, trial",
        ),
        (["worker", "irs"], 2, "no study 'irs'"),
        (["resume", "iris", "--generations", "0"], 2, "--generations"),
        (["resume", "iris", "--trials", "0"], 2, "--trials"),
        (["resume", "iris", "--trials", "8"], 2, "has 8 successful trials and its limit is 8: raise the limit with"),
        (["resume", "iris", "--seconds", "0"], 2, "--seconds"),
        (["start", "wine", "--trials", "1,000"], 2, "'1,000' is not a valid integer range"),
        (["start", "wine", "--seconds", "3", "--detach"], 2, "--detach starts no workers but --seconds limits their time"),
    ],
)
def test_wrong_names_are_one_line(stored: Cli, arguments: list[str], code: int, message: str) -> None:
    exit_code, out, err = stored(*arguments)
    assert (exit_code, out) == (code, "")
    assert err.count("\n") == 1
    assert message in err


def test_status_lists_studies(stored: Cli) -> None:
    code, out, err = stored("status")
    assert (code, err) == (0, "")
    header, line, majority = out.splitlines()
    assert majority == "Always predicting the majority class gives a validation accuracy of 0.333."
    assert header.split()[0] == "study"
    assert line.split()[:3] == ["iris", "2/2", "8"]
    assert line.split()[-1] == "idle"
    assert json.loads(stored("status", "iris", "--json")[1])["studies"][0]["trials"]["successful"] == 8


def test_pareto_prints_writes_and_draws(stored: Cli, tmp_path: Path) -> None:
    files = ("--csv", "front.csv", "--latex", "front.tex", "--plot", "front.png", "--size", "slide")
    code, out, err = stored("pareto", "iris", *files)
    assert code == 0
    assert err.splitlines() == ["wrote front.png", "wrote front.csv", "wrote front.tex"]
    front = json.loads(stored("pareto", "iris", "--json")[1])["front"]
    assert [line.split()[0] for line in out.splitlines()[1:-2]] == [str(entry["trial"]) for entry in front]
    assert out.splitlines()[-1] == "Always predicting the majority class gives a validation accuracy of 0.333."
    assert out.splitlines()[-2].startswith("Gates in brackets do not affect any measurement.")
    assert len((tmp_path / "front.csv").read_text().splitlines()) == 1 + len(front)
    assert (tmp_path / "front.tex").read_text().count(r" \\") == 1 + len(front)
    # The pixels of a slide, in the PNG header.
    assert (tmp_path / "front.png").read_bytes()[16:24] == struct.pack(">II", 1920, 1080)


def test_pareto_picks_one_circuit_and_says_why(stored: Cli, tmp_path: Path) -> None:
    whole = stored("pareto", "iris")[1].splitlines()
    front = json.loads(stored("pareto", "iris", "--json")[1])["front"]
    code, out, err = stored("pareto", "iris", "--pick", "best", "--csv", "front.csv", "--plot", "front.html")
    assert (code, err.splitlines()) == (0, ["wrote front.html", "wrote front.csv"])
    header, row, *_, why = out.splitlines()
    # The cells are equal; the column widths fit this single row.
    assert (header.split(), row.split()) == (whole[0].split(), whole[len(front)].split())
    lowest = front[-1]
    assert why == (
        f"Picked by best: of {len(front)} circuits it has the lowest error, {lowest['val_error']:.3f},"
        f" at {lowest['quantum_flops']:,} quantum FLOPs."
    )
    assert len((tmp_path / "front.csv").read_text().splitlines()) == 2
    drawn = (tmp_path / "front.html").read_text()
    assert all(f"<title>trial {entry['trial']}\n" in drawn for entry in front)
    document = json.loads(stored("pareto", "iris", "--pick", "best", "--json")[1])
    assert document["front"] == [lowest]
    assert f"Picked by {document['pick']['rule']}: {document['pick']['why']}." == why


@pytest.mark.parametrize("rule", ["cheapest", "cheapest-within:2", "best-under:1,000", ""])
def test_a_wrong_rule_is_refused_before_the_database_is_opened(cli_here: Cli, tmp_path: Path, rule: str) -> None:
    message = (
        "Error: Invalid value for '--pick' (env var: 'FAQNAS_PICK'):"
        " a rule is knee, best, cheapest-within:X or at-least:SCORE with a number from 0 to 1, or best-under:COST with a cost"
        f" above 0, as in cheapest-within:0.01; it is {rule!r}\n"
    )
    assert cli_here("pareto", "iris", "--pick", rule) == (2, "", message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("begun", "words"),
    [
        ("", ["knee", "best", "cheapest-within:0.01", "best-under:10000", "at-least:0.9"]),
        ("be", ["best", "best-under:10000"]),
        ("x", []),
    ],
)
def test_a_shell_completes_the_rules(begun: str, words: list[str]) -> None:
    completion = ShellComplete(cli, {}, "faqnas-optuna", "_FAQNAS_OPTUNA_COMPLETE")
    assert [item.value for item in completion.get_completions(["pareto", "iris", "--pick"], begun)] == words


def test_show_takes_the_circuit_that_a_rule_picks(stored: Cli) -> None:
    (best,) = json.loads(stored("pareto", "iris", "--pick", "best", "--json")[1])["front"]
    assert stored("show", "iris", "best") == stored("show", "iris", str(best["trial"]))


def test_show_draws_the_circuit(stored: Cli) -> None:
    code, out, err = stored("show", "iris", "0")
    assert (code, err) == (0, "")
    assert "┤  <Z>" in out
    document = json.loads(stored("show", "iris", "0", "--json")[1])
    assert document["trial"] == 0
    assert document["drawing"] in out


def test_stop_and_a_worker_that_finds_nothing_to_do(stored: Cli) -> None:
    assert stored("stop", "iris")[0] == 0
    code, out, _ = stored("stop", "iris")
    assert code == 0
    assert out.startswith("study iris is stopped: a user requested it (20")
    code, _, err = stored("worker", "iris")
    assert (code, err) == (0, "study iris is stopped: a user requested it. Continue with: faqnas-optuna resume iris\n")
    assert stored("worker", "iris", "--quiet") == (0, "", "")
    message = "no study is running; start one with: faqnas-optuna start --dataset wine\n"
    assert stored("worker", "--until-idle") == (0, "", message)
    assert stored("worker", "--until-idle", "--quiet") == (0, "", "")
    assert json.loads(stored("status", "--json")[1])["studies"][0]["trials"]["successful"] == 8


@pytest.fixture
def failing(new_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch) -> Search:
    """Return a study whose circuits all fail to train."""

    def evaluate(*_: object) -> None:
        raise TrainingError("the loss is nan")

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    return new_search()


@pytest.mark.parametrize("command", [("worker", "iris"), ("start", *SMALL)], ids=["worker", "start"])
@pytest.mark.parametrize(
    ("succeeded", "expected", "message"),
    [
        (0, 5, "no trial of study 'iris' has succeeded, and 4 have failed; see the last with: faqnas-optuna show iris 3"),
        (
            1,
            1,
            "study 'iris' has stopped because 4 trials failed in a row; see the last with: faqnas-optuna show iris 4",
        ),
    ],
    ids=["from the first trial on", "later"],
)
def test_a_study_that_stops_by_failures_ends_its_workers_with_their_code(
    failing: Search, cli_here: Cli, command: tuple[str, ...], succeeded: int, expected: int, message: str
) -> None:
    run_trials(failing, succeeded, cheap_values)
    code, _, err = cli_here(*command)
    assert (code, err.splitlines()[-1]) == (expected, f"Error: {message}")
    assert err.count("Error: study") + err.count("Error: no") == 1
    # A worker started after the study has stopped does nothing.
    line = "study iris has failed: 4 trials failed in a row. Continue with: faqnas-optuna resume iris\n"
    assert cli_here("worker", "iris") == (0, "", line)


def test_the_front_of_a_study_in_which_all_fails_says_so(failing: Search, cli_here: Cli) -> None:
    message = cli_here("worker", "iris")[2].splitlines()[-1]
    assert cli_here("pareto", "iris") == (5, "", f"{message}\n")


def test_a_quiet_worker_leaves_the_telling_to_others(failing: Search, cli_here: Cli) -> None:
    code, out, err = cli_here("worker", "iris", "--quiet")
    assert (code, out) == (5, "")
    assert re.fullmatch(r"(trial \d failed: TrainingError: the loss is nan\n){4}", err)


def test_the_environment_is_beaten_by_an_option(cli_here: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAQNAS_DATASET", "whine")
    assert "'whine'" in cli_here("start")[2]
    assert "'iriss'" in cli_here("start", "--dataset", "iriss")[2]
    (tmp_path / "mine.toml").write_text('dataset = "digitts"\n')
    assert "'whine'" in cli_here("start", "--config", "mine.toml")[2]
    monkeypatch.delenv("FAQNAS_DATASET")
    assert "'digitts'" in cli_here("start", "--config", "mine.toml")[2]


def test_a_detached_start_only_makes_the_study(cli_here: Cli) -> None:
    code, out, err = cli_here("start", "--dataset", "iris", "--detach")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "measuring the reliability of a training: 24 random circuits, 4 trainings of each",
        "study iris is waiting for workers: faqnas-optuna worker iris",
    ]
    (study,) = json.loads(cli_here("status", "--json")[1])["studies"]
    assert (study["state"], study["trials"]["successful"]) == ("idle", 0)


@pytest.mark.parametrize(
    ("form", "unbuffered"), mostly_slow([((), ""), (("--json",), ""), ((), "1")]), ids=["text", "json", "unbuffered"]
)
def test_a_reader_that_has_had_enough_is_told_nothing(
    search_of_eight: Search, start_cli: Callable[..., subprocess.Popen[str]], form: tuple[str, ...], unbuffered: str
) -> None:
    """Close standard output early, as `| head -1` does."""
    process = start_cli("pareto", "iris", *form, env={"PYTHONUNBUFFERED": unbuffered})
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, err) == (1, "")


@pytest.mark.parametrize("unbuffered", mostly_slow(["", "1"]))
def test_results_that_cannot_be_written_are_an_error(stored: Cli, tmp_path: Path, unbuffered: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full does not exist")
    command = f"{sys.executable} -m faqnas_optuna pareto iris --json >/dev/full"
    env = cli_environment({"PYTHONUNBUFFERED": unbuffered})
    process = subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (process.returncode, process.stderr) == (1, "Error: No space left on device: standard output\n")


def test_an_error_without_a_file_is_not_said_to_be_of_standard_output(
    cli_here: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(idx_files, "download", fail)
    code, out, err = cli_here("datasets", "--download", "mnist")
    assert (code, out) == (1, "")
    assert err.endswith("\nError: Connection reset by peer\n")


@pytest.mark.parametrize(
    "arguments",
    mostly_slow([("status",), ("datasets", "--no-such-option"), ()], tuples=True),
    ids=["ours", "usage", "help"],
)
def test_an_error_that_nobody_reads_keeps_its_exit_code(
    cli_here: Cli, start_cli: Callable[..., subprocess.Popen[str]], arguments: tuple[str, ...]
) -> None:
    process = start_cli(*arguments)
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(timeout=TIMEOUT_S) == cli_here(*arguments)[0]


def test_a_signal_may_come_in_the_middle_of_a_message() -> None:
    """Check that a signal handler may print while a message waits for a slow reader."""
    reader, writer = os.pipe()
    read: list[bytes] = []

    def read_all() -> None:
        time.sleep(1)
        with os.fdopen(reader, "rb") as pipe:
            read.append(pipe.read())

    with os.fdopen(writer, "w") as stream:
        messages = MessageStream(stream)
        before = signal.signal(signal.SIGALRM, lambda *_: print("signal", file=cast(TextIO, messages), flush=True))
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        thread = threading.Thread(target=read_all)
        thread.start()
        try:
            print("x" * 500_000, file=cast(TextIO, messages), flush=True)
        finally:
            signal.signal(signal.SIGALRM, before)
    thread.join()
    assert read[0].count(b"x") == 500_000


@pytest.mark.parametrize(("number", "code"), mostly_slow([(signal.SIGINT, 0), (signal.SIGTERM, 143)]))
def test_the_dashboard_command_serves_until_a_signal(
    search_of_eight: Search, fork_cli: Callable[..., Forked], number: signal.Signals, code: int
) -> None:
    process = fork_cli("dashboard", "--port", "0")
    line = process.stderr.readline()
    assert line.startswith("the dashboard is at http://127.0.0.1:") and line.endswith("/ (Ctrl-C ends it)\n")
    with urllib.request.urlopen(line.split()[4], timeout=TIMEOUT_S) as response:
        assert b"iris" in response.read()
    process.send_signal(number)
    assert process.wait(timeout=TIMEOUT_S) == code
    assert "Traceback" not in process.stderr.read()


def test_the_dashboard_says_what_it_exposes_and_takes_the_names_it_is_given(
    search_of_eight: Search, fork_cli: Callable[..., Forked]
) -> None:
    process = fork_cli("dashboard", "--port", "0", "--host", "0.0.0.0", env={"FAQNAS_ALLOW_HOST": "one.example two.example"})
    note, line = process.stderr.readline(), process.stderr.readline()
    assert re.fullmatch(
        r"Note: everyone who can reach port \d+ of this machine can see, but not change, all studies of this database without"
        r" a password; leave out --host to listen on this machine only\n",
        note,
    )
    url = line.split()[4].replace("0.0.0.0", "127.0.0.1")
    for name, status in (("one.example", 200), ("two.example:80", 200), ("three.example", 403)):
        request = urllib.request.Request(url, headers={"Host": name})
        try:
            urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
            answer = 200
        except urllib.error.HTTPError as refused:
            answer = refused.code
            refused.close()
        assert answer == status, name


def test_ctrl_c_while_the_program_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    process = subprocess.run(
        [sys.executable, "-m", "faqnas_optuna", "status"],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "")


def test_an_unknown_study_in_an_empty_storage_tells_how_to_begin(cli_here: Cli, storage_url: str) -> None:
    open_storage(storage_url, create=True)
    message = (
        "Error: there is no study 'iris' and no other study of faqnas-optuna; start one with: faqnas-optuna start"
        " --dataset wine\n"
    )
    for command in (("status", "iris"), ("stop", "iris"), ("resume", "iris"), ("pareto", "iris"), ("show", "iris", "0")):
        assert cli_here(*command) == (2, "", message)


def test_studies_of_others_are_told_apart(cli_here: Cli, storage_url: str) -> None:
    storage = open_storage(storage_url, create=True)
    for name in ("mine", "yours"):
        optuna.create_study(storage=storage, study_name=name)
    message = "no studies yet (and 2 of other programs); start one with: faqnas-optuna start --dataset wine\n"
    assert cli_here("status") == (0, message, "")
    assert json.loads(cli_here("status", "--json")[1])["studies"] == []
    message = "Error: study 'mine' was not created by faqnas-optuna; list those that were with: faqnas-optuna status\n"
    for command in (("status", "mine"), ("stop", "mine"), ("pareto", "mine"), ("show", "mine", "0"), ("worker", "mine")):
        assert cli_here(*command) == (2, "", message)
    code, _, err = cli_here("start", "iris", "--study", "mine")
    assert code == 2 and "did not make; choose another name with --study" in err


@pytest.mark.slow
def test_a_finished_study_is_shown_at_once(stored: Cli, search_of_eight: Search) -> None:
    """Check that neither the data nor torch are loaded and that nothing is trained."""
    search_of_eight.advance(read_state(search_of_eight))
    first, second = (stored("start", *data, "--population", "4", "--generations", "2", "--epochs", "1") for data in ASKED)
    assert first == second
    code, out, err = first
    assert (code, err) == (0, "")
    assert re.search(r"^Finished 2[-\d]+ [:\d]+ UTC: all 2 generations are done\. 8 trials ", out, re.MULTILINE)
    assert re.search(r", \d+ s after the start\.$", out, re.MULTILINE)
    output = stored("start", *SMALL, "--json")[1]
    document = json.loads(output)
    assert (document["state"], document["trials"]) == ("finished", 8)
    # Nothing was run, so the time is the integer 0, not a measurement.
    assert '"seconds": 0,' in output
    program = "import sys; from faqnas_optuna.__main__ import main\ntry: main()\nexcept SystemExit: print(*{*sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", program, "start", *SMALL],
        cwd=Path.cwd(),
        env=cli_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert not {"torch", "pennylane", "numba", "sklearn"} & {*loaded.stdout.splitlines()[-1].split()}
    # Settings are still compared with the stored ones.
    assert stored("start", "iris")[0] == 3


ASKED = (("iris",), ("--dataset", "iris"))


def test_the_data_set_stands_by_itself(cli_here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "unknown data set 'whine': did you mean 'wine'?" in cli_here("start", "whine")[2]
    assert "unknown data set ''" in cli_here("start", "")[2]
    code, _, err = cli_here("start", "wine", "--dataset", "iris")
    assert (code, err) == (2, "Error: two data sets are given, 'wine' and 'iris'; leave one of them out\n")
    monkeypatch.setenv("FAQNAS_DATASET", "digitts")
    assert "unknown data set 'whine'" in cli_here("start", "whine")[2]


@pytest.mark.parametrize("name", [("--study", "iris"), ("--study=iris",)], ids=" ".join)
def test_a_study_may_be_named_as_start_names_it(stored: Cli, name: tuple[str, ...]) -> None:
    assert stored("pareto", *name) == stored("pareto", "iris")
    assert stored("show", *name, "3") == stored("show", "3", *name) == stored("show", "iris", "3")
    assert stored("status", *name) == stored("status", "iris")
    assert stored("status", "iris", "--study", "other")[0] == 2


def test_limits_are_in_the_help() -> None:
    text = CliRunner().invoke(cli, ["start", "--help"], terminal_width=200).output
    for name, limit in {"population": "2<=x<=10000", "lr": "0<x<=10", "epochs": "1<=x<=100000"}.items():
        assert re.search(rf"--{name} .*{re.escape(limit)}", text)
