"""The program: runs the command line, and turns every known error into one line and its exit code."""

import codecs
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

from faqnas_optuna.errors import PlatformError
from faqnas_optuna.escaping import EscapingStream
from faqnas_optuna.literals import WHOLE
from faqnas_optuna.machine import check_platform, leave, limit_reached

if TYPE_CHECKING:
    from click import Command

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


COLLECT_EVERY = 50_000
"""New objects between two garbage collections. Imports make 300,000 that stay; to look through them after each 700, which is
Python's default, takes a sixth of the start."""


class _GuardedStream:
    """A standard stream whose errors of writing are dealt with by `_guarded`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._guarded():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._guarded():
            self._stream.flush()

    def _guarded(self) -> AbstractContextManager[None]:
        raise NotImplementedError


class MessageStream(_GuardedStream):
    """Standard error, whose reader may leave before us: the other end of a pipe, or a terminal that is closed.

    What cannot be written is passed over, whatever the reason: a trial must not end because nobody can see a message.
    """

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            _lead_nowhere(self._stream)
        except RuntimeError:
            # What the handler of a signal has to say while it interrupts another write.
            pass


class ResultStream(_GuardedStream):
    """Standard output, whose errors name it: those of pipes and full disks name no file."""

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = "standard output"
            raise


def _load_cli() -> "Command":
    from faqnas_optuna.cli.program import cli

    return cli


def main(load_command: "Callable[[], Command]" = _load_cli, name: str = "faqnas-optuna") -> NoReturn:
    """Run a command with the arguments of this process, and end the process with its exit code.

    Args:
        load_command: Imports and returns the command. It is called when the number of threads is set, which libraries read as
            they are imported.
        name: The command as it is typed.
    """
    gc.set_threshold(COLLECT_EVERY)
    _silence_libraries()
    _spell_for(sys.stdout, sys.stderr)
    # A process may be started without the streams.
    out = sys.stdout and cast(TextIO, EscapingStream(cast(TextIO, ResultStream(sys.stdout))))
    err = sys.stderr and cast(TextIO, EscapingStream(cast(TextIO, MessageStream(sys.stderr))))
    with redirect_stdout(out), redirect_stderr(err):
        code = _run(load_command, name)
    try:
        # What a pipe or a full disk takes no more of shows here, not as a traceback when Python ends.
        print(end="", flush=True)
    except OSError:
        _lead_nowhere(sys.stdout)
    leave(code)


def _silence_libraries() -> None:
    """Of what libraries log and warn of, users are told by us, where it matters."""
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


PLAIN = {
    ord(character): plain
    for plain, characters in {
        "-": "–─−",
        "=": "═",
        "|": "│║",
        "+": "╭╮╰╯├┤┬┴┼╔╗╚╝╠╣",
        "<": "⟨",
        ">": "⟩",
        ".": "·…",
        "o": "●",
        "u": "µ",
        "pi": "π",
        "psi": "Ψ",
        "tau": "τ",
    }.items()
    for character in characters
}
"""What tables and drawings are made of, where a terminal or a file cannot hold it."""


def _spell_for(*streams: TextIO | None) -> None:
    """Let streams of narrow encodings, as of a Latin-1 locale, take what they can hold instead of failing."""

    def spell(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        text = error.object[error.start : error.end].translate(PLAIN)
        return text.encode("ascii", "replace").decode("ascii"), error.end

    codecs.register_error("faqnas-optuna", spell)
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="faqnas-optuna")


def _lead_nowhere(stream: TextIO) -> None:
    """What is left in the buffer must not fail once more when the interpreter ends: that would change the exit code."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _run(load_command: "Callable[[], Command]", name: str) -> int:
    """Run the command; its exit code."""
    try:
        check_platform()
        for variable in THREAD_VARIABLES:
            # Before torch starts its threads: a worker is a process of one thread.
            os.environ[variable] = os.environ.get(variable) or "1"
            if refused := _refused(variable, os.environ[variable]):
                return _fail(refused, 2)
        return _run_command(load_command, name)
    except KeyboardInterrupt:
        # Also while the command line is imported.
        return 130
    except PlatformError as error:
        return _fail(str(error), error.exit_code)
    except (RuntimeError, OSError, MemoryError, ImportError) as error:
        if message := limit_reached(error):
            return _fail(message, PlatformError.exit_code)
        raise


def _refused(variable: str, value: str) -> str | None:
    """What is wrong with a number of threads, of which libraries would say less, or nothing."""
    # OpenMP takes one for each level of nesting.
    numbers = value.split(",") if variable.startswith("OMP") else [value]
    if all(WHOLE.fullmatch(number.strip()) and int(number) > 0 for number in numbers):
        return None
    return f"{variable} must be a number of threads, 1 or more; it is {value!r}: unset it, or set it to 1"


def _run_command(load_command: "Callable[[], Command]", name: str) -> int:
    from faqnas_optuna.cli.exits import exit_code_of

    command = load_command()
    return exit_code_of(lambda: command.main(prog_name=name, standalone_mode=False))


def _fail(message: str, code: int) -> int:
    from faqnas_optuna.cli.failure import fail

    return fail(message, code)


if __name__ == "__main__":
    main()
