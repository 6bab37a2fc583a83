"""A circuit that kills every worker that trains it."""

from multiprocessing.context import ForkServerProcess

import pytest
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.genome import enumerate_genomes
from tests.support.crew import SOON_S, Crew, new_study, trials_of, wait_until
from tests.support.databases import sqlite_and_postgres
from tests.support.jepsen import chains

pytestmark = pytest.mark.slow


@sqlite_and_postgres
def test_a_trial_that_kills_its_workers_is_tried_three_times_and_no_more(any_storage_url: str, crew: Crew) -> None:
    search = new_study(any_storage_url, "s")
    genome = next(enumerate_genomes(search.config.space.genes))
    search.study.enqueue_trial(genome.to_params())

    def next_worker() -> ForkServerProcess:
        # The fault strikes circuits whose digest is a multiple of `fault_in`: here this circuit only.
        return crew.start("worker", "s", trial_s=0.1, fault="death", fault_in=int(genome.circuit.digest, 16))

    def tries() -> list[FrozenTrial]:
        return chains(trials_of(search))[0]

    for tried in range(3):
        victim = next_worker()
        victim.join(SOON_S)
        assert victim.exitcode == -9, crew.printed()
        assert [trial.state for trial in tries()] == [TrialState.FAIL] * tried + [TrialState.RUNNING]
    survivor = next_worker()
    wait_until(lambda: tries()[-1].state is TrialState.FAIL, SOON_S, "the third try is given up")
    given_up = len(trials_of(search))
    wait_until(lambda: len(trials_of(search)) >= given_up + 10, SOON_S, "the worker goes on")
    assert [trial.state for trial in tries()] == [TrialState.FAIL] * 3
    assert all(trial.params == genome.to_params() for trial in tries())
    survivor.terminate()
    assert crew.leave() == [-9, -9, -9, 143], crew.printed()
    # All other trials succeeded.
    assert [trial.state for trial in trials_of(search) if trial.state is not TrialState.COMPLETE] == [TrialState.FAIL] * 3
