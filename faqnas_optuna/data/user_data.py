"""Own data: a file or a data frame becomes a data set that is ready to train on.

The schema says what each column is. It is inferred once, from the training data, or comes with a study; it then holds for the
test file too. Features are fitted on the training part.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.config import DataConfig, file_suffix
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.data.cells import texts
from faqnas_optuna.data.classes import check_counts, class_indices, infer_classes, label_texts
from faqnas_optuna.data.column_kinds import Column, infer_kind, read_column, table_of
from faqnas_optuna.data.csv_files import UNNAMED
from faqnas_optuna.data.division import PARTS, SPLIT, Rows, divide, fixed_parts, group_numbers
from faqnas_optuna.data.findings import check
from faqnas_optuna.data.fitting import fit
from faqnas_optuna.data.preprocessing import Preprocessing, RawFeatures
from faqnas_optuna.data.problems import Problems
from faqnas_optuna.data.reading import NPZ_TARGET, Source, read_source
from faqnas_optuna.data.schema import Kind, Schema
from faqnas_optuna.data.splits import DataSplits, Label, Split
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MOST_LINES = 50
"""Columns that are described one by one."""
LONGEST_DESCRIPTION = 40_000
"""Characters of what a study keeps of its columns: MySQL keeps 65,535 bytes of a study's description."""


def load_file(
    path: Path,
    config: DataConfig,
    *,
    seed: int,
    test_path: Path | None = None,
    exceptions: Mapping[str, str] | None = None,
) -> DataSplits:
    """Return a file as a data set of the same name.

    Args:
        seed: decides the split, as far as the data do not.
        test_path: the file that `config.test_file` names.
        exceptions: stored schema of the study (`Schema.exceptions`); None to infer it.

    Raises:
        DataError: a file cannot be read, or holds columns that a network cannot learn from.
    """
    source = read_source(path)
    # The classes of a file of arrays have a name of their own.
    target = NPZ_TARGET if config.target is None and file_suffix(path.name) == ".npz" else config.target
    if target is None:
        names = list(source.frame.columns)
        raise DataError(f"{path.name}: which column holds the classes? Name it with --target: {_listed(names)}")
    test = None if test_path is None else read_source(test_path)
    return splits_of(source, target, config, name=path.name, seed=seed, test=test, exceptions=exceptions)


def splits_of(
    source: Source,
    target: str,
    config: DataConfig,
    *,
    name: str,
    seed: int,
    test: Source | None = None,
    exceptions: Mapping[str, str] | None = None,
) -> DataSplits:
    """Return samples as a data set.

    Args:
        target: the column of the classes.
        name: of the data set.
        seed: decides the split, as far as the samples do not.
        test: samples of the test part, read by the schema of the others.
        exceptions: stored schema (`Schema.exceptions`); None to infer it.

    Raises:
        DataError: a column holds what a network cannot learn from, or the samples cannot be divided so; names all problems.
    """
    problems = Problems(name)
    schema = _inferred(source, target, config, problems) if exceptions is None else _stored(source, exceptions)
    samples = [source]
    if test is not None:
        _check_same_columns(schema, source.frame, test.frame, config.test_file or "the test part")
        samples.append(test)
    columns = _columns(samples, schema, problems)
    y, classes = _classes(samples, schema, problems)
    groups = _groups(samples, schema, problems)
    fixed = _fixed(samples, schema, problems)
    problems.check()
    if not columns:
        raise DataError(f"{name}: no column is left that a network can learn from; name fewer with --drop")
    with problems.collected():
        rows = divide(y, classes, groups, fixed, seed)
    problems.check()
    table, preprocessing = _prepared(columns, rows["train"], config.pca, name)
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
        schema=schema,
        fingerprint=_fingerprint(name, columns, classes, y, rows),
        columns=_described_together(name, _described(schema, columns, preprocessing, rows["train"], config)),
        seed=None if fixed is not None and (fixed == "validation").any() else seed,
        findings=check(
            {column.name: column.values for column in columns},
            y,
            classes,
            rows,
            dates=schema.names(Kind.DATE),
            texts=schema.names(Kind.IDENTIFIER),
        ),
    )


