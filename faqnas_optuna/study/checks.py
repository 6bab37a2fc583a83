"""Checks that a stored trial is as a worker stores it.

A database may be edited, truncated or half restored. What is read from it is checked once, when it is read, so that everything
above may rely on it.
"""

import json
import math
from functools import cache
from typing import Any, get_type_hints

from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.errors import GenomeError
from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.study.records import GENERATION_KEY, TrialRecord
from faqnas_optuna.training.controls import Confirmed

RESULT, CONFIRMED_RESULT = "circuit", "test_accuracy"
"""The attribute that tells a result of a search, or of a confirmation, from the trials of others."""


def has_result(trial: FrozenTrial, *, is_confirmation: bool) -> bool:
    """Whether a trial is a successful one of ours. One without our attributes was put there by somebody else."""
    kind = CONFIRMED_RESULT if is_confirmation else RESULT
    return trial.state is TrialState.COMPLETE and kind in trial.user_attrs


def damage(trial: FrozenTrial, config: StudyConfig, *, is_confirmation: bool) -> str | None:
    """Return what is wrong with a stored trial, to be read after its study's name; None if nothing is."""
    attributes = {**trial.user_attrs, "generation": trial.system_attrs.get(GENERATION_KEY)}
    is_result = has_result(trial, is_confirmation=is_confirmation)
    form = _form((Confirmed if is_confirmation else TrialRecord) if is_result else None)
    try:
        # By way of JSON, strict mode takes a list for a tuple.
        form.model_validate_json(json.dumps({name: attributes.get(name) for name in form.model_fields}))
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(map(str, detail["loc"]))
        return f"trial {trial.number} has {detail['input']!r} as its {place} ({detail['msg']})"
    if not is_result:
        return None
    # Not every database checks the type of a column.
    are_finite = all(isinstance(value, int | float) and math.isfinite(value) for value in trial.values or ())
    if trial.values is None or len(trial.values) != 2 or not are_finite:
        return f"trial {trial.number} has the values {trial.values}, and a successful one has two finite numbers"
    needed = _CONFIRMED if is_confirmation else (f"val_{config.score.key}",)
    if lacking := [name for name in needed if attributes.get(name) is None]:
        return f"trial {trial.number} lacks its {lacking[0]}"
    return None if is_confirmation else _damaged_genes(trial)


def _damaged_genes(trial: FrozenTrial) -> str | None:
    try:
        Genome.from_params(trial.params)
    except GenomeError as error:
        return f"trial {trial.number}: {error}"
    return None


_CONFIRMED = ("network", "seed", "test_accuracy", "confusion", "losses", "validation_accuracies", "parameters")
"""The attributes of a confirmation's training without which nothing can be said of it."""


@cache
def _form(record: type | None) -> type[BaseModel]:
    """The attributes of a trial with their types. Each may be absent: an older version may not have written it.

    Args:
        record: what a successful trial keeps; None of any other trial.
    """
    kinds: dict[str, Any] = get_type_hints(record) if record else {}
    kinds |= {"network": str, "seed": int, "worker": str, "generation": int, FAILURE: str}
    optional: dict[str, Any] = {name: (kind | None, None) for name, kind in kinds.items()}
    return create_model("Attributes", __config__=ConfigDict(strict=True), **optional)
