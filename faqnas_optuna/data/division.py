"""Division of samples into training, validation and test part, by a column of the data or at random."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.classes import MIN_SAMPLES
from faqnas_optuna.data.splits import Label, stratified_rows
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")
SPLIT = "split"
"""Name of the column that names the part of each sample, in upper or lower case."""
PARTS_BY_WORD = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
}
"""Parts by the words that data sets use for them, in lower case."""

Rows = dict[str, NDArray[np.int64]]
"""Row numbers of each part."""


def fixed_parts(name: str, cells: "pd.Series[str]") -> NDArray[np.str_]:
    """Return the part of each sample (samples,) from a column of texts.

    Args:
        name: Name of the column, for errors.
        cells: Words for the parts (samples,), as in `PARTS_BY_WORD`.

    Raises:
        DataError: A cell names no part, or no cell names the training or the test part.
    """
    parts = cells.str.lower().map(PARTS_BY_WORD)
    invalid = np.flatnonzero(parts.isna().to_numpy(bool))
    if invalid.size:
        row = int(invalid[0])
        value = "nothing" if cells.isna().iloc[row] else repr(cells.iloc[row][:30])
        raise DataError(
            f"column {name!r} names the part of each sample, train, validation or test, and has {value} in row {row + 1}"
            f" ({invalid.size:,} such rows); correct it, rename the column if it means something else, or --drop {name}"
        )
    # A validation part may be absent; it is then drawn from the training part.
    absent = [part for part in ("train", "test") if part not in set(parts)]
    if absent:
        raise DataError(
            f"column {name!r} names no sample {absent[0]!r}; it must name samples for train and test, and may name some for"
            " validation"
        )
    return np.asarray(parts.to_numpy(object), np.str_)


def group_numbers(cells: "pd.Series[str]") -> NDArray[np.int64]:
    """Return the group number of each sample (samples,); every sample without a group gets a number of its own.

    >>> import pandas as pd
    >>> group_numbers(pd.Series(["b", "a", None, "b", None], dtype="string[pyarrow]"))
    array([0, 1, 2, 0, 3])
    """
    import pandas as pd

    # `factorize` numbers missing values -1.
    codes, groups = pd.factorize(cells)
    ungrouped = np.flatnonzero(codes < 0)
    codes[ungrouped] = len(groups) + np.arange(len(ungrouped))
    return np.asarray(codes, np.int64)


def divide(
    y: NDArray[np.int64],
    classes: Sequence[Label],
    groups: NDArray[np.int64] | None,
    fixed: NDArray[np.str_] | None,
    seed: int,
) -> Rows:
    """Divide samples into parts and return the row numbers of each part.

    Args:
        y: Class indices (samples,).
        classes: Names of the classes, by index.
        groups: Group numbers (samples,), all samples of a group going to the same part; None for no groups.
        fixed: Parts (samples,) that the data name; None to draw all parts at random.
        seed: Random seed of parts that the data do not name.

    Raises:
        DataError: There are too few samples or groups, a part lacks a class, or a group is in two parts.
    """
    all_rows = np.arange(len(y))
    if fixed is not None:
        rows = {part: all_rows[fixed == part] for part in PARTS}
        # A quarter of the training part: with a test part of 20 %, the parts have 60 / 20 / 20 %.
        if not len(rows["validation"]):
            rows["train"], rows["validation"] = _draw_fold(rows["train"], y, groups, 4, seed)
    elif groups is None:
        rows = stratified_rows(y, seed)
    else:
        # One fold of five is the test part, one of the remaining four the validation part: 60 / 20 / 20 %.
        rest, test = _draw_fold(all_rows, y, groups, 5, seed)
        train, validation = _draw_fold(rest, y, groups, 4, seed)
        rows = {"train": train, "validation": validation, "test": test}
    _check(rows, y, classes, groups)
    return rows


def _draw_fold(
    pool: NDArray[np.int64], y: NDArray[np.int64], groups: NDArray[np.int64] | None, folds: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw one stratified fold from a pool of rows and return the rows outside and inside it; no group is divided."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    # scikit-learn would only warn of such a class, and leave it out of some folds.
    counts = np.bincount(y[pool])
    if counts[counts > 0].min() < folds:
        raise DataError(f"the training part needs {folds} samples of each class, from which the validation part is drawn")
    if groups is None:
        divisions = StratifiedKFold(folds, shuffle=True, random_state=seed).split(pool, y[pool])
    else:
        count = len(np.unique(groups[pool]))
        if count < folds:
            raise DataError(
                f"--groups needs at least {MIN_SAMPLES} groups, to divide them between the parts; there are {count}"
            )
        divisions = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(pool, y[pool], groups[pool])
    # Only the first fold is used; its indices refer to the pool.
    outside, fold = next(iter(divisions))
    return pool[outside], pool[fold]


def _check(rows: Rows, y: NDArray[np.int64], classes: Sequence[Label], groups: NDArray[np.int64] | None) -> None:
    """Refuse parts that are empty, lack a class in training, or share a group."""
    empty = [part for part in PARTS if not len(rows[part])]
    if empty:
        raise DataError(f"the {empty[0]} part has no samples; add samples, or choose other groups")
    # A class without training samples cannot be learned; without validation or test samples it only goes unmeasured.
    absent = sorted(set(range(len(classes))) - set(y[rows["train"]].tolist()))
    if absent:
        raise DataError(f"class {classes[absent[0]]!r} has no sample in the training part; add some, or choose other groups")
    if groups is None:
        return
    # Only parts that the data name can share a group.
    train, validation, test = (set(groups[rows[part]].tolist()) for part in PARTS)
    if (train & validation) | (train & test) | (validation & test):
        raise DataError(
            "a group of samples is in two parts, which --groups does not allow; correct the parts, or leave out --groups"
        )
