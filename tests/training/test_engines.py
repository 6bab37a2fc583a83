"""Circuits that the fast engine does not support: PennyLane trains and predicts them with either engine setting."""

import subprocess
import sys
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.config import Engine, TrainingConfig
from faqnas_optuna.confirmation.baselines import Model, confirm_once, confirmation_generator, label
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.models.estimator import HQNNClassifier
from faqnas_optuna.training.engines import fit_on, predict_scores, train_on
from faqnas_optuna.training.model import HQNN, FastLayer, PennyLaneLayer, quantum_layer
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.training import train
from tests.support.processes import TIMEOUT_S, cli_environment

BUDGET = TrainingConfig(epochs=2, learning_rate=0.03)


def circuit(entangler: Entangler, embedding: Embedding = Embedding.ANGLE) -> Circuit:
    rotations = (Rotation.RX, Rotation.RZ)
    return Circuit(n_qubits=3, embedding=embedding, entangler=entangler, topology=Topology.CIRCULAR, rotations=rotations)


CRX = circuit(Entangler.CRX)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def by_hand(x: np.ndarray, parameters: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the scores (classes,) of a sample (features,), computed gate by gate."""
    parts = layout.parts(parameters.astype(np.float64))
    encoded = parts.encoder_weights @ x + parts.encoder_bias

    def measured() -> list[object]:
        for wire, value in enumerate(encoded):
            qml.RY(2 * value, wires=wire)
        for rotation, angles in zip((qml.RX, qml.RZ), parts.angles, strict=True):
            for wire in range(3):
                rotation(angles[wire], wires=wire)
            for angle, pair in zip(angles[3:], [(0, 1), (1, 2), (2, 0)], strict=True):
                # RX if the control is |1⟩.
                c, s = np.cos(angle / 2), -1j * np.sin(angle / 2)
                qml.QubitUnitary(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, c, s], [0, 0, s, c]]), wires=pair)
        return [qml.expval(qml.Z(wire)) for wire in range(3)]

    node = qml.QNode(measured, qml.device("default.qubit", wires=3))
    scores: np.ndarray = parts.classifier_weights @ np.array(node()) + parts.classifier_bias
    return scores


def test_only_what_has_a_fast_form_runs_on_the_fast_engine() -> None:
    assert [entangler for entangler in Entangler if Engine.FAST.of(circuit(entangler)) is not Engine.FAST] == [Entangler.CRX]
    assert {Engine.PENNYLANE.of(circuit(entangler)) for entangler in Entangler} == {Engine.PENNYLANE}
    layers = [quantum_layer(of, Engine.FAST, torch.ones(of.weights_shape)) for of in (circuit(Entangler.CZ), CRX)]
    assert [type(layer) for layer in layers] == [FastLayer, PennyLaneLayer]


@pytest.mark.parametrize("embedding", Embedding)
def test_it_learns_on_pennylane_whichever_is_asked_for(embedding: Embedding, iris: DataSplits) -> None:
    of = circuit(Entangler.CRX, embedding)
    first, again = (train_on(engine, of, iris, BUDGET, generator=rng()) for engine in Engine)
    assert np.array_equal(first.parameters, again.parameters)
    assert first.losses[1] < first.losses[0]
    start = Layout.of(of, n_features=4, n_classes=3).draw(rng())
    # All angles of entanglers are trained; only some parameters of basis embedding stay at their start.
    assert (first.parameters != start).mean() > 0.9
    alone = fit_on(Engine.FAST, of, iris.train, BUDGET, n_classes=3, generator=rng())
    assert np.array_equal(alone.parameters, first.parameters)


def test_predictions_are_those_of_the_gates_and_of_the_module(iris: DataSplits) -> None:
    layout = Layout.of(CRX, n_features=4, n_classes=3)
    parameters = layout.draw(rng())
    scores = predict_scores(CRX, layout, parameters, iris.test.x)
    expected = np.array([by_hand(x, parameters, layout) for x in iris.test.x[:3]])
    np.testing.assert_allclose(scores[:3], expected, atol=1e-5)
    module = HQNN(CRX, n_features=4, n_classes=3, engine=Engine.FAST, generator=rng())
    log_probabilities = module(torch.from_numpy(iris.test.x)).detach().numpy()
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), np.exp(log_probabilities), atol=1e-5)
    assert predict_scores(CRX, layout, parameters, iris.test.x[:0]).shape == (0, 3)


def test_a_confirmation_trains_it_there_and_its_controls_without_entanglers_on_the_fast_engine(iris: DataSplits) -> None:
    confirmed = {
        model: confirm_once(model, CRX, iris, BUDGET, generator=confirmation_generator(0, 0))
        for model in (Model.CIRCUIT, Model.SEPARABLE, Model.EMBEDDING)
    }
    trained = train_on(Engine.PENNYLANE, CRX, iris, BUDGET, generator=confirmation_generator(0, 0))
    assert confirmed[Model.CIRCUIT].losses == trained.losses
    # RX, RZ and two layers of three angles; without entanglers the layer of RZ is inert.
    assert [one.parameters for one in confirmed.values()] == [27 + 6 + 6, 27 + 3, 27]
    assert label(Model.SEPARABLE, CRX, n_features=4, n_classes=3) == "3 qubits, angle, RX, no entangler"
    layers = EffectiveGates(circuit=CRX).separable
    separable = train(CRX, iris, BUDGET, generator=confirmation_generator(0, 0), layers=layers)
    assert confirmed[Model.SEPARABLE].losses == separable.losses


def test_what_cannot_be_written_is_predicted_from(iris: DataSplits) -> None:
    layout = Layout.of(CRX, n_features=4, n_classes=3)
    parameters, x = layout.draw(rng()), iris.test.x.copy()
    expected = predict_scores(CRX, layout, parameters, x)
    parameters.flags.writeable = x.flags.writeable = False
    assert np.array_equal(predict_scores(CRX, layout, parameters, x), expected)


@pytest.mark.slow
def test_no_trial_waits_for_an_engine() -> None:
    """Check in a fresh process that training imports nothing more than `prepare` did, first without PennyLane, then with it."""
    program = (
        "import sys\n"
        "from faqnas_optuna.circuits.genome import enumerate_genomes\n"
        "from faqnas_optuna.config import StudyConfig\n"
        "from faqnas_optuna.data.named import load\n"
        "from faqnas_optuna.training.evaluation import evaluate, prepare\n"
        "iris = load('iris', seed=0)\n"
        "for entangler in ('CNOT', 'CRX'):\n"
        "    space = {'entangler': [entangler], 'n_qubits': [2, 3]}\n"
        "    config = StudyConfig.from_settings({'dataset': 'iris', 'space': space}, source='here')\n"
        "    circuit = next(enumerate_genomes(config.space.genes)).circuit\n"
        "    prepare(config.engines)\n"
        "    before = {*sys.modules}\n"
        "    evaluate(circuit, iris, config)\n"
        "    print(*sorted({'numba', 'pennylane', 'torch'} & before))\n"
        "    print(*sorted(name for name in {*sys.modules} - before if not name.startswith('faqnas')))"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (result.stdout.splitlines(), result.returncode) == (["numba", "", "numba pennylane torch", ""], 0), result.stderr


def test_the_classifier_takes_it(iris: DataSplits) -> None:
    genes: dict[str, Any] = {"n_qubits": 3, "entangler": "CRX", "rotation_1": "RX", "rotation_2": "RZ"}
    classifier = HQNNClassifier(**genes, epochs=2, random_state=0).fit(iris.train.x, iris.train.y)
    again = HQNNClassifier(**genes, epochs=2, random_state=0, engine="pennylane").fit(iris.train.x, iris.train.y)
    assert np.array_equal(classifier.predict_proba(iris.test.x), again.predict_proba(iris.test.x))
