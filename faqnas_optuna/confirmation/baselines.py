"""What a confirmation trains: a circuit, and the controls that tell what each part of it is worth.

Circuit and controls are trained on the training part alone, from the same seeds, with the same optimiser and budget, and judged
on the test part. The search has chosen circuits by the validation part: here that only shows how the learning went. Classical
models from scikit-learn stand beside them; they need no seeds.

What trains is imported where it is used: what a confirmation has found is read without numba, torch and scikit-learn.
"""

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
"""Names the stream of seeds."""
CURVE_POINTS = 100
"""So many epochs of a learning curve are kept at most."""

GRID_C = (0.1, 1.0, 10.0, 100.0)
"""The penalties that `Baseline.SVM_GRID` tries."""
GRID_GAMMA = (0.1, 1.0, 10.0)
"""The widths that it tries, as multiples of one over the number of features."""


class Model(StrEnum):
    """What is trained from seeds."""

    CIRCUIT = "circuit"
    """Linear, circuit, linear: the network that the search trains."""
    LINEAR = "linear"
    """Without the quantum layer: the two linear layers, as wide between them as the circuit has qubits."""
    EMBEDDING = "embedding"
    """The circuit's embedding and its measurement, without any gate."""
    SEPARABLE = "separable"
    """The circuit without its entanglers, and without the rotations that no measured value sees."""
    MLP = "mlp"
    """Linear, tanh, linear: as wide as can be with no more parameters than the circuit's network has live ones."""


CLASSICAL = (Model.LINEAR, Model.MLP)


