"""Preparation of user data: a file or data frame becomes a data set that is ready to train on.

The schema holds the kind of each column. It is inferred once, from the training data, or loaded with a study, and then also
applies to a test file. The preprocessing is fitted on the training part.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.config import DataConfig, file_suffix
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.data.cells import texts
from faqnas_optuna.data.classes import check_counts, class_indices, infer_classes, label_texts
from faqnas_optuna.data.column_kinds import Column, infer_kind, read_column, table_of
from faqnas_optuna.data.csv_files import UNNAMED
from faqnas_optuna.data.division import PARTS, SPLIT, RowsByPart, divide, fixed_parts, group_numbers
from faqnas_optuna.data.findings import check
from faqnas_optuna.data.fitting import fit
from faqnas_optuna.data.preprocessing import Preprocessing, RawFeatures
from faqnas_optuna.data.problems import Problems
from faqnas_optuna.data.reading import NPZ_TARGET, Source, read_source
from faqnas_optuna.data.schema import Kind, Schema
from faqnas_optuna.data.splits import DataSplits, Label, Samples
from faqnas_optuna.errors import DataError
from faqnas_optuna.wording import counted

if TYPE_CHECKING:
    import pandas as pd

MAX_LINES = 50
"""Maximum number of columns that are described one by one."""
MAX_DESCRIPTION = 40_000
"""Maximum number of characters of the description of all columns.

