import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import parametrize_with_checks

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import Engine, StudyConfig, TrainingConfig
from faqnas_optuna.data.named import load
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, FaqnasError, TrainingError
from faqnas_optuna.hardware.devices import DEVICES
from faqnas_optuna.models.estimator import HQNNClassifier
from faqnas_optuna.reporting.documents import hardware_document
from faqnas_optuna.training.evaluation import evaluate, train_once
from faqnas_optuna.training.model import HQNN
from faqnas_optuna.training.values import Costs
from tests.conftest import TIMEOUT_S
from tests.support.estimators import NOT_EXACT

GENES: dict[str, Any] = {"n_qubits": 3, "embedding": "angle", "entangler": "CZ", "topology": "circular", "depth": 3}
GENES |= {"rotation_1": "RX", "rotation_2": "RY", "rotation_3": "RZ", "rotation_4": "RZ"}
"""Genes of a circuit whose last layer is inert."""
PROTOCOL: dict[str, Any] = {"epochs": 4, "learning_rate": 0.02, "batch_size": 16}


@pytest.mark.slow
@parametrize_with_checks([HQNNClassifier(random_state=0)], expected_failed_checks=lambda _: NOT_EXACT)  # type: ignore[untyped-decorator, unused-ignore]
def test_it_is_a_classifier_as_scikit_learn_has_them(estimator: HQNNClassifier, check: Callable[..., None]) -> None:
    check(estimator)


@pytest.mark.parametrize("engine", Engine)
def test_its_training_is_that_of_a_search(engine: Engine) -> None:
    iris = load("iris", seed=3)
    config = StudyConfig(dataset="iris", seed=3, engine=engine, training=TrainingConfig(**PROTOCOL))
    genome = Genome.from_params(GENES)
    circuit = effective_circuit(genome.circuit)
    expected = train_once(circuit, iris, config, repeat=0)
    classifier = HQNNClassifier(**GENES, **PROTOCOL, engine=str(engine), random_state=3).fit(iris.train.x, iris.train.y)
    assert np.array_equal(classifier.parameters_, expected.parameters)
    assert tuple(classifier.loss_curve_) == expected.losses
    # Accuracy and costs are those that a search stores.
    evaluation = evaluate(genome.circuit, iris, config)
    assert classifier.score(iris.validation.x, iris.validation.y) == evaluation.val_accuracy
    assert (classifier.n_parameters_, classifier.quantum_flops_) == (
        evaluation.costs.parameters,
        evaluation.quantum_flops_profiler,
    )
    assert classifier.circuit_ == genome.circuit


def test_its_probabilities_are_those_of_the_network(iris: DataSplits) -> None:
    classifier = HQNNClassifier(**PROTOCOL, random_state=0).fit(iris.train.x, iris.train.y)
    sizes: dict[str, Any] = {"n_features": 4, "n_classes": 3, "engine": Engine.PENNYLANE, "generator": np.random.default_rng(0)}
    network = HQNN(classifier.circuit_, **sizes)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(classifier.parameters_), network.parameters())
    with torch.no_grad():
        logarithms = network(torch.from_numpy(iris.test.x)).numpy()
    assert classifier.predict_log_proba(iris.test.x) == pytest.approx(logarithms, abs=1e-5)
    expected = np.exp(logarithms)
    assert classifier.predict_proba(iris.test.x) == pytest.approx(expected, abs=1e-5)
    assert np.array_equal(classifier.predict(iris.test.x), expected.argmax(axis=1))


def test_it_learns_and_keeps_labels_and_names(iris: DataSplits) -> None:
    frame = pd.DataFrame(iris.train.x, columns=["a", "b", "c", "d"])
    labels = np.array(["setosa", "versicolor", "virginica"])
    classifier = HQNNClassifier(random_state=0).fit(frame, labels[iris.train.y])
    assert list(classifier.feature_names_in_) == ["a", "b", "c", "d"] and classifier.n_features_in_ == 4
    assert list(classifier.classes_) == list(labels)
    assert set(classifier.predict(frame)) == set(labels)
    assert classifier.score(frame, labels[iris.train.y]) > 0.9
    assert classifier.loss_curve_.shape == (100,) and classifier.loss_curve_[-1] < 0.5 * classifier.loss_curve_[0]


