"""Warnings about a data set that a statistician would give: leaks, identifiers, constants, imbalance, parts that are too small.

All checks are pure functions of columns, classes and parts.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.config import Score
from faqnas_optuna.data.duplicates import copies, profiles, row_hashes
from faqnas_optuna.wording import counted

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""
WIDEST = 0.2
"""Largest half-width of Wilson's 95 % interval of an accuracy of 0.5 with which a part is still large enough."""
HIGHEST_RATIO = 9.0
"""Imbalance ratio, largest class over smallest, above which a data set counts as highly imbalanced (Fernández et al. 2008, DOI
10.1016/j.fss.2007.12.023)."""
NAMED_COLUMNS = 5
"""Columns that a message names; JSON has all."""

TOLERATED = 0.05
"""Share of rows of a data set with a name that may occur more than once, as one of iris does: nothing can be done about it."""
KEEP_TOGETHER = "; delete the copies, or keep equal samples in one part with --groups"
DELETE = "; delete the copies if they are of one sample"

Parts = Mapping[str, NDArray[np.int64]]
"""The samples of `train`, `validation` and `test`."""


class FindingKind(StrEnum):
    """Kind of suspicious data, the gravest first."""

    LABEL_COPY = "label-copy"
    """Columns that determine the class."""
    SHARED_ROWS = "shared-rows"
    """Rows of the validation or test part that the search also sees elsewhere."""
    IDENTIFIER = "identifier"
    """Columns with a different whole number or text in nearly every row."""
    COUNTER = "counter"
    """Columns that number the rows."""
    DATE = "date"
    """Columns of dates or times, which become no feature."""
    FREE_TEXT = "free-text"
    """Columns of too many different texts, which become no feature."""
    COLUMN_COPY = "column-copy"
    """Columns that repeat another one, perhaps in other units or codes."""
    DUPLICATE_ROWS = "duplicate-rows"
    """Rows that repeat a row of the same part."""
    IMBALANCE = "imbalance"
    """Classes of very different sizes."""
    SMALL_PART = "small-part"
    """Validation or test parts that are too small for a claim."""
    CONSTANT = "constant"
    """Columns with one value in the training part."""
    NEAR_CONSTANT = "near-constant"
    """Columns with one value in nearly all samples of the training part."""


