"""Division of samples into training, validation and test part: by the data where they say so, else by chance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.classes import FEWEST_SAMPLES
from faqnas_optuna.data.splits import Label, stratified_rows
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")
SPLIT = "split"
"""Name, in any case, of the column that names the part of each sample."""
PARTS_BY_WORD = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
}

Rows = dict[str, NDArray[np.int64]]
"""The samples of each part."""


def fixed_parts(name: str, cells: "pd.Series[str]") -> NDArray[np.str_]:
    """Return the part of each sample (samples,) that a column of texts names, in any usual spelling.

    Raises:
        DataError: a cell names no part, or no cell names the training or the test part.
    """
    parts = cells.str.lower().map(PARTS_BY_WORD)
    strange = np.flatnonzero(parts.isna().to_numpy(bool))
    if strange.size:
        row = int(strange[0])
        value = "nothing" if cells.isna().iloc[row] else repr(cells.iloc[row][:30])
        raise DataError(
            f"column {name!r} names the part of each sample, train, validation or test, and has {value} in row {row + 1}"
            f" ({strange.size:,} such rows); correct it, rename the column if it means something else, or --drop {name}"
        )
    if missing := [part for part in ("train", "test") if part not in set(parts)]:
        raise DataError(
            f"column {name!r} names no sample {missing[0]!r}; it must name samples of train and test, and may of validation"
        )
    return np.asarray(parts.to_numpy(object), np.str_)


def group_numbers(cells: "pd.Series[str]") -> NDArray[np.int64]:
    """Return the number of the group of each sample (samples,); a sample without group is a group of its own."""
    import pandas as pd

    codes, different = pd.factorize(cells)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(different) + np.arange(len(alone))
    return np.asarray(codes, np.int64)


def divide(
    y: NDArray[np.int64],
    classes: Sequence[Label],
    groups: NDArray[np.int64] | None,
    fixed: NDArray[np.str_] | None,
    seed: int,
) -> Rows:
    """Return the samples of each part.

    Args:
        y: (samples,) class indices.
        groups: (samples,) numbers of the groups, none of which is divided.
        fixed: (samples,) parts that the data name.
        seed: decides what the data do not.

    Raises:
        DataError: there are too few samples or groups, a part lacks a class, or a group is in two parts.
    """
    everything = np.arange(len(y))
    if fixed is not None:
        rows = {part: everything[fixed == part] for part in PARTS}
        if not len(rows["validation"]):
            rows["train"], rows["validation"] = _drawn(rows["train"], y, groups, 4, seed)
    elif groups is None:
        rows = stratified_rows(y, seed)
    else:
        rest, test = _drawn(everything, y, groups, 5, seed)
        train, validation = _drawn(rest, y, groups, 4, seed)
        rows = {"train": train, "validation": validation, "test": test}
    _check(rows, y, classes, groups)
    return rows


def _drawn(
    pool: NDArray[np.int64], y: NDArray[np.int64], groups: NDArray[np.int64] | None, folds: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the samples outside and inside of one stratified fold, which divides no group."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    counts = np.bincount(y[pool])
    if counts[counts > 0].min() < folds:
        raise DataError(f"the training part needs {folds} samples of each class, from which the validation part is drawn")
    if groups is None:
        divisions = StratifiedKFold(folds, shuffle=True, random_state=seed).split(pool, y[pool])
    else:
        if (count := len(np.unique(groups[pool]))) < folds:
            raise DataError(
                f"--groups needs at least {FEWEST_SAMPLES} groups, to divide them between the parts; there are {count}"
            )
        divisions = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(pool, y[pool], groups[pool])
    outside, fold = next(iter(divisions))
    return pool[outside], pool[fold]


def _check(rows: Rows, y: NDArray[np.int64], classes: Sequence[Label], groups: NDArray[np.int64] | None) -> None:
    if empty := [part for part in PARTS if not len(rows[part])]:
        raise DataError(f"the {empty[0]} part has no samples; give more, or other groups")
    absent = sorted(set(range(len(classes))) - set(y[rows["train"]].tolist()))
    if absent:
        raise DataError(f"class {classes[absent[0]]!r} has no sample in the training part; give it some, or other groups")
    if groups is None:
        return
    train, validation, test = (set(groups[rows[part]].tolist()) for part in PARTS)
    if (train & validation) | (train & test) | (validation & test):
        raise DataError(
            "a group of samples is in two parts, which --groups does not allow; correct the parts, or leave out --groups"
        )
