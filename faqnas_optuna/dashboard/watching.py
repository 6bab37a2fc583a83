"""Views of the studies of a storage, read again and again by several threads."""

import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar, cast

from optuna.storages import BaseStorage

from faqnas_optuna.confirmation.analysis import confirmation_document, confirmed_errors
from faqnas_optuna.confirmation.figure import plot_content
from faqnas_optuna.confirmation.opening import as_confirmation, confirmation_of, load_search, open_study, search_of
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.reporting.front_plot import ConfirmedError, FrontPlot
from faqnas_optuna.reporting.note import study_note
from faqnas_optuna.reporting.plain_figures import front_figure, hypervolume_figure
from faqnas_optuna.reporting.plotly_front import figure_json
from faqnas_optuna.reporting.report import Block
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.reporting.study_groups import group_studies, groups_blocks, groups_figure
from faqnas_optuna.storage.attributes import study_ids
from faqnas_optuna.storage.opening import with_empty_cache
from faqnas_optuna.storage.optuna_internals import study_id_of
from faqnas_optuna.study.description import ConfirmationPlan, Description
from faqnas_optuna.study.metadata import confirmed_searches, our_studies
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import SearchState, StudyState
from faqnas_optuna.study.study import StoredStudy, load_stored


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """Content of the page of a search or race."""

    study_id: int
    """Id of the study in the database, which the addresses of optuna-dashboard contain."""
    status: Mapping[str, Any]
    """Progress of the study, a `StoredStudy.status`."""
    note: Mapping[str, str]
    """Note on the study, a `study_note`."""
    front: Sequence[Candidate]
    description: Description
    confirmations: Sequence[str]
    """Names of the confirmations of the study."""
    confirmed: Mapping[str, ConfirmedError]
    """Confirmed errors by the digest of the circuit, of the confirmation with the default name."""
    is_confirming: bool
    """True if that confirmation is unfinished."""
    figures: Mapping[str, str]
    """Figures by name, as Plotly's JSON; empty while no trial has succeeded."""


@dataclass(frozen=True, kw_only=True)
class ConfirmationView:
    """Content of the page of a confirmation."""

    study_id: int
    """Id of the confirmation in the database."""
    status: Mapping[str, Any]
    """Progress of the confirmation, a `StoredStudy.status`."""
    search: str
    """Name of the search whose circuits are confirmed."""
    has_search: bool
    """False if the search was deleted."""
    circuits: int
    """Number of circuits that are confirmed."""
    trainings: Mapping[str, int]
    """Number of trainings by state, a `Confirmation.training_counts`."""
    document: Mapping[str, Any] | None
    """Results so far, a `confirmation_document`; None without any."""
    picture: str
    """Figure of the results as the URL of an image; empty without results."""


