"""New splits of a data set: training and validation parts drawn again, while the test part stays the same."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.division import draw_fold
from faqnas_optuna.data.preprocessing import NUMBER_ARRAYS, Preprocessing, RawFeatures, absent
from faqnas_optuna.data.splits import DataSplits, Samples
from faqnas_optuna.errors import DataError

MAX_BYTES = 2**28
"""Maximum size of the splits that are kept in memory."""


class Resplits:
    """Random stratified splits of the samples outside the test part, in the proportion of the original split.

    Groups stay together, so the sizes of parts with groups vary. The preprocessing is fitted on each training part. Categories
    keep the features of the original split, so that all networks have the same inputs; a column without any value in a training
    part keeps the original parameters.

    Args:
        splits: Original split.
        seed: Random seed of the new splits.
    """

    def __init__(self, splits: DataSplits, *, seed: int) -> None:
        assert splits.samples is not None
        self._splits = splits
        self._samples: Samples = splits.samples
        self._seed = seed
        # All circuits of a race use the same splits, so most splits are needed many times.
        size = splits.train.x.nbytes + splits.validation.x.nbytes
        self._drawn: Callable[[int], DataSplits] = lru_cache(maxsize=max(MAX_BYTES // size, 1))(self._draw)

    def __reduce__(self) -> tuple[Any, ...]:
        # Splits that are kept are drawn again elsewhere.
        return partial(Resplits, self._splits, seed=self._seed), ()

    def __call__(self, number: int) -> DataSplits:
        """Return the split with this number.

        Raises:
            DataError: A class has too few samples, or a number is far outside the range of the training part.
        """
        return self._drawn(number)

    def _draw(self, number: int) -> DataSplits:
        samples = self._samples
        # Consecutive seeds would give related splits; a seed sequence mixes them.
        rows = self._rows(int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0]))
        preprocessing = self._fit(samples.raw.rows(rows["train"]))
        preprocessing.check(samples.raw.rows(rows["validation"]), name=self._splits.name)
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
            folds = max(round(len(pool) / len(samples.rows["validation"])), 2)
            train, validation = draw_fold(pool, samples.y, samples.groups, folds, seed)
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
        original = self._splits.preprocessing
        is_empty = np.asarray(np.isnan(np.asarray(train.numbers, np.float64)).all(axis=0), np.bool_)
        fitted = self._samples.fit(self._filled(train, is_empty))
        arrays = {
            name: np.where(is_empty, getattr(original.numbers, name), getattr(fitted.numbers, name)) for name in NUMBER_ARRAYS
        }
        fitted = replace(fitted, numbers=replace(fitted.numbers, **arrays))
        if fitted.projection is not None:
            # The number of components is fixed, whatever the categories.
            return fitted
        pairs = zip(fitted.categories, original.categories, strict=True)
        return replace(fitted, categories=tuple(replace(category, values=same.values) for category, same in pairs))

    def _filled(self, train: RawFeatures, is_empty: NDArray[np.bool_]) -> RawFeatures:
        """Return a training part in which columns without any value have the original replacements for missing values.

        Args:
            is_empty: (numeric columns,) whether a column has no value.
        """
        preprocessing = self._splits.preprocessing
        fills = preprocessing.numbers.fills
        numbers = train.numbers if fills is None else np.where(is_empty, fills, train.numbers)
        texts = train.texts.copy()
        for place, category in enumerate(preprocessing.categories):
            if absent(texts[:, place]).all():
                texts[:, place] = category.fill
        return RawFeatures(numbers=numbers, texts=texts)
