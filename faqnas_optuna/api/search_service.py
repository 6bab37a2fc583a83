"""Starting a search, or going on with it: the steps that `start`, `resume` and Python share."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from optuna.storages import BaseStorage

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.running import Execution, Hooks, StudyRun, open_patiently, run_study, waiting
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import NoStudiesError
from faqnas_optuna.signals import CallInterrupted
from faqnas_optuna.storage.opening import disconnect, storage_lock
from faqnas_optuna.storage.outages import patiently
from faqnas_optuna.study.lifecycle import resume
from faqnas_optuna.study.search import Search, check_existing, open_or_create
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import check_name
from faqnas_optuna.training.reliability import Reliability

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """A search to start, or to go on with."""

    name: str
    config: StudyConfig
    data: DataSource
    auto_repeats: bool = False
    """Whether to find the number of repeats first."""
    is_measured: bool = True
    """Whether to measure the reliability of one training before the first trial."""


def start_search(
    request: SearchRequest,
    execution: Execution,
    hooks: Hooks,
    *,
    on_data: Callable[[DataSplits], None] = lambda _: None,
    detach: bool = False,
) -> StudyRun:
    """Start a search, or go on with it, until it stops or is interrupted. A search that has ended is left as it is.

    Args:
        on_data: called with the data when they are loaded, before the study is made.
        detach: only make the study, for workers to attach to.

    Raises:
        StudyMismatchError: a study of this name has other settings or other data.
        CallInterrupted: a signal came before there was a study.
    """
    check_name(request.name)
    execution.check_reach(request.data)
    storage, search = _look_for_study(request, execution, hooks)
    if search is None:
        splits = request.data.load(request.config)
        on_data(splits)
        # Nothing is made before the data were read.
        search = _create(request, splits, storage, execution, hooks)
    else:
        if request.data.samples is not None:
            search.check_data(request.data.samples)
        stopped = search.metadata.stop()
        if stopped and stopped.reason is not StopReason.REQUESTED:
            # Neither its data nor torch are needed to show the result.
            return StudyRun(study=search, done_before=True)
        splits = request.data.load_for(search)
        on_data(splits)
        if stopped:
            search = resume(search)
    if detach:
        return StudyRun(study=search, splits=splits)
    return run_study(search, splits, execution, hooks, worker_dir=request.data.worker_dir)


def resume_study(name: str, data: DataSource, execution: Execution, hooks: Hooks, *, generations: int | None) -> StudyRun:
    """Go on with a stopped or interrupted study, or join one that runs.

    Args:
        generations: new limit of generations, over all of the study; None to keep it.

    Raises:
        StudyNotFoundError: there is no such study.
        ConfigError: the limit leaves no generation to run.
    """
    execution.check_reach(data)
    study = open_study(open_patiently(execution, hooks), name)
    # Before the data are read; and again when nobody else can change the study.
    study.check_resumable(generations=generations)
    splits = data.load_for(study)
    study = resume(study, generations=generations)
    return run_study(study, splits, execution, hooks, worker_dir=data.worker_dir)


def _look_for_study(request: SearchRequest, execution: Execution, hooks: Hooks) -> tuple[BaseStorage | None, Search | None]:
    """Return the database and the study, as far as they exist. Whatever can be refused without the data is refused."""
    try:
        storage = open_patiently(execution, hooks)
    except NoStudiesError:
        return None, None
    return storage, check_existing(storage, request.name, request.config, any_repeats=request.auto_repeats)


def _create(
    request: SearchRequest, splits: DataSplits, storage: BaseStorage | None, execution: Execution, hooks: Hooks
) -> Search:
    """Return a new study, or the one of this name if somebody has made it meanwhile."""
    from faqnas_optuna.training.pilot import with_repeats_for

    if storage is None:
        storage = open_patiently(execution, hooks, create=True)
    config, reliability = request.config, None
    if request.is_measured or request.auto_repeats:
        reliability = _measured(request, splits, execution, hooks)
    if request.auto_repeats:
        config = with_repeats_for(config, reliability)
        assert reliability is not None
        repeats = config.training.repeats
        told = "--repeats auto: %d, which give a reliability of %.2f; one training has %.2f"
        logger.info(told, repeats, reliability.of_mean(repeats), reliability.value)

    def make() -> Search:
        with storage_lock(execution.storage):
            return open_or_create(storage, request.name, config, splits, reliability=reliability, files=request.data.files)

    # The database may have gone away while trainings were measured, which takes minutes.
    with waiting(hooks, f"study {request.name} was not made") as signals:
        release = partial(disconnect, storage)
        return patiently(make, signals, timeout_s=execution.timeouts.database_timeout_s, release=release)


def _measured(request: SearchRequest, splits: DataSplits, execution: Execution, hooks: Hooks) -> Reliability | None:
    """Return the reliability of one training; None if it cannot be measured, or not in time."""
    from faqnas_optuna.training.pilot import LIMIT_S, measure_reliability
    from faqnas_optuna.workers.pool import shared_out

    reliability = hand_out = None
    # The workers of a cluster train elsewhere.
    if execution.workers > 1 and execution.client is None and hooks.run_forked:
        hand_out = partial(shared_out, processes=execution.workers)
    limit_s = None if request.auto_repeats else LIMIT_S
    with hooks.catch_signals() as signals, signals.giving_up(at_first=True):
        reliability = measure_reliability(splits, request.config, limit_s=limit_s, hand_out=hand_out)
    if signals.first:
        raise CallInterrupted(f"interrupted; study {request.name} was not made", exit_code=signals.exit_code)
    return reliability
