"""Running of experiments: the service that the command `experiment` and Python share."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.storages import BaseStorage

from faqnas_optuna.api.confirmation_service import ConfirmationRequest, confirm_study
from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.race_service import RaceProgress, RaceRequest, is_done, run_race
from faqnas_optuna.api.running import Execution, Hooks, open_patiently
from faqnas_optuna.api.search_service import SearchRequest, start_search
from faqnas_optuna.config import Score, StudyConfig
from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.opening import find_confirmation, load_search, search_of
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data.loading import check_exists
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import (
    NoStudiesError,
    NoSuccessfulTrialError,
    StudyMismatchError,
    StudyNotFoundError,
    StudyStoppedError,
)
from faqnas_optuna.experiments.figure import MethodFronts, write_experiment_plot
from faqnas_optuna.experiments.plan import Cell, Experiment
from faqnas_optuna.experiments.results import CellResult, ExperimentResults, results_of, summarise
from faqnas_optuna.experiments.table import experiment_document, experiment_frame, experiment_latex
from faqnas_optuna.racing.storing import check_request
from faqnas_optuna.reporting.attainment import Floats
from faqnas_optuna.reporting.documents import check_failures
from faqnas_optuna.reporting.sizes import size_of
from faqnas_optuna.signals import CallInterrupted
from faqnas_optuna.storage.opening import disconnect
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.study.description import Picked
from faqnas_optuna.study.race_study import RaceStudy
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.wording import duration_text

if TYPE_CHECKING:
    # Importing pandas takes a second.
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True)
class Position:
    """Progress of an experiment over its studies."""

    done: int
    planned: int
    remaining_s: float | None
    """Expected duration of the rest, from the studies of this call; None before the first."""

    def __str__(self) -> str:
        """Return the position as the beginning of a line about the running study."""
        if self.remaining_s is None:
            return f"[{self.done + 1} of {self.planned}]"
        return f"[{self.done + 1} of {self.planned}, about {duration_text(self.remaining_s)} left]"


@dataclass(frozen=True, kw_only=True)
class ExperimentHooks:
    """Functions by which a caller shows the progress of the studies, each given the position in the experiment."""

    study: Callable[[Position], Hooks]
    race: Callable[[Position, str], AbstractContextManager[Callable[[RaceProgress], None]]]
    """Shows a race with a name."""
    on_data: Callable[[StudyConfig, DataSplits], None]
    """Reports findings about the data of a study."""


@dataclass(frozen=True, kw_only=True)
class ExperimentRun:
    """Experiment after a call that ran it, as far as it got."""

    results: ExperimentResults
    fronts: tuple[MethodFronts, ...]
    origin: Mapping[str, Any]
    """Settings and provenance of the table."""
    exit_code: int
    """Exit code of the signal that interrupted the experiment; 0 without one."""
    seconds: float

    @property
    def frame(self) -> "DataFrame":
        """The table as a data frame."""
        return experiment_frame(self.results)

    @property
    def csv(self) -> str:
        """The table as CSV."""
        text: str = self.frame.to_csv(index=False)
        return text

    @property
    def document(self) -> dict[str, Any]:
        """The table as values for JSON."""
        return experiment_document(self.results, origin=self.origin)

    @property
    def latex(self) -> str:
        """The table as LaTeX."""
        return experiment_latex(self.results, origin=self._settings)

    def save_plot(self, path: Path | str, *, size: str | None = None) -> None:
        """Write the figure of the fronts.

        Args:
            path: File name ending in `.png`, `.pdf` or `.svg`.
            size: Width: `column`, `page` or `slide`; by default `page`.

        Raises:
            ConfigError: There is no such size.
            NoSuccessfulTrialError: No study has a result.
            OutputError: The suffix is another one, or the file cannot be written.
        """
        if not self.fronts:
            raise NoSuccessfulTrialError(f"experiment {self.results.experiment.name!r} has no result to plot")
        write_experiment_plot(self.results.experiment, self.fronts, Path(path), size=size_of(size), origin=self._settings)

    @property
    def _settings(self) -> dict[str, Any]:
        # The results of all studies would be too long for the metadata of a file.
        return {name: value for name, value in self.origin.items() if name != "results"}


def run_experiment(
    experiment: Experiment, execution: Execution, hooks: ExperimentHooks, *, data_dir: Path | None
) -> ExperimentRun:
    """Run the studies and confirmations of an experiment that are not complete, and return the results.

    Raises:
        CallInterrupted: A signal arrived before the first result.
        DataError: The data of a study cannot be used.
        FailuresError: All trials of a study failed.
        StudyMismatchError: A study of one of its names has other settings.
    """
    check_data(experiment, data_dir)
    started = time.perf_counter()
    exit_code = 0
    planned = len(experiment.cells)
    complete = complete_studies(experiment, execution, hooks)
    before = len(complete)
    if len(complete) < planned:
        # Before the first training: a column that cannot be used must not be noticed after hours.
        for cell in _first_cells(experiment):
            hooks.on_data(cell.config, _source(cell, data_dir).load(cell.config))
    for cell in experiment.cells:
        if cell.name in complete:
            continue
        done = len(complete)
        pace = (time.perf_counter() - started) / (done - before) if done > before else None
        position = Position(done=done, planned=planned, remaining_s=pace and pace * (planned - done))
        try:
            exit_code = _run_cell(cell, experiment, execution, hooks, position, data_dir)
        except CallInterrupted as interrupted:
            # Early in a study: the results of the others are shown all the same.
            exit_code = interrupted.exit_code
        if exit_code:
            break
        complete.add(cell.name)
    if exit_code and not complete:
        message = f"interrupted; experiment {experiment.name} has no complete study yet; repeat the command to continue"
        raise CallInterrupted(message, exit_code=exit_code)
    seconds = time.perf_counter() - started
    storage = open_patiently(execution, hooks.study(Position(done=planned, planned=planned, remaining_s=None)))
    try:
        return read_results(experiment, storage, exit_code=exit_code, seconds=seconds)
    finally:
        disconnect(storage)


def check_data(experiment: Experiment, data_dir: Path | None) -> None:
    """Refuse unknown data sets and files that do not exist."""
    for cell in _first_cells(experiment):
        check_exists(cell.config, cell.files and cell.files.located(data_dir))


def _first_cells(experiment: Experiment) -> list[Cell]:
    """Return one study of each data set."""
    # The splits of a data set have the same files and columns.
    return list({cell.dataset: cell for cell in reversed(experiment.cells)}.values())[::-1]


def complete_studies(experiment: Experiment, execution: Execution, hooks: ExperimentHooks) -> set[str]:
    """Return the names of the studies whose confirmations are complete."""
    first = Position(done=0, planned=len(experiment.cells), remaining_s=None)
    try:
        storage = open_patiently(execution, hooks.study(first))
    except NoStudiesError:
        # The first study creates the database.
        return set()
    names = {cell.name for cell in experiment.cells if _complete_cell(cell, experiment, storage)}
    disconnect(storage)
    return names


def _complete_cell(cell: Cell, experiment: Experiment, storage: BaseStorage) -> tuple[Confirmation, Picked] | None:
    """Return the confirmation of a study with the picked circuits if both are complete.

    Raises:
        StudyMismatchError: The study or its confirmation has other settings.
    """
    try:
        study = load_search(storage, cell.name)
    except StudyNotFoundError:
        return None
    if isinstance(study, RaceStudy) is not bool(cell.race):
        raise StudyMismatchError(f"study {cell.name!r} has another method; give the experiment another name")
    study.check_config(cell.config)
    if cell.race and isinstance(study, RaceStudy):
        check_request(study, trainings=cell.race.trainings, sample=cell.race.sample, among=None, resplit=False)
        if not is_done(study, cell.race.within):
            return None
    confirmation = find_confirmation(storage, cell.confirmation, study)
    if confirmation is None:
        return None
    confirmation.check_budget(experiment.budget)
    picked = confirmation.metadata.picked()
    wanted = set(map(str, experiment.rules))
    if picked is None or not wanted <= picked.picks.keys():
        return None
    finalists = {finalist.trial for finalist in confirmation.plan.finalists}
    if not (finalists.issuperset(_trials(experiment, picked)) and confirmation.is_done((), experiment.budget)):
        return None
    return confirmation, picked


def _picked(experiment: Experiment, study: Search) -> Picked:
    """Return the circuits of a study that the rules select, and its front."""
    state = read_state(study)
    return Picked(
        picks={str(rule): state.choose(rule).trial for rule in experiment.rules},
        front=[(candidate.trial, candidate.cost, candidate.val_error) for candidate in state.front],
    )


def _trials(experiment: Experiment, picked: Picked) -> list[int]:
    """Return the numbers of the trials to confirm, without duplicates."""
    front = [trial for trial, _, _ in picked.front] if experiment.file.confirm.front else []
    return list(dict.fromkeys([*picked.picks.values(), *front]))


def _run_cell(
    cell: Cell,
    experiment: Experiment,
    execution: Execution,
    hooks: ExperimentHooks,
    position: Position,
    data_dir: Path | None,
) -> int:
    """Run a study and its confirmation until they are complete or a signal arrives; return the exit code of the signal."""
    data = _source(cell, data_dir)
    own = hooks.study(position)
    study, exit_code = _search(cell, data, execution, own, hooks, position)
    try:
        if exit_code:
            return exit_code
        _check_ended(study)
        picked = _picked(experiment, study)
    finally:
        # Every step opens the database itself. An open connection would not survive the fork of the next step's workers.
        disconnect(storage_of(study.study))
    trials = _trials(experiment, picked)
    confirming = ConfirmationRequest(study=cell.name, name=cell.confirmation, trials=trials, budget=experiment.budget)
    confirmation = confirm_study(confirming, data, execution, own)
    try:
        if not confirmation.signals.first:
            _check_ended(confirmation.study)
            # Last: a study without this entry is not complete.
            confirmation.study.metadata.write_picked(picked)
    finally:
        disconnect(storage_of(confirmation.study.study))
    return confirmation.signals.exit_code


def _source(cell: Cell, data_dir: Path | None) -> DataSource:
    """Return the source of a study's data."""
    return DataSource(files=cell.files and cell.files.located(data_dir), data_dir=data_dir)


