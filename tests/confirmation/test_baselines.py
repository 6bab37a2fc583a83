import itertools
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.svm import SVC
from torch import nn

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.config import Score, TrainingConfig
from faqnas_optuna.confirmation.baselines import (
    GRID_C,
    GRID_GAMMA,
    Baseline,
    ConfirmationResult,
    Model,
    confirm_once,
    confirmation_generator,
    curve_epochs,
    fit_baseline,
    label,
    mlp_width,
)
from faqnas_optuna.data.named import load
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.training.evaluation import training_generator
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import recalls
from faqnas_optuna.training.training import train
from faqnas_optuna.training.values import Costs
from tests.conftest import TIMEOUT_S

RX, RY, RZ = Rotation.RX, Rotation.RY, Rotation.RZ


def circuit(*rotations: Rotation, entangler: Entangler = Entangler.CNOT, n_qubits: int = 3, **genes: Any) -> Circuit:
    genes = {"embedding": Embedding.ANGLE, "topology": Topology.LINEAR, **genes}
    return Circuit(n_qubits=n_qubits, entangler=entangler, rotations=rotations, **genes)


CIRCUIT = circuit(RX, RY, RZ)


def confirmed(model: Model, splits: DataSplits, of: Circuit = CIRCUIT, seed: int = 0, **settings: Any) -> ConfirmationResult:
    training = TrainingConfig(**{"epochs": 12, "learning_rate": 0.03, **settings})
    return confirm_once(model, of, splits, training, generator=confirmation_generator(seed, 0))


def without_time(result: ConfirmationResult) -> ConfirmationResult:
    return replace(result, seconds=0.0)


def test_parameters_by_hand(iris: DataSplits) -> None:
    # Four features, three qubits, three classes: 4·3 + 3 before the circuit and 3·3 + 3 after it.
    linear_layers = 15 + 12
    counted = {model: confirmed(model, iris, epochs=1).parameters for model in Model}
    assert counted == {
        Model.CIRCUIT: linear_layers + 2 * 3,
        Model.LINEAR: linear_layers,
        Model.EMBEDDING: linear_layers,
        Model.SEPARABLE: linear_layers + 2 * 3,
        # Three hidden units: a fourth would add eight parameters, but only six angles are effective (each RZ is inert).
        Model.MLP: linear_layers,
    }


def test_the_classical_network_is_the_widest_with_no_more_parameters() -> None:
    for n_qubits, rotations, (d, c) in itertools.product((2, 5, 10), ((RZ,), (RY, RX, RY, RX)), ((2, 2), (4, 3), (64, 10))):
        of = circuit(*rotations, n_qubits=n_qubits)
        live = Costs.of(of, n_features=d, n_classes=c).effective_parameters
        width = mlp_width(of, n_features=d, n_classes=c)
        assert d * width + width + c * width + c <= live < d * (width + 1) + width + 1 + c * (width + 1) + c


def test_the_circuit_is_trained_as_the_search_trains_it(iris: DataSplits) -> None:
    suggested = circuit(RX, RY, RZ, RZ, entangler=Entangler.CZ)
    # The effective circuit is trained, without the inert layers.
    effective = effective_circuit(suggested)
    training = TrainingConfig(epochs=12, learning_rate=0.03)
    result = train(effective, iris, training, generator=confirmation_generator(0, 0))
    confirmation = confirmed(Model.CIRCUIT, iris, suggested)
    assert (confirmation.losses, confirmation.validation_accuracy) == (result.losses, result.validation.accuracy)


def test_the_separable_control_of_a_circuit_without_live_entangler_is_that_circuit(iris: DataSplits) -> None:
    of = circuit(RX, entangler=Entangler.CZ)
    assert without_time(confirmed(Model.SEPARABLE, iris, of)) == without_time(confirmed(Model.CIRCUIT, iris, of))


