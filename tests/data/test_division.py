import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.data.division import divide
from faqnas_optuna.errors import DataError

CLASSES = ("no", "yes")


def given(**counts: int) -> NDArray[np.str_]:
    """Return the parts of samples, with this many samples in each part."""
    return np.repeat([*counts], [*counts.values()])


def test_a_large_group_takes_its_share_of_the_parts_with_it() -> None:
    y = np.arange(100) % 2
    groups = np.concatenate([np.zeros(60, np.int64), 1 + np.arange(40) // 2])
    rows = divide(y, CLASSES, groups, None, seed=0)
    assert sorted(np.concatenate([*rows.values()])) == list(range(100))
    numbers = [set(groups[part].tolist()) for part in rows.values()]
    assert sum(map(len, numbers)) == len(set(groups.tolist()))
    assert max(map(len, rows.values())) > 60


@pytest.mark.parametrize("n_training_groups", [3, 4])
def test_a_validation_part_needs_four_groups_beside_a_given_test_part(n_training_groups: int) -> None:
    # Two samples of each class are in every group, and one group is the test part.
    y = np.arange(4 * n_training_groups + 4) % 2
    groups = np.arange(len(y)) // 4
    parts = given(train=4 * n_training_groups, test=4)
    if n_training_groups == 4:
        assert [len(part) for part in divide(y, CLASSES, groups, parts, seed=0).values()] == [12, 4, 4]
        return
    with pytest.raises(DataError, match="--groups needs at least 4 groups outside the test part, and there are 3; choose a"):
        divide(y, CLASSES, groups, parts, seed=0)


def test_parts_drawn_at_random_need_five_groups() -> None:
    y = np.arange(40) % 2
    with pytest.raises(DataError, match="--groups needs at least 5 groups in the data, and there are 4; choose a column"):
        divide(y, CLASSES, np.arange(40) // 10, None, seed=0)


def test_a_class_that_is_too_rare_for_a_validation_part_is_named() -> None:
    y = np.array([0] * 20 + [1] * 3 + [0, 1])
    rule = "each class needs at least 4 samples outside the test part, so that a validation part can be drawn"
    with pytest.raises(DataError, match=f"{rule}; class 'yes' has 3: add samples, or correct the parts$"):
        divide(y, CLASSES, None, given(train=23, test=2), seed=0)
    # Four of the six samples of a class are in one group, which is drawn for the test part.
    y = np.array([0] * 20 + [1] * 6)
    groups = np.concatenate([np.arange(20), [20, 20, 20, 20, 21, 22]])
    with pytest.raises(DataError, match=f"{rule}; class 'yes' has 2: add samples, or choose other groups$"):
        for seed in range(20):
            divide(y, CLASSES, groups, None, seed)


def test_the_remedy_for_a_class_without_training_samples_fits_its_cause() -> None:
    y = np.array([0] * 20 + [1] * 6)
    message = "class 'yes' has no sample in the training part; add samples, or"
    with pytest.raises(DataError, match=f"{message} correct the parts$"):
        divide(y, CLASSES, None, given(train=20, test=6), seed=0)
    # One group has all samples of the class.
    groups = np.concatenate([np.arange(20), [20] * 6])
    with pytest.raises(DataError, match=f"{message} choose other groups$"):
        divide(y, CLASSES, groups, None, seed=0)