def _search(
    cell: Cell, data: DataSource, execution: Execution, own: Hooks, hooks: ExperimentHooks, position: Position
) -> tuple[Search, int]:
    """Run the search or race of a study; return it with the exit code of the signal that ended it."""
    if cell.race is None:
        request = SearchRequest(name=cell.name, config=cell.config, data=data, is_measured=False)
        run = start_search(request, execution, own)
        return search_of(run.study), run.signals.exit_code
    racing = RaceRequest(
        name=cell.name,
        config=cell.config,
        data=data,
        trainings=cell.race.trainings,
        within=cell.race.within,
        sample=cell.race.sample,
    )
    with hooks.race(position, cell.name) as on_progress:
        race = run_race(racing.checked(), execution, own, on_progress=on_progress)
    return race.study, race.signals.exit_code


def _check_ended(study: StoredStudy[Any]) -> None:
    """Refuse a study that did not end by itself, whose results would depend on the time at which it was stopped.

    Raises:
        FailuresError: Several trials in a row failed.
        StudyStoppedError: A user or a time limit stopped the study.
    """
    check_failures(study)
    stop = study.metadata.stop()
    if stop is None or stop.reason.is_temporary:
        raise StudyStoppedError(f"study {study.name!r} was stopped before its end; the same command continues it")


