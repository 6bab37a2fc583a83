"""Unsupported systems, and limits that the system sets for a process."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from faqnas_optuna.cache import user_cache
from faqnas_optuna.machine import COMPILER_BYTES, NO_MORE_PROCESSES, WINDOWS, limit_reached
from faqnas_optuna.storage.heartbeats import FAILURE, GIVEN_UP
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.training import evaluation
from tests.conftest import TIMEOUT_S, cli_environment, copy_database
from tests.support.crew import trials_of

SMALL = ("--dataset", "iris", "--population", "4", "--generations", "1", "--epochs", "1")
LIKE_WINDOWS = """
import enum, signal
has = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
numbers = {name: int(getattr(signal, name)) for name in has}
for name in [name for name in dir(signal) if name.startswith("SIG") and name not in (*has, "SIG_DFL", "SIG_IGN")]:
    delattr(signal, name)
for name in ("pthread_kill", "pthread_sigmask", "setitimer", "sigwait", "siginterrupt", "alarm", "pause"):
    delattr(signal, name)
signal.Signals = enum.IntEnum("Signals", numbers)
vars(signal).update({member.name: member for member in signal.Signals})
"""
"""Program that reduces the module `signal` to what it has on Windows."""
ANYBODY = 54321
"""User without other processes."""
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="these limits are enforced on Linux")


def run_python(program: str, *arguments: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, cwd=directory, env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@pytest.mark.parametrize("arguments", [("status",), ("start", *SMALL), ("--help",)], ids=lambda words: words[0])
def test_windows_is_refused_in_a_line_that_names_wsl(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    program = "import sys; sys.platform = 'win32'; from faqnas_optuna.__main__ import main; main()"
    finished = run_python(program, *arguments, directory=tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (1, "", f"Error: {WINDOWS}\n")
    assert "WSL" in WINDOWS
    assert not list(tmp_path.iterdir())


def test_windows_is_refused_in_python_too(tmp_path: Path) -> None:
    program = "import sys; sys.platform = 'win32'; from faqnas_optuna import search"
    finished = run_python(program, directory=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == f"faqnas_optuna.errors.PlatformError: {WINDOWS}"


WITH_FEWER_SIGNALS = f"""{LIKE_WINDOWS}
import sys
from faqnas_optuna.__main__ import main
def run(*arguments):
    sys.argv = ["faqnas-optuna", *arguments]
    try:
        main()
    except SystemExit as exited:
        assert exited.code == 0, exited.code
run("start", *{SMALL})
print("then")
run("status")
from faqnas_optuna import search
print(len(search("iris", population=4, generations=1, epochs=1).front) > 0)
"""
"""Program that runs a search and shows it, and runs another search in Python."""


@pytest.mark.slow
def test_no_signal_is_needed_that_windows_lacks(tmp_path: Path) -> None:
    finished = run_python(WITH_FEWER_SIGNALS, directory=tmp_path)
    assert finished.returncode == 0, finished.stderr
    _, *status, has_front = finished.stdout.partition("then\n")[2].splitlines()
    assert status[0].startswith("iris") and has_front == "True"


def limited(option: str, *arguments: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """Run the program under a limit set by the shell's `ulimit`."""
    command = ["sh", "-c", f'ulimit {option}; exec "$@"', "sh", sys.executable, "-m", "faqnas_optuna", *arguments]
    return subprocess.run(
        command, cwd=directory, env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@on_linux
def test_too_little_address_space_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    finished = limited("-v 450000", "start", *SMALL, directory=tmp_path)
    error = f"Error: training needs an address space of {COMPILER_BYTES // 1024:,} kB but this process is limited to 450,000"
    assert finished.returncode == 1
    assert (finished.stdout, finished.stderr) == ("", f"{error}; raise the limit (ulimit -v)\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@on_linux
def test_who_only_reads_needs_less_of_it(search_of_eight: Search, tmp_path: Path) -> None:
    read = limited("-v 450000", "status", directory=tmp_path)
    assert (read.returncode, read.stderr) == (0, "")
    assert search_of_eight.name in read.stdout
    refused = limited("-v 250000", "status", directory=tmp_path)
    error = "Error: memory has run out: this process is limited to 250,000 kB; raise the limit (ulimit -v)\n"
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", error)


@pytest.mark.slow
@on_linux
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to be another user")
def test_without_another_thread_no_trial_is_left_running(
    new_search: Callable[..., Search], open_directory: Path, tmp_path: Path
) -> None:
    search = new_search()
    # Compile here, so that the other user need not.
    evaluation.prepare(search.config.engines)
    shutil.copytree(user_cache().directory, open_directory / "faqnas-optuna", ignore=shutil.ignore_patterns("*.lock"))
    copy_database(tmp_path / "faqnas.db", open_directory / "faqnas.db")
    for path in (open_directory, *open_directory.rglob("*")):
        os.chown(path, ANYBODY, ANYBODY)
    # The limit does not apply to root.
    other = ["prlimit", "--nproc=1", "setpriv", f"--reuid={ANYBODY}", f"--regid={ANYBODY}", "--clear-groups"]
    finished = subprocess.run(
        [*other, sys.executable, "-m", "faqnas_optuna", "worker", search.name],
        cwd=open_directory,
        env=cli_environment({"HOME": str(open_directory), "XDG_CACHE_HOME": str(open_directory)}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert finished.returncode == 1, finished.stderr
    assert finished.stderr.splitlines()[-1] == f"Error: {NO_MORE_PROCESSES}"
    trials = trials_of(load(open_storage(f"sqlite:///{open_directory}/faqnas.db"), search.name))
    assert [trial.state for trial in trials] == [TrialState.FAIL]
    assert trials[0].user_attrs[FAILURE] == f"{GIVEN_UP}: {NO_MORE_PROCESSES}"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("can't start new thread"), NO_MORE_PROCESSES),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), NO_MORE_PROCESSES),
        (BlockingIOError(errno.EAGAIN, "write could not complete without blocking", 0), None),
        (RuntimeError("something else"), None),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "file"), None),
        (MemoryError(), None),
    ],
    ids=repr,
)
def test_only_what_a_limit_has_caused_is_said_to_be(error: Exception, message: str | None) -> None:
    """Check the errors in a process without a memory limit."""
    assert limit_reached(error) == message
