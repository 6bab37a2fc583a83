"""Processes of another user of this machine, forked from a process that has imported everything."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest

from tests.support.crew import forking
from tests.support.processes import TIMEOUT_S

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")


@contextmanager
def another_user(work: Callable[[str, Connection], None], url: str) -> Iterator[Connection]:
    """Run a function as another user, with the URL of a database and a pipe, and yield the other end of the pipe.

    At the end of the block the pipe is closed, and the process must end without an error.
    """
    here, there = forking().Pipe()
    process = forking().Process(target=_work_as_nobody, args=(work, url, there))
    process.start()
    there.close()
    try:
        with here:
            yield here
        process.join(TIMEOUT_S)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()


def _work_as_nobody(work: Callable[[str, Connection], None], url: str, pipe: Connection) -> None:
    # The groups first: afterwards the process lacks the privilege.
    os.environ["HOME"] = "/"
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    with pipe:
        work(url, pipe)