def read_results(experiment: Experiment, storage: BaseStorage, *, exit_code: int, seconds: float) -> ExperimentRun:
    """Read the results of the studies that are complete."""
    results: list[CellResult] = []
    fronts: dict[tuple[str, str], list[Floats]] = {}
    versions: list[Mapping[str, str]] = []
    for cell in experiment.cells:
        pair = _complete_cell(cell, experiment, storage)
        if pair is None:
            continue
        confirmation, picked = pair
        document = confirmation_document(confirmation)
        results += results_of(cell, picked.picks, document)
        fronts.setdefault((cell.dataset, cell.method), []).append(_front(experiment, picked, document))
        # Studies of one experiment may have been run by different versions of packages that do not affect results.
        if confirmation.description.versions not in versions:
            versions.append(confirmation.description.versions)
    return ExperimentRun(
        results=summarise(experiment, results, score=experiment.cells[0].config.score.in_words),
        fronts=tuple(
            MethodFronts(dataset=dataset, method=method, fronts=members) for (dataset, method), members in fronts.items()
        ),
        origin={
            "settings": experiment.settings,
            "versions": list(map(dict, versions)),
            "results": [_plain(one) for one in results],
        },
        exit_code=exit_code,
        seconds=seconds,
    )


def _plain(result: CellResult) -> dict[str, Any]:
    """Return the result of one study as plain values."""
    values = {name: value for name, value in asdict(result).items() if name != "cell"}
    return {"study": result.cell.name, "split": result.cell.split, "seed": result.cell.seed, **values}


def _front(experiment: Experiment, picked: Picked, document: Mapping[str, Any]) -> Floats:
    """Return the costs and errors (circuits, 2) of a front: test errors if the whole front is confirmed."""
    errors = {trial: error for trial, _, error in picked.front}
    if experiment.file.confirm.front:
        key = f"test_{Score(document['score']).key}"
        errors = {circuit["trial"]: 1 - circuit[key] for circuit in document["circuits"]}
    return np.array([(cost, errors[trial]) for trial, cost, _ in picked.front], np.float64)
