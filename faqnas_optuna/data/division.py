"""Split of samples into training, validation and test parts, given by the data or drawn at random."""

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.splits import Label, stratified_rows
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")
SPLIT = "split"
"""Name, in upper or lower case, of the column that assigns each sample to a part."""
PARTS_BY_WORD = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
}
"""Part for each lower-case word that data sets use for it."""

RowsByPart = dict[str, NDArray[np.int64]]
"""Row numbers of each part."""


def fixed_parts(name: str, cells: "pd.Series[str]") -> NDArray[np.str_]:
    """Return the part of each sample (samples,) from a column of strings.

    Args:
        name: Name of the column, for errors.
        cells: Words for the parts (samples,), in any case, among those of `PARTS_BY_WORD`.

    Raises:
        DataError: A cell does not name a part, or the training or test part has no sample.
    """
    parts = cells.str.lower().map(PARTS_BY_WORD)
    invalid_rows = np.flatnonzero(parts.isna().to_numpy(bool))
    if invalid_rows.size:
        row = int(invalid_rows[0])
        value = "no value" if cells.isna().iloc[row] else repr(cells.iloc[row][:30])
        raise DataError(
            f"column {name!r} must assign each sample to train, validation or test, but row {row + 1} has {value} (invalid"
            f" rows: {invalid_rows.size:,}); correct the values, rename the column if it means something else, or leave it out"
            f" with --drop {quote(name)}"
        )
    # A validation part may be absent; it is then drawn from the training part.
    missing_parts = [part for part in ("train", "test") if part not in set(parts)]
    if missing_parts:
        raise DataError(
            f"column {name!r} assigns no sample to {missing_parts[0]!r}; train and test are required, validation is optional"
        )
    return np.asarray(parts.to_numpy(object), np.str_)


def group_numbers(cells: "pd.Series[str]") -> NDArray[np.int64]:
    """Return the group number of each sample (samples,); every sample without a group gets a number of its own.

    >>> import pandas as pd
    >>> group_numbers(pd.Series(["b", "a", None, "b", None], dtype="string[pyarrow]"))
    array([0, 1, 2, 0, 3])
    """
    import pandas as pd

    # `factorize` gives missing values the code -1.
    codes, groups = pd.factorize(cells)
    ungrouped_rows = np.flatnonzero(codes < 0)
    codes[ungrouped_rows] = len(groups) + np.arange(len(ungrouped_rows))
    return np.asarray(codes, np.int64)


def divide(
    y: NDArray[np.int64],
    classes: Sequence[Label],
    groups: NDArray[np.int64] | None,
    given_parts: NDArray[np.str_] | None,
    seed: int,
) -> RowsByPart:
    """Divide samples into parts and return the row numbers of each part.

    Args:
        y: Class indices (samples,).
        classes: Names of the classes, by index.
        groups: Group of each sample (samples,); all samples of a group must be in the same part. None without groups.
        given_parts: Part of each sample as given in the data (samples,); None to draw all parts at random.
        seed: Random seed for drawing parts that are not given.

    Raises:
        DataError: There are too few samples or groups, a part is empty, the training part lacks a class, or a group is in two
            parts.
    """
    all_rows = np.arange(len(y))
    if given_parts is not None:
        rows = {part: all_rows[given_parts == part] for part in PARTS}
        # Draw the validation part as a quarter of the training part: with a test part of 20 %, this gives 60 / 20 / 20 %.
        if not len(rows["validation"]):
            _check_counts(rows["train"], y, classes, 4, remedy="add samples, or correct the parts")
            rows["train"], rows["validation"] = draw_fold(rows["train"], y, groups, 4, seed)
    elif groups is None:
        rows = stratified_rows(y, seed)
    else:
        # One of five folds is the test part, and one of four folds of the rest is the validation part. Groups are not divided,
        # so 60 / 20 / 20 % is approximate.
        rest, test = draw_fold(all_rows, y, groups, 5, seed)
        _check_counts(rest, y, classes, 4, remedy="add samples, or choose other groups")
        train, validation = draw_fold(rest, y, groups, 4, seed)
        rows = {"train": train, "validation": validation, "test": test}
    remedy = "choose other groups" if given_parts is None else "correct the parts"
    _check_parts(rows, y, classes, groups, remedy=f"add samples, or {remedy}")
    return rows


def _check_counts(pool: NDArray[np.int64], y: NDArray[np.int64], classes: Sequence[Label], folds: int, *, remedy: str) -> None:
    """Refuse rows outside the test part in which a class has fewer samples than folds."""
    # For such a class, scikit-learn would only warn, and leave the class out of some folds.
    counts = np.bincount(y[pool], minlength=len(classes))
    # `_check_parts` refuses a class without any training sample, with a message of its own.
    rare = np.flatnonzero((counts > 0) & (counts < folds))
    if rare.size:
        raise DataError(
            f"each class needs at least {folds} samples outside the test part, so that a validation part can be drawn; class"
            f" {classes[rare[0]]!r} has {counts[rare[0]]}: {remedy}"
        )


def draw_fold(
    pool: NDArray[np.int64], y: NDArray[np.int64], groups: NDArray[np.int64] | None, folds: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw one stratified fold from a pool of rows and return the rows outside and inside it; no group is divided."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if groups is None:
        divisions = StratifiedKFold(folds, shuffle=True, random_state=seed).split(pool, y[pool])
    else:
        n_groups = len(np.unique(groups[pool]))
        if n_groups < folds:
            # The test part has been given or drawn if the pool lacks samples.
            place = "outside the test part" if len(pool) < len(y) else "in the data"
            raise DataError(
                f"--groups needs at least {folds} groups {place}, and there are {n_groups}; choose a column with more groups,"
                " or leave out --groups"
            )
        divisions = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(pool, y[pool], groups[pool])
    # Only the first fold is used; its indices refer to the pool.
    outside, fold = next(iter(divisions))
    return pool[outside], pool[fold]


def _check_parts(
    rows: RowsByPart, y: NDArray[np.int64], classes: Sequence[Label], groups: NDArray[np.int64] | None, *, remedy: str
) -> None:
    """Refuse an empty part, a training part that lacks a class, and parts that share a group."""
    empty_parts = [part for part in PARTS if not len(rows[part])]
    if empty_parts:
        # Only a fold that is drawn from groups can be empty.
        raise DataError(f"the {empty_parts[0]} part has no samples; add samples, or choose other groups")
    # A class without training samples cannot be learned; without validation or test samples it is only not measured there.
    missing_classes = sorted(set(range(len(classes))) - set(y[rows["train"]].tolist()))
    if missing_classes:
        raise DataError(f"class {classes[missing_classes[0]]!r} has no sample in the training part; {remedy}")
    if groups is None:
        return
    # Only parts that are given in the data can share a group; drawn parts never do.
    train, validation, test = (set(groups[rows[part]].tolist()) for part in PARTS)
    if (train & validation) | (train & test) | (validation & test):
        raise DataError(
            "a group of samples is in two parts, which --groups does not allow; correct the parts, or leave out --groups"
        )
