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
    """Compare also parts without samples of a class, and predictions of a class without samples."""
    y, predicted = np.array(samples, np.int64).T
    result = Scores.of(y, predicted)
    assert result.accuracy == pytest.approx(accuracy_score(y, predicted))
    assert result.balanced == pytest.approx(balanced_accuracy_score(y, predicted))
    counts = confusion(y, predicted, n_classes=5)
    assert np.array_equal(counts, confusion_matrix(y, predicted, labels=range(5)))
    # Scores from the stored confusion matrix are the same, whichever classes have no samples.
    assert Scores.of_confusion(counts) == result and balanced_accuracy(counts) == result.balanced


def test_who_always_tells_the_largest_class_is_worth_one_class() -> None:
    y = np.repeat([0, 1, 2], [90, 6, 4])
    result = Scores.of(y, np.zeros_like(y))
    assert result.by(Score.ACCURACY) == 0.9
    assert result.by(Score.BALANCED) == pytest.approx(1 / 3)