def test_it_works_in_a_pipeline_a_grid_and_a_cross_validation(iris: DataSplits) -> None:
    raw = iris.train.x * 100 + 1_000
    pipeline = make_pipeline(StandardScaler(), HQNNClassifier(epochs=20, learning_rate=0.05, random_state=0))
    # GridSearchCV passes numpy scalars to the parameters.
    grid: dict[str, Any] = {
        "hqnnclassifier__n_qubits": np.array([2, 3]),
        "hqnnclassifier__embedding": np.array(["angle", "amplitude"]),
        "hqnnclassifier__epochs": np.array([5, 20]),
    }
    chosen = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(raw, iris.train.y)
    assert chosen.best_score_ > 0.7
    assert isinstance(chosen.best_estimator_[-1].circuit_.n_qubits, int)
    assert cross_val_score(pipeline, raw, iris.train.y, cv=2, error_score="raise").min() > 0.7


@pytest.mark.parametrize("state", [7, np.int64(7), np.random.RandomState(7)], ids=lambda state: type(state).__name__)
def test_its_seed_decides(iris: DataSplits, state: Any) -> None:
    settings: dict[str, Any] = {"epochs": 1, "random_state": state}
    original = HQNNClassifier(**settings)
    # A clone copies the random state before the first fit changes it.
    copy = clone(original)
    first, again = (classifier.fit(iris.train.x, iris.train.y).parameters_ for classifier in (original, copy))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, HQNNClassifier(epochs=1, random_state=8).fit(iris.train.x, iris.train.y).parameters_)


def test_without_a_seed_no_two_trainings_are_the_same(iris: DataSplits) -> None:
    first, other = (HQNNClassifier(epochs=1).fit(iris.train.x, iris.train.y).parameters_ for _ in range(2))
    assert not np.array_equal(first, other)


READ = """
import pickle, sys
import numpy as np
classifier, x = pickle.load(open(sys.argv[1], "rb"))
np.save(sys.argv[2], classifier.predict_proba(x))
print([name for name in ("torch", "pennylane", "optuna") if name in sys.modules])
"""


@pytest.mark.slow
def test_another_process_predicts_the_same_from_a_pickle_and_loads_nothing_large(iris: DataSplits, tmp_path: Path) -> None:
    classifier = HQNNClassifier(epochs=2, random_state=0).fit(iris.train.x, iris.train.y)
    file, out = tmp_path / "found.pickle", tmp_path / "out.npy"
    file.write_bytes(pickle.dumps((classifier, iris.test.x)))
    output = subprocess.run(
        [sys.executable, "-c", READ, file, out], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    ).stdout
    assert output == "[]\n"
    assert np.array_equal(np.load(out), classifier.predict_proba(iris.test.x))