class Baseline(StrEnum):
    """Classical models of scikit-learn, the first two with its defaults and, like the networks, of the training part alone."""

    LOGISTIC = "logistic"
    """Logistic regression, but with as many iterations as it needs."""
    SVM = "svm"
    """A support vector machine with an RBF kernel."""
    SVM_GRID = "svm-grid"
    """The same with the C and γ of `GRID_C` and `GRID_GAMMA` that, trained on the training part, are best on the validation
    part by the study's score (of equals the smallest C, then γ), and trained with these on both parts together: what a user
    would do."""


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What one training has shown of a network, or fitting of a classical model."""

    test_accuracy: float
    validation_accuracy: float
    """After the last epoch; of `SVM_GRID`, before the validation part was trained on too."""
    validation_balanced_accuracy: float
    """Likewise."""
    confusion: Confusion
    """Of the test part."""
    losses: tuple[float, ...]
    """Mean loss of the epochs `curve_epochs` names; of a classical model none."""
    validation_accuracies: tuple[float, ...]
    """Validation accuracy after the same epochs."""
    parameters: int
    """Those that a measured value depends on; of a support vector machine, its dual coefficients and intercepts."""
    seconds: float
    """Of training and predicting."""

    def test_score(self, score: Score) -> float:
        """What a study that goes by this score takes it for."""
        return Scores.of_confusion(self.confusion).by(score)


def confirmation_generator(seed: int, repeat: int) -> np.random.Generator:
    """The randomness of one training of a confirmation; circuit and controls take the same, which makes pairs of them.

    The search has no part in these seeds. numpy takes [a, b] and [a, b, 0] for one seed: the last word must not be zero.
    """
    return np.random.default_rng([seed, repeat, CONFIRMATIONS])


def confirm_once(
    model: Model, circuit: Circuit, splits: DataSplits, training: TrainingConfig, *, generator: np.random.Generator
) -> Confirmed:
    """Train a circuit, on the fast engine if that has it, or one of its controls, and judge it on the test part.

    Args:
        circuit: the one that is confirmed, also when the model is a control of it.
        training: epochs, learning rate and batch size.
        generator: of the initial parameters, then of the order of the samples in each epoch.

    Raises:
        TrainingError: it diverged.
    """
    _load(model, circuit)
    started, run = time.perf_counter(), _train_classical if model in CLASSICAL else _train_quantum
    result, predicted = run(model, circuit, splits, training, generator)
    seconds = time.perf_counter() - started
    counts = confusion(splits.test.y, predicted, n_classes=splits.n_classes)
    return Confirmed(
        test_accuracy=Scores.of_confusion(counts).accuracy,
        validation_accuracy=result.validation.accuracy,
        validation_balanced_accuracy=result.validation.balanced,
        confusion=counts,
        losses=_thinned(result.losses),
        validation_accuracies=_thinned(result.validation_accuracies),
        parameters=_live_parameters(model, circuit, splits),
        seconds=seconds,
    )


def _load(model: Model, circuit: Circuit) -> None:
    """What takes its time the first time, so that no training is told to have taken it."""
    if model in CLASSICAL:
        from faqnas_optuna.training.torch_training import use_one_thread

        use_one_thread()
        return
    from faqnas_optuna.training.engines import load

    # Without entanglers the fast engine has all.
    load(Engine.FAST.of(circuit) if model is Model.CIRCUIT else Engine.FAST)


def _train_quantum(
    model: Model, circuit: Circuit, splits: DataSplits, training: TrainingConfig, generator: np.random.Generator
) -> "tuple[TrainingResult, NDArray[np.int64]]":
    """The training, and what the network says of the test part."""
    from faqnas_optuna.training.engines import predict_scores, train_on
    from faqnas_optuna.training.parameters import Layout
    from faqnas_optuna.training.training import predict, train

    effective, layers = effective_circuit(circuit), layers_of(model, circuit)
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
    """The training, and what the network says of the test part."""
    from faqnas_optuna.training import torch_training

    layout = _live_layout(model, circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    network = torch_training.perceptron(layout, activated=model is Model.MLP, generator=generator)
    result = torch_training.train(network, splits, training, generator=generator, validate_epochs=True)
    return result, torch_training.predict(network, splits.test)


def layers_of(model: Model, circuit: Circuit) -> tuple[Layer, ...] | None:
    """What a quantum network applies between embedding and measurement; None for all of the circuit."""
    if model is Model.CIRCUIT:
        return None
    return EffectiveGates(circuit=circuit).separable if model is Model.SEPARABLE else ()


def _live_parameters(model: Model, circuit: Circuit, splits: DataSplits) -> int:
    """How many parameters of a network a measured value depends on."""
    layout = _live_layout(model, circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    gates = EffectiveGates(circuit=circuit)
    of_entanglers = gates.effective_angles - len(gates.effective_rotations) * circuit.n_qubits
    return layout.size + of_entanglers * (model is Model.CIRCUIT)


def _live_layout(model: Model, circuit: Circuit, *, n_features: int, n_classes: int) -> "Layout":
    """The parameters of a network that a measured value depends on, but for angles of entanglers."""
    from faqnas_optuna.training.parameters import Layout

    width, depth, gates = circuit.n_qubits, 0, EffectiveGates(circuit=circuit)
    if model is Model.MLP:
        width = mlp_width(circuit, n_features=n_features, n_classes=n_classes)
    elif model in (Model.CIRCUIT, Model.SEPARABLE):
        whole = gates if model is Model.CIRCUIT else gates.unentangled
        depth = len(whole.effective_rotations)
    return Layout(n_features=n_features, n_qubits=width, depth=depth, n_classes=n_classes)


def mlp_width(circuit: Circuit, *, n_features: int, n_classes: int) -> int:
    """h, the hidden units of `Model.MLP`.

    It has h (features + 1 + classes) + classes parameters, and the circuit's network as many of h qubits, and its angles.
    """
    return circuit.n_qubits + EffectiveGates(circuit=circuit).effective_angles // (n_features + 1 + n_classes)


def label(model: Model, circuit: Circuit, *, n_features: int, n_classes: int) -> str:
    """What is trained, in words: networks with one label are one network, so circuits may share a control.

    A circuit bears its own name also where no entangler of it is live, and it is its separable control.
    """
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
            named = f"{circuit.n_qubits} qubits, {circuit.embedding_label}, {rotations}, no entangler"
            return named if rotations else embedding_alone
        case Model.MLP:
            return f"mlp, {mlp_width(circuit, n_features=n_features, n_classes=n_classes)} tanh units"


def fit_baseline(baseline: Baseline, splits: DataSplits, *, score: Score) -> Confirmed:
    """Fit a classical model, and judge it on the test part. No randomness is in it.

    Args:
        score: by which the best of a grid is chosen.
    """
    return _interruptible(lambda: _fit_baseline(baseline, splits, score))


def _interruptible(call: Callable[[], Confirmed]) -> Confirmed:
    """Return the result of a call in a thread of its own.

    Python handles a signal in the main thread between two of its own instructions: not while libsvm runs there, but while
    the main thread waits for another.
    """
    future: Future[Confirmed] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True, name=FOREIGN).start()
    return future.result()


def _fit_baseline(baseline: Baseline, splits: DataSplits, score: Score) -> Confirmed:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    started, train_part, validation = time.perf_counter(), splits.train, splits.validation
    if baseline is Baseline.SVM_GRID:
        model, validated = _best_of_grid(splits, score)
    else:
        # Of the data sets all of MNIST needs more than the 100 iterations of the default.
        model = SVC() if baseline is Baseline.SVM else LogisticRegression(max_iter=1_000)
        model.fit(train_part.x, train_part.y)
        validated = Scores.of(validation.y, model.predict(validation.x))
    weights = model.coef_ if baseline is Baseline.LOGISTIC else model.dual_coef_
    counts = confusion(splits.test.y, model.predict(splits.test.x), n_classes=splits.n_classes)
    return Confirmed(
        test_accuracy=Scores.of_confusion(counts).accuracy,
        validation_accuracy=validated.accuracy,
        validation_balanced_accuracy=validated.balanced,
        confusion=counts,
        losses=(),
        validation_accuracies=(),
        parameters=int(weights.size + model.intercept_.size),
        seconds=time.perf_counter() - started,
    )


def _best_of_grid(splits: DataSplits, score: Score) -> tuple[Any, Scores]:
    """The support vector machine of the grid that `Baseline.SVM_GRID` describes, and its validation scores."""
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.svm import SVC

    parts = (splits.train, splits.validation)
    x, y = np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
    # -1 is always trained on, 0 is validated on.
    once = PredefinedSplit(np.repeat([-1, 0], [len(part) for part in parts]))
    grid = {"C": GRID_C, "gamma": [multiple / splits.n_features for multiple in GRID_GAMMA]}
    # Not scikit-learn's own of this name: that warns where the validation part lacks a class.
    scoring = {str(one): make_scorer(lambda true, told, one=one: Scores.of(true, told).by(one)) for one in Score}
    search = GridSearchCV(SVC(), grid, cv=once, scoring=scoring, refit=str(score)).fit(x, y)
    accuracy, balanced = (float(search.cv_results_[f"mean_test_{one}"][search.best_index_]) for one in Score)
    return search.best_estimator_, Scores(accuracy=accuracy, balanced=balanced)


def curve_epochs(epochs: int) -> tuple[int, ...]:
    """The epochs, from 1, of which a learning curve is kept: all, or `CURVE_POINTS` of them, evenly spaced up to the last."""
    points = min(epochs, CURVE_POINTS)
    return tuple(point * epochs // points for point in range(1, points + 1))


def _thinned(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(values[epoch - 1] for epoch in curve_epochs(len(values)))
