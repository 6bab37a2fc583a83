"""Views of the studies of a storage, read again and again by several threads."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Generic, TypeVar, cast

from optuna.storages import BaseStorage

from faqnas_optuna.confirmation.analysis import confirmed_errors
from faqnas_optuna.confirmation.opening import confirmation_of, load_search, open_study
from faqnas_optuna.confirmation.plan import name_for
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.reporting.front_plot import ConfirmedError
from faqnas_optuna.reporting.note import study_note
from faqnas_optuna.reporting.plotly_front import as_plotly, pareto_figure
from faqnas_optuna.reporting.stored_plots import hypervolume_by_generation
from faqnas_optuna.storage.attributes import study_ids
from faqnas_optuna.storage.opening import with_empty_cache
from faqnas_optuna.storage.optuna_internals import study_id_of
from faqnas_optuna.study.metadata import Description, our_studies
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState, StudyState
from faqnas_optuna.study.study import StoredStudy


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """Content of a study's page."""

    study_id: int
    """Id of the study in the database, which the addresses of optuna-dashboard contain."""
    status: Mapping[str, Any]
    """Progress of the study, a `StoredStudy.status`."""
    note: Mapping[str, str]
    """Note on the study, a `study_note`."""
    front: Sequence[Candidate]
    description: Description
    confirmed: Mapping[str, ConfirmedError]
    """Confirmed errors by the digest of the circuit."""
    is_confirming: bool
    """True if a confirmation of the study is unfinished."""
    figures: Mapping[str, str]
    """Figures by name, as Plotly's JSON; empty while no trial has succeeded."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Content of the list of studies."""

    studies: Sequence[Mapping[str, Any]]
    """Progress of each study that has a page, a `StoredStudy.status`."""
    study_ids: Mapping[str, int]
    """Ids of all studies of the storage by name."""
    left_out: Mapping[str, str]
    """Reasons why studies have no page, by name."""


Result = TypeVar("Result")
State = TypeVar("State", bound=StudyState)


class Shared(Generic[Result]):
    """Results by name, shared by threads that request the same name at the same time.

    A thread takes the result of another thread if the reading of it began after the request.

    Args:
        read: Function that reads the result for a name.
    """

    def __init__(self, read: Callable[[str], Result]) -> None:
        self._read = read
        self._lock = Lock()
        self._latest: dict[str, tuple[float, Result]] = {}

    def get(self, name: str) -> Result:
        """Return a result that is no older than the call."""
        requested_at = time.monotonic()
        # Requests wait here while another thread reads, and then find its result: a crowd of browsers causes two readings,
        # not one each.
        with self._lock:
            latest = self._latest.get(name)
            if latest is None or latest[0] <= requested_at:
                latest = time.monotonic(), self._read(name)
                self._latest[name] = latest
            return latest[1]


class StudyWatcher:
    """Reader of all studies of a storage. It keeps their states, so that each reading fetches only new trials.

    Args:
        storage: Storage of the studies.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        # The states are not safe for use by several threads at once.
        self._lock = Lock()
        self._states: dict[str, Any] = {}
        """State of each study, a search or a confirmation, by name."""
        self._figures_by_name: dict[str, tuple[object, dict[str, str]]] = {}
        """Figures of each study, with a key that changes with their content."""
        self._studies = Shared(self._read_study)
        self._overviews = Shared(lambda _: self._read_overview())

    def study(self, name: str) -> StudyView:
        """Return the current content of a study's page.

        Raises:
            ConfigError: The name is not a valid name of a study.
            StudyNotFoundError: No study has this name, or the study was not made by this package.
            StudyMismatchError: The study is a confirmation, or was made by a version that this one cannot read.
        """
        return self._studies.get(name)

    def overview(self) -> Overview:
        """Return the current content of the list of studies, including those of other programs."""
        # All requests share one result, so any name will do.
        return self._overviews.get("")

    def study_ids(self) -> dict[str, int]:
        """Return the ids of all studies by name."""
        return study_ids(self._storage)

    def _read_study(self, name: str) -> StudyView:
        with self._lock:
            search = load_search(self._storage, name, refusal=_no_page_error)
            state = self._state(search)
            # The study may be deleted while it is read.
            with search.if_it_exists():
                confirmation = confirmation_of(search)
                confirmed = confirmed_errors(confirmation)
                return StudyView(
                    study_id=study_id_of(search.study),
                    status=search.status(state),
                    note=study_note(state),
                    front=state.front,
                    description=search.description,
                    confirmed=confirmed,
                    is_confirming=confirmation is not None and confirmation.metadata.stop() is None,
                    figures=self._figures(state, confirmed) if state.successful else {},
                )

    def _read_overview(self) -> Overview:
        studies = []
        left_out = {}
        with self._lock:
            ids = self.study_ids()
            ours = our_studies(self._storage)
            for name in ours:
                try:
                    study = open_study(self._storage, name)
                    studies.append(study.status(self._state(study)))
                except (ConfigError, StudyMismatchError) as error:
                    left_out[name] = str(error)
                # The study was deleted after the list was read.
                except StudyNotFoundError:
                    ids.pop(name, None)
        left_out |= {name: "not created by faqnas-optuna" for name in ids.keys() - ours.keys()}
        return Overview(studies=studies, study_ids=ids, left_out=dict(sorted(left_out.items())))

    def _state(self, study: StoredStudy[State]) -> State:
        """Return the current state of a study."""
        state: Any = self._states.get(study.name)
        # A study that replaced a deleted one of its name may even have the same ids on SQLite, as may the new trials of a race
        # that was continued. They are read afresh, without the old trials in Optuna's cache.
        if state is None or _identity(state.study.description) != _identity(study.description):
            state = open_study(with_empty_cache(self._storage), study.name).new_state()
            self._states[study.name] = state
        # The limit of generations may have changed since the last reading.
        state.study = replace(state.study, description=study.description)
        with state.study.existing():
            state.refresh()
        return cast(State, state)

    def _figures(self, state: SearchState, confirmed: Mapping[str, ConfirmedError]) -> dict[str, str]:
        """Return the figures of a study, drawn again only if their content has changed."""
        # Drawing takes a tenth of a second or more, and every open page asks for the figures every few seconds.
        generations = state.study.metadata.closed_generations()
        content = (state.study.description.created, state.successful, len(generations), confirmed)
        drawn_content, figures = self._figures_by_name.get(state.study.name, (None, {}))
        if drawn_content != content:
            figures = {"front": pareto_figure(state, confirmed).to_json()}
            # A race has no generations.
            if state.study.description.race is None:
                hypervolume = hypervolume_by_generation(generations, state.study.metadata)
                figures["hypervolume"] = as_plotly(hypervolume).to_json()
            self._figures_by_name[state.study.name] = (content, figures)
        return figures


def _identity(description: Description) -> tuple[object, ...]:
    """Return a value that differs if the trials of a study have been replaced."""
    return description.created, description.race


def _no_page_error(confirmation: Confirmation) -> StudyMismatchError:
    """Return the error for a confirmation, which says where its results are displayed."""
    study = confirmation.plan.study
    if confirmation.name == name_for(study):
        return StudyMismatchError(f"it confirms circuits of {study!r}, and its results are on the page of that study")
    command = f"faqnas-optuna {confirmation.show_command}"
    return StudyMismatchError(f"it confirms circuits of {study!r}; see its results with: {command}")
