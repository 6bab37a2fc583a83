"""Trainings of a confirmation: a circuit, and the controls that show how much each part of it contributes.

A circuit and its controls are trained on the training part alone, from the same seeds, with the same optimiser and budget, and
are evaluated on the test part. The validation part, by which the search selected the circuits, only serves the learning curves.
Classical models from scikit-learn are fitted beside them, without seeds.
"""

# The modules that train are imported inside functions: readers of a confirmation need neither numba, torch nor scikit-learn.
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import EffectiveGates, Layer, effective_circuit
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import Engine, Score, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.machine import FOREIGN
from faqnas_optuna.training.scoring import Confusion, Scores, confusion, most_likely

if TYPE_CHECKING:
    from faqnas_optuna.training.parameters import Layout
    from faqnas_optuna.training.training import TrainingResult

CONFIRMATIONS = 2
"""Last word of the seed sequences of confirmations."""
CURVE_POINTS = 100
"""Maximum number of epochs that are stored of a learning curve."""

GRID_C = (0.1, 1.0, 10.0, 100.0)
"""Values of C that `Baseline.SVM_GRID` tries."""
GRID_GAMMA = (0.1, 1.0, 10.0)
"""Values of γ that `Baseline.SVM_GRID` tries, in multiples of 1 / number of features."""


class Model(StrEnum):
    """Networks that are trained from seeds: the circuit and its controls."""

    CIRCUIT = "circuit"
    """Linear, circuit, linear: the network that the search trains."""
    LINEAR = "linear"
    """The two linear layers without the quantum layer; the width between them is the number of qubits."""
    EMBEDDING = "embedding"
    """The circuit's embedding and measurement, without rotations and entanglers."""
    SEPARABLE = "separable"
    """The circuit without its entanglers, and without the rotations that are inert then."""
    MLP = "mlp"
    """Linear, tanh, linear: the widest with at most as many parameters as affect the output of the circuit's network."""


CLASSICAL = (Model.LINEAR, Model.MLP)


class Baseline(StrEnum):
    """Classical models of scikit-learn."""

    LOGISTIC = "logistic"
    """Logistic regression with scikit-learn's defaults, iterated until it converges."""
    SVM = "svm"
    """A support vector machine with an RBF kernel and scikit-learn's defaults."""
    SVM_GRID = "svm-grid"
    """A support vector machine tuned as a user would do it: of the pairs in `GRID_C` and `GRID_GAMMA`, fitted to the training
    part, the one with the best score on the validation part (ties: the smallest C, then γ) is fitted to both parts."""


@dataclass(frozen=True, kw_only=True)
class ConfirmationResult:
    """The result of one training of a network, or of fitting a classical model."""

    test_accuracy: float
    validation_accuracy: float
    """Accuracy after the last epoch; for `SVM_GRID`, before the fit to both parts."""
    validation_balanced_accuracy: float
    """Balanced accuracy at the same time."""
    confusion: Confusion
    """Confusion matrix of the test part."""
    losses: tuple[float, ...]
    """Mean loss in each of the epochs `curve_epochs`; empty for a classical model."""
    validation_accuracies: tuple[float, ...]
    """Validation accuracy after each of the same epochs."""
    parameters: int
    """Number of parameters that affect the output; for a support vector machine, of dual coefficients and intercepts."""
    seconds: float
    """Duration of training and prediction."""

    def test_score(self, score: Score) -> float:
        """Return a score on the test part."""
        return Scores.of_confusion(self.confusion).by(score)


def confirmation_generator(seed: int, repeat: int) -> np.random.Generator:
    """Return the random generator for one training of a confirmation.

    A circuit and its controls use equal generators, so that their results form pairs.

    Args:
        seed: Seed of the study.
        repeat: Number of the training, from 0.
    """
    # Searches use [seed, digest of the circuit, repeat], so a confirmation never repeats a training of the search.
    # The last word must not be zero, since NumPy treats [a, b] and [a, b, 0] as the same seed.
    return np.random.default_rng([seed, repeat, CONFIRMATIONS])


def confirm_once(
    model: Model, circuit: Circuit, splits: DataSplits, training: TrainingConfig, *, generator: np.random.Generator
) -> ConfirmationResult:
    """Train a circuit or one of its controls, and judge it on the test part.

    Circuits that the fast engine does not support are trained by PennyLane.

    Args:
        circuit: Circuit to confirm, also if the model is a control of it.
        training: Epochs, learning rate and batch size.
        generator: Source of the initial parameters and of the order of the samples in each epoch.

    Raises:
        TrainingError: The training diverged.
    """
    _load(model, circuit)
    train = _train_classical if model in CLASSICAL else _train_quantum
    start = time.perf_counter()
    result, predictions = train(model, circuit, splits, training, generator)
    seconds = time.perf_counter() - start
    counts = confusion(splits.test.y, predictions, n_classes=splits.n_classes)
    return ConfirmationResult(
        test_accuracy=Scores.of_confusion(counts).accuracy,
        validation_accuracy=result.validation.accuracy,
        validation_balanced_accuracy=result.validation.balanced,
        confusion=counts,
        losses=_thinned(result.losses),
        validation_accuracies=_thinned(result.validation_accuracies),
        parameters=_effective_parameters(model, circuit, splits),
        seconds=seconds,
    )