@dataclass(frozen=True, kw_only=True)
class DataFinding:
    """A warning about a data set."""

    kind: FindingKind
    columns: tuple[str, ...] = ()
    """All columns concerned."""
    message: str
    """A sentence with the figures and the fix, without a full stop."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"kind": str(self.kind), "columns": list(self.columns), "message": self.message}


@dataclass(frozen=True, kw_only=True)
class Majority:
    """Scores of a model that always answers the most frequent class of the training part."""

    accuracy: Mapping[str, float]
    """By part."""
    balanced_accuracy: Mapping[str, float]
    """By part: one over the number of classes that the part holds."""

    @classmethod
    def of(cls, y: Mapping[str, NDArray[np.int64]]) -> "Majority":
        """Return the scores on the parts that have samples, for class indices (samples,) by part, `train` among them."""
        majority = int(np.bincount(y["train"]).argmax())
        hits = {part: labels == majority for part, labels in y.items() if len(labels)}
        return cls(
            accuracy={part: float(hit.mean()) for part, hit in hits.items()},
            balanced_accuracy={part: float(hit.any()) / len(np.unique(y[part])) for part, hit in hits.items()},
        )

    def score(self, score: Score, part: str) -> float:
        """Return the score on one part."""
        return score.of(accuracy=self.accuracy, balanced=self.balanced_accuracy)[part]

    @classmethod
    def from_json(cls, entry: Mapping[str, Mapping[str, float]]) -> "Majority":
        """Read what `to_json` returned."""
        return cls(accuracy=dict(entry["accuracy"]), balanced_accuracy=dict(entry["balanced_accuracy"]))

    def to_json(self) -> dict[str, dict[str, float]]:
        """Return plain values."""
        return {"accuracy": dict(self.accuracy), "balanced_accuracy": dict(self.balanced_accuracy)}


SENTENCES = {
    FindingKind.LABEL_COPY: (
        "column {names} determines the class in all rows; if known only after the class, leave it out with {drop}",
        "columns {names} each determine the class in all rows; if known only after the class, leave them out with {drop}",
    ),
    FindingKind.IDENTIFIER: (
        "column {names} has a different value in at least 99 % of the rows, as an identifier; if it only names samples, leave"
        " it out with {drop}",
        "columns {names} each have a different value in at least 99 % of the rows, as identifiers; if they only name samples,"
        " leave them out with {drop}",
    ),
    FindingKind.COUNTER: (
        "column {names} only counts the rows; leave it out with {drop}",
        "columns {names} only count the rows; leave them out with {drop}",
    ),
    FindingKind.DATE: (
        "column {names} holds dates or times and becomes no feature; write days or seconds since a date to use it",
        "columns {names} hold dates or times and become no features; write days or seconds since a date to use them",
    ),
    FindingKind.FREE_TEXT: (
        "column {names} holds too many different texts and becomes no feature; join rare ones to use it",
        "columns {names} hold too many different texts and become no features; join rare ones to use them",
    ),
    FindingKind.CONSTANT: (
        "column {names} has one value in the training part, from which nothing can be learned; leave it out with {drop}",
        "columns {names} each have one value in the training part, from which nothing can be learned; leave them out with"
        " {drop}",
    ),
    FindingKind.NEAR_CONSTANT: (
        "column {names} has one value in at least 99 % of the training part, or in all samples but one; leave it out with"
        " {drop} unless the rare values matter",
        "columns {names} each have one value in at least 99 % of the training part, or in all samples but one; leave them out"
        " with {drop} unless the rare values matter",
    ),
}
"""Messages about one column and about several, by kind (99 % is `duplicates.NEARLY_ALL`)."""


def relevant(findings: Iterable[DataFinding], score: Score) -> tuple[DataFinding, ...]:
    """Return the findings that matter to a search by a score: a balanced one needs no warning of imbalance."""
    return tuple(one for one in findings if one.kind is not FindingKind.IMBALANCE or score is Score.ACCURACY)


def check(
    columns: Mapping[str, NDArray[Any]],
    y: NDArray[np.int64],
    classes: Sequence[str | int],
    parts: Parts,
    *,
    dates: Sequence[str] = (),
    texts: Sequence[str] = (),
) -> tuple[DataFinding, ...]:
    """Check a data set whose columns can be left out.

    Args:
        columns: by name, (samples,) numbers with NaN, or `str` with None, where a value is missing.
        y: (samples,) class indices.
        classes: the name of each class, by index.
        parts: the samples of each part.
        dates: names of columns of dates, which become no feature.
        texts: names of columns of too many different texts, which become no feature.
    """
    read = profiles(columns, parts["train"])
    n_train = len(parts["train"])
    named = {FindingKind.COUNTER: [one.name for one in read if one.is_counter]}
    named[FindingKind.IDENTIFIER] = [one.name for one in read if one.is_identifier and not one.is_counter]
    identifying = {name for names in named.values() for name in names}
    named[FindingKind.CONSTANT] = [one.name for one in read if one.is_constant]
    named[FindingKind.NEAR_CONSTANT] = [one.name for one in read if one.is_near_constant(n_train)]
    useful = [one for one in read if not one.is_constant and one.name not in identifying]
    named |= {FindingKind.DATE: [*dates], FindingKind.FREE_TEXT: [*texts]}
    named[FindingKind.LABEL_COPY] = [one.name for one in useful if one.determines(y)]
    of_label = set(named[FindingKind.LABEL_COPY])
    findings = [_of_columns(kind, names) for kind, names in named.items() if names]
    if repeats := copies([one for one in useful if one.name not in of_label]):
        findings.append(_of_copies(repeats))
    compared = [one.numbers for one in read if one.name not in identifying]
    if compared:
        findings += _of_rows(np.column_stack(compared), parts, fixes=(KEEP_TOGETHER, DELETE))
    findings += [*_of_classes(y, classes, parts), *_of_sizes(parts)]
    order = list(FindingKind)
    return tuple(sorted(findings, key=lambda one: order.index(one.kind)))


def check_fixed(x: NDArray[Any], y: NDArray[np.int64], classes: Sequence[str | int], parts: Parts) -> tuple[DataFinding, ...]:
    """Check a data set whose columns are what they are, as those that have a name: classes, parts and rows.

    Args:
        x: (samples, features).
        y: (samples,) class indices.
        classes: the name of each class, by index.
        parts: the samples of each part.
    """
    return (*_of_rows(x, parts, tolerated=TOLERATED), *_of_classes(y, classes, parts), *_of_sizes(parts))


def smallest_part() -> int:
    """Return the fewest samples for which the interval of an accuracy of 0.5 is no wider than `WIDEST` to each side."""
    return math.ceil(Z95**2 * (0.25 / WIDEST**2 - 1))


def wilson_half_width(samples: int) -> float:
    """Return half the width of Wilson's 95 % interval of an accuracy of 0.5: z / (2 √(n + z²))."""
    return Z95 / (2 * math.sqrt(samples + Z95**2))


