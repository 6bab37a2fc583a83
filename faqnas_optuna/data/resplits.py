"""New splits of a data set: training and validation parts drawn again, while the test part stays the same."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.division import draw_fold
from faqnas_optuna.data.preprocessing import Preprocessing, RawFeatures
from faqnas_optuna.data.splits import DataSplits, Samples
from faqnas_optuna.errors import DataError

MAX_BYTES = 2**28
"""Maximum size of the splits that are kept in memory."""


class Resplits:
    """Random splits of the samples outside the test part, stratified like the original split and of the same sizes.

    Groups stay together, so the sizes of parts with groups vary. The preprocessing is fitted on each training part. Categories
    keep the features of the original split, so that all networks have the same inputs.

    Args:
        splits: Original split.
        seed: Random seed of the new splits.
    """

    def __init__(self, splits: DataSplits, *, seed: int) -> None:
        assert splits.samples is not None
        self._splits = splits
        self._samples: Samples = splits.samples
        self._seed = seed
        size = splits.train.x.nbytes + splits.validation.x.nbytes
        self._drawn: Callable[[int], DataSplits] = lru_cache(maxsize=max(MAX_BYTES // size, 1))(self._draw)

    def __reduce__(self) -> tuple[Any, ...]:
        # Splits that are kept are drawn again elsewhere.
        return partial(Resplits, self._splits, seed=self._seed), ()

    def __call__(self, number: int) -> DataSplits:
        """Return the split with this number.

        Raises:
            DataError: A class has too few samples, or a column has no value in the training part.
        """
        return self._drawn(number)

    def _draw(self, number: int) -> DataSplits:
        samples = self._samples
        rows = self._rows(int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0]))
        preprocessing = self._fit(samples.raw.rows(rows["train"]))
        parts = {part: samples.split(preprocessing, indices) for part, indices in rows.items()}
        return replace(
            self._splits, train=parts["train"], validation=parts["validation"], preprocessing=preprocessing, samples=None
        )

    def _rows(self, seed: int) -> dict[str, NDArray[np.int64]]:
        """Draw the row numbers of the training and validation parts."""
        samples = self._samples
        # Sorted, so that the drawn split does not depend on the order in the original parts.
        pool = np.sort(np.concatenate([samples.rows["train"], samples.rows["validation"]]))
        if samples.groups is not None:
            train, validation = draw_fold(pool, samples.y, samples.groups, 4, seed)
            return {"train": train, "validation": validation}
        from sklearn.model_selection import train_test_split

        size = len(samples.rows["validation"])
        try:
            train, validation = train_test_split(pool, test_size=size, stratify=samples.y[pool], random_state=seed)
        except ValueError as error:
            raise DataError(
                f"--resplit needs at least two samples of each class outside the test part, and as many samples as classes in"
                f" either part; {self._splits.name} has fewer ({error}): add samples, or leave out --resplit"
            ) from error
        return {"train": train, "validation": validation}

    def _fit(self, train: RawFeatures) -> Preprocessing:
        """Fit the preprocessing on a training part."""
        empty = np.flatnonzero(np.isnan(np.asarray(train.numbers, np.float64)).all(axis=0))
        if empty.size:
            column = self._splits.preprocessing.numbers.names[empty[0]]
            raise DataError(
                f"--resplit drew a training part without any value of column {column!r}; leave the column out with"
                f" --drop {column}, or leave out --resplit"
            )
        fitted = self._samples.fit(train)
        if fitted.projection is not None:
            return fitted
        original = self._splits.preprocessing.categories
        categories = [replace(category, values=same.values) for category, same in zip(fitted.categories, original, strict=True)]
        return replace(fitted, categories=tuple(categories))
