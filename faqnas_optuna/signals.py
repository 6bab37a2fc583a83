"""Signals that ask a process to leave: the first after what is running, the second at once."""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

logger = logging.getLogger(__name__)

POLL_S = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""The last two are what batch systems send before a job's time is over."""


class AskedToLeaveError(Exception):
    """A signal came while the database was away, and nobody is to wait for it."""


class Interruption(KeyboardInterrupt):
    """The second signal ends what is running.

    A type of its own: within `exec` of a text, which some packages do when they are imported, Python notes a plain
    KeyboardInterrupt, and however it is handled, the process dies by SIGINT at its end.
    """


class Signals:
    """The signals this process has received while `caught` was active."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        """What asked to leave after the running trial; None while nothing has."""
        self.on_signal: list[Callable[[signal.Signals], None]] = []
        """Called with every signal, for instance to pass it on to other processes."""
        self._may_interrupt = False
        self._message = "%s: finishing the running trial; once more to give it up"

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal, as shells have it; 0 if there was none."""
        return 128 + self.first if self.first else 0

    @contextmanager
    def caught(self) -> Iterator["Signals"]:
        """Handle signals here instead of dying by them. Only in the main thread."""
        # What is ignored stays so: nohup starts a program that way.
        caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        previous = {number: signal.signal(number, self._handle) for number in caught}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator["Signals"]:
        """Let the first signal end what runs inside, by a call that waits for it: from a thread of its own. Process 1 of a
        container, which the system protects from signals that it does not handle, can be ended so, too."""
        self.on_signal.append(lambda _: Thread(target=end, daemon=True).start())
        self._message = "%s: leaving"
        with self.caught():
            yield self

    @contextmanager
    def giving_up(self) -> Iterator[None]:
        """Let the second signal end what runs inside; at any other time there is nothing to give up."""
        self._may_interrupt = True
        try:
            yield
        except KeyboardInterrupt:
            # It came between the trial and here. Without a signal that was caught the interruption is not ours.
            if self.first is None:
                raise
        finally:
            self._may_interrupt = False

    def wait(self, seconds: float) -> None:
        """Sleep, or until a first signal arrives."""
        until = time.monotonic() + seconds
        while not self.first and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, POLL_S))

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        received = signal.Signals(number)
        for callback in self.on_signal:
            callback(received)
        if self.first is None:
            self.first = received
            logger.warning(self._message, received.name)
        elif self._may_interrupt:
            self._may_interrupt = False
            raise Interruption(f"given up after {self.first.name} and {received.name}")
