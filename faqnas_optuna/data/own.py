"""Data of one's own: a data frame, or a file, becomes a data set that is ready to train on.

What is done to a column is decided by what it holds (`data.columns`), fitted on the training part (`data.fitting`), and told.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.config import DataConfig
from faqnas_optuna.data.columns import FEWEST_SAMPLES, Column, Kind, read_classes, read_column
from faqnas_optuna.data.fitting import fit
from faqnas_optuna.data.preprocessing import Preprocessing, Table
from faqnas_optuna.data.reading import NPZ_TARGET, read_frame
from faqnas_optuna.data.splits import DataSplits, Label, Split, stratified_rows
from faqnas_optuna.errors import DataError
from faqnas_optuna.explaining import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")
SPLIT = "split"
"""The column that says of each sample which part it is in, if it says nothing else."""
MOST_LINES = 50
"""Of columns that are told of one by one."""
LONGEST_TOLD = 40_000
"""Characters of what is told of columns: MySQL keeps 65,535 bytes of a study's description."""
UNNAMED = "Unnamed: "
"""What pandas calls a column without a name."""

Rows = dict[str, NDArray[np.int64]]
"""The samples of each part."""


def load_file(path: Path, config: DataConfig, *, seed: int, test_path: Path | None = None) -> DataSplits:
    """A file as a data set, called as the file is.

    Args:
        seed: decides the split, as far as the data do not.
        test_path: the file that `config.test_file` names.

    Raises:
        DataError: a file cannot be read, or holds what a network cannot learn from.
    """
    frame = read_frame(path)
    if test_path is not None:
        frame = _with_test(frame, read_frame(test_path), path, test_path)
    target = NPZ_TARGET if config.target is None and path.suffix.lower() == ".npz" else config.target
    if target is None:
        raise DataError(f"{path.name}: which column holds the classes? Name it with --target: {_listed(list(frame.columns))}")
    check_columns(path.name, frame, [target], "target")
    classes = frame.pop(target)
    return splits_of(frame, classes, config, name=path.name, seed=seed)


def splits_of(frame: "pd.DataFrame", target: "pd.Series[Any]", config: DataConfig, *, name: str, seed: int) -> DataSplits:
    """A data frame as a data set.

    Args:
        frame: a row for each sample; of its columns `config.groups`, and one that is called `split` and says
            nothing else, tell how it is divided.
        target: (samples,) the classes.
        name: what the data set is called.
        seed: decides the split, as far as the frame does not.

    Raises:
        DataError: a column holds what a network cannot learn from, or the samples cannot be divided so.
    """
    frame = frame.rename(columns=str).reset_index(drop=True)
    check_columns(name, frame, config.drop, "drop")
    check_columns(name, frame, [config.groups] if config.groups else [], "groups")
    told = dict.fromkeys(config.drop, "left out, as asked")
    told |= {column: "left out: it has no name" for column in frame.columns if _is_unnamed(column) and column not in told}
    frame = frame.drop(columns=list(told))
    y, classes = read_classes(str(target.name), target.reset_index(drop=True))
    groups, fixed = _groups(frame, config.groups), _fixed(frame)
    told |= _roles(config, fixed)
    columns = [read_column(column, frame[column]) for column in frame.columns if column not in told]
    if not columns:
        raise DataError(f"{name}: no column is left to tell the classes by; name fewer with --drop")
    rows = _divide(y, classes, groups, fixed, seed)
    table, preprocessing = _prepared(columns, rows["train"], config.pca)
    told |= {column.name: _told(column, preprocessing, rows["train"]) for column in columns}
    parts = {part: Split(x=preprocessing.apply(table.rows(chosen)), y=y[chosen]) for part, chosen in rows.items()}
    if not all(np.isfinite(part.x).all() for part in parts.values()):
        raise DataError(f"{name}: its numbers are too large to be scaled; write them in another unit")
    return DataSplits(
        name=name,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        classes=classes,
        preprocessing=preprocessing,
        fingerprint=_fingerprint(name, columns, classes, y, rows),
        columns=_told_together(name, told),
        seed=None if fixed is not None and (fixed == "validation").any() else seed,
    )


