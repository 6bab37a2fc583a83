"""The studies of a storage, looked at again and again, from several threads."""

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
from faqnas_optuna.reporting.documents import to_the_minute
from faqnas_optuna.reporting.front_plot import ConfirmedError
from faqnas_optuna.reporting.note import study_note
from faqnas_optuna.reporting.plotly_front import hypervolume_figure, pareto_figure
from faqnas_optuna.storage.attributes import study_ids
from faqnas_optuna.storage.opening import with_empty_cache
from faqnas_optuna.storage.optuna_internals import study_id_of
from faqnas_optuna.study.metadata import Description, our_studies
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState, StudyState
from faqnas_optuna.study.stopping import ClosedGeneration
from faqnas_optuna.study.study import StoredStudy


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """What is shown of a study."""

    number: int
    """Its id in the database, by which optuna-dashboard names it."""
    status: Mapping[str, Any]
    note: Mapping[str, str]
    front: Sequence[Candidate]
    description: Description
    confirmed: Mapping[str, ConfirmedError]
    """What was confirmed of its circuits, by digest."""
    is_confirming: bool
    """Whether more of that is to come."""
    figures: Mapping[str, str]
    """Plotly's JSON by name; none while no trial has succeeded."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What is shown of a storage."""

    studies: Sequence[Mapping[str, Any]]
    """A `StoredStudy.status` each."""
    numbers: Mapping[str, int]
    """The ids of all studies of the storage, by name."""
    left_out: Mapping[str, str]
    """Why a study cannot be shown, by name."""


Result = TypeVar("Result")
State = TypeVar("State", bound=StudyState)


class Shared(Generic[Result]):
    """Results by name, shared by threads that ask for the same name at the same time.

    A thread takes the result of another if that was read, from beginning to end, after the thread had asked.

    Args:
        read: reads the result of a name.
    """

    def __init__(self, read: Callable[[str], Result]) -> None:
        self._read = read
        self._lock = Lock()
        self._latest: dict[str, tuple[float, Result]] = {}

    def get(self, name: str) -> Result:
        """Return a result that is no older than the call."""
        asked_at = time.monotonic()
        with self._lock:
            latest = self._latest.get(name)
            if latest is None or latest[0] <= asked_at:
                latest = time.monotonic(), self._read(name)
                self._latest[name] = latest
            return latest[1]


class Watched:
    """A storage that is looked at. What was read of a study is kept, and only what is new is read."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self._lock = Lock()
        self._known: dict[str, Any] = {}
        """The state of each study, of the kind that it has."""
        self._drawn: dict[str, tuple[object, dict[str, str]]] = {}
        self._studies = Shared(self._read_study)
        self._overviews = Shared(lambda _: self._read_overview())

    def study(self, name: str) -> StudyView:
        """One study as it is now.

        Raises:
            ConfigError: none of ours can have this name.
            StudyNotFoundError: there is none of this name, or it is not ours.
            StudyMismatchError: another version of this package has made it.
        """
        return self._studies.get(name)

    def overview(self) -> Overview:
        """All studies as they are now, others' too."""
        return self._overviews.get("")

    def numbers(self) -> dict[str, int]:
        """The ids of all studies, by name."""
        return study_ids(self._storage)

    def _read_study(self, name: str) -> StudyView:
        with self._lock:
            search = load_search(self._storage, name, refusal=_has_no_page)
            state = self._state(search)
            with search.if_it_exists():
                confirmation = confirmation_of(search)
                confirmed = confirmed_errors(confirmation)
                return StudyView(
                    number=study_id_of(search.study),
                    status=search.status(state),
                    note=study_note(state),
                    front=state.front,
                    description=search.description,
                    confirmed=confirmed,
                    is_confirming=confirmation is not None and confirmation.metadata.stop() is None,
                    figures=self._figures(state, confirmed) if state.successful else {},
                )

    def _read_overview(self) -> Overview:
        studies, left_out = [], {}
        with self._lock:
            numbers = self.numbers()
            ours = our_studies(self._storage)
            for name in ours:
                try:
                    study = open_study(self._storage, name)
                    studies.append(study.status(self._state(study)))
                except (ConfigError, StudyMismatchError) as error:
                    left_out[name] = str(error)
                except StudyNotFoundError:
                    # It was deleted meanwhile.
                    numbers.pop(name, None)
        left_out |= {name: "not made by faqnas-optuna" for name in numbers.keys() - ours.keys()}
        return Overview(studies=studies, numbers=numbers, left_out=dict(sorted(left_out.items())))

    def _state(self, study: StoredStudy[State]) -> State:
        """Return the state of a study, as it is now."""
        state: Any = self._known.get(study.name)
        if state is None or state.study.description.created != study.description.created:
            # Another study of the same name may have the same ids: what was read of the old one is not its.
            state = open_study(with_empty_cache(self._storage), study.name).new_state()
            self._known[study.name] = state
        # Its limit may be another by now.
        state.study = replace(state.study, description=study.description)
        with state.study.existing():
            state.refresh()
        return cast(State, state)

    def _figures(self, state: SearchState, confirmed: Mapping[str, ConfirmedError]) -> dict[str, str]:
        """Drawn anew only if there is more to be seen: it takes a tenth of a second and more."""
        closed = state.study.metadata.closed_generations()
        seen = (state.study.description.created, state.successful, len(closed), confirmed)
        known, figures = self._drawn.get(state.study.name, (None, {}))
        if known != seen:
            figures = {"front": pareto_figure(state, confirmed).to_json(), "hypervolume": _growth(state, closed)}
            self._drawn[state.study.name] = (seen, figures)
        return figures


def _has_no_page(confirmation: Confirmation) -> StudyMismatchError:
    """Refuse a confirmation, and say where to see what it has shown."""
    study = confirmation.plan.study
    if confirmation.name == name_for(study):
        return StudyMismatchError(f"it confirms circuits of {study!r}, and what it has shown stands on the page of that study")
    command = f"faqnas-optuna {confirmation.shown_by}"
    return StudyMismatchError(f"it confirms circuits of {study!r}; what it has shown tells: {command}")


def _growth(state: SearchState, closed: Sequence[ClosedGeneration]) -> str:
    times = {number: to_the_minute(at) for number, at in state.study.metadata.closing_times().items()}
    figure: str = hypervolume_figure(closed, times).to_json()
    return figure
