"""Validation of stored trials.

A database may be edited, truncated or partly restored. Its contents are validated once, when they are read, so that all other
code can rely on them.
"""

import json
import math
from collections.abc import Iterable
from functools import cache
from typing import Any

from optuna.trial import FrozenTrial
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.study.records import GENERATION_KEY, SOURCE, SOURCE_SCORES, attribute_types


def damage(trial: FrozenTrial, record: type | None, required: Iterable[str]) -> str | None:
    """Describe the damage of a stored trial, to follow the name of its study in an error; return None if it is valid.

    Args:
        record: Dataclass of the trial's result; None for a trial without result.
        required: Names of the attributes that the result needs.
    """
    attributes = {**trial.user_attrs, "generation": trial.system_attrs.get(GENERATION_KEY)}
    form = _form(record)
    try:
        # JSON has no tuples, so in JSON strict mode accepts a list for a tuple.
        form.model_validate_json(json.dumps({name: attributes.get(name) for name in form.model_fields}))
    except ValidationError as error:
        # One example suffices: the user can only restore or delete the trial.
        detail = error.errors()[0]
        place = ".".join(map(str, detail["loc"]))
        return f"trial {trial.number} has {detail['input']!r} as its {place} ({detail['msg']})"
    if record is None:
        return None
    # SQLite does not check the types of columns, so a value may even be a text.
    are_finite = all(isinstance(value, int | float) and math.isfinite(value) for value in trial.values or ())
    if trial.values is None or len(trial.values) != 2 or not are_finite:
        return f"trial {trial.number} has the values {trial.values}, but a successful trial has two finite numbers"
    absent = [name for name in required if attributes.get(name) is None]
    if absent:
        return f"trial {trial.number} has no {absent[0]}"
    return None


@cache
def _form(record: type | None) -> type[BaseModel]:
    """Return a pydantic model of the attributes of a trial.

    Args:
        record: Dataclass of the trial's result; None for a trial without result.
    """
    types = attribute_types(record) if record else {}
    types |= {"network": str, "seed": int, "worker": str, "generation": int, FAILURE: str}
    types |= {SOURCE: dict[str, Any], SOURCE_SCORES: dict[str, float | None]}
    # All are optional, because trials of an older version may not have all attributes.
    optional: dict[str, Any] = {name: (kind | None, None) for name, kind in types.items()}
    return create_model("Attributes", __config__=ConfigDict(strict=True), **optional)
