import numpy as np

from faqnas_optuna.circuits.effective import Layer
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.training.parameters import Layout

CIRCUIT = Circuit(
    n_qubits=3,
    embedding=Embedding.AMPLITUDE,
    entangler=Entangler.CZ,
    topology=Topology.CIRCULAR,
    rotations=(Rotation.RX, Rotation.RY),
)
LAYOUT = Layout.of(CIRCUIT, n_features=5, n_classes=4)


def test_the_parts_are_all_of_the_vector_in_order() -> None:
    vector = np.arange(LAYOUT.size)
    parts = LAYOUT.parts(vector)
    assert [part.shape for part in parts] == [(3, 5), (3,), (2, 3), (4, 3), (4,)] == list(LAYOUT.shapes)
    assert np.array_equal(np.concatenate([part.ravel() for part in parts]), vector)
    parts.angles[:] = -1
    assert (vector == -1).sum() == 6


def test_layers_that_are_applied_instead_have_their_angles() -> None:
    for layers in ((), (Layer(Rotation.RY, False),)):
        layout = Layout.of(CIRCUIT, n_features=5, n_classes=4, layers=layers)
        assert layout.shapes.angles == (len(layers), 3)
        assert layout.size == LAYOUT.size - (2 - len(layers)) * 3
        # The encoder starts from the same values, however many angles follow it.
        first = layout.parts(layout.draw(np.random.default_rng(3))).encoder_weights
        assert np.array_equal(first, LAYOUT.parts(LAYOUT.draw(np.random.default_rng(3))).encoder_weights)


def test_a_draw_depends_on_the_generator_alone() -> None:
    first, again, other = (LAYOUT.draw(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not (first == other).any()


def test_initial_parameters_are_spread_as_said() -> None:
    draws = [LAYOUT.parts(LAYOUT.draw(np.random.default_rng(seed))) for seed in range(200)]
    spread = {name: np.array([getattr(parts, name) for parts in draws]) for name in LAYOUT.shapes._fields}
    bounds = {"encoder_weights": 5, "encoder_bias": 5, "classifier_weights": 3, "classifier_bias": 3}
    for name, inputs in bounds.items():
        bound = 1 / np.sqrt(inputs)
        assert -bound <= spread[name].min() < -0.95 * bound < 0.95 * bound < spread[name].max() <= bound
    assert 0 <= spread["angles"].min() < 0.1 < 6.2 < spread["angles"].max() < 2 * np.pi
