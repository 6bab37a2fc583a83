"""New splits of the training and validation samples, compared with scikit-learn and with the raw data."""

import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from faqnas_optuna.config import DataConfig
from faqnas_optuna.data import named
from faqnas_optuna.data.reading import Source
from faqnas_optuna.data.resplits import Resplits
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.data.user_data import splits_of
from faqnas_optuna.errors import DataError

ROWS = 120


def patients(**columns: object) -> DataSplits:
    """Prepare a data frame with groups of four rows."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": 20 + np.arange(ROWS) / 2,
            "ward": random.choice(["A", "B", "C"], ROWS),
            "patient": [f"p{row // 4}" for row in range(ROWS)],
            "ill": random.choice(["no", "yes"], ROWS),
            **columns,
        }
    )
    config = DataConfig(target="ill", groups="patient")
    return splits_of(Source(frame=frame), "ill", config, name="patients", seed=0)


def raw_rows(splits: DataSplits, part: Split) -> NDArray[np.float64]:
    """Return the numbers of a part before standardisation."""
    numbers = splits.preprocessing.numbers
    return np.asarray(part.x[:, : len(numbers.names)] * numbers.deviations + numbers.means)


def sorted_rows(*rows: NDArray[np.float64]) -> NDArray[np.float64]:
    joined = np.concatenate(rows).round(3)
    return joined[np.lexsort(joined.T)]


def test_only_the_samples_outside_the_test_part_are_drawn_again(iris: DataSplits) -> None:
    resplits = Resplits(iris, seed=0)
    pool = sorted_rows(raw_rows(iris, iris.train), raw_rows(iris, iris.validation))
    for number in range(5):
        drawn = resplits(number)
        assert drawn.test is iris.test
        assert (len(drawn.train), len(drawn.validation)) == (len(iris.train), len(iris.validation))
        assert sorted_rows(raw_rows(drawn, drawn.train), raw_rows(drawn, drawn.validation)) == pytest.approx(pool, abs=0.01)
        # The classes of Iris are equally frequent, so a stratified split has ten validation samples of each.
        assert np.bincount(drawn.validation.y).tolist() == [10, 10, 10]
    assert not np.array_equal(resplits(0).validation.x, resplits(1).validation.x)
    assert not np.array_equal(resplits(0).validation.x, Resplits(iris, seed=1)(0).validation.x)


@pytest.mark.parametrize("pca", [None, 2])
def test_the_preprocessing_is_fitted_on_each_training_part(pca: int | None) -> None:
    splits = named.load("wine", seed=0, pca=pca)
    drawn = Resplits(splits, seed=0)(3)
    x = load_wine().data.astype(np.float32).astype(np.float64)
    assert splits.samples is not None
    # Rows of the drawn training part, by their values after the fitted standardisation.
    numbers = drawn.preprocessing.numbers
    pool = np.concatenate([splits.samples.rows["train"], splits.samples.rows["validation"]])
    expected = drawn.preprocessing.apply(splits.samples.raw.rows(pool))
    rows = pool[[int(np.flatnonzero((expected == sample).all(axis=1))[0]) for sample in drawn.train.x]]
    scaler = StandardScaler().fit(x[rows])
    assert numbers.means == pytest.approx(scaler.mean_)
    features = scaler.transform(x[rows])
    if pca:
        features = PCA(n_components=pca, whiten=True, svd_solver="covariance_eigh").fit_transform(features)
    else:
        assert drawn.train.x.mean(axis=0) == pytest.approx(0, abs=1e-5)
    # The signs of components are arbitrary.
    assert np.abs(drawn.train.x) == pytest.approx(np.abs(features), abs=1e-4)


def test_groups_stay_together_and_categories_keep_their_features() -> None:
    splits = patients()
    resplits = Resplits(splits, seed=0)

    def groups(drawn: DataSplits, part: Split) -> set[int]:
        rows = (raw_rows(drawn, part)[:, 0] - 20) * 2
        return set((rows.round().astype(int) // 4).tolist())

    test = groups(splits, splits.test)
    for number in range(5):
        drawn = resplits(number)
        train = groups(drawn, drawn.train)
        validation = groups(drawn, drawn.validation)
        assert not train & validation and not (train | validation) & test
        assert drawn.n_features == splits.n_features == 4
        assert drawn.preprocessing.categories[0].values == ("A", "B", "C")


def test_a_category_outside_the_original_training_part_has_no_feature() -> None:
    original = patients()
    assert original.samples is not None
    wards = np.where(np.arange(ROWS) % 2, "A", "B").astype(object)
    wards[original.samples.rows["validation"][0]] = "D"
    splits = patients(ward=wards)
    drawn = [Resplits(splits, seed=0)(number) for number in range(10)]
    assert {split.n_features for split in drawn} == {splits.n_features} == {3}


def test_copies_in_other_processes_draw_the_same_splits(iris: DataSplits) -> None:
    resplits = Resplits(iris, seed=5)
    before = resplits(7)
    copy: Callable[[int], DataSplits] = pickle.loads(pickle.dumps(resplits))
    assert np.array_equal(copy(7).train.x, before.train.x) and np.array_equal(copy(7).train.y, before.train.y)


def test_what_cannot_be_drawn_is_refused() -> None:
    parts = ["train"] * 100 + ["validation"] + ["test"] * 19
    frame = pd.DataFrame({"x": np.arange(ROWS) / 7, "y": np.arange(ROWS) % 3, "split": parts})
    splits = splits_of(Source(frame=frame), "y", DataConfig(target="y"), name="few", seed=0)
    with pytest.raises(DataError, match="--resplit needs at least two samples of each class .* few has fewer"):
        Resplits(splits, seed=0)(0)


def test_a_column_without_values_in_a_drawn_training_part_keeps_its_parameters() -> None:
    original = patients()
    assert original.samples is not None
    rows = original.samples.rows["train"][[0, 50]]
    sizes = np.full(ROWS, np.nan)
    sizes[rows] = [1.5, 4.5]
    colours = np.full(ROWS, None, object)
    colours[rows] = ["red", "blue"]
    splits = patients(size=sizes, colour=colours)
    place = splits.preprocessing.numbers.names.index("size")
    assert splits.samples is not None
    kept = 0
    for number in range(30):
        drawn = Resplits(splits, seed=0)(number)
        assert drawn.n_features == splits.n_features and np.isfinite(drawn.train.x).all()
        # Both values are in the validation part if the column is empty in the training part.
        is_empty = not np.isin(drawn.validation.x[:, place], drawn.train.x[:, place]).all()
        if is_empty and drawn.preprocessing.numbers.means[place] == splits.preprocessing.numbers.means[place]:
            kept += 1
    assert kept > 0


def test_a_number_far_outside_a_drawn_training_part_is_refused() -> None:
    original = patients()
    assert original.samples is not None
    sizes = np.random.default_rng(0).normal(size=ROWS)
    sizes[original.samples.rows["train"][0]] = 1e30
    resplits = Resplits(patients(size=sizes), seed=0)
    with pytest.raises(DataError, match="patients: column 'size' holds 1e\\+30 in row .*, far outside the training range"):
        for number in range(100):
            resplits(number)


def test_validation_parts_have_the_given_proportion() -> None:
    parts = ["train"] * 90 + ["validation"] * 10 + ["test"] * 20
    frame = {"x": np.arange(ROWS) / 7, "y": np.arange(ROWS) % 2, "split": parts, "g": [f"g{row // 2}" for row in range(ROWS)]}
    config = DataConfig(target="y", groups="g")
    splits = splits_of(Source(frame=pd.DataFrame(frame)), "y", config, name="given", seed=0)
    assert {len(Resplits(splits, seed=0)(number).validation) for number in range(5)} == {10}