It is stored with other metadata in one attribute of the study, and MySQL limits an attribute to 65,535 bytes.
"""


def load_file(
    path: Path,
    config: DataConfig,
    *,
    seed: int,
    test_path: Path | None = None,
    non_numeric: Mapping[str, str] | None = None,
) -> DataSplits:
    """Load a file as a data set with the name of the file.

    Args:
        seed: Random seed for drawing parts that are not given.
        test_path: Path of the file that `config.test_file` names.
        non_numeric: Stored schema of the study (`Schema.non_numeric`); None to infer it.

    Raises:
        DataError: A file cannot be read, or a column cannot be used.
    """
    source = read_source(path)
    # The array of the classes has a fixed name in NPZ files; in other formats the user names the column.
    target = NPZ_TARGET if config.target is None and file_suffix(path.name) == ".npz" else config.target
    if target is None:
        names = list(source.frame.columns)
        raise DataError(f"{path.name}: which column holds the classes? Name it with --target: {_first_names(names)}")
    test = None if test_path is None else read_source(test_path)
    return splits_of(source, target, config, name=path.name, seed=seed, test=test, non_numeric=non_numeric)


def splits_of(
    source: Source,
    target: str,
    config: DataConfig,
    *,
    name: str,
    seed: int,
    test: Source | None = None,
    non_numeric: Mapping[str, str] | None = None,
) -> DataSplits:
    """Prepare samples as a data set.

    Args:
        source: All samples, or those outside the test part.
        target: Name of the column that holds the classes.
        name: Name of the data set.
        seed: Random seed for drawing parts that are not given.
        test: Samples of the test part, with the same columns.
        non_numeric: Stored schema (`Schema.non_numeric`); None to infer it.

    Raises:
        DataError: Columns cannot be used, or the samples cannot be divided into parts; the message lists all problems.
    """
    problems = Problems(name)
    schema = _infer_schema(source, target, config, problems) if non_numeric is None else _restore_schema(source, non_numeric)
    sources = [source]
    if test is not None:
        _check_same_columns(schema, source.frame, test.frame, config.test_file or "the test part")
        sources.append(test)
    # All problems of columns are reported together. The division comes later, because it needs valid classes.
    columns = _read_columns(sources, schema, problems)
    y, classes = _read_classes(sources, schema, problems)
    groups = _read_groups(sources, schema, problems)
    given_parts = _read_parts(sources, schema, problems)
    problems.check()
    if not columns:
        raise DataError(
            f"{name}: no column can be used as a feature: each is left out, or holds identifiers, dates or texts;"
            " add columns of values"
        )
    with problems.collected():
        rows = divide(y, classes, groups, given_parts, seed)
    problems.check()
    raw = _raw_features(columns, rows["train"], name)
    numbers = tuple(column.name for column in columns if not column.is_text)
    categories = tuple(column.name for column in columns if column.is_text)
    fit_columns = partial(fit, numbers=numbers, categories=categories, pca=config.pca)
    samples = Samples(raw=raw, y=y, rows=rows, fit=fit_columns, groups=groups)
    preprocessing = samples.fit(raw.rows(rows["train"]))
    preprocessing.check(raw, name=name)
    parts = {part: samples.split(preprocessing, indices) for part, indices in rows.items()}
    # Finite numbers may have a mean or variance that overflows.
    if not all(np.isfinite(part.x).all() for part in parts.values()):
        raise DataError(f"{name}: its numbers are too large to be scaled; write them in another unit")
    return DataSplits(
        name=name,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        classes=classes,
        preprocessing=preprocessing,
        schema=schema,
        fingerprint=_fingerprint(name, columns, classes, y, rows),
        columns=_join_descriptions(name, _describe_columns(schema, columns, preprocessing, rows["train"], config)),
        # The seed decides nothing if all three parts are given.
        seed=None if given_parts is not None and (given_parts == "validation").any() else seed,
        findings=check(
            {column.name: column.values for column in columns},
            y,
            classes,
            rows,
            dates=schema.names(Kind.DATE),
            texts=schema.names(Kind.IDENTIFIER),
        ),
        samples=samples,
    )


def _infer_schema(source: Source, target: str, config: DataConfig, problems: Problems) -> Schema:
    """Infer the kind of each column of the training data.

    A column whose kind cannot be inferred is collected as a problem and left out, so that the others can be checked.
    """
    frame = source.frame
    columns_of_options = {
        "target": [target],
        "groups": [config.groups] if config.groups else [],
        "drop": config.drop,
        "category": config.category,
    }
    for option, columns in columns_of_options.items():
        with problems.collected():
            _check_columns(frame, columns, option)
    with problems.collected():
        # The name of this column is recognised in any case, so there may be several, such as "split" and "Split".
        split_columns = [column for column in frame.columns if _is_split(column) and column not in config.drop]
        if len(split_columns) > 1:
            first, second, *_ = split_columns
            raise DataError(f"columns {first!r} and {second!r} both assign each sample to a part; leave one out with --drop")
    kinds = {}
    for column in frame.columns:
        declared = _declared_kind(column, target, config)
        kinds[column] = declared or Kind.LEFT_OUT
        if declared is None:
            with problems.collected(column):
                kinds[column] = infer_kind(frame[column], decimal_comma=source.decimal_comma)
    return Schema(kinds=kinds)


def _declared_kind(column: str, target: str, config: DataConfig) -> Kind | None:
    """Return the kind of a column by its name or a setting; None if its values must decide."""
    # The target comes first: a column that is also named by another setting must not lose the classes.
    if column == target:
        return Kind.LABEL
    if column in config.drop or not column.strip() or column.startswith(UNNAMED):
        return Kind.LEFT_OUT
    if column == config.groups:
        return Kind.GROUP
    if _is_split(column):
        return Kind.SPLIT
    return Kind.CATEGORY if column in config.category else None


def _restore_schema(source: Source, non_numeric: Mapping[str, str]) -> Schema:
    """Return the stored schema of a study for its file.

    Raises:
        DataError: A column of the schema is absent from the file.
    """
    absent = [name for name in non_numeric if name not in source.frame.columns]
    if absent:
        raise DataError(f"the file has no column {absent[0]!r}, which the study's data have; add it")
    return Schema.completed(non_numeric, source.frame.columns)


def _check_columns(frame: "pd.DataFrame", columns: Sequence[str], option: str) -> None:
    """Refuse an option that names a column that does not exist."""
    names = [str(column) for column in frame.columns]
    absent = [column for column in columns if column not in names]
    if absent:
        raise DataError(f"--{option} {absent[0]!r} is not a column of the data{did_you_mean(absent[0], names[:50])}")


def _is_split(column: str) -> bool:
    return column.strip().lower() == SPLIT


def _check_same_columns(schema: Schema, frame: "pd.DataFrame", test: "pd.DataFrame", test_name: str) -> None:
    """Refuse a test file whose columns differ from those of the training data, except for columns that are not used."""
    if schema.names(Kind.SPLIT):
        raise DataError(f"the data have a column {SPLIT!r}, and {test_name} is the test part; leave one of them out")
    unused = schema.names(Kind.LEFT_OUT, Kind.IDENTIFIER, Kind.DATE)
    different = sorted(({*map(str, frame.columns)} ^ {*map(str, test.columns)}) - {*unused})
    if different:
        raise DataError(
            f"these columns are in only one of the data and {test_name}: {_first_names(different)}; give both the same columns"
        )


def _read_columns(samples: Sequence[Source], schema: Schema, problems: Problems) -> list[Column]:
    """Read the columns that become features, joined over all samples."""
    columns = []
    for name in schema.features:
        kind = schema.kinds[name]
        with problems.collected(name):
            # Each file has its own decimal mark.
            parts = [read_column(name, kind, source.frame[name], decimal_comma=source.decimal_comma) for source in samples]
            columns.append(Column(name=name, kind=kind, values=np.concatenate([part.values for part in parts])))
    return columns


def _read_classes(samples: Sequence[Source], schema: Schema, problems: Problems) -> tuple[NDArray[np.int64], tuple[Label, ...]]:
    """Return class indices (samples,) and the classes of the training data."""
    # Without a label a problem has been collected already, so the result is not used.
    if not schema.names(Kind.LABEL):
        return np.empty(0, np.int64), ()
    target = schema.label
    with problems.collected():
        cells = [label_texts(target, source.frame[target]) for source in samples]
        classes = infer_classes(target, cells[0])
        y = np.concatenate([class_indices(target, part, classes) for part in cells])
        # `infer_classes` has refused missing classes in the first file.
        absent = np.count_nonzero(y < 0)
        if absent:
            raise DataError(
                f"the target {target!r} lacks a value in {counted(int(absent), 'row')} of the test file; fill in the values or"
                " delete the rows"
            )
        check_counts(target, y, classes)
        return y, classes
    return np.empty(0, np.int64), ()


def _read_groups(samples: Sequence[Source], schema: Schema, problems: Problems) -> NDArray[np.int64] | None:
    """Return the number of the group of each sample (samples,); None without groups."""
    import pandas as pd

    for column in schema.names(Kind.GROUP):
        with problems.collected(column, droppable=False):
            return group_numbers(pd.concat([texts(source.frame[column]) for source in samples], ignore_index=True))
    return None


def _read_parts(samples: Sequence[Source], schema: Schema, problems: Problems) -> NDArray[np.str_] | None:
    """Return the part of each sample (samples,); None if the parts are not given."""
    # With a test file, all samples of the first file are for training, and the validation part is drawn from them.
    if len(samples) > 1:
        return np.repeat(["train", "test"], [len(source.frame) for source in samples])
    for column in schema.names(Kind.SPLIT)[:1]:
        with problems.collected():
            return fixed_parts(column, texts(samples[0].frame[column]))
    return None


def _raw_features(columns: Sequence[Column], train: NDArray[np.int64], name: str) -> RawFeatures:
    """Return the values of all samples.

    Raises:
        DataError: A column has no value in the training part.
    """
    empty = [column.name for column in columns if column.is_missing[train].all()]
    if empty:
        options = " ".join(f"--drop {quote(column)}" for column in empty)
        raise DataError(
            f"{name}: columns without any value in the training part: {_first_names(empty)}; leave them out with {options}"
        )
    return table_of(columns, len(columns[0].values))


def _describe_columns(
    schema: Schema, columns: Sequence[Column], preprocessing: Preprocessing, train: NDArray[np.int64], config: DataConfig
) -> dict[str, str]:
    """Describe the kind and treatment of each column, by name."""
    columns_by_name = {column.name: column for column in columns}
    words = {
        Kind.LABEL: "label",
        Kind.GROUP: "group: all samples of a group are in the same part; not a feature",
        Kind.SPLIT: "part of each sample; no feature",
        Kind.IDENTIFIER: "identifier or free text; no feature",
        Kind.DATE: "date or time; no feature",
    }
    descriptions = {}
    for name, kind in schema.kinds.items():
        if kind.is_feature:
            descriptions[name] = _feature_description(columns_by_name[name], preprocessing, train)
        elif kind is Kind.LEFT_OUT:
            descriptions[name] = "left out with --drop" if name in config.drop else "left out: unnamed column"
        else:
            descriptions[name] = words[kind]
    return descriptions


def _feature_description(column: Column, preprocessing: Preprocessing, train: NDArray[np.int64]) -> str:
    """Describe the preprocessing of a column that becomes features."""
    n_missing = int(column.is_missing.sum())
    if column.is_text:
        category = next(category for category in preprocessing.categories if category.name == column.name)
        text = f"category, one-hot of {len(category.values)} values"
        fill = repr(category.fill)
    else:
        place = preprocessing.numbers.names.index(column.name)
        fills = preprocessing.numbers.fills
        is_constant = np.ptp(column.values[train][~column.is_missing[train]]) == 0
        text = f"{column.kind}, {'constant in the training part: always 0' if is_constant else 'standardised'}"
        fill = "" if fills is None else f"{fills[place]:g}"
    return f"{text}; {n_missing:,} missing: {fill}" if n_missing else text


def _join_descriptions(name: str, descriptions: dict[str, str]) -> dict[str, str]:
    """Join the descriptions of adjacent columns with equal treatment if there are more than `MAX_LINES` columns.

    Args:
        name: Name of the data set, for the error.
        descriptions: Description of each column, by name.

    Raises:
        DataError: The result is longer than `MAX_DESCRIPTION` characters.
    """
    # Only neighbours are joined, so that "x1 … x9" describes exactly the columns between the two names.
    if len(descriptions) > MAX_LINES:
        runs = [(text, list(names)) for text, names in groupby(descriptions, descriptions.__getitem__)]
        descriptions = {
            names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}": text
            if len(names) == 1
            else f"{len(names):,} columns, each {text}"
            for text, names in runs
        }
    length = len(json.dumps(descriptions))
    if length > MAX_DESCRIPTION:
        raise DataError(
            f"{name}: the description of its columns takes {length:,} characters, and the maximum is {MAX_DESCRIPTION:,};"
            " leave columns out with --drop, or give them shorter names"
        )
    return descriptions


def _fingerprint(
    name: str, columns: Sequence[Column], classes: tuple[Label, ...], y: NDArray[np.int64], rows: RowsByPart
) -> str:
    """Return a digest of the raw values and of the parts, equal on all machines."""
    # Kinds belong to the raw values: the texts 1 and 2 as categories are other data than the numbers 1 and 2.
    form = {"columns": [[column.name, str(column.kind)] for column in columns], "classes": list(classes)}
    digest = hashlib.sha256(name.encode() + json.dumps(form).encode())
    for column in columns:
        if column.is_text:
            digest.update(json.dumps(column.values.tolist()).encode())
        else:
            # Equal values must have equal bits: all bit patterns of NaN become one, and adding 0 turns -0 into 0.
            values = np.where(column.is_missing, np.nan, column.values + 0.0)
            digest.update(values.astype("<f8").tobytes())
    # Lengths separate the arrays: rows that move from one part to the next must change the digest.
    for integers in (y, *(rows[part] for part in PARTS)):
        digest.update(len(integers).to_bytes(8, "little") + np.asarray(integers, "<i8").tobytes())
    return digest.hexdigest()[:16]


def _first_names(columns: Sequence[str]) -> str:
    """Return the first ten of the names, separated by commas."""
    listed = ", ".join(columns[:10])
    return listed if len(columns) <= 10 else f"{listed} …"