WRONG = [
    ({"n_qubits": 13}, "gene 'n_qubits' must be one of 2, 3, .*; it is 13"),
    ({"depth": 5}, "gene 'rotation_5' must be one of RX, RY, RZ; it is None"),
    ({"n_qubits": 3.0}, "gene 'n_qubits' must be one of .*; it is 3.0"),
    ({"rotation_4": "RW"}, "gene 'rotation_4' must be one of RX, RY, RZ; it is 'RW'"),
    ({"epochs": 0}, r"HQNNClassifier: training.epochs: .* greater than or equal to 1 \(it is 0\)"),
    ({"epochs": 2.5}, r"training.epochs: .*\(it is 2.5\)"),
    ({"learning_rate": float("nan")}, r"training.learning_rate: .*\(it is nan\)"),
    ({"batch_size": "64"}, r"training.batch_size: must be a whole number \(it is '64'\)"),
    ({"engine": "slow"}, r"engine: .*\(it is 'slow'\)"),
    ({"random_state": -1}, "random_state must be an integer from 0 to 4294967295; it is -1"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[str(settings) for settings, _ in WRONG])
def test_wrong_parameters_are_refused_when_it_is_fitted(iris: DataSplits, settings: dict[str, Any], message: str) -> None:
    estimator = HQNNClassifier(**settings)
    with pytest.raises(ValueError, match=message) as error:
        estimator.fit(iris.train.x, iris.train.y)
    assert isinstance(error.value, FaqnasError) and len(str(error.value).splitlines()) == 1


def test_data_that_cannot_be_learned_are_refused(iris: DataSplits) -> None:
    with pytest.raises(ValueError, match="a classifier needs samples of at least two classes; these are all of one class, 'a'"):
        HQNNClassifier().fit(iris.train.x, ["a"] * len(iris.train))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        HQNNClassifier().fit(iris.train.x, iris.train.x[:, 0])
    with pytest.raises(ValueError, match="contains NaN"):
        HQNNClassifier().fit(np.full_like(iris.train.x, np.nan), iris.train.y)


def test_a_training_that_diverges_says_so(iris: DataSplits) -> None:
    with pytest.raises(TrainingError, match="the loss is .* in epoch .*; try a lower learning rate"):
        HQNNClassifier(embedding="amplitude", random_state=0).fit(iris.train.x * np.float32(4e36), iris.train.y)


def test_what_is_not_fitted_has_nothing_to_tell(iris: DataSplits) -> None:
    estimator = HQNNClassifier()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        estimator.predict(iris.test.x)
    assert not hasattr(estimator, "n_parameters_") and not hasattr(estimator, "quantum_flops_")


SMALL: dict[str, Any] = {"epochs": 3, "batch_size": 16, "learning_rate": 0.02, "random_state": 0}


def parameters(data: DataSplits, *, settings: dict[str, Any] = SMALL, **fitting: Any) -> Any:
    """Return the parameters of a classifier fitted on the training part of Iris."""
    return HQNNClassifier(**settings).fit(data.train.x, data.train.y, **fitting).parameters_


def test_equal_weights_are_no_weights(iris: DataSplits) -> None:
    expected = parameters(iris)
    for weights in (np.ones(90), np.full(90, 0.3), 2.5):
        assert np.array_equal(parameters(iris, sample_weight=weights), expected)
    # The training part has as many samples of each class.
    for classes in ("balanced", {0: 7, 1: 7, 2: 7}):
        assert np.array_equal(parameters(iris, settings=SMALL | {"class_weight": classes}), expected)


def test_a_weight_of_zero_leaves_a_sample_out(iris: DataSplits) -> None:
    x, y = iris.train.x, iris.train.y
    weights = np.random.default_rng(0).choice([0.0, 1.0, 2.5], 90)
    kept = weights > 0
    fewer = HQNNClassifier(**SMALL).fit(x[kept], y[kept], weights[kept])
    assert np.array_equal(parameters(iris, sample_weight=weights), fewer.parameters_)
    without_a_class = HQNNClassifier(**SMALL).fit(x, y, np.where(y == 1, 0, 1))
    assert list(without_a_class.classes_) == [0, 2]


def test_only_the_ratios_of_weights_matter(iris: DataSplits) -> None:
    weights = np.random.default_rng(0).uniform(0.1, 5, 90)
    expected = parameters(iris, sample_weight=weights)
    assert not np.array_equal(expected, parameters(iris))
    # A power of two is exact.
    for factor in (2.0**900, 2.0**-900):
        assert np.array_equal(parameters(iris, sample_weight=weights * factor), expected)


def test_in_one_batch_a_weight_is_a_number_of_copies(iris: DataSplits) -> None:
    weights = np.random.default_rng(0).integers(1, 4, 90)
    rows = np.repeat(np.arange(90), weights)
    settings = SMALL | {"batch_size": 1_000, "epochs": 40}
    copied = HQNNClassifier(**settings).fit(iris.train.x[rows], iris.train.y[rows])
    weighted = HQNNClassifier(**settings).fit(iris.train.x, iris.train.y, weights)
    assert weighted.parameters_ == pytest.approx(copied.parameters_, abs=1e-5)
    assert weighted.loss_curve_ == pytest.approx(copied.loss_curve_, abs=1e-6)


@pytest.mark.parametrize("embedding", ["angle", "amplitude"])
def test_both_engines_weigh_samples_and_classes_alike(iris: DataSplits, embedding: str) -> None:
    settings = SMALL | {"embedding": embedding, "n_qubits": 3, "class_weight": {0: 0.5, 2: 4}}
    weights = np.random.default_rng(0).uniform(0.1, 5, 90)
    fast, reference = (
        HQNNClassifier(**settings, engine=str(engine)).fit(iris.train.x, iris.train.y, weights) for engine in Engine
    )
    assert fast.parameters_ == pytest.approx(reference.parameters_, abs=1e-5)
    assert fast.loss_curve_ == pytest.approx(reference.loss_curve_, abs=1e-6)


def test_the_weights_of_classes_multiply_those_of_samples(iris: DataSplits) -> None:
    weights = np.random.default_rng(0).uniform(0.1, 5, 90)
    by_class = {0: 0.5, 1: 1.0, 2: 4.0}
    product = weights * np.array([0.5, 1, 4])[iris.train.y]
    together = parameters(iris, settings=SMALL | {"class_weight": by_class}, sample_weight=weights)
    assert np.array_equal(together, parameters(iris, sample_weight=product))
    # A class of weight 0 is still a class.
    absent = HQNNClassifier(**SMALL, class_weight={1: 0}).fit(iris.train.x, iris.train.y)
    assert list(absent.classes_) == [0, 1, 2] and (absent.predict(iris.train.x) != 1).mean() > 0.5
    # Balanced weights are those of scikit-learn.
    rows = np.flatnonzero((iris.train.y > 0) | (np.arange(90) % 3 == 0))
    x, y = iris.train.x[rows], iris.train.y[rows]
    balanced = HQNNClassifier(**SMALL, class_weight="balanced").fit(x, y)
    by_hand = HQNNClassifier(**SMALL).fit(x, y, compute_sample_weight("balanced", y))
    assert np.array_equal(balanced.parameters_, by_hand.parameters_)


WRONG_WEIGHTS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"sample_weight": np.zeros(90)}, "at least one non-zero"),
    ({}, {"sample_weight": np.ones(3)}, r"sample_weight.shape == \(3,\), expected \(90,\)"),
    ({}, {"sample_weight": np.full(90, -1.0)}, "(?i)negative values in .*sample_weight"),
    ({}, {"sample_weight": np.full(90, np.nan)}, "contains NaN"),
    ({"class_weight": {0: -1}}, {}, "class_weight must have finite weights of at least 0, and one above 0; it is {0: -1}"),
    ({"class_weight": {0: np.inf}}, {}, "class_weight must have finite weights of at least 0"),
    ({"class_weight": dict.fromkeys(range(3), 0)}, {}, "class_weight must have finite weights .*, and one above 0"),
    ({"class_weight": "even"}, {}, "class_weight"),
]


