import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from faqnas_optuna import HQNNClassifier, TabularPreprocessor, search
from faqnas_optuna.errors import DataError
from faqnas_optuna.models.tabular import mixed_frame
from tests.support.estimators import mixed


def test_features_are_those_of_own_data(storage_url: str) -> None:
    frame, y = mixed()
    study = search(frame, y, storage=storage_url, check=False, detach=True)
    splits = study._data.samples
    assert splits is not None and splits.samples is not None
    train = frame.iloc[splits.samples.rows["train"]]
    preprocessor = TabularPreprocessor().fit(train)
    assert preprocessor.preprocessing_.to_json() == splits.preprocessing.to_json()
    assert np.array_equal(preprocessor.transform(train), splits.train.x)
    assert np.array_equal(preprocessor.transform(frame.iloc[splits.samples.rows["test"]]), splits.test.x)
    assert {name: str(kind) for name, kind in preprocessor.schema_.kinds.items()} == {
        "size": "number",
        "ward": "category",
        "smokes": "boolean",
        "name": "identifier",
        "seen": "date",
    }
    assert list(preprocessor.get_feature_names_out()) == ["size", "smokes", "ward_A", "ward_B", "ward_C"]
    assert preprocessor.n_features_in_ == 5 and list(preprocessor.feature_names_in_) == list(frame)


def test_frames_of_any_library_and_order_of_columns_are_alike() -> None:
    frame, _ = mixed()
    preprocessor = TabularPreprocessor().fit(frame)
    expected = preprocessor.transform(frame)
    assert np.array_equal(TabularPreprocessor().fit_transform(pl.from_pandas(frame)), expected)
    assert np.array_equal(preprocessor.transform(frame[list(frame)[::-1]]), expected)
    assert np.array_equal(preprocessor.transform(frame.iloc[::-1]), expected[::-1])
    unseen = frame.assign(ward="D")
    assert not preprocessor.transform(unseen)[:, 2:].any()
    named = clone(preprocessor).set_output(transform="pandas").fit_transform(frame)
    assert list(named) == list(preprocessor.get_feature_names_out())


def test_it_is_a_step_before_a_network() -> None:
    frame, y = mixed()
    pipeline = make_pipeline(TabularPreprocessor(), HQNNClassifier(epochs=30, learning_rate=0.02, random_state=0))
    assert pipeline.fit(frame, y).score(frame, y) > 0.7
    with pytest.raises(DataError, match="samples: column 'ward' missing; the model needs 3 columns"):
        pipeline.predict(frame.drop(columns="ward"))


def test_kinds_can_be_declared() -> None:
    frame = pd.DataFrame({"code": [1, 2, 1, 2], "size": [0.5, 1.0, 1.5, 2.0]})
    preprocessor = TabularPreprocessor(kinds={"code": "category", "size": "left out"}).fit(frame)
    assert list(preprocessor.get_feature_names_out()) == ["code_1", "code_2"]
    for kinds, name in {("weight", "number"): "'weight': 'number'", ("size", "label"): "'size': 'label'"}.items():
        with pytest.raises(ValueError, match=f"kinds must name columns of the data, each with number, .*; it has {name}"):
            TabularPreprocessor(kinds=dict([kinds])).fit(frame)


WRONG = {
    "samples: column 'a' holds no value": pd.DataFrame({"a": [None, None]}),
    "samples: column 'a' holds complex numbers": pd.DataFrame({"a": [1j, 2.0]}),
    "samples: no column can be used as a feature": pd.DataFrame({"a": pd.date_range("2024", periods=9)}),
}


@pytest.mark.parametrize("message", WRONG)
def test_columns_that_cannot_be_used_are_refused(message: str) -> None:
    with pytest.raises(DataError, match=message):
        TabularPreprocessor().fit(WRONG[message])


def test_a_fold_without_a_value_of_a_column_is_refused() -> None:
    with pytest.raises(DataError, match="samples: column 'a' holds no value; leave it out"):
        TabularPreprocessor(kinds={"a": "number"}).fit(pd.DataFrame({"a": [None, None], "b": [1, 2]}))


def test_it_has_to_be_fitted() -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        TabularPreprocessor().transform(mixed()[0])


def test_frames_of_numbers_are_left_to_scikit_learn() -> None:
    numbers = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})
    assert mixed_frame(numbers) is None and mixed_frame(numbers.to_numpy()) is None and mixed_frame([[1, 2]]) is None
    assert mixed_frame(pl.from_pandas(numbers)) is None
    for other in (numbers.assign(b=[True, False]), numbers.assign(b=[None, 1.0]), numbers.assign(b=["x", "y"])):
        assert mixed_frame(other) is not None
