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
    finalists_of,
    name_for,
)
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, FaqnasError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.reporting.documents import SCHEMA_VERSION
from faqnas_optuna.storage.opening import storage_lock, study_lock, with_empty_cache
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.study.lifecycle import resume
from faqnas_optuna.study.metadata import ConfirmationPlan, Description, our_studies
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.study import StoredStudy, create_study, load_stored, versions

Refusal = Callable[[Confirmation], FaqnasError]
"""Says why a confirmation is of no use where a search is needed."""


def open_study(storage: BaseStorage, name: str) -> StoredStudy[Any]:
    """Open a study that exists, of either kind.

    Raises:
        ConfigError: no study can have this name.
        StudyNotFoundError: there is no study of this name, or it is not one of ours.
        StudyMismatchError: another version of this package has made it, whose description this one does not understand.
        DamagedStudyError: its description is not what was written.
    """
    study, description = load_stored(storage, name)
    if description.confirms is None:
        return Search.of(study, description)
    return Confirmation.of(study, description)


def has_no_front(confirmation: Confirmation) -> FaqnasError:
    """Refuse a confirmation where the front of a search is needed."""
    message = f"study {confirmation.name!r} has no front: it confirms circuits of {confirmation.plan.study!r}"
    return ConfigError(f"{message}; see what it has shown with", command=confirmation.shown_by)


def is_no_search(confirmation: Confirmation) -> FaqnasError:
    """Refuse a confirmation whose circuits are to be confirmed."""
    study = confirmation.plan.study
    message = f"study {confirmation.name!r} is a confirmation of circuits of {study!r}; confirm more of those with"
    return ConfigError(message, command=f"confirm {study} --trials N,N")


def search_of(study: StoredStudy[Any], *, refusal: Refusal = has_no_front) -> Search:
    """Return a study that is a search.

    Raises:
        FaqnasError: it is a confirmation.
    """
    if isinstance(study, Confirmation):
        raise refusal(study)
    assert isinstance(study, Search)
    return study


def load_search(storage: BaseStorage, name: str, *, refusal: Refusal = has_no_front) -> Search:
    """Open a search that exists.

    Raises:
        FaqnasError: it is a confirmation; or as `open_study`.
    """
    return search_of(open_study(storage, name), refusal=refusal)


def status_document(storage: BaseStorage, name: str | None) -> dict[str, Any]:
    """Return the status of one study, or of all of a storage; of all, those that this version cannot read with the reason."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "studies": [], "left_out": []}
    for one in [name] if name else our_studies(storage):
        try:
            study = open_study(storage, one)
            with study.existing():
                document["studies"].append(study.status(read_state(study)))
        except (ConfigError, StudyMismatchError, StudyNotFoundError) as error:
            if name:
                raise
            document["left_out"].append({"study": one, "reason": str(error)})
    return document


def find(storage: BaseStorage, name: str, search: Search) -> Confirmation | None:
    """The confirmation of this name, if there is one.

    Raises:
        StudyMismatchError: it confirms another search, or an earlier one of the name, or is none.
    """
    try:
        study = open_study(storage, name)
    except StudyNotFoundError:
        return None
    if not isinstance(study, Confirmation):
        raise StudyMismatchError(f"study {name!r} is no confirmation; choose another name with --name")
    plan = study.plan
    if (plan.study, plan.created) != (search.name, search.description.created):
        raise StudyMismatchError(
            f"study {name!r} confirms an earlier study {plan.study!r}, or another; choose another name with --name"
        )
    return study


def confirmation_of(search: Search) -> Confirmation | None:
    """A study's confirmation of the usual name, if there is one, to be looked at."""
    try:
        # What this process has read of one that was deleted is not that of another with its id.
        return find(with_empty_cache(storage_of(search.study)), name_for(search.name), search)
    except (ConfigError, StudyMismatchError):
        # Who looks at the search has no part in what is wrong with that.
        return None


def confirming(
    url: str, name: str, search: Search, candidates: Sequence[Candidate], splits: DataSplits, budget: ConfirmationBudget
) -> Confirmation:
    """Return the confirmation of some circuits of a search, made, extended or resumed, for workers to run.

    Args:
        url: of the search's storage.
        name: of the confirmation.

    Raises:
        StudyMismatchError: it exists with another budget, or confirms something else.
    """
    plan = ConfirmationPlan(
        study=search.name,
        created=search.description.created,
        epochs=search.config.training.epochs,
        finalists=finalists_of(candidates, config=search.config, n_features=splits.n_features, n_classes=splits.n_classes),
        baselines=baselines_for(len(splits.train)),
    )
    confirmation = extended(storage_of(search.study), url, name, search, plan, budget)
    return resume(confirmation) if confirmation.metadata.stop() else confirmation


def extended(
    storage: BaseStorage, url: str, name: str, search: Search, plan: ConfirmationPlan, budget: ConfirmationBudget
) -> Confirmation:
    """Return the confirmation of some finalists, made, or with those added that it lacks.

    Raises:
        StudyMismatchError: it exists with another budget, or confirms something else.
    """
    with storage_lock(url):
        confirmation = find(storage, name, search)
        if confirmation is None:
            description = _description(search, plan, budget)
            return Confirmation.of(create_study(storage, name, description), description)
    with study_lock(confirmation.study), confirmation.existing():
        # Others may have added to it since it was found.
        confirmation.reload().check_budget(budget)
        return confirmation.with_finalists(plan.finalists, repeats=budget.repeats)


def _description(search: Search, plan: ConfirmationPlan, budget: ConfirmationBudget) -> Description:
    training = {"epochs": budget.epochs or DEFAULT_EPOCHS, "repeats": budget.repeats or DEFAULT_REPEATS}
    config = search.config.model_copy(
        # Of the engines the fast one alone trains circuits that lack a part.
        update={"engine": Engine.FAST, "training": search.config.training.model_copy(update=training)}
    )
    return replace(
        search.description,
        config=config,
        created=datetime.now(UTC).isoformat(),
        versions=versions(),
        reliability=None,
        confirms=plan,
    )
