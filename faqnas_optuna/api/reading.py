"""Stored study as a reader sees it: front, trials, figures and documents."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import optuna

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.notebook import path_of, using
from faqnas_optuna.api.settings import DEFAULT_STORAGE
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.confirmation.analysis import confirmed_errors
from faqnas_optuna.confirmation.opening import confirmation_of, open_study, search_of
from faqnas_optuna.confirmation.report import study_report, trial_document
from faqnas_optuna.errors import ConfigError, StudyNotFoundError
from faqnas_optuna.reporting.documents import check_successful, study_document
from faqnas_optuna.reporting.frames import front_frame, trials_frame
from faqnas_optuna.reporting.latex import front_table
from faqnas_optuna.reporting.plotly_front import pareto_figure, write_pareto_plot
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.storage.urls import absolute
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import SearchState, read_state
from faqnas_optuna.study.study import StoredStudy

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


class StudyReader:
    """A study that is stored, as it is now: other workers may still be at it.

    A pickled study holds the URL of its database, password included, and finds the study there again.

    Args:
        search: the study.
        storage: the URL of its database.
        data: what it searches over.
    """

    def __init__(self, search: StoredStudy[Any], *, storage: str, data: DataSource) -> None:
        self._search = search
        self._url = storage
        self._data = data

    @classmethod
    def load(cls, name: str, *, storage: str = DEFAULT_STORAGE, data_dir: Path | str | None = None) -> Self:
        """Load an existing study.

        Args:
            storage: URL of its database.
            data_dir: where the files of `mnist` are; by default the user's cache directory.

        Raises:
            StudyNotFoundError: the database has no study of this name.
            StorageError: the database cannot be read.
        """
        with using(storage):
            search = open_study(open_storage(storage), name)
        return cls(search, storage=storage, data=DataSource(data_dir=path_of(data_dir)))

    def __getstate__(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "created": self._search.description.created,
            "storage": absolute(self._url),
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
        self._url = state["storage"]
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
        """The study as an Optuna study."""
        return self._search.study

    @property
    def front(self) -> "DataFrame":
        """A row for each circuit that no other beats in both cost, as quantum FLOPs, and validation error.

        Raises:
            NoSuccessfulTrialError: no trial has succeeded yet.
        """
        return front_frame(self._state())

    @property
    def trials(self) -> "DataFrame":
        """A row for each circuit that was trained, on the front or not.

        Raises:
            NoSuccessfulTrialError: no trial has succeeded yet.
        """
        return trials_frame(self._state())

    def pick(self, rule: str = "knee") -> Candidate:
        """The circuit of the front that a rule takes: its `genome`, `quantum_flops` and `val_error`.

        Args:
            rule: `knee`, `best`, or `cheapest-within:X`.

        Raises:
            ConfigError: the rule is unknown.
            NoSuccessfulTrialError: there is no front yet.
        """
        picked, state = SelectionRule.parse(rule), self._state()
        check_successful(state)
        return picked.choose(state.front)

    def status(self) -> dict[str, Any]:
        """Return how far the study is and who works on it, as `faqnas-optuna status --json` has it for one study."""
        with using(self._url), self._search.existing():
            return self._search.status(read_state(self._search))

    def report(self) -> Mapping[str, Any]:
        """Return what the study has shown so far, as `start` and `confirm` have it with `--json`.

        Raises:
            NoSuccessfulTrialError: nothing has succeeded yet.
        """
        with using(self._url), self._search.existing():
            return study_report(self._search, seconds=0, checks=None, done_before=False, storage_option="").document

    def describe(self, trial: int | None = None) -> dict[str, Any]:
        """Return what decides the study, or all that is stored of a trial, as `faqnas-optuna show --json` has it.

        Args:
            trial: number of the trial, whose circuit is drawn under `drawing`; None for the study.

        Raises:
            StudyNotFoundError: there is no such trial.
        """
        with using(self._url):
            return study_document(self._search) if trial is None else trial_document(self._search, trial)

    def to_latex(self) -> str:
        """Return the front as a table for LaTeX.

        Raises:
            NoSuccessfulTrialError: there is no front yet.
        """
        state = self._state()
        check_successful(state)
        return front_table(state, state.front)

    def plot(self) -> "Figure":
        """The front as an interactive figure, with what was confirmed beside what is believed.

        Raises:
            NoSuccessfulTrialError: no trial has succeeded yet.
        """
        state = self._state()
        check_successful(state)
        with using(self._url):
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
        with using(self._url):
            confirmed = confirmed_errors(confirmation_of(search_of(self._search)))
            write_pareto_plot(state, Path(file), size=Size(size) if size else None, confirmed=confirmed)

    def _state(self) -> SearchState:
        with using(self._url), self._search.existing():
            return read_state(search_of(self._search))

    def __repr__(self) -> str:
        with using(self._url), self._search.existing():
            trials = read_state(self._search).successful
        progress = "finished" if self._search.metadata.stop() else "not finished"
        return f"<Study {self.name!r} over {self.config.dataset}: {trials} trials, {progress}>"