@pytest.mark.parametrize("model", [Model.LINEAR, Model.MLP, Model.EMBEDDING, Model.SEPARABLE])
def test_a_control_is_that_network_trained_by_torch(model: Model, iris: DataSplits) -> None:
    of = circuit(RY, RY, n_qubits=4)
    width = 5 if model is Model.MLP else 4
    assert mlp_width(of, n_features=4, n_classes=3) == 5
    generator = confirmation_generator(0, 0)
    depth = 2 if model is Model.SEPARABLE else 0
    layout = Layout(n_features=4, n_qubits=width, depth=depth, n_classes=3)
    parts = [torch.from_numpy(part.copy()).requires_grad_() for part in layout.parts(layout.draw(generator))]
    encoder, bias, angles, *classifier = parts

    def scores(x: Any) -> torch.Tensor:
        hidden = nn.functional.linear(torch.from_numpy(x), encoder, bias)
        # ⟨Z⟩ of RY(θ) RY(2x)|0⟩ is cos(2x + θ).
        between = {
            Model.LINEAR: lambda: hidden,
            Model.MLP: lambda: torch.tanh(hidden),
            Model.EMBEDDING: lambda: torch.cos(2 * hidden),
            Model.SEPARABLE: lambda: torch.cos(2 * hidden + angles.sum(dim=0)),
        }
        return nn.functional.linear(between[model](), *classifier)

    def share_right(part: Split) -> float:
        return float((scores(part.x).argmax(dim=1).numpy() == part.y).mean())

    adam = torch.optim.Adam([part for part in parts if part.numel()], lr=0.03)
    losses, accuracies = [], []
    for _ in range(12):
        batches = np.split(generator.permutation(90), [64])
        of_epoch = []
        for rows in batches:
            adam.zero_grad()
            loss = nn.functional.cross_entropy(scores(iris.train.x[rows]), torch.from_numpy(iris.train.y[rows]))
            loss.backward()
            adam.step()
            of_epoch.append(loss.item())
        losses.append(np.mean(of_epoch))
        accuracies.append(share_right(iris.validation))
    result = confirmed(model, iris, of)
    assert result.losses == pytest.approx(losses, abs=1e-4)
    assert result.validation_accuracies == pytest.approx(accuracies)
    assert result.validation_accuracy == accuracies[-1] > accuracies[0]
    assert result.test_accuracy == pytest.approx(share_right(iris.test))
    predictions = scores(iris.test.x).argmax(dim=1).numpy()
    assert [list(row) for row in result.confusion] == confusion_matrix(iris.test.y, predictions).tolist()


