import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from faqnas_optuna.circuits.effective import EffectiveGates, all_layers, effective_circuit
from faqnas_optuna.circuits.functions import function_of, is_entangled
from faqnas_optuna.circuits.genome import MAX_DEPTH, Circuit, Embedding, Entangler, Rotation, Topology, can_reupload
from faqnas_optuna.circuits.pennylane_circuit import qnode
from faqnas_optuna.config import Engine, TrainingConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.gate_kernels import Array
from faqnas_optuna.tables.space import all_circuits
from faqnas_optuna.training.engines import train_on
from tests.support.pennylane_batches import batches, measured_in_bulk

CIRCUITS = sorted(all_circuits(), key=str)
SAMPLES = 2


def circuit(text: str, n_qubits: int = 3, embedding: Embedding = Embedding.ANGLE) -> Circuit:
    *rotations, entangler, topology = text.split()
    return Circuit(
        n_qubits=n_qubits,
        embedding=embedding,
        entangler=Entangler(entangler),
        topology=Topology(topology),
        rotations=tuple(Rotation(rotation) for rotation in rotations),
    )


@pytest.mark.parametrize(
    ("suggested", "function", "entangled"),
    [
        # An even number of CZ layers between two mixing layers cancels, an odd number does not.
        (circuit("RX RZ RY CZ circular"), "3 qubits, angle, RX RZ RY, CZ linear", False),
        (circuit("RX RZ RZ RY CZ circular"), "3 qubits, angle, RX RZ RZ RY, CZ circular", True),
        (circuit("RX RZ RY ZZ circular"), "3 qubits, angle, RX RZ RY, ZZ circular", True),
        (circuit("RX RZ RY CNOT linear"), "3 qubits, angle, RX RZ RY, CNOT linear", True),
        # A² = 1 on two qubits and A⁴ = 1 on three, in a linear topology.
        (circuit("RX RZ CNOT linear", n_qubits=2), "2 qubits, angle, RX, CZ linear", False),
        (circuit("RX RZ RZ CNOT linear", n_qubits=2), "2 qubits, angle, RX, CNOT linear", True),
        (circuit("RX RZ RZ RZ CNOT linear"), "3 qubits, angle, RX, CZ linear", False),
        (circuit("RX RZ RZ RZ CNOT circular"), "3 qubits, angle, RX RZ RZ RZ, CNOT circular", True),
        # Amplitude embedding fills |000⟩, |001⟩ and |010⟩, or |0000⟩ to |0011⟩.
        (circuit("RZ RX CZ circular", embedding=Embedding.AMPLITUDE), "3 qubits, amplitude, RZ RX, CZ linear", False),
        (
            circuit("RZ RX CZ circular", n_qubits=4, embedding=Embedding.AMPLITUDE),
            "4 qubits, amplitude, RZ RX, CZ linear",
            True,
        ),
        (circuit("RZ RX CZ circular"), "3 qubits, angle, RZ RX, CZ circular", True),
        # The state before the last RX is real, except with IQP embedding or RX.
        (circuit("RY RX CZ circular"), "3 qubits, angle, RY RX, CZ linear", False),
        (circuit("RY RX CZ circular", embedding=Embedding.IQP), "3 qubits, iqp, RY RX, CZ circular", True),
        (circuit("RX RX CZ circular"), "3 qubits, angle, RX RX, CZ circular", True),
        (circuit("RY RY RX CZ circular"), "3 qubits, angle, RY RY RX, CZ circular", True),
    ],
    ids=str,
)
def test_each_rule_has_its_conditions(suggested: Circuit, function: str, entangled: bool) -> None:
    assert (str(function_of(suggested)), is_entangled(suggested)) == (function, entangled)


def test_the_space_has_6553_functions_and_one_circuit_represents_each() -> None:
    functions = {function_of(one) for one in CIRCUITS}
    effective = {effective_circuit(one) for one in CIRCUITS}
    assert (len(effective), len(functions)) == (6786, 6553)
    assert functions <= effective
    assert all(function_of(one) == one for one in functions)
    # Entanglers without effect can be left out: the rotations of the representative are those of an unentangled circuit.
    assert [sum(not is_entangled(one) for one in circuits) for circuits in (CIRCUITS, effective, functions)] == [992, 354, 196]
    assert all(one.entangler is Entangler.CZ and one.topology is Topology.LINEAR for one in functions if not is_entangled(one))


