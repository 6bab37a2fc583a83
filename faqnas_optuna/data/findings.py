"""Statistical checks of a data set: leakage, identifiers, constant columns, class imbalance and small parts.

All checks are pure functions of columns, classes and parts. A finding is a warning, never an error.
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

# A constant, because the import of scipy.stats takes longer than all checks of a small data set.
Z95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""
MAX_HALF_WIDTH = 0.2
"""Maximum half-width of Wilson's 95 % interval, at an accuracy of 0.5, for a part that is large enough."""
MAX_IMBALANCE = 9.0
"""Maximum ratio of the largest to the smallest class of a data set that is not reported as imbalanced.

Fernández et al. 2008 (DOI 10.1016/j.fss.2007.12.023) call data sets above this ratio highly imbalanced.
"""
NAMED_COLUMNS = 5
"""Maximum number of columns that a message names; the JSON document lists all."""

TOLERATED = 0.05
"""Share of rows of a named data set that may occur more than once without a warning.

One row of iris does, and a user of iris cannot change that.
"""
KEEP_TOGETHER = "; delete the copies, or keep equal samples in one part with --groups"
DELETE = "; delete the copies if they are of one sample"

Parts = Mapping[str, NDArray[np.int64]]
"""Row numbers of the parts `train`, `validation` and `test`."""


class FindingKind(StrEnum):
    """Kind of a warning about the data, most serious first; warnings are sorted in this order."""

    LABEL_COPY = "label-copy"
    """Columns that determine the class."""
    SHARED_ROWS = "shared-rows"
    """Rows of the validation or test part that also occur in a part that the search uses."""
    IDENTIFIER = "identifier"
    """Columns with a different whole number or text in nearly every row."""
    COUNTER = "counter"
    """Columns that number the rows."""
    DATE = "date"
    """Columns of dates or times, which are not used as features."""
    FREE_TEXT = "free-text"
    """Columns of too many distinct texts, which are not used as features."""
    COLUMN_COPY = "column-copy"
    """Columns that repeat another one, perhaps in other units or codes."""
    DUPLICATE_ROWS = "duplicate-rows"
    """Rows that repeat a row of the same part."""
    IMBALANCE = "imbalance"
    """Classes of very different sizes."""
    SMALL_PART = "small-part"
    """Validation or test parts that are too small for a reliable accuracy."""
    CONSTANT = "constant"
    """Columns with one value in the training part."""
    NEAR_CONSTANT = "near-constant"
    """Columns with one value in nearly all samples of the training part."""


@dataclass(frozen=True, kw_only=True)
class DataFinding:
    """A warning about a data set."""

    kind: FindingKind
    columns: tuple[str, ...] = ()
    """Names of all affected columns."""
    message: str
    """Sentence with the figures and the fix, without a full stop."""

    def to_json(self) -> dict[str, Any]:
        """Return the warning as values for JSON."""
        return {"kind": str(self.kind), "columns": list(self.columns), "message": self.message}


@dataclass(frozen=True, kw_only=True)
class Majority:
    """Scores of a model that always predicts the most frequent class of the training part."""

    accuracy: Mapping[str, float]
    """Accuracy by part."""
    balanced_accuracy: Mapping[str, float]
    """Balanced accuracy by part: 1 / the number of classes in the part, or 0 if the predicted class is not among them."""

    @classmethod
    def of(cls, y: Mapping[str, NDArray[np.int64]]) -> "Majority":
        """Return the scores on all parts that have samples.

        Args:
            y: Class indices (samples,) by part; `train` must be among the parts.

        >>> Majority.of({"train": np.array([0, 1, 1]), "test": np.array([1, 0, 0, 0])}).accuracy["test"]
        0.25
        """
        majority = int(np.bincount(y["train"]).argmax())
        hits = {part: labels == majority for part, labels in y.items() if len(labels)}
        # The recall of the predicted class is 1, and that of every other class is 0.
        return cls(
            accuracy={part: float(hit.mean()) for part, hit in hits.items()},
            balanced_accuracy={part: float(hit.any()) / len(np.unique(y[part])) for part, hit in hits.items()},
        )

    def score(self, score: Score, part: str) -> float:
        """Return the score on one part."""
        return score.of(accuracy=self.accuracy, balanced=self.balanced_accuracy)[part]

    @classmethod
    def from_json(cls, entry: Mapping[str, Mapping[str, float]]) -> "Majority":
        """Restore the scores from the result of `to_json`."""
        return cls(accuracy=dict(entry["accuracy"]), balanced_accuracy=dict(entry["balanced_accuracy"]))

    def to_json(self) -> dict[str, dict[str, float]]:
        """Return the scores as values for JSON."""
        return {"accuracy": dict(self.accuracy), "balanced_accuracy": dict(self.balanced_accuracy)}


