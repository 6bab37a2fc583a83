"""Process pool in which each process takes the next task as soon as it has finished one.

`concurrent.futures.ProcessPoolExecutor` does not fit: its processes wait for ever for a killed parent, its threads prevent
later forks of this process, and it does not report how a process ended.
"""

import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

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


class Pool(Generic[Task, Result]):
    """Processes that compute `work(shared, task)`; to be closed after use, as a context manager.

    One call of `run` must end before the next begins.

    Args:
        work: Function of a module.
        shared: First argument of all calls, sent to each process once. It must not have types of the main module.
        processes: Maximum number of processes, which are started as tasks arrive.
    """

    def __init__(self, work: Work[Shared, Task, Result], shared: Shared, *, processes: int) -> None:
        self._is_forked = can_fork()
        self._context: ForkContext | SpawnContext = get_context("fork") if self._is_forked else get_context("spawn")
        self._work = work
        self._shared = shared
        self._processes = processes
        self._crew: dict[Connection, BaseProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(set(self._crew))

    def run(self, tasks: Iterable[Task]) -> Generator[Result, None, None]:
        """Yield the results of tasks in order of completion; closing the generator ends the processes that are busy.

        Raises:
            FaqnasError: A task raised this error.
            WorkerDiedError: A process died during its task.
        """
        remaining = iter(tasks)
        # Between two runs no process is busy.
        idle = list(self._crew)
        busy: set[Connection] = set()
        try:
            for task in islice(remaining, self._processes):
                connection = idle.pop() if idle else self._start()
                busy.add(connection)
                with _alive(self._crew[connection]):
                    connection.send(task)
            while busy:
                for connection in busy.intersection(wait(busy)):
                    with _alive(self._crew[connection]):
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
            self._end(busy)

    def _start(self) -> Connection:
        """Start a process and return the connection to it."""
        # A pipe for each process: with one queue a killed process could take its lock along.
        ours, theirs = self._context.Pipe()
        arguments = (self._work, self._shared, theirs, self._is_forked)
        self._crew[ours] = self._context.Process(target=_serve, args=arguments, daemon=True)
        with signals_blocked(), _without_main():
            self._crew[ours].start()
        # Then a dead process is noticed as the end of its pipe.
        theirs.close()
        return ours

    def _end(self, connections: Iterable[Connection]) -> None:
        """End the processes at these connections."""
        started = [process for connection in connections if (process := self._crew.pop(connection, None)) and process.pid]
        for process in started:
            # They hold nothing that must be stored: results that were not received are computed again.
            process.kill()
        for process in started:
            process.join()


def shared_out(
    work: Work[Shared, Task, Result], shared: Shared, tasks: Iterable[Task], *, processes: int
) -> Generator[Result, None, None]:
    """Yield the results of `work(shared, task)` in order of completion, computed by a pool of its own; see `Pool.run`."""
    with Pool(work, shared, processes=processes) as pool:
        yield from pool.run(tasks)


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module, which a new process would run: a script that calls this package without a guard, once more."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


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