@pytest.mark.parametrize("n_qubits", [n if n < 6 else pytest.param(n, marks=pytest.mark.slow) for n in range(2, 11)])
def test_pennylane_measures_equal_values_for_equal_functions_only(n_qubits: int) -> None:
    """Partition the effective circuits by measured values, for equal random inputs and weights of all circuits."""
    effective = sorted({effective_circuit(one) for one in CIRCUITS if one.n_qubits == n_qubits}, key=str)
    generator = np.random.default_rng(n_qubits)
    inputs = generator.normal(size=(SAMPLES, n_qubits))
    weights = generator.uniform(0, 2 * np.pi, (SAMPLES, 4, n_qubits))
    values = np.concatenate([measured(effective, inputs[sample], weights[sample]) for sample in range(SAMPLES)], axis=1)
    place_of = {one: place for place, one in enumerate(effective)}
    representatives = [place_of[function_of(one)] for one in effective]
    np.testing.assert_allclose(values, values[representatives], rtol=0, atol=1e-9)
    distances = cdist(*[values[sorted({*representatives})]] * 2, metric="chebyshev")
    assert distances[np.triu_indices_from(distances, 1)].min() > 1e-6


def measured(circuits: list[Circuit], inputs: Array, weights: Array) -> Array:
    """Return ⟨Z⟩ (circuits, wires) of circuits for the same inputs and weights."""
    angles = np.stack([aligned(one, weights) for one in circuits])
    values = np.empty((len(circuits), inputs.size))
    with torch.no_grad():
        for places in batches(circuits, [1] * len(circuits)):
            chosen = [circuits[place] for place in places]
            repeated = torch.tensor(np.tile(inputs, (len(places), 1)))
            layers = [all_layers(one) for one in chosen]
            values[places] = measured_in_bulk(chosen, layers, range(len(places)), repeated, torch.tensor(angles[places]))
    return values


def aligned(one: Circuit, weights: Array) -> Array:
    """Return weights of the same shape, whose first rows are in the layers with effective rotations, in order."""
    gates = EffectiveGates(circuit=one)
    # Inert angles have other values in every circuit.
    result = np.random.default_rng(int(one.digest, 16)).uniform(0, 2 * np.pi, weights.shape)
    result[gates.leading : gates.mixing_depth] = weights[: len(gates.effective_rotations)]
    return result


@st.composite
def wide_circuits(draw: st.DrawFn) -> Circuit:
    """Draw circuits of every space, with many RZ, which make equal functions frequent."""
    depth = draw(st.integers(1, MAX_DEPTH))
    n_qubits = draw(st.sampled_from([2, 2, 3, 3, 4, 5, 6, 12]))
    embedding = draw(st.sampled_from(Embedding))
    rotations = st.sampled_from([Rotation.RZ, Rotation.RZ, Rotation.RX, Rotation.RY])
    return Circuit(
        n_qubits=n_qubits,
        embedding=embedding,
        entangler=draw(st.sampled_from(Entangler)),
        topology=draw(st.sampled_from(Topology)) if n_qubits > 2 else Topology.LINEAR,
        rotations=tuple(draw(st.lists(rotations, min_size=depth, max_size=depth))),
        reuploading=draw(st.booleans()) and can_reupload(embedding, depth),
    )


@pytest.mark.slow
@given(wide_circuits(), st.integers(0, 2**32 - 1))
def test_in_every_space_the_function_measures_the_same(one: Circuit, seed: int) -> None:
    function = function_of(one)
    assert function_of(function) == function
    generator = np.random.default_rng(seed)
    inputs = torch.tensor(generator.normal(size=one.n_qubits))
    weights = generator.uniform(0, 2 * np.pi, one.weights_shape)
    angles = weights
    if function.depth != one.depth or function.weights_shape != one.weights_shape:
        # Only layers without effective angles are left out, and the topology changes only without effective entanglers.
        rows, of_function = EffectiveGates(circuit=one), EffectiveGates(circuit=function)
        assert rows.effective_rotations == of_function.effective_rotations
        angles = generator.uniform(0, 2 * np.pi, function.weights_shape)
        width = min(angles.shape[1], weights.shape[1])
        angles[of_function.leading : of_function.mixing_depth, :width] = weights[rows.leading : rows.mixing_depth, :width]
    np.testing.assert_allclose(qnode(function)(inputs, angles), qnode(one)(inputs, weights), rtol=0, atol=1e-9)


def test_equal_functions_train_equally_from_equal_parameters(iris: DataSplits) -> None:
    # The two circuits have equally many angles, so that equal generators draw equal parameters.
    results = [
        train_on(
            Engine.FAST,
            circuit(f"RX RZ RY CZ {topology}"),
            iris,
            TrainingConfig(epochs=5),
            generator=np.random.default_rng(0),
        )
        for topology in Topology
    ]
    np.testing.assert_array_equal(results[0].parameters, results[1].parameters)
