"""What commands share: settings from options and file, an opened storage, and the search that `start` and `resume` run."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from faqnas_optuna.cli.options import WorkerTimeouts, typed
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.errors import ConfigError, NoStudiesError, StorageError
from faqnas_optuna.study_file import override, read_toml, without_auto_repeats

if TYPE_CHECKING:
    from distributed import Client
    from optuna.storages import BaseStorage

    from faqnas_optuna.data.loading import Files
    from faqnas_optuna.data.splits import DataSplits
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.study.search import Search
    from faqnas_optuna.study.stopping import Stop
    from faqnas_optuna.study.study import StoredStudy
    from faqnas_optuna.training.reliability import Reliability

STDOUT = (Path("-"), Path("/dev/stdout"))
"""Names of a file that mean to print."""


def study_config(file: Path | None, options: dict[str, Any]) -> "tuple[StudyConfig, bool, Files | None]":
    """Options over the study file over the defaults, whether the number of repeats is yet to be found, and where data are."""
    from faqnas_optuna.data.loading import without_directories

    sections = {
        "objectives": "search.objectives",
        "front": "search.front",
        "population": "search.population",
        "synchronous": "search.synchronous",
        "generations": "search.generations",
        "patience": "search.patience",
        "epochs": "training.epochs",
        "lr": "training.learning_rate",
        "batch_size": "training.batch_size",
        "repeats": "training.repeats",
        **{name: f"data.{name}" for name in ("target", "groups", "test_file", "drop", "category", "pca", "split_seed")},
    }
    changes = {sections.get(name, name): value for name, value in options.items()}
    stored = read_toml(file) if file else {}
    # On its own first, so that its mistakes are told under its name; it need not name the data set.
    StudyConfig.from_settings({"dataset": "", **without_auto_repeats(stored)[0]}, source=str(file))
    settings, auto_repeats = without_auto_repeats(override(stored, changes))
    if "dataset" not in settings:
        raise ConfigError("no data set is named; add for instance --dataset wine ('faqnas-optuna datasets' lists them)")
    settings, files = without_directories(settings)
    return StudyConfig.from_settings(settings, source="options"), auto_repeats, files


@contextmanager
def reporting(url: str, *, quiet: bool = False) -> Iterator[None]:
    """Messages of the package, rather than of libraries, on stderr; and errors of a storage translated."""
    from faqnas_optuna.cli.console import messages
    from faqnas_optuna.storage.opening import translated_errors
    from faqnas_optuna.storage.outages import silence_libraries

    silence_libraries()
    with messages(quiet=quiet), translated_errors(url):
        yield


@contextmanager
def opened_storage(url: str, *, survival: WorkerTimeouts | None = None) -> Iterator["BaseStorage"]:
    """Open a storage that exists, within `reporting`.

    Args:
        survival: of workers, whose database may not be up yet and must take changes; None to read.
    """
    from faqnas_optuna.storage.opening import open_storage

    with reporting(url):
        yield open_storage(url) if survival is None else open_patiently(url, survival)


def open_patiently(url: str, survival: WorkerTimeouts, *, create: bool = False) -> "BaseStorage":
    """Open a storage to work with, once its database is up; a signal ends the command."""
    from faqnas_optuna.storage.opening import open_for_work

    with patience("the database was not reached") as signals:
        return open_for_work(url, signals, timeout_s=survival.database_timeout_s, create=create, grace_s=survival.grace_s)


@contextmanager
def patience(undone: str) -> Iterator["Signals"]:
    """Catch signals while a database is waited for; one that ends the waiting ends the command.

    Args:
        undone: what to say was not done then.
    """
    from faqnas_optuna.signals import AskedToLeaveError, Signals

    with Signals().caught() as signals:
        try:
            yield signals
        except AskedToLeaveError:
            click.echo(f"interrupted; {undone}", err=True)
            click.get_current_context().exit(signals.exit_code)


def one_data_set(name: str | None, option: str | None) -> str | None:
    """The data set that is named, by itself or by --dataset; the one on the line, if the other is in the environment."""
    on_line = click.get_current_context().get_parameter_source("dataset") is ParameterSource.COMMANDLINE
    if name is not None and on_line and name != option:
        raise ConfigError(f"two data sets are named, {name!r} and {option!r}; leave one of them out")
    return option if name is None else name


def look_for_study(
    url: str, name: str, config: StudyConfig, *, any_repeats: bool, survival: WorkerTimeouts
) -> "tuple[BaseStorage | None, Search | None]":
    """The database and the study, as far as they are there. What can be refused without the data is refused."""
    from faqnas_optuna.study.search import check_existing

    try:
        storage = open_patiently(url, survival)
    except NoStudiesError:
        return None, None
    return storage, check_existing(storage, name, config, any_repeats=any_repeats)


def new_study(
    url: str,
    storage: "BaseStorage | None",
    name: str,
    config: StudyConfig,
    *,
    auto_repeats: bool,
    survival: WorkerTimeouts,
    data_dir: Path | None,
    files: "Files | None",
    workers: int,
    is_checked: bool,
) -> "tuple[Search, DataSplits]":
    """A study and its data, with what trainings are worth measured; or that of this name, if somebody has made it meanwhile.

    Nothing is made before the data were read.

    Args:
        workers: processes that train the circuits of the pilot.
    """
    from faqnas_optuna.data.loading import load_splits
    from faqnas_optuna.storage.opening import storage_lock
    from faqnas_optuna.storage.outages import patiently
    from faqnas_optuna.study.search import open_or_create
    from faqnas_optuna.training.pilot import LIMIT_S

    splits = load_splits(config, files=files, data_dir=data_dir)
    if is_checked:
        print_warnings(splits, config)
    if storage is None:
        storage = open_patiently(url, survival, create=True)
    reliability = _measured(splits, config, name, limit_s=None if auto_repeats else LIMIT_S, workers=workers)
    if auto_repeats:
        config = _with_repeats_for(config, reliability)

    def make() -> "Search":
        with storage_lock(url):
            return open_or_create(storage, name, config, splits, reliability=reliability, files=files)

    # The database may have gone away while trainings were measured, which takes minutes.
    with patience(f"study {name} was not made") as signals:
        return patiently(make, signals, timeout_s=survival.database_timeout_s), splits


def print_warnings(splits: "DataSplits", config: StudyConfig) -> None:
    """Print the findings about data that matter to a study, on stderr."""
    from faqnas_optuna.cli.display import warning
    from faqnas_optuna.data.checks import relevant

    for finding in relevant(splits.findings, config.score):
        click.echo(warning(finding.message), err=True)


def _measured(
    splits: "DataSplits", config: StudyConfig, name: str, *, limit_s: float | None, workers: int
) -> "Reliability | None":
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.training.pilot import measure_reliability
    from faqnas_optuna.workers.pool import shared_out

    reliability = None
    hand_out = partial(shared_out, processes=workers) if workers > 1 else None
    with Signals().caught() as signals, signals.giving_up(at_first=True):
        reliability = measure_reliability(splits, config, limit_s=limit_s, hand_out=hand_out)
    if signals.first:
        click.echo(f"interrupted; study {name} was not made", err=True)
        click.get_current_context().exit(signals.exit_code)
    return reliability


def _with_repeats_for(config: StudyConfig, reliability: "Reliability | None") -> StudyConfig:
    from faqnas_optuna.training.pilot import with_repeats_for

    config = with_repeats_for(config, reliability)
    assert reliability is not None
    repeats = config.training.repeats
    click.echo(
        f"--repeats auto: {repeats}, which give a reliability of {reliability.of_mean(repeats):.2f};"
        f" one training has {reliability.value:.2f}",
        err=True,
    )
    return config


def dask_client(address: str | None, storage_url: str | None) -> "Client | None":
    """The connection to a Dask cluster, if one is named; closed when the command ends. Called before the rest is imported.

    Args:
        storage_url: what its workers must reach, if there is anything.
    """
    from faqnas_optuna.workers.cluster import connected

    return click.get_current_context().with_resource(connected(address, storage_url=storage_url)) if address else None


@contextmanager
def at_work(command: str, url: str, *, study: str | None = None, quiet: bool = False) -> Iterator["Signals"]:
    """Catch signals during the work on a study, or on several. Whatever ends it before its time, tell how to go on.

    Args:
        command: how, to be typed after `faqnas-optuna`.
        quiet: say nothing of a signal.

    Raises:
        StorageError: the database was away for too long, or for good.
    """
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.storage.opening import failure
    from faqnas_optuna.storage.outages import DATABASE_ERRORS

    try:
        with Signals().caught() as signals:
            yield signals
    except DATABASE_ERRORS as error:
        subject = f"study {study!r}: " if study else ""
        told = f"{subject}{failure(url, error)}. Finished trials are kept. Go on with"
        raise StorageError(told, command=command) from error
    if signals.first and not quiet:
        click.echo(f"interrupted; finished trials are kept. Go on with: {typed(command)}", err=True)


def ended(study: "StoredStudy[Any]", stopped: "Stop") -> str:
    """What there is to say of a study that has stopped."""
    from faqnas_optuna.study.stopping import StopReason

    reason = stopped.reason
    verb = "has" if reason is StopReason.FAILURES else "is"
    return f"study {study.name} {verb} {reason.state}: {reason.in_words(study.config.search)}"


def print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2))


def deliver(table: str, file: Path) -> None:
    """Write a table into a file, or print it: into a pipe as it is, on a terminal without control characters."""
    from faqnas_optuna.escaping import EscapingStream
    from faqnas_optuna.files import write_atomically

    if file in STDOUT:
        out: Any = sys.stdout
        is_piped = isinstance(out, EscapingStream) and not out.isatty()
        click.echo(table, nl=False, file=out.unescaped if is_piped else None)
    else:
        write_atomically(file, table.encode())
