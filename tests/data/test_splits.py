import numpy as np
import pytest

from faqnas_optuna.config import DataConfig, StudyConfig
from faqnas_optuna.data.loading import load_splits
from faqnas_optuna.data.named import load
from faqnas_optuna.data.splits import split_and_scale
from tests.support.data_sets import INSTALLED, everything


@pytest.mark.parametrize("name", INSTALLED)
def test_the_split_is_60_20_20_and_stratified(name: str) -> None:
    splits = load(name, seed=0)
    total = np.bincount(everything(splits))
    for part, share in ((splits.train, 0.6), (splits.validation, 0.2), (splits.test, 0.2)):
        assert np.abs(np.bincount(part.y) - share * total).max() <= 1.5


@pytest.mark.parametrize("name", INSTALLED)
def test_features_are_scaled_by_the_training_part_alone(name: str) -> None:
    splits = load(name, seed=0)
    assert splits.train.x.dtype == np.float32
    assert np.abs(splits.train.x.mean(axis=0, dtype=np.float64)).max() < 1e-5
    deviation = splits.train.x.std(axis=0, dtype=np.float64)
    assert np.all(np.isclose(deviation, 1, atol=1e-4) | (deviation == 0))
    assert np.abs(splits.validation.x.mean(axis=0)).max() > 1e-3
    for part in (splits.train, splits.validation, splits.test):
        assert np.isfinite(part.x).all()


def test_the_split_depends_on_the_seed_alone() -> None:
    first, again, other = load("wine", seed=0), load("wine", seed=0), load("wine", seed=1)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert np.array_equal(first.train.x, again.train.x)


def test_the_fingerprint_sees_a_single_changed_value() -> None:
    x, y = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32), np.arange(50) % 2
    columns, classes = ("a", "b", "c"), ("no", "yes")
    before = split_and_scale("toy", x, y, seed=0, columns=columns, classes=classes)
    changed = x.copy()
    changed[17, 1] += 1e-6
    after = split_and_scale("toy", changed, y, seed=0, columns=columns, classes=classes)
    assert after.fingerprint != before.fingerprint


def test_a_split_may_have_a_seed_of_its_own() -> None:
    apart = StudyConfig(dataset="wine", seed=7, data=DataConfig(split_seed=3))
    assert apart.split_seed == 3 and StudyConfig(dataset="wine", seed=7).split_seed == 7
    assert load_splits(apart).fingerprint == load("wine", seed=3).fingerprint != load("wine", seed=7).fingerprint