@dataclass(frozen=True, kw_only=True)
class FrontsView:
    """Content of the page with the fronts of several studies."""

    studies: Sequence[str]
    """Names of the studies."""
    group_by: str | None
    """Setting by which the studies are grouped; None for all settings except the random seed."""
    blocks: Sequence[Block]
    """Table of the groups, and sentences on it."""
    figure: str
    """Figure of the fronts, as Plotly's JSON."""
    is_running: bool
    """True if a study is unfinished."""


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

    def study(self, name: str) -> StudyView | ConfirmationView:
        """Return the current content of a study's page.

        Raises:
            ConfigError: The name is not a valid name of a study.
            StudyNotFoundError: No study has this name, or the study was not made by this package.
            StudyMismatchError: The study was made by a version that this one cannot read.
        """
        return self._studies.get(name)

    def fronts(self, names: Iterable[str], group_by: str | None) -> FrontsView:
        """Return the current fronts of several searches or races.

        Args:
            names: Names of the studies; a study that is named twice counts once.
            group_by: See `group_studies`.

        Raises:
            FaqnasError: A study cannot be opened or has no front, or the studies cannot be compared.
        """
        with self._lock:
            states = [self._state(load_search(self._storage, name)) for name in dict.fromkeys(names)]
            groups = group_studies(states, group_by)
            return FrontsView(
                studies=[state.study.name for state in states],
                group_by=group_by,
                blocks=groups_blocks(groups),
                figure=figure_json(groups_figure(groups)),
                is_running=any(state.study.metadata.stop() is None for state in states),
            )

    def overview(self) -> Overview:
        """Return the current content of the list of studies, including those of other programs."""
        # All requests share one result, so any name will do.
        return self._overviews.get("")

    def study_ids(self) -> dict[str, int]:
        """Return the ids of all studies by name."""
        return study_ids(self._storage)

    def _read_study(self, name: str) -> StudyView | ConfirmationView:
        with self._lock:
            study = open_study(self._storage, name)
            confirmation = as_confirmation(study)
            # The study may be deleted while it is read.
            with study.if_it_exists():
                return self._search_view(search_of(study)) if confirmation is None else self._confirmation_view(confirmation)

    def _search_view(self, search: Search) -> StudyView:
        state = self._state(search)
        identity = (search.name, search.description.created)
        confirmation = confirmation_of(search)
        confirmed = confirmed_errors(confirmation)
        return StudyView(
            study_id=study_id_of(search.study),
            status=search.status(state),
            note=study_note(state),
            front=state.front,
            description=search.description,
            confirmations=[name for name, of in confirmed_searches(self._storage).items() if of == identity],
            confirmed=confirmed,
            is_confirming=confirmation is not None and confirmation.metadata.stop() is None,
            figures=self._figures(state, confirmed) if state.successful else {},
        )

    def _confirmation_view(self, confirmation: Confirmation) -> ConfirmationView:
        state = self._state(confirmation)
        # Its trials are those that the state has just read.
        current = cast(Confirmation, state.study)
        plan = current.plan
        try:
            document = confirmation_document(current)
        except NoSuccessfulTrialError:
            document = None
        return ConfirmationView(
            study_id=study_id_of(current.study),
            status=current.status(state),
            search=plan.study,
            has_search=self._has_search(plan),
            circuits=len(plan.finalists),
            trainings=document["trainings"] if document else current.training_counts(current.trials()),
            document=document,
            picture=self._picture(current, document) if document else "",
        )

    def _has_search(self, plan: ConfirmationPlan) -> bool:
        """Return whether the search of a confirmation exists, and is not a later one of the same name."""
        try:
            _, description = load_stored(self._storage, plan.study)
        except (ConfigError, StudyMismatchError, StudyNotFoundError):
            return False
        return description.created == plan.created

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
        # Drawing takes time, and every open page asks for the figures every few seconds.
        generations = state.study.metadata.timed_generations()
        content = (state.study.description.created, state.successful, len(generations), confirmed)

        def draw() -> dict[str, str]:
            figures = {"front": front_figure(FrontPlot.of(state, confirmed))}
            # A race has no generations.
            if state.study.description.race is None:
                figures["hypervolume"] = hypervolume_figure(generations)
            return {name: figure_json(figure) for name, figure in figures.items()}

        return self._drawn(state.study.name, content, draw)

    def _picture(self, confirmation: Confirmation, document: Mapping[str, Any]) -> str:
        """Return the figure of a confirmation as the URL of an image, drawn again only if its content has changed."""
        content = (confirmation.description.created, document["trainings"])

        def draw() -> dict[str, str]:
            svg = plot_content(document, Path("confirmation.svg"), Size.COLUMN)
            return {"picture": f"data:image/svg+xml;base64,{b64encode(svg).decode()}"}

        return self._drawn(confirmation.name, content, draw)["picture"]

    def _drawn(self, name: str, content: object, draw: Callable[[], dict[str, str]]) -> dict[str, str]:
        """Return the figures of a study, drawn again only if their content has changed."""
        drawn_content, figures = self._figures_by_name.get(name, (None, {}))
        if drawn_content != content:
            figures = draw()
            self._figures_by_name[name] = (content, figures)
        return figures


def _identity(description: Description) -> tuple[object, ...]:
    """Return a value that differs if the trials of a study have been replaced."""
    return description.created, description.race
