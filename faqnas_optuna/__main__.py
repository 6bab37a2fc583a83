"""Entry point of the program: runs a command and turns known errors into one line and an exit code."""

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
"""New objects between two garbage collections.

Imports create 300,000 permanent objects. Scanning them after every 700, Python's default, takes a sixth of the start-up time.
"""


class _GuardedStream:
    """Standard stream whose write errors are handled by `_guarded`."""

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
    """Standard error that drops messages which cannot be written.

    Its reader, a pipe or a terminal, may be closed before the program ends, and a trial must not fail because of a message.
    """

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            _lead_nowhere(self._stream)
        except RuntimeError:
            # A signal handler printed while another write was in progress: Python forbids reentrant writes.
            pass


class ResultStream(_GuardedStream):
    """Standard output that names itself in its errors, since errors of pipes and full disks name no file."""

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
        load_command: Function that imports and returns the command. It is called after the thread variables are set, which
            libraries read when they are imported.
        name: Name of the command as typed.
    """
    # Before the imports, which create most of the objects.
    gc.set_threshold(COLLECT_EVERY)
    _silence_libraries()
    # Before the streams are wrapped: only the original ones can be reconfigured.
    _spell_for(sys.stdout, sys.stderr)
    # The streams are None if the process was started without them.
    out = sys.stdout and cast(TextIO, EscapingStream(cast(TextIO, ResultStream(sys.stdout))))
    err = sys.stderr and cast(TextIO, EscapingStream(cast(TextIO, MessageStream(sys.stderr))))
    with redirect_stdout(out), redirect_stderr(err):
        # Names of files, columns and studies come from users: their control characters are escaped.
        code = _run(load_command, name)
    try:
        # Flush here: an error in the interpreter's own flush at exit would print a traceback.
        print(end="", flush=True)
    except OSError:
        _lead_nowhere(sys.stdout)
    leave(code)


def _silence_libraries() -> None:
    """Hide logs and warnings of libraries; this program reports what matters itself."""
    # Without a handler, logging would print warnings of libraries on stderr.
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
"""ASCII replacements of the characters in tables and drawings, for streams that cannot encode them."""


def _spell_for(*streams: TextIO | None) -> None:
    """Replace characters that a stream cannot encode, as in a Latin-1 locale, instead of failing."""

    def spell(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        text = error.object[error.start : error.end].translate(PLAIN)
        return text.encode("ascii", "replace").decode("ascii"), error.end

    codecs.register_error("faqnas-optuna", spell)
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="faqnas-optuna")


def _lead_nowhere(stream: TextIO) -> None:
    """Redirect a broken stream to the null device.

    Otherwise flushing its buffer at exit would fail again and change the exit code.
    """
    # The descriptor is replaced, not the stream: the buffer still holds text that Python flushes at exit.
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _run(load_command: "Callable[[], Command]", name: str) -> int:
    """Run the command and return its exit code."""
    try:
        check_platform()
        # pyarrow starts a thread when it is imported, which would prevent forks.
        os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
        for variable in THREAD_VARIABLES:
            # Set before torch or BLAS starts its threads: a worker is a process of one thread.
            os.environ[variable] = os.environ.get(variable) or "1"
            if refused := _refused(variable, os.environ[variable]):
                return _fail(refused, 2)
        return _run_command(load_command, name)
    except KeyboardInterrupt:
        # Ctrl-C may also arrive during imports.
        return 130
    except PlatformError as error:
        return _fail(str(error), error.exit_code)
    except (RuntimeError, OSError, MemoryError, ImportError) as error:
        if message := limit_reached(error):
            return _fail(message, PlatformError.exit_code)
        raise


def _refused(variable: str, value: str) -> str | None:
    """Return why a number of threads is invalid, or None; libraries would say less, or nothing."""
    # OpenMP takes a list, one number for each nesting level.
    numbers = value.split(",") if variable.startswith("OMP") else [value]
    if all(WHOLE.fullmatch(number.strip()) and int(number) > 0 for number in numbers):
        return None
    return f"{variable} must be a number of threads, at least 1; it is {value!r}; unset it or set it to 1"


def _run_command(load_command: "Callable[[], Command]", name: str) -> int:
    from faqnas_optuna.cli.exits import exit_code_of

    command = load_command()
    # Without `standalone_mode`, click raises its errors instead of printing them and exiting.
    return exit_code_of(lambda: command.main(prog_name=name, standalone_mode=False))


def _fail(message: str, code: int) -> int:
    # Needs no library: the error may be that one of them cannot be loaded.
    from faqnas_optuna.cli.failure import fail

    return fail(message, code)


if __name__ == "__main__":
    main()
