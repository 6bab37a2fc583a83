import os
from itertools import islice

import psutil
import pytest

from faqnas_optuna.errors import DataError, WorkerDiedError
from faqnas_optuna.workers.pool import Pool, shared_out
from tests.support.pool_tasks import add, fail


def test_every_task_is_done_once_by_several_processes() -> None:
    results = list(shared_out(add, 100, range(50), processes=2))
    assert sorted(result for result, _ in results) == list(range(100, 150))
    assert len({process for _, process in results}) == 2 and os.getpid() not in {process for _, process in results}


def test_whoever_stops_asking_ends_the_processes() -> None:
    results = shared_out(add, 0, iter(range(10**9)), processes=1)
    process = psutil.Process([process for _, process in islice(results, 3)][0])
    assert process.is_running()
    results.close()
    assert not process.is_running()


def test_without_tasks_there_are_no_processes() -> None:
    assert list(shared_out(add, 0, [], processes=3)) == []


def test_a_process_that_dies_is_told_of() -> None:
    with pytest.raises(WorkerDiedError, match="a worker process was killed by SIGKILL"):
        list(shared_out(fail, {3: "killed", 1: "signalled"}, range(9), processes=1))


def test_what_a_task_refuses_is_told() -> None:
    with pytest.raises(DataError, match="there is no such thing"):
        list(shared_out(fail, {2: "refused"}, range(9), processes=1))


def test_processes_are_used_again_unless_they_were_busy() -> None:
    with Pool(add, 100, processes=2) as pool:
        first = {process for _, process in pool.run(range(9))}
        second = {process for _, process in pool.run(range(9))}
        assert second <= first and len(first) == 2
        interrupted = pool.run(iter(range(10**9)))
        next(interrupted)
        interrupted.close()
        # No result of the interrupted tasks may come out of the next run.
        results = list(pool.run(range(9)))
        assert sorted(result for result, _ in results) == list(range(100, 109))
        last = {process for _, process in results}
        assert not last & first
    assert not any(psutil.pid_exists(process) for process in first | last)
