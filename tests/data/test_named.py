from pathlib import Path

import numpy as np
import pytest

from faqnas_optuna.cache import to_npz
from faqnas_optuna.data.named import DATASETS, load, recipe_of
from faqnas_optuna.errors import DataError
from tests.support.data_sets import INSTALLED, everything


@pytest.mark.parametrize("name", INSTALLED)
def test_sizes_are_those_that_are_listed(name: str) -> None:
    splits = load(name, seed=0)
    info = DATASETS[name]
    assert len(everything(splits)) == info.samples
    assert splits.n_features == info.features
    assert splits.n_classes == info.classes == len(set(everything(splits)))


def test_data_and_split_are_kept_and_made_anew_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = load("iris", seed=0)
    (data,) = (tmp_path / "faqnas-optuna" / "data").glob("*.npz")
    (split,) = (tmp_path / "faqnas-optuna" / "splits").glob("*.npz")
    assert data.name.startswith("iris-scikit-learn-")
    again = load("iris", seed=0)
    for one, other in ((first.train, again.train), (first.validation, again.validation), (first.test, again.test)):
        assert np.array_equal(one.x, other.x) and np.array_equal(one.y, other.y)
    assert "damaged" not in caplog.text
    for path in (data, split):
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], b"", to_npz({"x": np.zeros((2, 2)), "y": np.zeros(2), "train": np.zeros(2)})):
            path.write_bytes(damaged)
            caplog.clear()
            assert load("iris", seed=0).fingerprint == first.fingerprint
            assert f"{path} is damaged" in caplog.text
            assert path.read_bytes() != damaged


def test_another_seed_is_another_split_of_the_same_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load("iris", seed=0).fingerprint != load("iris", seed=1).fingerprint
    assert len([*(tmp_path / "faqnas-optuna" / "data").glob("*.npz")]) == 1
    assert len([*(tmp_path / "faqnas-optuna" / "splits").glob("*.npz")]) == 2


def test_data_do_without_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load("iris", seed=0).train) == 90
    assert "every run computes it again" in caplog.text


def test_unknown_data_sets_get_a_suggestion() -> None:
    with pytest.raises(DataError, match="unknown data set 'whine': did you mean 'wine'?"):
        load("whine", seed=0)
    with pytest.raises(DataError, match="choose from iris, wine, breast-cancer, digits, mnist-5k, mnist"):
        load("cifar", seed=0)
    with pytest.raises(DataError, match="unknown data set 'two-curve': did you mean 'two-curves'?"):
        load("two-curve:features=3", seed=0)


def test_what_is_not_generated_has_no_keys() -> None:
    assert recipe_of("wine") is recipe_of("two-curve:features=3") is None
    with pytest.raises(
        DataError, match="wine:features=3: only generated data sets have parameters; write wine, or use one of linearly-sep"
    ):
        recipe_of("wine:features=3")


def test_generated_data_are_one_data_set_by_whatever_spelling() -> None:
    plain, spelt = load("two-curves", seed=0), load("two-curves:noise=1e-2, samples=0300", seed=0)
    assert plain.name == spelt.name == "two-curves"
    assert plain.fingerprint == spelt.fingerprint
    assert plain.classes == (-1, 1)
    assert load("two-curves", seed=1).fingerprint != plain.fingerprint
    assert load("two-curves:seed=1", seed=0).fingerprint != plain.fingerprint


def test_components_take_the_place_of_generated_features() -> None:
    splits = load("two-curves:features=10,samples=100", seed=0, pca=3)
    assert splits.n_features == 3 and splits.name == "two-curves:samples=100"
