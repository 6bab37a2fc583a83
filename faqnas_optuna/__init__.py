"""FAQNAS (arXiv 2511.10062) as an Optuna study service: hybrid quantum neural networks that are accurate and cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faqnas_optuna.circuits.genome import Circuit, Genome
    from faqnas_optuna.config import StudyConfig
    from faqnas_optuna.data.splits import DataSplits
    from faqnas_optuna.errors import FaqnasError
    from faqnas_optuna.learning.estimator import HQNNClassifier
    from faqnas_optuna.learning.evaluation import Evaluation, evaluate
    from faqnas_optuna.learning.model import HQNN

__version__ = "0.1.0"

__all__ = [
    "HQNN",
    "Circuit",
    "DataSplits",
    "Evaluation",
    "FaqnasError",
    "Genome",
    "HQNNClassifier",
    "StudyConfig",
    "evaluate",
]

_HOMES = {
    "Circuit": "circuits.genome",
    "DataSplits": "data.splits",
    "Evaluation": "learning.evaluation",
    "FaqnasError": "errors",
    "Genome": "circuits.genome",
    "HQNN": "learning.model",
    "HQNNClassifier": "learning.estimator",
    "StudyConfig": "config",
    "evaluate": "learning.evaluation",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch and PennyLane take seconds, `--help` must not wait for them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Public names, those too that were not used yet."""
    return sorted({*globals(), *__all__})
