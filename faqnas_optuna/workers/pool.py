"""Process pool in which each process takes the next task as soon as it has finished one.

`concurrent.futures.ProcessPoolExecutor` does not fit: its processes wait for ever for a killed parent, its threads prevent
later forks of this process, and it does not report how a process ended.
"""

import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, TypeVar

from faqnas_optuna.errors import FaqnasError, WorkerDiedError
from faqnas_optuna.signals import SIGNALS, signals_blocked
from faqnas_optuna.workers.forking import can_fork, close_inherited

if TYPE_CHECKING:
    # Windows has no ForkContext.
    from multiprocessing.context import ForkContext, SpawnContext

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")

Work = Callable[[Shared, Task], Result]
"""Function of a module, so that other processes can import it by name."""


def shared_out(
    work: Work[Shared, Task, Result], shared: Shared, tasks: Iterable[Task], *, processes: int
) -> Generator[Result, None, None]:
    """Yield the results of `work(shared, task)` in order of completion; closing the generator ends the processes.

    Raises:
        FaqnasError: A task raised this error.
        WorkerDiedError: A process died during its task.
    """
    is_forked = can_fork()
    remaining = iter(tasks)
    context: ForkContext | SpawnContext = get_context("fork") if is_forked else get_context("spawn")
    crew: dict[Connection, BaseProcess] = {}
    try:
        for task in islice(remaining, processes):
            # A pipe for each process: with one queue a killed process could take its lock along.
            ours, theirs = context.Pipe()
            crew[ours] = context.Process(target=_serve, args=(work, shared, theirs, is_forked), daemon=True)
            with signals_blocked():
                crew[ours].start()
            # Then a dead process is noticed as the end of its pipe.
            theirs.close()
            with _alive(crew[ours]):
                ours.send(task)
        busy = set(crew)
        while busy:
            for connection in busy.intersection(wait(busy)):
                with _alive(crew[connection]):
                    outcome = connection.recv()
                    # Send the next task at once, so that the process works while this one handles the result.
                    next_tasks = [*islice(remaining, 1)]
                    for task in next_tasks:
                        connection.send(task)
                if isinstance(outcome, FaqnasError):
                    raise outcome
                if not next_tasks:
                    busy.remove(connection)
                yield outcome
    finally:
        started = [process for process in crew.values() if process.pid]
        for process in started:
            # They hold nothing that must be stored: results that were not received are computed again.
            process.kill()
        for process in started:
            process.join()


@contextmanager
def _alive(process: BaseProcess) -> Iterator[None]:
    """Raise WorkerDiedError if a process ends during communication with it."""
    try:
        yield
    except (EOFError, OSError) as error:
        process.join()
        raise WorkerDiedError(f"a worker process {_ended_by(process.exitcode)}") from error


def _serve(work: Work[Shared, Task, Result], shared: Shared, connection: Connection, is_forked: bool) -> None:
    """Run tasks until the parent closes the connection."""
    for number in SIGNALS:
        # A terminal signals all its processes, but the parent ends this one.
        signal.signal(number, signal.SIG_IGN)
    if is_forked:
        # An inherited end of another pipe would keep that pipe open.
        close_inherited(connection.fileno())
    try:
        while True:
            task = connection.recv()
            try:
                connection.send(work(shared, task))
            except FaqnasError as error:
                connection.send(error)
    except (EOFError, OSError):
        return


def _ended_by(exit_code: int | None) -> str:
    """Describe how a process ended."""
    if exit_code is not None and exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
