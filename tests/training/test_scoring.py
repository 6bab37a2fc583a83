import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from faqnas_optuna.config import Score
from faqnas_optuna.training.scoring import Scores, balanced_accuracy, confusion

LABELS = st.integers(0, 4)


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
def test_both_scores_are_scikit_learns(samples: list[tuple[int, int]]) -> None:
    """Also of a part that lacks a class, and of a class that nobody has and somebody tells."""
    y, told = np.array(samples, np.int64).T
    found = Scores.of(y, told)
    assert found.accuracy == pytest.approx(accuracy_score(y, told))
    assert found.balanced == pytest.approx(balanced_accuracy_score(y, told))
    counts = confusion(y, told, n_classes=5)
    assert np.array_equal(counts, confusion_matrix(y, told, labels=range(5)))
    # What is stored is worth the same, with whatever classes the part lacks.
    assert Scores.of_confusion(counts) == found and balanced_accuracy(counts) == found.balanced


def test_who_always_tells_the_largest_class_is_worth_one_class() -> None:
    y = np.repeat([0, 1, 2], [90, 6, 4])
    found = Scores.of(y, np.zeros_like(y))
    assert found.by(Score.ACCURACY) == 0.9
    assert found.by(Score.BALANCED) == pytest.approx(1 / 3)