def _load(model: Model, circuit: Circuit) -> None:
    """Import and compile what a model needs, so that the time of its first training does not include this."""
    if model in CLASSICAL:
        from faqnas_optuna.training.torch_training import use_one_thread

        use_one_thread()
        return
    from faqnas_optuna.training.engines import load

    # Controls have no entanglers, and all other gates are supported by the fast engine.
    load(Engine.FAST.of(circuit) if model is Model.CIRCUIT else Engine.FAST)


def _train_quantum(
    model: Model, circuit: Circuit, splits: DataSplits, training: TrainingConfig, generator: np.random.Generator
) -> "tuple[TrainingResult, NDArray[np.int64]]":
    """Return the result of training a quantum network, and its predictions for the test part."""
    from faqnas_optuna.training.engines import predict_scores, train_on
    from faqnas_optuna.training.parameters import Layout
    from faqnas_optuna.training.training import predict, train

    # As in the search, the effective circuit is trained, so that circuits with equal effective gates get equal results.
    effective = effective_circuit(circuit)
    layers = layers_of(model, circuit)
    layout = Layout.of(effective, n_features=splits.n_features, n_classes=splits.n_classes, layers=layers)
    if layers is None:
        result = train_on(Engine.FAST, effective, splits, training, generator=generator, validate_epochs=True)
        scores = predict_scores(effective, layout, result.parameters, splits.test.x)
    else:
        result = train(effective, splits, training, generator=generator, layers=layers, validate_epochs=True)
        scores = predict(effective, layout, result.parameters, splits.test.x, layers)
    return result, most_likely(scores)