SENTENCES = {
    FindingKind.LABEL_COPY: (
        "column {names} determines the class in all rows; if it is known only after the class, leave it out with {drop}",
        "columns {names} each determine the class in all rows; if it is known only after the class, leave them out with {drop}",
    ),
    FindingKind.IDENTIFIER: (
        "column {names} has a different value in at least 99 % of the rows, like an identifier; if it only names samples, leave"
        " it out with {drop}",
        "columns {names} each have a different value in at least 99 % of the rows, like identifiers; if they only name samples,"
        " leave them out with {drop}",
    ),
    FindingKind.COUNTER: (
        "column {names} only numbers the rows; leave it out with {drop}",
        "columns {names} only number the rows; leave them out with {drop}",
    ),
    FindingKind.DATE: (
        "column {names} holds dates or times and is not used as a feature; write days or seconds since a date to use it",
        "columns {names} hold dates or times and are not used as features; write days or seconds since a date to use them",
    ),
    FindingKind.FREE_TEXT: (
        "column {names} holds too many different texts and is not used as a feature; merge rare ones to use it",
        "columns {names} hold too many different texts and are not used as features; merge rare ones to use them",
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
"""Messages about one column and about several, by kind. The 99 % are `duplicates.NEARLY_ALL`."""


def relevant(findings: Iterable[DataFinding], score: Score) -> tuple[DataFinding, ...]:
    """Return the findings that matter to a search by a score.

    Imbalance does not matter to a search by balanced accuracy, which weights all classes equally.
    """
    return tuple(finding for finding in findings if finding.kind is not FindingKind.IMBALANCE or score is Score.ACCURACY)


def check(
    columns: Mapping[str, NDArray[Any]],
    y: NDArray[np.int64],
    classes: Sequence[str | int],
    parts: Parts,
    *,
    dates: Sequence[str] = (),
    texts: Sequence[str] = (),
) -> tuple[DataFinding, ...]:
    """Check a data set whose columns the user can leave out.

    Args:
        columns: Values (samples,) of each feature column, by name: numbers with NaN, or `str` with None, for missing values.
        y: Class indices (samples,).
        classes: Names of the classes, by index.
        parts: Row numbers of each part.
        dates: Names of the columns of dates, which are not used as features.
        texts: Names of the columns of too many distinct texts, which are not used as features.
    """
    column_profiles = profiles(columns, parts["train"])
    # A column that numbers the rows is an identifier too; it is reported once, as the more specific kind.
    names_of = {
        FindingKind.COUNTER: [column.name for column in column_profiles if column.is_counter],
        FindingKind.IDENTIFIER: [column.name for column in column_profiles if column.is_identifier and not column.is_counter],
        FindingKind.DATE: [*dates],
        FindingKind.FREE_TEXT: [*texts],
    }
    identifiers = {*names_of[FindingKind.COUNTER], *names_of[FindingKind.IDENTIFIER]}
    n_train = len(parts["train"])
    names_of[FindingKind.CONSTANT] = [column.name for column in column_profiles if column.is_constant]
    names_of[FindingKind.NEAR_CONSTANT] = [column.name for column in column_profiles if column.is_near_constant(n_train)]
    # Any identifier determines the class, and all constants repeat each other; neither needs a second warning.
    informative = [column for column in column_profiles if not column.is_constant and column.name not in identifiers]
    names_of[FindingKind.LABEL_COPY] = [column.name for column in informative if column.determines(y)]
    label_copies = set(names_of[FindingKind.LABEL_COPY])
    findings = [_column_finding(kind, names) for kind, names in names_of.items() if names]
    if pairs := copies([column for column in informative if column.name not in label_copies]):
        findings.append(_copy_finding(pairs))
    # Rows are compared without identifiers, which make copies of one sample look different.
    comparable = [column.numbers for column in column_profiles if column.name not in identifiers]
    if comparable:
        findings += _check_rows(np.column_stack(comparable), parts, fixes=(KEEP_TOGETHER, DELETE))
    findings += [*_check_classes(y, classes, parts), *_check_sizes(parts)]
    order = list(FindingKind)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.kind)))


def check_fixed(x: NDArray[Any], y: NDArray[np.int64], classes: Sequence[str | int], parts: Parts) -> tuple[DataFinding, ...]:
    """Check rows, classes and parts of a data set whose columns are fixed, such as a named one.

    Args:
        x: Features (samples, features).
        y: Class indices (samples,).
        classes: Names of the classes, by index.
        parts: Row numbers of each part.
    """
    return (*_check_rows(x, parts, tolerated=TOLERATED), *_check_classes(y, classes, parts), *_check_sizes(parts))


def smallest_part() -> int:
    """Return the minimum number of samples for which `wilson_half_width` is at most `MAX_HALF_WIDTH`.

    >>> smallest_part()
    21
    """
    return math.ceil(Z95**2 * (0.25 / MAX_HALF_WIDTH**2 - 1))


def wilson_half_width(samples: int) -> float:
    """Return the half-width of Wilson's 95 % interval at an accuracy of 0.5: z / (2 √(n + z²)).

    >>> round(wilson_half_width(100), 3)
    0.096
    """
    return Z95 / (2 * math.sqrt(samples + Z95**2))


