"""Signals that end a process: the first after the running trial, the second at once."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread, Timer, main_thread
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

POLL_S = 0.1
AT_ONCE_S = 0.5
"""Two equal signals within this time count as one: `timeout` signals a process and then its process group."""
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""Names of handled signals.

Batch systems send the last three shortly before a job's time is over: Slurm and PBS SIGUSR1 or SIGUSR2, Grid Engine and LSF
SIGXCPU.
"""
SIGNALS = tuple(number for number in signal.Signals if number.name in NAMES)
"""Handled signals that this system has."""
CPU_LIMIT = getattr(signal, "SIGXCPU", None)
"""Signal that the system repeats after each further second of computing."""

LEAVING = "%s: leaving"
FINISHING = "%s: finishing the running trial; signal again to abandon it"
OTHERS_FINISH = "%s: finishing the running trials; signal again to abandon them"


@contextmanager
def signals_blocked() -> Iterator[set[signal.Signals]]:
    """Block signals while a process is started.

    The new process would run the handlers of this one, and an exception raised by a handler would lose the new process before
    the caller can end it.

    Yields:
        Signals that were blocked before.
    """
    # Signals that arrive meanwhile are delivered after the block.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class AskedToLeaveError(Exception):
    """A signal arrived while the database was unavailable, so waiting for the database ends."""


class Interruption(KeyboardInterrupt):
    """The second signal, which ends the running trial.

    A subclass, because after a plain KeyboardInterrupt within `exec` of source text, as some packages run it on import, the
    process dies of SIGINT at its end, even if the exception was handled.
    """


class CallInterrupted(KeyboardInterrupt):
    """A signal ended a call before it had any effect; the message says what was not done.

    Args:
        exit_code: Exit code of the command.
    """

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Signals:
    """Signals that this process received while `caught` was active, or that its parent forwarded.

    A signal to all processes of a job, as batch systems send it, counts once although workers also get it from their parent.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        """First signal, after which the running trial is finished; None before."""
        self.on_signal: list[Callable[[signal.Signals], None]] = []
        """Functions that are called on each signal, for example to forward it."""
        self.has_trial = False
        """Whether a trial is running, which the first signal lets finish."""
        self.without_trial = LEAVING
        """Log message for the first signal if this process runs no trial."""
        self._received = 0
        self._forwarded = 0
        # Number of distinct requests, however they arrived.
        self._requests = 0
        self._last: tuple[int, float] | None = None
        # Whether the next call of the handler is for a forwarded signal.
        self._is_forwarded = False
        self._logs_warnings = True
        self._gives_up_from: int | None = None
        self._lost: Interruption | None = None

    @property
    def exit_code(self) -> int:
        """Exit code by the convention of shells: 128 + number of the first signal; 0 without a signal."""
        return 128 + self.first if self.first else 0

    @property
    def is_urgent(self) -> bool:
        """Whether a second signal has arrived."""
        return self._requests > 1

    @contextmanager
    def caught(self) -> Iterator["Signals"]:
        """Handle signals instead of dying of them; call it in the main thread only."""
        # Ignored signals stay ignored: nohup starts a program that way.
        caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        previous = {number: signal.signal(number, self._handle) for number in caught}
        # Python prints and drops an exception in a callback from C; an interruption must be raised once more.
        previous_hook = sys.unraisablehook
        sys.unraisablehook = lambda lost: self._raise_again(lost) or previous_hook(lost)
        try:
            yield self
        finally:
            sys.unraisablehook = previous_hook
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator["Signals"]:
        """Call `end` in a thread of its own on the first signal, to end what runs inside.

        This also works for process 1 of a container, which the system protects from signals that it does not handle.
        """
        # In a thread, since a server's `shutdown` waits for the loop that the handler interrupts.
        self.on_signal.append(lambda _: Thread(target=end, daemon=True).start())
        with self.caught():
            yield self

    @contextmanager
    def giving_up(self, *, at_first: bool = False) -> Iterator[None]:
        """Let the second signal interrupt what runs inside.

        Args:
            at_first: Whether the first signal interrupts it already, since nothing is lost with it.
        """
        outer = self._gives_up_from
        self._gives_up_from = 1 if at_first else 2
        try:
            yield
        except KeyboardInterrupt:
            # A caught signal raised it between the trial and this point; any other interruption is passed on.
            if self.first is None:
                raise
        finally:
            self._gives_up_from = outer

    def wait(self, seconds: float) -> None:
        """Sleep until the time is over or a first signal arrives."""
        until = time.monotonic() + seconds
        while not self.first and (remaining := until - time.monotonic()) > 0:
            # In short pieces: Python resumes an interrupted sleep after the handler (PEP 475).
            time.sleep(min(remaining, POLL_S))

    def listen(self, file: int) -> None:
        """Receive signals that the parent forwards, one byte per signal; the parent reports them for all processes.

        Args:
            file: Descriptor to read from. Its being closed means nothing.
        """

        def listen() -> None:
            # Ends when the parent has closed its end of the pipe.
            while number := os.read(file, 1):
                self._forwarded += 1
                # Unless this process received the signal, too. Handlers run in the main thread only, so it is raised there.
                if self._forwarded > self._received and signal.getsignal(number[0]) == self._handle:
                    self._is_forwarded = True
                    _interrupt_main(number[0])

        self._logs_warnings = False
        Thread(target=listen, daemon=True, name="listening").start()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._lost:
            lost = self._lost
            self._lost = None
            if self._gives_up_from is not None:
                self._gives_up_from = None
                raise lost
        elif self._is_forwarded:
            self._is_forwarded = False
        elif not self._is_repeated(number):
            self._received += 1
        # A signal that was both received and forwarded is one request.
        if max(self._received, self._forwarded) > self._requests:
            self._requests += 1
            self._heed(signal.Signals(number))

    def _is_repeated(self, number: int) -> bool:
        now = time.monotonic()
        if self._last and self._last[0] == number and (number == CPU_LIMIT or now - self._last[1] < AT_ONCE_S):
            return True
        self._last = (number, now)
        return False

    def _heed(self, received: signal.Signals) -> None:
        # First, so that children end at the same time as this process.
        for callback in self.on_signal:
            callback(received)
        signals = [received] if self.first is None else [self.first, received]
        if self.first is None:
            self.first = received
            level = logging.WARNING if self._logs_warnings else logging.DEBUG
            logger.log(level, FINISHING if self.has_trial else self.without_trial, received.name)
        if self._gives_up_from is not None and self._requests >= self._gives_up_from:
            # A third signal must not interrupt the clean-up.
            self._gives_up_from = None
            raise Interruption(f"abandoned after {' and '.join(each.name for each in signals)}")

    def _raise_again(self, lost: Any) -> bool:
        """Return whether an interruption was lost in a callback from C, such as a compiler's, and schedule it again."""
        if isinstance(lost.exc_value, Interruption) and self.first:
            self._lost = lost.exc_value
            self._gives_up_from = 1
            Timer(POLL_S, _interrupt_main, [self.first]).start()
        return self._lost is not None


def _interrupt_main(number: int) -> None:
    """Send a signal to the main thread, interrupting any system call."""
    # With `os.kill` the system may choose another thread, and a blocking call of the main thread would continue.
    signal.pthread_kill(main_thread().ident or 0, number)
