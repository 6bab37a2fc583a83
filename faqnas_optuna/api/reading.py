"""Read access to a stored study: front, trials, figures and documents."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from faqnas_optuna.page.report import DEFAULT_RULE, check_report_file, no_report_error, write_report
from faqnas_optuna.reporting.documents import check_successful, study_document
from faqnas_optuna.reporting.families import trait_of
from faqnas_optuna.reporting.family_plot import write_family_plot
from faqnas_optuna.reporting.frames import families_frame, front_frame, trials_frame
from faqnas_optuna.reporting.latex import front_table
from faqnas_optuna.reporting.plotly_front import pareto_figure, write_pareto_plot
from faqnas_optuna.reporting.race_report import families_of
from faqnas_optuna.reporting.sizes import size_of
from faqnas_optuna.reporting.study_groups import group_studies, write_groups_plot
from faqnas_optuna.storage.opening import open_storage, with_empty_cache
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.storage.urls import absolute
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import SearchState, read_state
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.reliability import Reliability

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


class StudyReader:
    """Stored study in its current state; other workers may still be running it.

    A pickled study holds the URL of its database, including a password, and finds the study there again.

    Args:
        search: Study.
        storage: URL of its database.
        data: Source of its data.
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
            data_dir: Directory of data files that have moved, and of `mnist`; by default the user's cache directory.

        Raises:
            StudyNotFoundError: The database has no study of this name.
            StorageError: The database cannot be read.
        """
        with using(storage):
            search = open_study(open_storage(storage), name)
        return cls(search, storage=storage, data=DataSource(data_dir=path_of(data_dir)))

    def __getstate__(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "created": self._search.description.created,
            # A pickle may be loaded in another directory.
            "storage": absolute(self._url),
            "data": self._data,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Find the study again.

        Raises:
            StudyNotFoundError: The study was deleted; another may have its name.
            StorageError: The database cannot be read.
        """
        with using(state["storage"]):
            search = open_study(open_storage(state["storage"]), state["name"])
        # A name alone does not identify a study: it can be deleted and its name used again.
        if search.description.created != state["created"]:
            message = f"study {search.name!r} was deleted after it was pickled, and another has its name; list the studies with"
            raise StudyNotFoundError(message, command="status")
        self._search = search
        self._url = state["storage"]
        self._data = state["data"]

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._search.name

    @property
    def config(self) -> StudyConfig:
        """Settings of the study."""
        return self._search.config

    @property
    def optuna(self) -> optuna.Study:
        """The study as an Optuna study."""
        return self._search.study

    @property
    def reliability(self) -> Reliability | None:
        """Agreement of two trainings of one circuit, as measured before the search; None if it was not measured."""
        return self._search.description.reliability

    @property
    def front(self) -> "DataFrame":
        """Front as a data frame: a row per non-dominated circuit by cost (quantum FLOPs) and validation error.

        Raises:
            NoSuccessfulTrialError: No trial has succeeded yet.
        """
        return front_frame(self._state())

    @property
    def trials(self) -> "DataFrame":
        """Trained circuits as a data frame: a row per circuit, on the front or not.

        Raises:
            NoSuccessfulTrialError: No trial has succeeded yet.
        """
        return trials_frame(self._state())

    def pick(self, rule: str = "knee") -> Candidate:
        """Select a circuit of the front by a rule; it has a `genome`, `quantum_flops` and `val_error`.

        Args:
            rule: `knee`, `best`, `cheapest-within:X`, `best-under:COST` or `at-least:SCORE`.

        Raises:
            ConfigError: The rule is unknown, or no circuit of the front satisfies it.
            NoSuccessfulTrialError: No trial has succeeded yet.
        """
        selection = SelectionRule.parse(rule)
        state = self._state()
        check_successful(state)
        return state.choose(selection)

    def status(self) -> dict[str, Any]:
        """Return the progress and the workers of the study, as in `faqnas-optuna status --json`."""
        with self._current() as study:
            return study.status(read_state(study))

    def report(self) -> Mapping[str, Any]:
        """Return the results so far, as in `start --json` and `confirm --json`.

        Raises:
            NoSuccessfulTrialError: No trial has succeeded yet.
        """
        with self._current() as study:
            return study_report(study, seconds=0, checks=None, done_before=False, storage_option="").document

    def describe(self, trial: int | None = None) -> dict[str, Any]:
        """Return the settings of the study, or everything stored about a trial, as in `faqnas-optuna show --json`.

        Args:
            trial: Number of a trial, whose circuit is drawn under `drawing`; None for the study.

        Raises:
            StudyNotFoundError: The trial does not exist.
        """
        with self._current() as study:
            return study_document(study) if trial is None else trial_document(study, trial)

    def to_latex(self, pick: str | None = None) -> str:
        """Return the front as a LaTeX table.

        Args:
            pick: Rule that selects one circuit of the front; None for all.

        Raises:
            ConfigError: The rule is unknown.
            NoSuccessfulTrialError: No trial has succeeded yet.
        """
        selection = None if pick is None else SelectionRule.parse(pick)
        state = self._state()
        check_successful(state)
        return front_table(state, [state.choose(selection)] if selection else state.front)

    def plot(self) -> "Figure":
        """Return the front as an interactive figure, with confirmed values beside the search estimates.

        Raises:
            NoSuccessfulTrialError: No trial has succeeded yet.
        """
        state = self._state()
        check_successful(state)
        with using(self._url):
            return pareto_figure(state, confirmed_errors(confirmation_of(search_of(self._search))))

    def families(self, by: str = "entangled") -> "DataFrame":
        """Return verdicts on the families of circuits of a race: a row per family and range of costs.

        Args:
            by: Property of the families: `entangled`, `embedding`, `entangler`, `depth` or `n_qubits`.

        Raises:
            ConfigError: The property is unknown, the study is not a race, or all its circuits are of one family.
            NoSuccessfulTrialError: The race has no result yet.
        """
        return families_frame(families_of(self._state(), trait_of(by)))

    def save_plot(self, file: Path | str, *, size: str | None = None, by: str | None = None) -> None:
        """Write a plot of the front for print, or as a web page.

        Args:
            file: File ending in .png, .pdf, .svg or .html.
            size: Size in print: `column`, `page` or `slide`; by default `page`.
            by: Property of the families of circuits of a race, which are drawn instead of the front; see `families`.

        Raises:
            NoSuccessfulTrialError: No trial has succeeded yet.
            OutputError: The file cannot be written, or has another ending.
        """
        print_size = size_of(size)
        state = self._state()
        check_successful(state)
        if by is not None:
            # Confirmed errors belong to circuits, not to families.
            trait = trait_of(by)
            write_family_plot(families_of(state, trait), state, trait, Path(file), size=print_size)
            return
        with using(self._url):
            # Empty without a confirmation.
            confirmed = confirmed_errors(confirmation_of(search_of(self._search)))
            write_pareto_plot(state, Path(file), size=print_size, confirmed=confirmed)

    def save_report(self, file: Path | str, *, pick: str = str(DEFAULT_RULE)) -> None:
        """Write the report of the study and its confirmation as a self-contained web page.

        Args:
            file: File ending in .html.
            pick: Rule that selects the circuit to report on, as in `pick`.

        Raises:
            ConfigError: The rule is unknown, or the study is a confirmation.
            NoSuccessfulTrialError: No trial has succeeded yet.
            OutputError: The file cannot be written, or has another ending.
        """
        report_studies([self], file, pick=pick)

    def _state(self) -> SearchState:
        with self._current() as study:
            return read_state(search_of(study))

    @contextmanager
    def _current(self) -> Iterator[StoredStudy[Any]]:
        """Yield the study, after checking that it still exists."""
        with using(self._url), self._search.existing():
            if self._search.description.race is None:
                yield self._search
            else:
                # A race replaces its trials, of which Optuna's cache would keep the former ones.
                yield open_study(with_empty_cache(storage_of(self._search.study)), self.name)

    def __repr__(self) -> str:
        with self._current() as study:
            trials = read_state(study).successful
            progress = "finished" if study.metadata.stop() else "not finished"
        return f"<Study {self.name!r} over {self.config.dataset}: {trials} trials, {progress}>"


