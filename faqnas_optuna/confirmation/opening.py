"""Opening studies of either kind, and confirmations of a search."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from optuna.storages import BaseStorage

from faqnas_optuna.config import Engine
from faqnas_optuna.confirmation.plan import (
    DEFAULT_EPOCHS,
    DEFAULT_REPEATS,
    ConfirmationBudget,
    baselines_for,
    choose_baselines,
    finalists_of,
    name_for,
)
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, FaqnasError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.reporting.documents import SCHEMA_VERSION
from faqnas_optuna.storage.opening import storage_lock, study_lock, with_empty_cache
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.study.description import ConfirmationPlan, Description
from faqnas_optuna.study.lifecycle import resume
from faqnas_optuna.study.metadata import our_studies
from faqnas_optuna.study.race_study import RaceStudy
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.study import StoredStudy, create_study, load_stored, versions

Refusal = Callable[[Confirmation], FaqnasError]
"""Function that returns the error for a confirmation where a search is needed."""


def open_study(storage: BaseStorage, name: str) -> StoredStudy[Any]:
    """Open an existing search, race or confirmation.

    Raises:
        ConfigError: The name is not a valid name of a study.
        StudyNotFoundError: No study has this name, or the study was not made by this package.
        StudyMismatchError: The study was made by a version of this package whose description this version cannot read.
        DamagedStudyError: The stored description was changed from outside.
    """
    study, description = load_stored(storage, name)
    if description.confirms is not None:
        return Confirmation.of(study, description)
    if description.race is not None:
        return RaceStudy.of(study, description)
    return Search.of(study, description)


def no_front_error(confirmation: Confirmation) -> FaqnasError:
    """Return the error for a confirmation where the front of a search is needed."""
    message = f"study {confirmation.name!r} has no front: it confirms circuits of {confirmation.plan.study!r}"
    return ConfigError(f"{message}; see its results with", command=confirmation.show_command)


def not_a_search_error(confirmation: Confirmation) -> FaqnasError:
    """Return the error for an attempt to confirm a confirmation."""
    study = confirmation.plan.study
    message = f"study {confirmation.name!r} is a confirmation of circuits of {study!r}; confirm more of those with"
    return ConfigError(message, command=f"confirm {study} --trials N,N")


def search_of(study: StoredStudy[Any], *, refusal: Refusal = no_front_error) -> Search:
    """Return a study as a search.

    Raises:
        FaqnasError: The study is a confirmation; `refusal` returns the error.
    """
    if isinstance(study, Confirmation):
        raise refusal(study)
    assert isinstance(study, Search)
    return study


def as_confirmation(study: StoredStudy[Any]) -> Confirmation | None:
    """Return a study as a confirmation; None for a search or race."""
    return study if isinstance(study, Confirmation) else None


def load_search(storage: BaseStorage, name: str, *, refusal: Refusal = no_front_error) -> Search:
    """Open an existing search.

    Raises:
        FaqnasError: The study is a confirmation, or one of the errors of `open_study`.
    """
    return search_of(open_study(storage, name), refusal=refusal)


def status_document(storage: BaseStorage, name: str | None) -> dict[str, Any]:
    """Return the status of one study or, without a name, of all studies in a storage.

    Studies that this version cannot read are listed under `left_out` with the reason.

    Raises:
        FaqnasError: The named study cannot be opened (see `open_study`).
    """
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "studies": [], "left_out": []}
    for study_name in [name] if name else our_studies(storage):
        try:
            study = open_study(storage, study_name)
            with study.existing():
                document["studies"].append(study.status(read_state(study)))
        except (ConfigError, StudyMismatchError, StudyNotFoundError) as error:
            # Without a name, one unreadable or just deleted study must not hide the others.
            if name:
                raise
            document["left_out"].append({"study": study_name, "reason": str(error)})
    return document


def find_confirmation(storage: BaseStorage, name: str, search: Search) -> Confirmation | None:
    """Return the confirmation of this name; None if there is no study of this name.

    Raises:
        StudyMismatchError: The study of this name is not a confirmation, or confirms another search.
    """
    try:
        study = open_study(storage, name)
    except StudyNotFoundError:
        return None
    if not isinstance(study, Confirmation):
        raise StudyMismatchError(f"study {name!r} is not a confirmation; choose another name with --name")
    plan = study.plan
    # The time of creation distinguishes a search from an earlier one that had the same name and was deleted.
    if (plan.study, plan.created) != (search.name, search.description.created):
        raise StudyMismatchError(
            f"study {name!r} confirms another study, or an earlier one named {plan.study!r}; choose another name with --name"
        )
    return study


def confirmation_of(search: Search) -> Confirmation | None:
    """Return the confirmation of a search under its default name, for reading; None if there is none that can be read."""
    try:
        # SQLite reuses the ids of deleted studies, so trials in the cache may belong to an earlier study: read them afresh.
        return find_confirmation(with_empty_cache(storage_of(search.study)), name_for(search.name), search)
    except (ConfigError, StudyMismatchError):
        # A problem with the confirmation must not keep anyone from reading the search.
        return None


def prepare_confirmation(
    url: str, name: str, search: Search, candidates: Sequence[Candidate], splits: DataSplits, budget: ConfirmationBudget
) -> Confirmation:
    """Create, extend or resume the confirmation of some circuits of a search, and return it ready for workers.

    Args:
        url: URL of the search's storage.
        name: Name of the confirmation.
        search: Search whose circuits are confirmed.
        candidates: Circuits to confirm.
        splits: Data of the search.
        budget: Requested budget.

    Raises:
        StudyMismatchError: The confirmation exists with another budget, or the study of this name confirms another search.
    """
    plan = ConfirmationPlan(
        study=search.name,
        created=search.description.created,
        epochs=search.config.training.epochs,
        finalists=finalists_of(candidates, config=search.config, n_features=splits.n_features, n_classes=splits.n_classes),
        baselines=baselines_for(len(splits.train), splits.n_features),
    )
    confirmation = create_or_extend(storage_of(search.study), url, name, search, plan, budget)
    # An extended confirmation may have stopped already, with its former finalists.
    return resume(confirmation) if confirmation.metadata.stop() else confirmation


def create_or_extend(
    storage: BaseStorage, url: str, name: str, search: Search, plan: ConfirmationPlan, budget: ConfirmationBudget
) -> Confirmation:
    """Create the confirmation of some finalists, or add the finalists that an existing one lacks, and return it.

    Args:
        plan: Plan with all baselines, of which those of the budget or of the existing confirmation are used.

    Raises:
        StudyMismatchError: The confirmation exists with another budget, or the study of this name confirms another search.
    """
    # The lock keeps two processes from creating the study at the same time.
    with storage_lock(url):
        confirmation = find_confirmation(storage, name, search)
        if confirmation is None:
            description = _description(search, choose_baselines(plan, budget.baselines), budget)
            return Confirmation.of(create_study(storage, name, description), description)
    with study_lock(confirmation.study), confirmation.existing():
        # Another process may have extended the study since this one read it, before it had the lock.
        stored = confirmation.reload()
        stored.check_budget(budget)
        more = choose_baselines(plan, stored.plan.chosen)
        return confirmation.with_finalists(more.finalists, repeats=budget.repeats)


def _description(search: Search, plan: ConfirmationPlan, budget: ConfirmationBudget) -> Description:
    """Return the description of a new confirmation: that of the search with another training budget and the plan."""
    budget_settings = {"epochs": budget.epochs or DEFAULT_EPOCHS, "repeats": budget.repeats or DEFAULT_REPEATS}
    training = search.config.training.model_copy(update=budget_settings)
    # Only the fast engine can train the controls, circuits that lack a part.
    config = search.config.model_copy(update={"engine": Engine.FAST, "training": training})
    return replace(
        search.description,
        config=config,
        created=datetime.now(UTC).isoformat(),
        versions=versions(),
        reliability=None,
        confirms=plan,
        warm_start=None,
    )
