"""Workers on a Dask cluster.

Dask's own tools (dask-jobqueue, dask-kubernetes, dask-cloudprovider) start the cluster on SLURM, PBS, Kubernetes or in a cloud.
A worker on the cluster is one task that lasts as long as the study. Dask only schedules this task, and restarts it on another
machine if its machine is lost. Genomes and results go through the database, as for all workers. The scheduler imports this
module too, so heavy imports stay inside functions.
"""

import logging
import math
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from faqnas_optuna.errors import ClusterError, ConfigError, FaqnasError
from faqnas_optuna.workers.pool import Result, Shared, Task, Work
from faqnas_optuna.workers.scheduler import SQLITE_IS_LOCAL

if TYPE_CHECKING:
    from distributed import Client, Future

    from faqnas_optuna.signals import Signals
    from faqnas_optuna.study.state import StudyState
    from faqnas_optuna.study.study import StoredStudy

logger = logging.getLogger(__name__)

POLL_S = 1.0
LAST_TRIAL_S = 300
"""Time allowed for running trials to finish after the study has stopped or a signal has arrived.

The time for detecting lost workers is added to it.
"""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Arguments of a worker on the cluster."""

    study: str
    created: str
    """Creation time of the study, which distinguishes it from another study of the same name."""
    # Not in the repr: Dask logs the arguments of a failing task, and the URL may hold a password.
    storage_url: str = field(repr=False)
    data_dir: Path | None
    grace_s: int
    database_timeout_s: float
    host: str
    """Name of the machine that submits the task."""
    dismissal: str
    """Name of the Dask event that asks the worker to leave after its running trial."""


def work(assignment: Assignment) -> None:
    """Run trials of a study until the study stops or the dismissal event is set. This is the task that Dask runs.

    Raises:
        FaqnasError: The storage, the study or its data cannot be used on this machine.
    """
    from faqnas_optuna.confirmation.opening import open_study
    from faqnas_optuna.signals import AskedToLeaveError, Signals
    from faqnas_optuna.storage.opening import open_for_work, translated_errors
    from faqnas_optuna.storage.outages import silence_libraries
    from faqnas_optuna.storage.urls import is_sqlite, masked_url
    from faqnas_optuna.study.study import load_data
    from faqnas_optuna.workers.loop import run

    url = assignment.storage_url
    timeout_s = assignment.database_timeout_s
    # `connected` has checked the machine of the scheduler, but workers of the cluster may be on other machines.
    if is_sqlite(url) and socket.gethostname() != assignment.host:
        raise ConfigError(
            f"the worker is on {socket.gethostname()} but the study's database is on {assignment.host}: {SQLITE_IS_LOCAL}"
        )
    silence_libraries()
    signals = Signals()
    with _dismissal_as_signal(assignment.dismissal, signals), translated_errors(url), suppress(AskedToLeaveError):
        storage = open_for_work(url, signals, timeout_s=timeout_s, grace_s=assignment.grace_s)
        study = open_study(storage, assignment.study)
        if study.description.created != assignment.created:
            # This worker may be in a container that has the same host name but another database file.
            raise ConfigError(
                f"{masked_url(url)} on {socket.gethostname()} has another study named {study.name!r}; use a database that all"
                " workers can reach"
            )
        splits = load_data(study, assignment.data_dir)
        run(study, splits, signals, on_trial=lambda _: None, database_timeout_s=timeout_s)


@contextmanager
def _dismissal_as_signal(dismissal: str, signals: "Signals") -> Iterator[None]:
    """Treat the dismissal as a signal, since signals do not reach the thread of a task."""
    from distributed import Event, get_client

    # The client is looked up here because the thread below belongs to no task.
    event = Event(dismissal, client=get_client())
    finished = threading.Event()

    def obey() -> None:
        # A lost scheduler counts as a dismissal.
        with suppress(Exception):
            while not finished.wait(POLL_S):
                if event.is_set():
                    break
        # Set directly, since only the main thread of a process can have signal handlers.
        signals.first = signal.SIGTERM

    threading.Thread(target=obey, daemon=True, name="dismissal").start()
    try:
        yield
    finally:
        finished.set()


class DaskWorkers:
    """Workers that one command started on a cluster."""

    def __init__(self, futures: "list[Future]", *, database_timeout_s: float) -> None:
        self.futures = futures
        self.database_timeout_s = database_timeout_s
        self._reported: set[str] = set()

    @property
    def ended(self) -> bool:
        """Whether all workers have ended and none is waiting to begin."""
        return all(future.done() for future in self.futures)

    def warn_of_failures(self) -> None:
        """Log the reason of each failed worker, once per worker."""
        for future in self.futures:
            if future.status == "error" and future.key not in self._reported:
                self._reported.add(future.key)
                error = future.exception()
                reason = str(error) if isinstance(error, FaqnasError) else f"{type(error).__name__}: {error}"
                logger.warning("a worker on the Dask cluster failed: %s", " ".join(reason.split()))


@contextmanager
def dask_workers(
    client: "Client",
    count: int,
    study: "StoredStudy[Any]",
    signals: "Signals",
    *,
    storage_url: str,
    data_dir: Path | None,
    grace_s: int = 60,
    database_timeout_s: float = 600,
) -> Iterator[DaskWorkers]:
    """Start workers of a study on a cluster, and when the block ends, wait until they have finished their trials.

    The wait lasts at most `LAST_TRIAL_S` and two grace periods. A second signal, or an error in the block, ends it at once.

    Args:
        count: Number of workers. If the cluster has fewer threads, the remaining workers wait for a free one.
    """
    from distributed import Event

    from faqnas_optuna.signals import OTHERS_FINISH
    from faqnas_optuna.storage.urls import absolute

    assignment = Assignment(
        study=study.name,
        created=study.description.created,
        storage_url=absolute(storage_url),
        data_dir=data_dir and data_dir.absolute(),
        grace_s=grace_s,
        database_timeout_s=database_timeout_s,
        host=socket.gethostname(),
        dismissal=f"{study.name}-{uuid4().hex}",
    )
    dismissal = Event(assignment.dismissal, client=client)
    signals.without_trial = OTHERS_FINISH
    # Distinct keys: Dask runs tasks with equal keys only once.
    futures = [client.submit(work, assignment, key=f"{assignment.dismissal}-{number}") for number in range(count)]
    workers = DaskWorkers(futures, database_timeout_s=database_timeout_s)
    if (threads := sum(client.nthreads().values())) < count:
        logger.info("the Dask cluster has %d threads for %d workers; the remaining workers wait for a free one", threads, count)
    try:
        yield workers
        with signals.giving_up():
            if signals.first:
                dismissal.set()
            # Request the call stacks of all tasks: the scheduler raises KeyError for keys that it does not know yet.
            running_keys = {key for keys in client.call_stack().values() for key in keys}
            client.cancel([future for future in futures if not future.done() and future.key not in running_keys])
            # Workers also wait until trials of lost workers are given up, which takes up to about two grace periods.
            deadline = time.monotonic() + LAST_TRIAL_S + 2 * grace_s
            while not workers.ended and time.monotonic() < deadline:
                time.sleep(POLL_S / 10)
        workers.warn_of_failures()
    finally:
        # If the scheduler cannot be reached, there is nothing left to cancel.
        with suppress(OSError):
            if not workers.ended:
                dismissal.set()
                client.cancel(futures)
                logger.warning("some workers on the Dask cluster are still running a trial; they leave after it")


def watch(
    workers: DaskWorkers,
    study: "StoredStudy[Any]",
    signals: "Signals",
    *,
    on_update: Callable[["StudyState"], None],
    seconds: float | None = None,
) -> None:
    """Follow a study in its storage until it stops or a signal arrives.

    Args:
        on_update: Function that is called with the new state every second, to show progress.
        seconds: Time after which the study is stopped, from the first trial on; None for no limit.

    Raises:
        ClusterError: No worker is left but the study is not finished.
        StudyNotFoundError: The study was deleted meanwhile.
    """
    from faqnas_optuna.storage.heartbeats import FAILURE
    from faqnas_optuna.storage.opening import disconnect
    from faqnas_optuna.storage.optuna_internals import storage_of
    from faqnas_optuna.storage.outages import retry_while_away
    from faqnas_optuna.study.lifecycle import stop
    from faqnas_optuna.study.stopping import StopReason
    from faqnas_optuna.study.work import WorkerAction

    state: StudyState = study.new_state()
    deadline = math.inf

    def advance() -> WorkerAction:
        nonlocal deadline
        # Another user may have deleted the study.
        with study.if_it_exists():
            state.refresh()
            if time.monotonic() >= deadline:
                stop(study, StopReason.SECONDS)
            elif seconds is not None and state.running:
                # Not before, since workers may wait long for their machines.
                deadline = min(deadline, time.monotonic() + seconds)
            return study.advance(state)

    advance_with_retries = partial(
        retry_while_away,
        advance,
        signals,
        timeout_s=workers.database_timeout_s,
        release=partial(disconnect, storage_of(study.study)),
    )
    advance_with_retries()
    n_reported = len(state.errors)
    while True:
        # Check the workers before reading the study: if all have ended and the study still runs then, no worker continues it.
        ended = workers.ended
        action = advance_with_retries()
        on_update(state)
        workers.warn_of_failures()
        for number in state.errors[n_reported:]:
            trial = study.study.get_trials(deepcopy=False)[number]
            logger.warning("trial %d failed: %s", number, trial.user_attrs[FAILURE])
        n_reported = len(state.errors)
        if action is WorkerAction.STOPPED or signals.first:
            return
        if ended:
            raise ClusterError(
                f"no worker is left on the Dask cluster but study {study.name!r} is not finished; continue with",
                command=f"resume {study.name}",
            )
        time.sleep(POLL_S)


def shared_out_on(
    client: "Client", work: Work[Shared, Task, Result], shared: Shared, tasks: Iterable[Task]
) -> Iterator[Result]:
    """Yield the results of `work(shared, task)`, computed on all threads of a cluster, in order of completion.

    Raises:
        FaqnasError: A task raised this error.
        ClusterError: The cluster is lost.
    """
    from distributed import as_completed

    # Send `shared` once to each Dask worker instead of with every task.
    scattered = client.scatter(shared, broadcast=True, hash=False)
    futures = [client.submit(work, scattered, task, pure=False) for task in tasks]
    try:
        # There is no default client whose loop Dask could use.
        for future in as_completed(futures, loop=client.loop):
            if future.cancelled() or future.status == "lost":
                raise ClusterError("the connection to the Dask cluster is lost; restart the cluster")
            yield future.result()
    finally:
        # If the scheduler cannot be reached, there is nothing left to cancel.
        with suppress(OSError):
            client.cancel(futures)
