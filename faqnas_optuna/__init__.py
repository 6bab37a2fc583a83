"""FAQNAS (arXiv 2511.10062) as an Optuna study service: hybrid quantum neural networks that are accurate and cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# For type checkers and editors, which do not follow `__getattr__`.
if TYPE_CHECKING:
    from faqnas_optuna.api.classifier import FAQNASClassifier
    from faqnas_optuna.api.experiment import experiment, experiment_work
    from faqnas_optuna.api.experiment_service import ExperimentRun
    from faqnas_optuna.api.race import race
    from faqnas_optuna.api.reading import plot_fronts, report_studies
    from faqnas_optuna.api.search import search
    from faqnas_optuna.api.study import Study
    from faqnas_optuna.circuits.genome import Circuit, Genome
    from faqnas_optuna.config import StudyConfig
    from faqnas_optuna.data.splits import DataSplits
    from faqnas_optuna.errors import DataWarning, FaqnasError
    from faqnas_optuna.models.estimator import HQNNClassifier
    from faqnas_optuna.models.folder import load_model
    from faqnas_optuna.models.tabular import TabularPreprocessor
    from faqnas_optuna.tables.loading import load_table
    from faqnas_optuna.tables.table import Table
    from faqnas_optuna.training.evaluation import Evaluation, evaluate
    from faqnas_optuna.training.model import HQNN

__version__ = "0.1.0"

__all__ = [
    "HQNN",
    "Circuit",
    "DataSplits",
    "DataWarning",
    "Evaluation",
    "ExperimentRun",
    "FAQNASClassifier",
    "FaqnasError",
    "Genome",
    "HQNNClassifier",
    "Study",
    "StudyConfig",
    "Table",
    "TabularPreprocessor",
    "evaluate",
    "experiment",
    "experiment_work",
    "load_model",
    "load_table",
    "plot_fronts",
    "race",
    "report_studies",
    "search",
]

_HOMES = {
    "Circuit": "circuits.genome",
    "DataSplits": "data.splits",
    "DataWarning": "errors",
    "Evaluation": "training.evaluation",
    "ExperimentRun": "api.experiment_service",
    "FAQNASClassifier": "api.classifier",
    "FaqnasError": "errors",
    "Genome": "circuits.genome",
    "HQNN": "training.model",
    "HQNNClassifier": "models.estimator",
    "Study": "api.study",
    "StudyConfig": "config",
    "Table": "tables.table",
    "TabularPreprocessor": "models.tabular",
    "evaluate": "training.evaluation",
    "experiment": "api.experiment",
    "experiment_work": "api.experiment",
    "load_model": "models.folder",
    "load_table": "tables.loading",
    "plot_fronts": "api.reading",
    "race": "api.race",
    "report_studies": "api.reading",
    "search": "api.search",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: torch and PennyLane take seconds, and `--help` must not wait for them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from faqnas_optuna.machine import check_platform

    # Before the import of torch, numba or Optuna, whose errors on an unsupported system would not name the reason.
    check_platform()
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, including those not imported yet."""
    return sorted({*globals(), *__all__})
