"""Two machines with the same name, such as containers, are distinguished."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from optuna.trial import TrialState

from faqnas_optuna.storage.opening import open_storage
from tests.conftest import TIMEOUT_S, cli_environment
from tests.support.crew import SOON_S, new_study, trials_of, wait_until

pytestmark = pytest.mark.slow

POPULATION = 4
HEALTHY = """
import time
from pathlib import Path
from faqnas_optuna.training import evaluation
evaluate = evaluation.evaluate
def slow(*arguments):
    while not Path("go").exists():
        time.sleep(0.1)
    return evaluate(*arguments)
evaluation.evaluate = slow
"""
BROKEN = """
from faqnas_optuna.training import evaluation
def broken(*arguments):
    raise OSError("no such device")
evaluation.evaluate = broken
"""
NAMED = 'echo node >/proc/sys/kernel/hostname; exec "$@"'
CONTAINER = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c", NAMED, "sh"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare, to make containers")
def test_a_broken_worker_does_not_end_the_search_of_one_that_has_its_host_and_process_number(
    storage_url: str, tmp_path: Path
) -> None:
    open_storage(storage_url, create=True)
    search = new_study(storage_url, "s", population=POPULATION)

    def states() -> list[TrialState]:
        return [trial.state for trial in trials_of(search)]

    with container(HEALTHY, tmp_path, "healthy"):
        wait_until(lambda: any("worker" in trial.user_attrs for trial in trials_of(search)), SOON_S, "it is at a trial")
        with container(BROKEN, tmp_path, "broken") as broken:
            wait_until(lambda: states().count(TrialState.FAIL) == POPULATION, SOON_S, "every trial has failed there")
            (tmp_path / "go").touch()
            _, err = broken.communicate(timeout=TIMEOUT_S)
        assert broken.returncode == 1
        assert "while others succeed" in err, err
        assert search.metadata.stop() is None
        completed = states().count(TrialState.COMPLETE)
        wait_until(lambda: states().count(TrialState.COMPLETE) > completed, SOON_S, "the search goes on")
    names = {trial.user_attrs["worker"] for trial in trials_of(search) if trial.state.is_finished()}
    assert len(names) == 2
    assert {name.rpartition("-")[0] for name in names} == {"node:1"}


@contextmanager
def container(program: str, directory: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker as process 1 of a host named `node`, after a given start-up program."""
    (directory / name).mkdir()
    (directory / name / "sitecustomize.py").write_text(program)
    path = os.pathsep.join(filter(None, (str(directory / name), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [*CONTAINER, sys.executable, "-m", "faqnas_optuna", "worker", "s", "--storage", f"sqlite:///{directory}/faqnas.db"],
        cwd=directory,
        env=cli_environment({"PYTHONPATH": path}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=TIMEOUT_S)
