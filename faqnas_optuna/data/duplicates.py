"""Profiles of columns, columns that repeat each other, and rows that are equal.

No function compares every pair of columns or of rows: equal ones are found by hashing or sorting, so that ten million values
take a few seconds at most.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEARLY_ALL = 0.99
FEWEST_ROWS = 20
"""An identifier or a near-constant column is recognised from this number of samples on."""
MOST_CODES = 100
"""A column of more different values is compared by correlation, not by codes."""
ROWS_PER_CODE = 5
"""Fewest samples per value of a column that is compared by codes: where all values differ, every column recodes every other."""
SAME_CORRELATION = 1 - 1e-6
"""Two columns of numbers repeat each other from this absolute correlation on, as temperatures in two units do."""
NEIGHBOURS, DIRECTIONS, ALIKE = 8, 3, 1e-3
"""Parameters of the search for columns that may repeat each other (`_linear_copies`)."""
BLOCK_VALUES = 1 << 16
"""Values that are hashed at a time, which fit into the cache of a core."""
PROFILED_VALUES = 1 << 20
"""Values of columns of numbers that are profiled at a time."""


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """A column with what the checks ask of it."""

    name: str
    numbers: NDArray[np.float64]
    """(samples,) the numbers, NaN where one is missing; or the codes of texts, in the order of their first appearance."""
    is_text: bool
    is_counter: bool
    """Whether nearly every value is the one before plus 1."""
    is_identifier: bool
    """Whether nearly every value is a text or a whole number that no other sample has."""
    exceptions: int
    """Samples of the training part that have a value, and not the most frequent one."""
    codes: NDArray[np.uint8] | None
    """(samples,) numbers 0, 1, … of the values in the order of their first appearance; None where these are many."""

    @property
    def is_constant(self) -> bool:
        return self.exceptions == 0

    def is_near_constant(self, n_train: int) -> bool:
        """Return whether nearly all samples of the training part, or all but one, have one value."""
        return n_train >= FEWEST_ROWS and 0 < self.exceptions <= max(1.0, (1 - NEARLY_ALL) * n_train)

    def determines(self, y: NDArray[np.int64]) -> bool:
        """Return whether each value belongs to one class alone."""
        if self.codes is None:
            return False
        n_codes, n_classes = int(self.codes.max()) + 1, int(y.max()) + 1
        counts = np.bincount(self.codes * n_classes + y, minlength=n_codes * n_classes).reshape(n_codes, n_classes)
        return bool(((counts > 0).sum(axis=1) == 1).all())


def profiles(columns: Mapping[str, NDArray[Any]], train: NDArray[np.int64]) -> list[ColumnProfile]:
    """Return the profiles of columns (samples,) of numbers or texts, in their order.

    Args:
        train: the samples of the training part.
    """
    read = {name: _of_texts(name, values, train) for name, values in columns.items() if values.dtype == object}
    names = [name for name in columns if name not in read]
    for begin in range(0, len(names), step := max(1, PROFILED_VALUES // max(1, len(train)))):
        block = names[begin : begin + step]
        matrix = np.array([columns[name] for name in block], np.float64)
        read |= {one.name: one for one in _of_numbers(block, matrix, train)}
    return [read[name] for name in columns]


def _of_texts(name: str, texts: NDArray[np.object_], train: NDArray[np.int64]) -> ColumnProfile:
    places: dict[str | None, int] = {}
    codes = np.array([places.setdefault(text, len(places)) for text in texts], np.int64)
    absent = places.get(None, -1)
    present = int((codes != absent).sum())
    counts = np.bincount(codes[train][codes[train] != absent], minlength=1)
    return ColumnProfile(
        name=name,
        numbers=codes.astype(np.float64),
        is_text=True,
        is_counter=False,
        is_identifier=present >= FEWEST_ROWS and len(places) - (absent >= 0) >= NEARLY_ALL * present,
        exceptions=int(counts.sum() - counts.max()),
        codes=codes.astype(np.uint8) if _are_few(len(places), len(texts)) else None,
    )


def _of_numbers(names: Sequence[str], numbers: NDArray[np.float64], train: NDArray[np.int64]) -> Iterator[ColumnProfile]:
    """Profile columns of numbers (columns, samples)."""
    samples = numbers.shape[1]
    is_missing = np.isnan(numbers)
    present = samples - is_missing.sum(axis=1)
    # NaN is sorted last.
    ordered = np.sort(numbers, axis=1)
    is_new = (ordered[:, 1:] != ordered[:, :-1]) & ~np.isnan(ordered[:, 1:])
    distinct = is_new.sum(axis=1) + (present > 0)
    is_whole = ((numbers == np.rint(numbers)) | is_missing).all(axis=1)
    is_identifier = is_whole & (present >= FEWEST_ROWS) & (distinct >= NEARLY_ALL * present)
    breaks = (np.diff(numbers, axis=1) != 1).sum(axis=1)
    is_counter = (samples > 2) & (breaks <= (1 - NEARLY_ALL) * (samples - 1))
    exceptions = _exceptions(numbers[:, train])
    for place, name in enumerate(names):
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


def _exceptions(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the values of each column of numbers (columns, samples) that differ from the median by more than rounding.

    A value that nearly all samples have is the median.
    """
    ordered = np.sort(numbers, axis=1)
    present = numbers.shape[1] - np.isnan(numbers).sum(axis=1)
    every = np.arange(len(numbers))
    median = ordered[every, np.maximum(present - 1, 0) // 2][:, None]
    return np.asarray((np.abs(numbers - median) > 1e-12 * np.abs(median)).sum(axis=1), np.int64)


def _are_few(distinct: int, samples: int) -> bool:
    return distinct <= min(MOST_CODES, samples // ROWS_PER_CODE)


def _codes(numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return codes (samples,) of few different values, by first appearance."""
    # NaN is sorted last, and found there.
    places = np.searchsorted(np.unique(numbers), numbers)
    first = np.zeros(int(places.max()) + 1, np.int64)
    # Of several assignments to one place the last remains.
    first[places[::-1]] = np.arange(len(numbers))[::-1]
    order = np.empty(len(first), np.uint8)
    order[np.argsort(first)] = np.arange(len(first))
    codes: NDArray[np.uint8] = order[places]
    return codes


def copies(columns: Sequence[ColumnProfile]) -> list[tuple[str, str]]:
    """Return each column that repeats an earlier one, with that one: by other codes, or in other units."""
    first: dict[bytes, str] = {}
    found = []
    for column in columns:
        if column.codes is not None:
            digest = blake2b(column.codes.tobytes(), digest_size=16).digest()
            original = first.setdefault(digest, column.name)
            if original != column.name:
                found.append((column.name, original))
    return found + _linear_copies([one for one in columns if not one.is_text and one.codes is None])


def _linear_copies(columns: Sequence[ColumnProfile]) -> list[tuple[str, str]]:
    """Return columns of many different numbers that are a linear function of an earlier one, with that one.

    The absolute values of a column's standardised projections onto random directions are the same for its copies. Columns are
    sorted by the first of them; neighbours that are alike in all are compared.
    """
    if len(columns) < 2:
        return []
    places = _projections(columns)
    order = np.argsort(places[:, 0], kind="stable")
    sorted_places = places[order]
    earliest = np.arange(len(columns))
    for distance in range(1, NEIGHBOURS + 1):
        # Columns whose values overflow have NaN here, and are like none.
        are_alike = (np.abs(sorted_places[distance:] - sorted_places[:-distance]) <= ALIKE).all(axis=1)
        for position in np.flatnonzero(are_alike).tolist():
            one, other = sorted((int(order[position]), int(order[position + distance])))
            if _repeat(columns[one].numbers, columns[other].numbers):
                earliest[other] = min(earliest[other], earliest[one])
    return [(columns[copy].name, columns[one].name) for copy, one in enumerate(earliest.tolist()) if one != copy]


def _projections(columns: Sequence[ColumnProfile]) -> NDArray[np.float64]:
    """Return the absolute projections (columns, `DIRECTIONS`) of standardised columns."""
    samples = len(columns[0].numbers)
    directions = np.random.default_rng(0).standard_normal((samples, DIRECTIONS))
    step = max(1, PROFILED_VALUES // samples)
    blocks = [columns[begin : begin + step] for begin in range(0, len(columns), step)]
    return np.concatenate([np.abs(_standardised(np.array([one.numbers for one in block])) @ directions) for block in blocks])


def _standardised(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers (columns, samples) with mean 0 and norm 1, and 0 where one is missing."""
    is_missing = np.isnan(numbers)
    # Values near the largest float overflow.
    with np.errstate(all="ignore"):
        present = numbers.shape[1] - is_missing.sum(axis=1, keepdims=True)
        means = np.where(is_missing, 0.0, numbers).sum(axis=1, keepdims=True) / present
        centred = np.where(is_missing, 0.0, numbers - means)
        standardised: NDArray[np.float64] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return standardised


def _repeat(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether two columns (samples,) lack the same values and are perfectly correlated."""
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return False
    first, second = _standardised(np.array([one, other]))
    return abs(float(first @ second)) >= SAME_CORRELATION


def row_hashes(x: NDArray[Any]) -> NDArray[np.uint64]:
    """Return (samples,) 64-bit hashes of rows (samples, columns): equal rows have the same, and hardly any others."""
    samples, width = x.shape
    salts = np.random.default_rng(0).integers(0, 2**64, width, dtype=np.uint64)
    hashes = np.empty(samples, np.uint64)
    rows = max(1, BLOCK_VALUES // width)
    for begin in range(0, samples, rows):
        # Adding 0 makes 0 of -0, and there are many ways to write NaN.
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