def _inferred(source: Source, target: str, config: DataConfig, problems: Problems) -> Schema:
    """Infer what each column of the training data is; one that cannot be read without guessing is left out."""
    frame = source.frame
    wanted = {
        "target": [target],
        "groups": [config.groups] if config.groups else [],
        "drop": config.drop,
        "category": config.category,
    }
    for option, columns in wanted.items():
        with problems.collected():
            _check_columns(frame, columns, option)
    with problems.collected():
        of_parts = [column for column in frame.columns if _is_split(column) and column not in config.drop]
        if len(of_parts) > 1:
            first, second, *_ = of_parts
            raise DataError(f"columns {first!r} and {second!r} both name the part of each sample; leave one out with --drop")
    kinds = {}
    for column in frame.columns:
        declared = _declared(column, target, config)
        kinds[column] = declared or Kind.LEFT_OUT
        if declared is None:
            with problems.collected(column):
                kinds[column] = infer_kind(frame[column], decimal_comma=source.decimal_comma)
    return Schema(kinds=kinds)


def _declared(column: str, target: str, config: DataConfig) -> Kind | None:
    """Return the kind of a column that its name or a setting decides; None where its values do."""
    if column == target:
        return Kind.LABEL
    if column in config.drop or not column.strip() or column.startswith(UNNAMED):
        return Kind.LEFT_OUT
    if column == config.groups:
        return Kind.GROUP
    if _is_split(column):
        return Kind.SPLIT
    return Kind.CATEGORY if column in config.category else None


def _stored(source: Source, exceptions: Mapping[str, str]) -> Schema:
    """Return the schema of a study for its file.

    Raises:
        DataError: the file lacks a column.
    """
    missing = [name for name in exceptions if name not in source.frame.columns]
    if missing:
        raise DataError(f"column {missing[0]!r} is missing, which the study's data have")
    return Schema.completed(exceptions, source.frame.columns)


def _check_columns(frame: "pd.DataFrame", wanted: Sequence[str], option: str) -> None:
    names = [str(column) for column in frame.columns]
    if missing := [column for column in wanted if column not in names]:
        raise DataError(f"--{option} {missing[0]!r} is none of its columns{did_you_mean(missing[0], names[:50])}")


def _is_split(column: str) -> bool:
    return column.strip().lower() == SPLIT


def _check_same_columns(schema: Schema, frame: "pd.DataFrame", test: "pd.DataFrame", test_name: str) -> None:
    """Refuse a test file that lacks a column of the training data, or has one more."""
    if schema.names(Kind.SPLIT):
        raise DataError(f"the data have a column {SPLIT!r}, and {test_name} is the test part; leave one of them out")
    unneeded = schema.names(Kind.LEFT_OUT, Kind.IDENTIFIER, Kind.DATE)
    different = sorted(({*map(str, frame.columns)} ^ {*map(str, test.columns)}) - {*unneeded})
    if different:
        raise DataError(f"the data and {test_name} have different columns: {_listed(different)}; give both the same")


def _columns(samples: Sequence[Source], schema: Schema, problems: Problems) -> list[Column]:
    """Return the columns that become features, of all samples."""
    columns = []
    for name in schema.features:
        kind = schema.kinds[name]
        with problems.collected(name):
            parts = [read_column(name, kind, source.frame[name], decimal_comma=source.decimal_comma) for source in samples]
            columns.append(Column(name=name, kind=kind, values=np.concatenate([part.values for part in parts])))
    return columns


def _classes(samples: Sequence[Source], schema: Schema, problems: Problems) -> tuple[NDArray[np.int64], tuple[Label, ...]]:
    """Return the class of each sample as an index (samples,), and the classes of the training data."""
    if not schema.names(Kind.LABEL):
        return np.empty(0, np.int64), ()
    target = schema.label
    with problems.collected():
        cells = [label_texts(target, source.frame[target]) for source in samples]
        classes = infer_classes(target, cells[0])
        y = np.concatenate([class_indices(target, part, classes) for part in cells])
        if absent := np.count_nonzero(y < 0):
            raise DataError(f"the target {target!r} lacks a value in {absent:,} rows of the test file; fill or delete them")
        check_counts(target, y, classes)
        return y, classes
    return np.empty(0, np.int64), ()


def _groups(samples: Sequence[Source], schema: Schema, problems: Problems) -> NDArray[np.int64] | None:
    """Return the number of the group of each sample (samples,); None without groups."""
    import pandas as pd

    for column in schema.names(Kind.GROUP):
        with problems.collected(column, droppable=False):
            return group_numbers(pd.concat([texts(source.frame[column]) for source in samples], ignore_index=True))
    return None


