"""Service behind the command `race`: find or create the study of a race, run it, and store its result."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
from optuna.storages import BaseStorage

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.running import Execution, Hooks, open_patiently, waiting
from faqnas_optuna.api.settings import check_positive, check_range
from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.functions import function_of
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.confirmation.opening import load_search
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import (
    ClusterError,
    ConfigError,
    NoStudiesError,
    NoSuccessfulTrialError,
    OutputError,
    StudyMismatchError,
    StudyNotFoundError,
    WorkerDiedError,
)
from faqnas_optuna.racing.plan import RacePlan, genomes_of, sample_genomes
from faqnas_optuna.racing.running import Race, Stage
from faqnas_optuna.racing.storing import check_first_round, check_request, create_race, open_race, store_result
from faqnas_optuna.racing.trainer import HandOut, Job, Trainer, run_task
from faqnas_optuna.reporting.documents import check_successful
from faqnas_optuna.reporting.stored_plots import store_plots
from faqnas_optuna.signals import CallInterrupted, Signals
from faqnas_optuna.storage.opening import disconnect, storage_lock
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.storage.outages import retry_while_away
from faqnas_optuna.storage.urls import is_sqlite, parse, sqlite_file
from faqnas_optuna.study.cost_range import check_limits
from faqnas_optuna.study.race_size import TRAININGS_PER_CIRCUIT
from faqnas_optuna.study.race_study import RaceStudy
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.study import check_name
from faqnas_optuna.tables.result_folder import ResultFolder
from faqnas_optuna.training.bulk import load_bulk
from faqnas_optuna.training.evaluation import prepare
from faqnas_optuna.training.limits import Limits
from faqnas_optuna.wording import counted

RESUME_HINT = "Finished trainings are kept; repeat the command to continue"


@dataclass(frozen=True, kw_only=True)
class RaceRequest:
    """Race to be run."""

    name: str
    """Name of the study."""
    config: StudyConfig | None
    """Settings; None for the stored ones of an existing race."""
    data: DataSource
    trainings: int | None = None
    """Budget of the first stage; None for the default, or for the stored budget of an existing race."""
    seconds: float | None = None
    """Approximate duration of the first stage, from which the budget of a new race is computed; None for `trainings`."""
    within: float | None = None
    """ε of the certificate; None to end after the first stage."""
    sample: int | None = None
    """Number of circuits to draw at random; None for the whole space."""
    among: str | None = None
    """Name of a search whose circuits are raced; None for the whole space."""
    resplit: bool = False
    """Whether each training has a new split of the samples outside the test part."""

    def checked(self) -> Self:
        """Return this request of a call from Python, after checking its numbers.

        Raises:
            ConfigError: Two values exclude each other, or a number is out of its range.
        """
        check_range("trainings", self.trainings, 1)
        check_range("sample", self.sample, 2)
        check_positive("seconds", self.seconds)
        check_positive("within", self.within, 1)
        if self.trainings and self.seconds:
            raise ConfigError("trainings and seconds both set the budget of the first stage; leave one of them out")
        if self.sample and self.among:
            raise ConfigError("sample and among both choose the circuits of the race; leave one of them out")
        return self


@dataclass(frozen=True, kw_only=True)
class RaceProgress:
    """Progress of a race."""

    stage: str
    trainings: int
    """Trainings so far."""
    planned: int
    """Trainings at the end of the first stage, or of the current round of certification."""
    open_circuits: int
    """Circuits that are still in the halving or, during certification, may be better than the front by more than ε."""
    epsilon: float | None
    """ε of the last round; None in the first stage."""

    @property
    def part(self) -> str:
        """Part of the race that ends with the planned trainings, followed by a space."""
        # The number of rounds that a certification needs is not known before.
        return "round " if self.stage == Stage.CERTIFICATION else "stage "

    def describe(self) -> str:
        """Return the progress as text."""
        return f"{self.stage} · {self.trainings:,} of {self.planned:,} trainings · {self.remaining}"

    @property
    def remaining(self) -> str:
        """Open circuits and ε as text."""
        epsilon = "" if self.epsilon is None else f" · within {self.epsilon:.3f}"
        return f"{counted(self.open_circuits, 'circuit')} left{epsilon}"


@dataclass(frozen=True, kw_only=True)
class RaceRun:
    """Race after a call that ran it."""

    study: RaceStudy
    signals: Signals = field(default_factory=Signals)
    """Signals that arrived during the trainings."""
    seconds: float = 0
    """Duration of the trainings."""
    command: str = ""
    """Command that continues the race after a signal."""


def run_race(
    request: RaceRequest,
    execution: Execution,
    hooks: Hooks,
    *,
    on_progress: Callable[[RaceProgress], None],
    on_data: Callable[[StudyConfig, DataSplits], None] = lambda config, splits: None,
) -> RaceRun:
    """Run a race, or continue it, until it is complete or a signal arrives, and store its result.

    Args:
        execution: Database and workers.
        hooks: Handling of signals.
        on_progress: Callback with the progress.
        on_data: Callback with the settings and the data, before the first training.

    Raises:
        CallInterrupted: A signal arrived before every circuit was trained.
        StudyMismatchError: The race exists with other settings or data.
    """
    check_name(request.name)
    storage, study = _existing(request, execution, hooks)
    if study:
        check_request(study, trainings=request.trainings, sample=request.sample, among=request.among, resplit=request.resplit)
        if is_done(study, request.within):
            # An interruption may have come between the result and its plots.
            store_plots(study, partial(read_state, study))
            return RaceRun(study=study)
        splits = request.data.load_for(study)
        config = study.config
    else:
        config = _given_config(request)
        splits = request.data.load(config)
        check_limits(Limits.of(config, splits))
    on_data(config, splits)
    plan = _plan(request, config, splits, storage, study)
    # Kernels are compiled and operations counted here, once, where forked workers inherit them.
    prepare(config.engines)
    load_bulk(config)
    folder = ResultFolder(_folder(request.name, execution.storage), plan.document(splits), noun="race", option="--study")
    job = Job.of(plan, splits)
    if job.resplits:
        # Fails before the study is created if the samples cannot be split again.
        job.resplits(0)
    with folder.locked(), _workers(execution, job) as hand_out:
        trainer = Trainer(job, folder, hand_out)
        if study is None:
            with _interruptible(hooks, f"race {request.name} was not created"):
                budget = _budget(request, plan, trainer, execution)
            study = _create(request, plan, splits, storage, execution, hooks, budget=budget)
        race = Race(plan, trainer)
        budget = study.race.budget
        trainer.on_done = lambda done, planned: on_progress(_progress(race, done, planned, budget))
        started = time.perf_counter()
        with hooks.catch_signals() as signals, signals.giving_up(at_first=True), _with_hint():
            race.run(budget, request.within)
        seconds = time.perf_counter() - started
        study = _store(study, plan, race, request, execution, hooks, exit_code=signals.exit_code)
    return RaceRun(study=study, signals=signals, seconds=seconds, command=_continuation(study, request.within))


def _store(
    study: RaceStudy,
    plan: RacePlan,
    race: Race,
    request: RaceRequest,
    execution: Execution,
    hooks: Hooks,
    *,
    exit_code: int,
) -> RaceStudy:
    """Store the result of a race, waiting until the database is available, and return the study.

    Args:
        exit_code: Exit code of the signal that interrupted the race, if one did.

    Raises:
        CallInterrupted: The race was interrupted before it had a result.
    """
    try:
        result = race.result()
    except NoSuccessfulTrialError as error:
        raise CallInterrupted(f"interrupted; {error}", exit_code=exit_code) from error

    def store() -> RaceStudy:
        stored = store_result(study, plan, result, request.within)
        store_plots(stored, partial(read_state, stored))
        return stored

    with waiting(hooks, f"the result of {request.name} was not stored; repeat the command") as signals:
        timeout_s = execution.timeouts.database_timeout_s
        release = partial(disconnect, storage_of(study.study))
        return retry_while_away(store, signals, timeout_s=timeout_s, release=release, keep_on=True)


def _continuation(study: RaceStudy, within: float | None) -> str:
    """Return the command that continues a race towards the same ε."""
    return study.continuation() + ("" if within is None else f" --within {within:g}")


@contextmanager
def _with_hint() -> Iterator[None]:
    """Add to errors that the race can be continued."""
    try:
        yield
    except (ClusterError, OutputError, WorkerDiedError) as error:
        raise type(error)(f"{error}. {RESUME_HINT}") from error


@contextmanager
def _interruptible(hooks: Hooks, undone: str) -> Iterator[None]:
    """Let the first signal end the block and the call.

    Raises:
        CallInterrupted: A signal arrived; the message ends with `undone`.
    """
    with hooks.catch_signals() as signals, signals.giving_up(at_first=True):
        yield
    if signals.first:
        raise CallInterrupted(f"interrupted; {undone}", exit_code=signals.exit_code)


def _create(
    request: RaceRequest,
    plan: RacePlan,
    splits: DataSplits,
    storage: BaseStorage | None,
    execution: Execution,
    hooks: Hooks,
    *,
    budget: int,
) -> RaceStudy:
    """Create the study of a race and, if necessary, the database."""
    opened = open_patiently(execution, hooks, create=True) if storage is None else storage
    with storage_lock(execution.storage):
        return create_race(
            opened,
            request.name,
            plan,
            splits,
            budget=budget,
            sample=request.sample,
            among=request.among,
            files=request.data.files,
        )


@contextmanager
def _workers(execution: Execution, job: Job) -> Iterator[HandOut]:
    """Yield the function that has trainings run on this machine, or on the cluster if there is one."""
    if execution.client:
        from faqnas_optuna.workers.cluster import shared_out_on

        yield partial(shared_out_on, execution.client, run_task, job)
        return
    from faqnas_optuna.workers.pool import Pool

    with Pool(run_task, job, processes=execution.workers) as pool:
        yield pool.run


def _existing(request: RaceRequest, execution: Execution, hooks: Hooks) -> tuple[BaseStorage | None, RaceStudy | None]:
    """Return the database and the race, where they exist."""
    try:
        storage = open_patiently(execution, hooks)
    except NoStudiesError:
        # Not an error yet: the data are checked before the database is created.
        return None, None
    return storage, open_race(storage, request.name, request.config)


def _given_config(request: RaceRequest) -> StudyConfig:
    """Return the settings of a new race."""
    if request.config is None:
        raise StudyNotFoundError(f"there is no race {request.name!r} to continue; to start one, name its data set")
    return request.config


def is_done(study: RaceStudy, within: float | None) -> bool:
    """Return whether a race has the requested result already."""
    race = study.race
    return race.is_complete and (within is None or race.epsilon <= within)


def _plan(
    request: RaceRequest, config: StudyConfig, splits: DataSplits, storage: BaseStorage | None, study: RaceStudy | None
) -> RacePlan:
    """Return the circuits of a race.

    Raises:
        ConfigError: The space is too large.
        StudyNotFoundError: There is no search to take the circuits from.
        StudyMismatchError: The search has other data or another space.
    """
    candidates: list[Candidate] = read_state(study).candidates if study else []
    # The stored settings precede, since options may have been left out.
    settings = study.race if study else request
    among = settings.among
    sample = settings.sample
    represent: Callable[[Circuit], Circuit] = function_of
    genomes: Iterable[Genome]
    if candidates:
        # A race keeps its circuits, even if they are those of a search that has changed since. Earlier versions raced each
        # effective circuit.
        represent = effective_circuit
        genomes = (candidate.genome for candidate in candidates)
    elif among is not None:
        if storage is None:
            raise StudyNotFoundError(f"--among {among}: there are no studies in this database")
        genomes = _genomes_of_search(load_search(storage, among), config, splits)
    elif sample is not None:
        genomes = sample_genomes(Limits.of(config, splits), sample, np.random.default_rng(config.seed))
    else:
        genomes = genomes_of(config.space)
    return RacePlan.of(config, splits, genomes, resplit=settings.resplit, represent=represent)


def _genomes_of_search(search: Search, config: StudyConfig, splits: DataSplits) -> list[Genome]:
    """Return the genomes of the circuits that a search has trained."""
    search.check_data(splits)
    if search.config.space != config.space:
        raise StudyMismatchError(f"study {search.name!r} has another space; give the race the same with --config or options")
    state = read_state(search)
    check_successful(state)
    return [candidate.genome for candidate in state.candidates]


def _folder(name: str, url: str) -> Path:
    """Return the folder for the results so far: beside the file of an SQLite database, else in the working directory."""
    directory = sqlite_file(parse(url)).parent if is_sqlite(url) else Path()
    return directory / f"{name}.parts"


def _budget(request: RaceRequest, plan: RacePlan, trainer: Trainer, execution: Execution) -> int:
    """Return the budget of the first stage of a new race."""
    if request.seconds is None:
        budget = request.trainings or TRAININGS_PER_CIRCUIT * len(plan.entries)
    else:
        workers = sum(execution.client.nthreads().values()) if execution.client else execution.workers
        budget = int(request.seconds * workers / trainer.mean_seconds())
    check_first_round(plan, budget)
    return budget


def _progress(race: Race, done: int, planned: int, budget: int) -> RaceProgress:
    return RaceProgress(
        stage=str(race.stage),
        trainings=done,
        planned=max(planned, budget),
        open_circuits=len(race.open_circuits),
        epsilon=race.epsilon,
    )