def _check_rows(
    x: NDArray[Any], parts: Parts, *, tolerated: float = 0.0, fixes: tuple[str, str] = ("", "")
) -> Iterator[DataFinding]:
    """Yield findings about rows that occur more than once.

    Args:
        tolerated: Share of a part, or of all rows, that may occur more than once without a warning.
        fixes: Endings of the messages about rows of several parts, and about rows of one part.
    """
    hashes = row_hashes(x)
    hashes_of = {part: hashes[rows] for part, rows in parts.items()}
    # The validation part also decides the search, so test rows must occur in neither of the other parts.
    others = {"test": ("train", "validation"), "validation": ("train",)}
    shared = {
        part: int(np.isin(hashes_of[part], np.concatenate([hashes_of[other] for other in other_parts])).sum())
        for part, other_parts in others.items()
    }
    places = {"test": "in the training or validation part", "validation": "in the training part"}
    clauses = [
        f"{count:,} of {len(hashes_of[part]):,} {part} rows also {'occurs' if count == 1 else 'occur'} {places[part]}"
        for part, count in shared.items()
        if count > tolerated * len(hashes_of[part])
    ]
    if clauses:
        message = f"{' and '.join(clauses)}, so scores on them are optimistically biased{fixes[0]}"
        yield DataFinding(kind=FindingKind.SHARED_ROWS, message=message)
    # Within a part, copies do not bias a score, but the samples are not independent.
    duplicates = sum(len(rows) - len(np.unique(rows)) for rows in hashes_of.values())
    if duplicates > tolerated * len(hashes):
        verb = "repeats" if duplicates == 1 else "repeat"
        message = (
            f"{duplicates:,} of {len(hashes):,} rows {verb} another row of the same part, so intervals are too narrow{fixes[1]}"
        )
        yield DataFinding(kind=FindingKind.DUPLICATE_ROWS, message=message)


def _check_classes(y: NDArray[np.int64], classes: Sequence[str | int], parts: Parts) -> Iterator[DataFinding]:
    """Yield a finding if the classes have very different sizes."""
    counts = np.bincount(y, minlength=len(classes))
    largest = int(counts.argmax())
    smallest = int(counts.argmin())
    if counts[largest] <= MAX_IMBALANCE * counts[smallest]:
        return
    # The test part decides how precisely the recall of the smallest class can be measured.
    in_test = int((y[parts["test"]] == smallest).sum())
    yield DataFinding(
        kind=FindingKind.IMBALANCE,
        message=f"the classes are imbalanced: {classes[largest]!r} has {counts[largest]:,} of {len(y):,} samples and"
        f" {classes[smallest]!r} has {counts[smallest]:,} ({in_test:,} of them in the test part), so always answering"
        f" {classes[largest]!r} has an accuracy of {counts[largest] / len(y):.3f}; search by the mean recall with"
        " --score balanced",
    )


def _check_sizes(parts: Parts) -> Iterator[DataFinding]:
    """Yield a finding if the validation or test part is too small for a reliable accuracy."""
    minimum = smallest_part()
    small = {part: len(parts[part]) for part in ("validation", "test") if len(parts[part]) < minimum}
    if not small:
        return
    sizes = " and ".join(f"the {part} part has {counted(count, 'sample')}" for part, count in small.items())
    widths = " and ".join(f"±{wilson_half_width(count):.2f}" for count in small.values())
    yield DataFinding(
        kind=FindingKind.SMALL_PART,
        message=f"{sizes}, so the 95 % confidence interval of an accuracy extends up to {widths}; collect more samples, at"
        f" least {minimum} in each part",
    )


def _column_finding(kind: FindingKind, names: Sequence[str]) -> DataFinding:
    """Return a finding of a kind about these columns."""
    one, several = SENTENCES[kind]
    message = (one if len(names) == 1 else several).format(names=_list_names(names), drop=_drop_option(names))
    return DataFinding(kind=kind, columns=tuple(names), message=message)


def _copy_finding(pairs: Sequence[tuple[str, str]]) -> DataFinding:
    """Return a finding about pairs of a column and the column that it repeats."""
    names = [copy for copy, _ in pairs]
    if len(pairs) == 1:
        subject = "column {!r} repeats {!r}".format(*pairs[0])
    else:
        examples = [f"{copy!r} and {original!r}" for copy, original in pairs[:NAMED_COLUMNS]]
        more = [f"{len(pairs) - NAMED_COLUMNS:,} more"] if len(pairs) > NAMED_COLUMNS else []
        subject = f"{len(pairs):,} columns repeat another one ({', '.join([*examples, *more])})"
    return DataFinding(
        kind=FindingKind.COLUMN_COPY,
        columns=tuple(names),
        message=f"{subject}, perhaps in other units or codes; leave {'it' if len(names) == 1 else 'the copies'} out with"
        f" {_drop_option(names)}",
    )


def _list_names(names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names[:NAMED_COLUMNS]))
    return listed if len(names) <= NAMED_COLUMNS else f"{listed} and {len(names) - NAMED_COLUMNS:,} more"


def _drop_option(names: Sequence[str]) -> str:
    """Return the option that leaves these columns out."""
    return f"--drop {names[0]!r}" if len(names) == 1 else "--drop, once for each"
