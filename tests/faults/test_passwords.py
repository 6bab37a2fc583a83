"""Database passwords appear in no output, no process arguments and no table."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote, quote_plus

import psutil
import pytest
from sqlalchemy import MetaData, create_engine, select
from sqlalchemy.engine import make_url

from faqnas_optuna.storage.opening import open_storage
from tests.conftest import TIMEOUT_S, RunCli
from tests.support.crew import GRACE_S
from tests.support.databases import PASSWORD, PostgresServer

pytestmark = pytest.mark.slow


def shows_password(text: str) -> bool:
    """Return whether a text contains the password, plain or escaped as in a URL."""
    forms = {PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), quote_plus(PASSWORD)}
    return any(form in text for form in forms)


def arguments_below(process: psutil.Process) -> set[str]:
    """Return the arguments of a process and its descendants, which `ps` shows to every user."""
    arguments = set()
    # Other tests pass URLs with the same password at the same time.
    for descendant in (process, *process.children(recursive=True)):
        # A process may end in the meantime.
        with suppress(psutil.Error):
            arguments.add(" ".join(descendant.cmdline()))
    return arguments


def everything_in(url: str) -> str:
    """Return all rows of all tables as text."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        rows = [connection.execute(select(table)).all() for table in tables.tables.values()]
    engine.dispose()
    return repr(rows)


def test_the_password_is_in_no_output_no_arguments_and_no_row(
    postgres_url: str, start_cli: Callable[..., subprocess.Popen[str]], second_thread: dict[str, str]
) -> None:
    # The URL is on the command line, the worst case: only this process and its forks may show it, a new process must not.
    arguments = ("start", "--storage", postgres_url, "--dataset", "iris", "--population", "3", "--generations", "2")
    process = start_cli(*arguments, "--epochs", "1", "--workers", "2", env=second_thread)
    command_lines = set()
    parent = psutil.Process(process.pid)
    deadline = time.monotonic() + TIMEOUT_S
    while process.poll() is None:
        assert time.monotonic() < deadline, "the search does not end"
        command_lines |= arguments_below(parent)
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert any("faqnas_optuna worker iris" in line for line in command_lines)
    # A forked child has its parent's arguments until it executes another program.
    assert [line for line in command_lines if shows_password(line) and " faqnas_optuna start --storage " not in line] == []
    assert not shows_password(out + err)
    assert "iris" in (rows := everything_in(postgres_url))
    assert not shows_password(rows)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status",), 0),
        (("resume", "iris"), 2),
        (("show", "../iris", "0"), 2),
        (("start", "--dataset", "iris", "--study", "../iris"), 2),
        (("start", "--dataset", "iris", "--study", "<b>\x1b[31m"), 2),
        (("start", "--dataset", "nothing"), 2),
    ],
    ids=["status", "resume", "show", "path", "markup", "dataset"],
)
def test_no_command_shows_the_password(
    postgres_url: str, cli_here: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], code: int
) -> None:
    open_storage(postgres_url, create=True)
    exit_code, out, err = cli_here(*arguments, "--storage", postgres_url)
    assert exit_code == code, err
    assert not shows_password(out + err)
    assert "\x1b" not in out + err


@pytest.mark.parametrize(
    "fault",
    ["wrong password", "no such database", "nobody listens", "no port", "not escaped", "a URL as the database's name"],
)
def test_no_failure_to_connect_shows_the_password(
    postgres_server: PostgresServer, postgres_url: str, cli_here: Callable[..., tuple[int, str, str]], fault: str
) -> None:
    url = make_url(postgres_url)
    faulty = {
        "wrong password": url.set(username="postgres"),
        "no such database": url.set(database="nothing"),
        "nobody listens": url.set(port=1),
        "no port": url,
        "not escaped": url,
        # PostgreSQL repeats names in its errors only up to a length, which this one exceeds.
        "a URL as the database's name": url.set(query={"dbname": f"postgresql://me:{PASSWORD}@{'host.' * 9}example/db"}),
    }[fault].render_as_string(hide_password=False)
    if fault == "no port":
        faulty = faulty.replace(f":{postgres_server.port}/", ":port/")
    if fault == "not escaped":
        faulty = faulty.replace(quote(PASSWORD, safe=" +"), PASSWORD)
        assert PASSWORD in faulty
    code, out, err = cli_here("status", "--storage", faulty)
    assert code == 4, err
    assert err.startswith("Error: ") and err.count("\n") == 1
    assert not shows_password(out + err)
    # Without escapes, the driver may take the end of the password for another part of the URL.
    assert "ss/w" not in out + err


def test_a_hint_does_not_repeat_the_password(postgres_url: str, cli_here: Callable[..., tuple[int, str, str]]) -> None:
    open_storage(postgres_url, create=True)
    _, out, _ = cli_here("status", "--storage", postgres_url)
    assert out == "no studies yet; start one with: faqnas-optuna start --dataset wine --storage-file FILE_WITH_THE_URL\n"


def test_an_error_in_a_process_of_its_own_does_not_show_the_password(postgres_url: str, run_forked: RunCli) -> None:
    url = make_url(postgres_url).set(port=1).render_as_string(hide_password=False)
    brief = {"FAQNAS_GRACE": str(GRACE_S), "FAQNAS_DATABASE_TIMEOUT": "2"}
    finished = run_forked("worker", "iris", env={"FAQNAS_STORAGE": url, **brief})
    assert finished.returncode == 4, finished.stderr
    assert "Traceback" not in finished.stderr
    assert not shows_password(finished.stdout + finished.stderr)
