"""Reports on studies of either kind."""

from typing import Any

from faqnas_optuna.confirmation.opening import search_of
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.reporting import documents
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.scoring import balanced_accuracy

TRAINING = (
    "network",
    "test_accuracy",
    "test_balanced_accuracy",
    "validation_accuracy",
    "validation_balanced_accuracy",
    "confusion",
    "parameters",
    "seconds",
    "worker",
)
"""What is shown of a training of a confirmation."""


def trial_document(study: StoredStudy[Any], number: int) -> dict[str, Any]:
    """Return everything that is stored of a trial.

    Raises:
        StudyNotFoundError: the study has no trial of this number.
    """
    if not isinstance(study, Confirmation):
        return documents.trial_document(search_of(study), number)
    trial = study.trial(number)
    values = dict(trial.user_attrs)
    if "confusion" in values:
        values["test_balanced_accuracy"] = balanced_accuracy(values["confusion"])
    shown = {name: values[name] for name in TRAINING if name in values}
    return documents.trial_head(study, trial) | trial.params | shown