@pytest.mark.parametrize("model", Model)
def test_the_same_generator_gives_the_same_result_and_another_another(model: Model, iris: DataSplits) -> None:
    first, again, other = (without_time(confirmed(model, iris, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first.losses != other.losses


@pytest.mark.parametrize("model", Model)
def test_the_test_part_is_judged_and_never_trained_on(model: Model, iris: DataSplits) -> None:
    result = confirmed(model, iris)
    turned = confirmed(model, replace(iris, test=Split(x=iris.test.x, y=(iris.test.y + 1) % 3)))
    assert (turned.losses, turned.validation_accuracies) == (result.losses, result.validation_accuracies)
    assert turned.test_accuracy != result.test_accuracy
    # The labels of the test part are shifted by one class, and so are the rows.
    assert turned.confusion == (result.confusion[-1], *result.confusion[:-1])
    assert sum(map(sum, result.confusion)) == len(iris.test)
    assert result.test_accuracy == sum(result.confusion[c][c] for c in range(3)) / len(iris.test)


@pytest.mark.parametrize("baseline", Baseline)
def test_so_it_is_by_baselines(baseline: Baseline, iris: DataSplits) -> None:
    result = fit_baseline(baseline, iris, score=Score.ACCURACY)
    assert without_time(fit_baseline(baseline, iris, score=Score.ACCURACY)) == without_time(result)
    other = replace(iris, test=Split(x=iris.test.x, y=(iris.test.y + 1) % 3))
    turned = fit_baseline(baseline, other, score=Score.ACCURACY)
    assert turned.confusion == (result.confusion[-1], *result.confusion[:-1])
    assert turned.validation_accuracy == result.validation_accuracy
    assert (result.losses, result.validation_accuracies) == ((), ())


def assert_is(result: ConfirmationResult, model: Any, splits: DataSplits) -> None:
    assert result.test_accuracy == model.score(splits.test.x, splits.test.y)
    matrix = confusion_matrix(splits.test.y, model.predict(splits.test.x))
    assert [list(row) for row in result.confusion] == matrix.tolist()


@pytest.mark.parametrize("name", ["iris", "breast-cancer"])
def test_baselines_are_scikit_learns(name: str) -> None:
    splits = load(name, seed=0)
    x, y = splits.train.x, splits.train.y
    logistic, svm = LogisticRegression().fit(x, y), SVC().fit(x, y)
    for baseline, model in ((Baseline.LOGISTIC, logistic), (Baseline.SVM, svm)):
        result = fit_baseline(baseline, splits, score=Score.ACCURACY)
        assert_is(result, model, splits)
        assert result.validation_accuracy == model.score(splits.validation.x, splits.validation.y)
    # scikit-learn uses a single decision function for two classes.
    scores = 3 if splits.n_classes == 3 else 1
    parameters = [fit_baseline(one, splits, score=Score.ACCURACY).parameters for one in (Baseline.LOGISTIC, Baseline.SVM)]
    assert parameters == [scores * (splits.n_features + 1), (splits.n_classes - 1) * len(svm.support_) + scores]


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_the_grid_is_chosen_on_the_validation_part_and_fitted_on_both(name: str) -> None:
    splits = load(name, seed=0)
    best, chosen = -1.0, (0.0, 0.0)
    for c, multiple in itertools.product(GRID_C, GRID_GAMMA):
        model = SVC(C=c, gamma=multiple / splits.n_features).fit(splits.train.x, splits.train.y)
        if (score := model.score(splits.validation.x, splits.validation.y)) > best:
            best, chosen = score, (c, multiple / splits.n_features)
    parts = (splits.train, splits.validation)
    both = np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
    result = fit_baseline(Baseline.SVM_GRID, splits, score=Score.ACCURACY)
    assert_is(result, SVC(C=chosen[0], gamma=chosen[1]).fit(*both), splits)
    assert result.validation_accuracy == best


SLOW = """
import os, signal, threading, time
import numpy as np
from faqnas_optuna.config import Score
from faqnas_optuna.data.named import load
from faqnas_optuna.data.splits import Split
from faqnas_optuna.confirmation.baselines import Baseline, fit_baseline
from faqnas_optuna.machine import leave
from faqnas_optuna.signals import Signals
from dataclasses import replace

generator = np.random.default_rng(0)
iris = load("iris", seed=0)
noise = Split(x=generator.normal(size=(10_000, iris.n_features)), y=generator.integers(3, size=10_000))
fit_baseline(Baseline.SVM, iris, score=Score.ACCURACY)

def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)
    while not signals.first:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

with Signals().caught() as signals, signals.giving_up():
    threading.Timer(1, interrupt).start()
    fit_baseline(Baseline.SVM_GRID, replace(iris, train=noise, validation=noise), score=Score.ACCURACY)
    print("fitted")
leave(signals.exit_code)
"""


@pytest.mark.slow
def test_a_second_signal_ends_the_fit_of_a_support_vector_machine() -> None:
    """Fit noise, which would take many minutes, and interrupt it."""
    process = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (process.returncode, process.stdout) == (143, ""), process.stderr


def test_labels_name_what_is_trained() -> None:
    labels = {model: label(model, CIRCUIT, n_features=4, n_classes=3) for model in Model}
    assert labels == {
        Model.CIRCUIT: "3 qubits, angle, RX RY RZ, CNOT linear",
        Model.LINEAR: "linear, 3 wide",
        Model.EMBEDDING: "angle embedding, 3 qubits",
        Model.SEPARABLE: "3 qubits, angle, RX RY, no entangler",
        Model.MLP: "mlp, 3 tanh units",
    }
    # Without entanglers, RZ does not affect the measurements, so only the embedding remains.
    assert label(Model.SEPARABLE, circuit(RZ, RZ), n_features=4, n_classes=3) == "angle embedding, 3 qubits"
    assert label(Model.CIRCUIT, circuit(RX, RZ, entangler=Entangler.CZ), n_features=4, n_classes=3).endswith("RX, CZ linear")


def test_controls_are_alike_if_their_labels_are(iris: DataSplits) -> None:
    """Compare controls of circuits of which some share a control, for different reasons."""
    of = [
        CIRCUIT,
        circuit(RX, RY, RZ, topology=Topology.CIRCULAR),
        circuit(RX, RY, RY),
        circuit(RX, RY, RZ, RZ, entangler=Entangler.CZ),
        circuit(RX, RY, embedding=Embedding.AMPLITUDE),
        circuit(RZ, RZ),
        circuit(RX, RY, n_qubits=2),
        circuit(RX, RY, RX, RY, n_qubits=2),
    ]
    controls = [model for model in Model if model is not Model.CIRCUIT]
    by_label: dict[str, set[ConfirmationResult]] = {}
    for one, model in itertools.product(of, controls):
        result = without_time(confirmed(model, iris, one, epochs=3))
        by_label.setdefault(label(model, one, n_features=4, n_classes=3), set()).add(result)
    assert all(len(results) == 1 for results in by_label.values())
    assert len(set.union(*by_label.values())) == len(by_label) < len(of) * len(controls) - 10


def test_circuit_and_controls_begin_alike(iris: DataSplits) -> None:
    """Check that the linear layers start from the same values, so that pairs differ in the part between only."""
    without, whole = (
        Layout(n_features=4, n_qubits=3, depth=depth, n_classes=3).draw(confirmation_generator(5, 1))[:15] for depth in (0, 3)
    )
    assert np.array_equal(without, whole)


def test_the_seeds_of_a_confirmation_are_its_own() -> None:
    drawn = {confirmation_generator(seed, repeat).random() for seed in range(5) for repeat in range(5)}
    searched = {training_generator(seed, CIRCUIT, repeat).random() for seed in range(5) for repeat in range(5)}
    assert len(drawn | searched) == 50
    # numpy ignores trailing zeros of a seed sequence, so repeat 0 must not end up with the plain seed.
    assert np.random.default_rng([3, 1, 0]).random() == np.random.default_rng([3, 1]).random()
    assert confirmation_generator(3, 0).random() != np.random.default_rng(3).random()


@pytest.mark.parametrize("model", [Model.CIRCUIT, Model.LINEAR])
def test_a_long_curve_is_thinned(model: Model, iris: DataSplits) -> None:
    short = replace(iris, train=Split(x=iris.train.x[:4], y=iris.train.y[:4]))
    long = confirmed(model, short, epochs=250)
    assert len(long.losses) == len(long.validation_accuracies) == 100
    assert long.losses[1] == confirmed(model, short, epochs=5).losses[-1]
    assert long.validation_accuracies[-1] == long.validation_accuracy


def test_the_epochs_of_a_curve() -> None:
    assert curve_epochs(1) == (1,)
    assert curve_epochs(100) == tuple(range(1, 101))
    assert curve_epochs(200) == tuple(range(2, 201, 2))
    for epochs in (101, 137, 999, 100_000):
        curve = curve_epochs(epochs)
        assert (len(curve), curve[-1]) == (100, epochs)
        assert {later - earlier for earlier, later in itertools.pairwise(curve)} <= {epochs // 100, epochs // 100 + 1}


def test_recall_is_the_share_of_a_class_that_is_told_right() -> None:
    assert recalls([[3, 1, 0], [0, 0, 0], [2, 0, 0]]) == (0.75, None, 0)


@pytest.mark.parametrize("model", Model)
def test_a_loss_that_is_not_finite_ends_the_training(model: Model, iris: DataSplits) -> None:
    broken = replace(iris, train=Split(x=np.full_like(iris.train.x, np.inf), y=iris.train.y))
    with pytest.raises(TrainingError, match="the loss is nan in epoch 1 of 12; try a lower learning rate"):
        confirmed(model, broken)


def test_the_module_loads_nothing_that_trains() -> None:
    program = (
        "import sys, faqnas_optuna.confirmation.baselines; print({'numba', 'torch', 'pennylane', 'sklearn'} & {*sys.modules})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert result.stdout == "set()\n"
