"""One function in several processes of this machine, each of which takes the next task as it has done one.

`concurrent.futures.ProcessPoolExecutor` would not do: its processes wait for ever for a parent that was killed, its threads
rule out that this process is forked later, and it does not report how a process has ended.
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
from faqnas_optuna.signals import SIGNALS
from faqnas_optuna.workers.forking import can_fork, close_inherited, signals_blocked

if TYPE_CHECKING:
    # Windows has no ForkContext.
    from multiprocessing.context import ForkContext, SpawnContext

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")

Work = Callable[[Shared, Task], Result]
"""A function of a module, which other processes find by its name."""


def shared_out(
    work: Work[Shared, Task, Result], shared: Shared, tasks: Iterable[Task], *, processes: int
) -> Generator[Result, None, None]:
    """The results of `work(shared, task)`, in the order in which they come. Whoever stops asking for them ends the processes.

    Raises:
        FaqnasError: what a task has raised.
        WorkerDiedError: a process has ended before its task.
    """
    is_forked, left = can_fork(), iter(tasks)
    context: ForkContext | SpawnContext = get_context("fork") if is_forked else get_context("spawn")
    crew: dict[Connection, BaseProcess] = {}
    try:
        for task in islice(left, processes):
            ours, theirs = context.Pipe()
            crew[ours] = context.Process(target=_serve, args=(work, shared, theirs, is_forked), daemon=True)
            with signals_blocked():
                crew[ours].start()
            theirs.close()
            with _alive(crew[ours]):
                ours.send(task)
        busy = set(crew)
        while busy:
            for connection in busy.intersection(wait(busy)):
                with _alive(crew[connection]):
                    outcome = connection.recv()
                    # It is at its next task while this process keeps the result of the last.
                    following = [*islice(left, 1)]
                    for task in following:
                        connection.send(task)
                if isinstance(outcome, FaqnasError):
                    raise outcome
                if not following:
                    busy.remove(connection)
                yield outcome
    finally:
        started = [process for process in crew.values() if process.pid]
        for process in started:
            process.kill()
        for process in started:
            process.join()


@contextmanager
def _alive(process: BaseProcess) -> Iterator[None]:
    """Tell of a process that has ended while it is spoken with."""
    try:
        yield
    except (EOFError, OSError) as error:
        process.join()
        raise WorkerDiedError(f"a worker has {_ended_by(process.exitcode)}") from error


def _serve(work: Work[Shared, Task, Result], shared: Shared, connection: Connection, is_forked: bool) -> None:
    """Do tasks until there is nobody to tell of them."""
    for number in SIGNALS:
        # Those of a terminal reach all its processes: the one that hands out the tasks ends this one.
        signal.signal(number, signal.SIG_IGN)
    if is_forked:
        # Above all the other ends of pipes: whoever waits for one to be closed would wait for this process.
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
    """How a process has ended."""
    if exit_code is not None and exit_code < 0:
        return f"been ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