def _fixed(samples: Sequence[Source], schema: Schema, problems: Problems) -> NDArray[np.str_] | None:
    """Return the part of each sample (samples,), if the data say so."""
    if len(samples) > 1:
        return np.repeat(["train", "test"], [len(source.frame) for source in samples])
    for column in schema.names(Kind.SPLIT)[:1]:
        with problems.collected():
            return fixed_parts(column, texts(samples[0].frame[column]))
    return None


def _prepared(
    columns: Sequence[Column], train: NDArray[np.int64], pca: int | None, name: str
) -> tuple[RawFeatures, Preprocessing]:
    """Return all samples by kind of column, and what makes features of them."""
    if empty := [column.name for column in columns if column.missing[train].all()]:
        options = " ".join(f"--drop {column!r}" for column in empty)
        raise DataError(f"{name}: no value in the training part in {_listed(empty)}; leave out with {options}")
    table = table_of(columns, len(columns[0].values))
    preprocessing = fit(
        table.rows(train),
        numbers=tuple(column.name for column in columns if not column.is_text),
        categories=tuple(column.name for column in columns if column.is_text),
        pca=pca,
    )
    preprocessing.check(table, name=name)
    return table, preprocessing


def _described(
    schema: Schema, columns: Sequence[Column], preprocessing: Preprocessing, train: NDArray[np.int64], config: DataConfig
) -> dict[str, str]:
    """Return what each column is and what is done to it, in words."""
    features = {column.name: column for column in columns}
    words = {
        Kind.LABEL: "label",
        Kind.GROUP: "group: its samples stay in one part; no feature",
        Kind.SPLIT: "part of each sample; no feature",
        Kind.IDENTIFIER: "identifier or free text; no feature",
        Kind.DATE: "date or time; no feature",
    }
    described = {}
    for name, kind in schema.kinds.items():
        if kind.is_feature:
            described[name] = _feature(features[name], preprocessing, train)
        elif kind is Kind.LEFT_OUT:
            described[name] = "left out, as asked" if name in config.drop else "left out: it has no name"
        else:
            described[name] = words[kind]
    return described


def _feature(column: Column, preprocessing: Preprocessing, train: NDArray[np.int64]) -> str:
    """Return what a column that becomes features is, in words."""
    missing = int(column.missing.sum())
    if column.is_text:
        category = next(one for one in preprocessing.categories if one.name == column.name)
        text = f"category, one-hot of {len(category.values)} values"
        fill = repr(category.fill)
    else:
        place = preprocessing.numbers.names.index(column.name)
        fills = preprocessing.numbers.fills
        is_constant = np.ptp(column.values[train][~column.missing[train]]) == 0
        text = f"{column.kind}, {'constant in the training part: always 0' if is_constant else 'standardised'}"
        fill = "" if fills is None else f"{fills[place]:g}"
    return f"{text}; {missing:,} missing: {fill}" if missing else text


def _described_together(name: str, described: dict[str, str]) -> dict[str, str]:
    """Return the same with one line for adjacent columns that are treated alike, where there are many."""
    if len(described) > MOST_LINES:
        runs = [(text, list(names)) for text, names in groupby(described, described.__getitem__)]
        described = {
            names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}": text
            if len(names) == 1
            else f"{len(names):,} columns, each {text}"
            for text, names in runs
        }
    if (length := len(json.dumps(described))) > LONGEST_DESCRIPTION:
        raise DataError(
            f"{name}: the description of its columns takes {length:,} characters, and the maximum is {LONGEST_DESCRIPTION:,};"
            " leave columns out with --drop, or give them shorter names"
        )
    return described


def _fingerprint(name: str, columns: Sequence[Column], classes: tuple[Label, ...], y: NDArray[np.int64], rows: Rows) -> str:
    """Return a digest of the raw values and the parts, the same on every machine."""
    form = {"columns": [[column.name, str(column.kind)] for column in columns], "classes": list(classes)}
    digest = hashlib.sha256(name.encode() + json.dumps(form).encode())
    for column in columns:
        if column.is_text:
            digest.update(json.dumps(column.values.tolist()).encode())
        else:
            # There are many ways to write NaN, and two to write 0.
            values = np.where(column.missing, np.nan, column.values + 0.0)
            digest.update(values.astype("<f8").tobytes())
    for chosen in (y, *(rows[part] for part in PARTS)):
        digest.update(len(chosen).to_bytes(8, "little") + np.asarray(chosen, "<i8").tobytes())
    return digest.hexdigest()[:16]


def _listed(columns: Sequence[str]) -> str:
    """Return the first names of a list."""
    listed = ", ".join(columns[:10])
    return listed if len(columns) <= 10 else f"{listed} …"