def _with_test(frame: "pd.DataFrame", test: "pd.DataFrame", path: Path, test_path: Path) -> "pd.DataFrame":
    """Samples of both files, with the column that says which are of the second."""
    import pandas as pd

    if SPLIT in frame.columns:
        raise DataError(f"{path.name} has a column {SPLIT!r}, and {test_path.name} is the test part; leave one of them out")
    if different := set(frame.columns) ^ set(test.columns):
        raise DataError(
            f"{path.name} and {test_path.name} have different columns, as {min(map(str, different))!r}; give both the same"
        )
    both = pd.concat([frame, test[frame.columns]], ignore_index=True)
    return both.assign(**{SPLIT: ["train"] * len(frame) + ["test"] * len(test)})


def check_columns(name: str, frame: "pd.DataFrame", wanted: Sequence[str], option: str) -> None:
    """Raises:
    DataError: a column is wanted that is not there.
    """
    known = [str(column) for column in frame.columns]
    if missing := [column for column in wanted if column not in known]:
        raise DataError(f"{name}: --{option} {missing[0]!r} is none of its columns{did_you_mean(missing[0], known[:50])}")


def _is_unnamed(column: str) -> bool:
    return not column.strip() or column.startswith(UNNAMED)


def _groups(frame: "pd.DataFrame", column: str | None) -> NDArray[np.int64] | None:
    """The group of each sample as a number; each sample without one is a group of its own."""
    if column is None:
        return None
    import pandas as pd

    codes, found = pd.factorize(frame[column])
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(found) + np.arange(len(alone))
    return np.asarray(codes, np.int64)


def _fixed(frame: "pd.DataFrame") -> NDArray[np.str_] | None:
    """The part of each sample, if a column tells it."""
    if SPLIT not in frame.columns:
        return None
    values = frame[SPLIT]
    if not values.isin(PARTS).all():
        return None
    if missing := {"train", "test"} - set(values):
        raise DataError(
            f"column {SPLIT!r} names no sample {min(missing)!r}; it must name samples of train and test, and may of validation"
        )
    return np.asarray(values, np.str_)


def _roles(config: DataConfig, fixed: NDArray[np.str_] | None) -> dict[str, str]:
    """What columns are that tell how samples are divided."""
    told = {} if config.groups is None else {config.groups: "tells which samples belong together; no feature"}
    return told if fixed is None else told | {SPLIT: "tells the part of each sample; no feature"}


def _divide(
    y: NDArray[np.int64],
    classes: tuple[Label, ...],
    groups: NDArray[np.int64] | None,
    fixed: NDArray[np.str_] | None,
    seed: int,
) -> Rows:
    """The samples of each part: as the data say, and as chance does where they say nothing."""
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
    _check_parts(rows, y, classes, groups)
    return rows


