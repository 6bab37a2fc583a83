"""`faqnas-optuna` in a process with the interface of `subprocess.Popen`, forked from one that has imported everything.

It saves the imports, which take several seconds; everything else runs as in a process started from the shell.
"""

import atexit
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from faqnas_optuna.__main__ import main as faqnas_main
from faqnas_optuna.training.evaluation import evaluate
from tests.support.crew import forking, slow_down, train_nothing
from tests.support.processes import TIMEOUT_S


class Forked:
    """Process of the command line whose stdout and stderr are pipes.

    Args:
        directory: Working directory.
        env: Complete environment.
        trial_s: Seconds that an evaluation sleeps before it trains.
        fault: Key of `FAULTS`, which happens after the training.
        module: Module to run as `python -m` does, instead of `faqnas_optuna`.
        trains: Whether evaluations train; otherwise their values are computed from the circuit, and no pilot is run.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        env: Mapping[str, str],
        trial_s: float = 0,
        fault: str | None = None,
        module: str | None = None,
        trains: bool = True,
    ) -> None:
        out, out_end = forking().Pipe(duplex=False)
        err, err_end = forking().Pipe(duplex=False)
        settings = (tuple(arguments), directory, dict(env), (trial_s, fault), module, trains, out_end, err_end)
        self._process = forking().Process(target=_work, args=settings)
        self._process.start()
        # The other ends must be open in the process alone, or reading here would never reach the end of the file.
        out_end.close()
        err_end.close()
        encoding = env.get("PYTHONIOENCODING")
        self.stdout, self.stderr = (os.fdopen(os.dup(pipe.fileno()), encoding=encoding) for pipe in (out, err))
        out.close()
        err.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("faqnas-optuna", timeout or 0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return stdout and stderr, after the process has closed both and has ended."""
        texts = {"stdout": "", "stderr": ""}

        def read(name: str) -> None:
            with getattr(self, name) as stream:
                texts[name] = stream.read()

        # One thread for each pipe: a process that fills the pipe nobody reads would wait forever.
        readers = [threading.Thread(target=read, args=(name,), daemon=True) for name in texts]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
        self.wait(timeout)
        return texts["stdout"], texts["stderr"]

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill the process with all its children, and close the pipes."""
        # The children first: afterwards they would have another parent.
        # The process may have ended by itself.
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children(recursive=True):
                child.kill()
        self.send_signal(signal.SIGKILL)
        self._process.join()
        self.stdout.close()
        self.stderr.close()


def _work(
    arguments: Sequence[str],
    directory: Path,
    env: Mapping[str, str],
    evaluation: tuple[float, str | None],
    module: str | None,
    trains: bool,
    out: Connection,
    err: Connection,
) -> None:
    """Run the command; the body of the process."""
    for pipe, number in ((out, 1), (err, 2)):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    # The buffering and error handlers that Python uses for a process whose output is piped.
    encoding = env.get("PYTHONIOENCODING")
    sys.stdout = os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["faqnas-optuna", *arguments]
    if trains:
        slow_down(evaluate, *evaluation)
    else:
        train_nothing(*evaluation)
    try:
        if module:
            runpy.run_module(module, run_name="__main__")
        else:
            faqnas_main()
    finally:
        # `multiprocessing` ends its processes without these.
        atexit._run_exitfuncs()


class ForkedCall:
    """Call of a module's function in a separate process.

    Args:
        env: Complete environment of the process.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any, env: Mapping[str, str]) -> None:
        self._results, results_end = forking().Pipe(duplex=False)
        self._process = forking().Process(target=_call, args=(results_end, dict(env), function, arguments))
        self._process.start()
        results_end.close()

    def result(self) -> Any:
        """Wait for the function to return, and return its result."""
        try:
            assert self._results.poll(TIMEOUT_S), f"the function has not returned within {TIMEOUT_S} s"
            return self._results.recv()
        finally:
            self._process.kill()
            self._process.join()
            self._results.close()


def _call(results: Connection, env: Mapping[str, str], function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Call the function and send its result."""
    os.environ.clear()
    os.environ.update(env)
    results.send(function(*arguments))
    results.close()


class StderrReader:
    """Text that a process has written to stderr so far."""

    def __init__(self, process: subprocess.Popen[str] | Forked) -> None:
        self.text = ""
        self._process = process
        # In a thread, since a full pipe would stop the process.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def all(self) -> str:
        """Return the text after the process has closed stderr."""
        self._reader.join(TIMEOUT_S)
        return self.text

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.text += line