@pytest.mark.parametrize(("settings", "fitting", "message"), WRONG_WEIGHTS)
def test_wrong_weights_are_refused(iris: DataSplits, settings: dict[str, Any], fitting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parameters(iris, settings=SMALL | settings, **fitting)


def test_its_costs_are_those_of_a_trial(iris: DataSplits) -> None:
    classifier = HQNNClassifier(**GENES, **PROTOCOL).fit(iris.train.x, iris.train.y)
    circuit = Genome.from_params(GENES).circuit
    costs = Costs.of(circuit, n_features=4, n_classes=3, device=DEVICES["heron-r3"])
    plain, on_device = classifier.cost(), classifier.cost("heron-r3")
    assert {name: getattr(costs, name) for name in plain} == plain
    assert {"quantum_flops_profiler", "classical_flops", "parameters"} <= plain.keys() and "neg_log_esp" not in plain
    (shown,) = (entry for entry in hardware_document(circuit, None) if entry["device"] == "heron-r3")
    # `show` also has the date of the device's figures.
    assert shown.items() <= (on_device | {"date": shown["date"]}).items()
    assert on_device["neg_log_esp"] == costs.neg_log_esp
    with pytest.raises(ConfigError, match="unknown device 'heron'; choose from"):
        classifier.cost("heron")
    with pytest.raises(NotFittedError):
        HQNNClassifier().cost()
