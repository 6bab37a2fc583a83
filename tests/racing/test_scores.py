import numpy as np

from faqnas_optuna.racing.scores import Block, Scores


def test_missing_trainings_are_named_as_blocks() -> None:
    scores = Scores(3)
    scores.insert(Block(0, 0, 2), np.array([0.5, 0.25]))
    scores.insert(Block(0, 4, 5), np.array([0.75]))
    scores.insert(Block(2, 1, 3), np.array([0.5, 0.5]))
    targets = np.array([6, 0, 2])
    assert list(scores.missing(targets)) == [Block(0, 2, 4), Block(0, 5, 6), Block(2, 0, 1)]
    # The trainings after a missing one cannot be used.
    assert scores.complete.tolist() == [2, 0, 0]
    scores.insert(Block(2, 0, 1), np.array([1.0]))
    assert scores.complete.tolist() == [2, 0, 3]


def test_histograms_are_those_of_the_first_trainings() -> None:
    generator = np.random.default_rng(0)
    values = generator.choice([0.1, 0.35, 0.8, 0.95], size=(4, 50))
    scores = Scores(4)
    order = [(circuit, begin) for circuit in range(4) for begin in range(0, 50, 10)]
    for circuit, begin in generator.permutation(order).tolist():
        scores.insert(Block(circuit, begin, begin + 10), values[circuit, begin : begin + 10])
    for targets in ([1, 2, 3, 4], [1, 30, 3, 50], [50, 50, 50, 50]):
        histograms = scores.histograms(np.array(targets))
        first = [values[circuit, :target] for circuit, target in enumerate(targets)]
        assert histograms.sizes.tolist() == targets
        np.testing.assert_allclose(histograms.means, [each.mean() for each in first])
        np.testing.assert_allclose(histograms.variances, [each.var() for each in first], atol=1e-12)