def _train_classical(
    model: Model, circuit: Circuit, splits: DataSplits, training: TrainingConfig, generator: np.random.Generator
) -> "tuple[TrainingResult, NDArray[np.int64]]":
    """Return the result of training a classical network, and its predictions for the test part."""
    from faqnas_optuna.training import torch_training

    layout = _effective_layout(model, circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    network = torch_training.perceptron(layout, activated=model is Model.MLP, generator=generator)
    result = torch_training.train(network, splits, training, generator=generator, validate_epochs=True)
    return result, torch_training.predict(network, splits.test)


def layers_of(model: Model, circuit: Circuit) -> tuple[Layer, ...] | None:
    """Return the layers of a quantum network between embedding and measurement; None for all layers of the circuit."""
    if model is Model.CIRCUIT:
        return None
    return EffectiveGates(circuit=circuit).separable if model is Model.SEPARABLE else ()


def _effective_parameters(model: Model, circuit: Circuit, splits: DataSplits) -> int:
    """Return the number of parameters that affect the output of a network."""
    layout = _effective_layout(model, circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    gates = EffectiveGates(circuit=circuit)
    # Only parametrised entanglers have angles, which the layout does not count.
    of_entanglers = gates.effective_angles - len(gates.effective_rotations) * circuit.n_qubits
    return layout.size + of_entanglers * (model is Model.CIRCUIT)


def _effective_layout(model: Model, circuit: Circuit, *, n_features: int, n_classes: int) -> "Layout":
    """Return the layout of the parameters that affect the output of a network, without angles of entanglers."""
    from faqnas_optuna.training.parameters import Layout

    width = circuit.n_qubits
    depth = 0
    gates = EffectiveGates(circuit=circuit)
    if model is Model.MLP:
        width = mlp_width(circuit, n_features=n_features, n_classes=n_classes)
    elif model is Model.CIRCUIT:
        depth = len(gates.effective_rotations)
    elif model is Model.SEPARABLE:
        depth = len(gates.with_cz.effective_rotations)
    return Layout(n_features=n_features, n_qubits=width, depth=depth, n_classes=n_classes)


def mlp_width(circuit: Circuit, *, n_features: int, n_classes: int) -> int:
    """Return the number of hidden units of `Model.MLP`."""
    # With h hidden units it has h (features + 1 + classes) + classes parameters. The network of a circuit with h qubits has as
    # many, plus its angles: (features + 1 + classes) angles at a time are exchanged for one more unit.
    return circuit.n_qubits + EffectiveGates(circuit=circuit).effective_angles // (n_features + 1 + n_classes)


def label(model: Model, circuit: Circuit, *, n_features: int, n_classes: int) -> str:
    """Return the description of a network. Equal descriptions mean equal networks, which are trained once.

    Several circuits may share a control.
    """
    # A circuit without effective entanglers equals its separable control, and keeps the label of a circuit.
    embedding_alone = f"{circuit.embedding} embedding, {circuit.n_qubits} qubits"
    match model:
        case Model.CIRCUIT:
            return str(effective_circuit(circuit))
        case Model.LINEAR:
            return f"linear, {circuit.n_qubits} wide"
        case Model.EMBEDDING:
            return embedding_alone
        case Model.SEPARABLE:
            rotations = " ".join(str(layer.rotation) for layer in layers_of(model, circuit) or ())
            # Without rotations nothing is left but the embedding.
            return (
                f"{circuit.n_qubits} qubits, {circuit.embedding_label}, {rotations}, no entangler"
                if rotations
                else embedding_alone
            )
        case Model.MLP:
            return f"mlp, {mlp_width(circuit, n_features=n_features, n_classes=n_classes)} tanh units"


def fit_baseline(baseline: Baseline, splits: DataSplits, *, score: Score) -> ConfirmationResult:
    """Fit a classical model, which is deterministic, and judge it on the test part.

    Args:
        score: Score that decides which model of a grid is the best.
    """
    return _interruptible(lambda: _fit_baseline(baseline, splits, score))


def _interruptible(call: Callable[[], ConfirmationResult]) -> ConfirmationResult:
    """Return the result of a call that is made in another thread, so that signals are handled meanwhile."""
    # Python handles signals in the main thread, between two of its instructions. While libsvm runs there, for minutes, none
    # would be handled; while the main thread waits for another thread, they are.
    future: Future[ConfirmationResult] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        # Errors of any kind must reach the waiting thread.
        except BaseException as error:
            future.set_exception(error)

    # A daemon: an interrupted program must not wait for libsvm to finish.
    Thread(target=run, daemon=True, name=FOREIGN).start()
    return future.result()


def _fit_baseline(baseline: Baseline, splits: DataSplits, score: Score) -> ConfirmationResult:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    start = time.perf_counter()
    train_part = splits.train
    validation = splits.validation
    if baseline is Baseline.SVM_GRID:
        model, validation_scores = _best_of_grid(splits, score)
    else:
        # MNIST with all samples needs more than the default of 100 iterations.
        model = SVC() if baseline is Baseline.SVM else LogisticRegression(max_iter=1_000)
        model.fit(train_part.x, train_part.y)
        validation_scores = Scores.of(validation.y, model.predict(validation.x))
    weights = model.coef_ if baseline is Baseline.LOGISTIC else model.dual_coef_
    counts = confusion(splits.test.y, model.predict(splits.test.x), n_classes=splits.n_classes)
    return ConfirmationResult(
        test_accuracy=Scores.of_confusion(counts).accuracy,
        validation_accuracy=validation_scores.accuracy,
        validation_balanced_accuracy=validation_scores.balanced,
        confusion=counts,
        losses=(),
        validation_accuracies=(),
        parameters=int(weights.size + model.intercept_.size),
        seconds=time.perf_counter() - start,
    )


def _best_of_grid(splits: DataSplits, score: Score) -> tuple[Any, Scores]:
    """Return the model of `Baseline.SVM_GRID`, fitted to both parts, and its validation scores before that."""
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.svm import SVC

    parts = (splits.train, splits.validation)
    x = np.concatenate([part.x for part in parts])
    y = np.concatenate([part.y for part in parts])
    # A single split: samples with -1 are never in the validation fold, those with 0 are in the first, and only, one.
    split = PredefinedSplit(np.repeat([-1, 0], [len(part) for part in parts]))
    grid = {"C": GRID_C, "gamma": [multiple / splits.n_features for multiple in GRID_GAMMA]}
    # scikit-learn's own `balanced_accuracy` warns if the validation part lacks a class.
    scoring = {str(name): make_scorer(lambda true, predicted, name=name: Scores.of(true, predicted).by(name)) for name in Score}
    search = GridSearchCV(SVC(), grid, cv=split, scoring=scoring, refit=str(score)).fit(x, y)
    accuracy, balanced = (float(search.cv_results_[f"mean_test_{name}"][search.best_index_]) for name in Score)
    return search.best_estimator_, Scores(accuracy=accuracy, balanced=balanced)


def curve_epochs(epochs: int) -> tuple[int, ...]:
    """Return the epochs, from 1, that are stored of a learning curve: at most `CURVE_POINTS`, evenly spaced up to the last.

    >>> curve_epochs(5)
    (1, 2, 3, 4, 5)
    >>> curve_epochs(250)[:4]
    (2, 5, 7, 10)
    """
    points = min(epochs, CURVE_POINTS)
    return tuple(point * epochs // points for point in range(1, points + 1))


def _thinned(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(values[epoch - 1] for epoch in curve_epochs(len(values)))
