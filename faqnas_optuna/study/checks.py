"""Checks that a stored trial is as a worker stores it.

A database may be edited, truncated or half restored. What is read from it is checked once, when it is read, so that everything
above may rely on it.
"""

import json
import math
from collections.abc import Iterable
from functools import cache
from typing import Any

from optuna.trial import FrozenTrial
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from faqnas_optuna.storage.heartbeats import FAILURE
from faqnas_optuna.study.records import GENERATION_KEY, attribute_types


def damage(trial: FrozenTrial, record: type | None, needed: Iterable[str]) -> str | None:
    """Return what is wrong with a stored trial, to be read after its study's name; None if nothing is.

    Args:
        record: the form of its result; None if it has none.
        needed: the attributes without which the result cannot be used.
    """
    attributes = {**trial.user_attrs, "generation": trial.system_attrs.get(GENERATION_KEY)}
    form = _form(record)
    try:
        # By way of JSON, strict mode takes a list for a tuple.
        form.model_validate_json(json.dumps({name: attributes.get(name) for name in form.model_fields}))
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(map(str, detail["loc"]))
        return f"trial {trial.number} has {detail['input']!r} as its {place} ({detail['msg']})"
    if record is None:
        return None
    # Not every database checks the type of a column.
    are_finite = all(isinstance(value, int | float) and math.isfinite(value) for value in trial.values or ())
    if trial.values is None or len(trial.values) != 2 or not are_finite:
        return f"trial {trial.number} has the values {trial.values}, and a successful one has two finite numbers"
    if lacking := [name for name in needed if attributes.get(name) is None]:
        return f"trial {trial.number} lacks its {lacking[0]}"
    return None


@cache
def _form(record: type | None) -> type[BaseModel]:
    """The attributes of a trial with their types. Each may be absent: an older version may not have written it.

    Args:
        record: what a successful trial keeps; None of any other trial.
    """
    kinds = attribute_types(record) if record else {}
    kinds |= {"network": str, "seed": int, "worker": str, "generation": int, FAILURE: str}
    optional: dict[str, Any] = {name: (kind | None, None) for name, kind in kinds.items()}
    return create_model("Attributes", __config__=ConfigDict(strict=True), **optional)