def _of_rows(
    x: NDArray[Any], parts: Parts, *, tolerated: float = 0.0, fixes: tuple[str, str] = ("", "")
) -> Iterator[DataFinding]:
    """Report rows that occur more than once.

    Args:
        tolerated: share of a part, or of all rows, that may do so without a report.
        fixes: what can be done about rows of several parts, and about rows of one part.
    """
    hashes = row_hashes(x)
    of_part = {part: hashes[rows] for part, rows in parts.items()}
    others = {"test": ("train", "validation"), "validation": ("train",)}
    shared = {
        part: int(np.isin(of_part[part], np.concatenate([of_part[other] for other in searched])).sum())
        for part, searched in others.items()
    }
    places = {"test": "in the training or validation part", "validation": "in the training part"}
    told = [
        f"{count:,} of {len(of_part[part]):,} {part} rows also {'occurs' if count == 1 else 'occur'} {places[part]}"
        for part, count in shared.items()
        if count > tolerated * len(of_part[part])
    ]
    if told:
        message = f"{' and '.join(told)}, so scores on them are optimistic{fixes[0]}"
        yield DataFinding(kind=FindingKind.SHARED_ROWS, message=message)
    repeated = sum(len(rows) - len(np.unique(rows)) for rows in of_part.values())
    if repeated > tolerated * len(hashes):
        verb = "repeats" if repeated == 1 else "repeat"
        message = (
            f"{repeated:,} of {len(hashes):,} rows {verb} another row of the same part, so intervals are too narrow{fixes[1]}"
        )
        yield DataFinding(kind=FindingKind.DUPLICATE_ROWS, message=message)


def _of_classes(y: NDArray[np.int64], classes: Sequence[str | int], parts: Parts) -> Iterator[DataFinding]:
    """Report classes of very different sizes."""
    counts = np.bincount(y, minlength=len(classes))
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    if counts[largest] <= HIGHEST_RATIO * counts[smallest]:
        return
    in_test = int((y[parts["test"]] == smallest).sum())
    yield DataFinding(
        kind=FindingKind.IMBALANCE,
        message=f"the classes are imbalanced: {classes[largest]!r} has {counts[largest]:,} of {len(y):,} samples and"
        f" {classes[smallest]!r} has {counts[smallest]:,} ({in_test:,} of them in the test part), so always answering"
        f" {classes[largest]!r} has an accuracy of {counts[largest] / len(y):.3f}; search by the mean recall with"
        " --score balanced",
    )


def _of_sizes(parts: Parts) -> Iterator[DataFinding]:
    """Report parts that are too small for a claim."""
    fewest = smallest_part()
    small = {part: len(parts[part]) for part in ("validation", "test") if len(parts[part]) < fewest}
    if not small:
        return
    sizes = " and ".join(f"the {part} part has {counted(count, 'sample')}" for part, count in small.items())
    widths = " and ".join(f"±{wilson_half_width(count):.2f}" for count in small.values())
    yield DataFinding(
        kind=FindingKind.SMALL_PART,
        message=f"{sizes}, with which the 95 % interval of an accuracy reaches up to {widths}; collect more samples, at least"
        f" {fewest} in each part",
    )


def _of_columns(kind: FindingKind, names: Sequence[str]) -> DataFinding:
    """Report columns of a kind in one sentence."""
    one, several = SENTENCES[kind]
    message = (one if len(names) == 1 else several).format(names=_listed(names), drop=_drop(names))
    return DataFinding(kind=kind, columns=tuple(names), message=message)


def _of_copies(repeats: Sequence[tuple[str, str]]) -> DataFinding:
    """Report columns that repeat another one."""
    names = [copy for copy, _ in repeats]
    if len(repeats) == 1:
        subject = "column {!r} repeats {!r}".format(*repeats[0])
    else:
        pairs = [f"{copy!r} and {original!r}" for copy, original in repeats[:NAMED_COLUMNS]]
        more = [f"{len(repeats) - NAMED_COLUMNS:,} more"] if len(repeats) > NAMED_COLUMNS else []
        subject = f"{len(repeats):,} columns repeat another one ({', '.join([*pairs, *more])})"
    return DataFinding(
        kind=FindingKind.COLUMN_COPY,
        columns=tuple(names),
        message=f"{subject}, perhaps in other units or codes; leave {'it' if len(names) == 1 else 'the copies'} out with"
        f" {_drop(names)}",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:NAMED_COLUMNS]))
    return shown if len(names) <= NAMED_COLUMNS else f"{shown} and {len(names) - NAMED_COLUMNS:,} more"


def _drop(names: Sequence[str]) -> str:
    """Return the option that leaves a column out; of several the reader repeats it."""
    return f"--drop {names[0]!r}" if len(names) == 1 else "--drop, once for each"
