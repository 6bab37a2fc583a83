"""Unusual environments: home, working directory, encodings, file modes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faqnas_optuna.__main__ import THREAD_VARIABLES
from faqnas_optuna.circuits.flops import profiler_counts
from faqnas_optuna.study.search import Search
from tests.conftest import TIMEOUT_S, RunCli, cli_environment
from tests.support.sampling import mostly_slow

IS_ROOT = os.geteuid() == 0
SMALL = ("--dataset", "iris", "--population", "4", "--generations", "1", "--epochs", "1")


@pytest.mark.skipif(
    not IS_ROOT or shutil.which("setpriv") is None, reason="needs root and setpriv, to be a user without a home"
)
def test_a_user_without_home_and_name_has_no_cache(tmp_path: Path) -> None:
    environment = {name: value for name, value in cli_environment().items() if name not in ("HOME", "XDG_CACHE_HOME")}
    program = "from faqnas_optuna.cache import user_cache; print(user_cache().directory)"
    other = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    finished = subprocess.run(
        [*other, sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert (finished.stdout, finished.stderr) == ("/dev/null/no-home-directory/faqnas-optuna\n", "")


@pytest.mark.parametrize("encoding", mostly_slow(["latin-1", "cp1252", "ascii"]))
def test_a_narrow_encoding_gets_what_it_can_hold(search_of_eight: Search, run_forked: RunCli, encoding: str) -> None:
    def printed(*arguments: str) -> str:
        finished = run_forked(*arguments, env={"PYTHONIOENCODING": encoding})
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    output = printed("show", search_of_eight.name, "3")
    drawing = output[output.index("0: ") :]
    assert "-" in drawing and drawing.isascii()
    assert "?" not in output + printed("status")


def test_a_byte_order_mark_is_passed_over(run_forked: RunCli, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes(b'\xef\xbb\xbfdataset = "iris"\n')
    (tmp_path / "storage").write_bytes(f"\ufeffsqlite:///{tmp_path}/faqnas.db".encode())
    (tmp_path / "storage").chmod(0o600)
    finished = run_forked("start", "--config", "study.toml", "--storage-file", "storage", "--detach")
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "faqnas.db").exists()


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to mount a file system")
def test_a_secret_that_cannot_be_changed_may_be_read_by_its_group(run_forked: RunCli, tmp_path: Path) -> None:
    (volume := tmp_path / "volume").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(volume)], check=True, timeout=TIMEOUT_S)
    try:
        (secret := volume / "storage").write_text(f"sqlite:///{tmp_path}/faqnas.db")
        secret.chmod(0o440)
        refused = run_forked("status", "--storage-file", str(secret))
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True, timeout=TIMEOUT_S)
        read = run_forked("status", "--storage-file", str(secret))
    finally:
        subprocess.run(["umount", str(volume)], check=True, timeout=TIMEOUT_S)
    assert refused.returncode == 2 and "chmod 600" in refused.stderr
    assert read.returncode == 4 and "there is no database" in read.stderr


def test_a_path_that_is_no_utf_8_is_told_in_a_line(run_forked: RunCli) -> None:
    for command in ("status", "doctor"):
        finished = run_forked(command, "--storage", os.fsdecode(b"sqlite:///nowhere/\xff.db"))
        assert "Traceback" not in finished.stderr
        assert "nowhere" in finished.stderr + finished.stdout


@pytest.mark.slow
def test_pennylanes_settings_are_not_ours(search_of_eight: Search, run_forked: RunCli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[main]\nshots = 7\n")
    program = "from faqnas_optuna.circuits.counting import count_parts; print(count_parts(2)['angle'])"
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    # The cached counts were made in a directory without such a file.
    assert int(finished.stdout) == profiler_counts()["2"]["angle"]
    # The file may be the user's study file.
    (tmp_path / "config.toml").write_text("dataset = wine\n")
    assert run_forked("status").returncode == 0
    refused = run_forked("show", search_of_eight.name, "3")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1 and "PennyLane cannot read the file config.toml" in refused.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [*((variable, "0") for variable in THREAD_VARIABLES), *(("NUMBA_NUM_THREADS", value) for value in ("-1", "abc", "4,2"))],
)
def test_what_is_no_number_of_threads_is_refused_in_a_line(run_cli: RunCli, variable: str, value: str) -> None:
    finished = run_cli("status", env={variable: value})
    assert (finished.returncode, finished.stdout) == (2, "")
    rule = f"{variable} must be a number of threads, at least 1; it is '{value}'"
    assert finished.stderr == f"Error: {rule}; unset it or set it to 1\n"


@pytest.mark.parametrize("value", ["", "1", " 2 ", "4,2"])
def test_a_number_of_threads_is_taken_as_openmp_has_it(run_forked: RunCli, value: str) -> None:
    finished = run_forked("status", env={"OMP_NUM_THREADS": value})
    assert finished.returncode == 4 and "there is no database" in finished.stderr


@pytest.mark.parametrize(("variable", "value"), mostly_slow([("NUMBA_OPT", "abc"), ("NUMBA_BOUNDSCHECK", "maybe")]))
def test_what_numba_cannot_read_in_its_settings_is_told_in_a_line(run_cli: RunCli, variable: str, value: str) -> None:
    """Check the error for values at which numba would print a traceback and continue with another value."""
    finished = run_cli("start", *SMALL, env={variable: value})
    assert (finished.returncode, finished.stdout) == (2, "")
    assert re.fullmatch(rf"Error: numba cannot be loaded: .*unset these variables: .*{variable}={value}.*\n", finished.stderr)


def test_a_system_without_executable_memory_is_named(tmp_path: Path) -> None:
    """Forbid executable memory, as MemoryDenyWriteExecute of systemd and SELinux do."""
    program = (
        "import ctypes, sys\n"
        # PR_SET_MDWE of Linux 6.3.
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):\n"
        "    sys.exit(77)\n"
        "from faqnas_optuna.__main__ import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "start", *SMALL]
    finished = subprocess.run(
        command, cwd=tmp_path, env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if finished.returncode == 77:
        pytest.skip("this kernel cannot forbid executable memory: it needs Linux 6.3")
    assert finished.returncode == 1
    assert re.fullmatch(r"Error: numba cannot be loaded: cannot allocate executable memory.*\n", finished.stderr)


def test_commands_that_read_tables_can_fork() -> None:
    # pyarrow, which pandas and scikit-learn import, would start a thread.
    program = (
        "import click\n"
        "from faqnas_optuna.__main__ import main\n"
        "def load():\n"
        "    import pyarrow, pandas, sklearn.model_selection\n"
        "    from faqnas_optuna.workers.forking import can_fork\n"
        "    return click.command()(lambda: click.echo(can_fork()))\n"
        "main(load)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert (finished.stdout, finished.stderr) == (f"{sys.platform == 'linux'}\n", "")