def plot_fronts(
    studies: Sequence[StudyReader], file: Path | str, *, group_by: str | None = None, size: str | None = None
) -> None:
    """Plot the fronts of several studies in groups: the errors that half of the fronts of a group attain, with quartiles.

    Args:
        studies: Studies with the same cost and the same score, of any database.
        file: File ending in .png, .pdf, .svg or .html.
        group_by: Setting that the studies of a group share, `study`, or `searcher`; None for groups that differ in their
            random seeds only.
        size: Size in print: `column`, `page` or `slide`; by default `page`.

    Raises:
        ConfigError: There is no such setting or size, or no study.
        NoSuccessfulTrialError: A study has no successful trial.
        OutputError: The file cannot be written, or has another ending.
        StudyMismatchError: The studies have different costs or scores.
    """
    # NumPy would report an empty array.
    if not studies:
        raise ConfigError("plot_fronts needs at least one study")
    print_size = size_of(size)
    groups = group_studies([study._state() for study in studies], group_by)
    write_groups_plot(groups, Path(file), size=print_size)


def report_studies(studies: Sequence[StudyReader], file: Path | str, *, pick: str = str(DEFAULT_RULE)) -> None:
    """Write the report of several studies as one self-contained web page, with a plot of all fronts.

    Args:
        studies: Studies with the same cost and the same score, of any database.
        file: File ending in .html.
        pick: Rule that selects the circuit of each study to report on, as in `Study.pick`.

    Raises:
        ConfigError: The rule is unknown, a study is a confirmation, or there is no study.
        NoSuccessfulTrialError: A study has no successful trial.
        OutputError: The file cannot be written, or has another ending.
        StudyMismatchError: The studies have different costs or scores.
    """
    if not studies:
        raise ConfigError("report_studies needs at least one study")
    rule = SelectionRule.parse(pick)
    check_report_file(Path(file))
    with ExitStack() as stack:
        current = [stack.enter_context(study._current()) for study in studies]
        write_report([search_of(study, refusal=no_report_error) for study in current], Path(file), rule)
