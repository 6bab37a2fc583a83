"""FAQNAS (arXiv 2511.10062) as an Optuna study service: hybrid quantum neural networks that are accurate and cheap."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faqnas_optuna.circuits.genome import Circuit, Genome
    from faqnas_optuna.config import StudyConfig
    from faqnas_optuna.data.splits import DataSplits
    from faqnas_optuna.errors import DataWarning, FaqnasError
    from faqnas_optuna.evidence.loading import load_table
    from faqnas_optuna.evidence.table import Table
    from faqnas_optuna.interactive.classifier import FAQNASClassifier
    from faqnas_optuna.interactive.study import Study, search
    from faqnas_optuna.learning.artifact import load_model
    from faqnas_optuna.learning.estimator import HQNNClassifier
    from faqnas_optuna.learning.evaluation import Evaluation, evaluate
    from faqnas_optuna.learning.model import HQNN

__version__ = "0.1.0"

__all__ = [
    "HQNN",
    "Circuit",
    "DataSplits",
    "DataWarning",
    "Evaluation",
    "FAQNASClassifier",
    "FaqnasError",
    "Genome",
    "HQNNClassifier",
    "Study",
    "StudyConfig",
    "Table",
    "evaluate",
    "load_model",
    "load_table",
    "search",
]

_HOMES = {
    "Circuit": "circuits.genome",
    "DataSplits": "data.splits",
    "DataWarning": "errors",
    "Evaluation": "learning.evaluation",
    "FAQNASClassifier": "interactive.classifier",
    "FaqnasError": "errors",
    "Genome": "circuits.genome",
    "HQNN": "learning.model",
    "HQNNClassifier": "learning.estimator",
    "Study": "interactive.study",
    "StudyConfig": "config",
    "Table": "evidence.table",
    "evaluate": "learning.evaluation",
    "load_model": "learning.artifact",
    "load_table": "evidence.loading",
    "search": "interactive.study",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch and PennyLane take seconds, `--help` must not wait for them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from faqnas_optuna.machine import check_platform

    check_platform()
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Public names, those too that were not used yet."""
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package. A wing and a public function of it are both called `search`: as its attribute that is the function."""

    @property
    def search(self) -> Any:
        return __getattr__("search")

    @search.setter
    def search(self, _wing: ModuleType) -> None:
        """Importing a module of the wing would put the wing here; who imports from it finds it without."""


sys.modules[__name__].__class__ = _Package
