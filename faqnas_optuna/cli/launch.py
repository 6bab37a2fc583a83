"""Resources of commands: an opened storage, the hooks of the service, a connection to a cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from faqnas_optuna.errors import ConfigError
from faqnas_optuna.signals import CallInterrupted, Signals

if TYPE_CHECKING:
    from distributed import Client
    from optuna.storages import BaseStorage

    from faqnas_optuna.api.running import Hooks, OnTrial


@contextmanager
def reporting(url: str, *, quiet: bool = False) -> Iterator[None]:
    """Print messages of the package but not of libraries on stderr, and translate errors of the storage.

    A signal that interrupted a call ends the command.
    """
    from faqnas_optuna.cli.console import messages
    from faqnas_optuna.storage.opening import translated_errors
    from faqnas_optuna.storage.outages import silence_libraries

    # Optuna and SQLAlchemy log every failed attempt; the retries report what matters.
    silence_libraries()
    with messages(quiet=quiet), translated_errors(url):
        try:
            yield
        except CallInterrupted as interrupted:
            click.echo(str(interrupted), err=True)
            # Ends the command here, whatever encloses this block.
            click.get_current_context().exit(interrupted.exit_code)


@contextmanager
def opened_storage(url: str) -> Iterator["BaseStorage"]:
    """Open a storage for reading, within `reporting`."""
    from faqnas_optuna.storage.opening import open_storage

    with reporting(url):
        yield open_storage(url)


def terminal_hooks(url: str) -> "Hooks":
    """Return the hooks by which a command shows progress and messages on stderr.

    Args:
        url: URL of the storage.
    """
    from faqnas_optuna.api.running import Hooks
    from faqnas_optuna.cli.console import error_console, is_moving_terminal, print_message

    return Hooks(
        catch_signals=lambda: Signals().caught(),
        show_progress=show_states,
        # On a terminal, messages must go around the bar. Into a file, workers write themselves, even after this process ends.
        on_message=print_message if is_moving_terminal(error_console()) else None,
        run_forked=partial(_run_forked, url),
    )


@contextmanager
def show_states(*, quiet: bool = False, prefix: str = "") -> Iterator["OnTrial"]:
    """Show the progress of a study on stderr.

    Args:
        prefix: Text before the name of the study.
    """
    from faqnas_optuna.cli.console import show_progress

    with show_progress(quiet=quiet) as update:
        # The console shows progress of any kind and knows nothing of studies.
        yield lambda state: update(state.study.progress(state).after(prefix))


def _run_forked(url: str, work: Callable[[], int]) -> int:
    """Run a worker in a copy of this process and return its exit code."""
    from faqnas_optuna.cli.console import forget_console
    from faqnas_optuna.cli.exits import exit_code_of

    # The console and its lock belong to the parent.
    forget_console()

    def reported() -> int:
        with reporting(url, quiet=True):
            return work()

    return exit_code_of(reported)


def dask_client(address: str | None, storage_url: str | None, *, processes: int | None = None) -> "Client | None":
    """Connect to a Dask cluster, if an address is given; the connection closes with the command.

    Call this before heavy imports, so that a wrong address is refused at once.

    Args:
        storage_url: URL of the database that the cluster's workers must reach; None if they need none.
        processes: Number of processes on this machine, for commands that use either these or all threads of a cluster.

    Raises:
        ConfigError: Both are given, or the cluster cannot be used.
    """
    if address and processes:
        raise ConfigError(
            "--dask uses all threads of its cluster but --workers counts processes on this machine; leave one of them out"
        )
    from faqnas_optuna.workers.scheduler import connected

    # Closed by click when the command ends, also by an error.
    return click.get_current_context().with_resource(connected(address, storage_url=storage_url)) if address else None
