"""Choice of the storage, and the commands that messages suggest."""

import os
import re
import shlex
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.lifecycle import stop
from faqnas_optuna.study.search import create
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.workers import loop as workers
from tests.conftest import cheap_values, copy_database, run_trials, small_config
from tests.support.commands import SMALL, Cli
from tests.support.commands import stored as stored  # the fixture


def test_the_storage_can_stand_in_a_file_of_ones_own(stored: Cli, tmp_path: Path) -> None:
    file = tmp_path / "storage"
    file.write_text(f"sqlite:///{tmp_path}/faqnas.db\n")
    file.chmod(0o644)
    code, _, err = stored("status", "--storage-file", "storage")
    assert (code, err) == (2, "Error: storage may hold a password but others can read it; run: chmod 600 storage\n")
    file.chmod(0o600)
    assert stored("status", "--storage-file", "storage")[0] == 0
    code, _, err = stored("status", "--storage-file", "absent")
    assert (code, err) == (2, "Error: absent: cannot read the storage's URL: No such file or directory\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "mine must hold one line, the storage's URL: postgresql://USER:PASSWORD@HOST/DATABASE"),
        (b" \n\n", "mine must hold one line, the storage's URL: postgresql://USER:PASSWORD@HOST/DATABASE"),
        (
            b"sqlite:///s3cret.db\n# ours\n",
            "mine must hold one line, the storage's URL: postgresql://USER:PASSWORD@HOST/DATABASE",
        ),
        (b"postgresql://me:s3cret\xff@host/db", "mine: cannot read the storage's URL: it is not UTF-8 text"),
    ],
    ids=["empty", "blank", "two lines", "bytes"],
)
def test_a_storage_file_that_holds_no_url_is_one_line(cli_here: Cli, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "mine"
    file.write_bytes(content)
    file.chmod(0o600)
    assert cli_here("status", "--storage-file", "mine") == (2, "", f"Error: {message}\n")


def test_a_storage_on_the_line_beats_a_file_in_the_environment(
    stored: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAQNAS_STORAGE_FILE", "absent")
    assert stored("status", "--storage", f"sqlite:///{tmp_path}/faqnas.db")[0] == 0
    assert stored("status")[0] == 2


def hints(text: str) -> list[list[str]]:
    """Return the commands that a message suggests, split as by a shell."""
    return [shlex.split(command) for command in re.findall(r": faqnas-optuna (.*)$", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def in_several_states(tmp_path_factory: pytest.TempPathFactory, iris: DataSplits) -> Path:
    """Return a database with studies that are finished, failed, stopped and new."""
    file = tmp_path_factory.mktemp("states") / "studies.db"
    storage = open_storage(f"sqlite:///{file}", create=True)
    finished, failed, stopped, _ = (create(storage, name, small_config(), iris) for name in ("done", "bad", "ended", "new"))
    run_trials(finished, 8, cheap_values)
    finished.advance(read_state(finished))
    for _ in range(4):
        with suppress(ZeroDivisionError):
            run_trials(failed, 1, lambda _: (1 / 0, 0))
    stop(stopped, StopReason.REQUESTED)
    return file


@pytest.fixture
def awkward(tmp_path: Path, in_several_states: Path) -> str:
    """Return the URL of a database with studies in several states, whose path needs quoting in a shell."""
    (tmp_path / "R & D").mkdir()
    copy_database(in_several_states, tmp_path / "R & D" / "$studies.db")
    return f"sqlite:///{tmp_path}/R & D/$studies.db?timeout=5"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["stop", "new"], ["resume", "new"]),
        (["worker", "ended"], ["resume", "ended"]),
        (["worker", "done"], ["resume", "done", "--generations", "6"]),
        (["resume", "done"], ["resume", "done", "--generations", "6"]),
        (["pareto", "new"], ["status", "new"]),
        (["resume", "bad"], ["show", "bad", "3"]),
        (["start", "--dataset", "iris", "--detach"], ["worker", "iris"]),
        (
            ["start", "--dataset", "iris", "--study", "new", "--population", "4", "--generations", "3", "--epochs", "1"],
            ["resume", "new", "--generations", "N"],
        ),
    ],
    ids=" ".join,
)
def test_hints_can_be_typed_as_they_stand(cli_here: Cli, awkward: str, arguments: list[str], hint: list[str]) -> None:
    _, out, err = cli_here(*arguments, "--storage", awkward)
    assert hints(out + err) == [[*hint, "--storage", awkward]]


def test_hints_name_the_storage_that_was_named(cli_here: Cli, awkward: str, tmp_path: Path) -> None:
    file = tmp_path / "my storage"
    file.write_text(awkward)
    file.chmod(0o600)
    message = cli_here("pareto", "new", "--storage-file", "my storage")[2]
    assert hints(message) == [["status", "new", "--storage-file", "my storage"]]
    assert cli_here(*hints(message)[0])[0] == 0
    file.chmod(0o644)
    assert cli_here("status", "--storage-file", "my storage")[2].endswith("run: chmod 600 'my storage'\n")


def test_hints_do_not_repeat_what_is_in_the_environment(cli_here: Cli, awkward: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAQNAS_STORAGE", awkward)
    assert hints(cli_here("pareto", "new")[2]) == [["status", "new"]]


def test_hints_name_a_database_that_holds_no_studies(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    begin = [["start", "--dataset", "wine", "--storage", "sqlite:///empty.db"]]
    assert hints(cli_here("status", "--storage", "sqlite:///empty.db")[2]) == begin
    open_storage(f"sqlite:///{tmp_path}/empty.db", create=True)
    assert hints(cli_here("status", "--storage", "sqlite:///empty.db")[1]) == begin
    assert hints(cli_here("worker", "--until-idle", "--storage", "sqlite:///empty.db")[2]) == begin


def test_hints_after_an_outage_or_a_signal_can_be_typed(cli_here: Cli, awkward: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_the_database(*_: object, **__: object) -> None:
        raise OperationalError("", None, Exception("gone away"))

    monkeypatch.setattr(workers, "run", lose_the_database)
    for command in (["worker", "new"], ["resume", "new"]):
        code, _, err = cli_here(*command, "--storage", awkward)
        assert (code, hints(err)) == (4, [[*command, "--storage", awkward]])
    monkeypatch.setattr(workers, "run", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    for command in (["worker", "new"], ["resume", "new"]):
        code, _, err = cli_here(*command, "--storage", awkward)
        assert (code, hints(err)) == (143, [[*command, "--storage", awkward]])


def test_hints_of_a_finished_search_can_be_typed(cli_here: Cli, awkward: str) -> None:
    code, out, err = cli_here("start", *SMALL, "--study", "done", "--storage", awkward)
    assert code == 0, err
    commands = re.findall(r"^  faqnas-optuna (.*?)  ", out, re.MULTILINE)
    assert [shlex.split(command)[-2:] for command in commands] == [["--storage", awkward]] * 4
    assert cli_here(*shlex.split(commands[0]))[0] == 0
