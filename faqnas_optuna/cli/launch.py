"""Work on studies by commands: an opened storage, hooks of the service, and a connection to a cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from faqnas_optuna.signals import CallInterrupted, Signals

if TYPE_CHECKING:
    from distributed import Client
    from optuna.storages import BaseStorage

    from faqnas_optuna.api.running import Hooks, OnTrial


@contextmanager
def reporting(url: str, *, quiet: bool = False) -> Iterator[None]:
    """Show messages of the package, rather than of libraries, on stderr, and translate errors of a storage.

    A signal that has ended a call ends the command.
    """
    from faqnas_optuna.cli.console import messages
    from faqnas_optuna.storage.opening import translated_errors
    from faqnas_optuna.storage.outages import silence_libraries

    silence_libraries()
    with messages(quiet=quiet), translated_errors(url):
        try:
            yield
        except CallInterrupted as interrupted:
            click.echo(str(interrupted), err=True)
            click.get_current_context().exit(interrupted.exit_code)


@contextmanager
def opened_storage(url: str) -> Iterator["BaseStorage"]:
    """Open a storage to read, within `reporting`."""
    from faqnas_optuna.storage.opening import open_storage

    with reporting(url):
        yield open_storage(url)


def terminal_hooks(url: str) -> "Hooks":
    """Return what a command does during the work on a study: show progress and messages on stderr.

    Args:
        url: of the storage.
    """
    from faqnas_optuna.api.running import Hooks
    from faqnas_optuna.cli.console import error_console, is_moving_terminal, print_message

    return Hooks(
        catch_signals=lambda: Signals().caught(),
        show_progress=show_states,
        # Around a bar that moves, not through it. A file gets what workers say even after the end of this process.
        on_message=print_message if is_moving_terminal(error_console()) else None,
        run_forked=partial(_run_forked, url),
    )


@contextmanager
def show_states(*, quiet: bool = False) -> Iterator["OnTrial"]:
    """Show on stderr how far a study is."""
    from faqnas_optuna.cli.console import show_progress

    with show_progress(quiet=quiet) as update:
        yield lambda state: update(state.study.progress(state))


def _run_forked(url: str, work: Callable[[], int]) -> int:
    """Run a worker in a copy of this process and return its exit code."""
    from faqnas_optuna.cli.console import forget_console
    from faqnas_optuna.cli.exits import exit_code_of

    forget_console()

    def reported() -> int:
        with reporting(url, quiet=True):
            return work()

    return exit_code_of(reported)


def dask_client(address: str | None, storage_url: str | None) -> "Client | None":
    """The connection to a Dask cluster, if one is named; closed when the command ends. Called before the rest is imported.

    Args:
        storage_url: what its workers must reach, if there is anything.
    """
    from faqnas_optuna.workers.cluster import connected

    return click.get_current_context().with_resource(connected(address, storage_url=storage_url)) if address else None
