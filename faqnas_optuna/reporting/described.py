"""What decides a study, and what its data are, as plain documents."""

from collections import Counter
from typing import Any

from faqnas_optuna.config import is_file
from faqnas_optuna.data.named import recipe_of
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.reporting.documents import SCHEMA_VERSION, provenance
from faqnas_optuna.study.status import stop_document
from faqnas_optuna.study.study import StoredStudy


def data_document(splits: DataSplits, *, is_checked: bool = True) -> dict[str, Any]:
    """Return samples, classes and parts of a data set, what was done to its columns, the keys of generated data, and warnings.

    Args:
        is_checked: whether warnings are wanted.
    """
    recipe = None if is_file(splits.name) else recipe_of(splits.name)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    counts = Counter(splits.classes[index] for part in parts.values() for index in part.y.tolist())
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": splits.name,
        "samples": sum(map(len, parts.values())),
        "features": splits.n_features,
        "classes": [{"class": label, "samples": counts[label]} for label in splits.classes],
        "parts": {name: len(part) for name, part in parts.items()},
        "data_fingerprint": splits.fingerprint,
        "columns": dict(splits.columns),
        "keys": recipe.to_json() if recipe else [],
        "majority": splits.majority.to_json(),
        "checks": [finding.to_json() for finding in splits.findings] if is_checked else None,
    }


def study_document(study: StoredStudy[Any]) -> dict[str, Any]:
    """What decides a study, and what was done to each column of its data."""
    described = study.description
    files = None if described.files is None else described.files.to_json()
    return {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        **stop_document(study),
        **provenance(study),
        "files": files,
        "columns": dict(described.columns),
    }