def _drawn(
    pool: NDArray[np.int64], y: NDArray[np.int64], groups: NDArray[np.int64] | None, folds: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples without and with one of so many stratified folds, of which none divides a group."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    counts = np.bincount(y[pool])
    if counts[counts > 0].min() < folds:
        raise DataError(f"the training part needs {folds} samples of each class, from which the validation part is drawn")
    if groups is None:
        found = StratifiedKFold(folds, shuffle=True, random_state=seed).split(pool, y[pool])
    else:
        if (many := len(np.unique(groups[pool]))) < folds:
            raise DataError(
                f"--groups needs {FEWEST_SAMPLES} groups at least, to be divided between the parts; there are {many}"
            )
        found = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(pool, y[pool], groups[pool])
    without, fold = next(iter(found))
    return pool[without], pool[fold]


def _check_parts(rows: Rows, y: NDArray[np.int64], classes: tuple[Label, ...], groups: NDArray[np.int64] | None) -> None:
    if empty := [part for part in PARTS if not len(rows[part])]:
        raise DataError(f"the {empty[0]} part has no samples; give more, or other groups")
    if untold := set(range(len(classes))) - set(y[rows["train"]].tolist()):
        raise DataError(f"class {classes[min(untold)]!r} has no sample in the training part; give it some, or other groups")
    if groups is None:
        return
    members = [set(groups[rows[part]].tolist()) for part in PARTS]
    if (members[0] & members[1]) | (members[0] & members[2]) | (members[1] & members[2]):
        raise DataError(
            "a group of samples is in two parts, which --groups does not allow; mend the parts, or leave out --groups"
        )


def _prepared(columns: list[Column], train: NDArray[np.int64], pca: int | None) -> tuple[Table, Preprocessing]:
    """All samples by kind of column, and what makes features of them."""
    numbers = [column for column in columns if column.kind is Kind.NUMBER]
    texts = [column for column in columns if column.kind is Kind.CATEGORY]
    for column in columns:
        if column.missing[train].all():
            raise DataError(
                f"column {column.name!r} holds no value in the training part; leave it out with --drop {column.name!r}"
            )
    samples = len(columns[0].values)
    table = Table(
        numbers=np.column_stack([column.values for column in numbers]) if numbers else np.empty((samples, 0)),
        texts=np.column_stack([column.values for column in texts]) if texts else np.empty((samples, 0), object),
    )
    names = {"numbers": tuple(column.name for column in numbers), "categories": tuple(column.name for column in texts)}
    return table, fit(table.rows(train), **names, pca=pca)


def _told(column: Column, preprocessing: Preprocessing, train: NDArray[np.int64]) -> str:
    """What is done to a column, in words."""
    missing = int(column.missing.sum())
    if column.kind is Kind.CATEGORY:
        found = next(one for one in preprocessing.categories if one.name == column.name)
        parts = [f"one-hot, {len(found.values)} categories"]
        fill = repr(found.fill)
    else:
        place = preprocessing.numbers.names.index(column.name)
        fills = preprocessing.numbers.fills
        constant = np.ptp(column.values[train][~column.missing[train]]) == 0
        parts = ["constant in the training part: always 0" if constant else "standardised"]
        fill = "" if fills is None else f"{fills[place]:g}"
    if missing:
        parts.append(f"{missing:,} missing: {fill}")
    if column.counts_rows:
        parts.append(f"counts the rows: if it tells nothing else, leave it out with --drop {column.name}")
    return "; ".join(parts)


def _told_together(name: str, told: dict[str, str]) -> dict[str, str]:
    """What was done to columns, of many with one line for those that stand together and are treated alike."""
    if len(told) > MOST_LINES:
        runs = [(text, list(names)) for text, names in groupby(told, told.__getitem__)]
        told = {
            names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}": text
            if len(names) == 1
            else f"{len(names):,} columns, each {text}"
            for text, names in runs
        }
    if (length := len(json.dumps(told))) > LONGEST_TOLD:
        raise DataError(
            f"{name}: what is done to its columns takes {length:,} characters to tell, and a study keeps {LONGEST_TOLD:,};"
            " leave columns out with --drop, or give them shorter names"
        )
    return told


def _fingerprint(name: str, columns: list[Column], classes: tuple[Label, ...], y: NDArray[np.int64], rows: Rows) -> str:
    """Names the raw values and who is in which part; the same on every machine."""
    form = {"columns": [[column.name, str(column.kind)] for column in columns], "classes": list(classes)}
    digest = hashlib.sha256(name.encode() + json.dumps(form).encode())
    for column in columns:
        if column.kind is Kind.NUMBER:
            # There are many ways to write NaN, and two to write 0.
            values = np.where(column.missing, np.nan, column.values + 0.0)
            digest.update(values.astype("<f8").tobytes())
        else:
            digest.update(json.dumps(column.values.tolist()).encode())
    for chosen in (y, *(rows[part] for part in PARTS)):
        digest.update(len(chosen).to_bytes(8, "little") + np.asarray(chosen, "<i8").tobytes())
    return digest.hexdigest()[:16]


def _listed(columns: list[str]) -> str:
    """Names, not more than one can read."""
    shown = ", ".join(map(str, columns[:10]))
    return shown if len(columns) <= 10 else f"{shown} …"
