import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from faqnas_optuna.config import SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import create
from tests.conftest import TIMEOUT_S, cli_environment
from tests.support.crew import SOON_S, process_of, trials_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux are processes forked")


def printed(program: str, *, env: Mapping[str, str] | None = None) -> str:
    """Run a program in a single-threaded process, which pytest's may not be, and return its standard output."""
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=cli_environment(env),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_a_process_of_several_threads_is_not_forked() -> None:
    program = """
        import threading
        from faqnas_optuna.workers.forking import can_fork
        print(can_fork())
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        print(can_fork())
    """
    assert printed(program).split() == ["True", "False"]


def test_a_process_is_not_forked_where_frameworks_do_not_survive_it() -> None:
    program = """
        import sys
        from faqnas_optuna.workers.forking import can_fork
        sys.platform = "darwin"
        print(can_fork())
    """
    assert printed(program).split() == ["False"]


def test_a_copy_is_like_a_process_that_was_started_anew(tmp_path: Path) -> None:
    """Check that a fork leads its session, has no handlers or files of its parent, and never returns into the parent's code."""
    program = f"""
        import json, os, signal
        from faqnas_optuna.signals import SIGNALS, Signals
        from faqnas_optuna.workers.forking import ForkedProcess

        def work(pipe):
            listed = {{int(name) for name in os.listdir("/proc/self/fd")}}
            report = {{
                "files": sorted(fd for fd in listed if os.path.exists(f"/proc/self/fd/{{fd}}") and fd not in (0, 1, 2, pipe)),
                "leads its session": os.getsid(0) == os.getpid(),
                "handled": [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_DFL],
                "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
                "received": list(os.read(pipe, 2)),
            }}
            with open({str(tmp_path / "report")!r}, "w") as file:
                json.dump(report, file)
            return 7

        with Signals().caught(), open({str(tmp_path / "held")!r}, "w"):
            process = ForkedProcess(work, has_stderr=False)
            try:
                os.write(process.stdin.fileno(), bytes([15, 2]))
                print(process.wait(), signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
            finally:
                print("the end")
    """
    assert printed(program).splitlines() == ["7 False", "the end"]
    report = json.loads((tmp_path / "report").read_text())
    assert report == {"files": [], "leads its session": True, "handled": [], "blocked": [], "received": [15, 2]}


def test_a_copy_ends_as_its_parent_learns() -> None:
    program = """
        import os, signal, sys
        from faqnas_optuna.workers.forking import ForkedProcess

        def fail(_pipe):
            raise ValueError("no such gate")

        def speak(_pipe):
            print("as it is", file=sys.stderr)
            return 0

        killed = ForkedProcess(lambda pipe: len(os.read(pipe, 1)), has_stderr=False)
        os.kill(killed.pid, signal.SIGKILL)
        failed, spoken = ForkedProcess(fail, has_stderr=True), ForkedProcess(speak, has_stderr=True)
        print(killed.wait(), failed.wait(), spoken.wait())
        print(failed.stderr.read().decode().splitlines()[-1], spoken.stderr.read().decode(), sep="\\n", end="")
    """
    assert printed(program).splitlines() == ["-9 1 0", "ValueError: no such gate", "as it is"]


def test_a_lock_is_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    """Kill the holder of a lock while its fork is still running."""
    program = f"""
        import os, signal
        from filelock import FileLock
        from faqnas_optuna.workers.forking import ForkedProcess

        def work(pipe):
            # The read ends when the parent, which holds the other end, has died.
            os.write(1, b"at work")
            os.read(pipe, 1)
            while not os.path.exists({str(tmp_path / "done")!r}):
                os.sched_yield()
            return 0

        lock = FileLock({str(tmp_path / "lock")!r})
        lock.acquire()
        ForkedProcess(work, has_stderr=False)
        os.read(0, 1)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=cli_environment()
    )
    assert process.stdout and process.stdout.read(7) == b"at work"
    process.kill()
    process.wait()
    check = f"from filelock import FileLock; print(FileLock({str(tmp_path / 'lock')!r}).acquire(timeout=0) is not None)"
    try:
        assert printed(check) == "True\n"
    finally:
        (tmp_path / "done").touch()
        process.communicate(timeout=TIMEOUT_S)


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "workers"), [(1, 3), (2, 2)], ids=["1", "2"])
def test_extra_workers_are_copies_of_a_process_of_one_thread(
    start_cli: Callable[..., subprocess.Popen[str]],
    second_thread: dict[str, str],
    storage_url: str,
    tmp_path: Path,
    iris: DataSplits,
    threads: int,
    workers: int,
) -> None:
    limits = SearchConfig(population=4, generations=9999, patience=9999)
    config = StudyConfig(dataset="iris", training=TrainingConfig(epochs=1), search=limits)
    search = create(open_storage(storage_url, create=True), "iris", config, iris)
    options = ("--population", "4", "--generations", "9999", "--patience", "9999", "--epochs", "1")
    if threads == 2:
        # Modules in the working directory must not be imported. The command itself runs with PYTHONSAFEPATH, as an installed
        # script does not look there either.
        for name in ("optuna", "numpy", "random"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit(f'imported {__file__}')")
    env = {"PYTHONSAFEPATH": "1", **second_thread} if threads == 2 else {}
    process = start_cli("start", "iris", *options, "--workers", str(workers), env=env)

    def all_have_had_a_trial() -> bool:
        assert process.poll() is None, process.communicate()
        attributes = [trial.user_attrs for trial in trials_of(search)]
        return len({process_of(one["worker"]) for one in attributes if "worker" in one}) == workers

    wait_until(all_have_had_a_trial, SOON_S, "all have had a trial")
    first = psutil.Process(process.pid)
    anew = [sys.executable, "-m", "faqnas_optuna", "worker", "iris", "--quiet", "--listen"]
    assert [child.cmdline() for child in first.children()] == [first.cmdline() if threads == 1 else anew] * (workers - 1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 143, err
    assert "exit code" not in err and "Traceback" not in err and "imported" not in out + err
    assert {trial.state for trial in trials_of(search)} == {TrialState.COMPLETE}
