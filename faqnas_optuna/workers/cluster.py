"""Workers on a Dask cluster.

Dask's own tools (dask-jobqueue, dask-kubernetes, dask-cloudprovider) start the cluster on SLURM, PBS, Kubernetes or in a cloud.
A worker on the cluster is one task that lasts as long as the study. Dask only schedules this task, and restarts it on another
machine if its machine is lost. Genomes and results go through the database, as for all workers. The scheduler imports this
module too, so heavy imports stay inside functions.
"""

import json
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
from urllib.parse import urlsplit
from uuid import uuid4

from faqnas_optuna.errors import ClusterError, ConfigError, FaqnasError
from faqnas_optuna.workers.pool import Result, Shared, Task, Work

if TYPE_CHECKING:
    from distributed import Client, Future

    from faqnas_optuna.signals import Signals
    from faqnas_optuna.study.state import StudyState
    from faqnas_optuna.study.study import StoredStudy

logger = logging.getLogger(__name__)

CONNECT_S = 4
"""Maximum time for a scheduler to answer."""
POLL_S = 1.0
LAST_TRIAL_S = 300
"""Time allowed for running trials to finish after the study has stopped or a signal has arrived.

The time for detecting lost workers is added to it.
"""
OTHER_ADDRESSES = {"http": "a web page", "https": "a web page", "inproc": "a scheduler inside another process"}
"""Kinds of addresses that Dask prints but that are not addresses of a scheduler on the network, by protocol."""
SQLITE_IS_LOCAL = "SQLite works on a single machine only; use PostgreSQL: --storage postgresql://USER:PASSWORD@HOST/DATABASE"


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


@contextmanager
def connected(address: str, *, storage_url: str | None, timeout_s: float = CONNECT_S) -> Iterator["Client"]:
    """Connect to a cluster.

    Args:
        address: Address of its scheduler, `tcp://HOST:8786`, or the path of its scheduler file.
        storage_url: URL of the database that the workers must reach; None if they need none.
        timeout_s: Maximum time for the scheduler to answer.

    Raises:
        ConfigError: Dask is not installed, the address is invalid, or other machines cannot reach the storage.
        ClusterError: No scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError("--dask needs Dask; run: pip install 'faqnas-optuna[dask]'") from error
    from faqnas_optuna.storage.urls import is_sqlite

    scheduler = _scheduler(address)
    if storage_url and is_sqlite(storage_url) and not _is_local(scheduler):
        raise ConfigError(f"the Dask scheduler {scheduler} is on another machine but {SQLITE_IS_LOCAL}")
    _check_protocol(scheduler)
    for name in ("distributed", "distributed.client"):
        # This module reports Dask's failures in one line each; Dask would add tracebacks.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # Not the default client: a user's notebook may have its own.
        client = Client(scheduler, timeout=timeout_s, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(f"no Dask scheduler answers at {scheduler}; start one or correct --dask") from error
    with client:
        yield client


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


def _scheduler(address: str) -> str:
    """Return the address of the scheduler, reading it from a scheduler file if one is given.

    Raises:
        ConfigError: There is no such file and no such form of an address, or the file contains no valid address.
    """
    try:
        is_file = Path(address).is_file()
    except OSError:
        # For example, the text is too long for a file name.
        is_file = False
    if not is_file:
        if not _is_address(address):
            raise ConfigError(
                f"--dask {address}: this is neither an existing scheduler file nor an address of the form tcp://HOST:PORT;"
                " correct it, for example to tcp://HOST:8786"
            )
        return address
    try:
        scheduler = json.loads(Path(address).read_text())["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--dask {address}: the file cannot be read as a scheduler file; name the file that"
            " `dask scheduler --scheduler-file` writes, or an address such as tcp://HOST:8786"
        ) from error
    if not (isinstance(scheduler, str) and _is_address(scheduler)):
        raise ConfigError(
            f"--dask {address}: the file must contain an address of the form tcp://HOST:PORT, but contains {scheduler!r}; let"
            " `dask scheduler --scheduler-file` write it again"
        )
    return scheduler


def _is_address(text: str) -> bool:
    """Return whether a text has a protocol, a host and a port."""
    try:
        parts = urlsplit(text)
        return bool(parts.scheme and parts.hostname and parts.port)
    except ValueError:
        return False


def _check_protocol(scheduler: str) -> None:
    """Refuse an address whose protocol Dask cannot use on this machine.

    This check comes before `Client`, which would start its thread, fail, and fail again when it is deleted.

    Raises:
        ConfigError: The address is that of a web page, its protocol is unknown or not installed, or certificates are missing.
    """
    from distributed import Security
    from distributed.comm.registry import get_backend

    protocol = urlsplit(scheduler).scheme
    if other := OTHER_ADDRESSES.get(protocol):
        raise ConfigError(f"--dask {scheduler} is the address of {other}; a scheduler's address begins with tcp:// or tls://")
    try:
        get_backend(protocol).get_connector()
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        raise ConfigError(
            f"--dask {scheduler}: Dask cannot use {protocol}:// on this machine ({error}); use tcp:// or tls://"
        ) from error
    if protocol not in ("tls", "wss"):
        return
    try:
        context = Security().get_connection_args("client")["ssl_context"]
    except OSError as error:
        raise ConfigError(f"--dask {scheduler}: the certificates in Dask's configuration cannot be read: {error}") from error
    if context is None:
        raise ConfigError(f"--dask {scheduler} needs certificates; set distributed.comm.tls in Dask's configuration")


def _is_local(address: str) -> bool:
    """Return whether an address belongs to this machine, that is, whether a socket can be bound to it."""
    try:
        addresses = socket.getaddrinfo(urlsplit(address).hostname, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, protocol, _, endpoint in addresses:
        with suppress(OSError), socket.socket(family, kind, protocol) as probe:
            probe.bind(endpoint)
            return True
    return False
