"""Signals that ask a process to leave: the first after what is running, the second at once."""

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
"""One signal that comes twice within this time was sent once: `timeout` sends it to a process, and to the group of that."""
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""Batch systems send the last three before the time of a job is over: Slurm and PBS SIGUSR1 or SIGUSR2, Grid Engine and LSF
SIGXCPU."""
SIGNALS = tuple(number for number in signal.Signals if number.name in NAMES)
"""Those of them that this system has."""
CPU_LIMIT = getattr(signal, "SIGXCPU", None)
"""The system repeats this one after each further second of computing."""

LEAVING = "%s: leaving"
FINISHING = "%s: finishing the running trial; once more to give it up"
OTHERS_FINISH = "%s: finishing the running trials; once more to give them up"


class AskedToLeaveError(Exception):
    """A signal came while the database was away, and nobody is to wait for it."""


class Interruption(KeyboardInterrupt):
    """The second signal ends what is running.

    A type of its own: within `exec` of a text, which some packages do when they are imported, Python notes a plain
    KeyboardInterrupt, and however it is handled, the process dies by SIGINT at its end.
    """


class CallInterrupted(KeyboardInterrupt):
    """A signal ended a call before it had made anything; the message says what was not done.

    Args:
        exit_code: of a command that ends by it.
    """

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Signals:
    """The signals this process has received while `caught` was active, or that another has told it of.

    Whoever signals all processes of a job at once, as batch systems do, asks once, although some of them hear of it twice.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        """What asked to leave after the running trial; None while nothing has."""
        self.on_signal: list[Callable[[signal.Signals], None]] = []
        """Called whenever somebody asks, for instance to tell other processes."""
        self.has_trial = False
        """Whether there is one that the first signal lets finish."""
        self.without_trial = LEAVING
        """What is said of the first signal if there is none here."""
        self._received = self._told = self._asked = 0
        self._last: tuple[int, float] | None = None
        self._is_told = False
        self._is_heard = True
        self._gives_up_from: int | None = None
        self._lost: Interruption | None = None

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal, as shells have it; 0 if there was none."""
        return 128 + self.first if self.first else 0

    @property
    def is_urgent(self) -> bool:
        """Whether a second signal has come."""
        return self._asked > 1

    @contextmanager
    def caught(self) -> Iterator["Signals"]:
        """Handle signals here instead of dying by them. Only in the main thread."""
        # What is ignored stays so: nohup starts a program that way.
        caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        previous = {number: signal.signal(number, self._handle) for number in caught}
        tell, sys.unraisablehook = sys.unraisablehook, lambda lost: self._raise_again(lost) or tell(lost)
        try:
            yield self
        finally:
            sys.unraisablehook = tell
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator["Signals"]:
        """Let the first signal end what runs inside, by a call that waits for it: from a thread of its own. Process 1 of a
        container, which the system protects from signals that it does not handle, can be ended so, too."""
        self.on_signal.append(lambda _: Thread(target=end, daemon=True).start())
        with self.caught():
            yield self

    @contextmanager
    def giving_up(self, *, at_first: bool = False) -> Iterator[None]:
        """Let the second signal end what runs inside; at any other time there is nothing to give up.

        Args:
            at_first: the first one ends it already, since nothing is lost with it.
        """
        outside, self._gives_up_from = self._gives_up_from, 1 if at_first else 2
        try:
            yield
        except KeyboardInterrupt:
            # It came between the trial and here. Without a signal that was caught the interruption is not ours.
            if self.first is None:
                raise
        finally:
            self._gives_up_from = outside

    def wait(self, seconds: float) -> None:
        """Sleep, or until a first signal arrives."""
        until = time.monotonic() + seconds
        while not self.first and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, POLL_S))

    def listen(self, file: int) -> None:
        """Take what another process tells, a byte for each signal that it has received, as received here.

        That process also says what follows from the signal, for all.

        Args:
            file: the descriptor that it is read from. That its other end is closed, by whatever means, tells nothing.
        """

        def listen() -> None:
            while told := os.read(file, 1):
                self._told += 1
                if self._told > self._received and signal.getsignal(told[0]) == self._handle:
                    self._is_told = True
                    _interrupt_main(told[0])

        self._is_heard = False
        Thread(target=listen, daemon=True, name="listening").start()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._lost:
            lost, self._lost = self._lost, None
            if self._gives_up_from is not None:
                self._gives_up_from = None
                raise lost
        elif self._is_told:
            self._is_told = False
        elif not self._is_repeated(number):
            self._received += 1
        # Whoever was both told and signalled was asked once.
        if max(self._received, self._told) > self._asked:
            self._asked += 1
            self._heed(signal.Signals(number))

    def _is_repeated(self, number: int) -> bool:
        now = time.monotonic()
        if self._last and self._last[0] == number and (number == CPU_LIMIT or now - self._last[1] < AT_ONCE_S):
            return True
        self._last = number, now
        return False

    def _heed(self, received: signal.Signals) -> None:
        for callback in self.on_signal:
            callback(received)
        both = [received] if self.first is None else [self.first, received]
        if self.first is None:
            self.first = received
            level = logging.WARNING if self._is_heard else logging.DEBUG
            logger.log(level, FINISHING if self.has_trial else self.without_trial, received.name)
        if self._gives_up_from is not None and self._asked >= self._gives_up_from:
            # No third one within the clearing up.
            self._gives_up_from = None
            raise Interruption(f"given up after {' and '.join(one.name for one in both)}")

    def _raise_again(self, lost: Any) -> bool:
        """Whether it is an interruption that was raised within a callback from C, as from a compiler, and got lost there."""
        if isinstance(lost.exc_value, Interruption) and self.first:
            self._lost, self._gives_up_from = lost.exc_value, 1
            Timer(POLL_S, _interrupt_main, [self.first]).start()
        return self._lost is not None


def _interrupt_main(number: int) -> None:
    """Send a signal to the main thread, whatever that waits for."""
    signal.pthread_kill(main_thread().ident or 0, number)
