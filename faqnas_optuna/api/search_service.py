"""Starting and continuing searches: the service that `start`, `resume` and Python share."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from optuna.storages import BaseStorage

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.running import Execution, Hooks, StudyRun, open_patiently, run_study, waiting
from faqnas_optuna.api.warm_start import check_source, read_source
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, NoStudiesError
from faqnas_optuna.signals import CallInterrupted
from faqnas_optuna.storage.opening import disconnect, storage_lock
from faqnas_optuna.storage.outages import retry_while_away
from faqnas_optuna.study.cost_range import check_limits
from faqnas_optuna.study.first_generation import Source, first_generation
from faqnas_optuna.study.lifecycle import resume
from faqnas_optuna.study.search import Search, check_existing, open_or_create
from faqnas_optuna.study.study import check_name
from faqnas_optuna.training.limits import Limits
from faqnas_optuna.training.reliability import Reliability

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """Request to start or continue a search."""

    name: str
    config: StudyConfig
    data: DataSource
    auto_repeats: bool = False
    """Whether to determine the number of repeats from the measured reliability."""
    is_measured: bool = True
    """Whether to measure the reliability of one training before the first trial."""
    start_from: str | None = None
    """Source of the first generation: name of a study, or path of a table or CSV file."""


def start_search(
    request: SearchRequest,
    execution: Execution,
    hooks: Hooks,
    *,
    on_data: Callable[[DataSplits], None] = lambda _: None,
    detach: bool = False,
) -> StudyRun:
    """Start or continue a search until it stops or is interrupted; a finished search is left unchanged.

    Args:
        on_data: Function that is called with the loaded data, before the study is created.
        detach: Only create the study; workers attach to it.

    Raises:
        StudyMismatchError: A study of this name has other settings or other data.
        CallInterrupted: A signal arrived before the study was created.
    """
    # The checks that need least come first.
    check_name(request.name)
    if request.start_from == request.name:
        raise ConfigError(f"study {request.name!r} cannot start from itself; name another study with --from or --study")
    execution.check_reach(request.data)
    storage, search = _look_for_study(request, execution, hooks)
    if search is None:
        source = None
        if request.start_from is not None:
            source = read_source(request.start_from, storage, epochs=request.config.training.epochs)
        splits = request.data.load(request.config)
        check_limits(Limits.of(request.config, splits))
        on_data(splits)
        if source:
            # Refused before the measurement, which may take minutes and create the database.
            first_generation(source, request.config, splits)
        # The study is created only after the data have been read without error.
        search = _create(request, splits, storage, execution, hooks, source)
    else:
        # Files are compared when they are loaded, below.
        if request.data.samples is not None:
            search.check_data(request.data.samples)
        stopped = search.metadata.stop()
        if stopped and not stopped.reason.is_temporary:
            # Showing the results needs neither the data nor torch.
            return StudyRun(study=search, done_before=True)
        splits = request.data.load_for(search)
        on_data(splits)
        if stopped:
            search = resume(search)
    if detach:
        return StudyRun(study=search, splits=splits)
    return run_study(search, splits, execution, hooks, worker_dir=request.data.worker_dir)


def resume_study(
    name: str,
    data: DataSource,
    execution: Execution,
    hooks: Hooks,
    *,
    generations: int | None = None,
    trials: int | None = None,
) -> StudyRun:
    """Continue a stopped or interrupted study, or join a running one.

    Args:
        generations: New maximum number of generations of the whole study; None to keep it.
        trials: New maximum number of successful trials of the whole study; None to keep it.

    Raises:
        StudyNotFoundError: The study does not exist.
        ConfigError: The limits leave no trial to run.
    """
    execution.check_reach(data)
    # A study of either kind: searches and confirmations are resumed in the same way.
    study = open_study(open_patiently(execution, hooks), name)
    # Checked before the data are read, and again by `resume` under the lock of the study.
    study.check_resumable(generations=generations, trials=trials)
    splits = data.load_for(study)
    study = resume(study, generations=generations, trials=trials)
    return run_study(study, splits, execution, hooks, worker_dir=data.worker_dir)


def _look_for_study(request: SearchRequest, execution: Execution, hooks: Hooks) -> tuple[BaseStorage | None, Search | None]:
    """Return the database and the study, where they exist, after all checks that do not need the data."""
    try:
        storage = open_patiently(execution, hooks)
    except NoStudiesError:
        # Not an error yet: the data are checked before the database is created.
        return None, None
    search = check_existing(storage, request.name, request.config, any_repeats=request.auto_repeats)
    if search:
        check_source(search, request.start_from, storage)
    return storage, search


def _create(
    request: SearchRequest,
    splits: DataSplits,
    storage: BaseStorage | None,
    execution: Execution,
    hooks: Hooks,
    source: Source | None,
) -> Search:
    """Create the study, or return the one of this name that another process created meanwhile."""
    from faqnas_optuna.training.pilot import with_repeats_for

    if storage is None:
        # Only now: a refusal must not leave an empty database behind.
        storage = open_patiently(execution, hooks, create=True)
    config = request.config
    reliability = None
    if request.is_measured or request.auto_repeats:
        reliability = _measured(request, splits, execution, hooks)
    if request.auto_repeats:
        config = with_repeats_for(config, reliability)
        assert reliability is not None
        repeats = config.training.repeats
        message = "--repeats auto: %d repeats, which give a reliability of %.2f; one training has %.2f"
        logger.info(message, repeats, reliability.of_mean(repeats), reliability.value)

    def make() -> Search:
        # Of two processes that create the same study at once, the second opens the study of the first.
        with storage_lock(execution.storage):
            search = open_or_create(
                storage, request.name, config, splits, reliability=reliability, files=request.data.files, source=source
            )
        check_source(search, request.start_from, storage)
        return search

    # The database may have become unavailable during the measurement, which can take minutes.
    with waiting(hooks, f"study {request.name} was not created") as signals:
        release = partial(disconnect, storage)
        return retry_while_away(make, signals, timeout_s=execution.timeouts.database_timeout_s, release=release)


def _measured(request: SearchRequest, splits: DataSplits, execution: Execution, hooks: Hooks) -> Reliability | None:
    """Return the reliability of one training; None if it cannot be measured within the time limit."""
    from faqnas_optuna.training.pilot import LIMIT_S, measure_reliability
    from faqnas_optuna.workers.pool import shared_out

    reliability = hand_out = None
    # A cluster trains elsewhere, so this process measures alone.
    if execution.workers > 1 and execution.client is None and hooks.run_forked:
        hand_out = partial(shared_out, processes=execution.workers)
    # The number of repeats depends on the result; without `auto` the measurement is only information.
    limit_s = None if request.auto_repeats else LIMIT_S
    with hooks.catch_signals() as signals, signals.giving_up(at_first=True):
        reliability = measure_reliability(splits, request.config, limit_s=limit_s, hand_out=hand_out)
    if signals.first:
        raise CallInterrupted(f"interrupted; study {request.name} was not created", exit_code=signals.exit_code)
    return reliability
