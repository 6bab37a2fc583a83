"""Functions that tests run in pools of processes."""

import os
import signal

from faqnas_optuna.errors import DataError


def add(shared: int, task: int) -> tuple[int, int]:
    return shared + task, os.getpid()


def fail(shared: dict[int, str], task: int) -> int:
    """Fail as the shared data say for this task, or return it."""
    match shared.get(task):
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "refused":
            raise DataError("there is no such thing")
        case "signalled":
            # Ctrl-C reaches all processes of a terminal.
            os.kill(os.getpid(), signal.SIGINT)
    return task
