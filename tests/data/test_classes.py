"""Class labels, in the type inferred from their texts."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from faqnas_optuna.data.classes import class_indices, infer_classes, label_texts
from faqnas_optuna.data.splits import Label
from faqnas_optuna.errors import DataError


def classes_of(cells: list[Any], dtype: Any = object) -> tuple[Label, ...]:
    return infer_classes("y", label_texts("y", pd.Series(cells, dtype=dtype)))


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["b", "a ", "b"], ("a", "b")),
        (["10", "9", "-1"], (-1, 9, 10)),
        (["1.0", "2.0", "2"], (1, 2)),
        (["007", "7"], ("007", "7")),
        (["True", "false"], (False, True)),
        ([True, False], (False, True)),
        ([2.0, 1.0], (1, 2)),
        (["true", "unknown"], ("true", "unknown")),
        (["1", "2", "x"], ("1", "2", "x")),
    ],
)
def test_classes_have_the_type_of_their_texts(cells: list[Any], classes: tuple[Label, ...]) -> None:
    inferred = classes_of(cells)
    assert inferred == classes and [type(label) for label in inferred] == [type(label) for label in classes]
    indices = class_indices("y", label_texts("y", pd.Series(cells, dtype=object)), inferred)
    assert [inferred[index] for index in indices] == [inferred[inferred.index(label)] for label in map(_label(inferred), cells)]


def _label(classes: tuple[Label, ...]) -> Any:
    """Return a conversion of cells to class labels by Python's own types."""
    kind = type(classes[0])
    if kind is bool:
        return lambda cell: str(cell).lower() == "true"
    return (lambda cell: int(float(cell))) if kind is int else lambda cell: str(cell).strip()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["0.5", "1"], "holds 0.5, and classes are texts or whole numbers"),
        ([0.5, 1.0], "regression is not supported"),
        ([1e19, 2e19], "holds whole numbers beyond 64 bits"),
        (["a", None], "lacks a value in 1 row, the first in row 2"),
        (["a", "a"], "has one class, 'a', in all 2 rows"),
        ([[1], [2]], "holds values of the type list; classes are texts, whole numbers, or true and false"),
    ],
)
def test_what_is_no_class_is_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        classes_of(cells)


def test_a_missing_class_has_no_index_and_an_unknown_one_is_refused() -> None:
    cells = label_texts("y", pd.Series(["a", None, "b"]))
    assert np.array_equal(class_indices("y", cells, ("a", "b")), [0, -1, 1])
    with pytest.raises(DataError, match="column 'y' holds 'b', and the classes are a, c"):
        class_indices("y", cells, ("a", "c"))
