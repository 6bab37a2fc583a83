"""Statistics of the preprocessing, and values that it cannot scale."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from faqnas_optuna.data.named import load
from faqnas_optuna.data.preprocessing import MAX_DEVIATIONS, Category, Numbers, Preprocessing, RawFeatures
from faqnas_optuna.errors import DataError


@pytest.mark.parametrize("spread", [0.0, 1e-16, 1e-13, 1e-6, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.1, 3.0, 1e9])
def test_columns_that_are_constant_but_for_rounding_are_those_of_scikit_learn(mean: float, spread: float) -> None:
    column = mean * (1 + spread * np.random.default_rng(0).normal(size=(90, 1)))
    theirs = StandardScaler().fit(column)
    ours = Numbers.fitted(("a",), column)
    assert ours.deviations == pytest.approx(theirs.scale_, rel=1e-6)


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "digits", "mnist-5k", "hidden-manifold"])
def test_the_features_of_data_sets_with_a_name_are_divided_by_their_deviation(name: str) -> None:
    splits = load(name, seed=0)
    numbers = splits.preprocessing.numbers
    raw = splits.train.x.astype(np.float64) * numbers.deviations + numbers.means
    constant = numbers.lowest == numbers.highest
    assert np.array_equal(numbers.deviations == 1, constant)
    assert raw.std(axis=0)[~constant] == pytest.approx(numbers.deviations[~constant], rel=1e-5)


def fitted() -> Preprocessing:
    numbers = Numbers.fitted(("a", "b"), np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]))
    return Preprocessing(numbers=numbers, categories=(Category(name="c", fill="x", values=("x", "y")),))


def table(a: float = 1.0, b: float = 5.0, c: str | None = "y") -> RawFeatures:
    return RawFeatures(numbers=np.array([[1.0, 5.0], [a, b]]), texts=np.array([["x"], [c]], object))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (table(a=np.inf), "t: column 'a' holds an infinite number in row 2"),
        (table(b=np.nan), "t: column 'b' lacks a value in row 2"),
        (table(a=3 * MAX_DEVIATIONS), "t: column 'a' holds 3e\\+06 in row 2, far outside the training range of 0 to 4"),
        (table(a=np.inf, b=-1e9), "column 'a' .*; column 'b' holds -1e\\+09"),
    ],
)
def test_what_cannot_be_scaled_is_refused_by_column_and_row(samples: RawFeatures, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted().check(samples, name="t")


def test_what_the_training_part_did_not_have_is_counted() -> None:
    assert [str(entry) for entry in fitted().unfamiliar(table())] == []
    messages = [str(entry) for entry in fitted().unfamiliar(table(a=-1.0, c="z"))]
    assert messages == ["column 'a': 1 value outside the training range 0 to 4", "column 'c': 1 value unseen in training ('z')"]
    assert [entry.what for entry in fitted().unfamiliar(table(a=np.nan, c=None))] == ["missing", "missing"]
