"""A search from Python, and what is to be done with what it has found."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import optuna

from faqnas_optuna.api.confirmation_service import ConfirmationRequest, confirm_study, judge_under_noise
from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.notebook import (
    check_detached,
    check_result,
    execution_on,
    heeded_signals,
    path_of,
    program_hooks,
    using,
)
from faqnas_optuna.api.progress import work_bar
from faqnas_optuna.api.running import Execution
from faqnas_optuna.api.search_service import resume_study
from faqnas_optuna.api.settings import DEFAULT_STORAGE, MOST_SHOTS, WorkerTimeouts, check_range
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.confirmation.analysis import confirmation_document, confirmed_errors
from faqnas_optuna.confirmation.frame import confirmed_frame
from faqnas_optuna.confirmation.latex import confirmation_table
from faqnas_optuna.confirmation.opening import confirmation_of, open_study, search_of
from faqnas_optuna.confirmation.plan import candidates_of
from faqnas_optuna.confirmation.report import trial_document
from faqnas_optuna.errors import ConfigError, StudyNotFoundError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.models.export import export
from faqnas_optuna.models.folder import check_target
from faqnas_optuna.models.trained_model import TrainedModel
from faqnas_optuna.noise.figure import write_noise_plot
from faqnas_optuna.noise.frame import noise_frame
from faqnas_optuna.noise.model import noise_of
from faqnas_optuna.reporting.documents import check_successful, study_document
from faqnas_optuna.reporting.frames import front_frame, trials_frame
from faqnas_optuna.reporting.latex import front_table
from faqnas_optuna.reporting.plotly_front import check_printed, pareto_figure, write_pareto_plot
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.storage.urls import absolute
from faqnas_optuna.study.lifecycle import stop
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import SearchState, read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.study.study import StoredStudy

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


class Study:
    """A search that was made, here or by a command, as it is now: other workers may still be at it.

    A pickled study holds the URL of its database, password included, and finds the study there again.

    Args:
        search: the study.
        storage: the URL of its database.
        data: what it searches over.
    """

    def __init__(self, search: StoredStudy[Any], *, storage: str, data: DataSource) -> None:
        self._search = search
        self._storage = storage
        self._data = data

    @classmethod
    def load(cls, name: str, *, storage: str = DEFAULT_STORAGE, data_dir: Path | str | None = None) -> Self:
        """One that exists.

        Args:
            storage: URL of its database.
            data_dir: where the files of `mnist` are; by default the user's cache directory.

        Raises:
            StudyNotFoundError: there is none of this name.
            StorageError: the database cannot be read.
        """
        with using(storage):
            search = open_study(open_storage(storage), name)
        return cls(search, storage=storage, data=DataSource(data_dir=path_of(data_dir)))

    def __getstate__(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "created": self._search.description.created,
            "storage": absolute(self._storage),
            "data": self._data,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Find the study again.

        Raises:
            StudyNotFoundError: it was deleted; there may be another of its name.
            StorageError: the database cannot be read.
        """
        with using(state["storage"]):
            search = open_study(open_storage(state["storage"]), state["name"])
        if search.description.created != state["created"]:
            told = f"study {search.name!r} was deleted since it was pickled, and another has its name; see which there are with"
            raise StudyNotFoundError(told, command="status")
        self._search = search
        self._storage = state["storage"]
        self._data = state["data"]

    @property
    def name(self) -> str:
        """By which every command knows it."""
        return self._search.name

    @property
    def config(self) -> StudyConfig:
        """Its settings."""
        return self._search.config

    @property
    def optuna(self) -> optuna.Study:
        """The same as Optuna has it."""
        return self._search.study

    @property
    def front(self) -> "DataFrame":
        """A row for each circuit that no other beats in both cost, as quantum FLOPs, and validation error.

        Raises:
            NoSuccessfulTrialError: there is none yet.
        """
        return front_frame(self._state())

    @property
    def trials(self) -> "DataFrame":
        """A row for each circuit that was trained, on the front or not.

        Raises:
            NoSuccessfulTrialError: there is none yet.
        """
        return trials_frame(self._state())

    def pick(self, rule: str = "knee") -> Candidate:
        """The circuit of the front that a rule takes: its `genome`, `quantum_flops` and `val_error`.

        Args:
            rule: `knee`, `best`, or `cheapest-within:X`.

        Raises:
            ConfigError: it is none of them.
            NoSuccessfulTrialError: there is no front yet.
        """
        picked, state = SelectionRule.parse(rule), self._state()
        check_successful(state)
        return picked.choose(state.front)

    def resume(
        self,
        *,
        generations: int | None = None,
        workers: int = 1,
        dask: str | None = None,
        grace_s: int = WorkerTimeouts.grace_s,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
        progress: bool | None = None,
    ) -> Self:
        """Go on with a study that was stopped or interrupted, or join one that runs.

        Args:
            generations: new limit of generations, over all of the study.
            workers, dask, grace_s, database_timeout_s, progress: as `search` takes them.

        Raises:
            ConfigError: the limit leaves no generation to run.
        """
        check_range("generations", generations, 1)
        with execution_on(self._storage, workers, dask, grace_s, database_timeout_s) as execution:
            self._check_existing()
            run = resume_study(self.name, self._data, execution, program_hooks(progress), generations=generations)
            check_result(run)
        self._search = run.study
        return self

    def stop(self) -> None:
        """Stop the study; running trials are finished. A study that has stopped is left as it is."""
        with using(self._storage):
            stop(self._search, StopReason.REQUESTED)

    def status(self) -> dict[str, Any]:
        """Return how far the study is and who works on it, as `faqnas-optuna status --json` has it for one study."""
        with using(self._storage):
            self._check_existing()
            return self._search.status(read_state(self._search))

    def describe(self, trial: int | None = None) -> dict[str, Any]:
        """Return what decides the study, or all that is stored of a trial, as `faqnas-optuna show --json` has it.

        Args:
            trial: number of the trial, whose circuit is drawn under `drawing`; None for the study.

        Raises:
            StudyNotFoundError: there is no such trial.
        """
        with using(self._storage):
            return study_document(self._search) if trial is None else trial_document(self._search, trial)

    def confirm(
        self,
        *,
        top: int | None = None,
        pick: str | None = None,
        trials: Sequence[int] | None = None,
        epochs: int | None = None,
        seeds: int | None = None,
        name: str | None = None,
        latex: Path | str | None = None,
        workers: int = 1,
        dask: str | None = None,
        detach: bool = False,
        grace_s: int = WorkerTimeouts.grace_s,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
        progress: bool | None = None,
    ) -> "DataFrame":
        """Train circuits anew from new seeds, beside controls, and judge them on the test part, or go on with that.

        Args:
            top: so many of the front, those of the lowest validation error.
            pick: the one that a rule takes.
            trials: those of these trials. Without any of the three, all of the front.
            epochs: of each training; 50 unless it was begun with others.
            seeds: trainings of each network; 10 unless it was begun with others.
            name: what the confirmation, a study of its own, is called; by default as this one with `.confirm` behind it.
            latex: a file to write a table for LaTeX to.
            workers, dask, grace_s, database_timeout_s, progress: as `search` takes them.
            detach: only make the confirmation, for workers to attach to.

        Returns:
            A row for each circuit confirmed so far, with what its controls have shown, and what it adds in a sentence.

        Raises:
            StudyMismatchError: it was begun with other epochs, or more seeds.
            ConfigError: the circuits are named in two ways, or a number is out of its range.
        """
        check_detached(detach, dask)
        request = ConfirmationRequest.checked(self.name, name, top=top, pick=pick, trials=trials, epochs=epochs, seeds=seeds)
        with execution_on(self._storage, workers, dask, grace_s, database_timeout_s) as execution:
            self._check_existing()
            run = confirm_study(request, self._data, execution, program_hooks(progress), detach=detach)
            if detach and not run.study.trials():
                return confirmed_frame({"circuits": []})
            check_result(run)
            document = confirmation_document(run.study)
        if latex is not None:
            write_atomically(Path(latex), confirmation_table(document).encode())
        return confirmed_frame(document)

    def under_noise(
        self,
        noise: str,
        *,
        shots: int | None = None,
        top: int | None = None,
        pick: str | None = None,
        trials: Sequence[int] | None = None,
        name: str | None = None,
        plot: Path | str | None = None,
        progress: bool | None = None,
    ) -> "DataFrame":
        """Judge circuits on the test part with the noise of a device; those not confirmed yet are confirmed first.

        Args:
            noise: a device by its name or file, or `depolarizing:P`.
            shots: measurements of a sample; None for exact expectation values.
            top, pick, trials, name: as `confirm` takes them.
            plot: a file (.png, .pdf, .svg) to draw the scores to.
            progress: show a bar; None for where it moves.

        Returns:
            A row for each circuit and strength of the noise, with the mean test score and its 95 % interval.

        Raises:
            ConfigError: the noise is unknown, or that of a circuit cannot be simulated.
        """
        check_range("shots", shots, 1, MOST_SHOTS)
        if plot is not None:
            check_printed(Path(plot))
        model = noise_of(noise)
        request = ConfirmationRequest.checked(self.name, name, top=top, pick=pick, trials=trials, noise=model)
        with using(self._storage):
            self._check_existing()
            run = confirm_study(request, self._data, Execution(storage=self._storage), program_hooks(progress))
            check_result(run)
            document = judge_under_noise(
                run,
                model,
                shots=shots,
                data=self._data,
                catch_signals=heeded_signals,
                show_work=partial(work_bar, progress),
            )
            if plot is not None:
                write_noise_plot(document, run.study, Path(plot))
        return noise_frame(document, self.config.score)

    def to_latex(self) -> str:
        """Return the front as a table for LaTeX.

        Raises:
            NoSuccessfulTrialError: there is no front yet.
        """
        state = self._state()
        check_successful(state)
        return front_table(state, state.front)

    def export(
        self,
        folder: Path | str,
        *,
        pick: str | None = None,
        trial: int | None = None,
        qasm: int = 3,
        replace: bool = False,
    ) -> TrainedModel:
        """Write a circuit, trained again as it was, as a folder that `load_model` reads.

        Args:
            pick: the rule that takes it from the front; by default `best`.
            trial: that of this trial.
            qasm: version of OpenQASM, 2 or 3.
            replace: put it in the place of a model that is there.

        Returns:
            The trained network.

        Raises:
            OutputError: the folder is there, or cannot be written.
            StudyNotFoundError: there is no such trial.
            ConfigError: the circuit is named in two ways, or the version is none.
        """
        if pick is not None and trial is not None:
            raise ConfigError("pick and trial each choose a circuit; leave one of them out")
        if qasm not in (2, 3):
            raise ConfigError(f"qasm must be 2 or 3; it is {qasm}")
        with using(self._storage):
            search = search_of(self._search)
            candidate = self.pick(pick or "best") if trial is None else candidates_of(search, [trial])[0]
            check_target(Path(folder), replace=replace)
            splits = self._data.load_for(search)
            model, _ = export(search, candidate, splits, Path(folder), qasm=qasm, replace=replace)
        return model

    def plot(self) -> "Figure":
        """The front as an interactive figure, with what was confirmed beside what is believed.

        Raises:
            NoSuccessfulTrialError: there is none yet.
        """
        state = self._state()
        check_successful(state)
        with using(self._storage):
            return pareto_figure(state, confirmed_errors(confirmation_of(search_of(self._search))))

    def save_plot(self, file: Path | str, *, size: str | None = None) -> None:
        """Draw the front for print, or as a page.

        Args:
            file: ends in .png, .pdf, .svg or .html.
            size: `column`, `page` or `slide`; by default `page`.

        Raises:
            NoSuccessfulTrialError: there is no front yet.
            OutputError: the file cannot be written, or has another ending.
        """
        if size not in (None, *Size):
            raise ConfigError(f"size must be {', '.join(Size)}; it is {size!r}")
        state = self._state()
        check_successful(state)
        with using(self._storage):
            confirmed = confirmed_errors(confirmation_of(search_of(self._search)))
            write_pareto_plot(state, Path(file), size=Size(size) if size else None, confirmed=confirmed)

    def _check_existing(self) -> None:
        """Refuse a study that was deleted, also if another has its name."""
        self._search.stop()

    def _state(self) -> SearchState:
        with using(self._storage), self._search.existing():
            return read_state(search_of(self._search))

    def __repr__(self) -> str:
        with using(self._storage), self._search.existing():
            trials = read_state(self._search).successful
        progress = "finished" if self._search.metadata.stop() else "not finished"
        return f"<Study {self.name!r} over {self.config.dataset}: {trials} trials, {progress}>"
