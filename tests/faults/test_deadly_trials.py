"""A circuit that kills every worker that trains it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.genome import enumerate_genomes
from tests.conftest import cli_environment
from tests.faults.crew import GRACE_S, SOON_S, new_study, trials_of, wait_until
from tests.faults.databases import sqlite_and_postgres
from tests.faults.jepsen import chains

pytestmark = pytest.mark.slow

DEADLY = """
import os, signal, time
from faqnas_optuna.learning import evaluation

evaluate = evaluation.evaluate

def kill_or_evaluate(circuit, splits, config):
    if circuit.digest == {digest!r}:
        # As when the memory of the machine does not suffice.
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return evaluate(circuit, splits, config)

evaluation.evaluate = kill_or_evaluate
"""


@sqlite_and_postgres
def test_a_trial_that_kills_its_workers_is_tried_three_times_and_no_more(
    any_storage_url: str, start_cli: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    search = new_study(any_storage_url, "s")
    genome = next(enumerate_genomes(search.config.space.genes))
    search.study.enqueue_trial(genome.to_params())
    (tmp_path / "sitecustomize.py").write_text(DEADLY.format(digest=genome.circuit.digest))
    path = os.pathsep.join([str(tmp_path), *filter(None, [cli_environment().get("PYTHONPATH")])])
    env = {"FAQNAS_STORAGE": any_storage_url, "FAQNAS_GRACE": str(GRACE_S), "PYTHONPATH": path}

    def tries() -> list[FrozenTrial]:
        return chains(trials_of(search))[0]

    for tried in range(3):
        victim = start_cli("worker", "s", env=env)
        assert victim.wait(SOON_S) == -9
        assert [trial.state for trial in tries()] == [TrialState.FAIL] * tried + [TrialState.RUNNING]
    survivor = start_cli("worker", "s", env=env)
    wait_until(lambda: tries()[-1].state is TrialState.FAIL, SOON_S, "the third try is given up")
    given_up = len(trials_of(search))
    wait_until(lambda: len(trials_of(search)) >= given_up + 10, SOON_S, "the worker goes on")
    assert [trial.state for trial in tries()] == [TrialState.FAIL] * 3
    assert all(trial.params == genome.to_params() for trial in tries())
    survivor.terminate()
    assert survivor.wait(SOON_S) == 143
    # All others have succeeded.
    assert [trial.state for trial in trials_of(search) if trial.state is not TrialState.COMPLETE] == [TrialState.FAIL] * 3
