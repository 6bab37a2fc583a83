"""Column profiles, detection of duplicate columns, and hashes of rows.

No function compares every pair of columns or rows: duplicates are found by hashing or sorting, so that ten million values take
at most a few seconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEARLY_ALL = 0.99
"""Share of samples from which a property holds for nearly all of them."""
MIN_ROWS = 20
"""Minimum number of samples for recognising an identifier or a near-constant column."""
MAX_CODES = 100
"""Maximum number of distinct values of a column that is compared by codes instead of by correlation."""
MIN_ROWS_PER_CODE = 5
"""Minimum number of samples per distinct value of a column that is compared by codes.

If every sample had its own value, any such column would be a recoding of any other.
"""
SAME_CORRELATION = 1 - 1e-6
"""Absolute correlation from which two columns of numbers are duplicates, for example temperatures in two units."""
NEIGHBOURS = 8
"""Number of following columns, in the order of their first projection, that a column is compared with (`_linear_copies`)."""
DIRECTIONS = 3
"""Number of random directions onto which columns are projected (`_linear_copies`)."""
MAX_DISTANCE = 1e-3
"""Maximum difference between the projections of two columns that may be duplicates (`_linear_copies`)."""
BLOCK_VALUES = 1 << 16
"""Number of values that are hashed at a time; 512 KiB fit into the cache of a core."""
PROFILED_VALUES = 1 << 20
"""Number of values that are profiled at a time, which bounds the memory of intermediate arrays."""


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """Properties of one column that the checks need."""

    name: str
    numbers: NDArray[np.float64]
    """Numbers (samples,), NaN where one is missing; for texts, codes in the order of first appearance."""
    is_text: bool
    is_counter: bool
    """True if nearly every value is the preceding value plus 1."""
    is_identifier: bool
    """True if nearly every value is a text or whole number that occurs only once."""
    exceptions: int
    """Number of training samples with a value other than the most frequent one; missing values do not count."""
    codes: NDArray[np.uint8] | None
    """Codes 0, 1, … (samples,) of the values in the order of first appearance; None if there are too many values."""

    @property
    def is_constant(self) -> bool:
        return self.exceptions == 0

    def is_near_constant(self, n_train: int) -> bool:
        """Return whether nearly all of the `n_train` training samples, or all but one, have the same value."""
        return n_train >= MIN_ROWS and 0 < self.exceptions <= max(1.0, (1 - NEARLY_ALL) * n_train)

    def determines(self, y: NDArray[np.int64]) -> bool:
        """Return whether each value occurs in only one class, for class indices `y` (samples,)."""
        if self.codes is None:
            return False
        n_codes = int(self.codes.max()) + 1
        n_classes = int(y.max()) + 1
        # Contingency table (codes, classes), counted in one pass over a combined index.
        counts = np.bincount(self.codes * n_classes + y, minlength=n_codes * n_classes).reshape(n_codes, n_classes)
        return bool(((counts > 0).sum(axis=1) == 1).all())


def profiles(columns: Mapping[str, NDArray[Any]], train: NDArray[np.int64]) -> list[ColumnProfile]:
    """Return the profiles of columns (samples,) of numbers or texts, in the order of the columns.

    Args:
        train: Row numbers of the training part.
    """
    profile_of = {name: _profile_texts(name, values, train) for name, values in columns.items() if values.dtype == object}
    names = [name for name in columns if name not in profile_of]
    # Columns of numbers are profiled in blocks: one numpy call a column would dominate the time of wide tables, and one call
    # for all columns would need several times the memory of the data.
    step = max(1, PROFILED_VALUES // max(1, len(train)))
    for begin in range(0, len(names), step):
        block = names[begin : begin + step]
        matrix = np.array([columns[name] for name in block], np.float64)
        profile_of |= {profile.name: profile for profile in _profile_numbers(block, matrix, train)}
    return [profile_of[name] for name in columns]


def _profile_texts(name: str, texts: NDArray[np.object_], train: NDArray[np.int64]) -> ColumnProfile:
    code_of: dict[str | None, int] = {}
    codes = np.array([code_of.setdefault(text, len(code_of)) for text in texts], np.int64)
    # No code is -1, so without a missing text every sample is present.
    absent = code_of.get(None, -1)
    present = int((codes != absent).sum())
    counts = np.bincount(codes[train][codes[train] != absent], minlength=1)
    return ColumnProfile(
        name=name,
        numbers=codes.astype(np.float64),
        is_text=True,
        is_counter=False,
        is_identifier=present >= MIN_ROWS and len(code_of) - (absent >= 0) >= NEARLY_ALL * present,
        exceptions=int(counts.sum() - counts.max()),
        codes=codes.astype(np.uint8) if _are_few(len(code_of), len(texts)) else None,
    )


def _profile_numbers(names: Sequence[str], numbers: NDArray[np.float64], train: NDArray[np.int64]) -> Iterator[ColumnProfile]:
    """Profile columns of numbers (columns, samples)."""
    samples = numbers.shape[1]
    is_missing = np.isnan(numbers)
    present = samples - is_missing.sum(axis=1)
    # Distinct values are counted as steps between sorted neighbours. NaN is sorted last, and every comparison with NaN is
    # unequal, so steps into NaN are excluded.
    ordered = np.sort(numbers, axis=1)
    is_new = (ordered[:, 1:] != ordered[:, :-1]) & ~np.isnan(ordered[:, 1:])
    distinct = is_new.sum(axis=1) + (present > 0)
    is_whole = ((numbers == np.rint(numbers)) | is_missing).all(axis=1)
    # Measured fractions are often all different; only whole numbers look like identifiers.
    is_identifier = is_whole & (present >= MIN_ROWS) & (distinct >= NEARLY_ALL * present)
    breaks = (np.diff(numbers, axis=1) != 1).sum(axis=1)
    # Two numbers in a row occur by chance. A difference that involves NaN counts as a break.
    is_counter = (samples > 2) & (breaks <= (1 - NEARLY_ALL) * (samples - 1))
    exceptions = _count_exceptions(numbers[:, train])
    for place, name in enumerate(names):
        # A missing value has a code of its own.
        are_few = _are_few(int(distinct[place] + (present[place] < samples)), samples)
        yield ColumnProfile(
            name=name,
            numbers=numbers[place],
            is_text=False,
            is_counter=bool(is_counter[place]),
            is_identifier=bool(is_identifier[place]),
            exceptions=int(exceptions[place]),
            codes=_codes(numbers[place]) if are_few else None,
        )


def _count_exceptions(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count, in each column of numbers (columns, samples), the values that differ from the median by more than rounding."""
    # A value that more than half of the samples share is the median, so no mode is needed.
    ordered = np.sort(numbers, axis=1)
    present = numbers.shape[1] - np.isnan(numbers).sum(axis=1)
    every = np.arange(len(numbers))
    median = ordered[every, np.maximum(present - 1, 0) // 2][:, None]
    # A comparison with NaN is false, so missing values are not counted.
    return np.asarray((np.abs(numbers - median) > 1e-12 * np.abs(median)).sum(axis=1), np.int64)


def _are_few(distinct: int, samples: int) -> bool:
    return distinct <= min(MAX_CODES, samples // MIN_ROWS_PER_CODE)


def _codes(numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return codes (samples,) of few distinct numbers, in the order of first appearance.

    >>> _codes(np.array([7.0, 3.0, 7.0, np.nan]))
    array([0, 1, 0, 2], dtype=uint8)
    """
    # `unique` sorts NaN last and `searchsorted` finds it there, so missing values share a code of their own.
    places = np.searchsorted(np.unique(numbers), numbers)
    first = np.zeros(int(places.max()) + 1, np.int64)
    # Of several assignments to one index numpy keeps the last; in reverse order that is the first appearance.
    first[places[::-1]] = np.arange(len(numbers))[::-1]
    order = np.empty(len(first), np.uint8)
    order[np.argsort(first)] = np.arange(len(first))
    codes: NDArray[np.uint8] = order[places]
    return codes


def copies(columns: Sequence[ColumnProfile]) -> list[tuple[str, str]]:
    """Return pairs of a column and the earlier column that it repeats with other codes or in other units."""
    first_with: dict[bytes, str] = {}
    pairs = []
    for column in columns:
        if column.codes is not None:
            # Codes in the order of first appearance are equal for all recodings of a column.
            digest = blake2b(column.codes.tobytes(), digest_size=16).digest()
            original = first_with.setdefault(digest, column.name)
            if original != column.name:
                pairs.append((column.name, original))
    return pairs + _linear_copies([column for column in columns if not column.is_text and column.codes is None])


def _linear_copies(columns: Sequence[ColumnProfile]) -> list[tuple[str, str]]:
    """Return pairs of a column of many distinct numbers and the earlier column of which it is a linear function."""
    if len(columns) < 2:
        return []
    # A linear function changes at most the sign of a standardised column, so duplicates have the same absolute projections
    # onto any direction. Columns are sorted by the first projection; neighbours that agree in all projections are compared.
    projections = _projections(columns)
    order = np.argsort(projections[:, 0], kind="stable")
    ordered = projections[order]
    earliest = np.arange(len(columns))
    for distance in range(1, NEIGHBOURS + 1):
        # The projections of columns whose values overflow are NaN, which is close to nothing.
        are_close = (np.abs(ordered[distance:] - ordered[:-distance]) <= MAX_DISTANCE).all(axis=1)
        for position in np.flatnonzero(are_close).tolist():
            earlier, later = sorted((int(order[position]), int(order[position + distance])))
            if _are_copies(columns[earlier].numbers, columns[later].numbers):
                earliest[later] = min(earliest[later], earliest[earlier])
    return [(columns[copy].name, columns[original].name) for copy, original in enumerate(earliest.tolist()) if original != copy]


def _projections(columns: Sequence[ColumnProfile]) -> NDArray[np.float64]:
    """Return the absolute projections (columns, `DIRECTIONS`) of standardised columns onto random directions."""
    samples = len(columns[0].numbers)
    # The fixed seed makes the result, and so the warnings about the data, reproducible.
    directions = np.random.default_rng(0).standard_normal((samples, DIRECTIONS))
    step = max(1, PROFILED_VALUES // samples)
    blocks = [columns[begin : begin + step] for begin in range(0, len(columns), step)]
    return np.concatenate(
        [np.abs(_standardise(np.array([column.numbers for column in block])) @ directions) for block in blocks]
    )


def _standardise(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers (columns, samples) with mean 0 and norm 1 in each column, and 0 for missing values."""
    is_missing = np.isnan(numbers)
    # Values near the largest float overflow to infinity or NaN; such columns are then equal to none.
    with np.errstate(all="ignore"):
        present = numbers.shape[1] - is_missing.sum(axis=1, keepdims=True)
        means = np.where(is_missing, 0.0, numbers).sum(axis=1, keepdims=True) / present
        centred = np.where(is_missing, 0.0, numbers - means)
        standardised: NDArray[np.float64] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return standardised


def _are_copies(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether two columns (samples,) have the same missing values and are perfectly correlated."""
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return False
    first, second = _standardise(np.array([one, other]))
    return abs(float(first @ second)) >= SAME_CORRELATION


def row_hashes(x: NDArray[Any]) -> NDArray[np.uint64]:
    """Return 64-bit hashes (samples,) of rows (samples, columns).

    Equal rows have equal hashes; different rows have equal hashes with negligible probability.
    """
    samples, width = x.shape
    # A salt for each column makes the sum over columns depend on their order.
    salts = np.random.default_rng(0).integers(0, 2**64, width, dtype=np.uint64)
    hashes = np.empty(samples, np.uint64)
    rows = max(1, BLOCK_VALUES // width)
    for begin in range(0, samples, rows):
        # Equal values must have equal bits: adding 0 turns -0 into 0, and all bit patterns of NaN become one.
        block = x[begin : begin + rows].astype(np.float64, order="C") + 0.0
        block[np.isnan(block)] = np.nan
        mixed = block.view(np.uint64) + salts
        # The finalizer of SplitMix64 (Steele, Lea and Flood 2014, DOI 10.1145/2714064.2660195).
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed ^= mixed >> np.uint64(shift)
            mixed *= np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
        hashes[begin : begin + rows] = mixed.sum(axis=1, dtype=np.uint64)
    return hashes
