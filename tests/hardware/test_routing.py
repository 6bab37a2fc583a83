"""Routing on devices: circuits that need no SWAPs, the order of gates, and a comparison with Qiskit's transpiler."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from benchmarks.references import qiskit_gates
from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import ALL_TO_ALL, DEVICES, Device
from faqnas_optuna.hardware.graph import Pair
from faqnas_optuna.hardware.routing import Route, patch, route
from tests.support.sampling import mostly_slow

CHIPS = [device for device in DEVICES.values() if device.coupling != ALL_TO_ALL]


def line(n_wires: int) -> list[Pair]:
    return list(pairwise(range(n_wires)))


def circle(n_wires: int) -> list[Pair]:
    return [*line(n_wires), (0, n_wires - 1)]


def routed(pairs: Sequence[Pair], n_wires: int, device: Device) -> Route:
    return route(tuple(pairs), n_wires, patch(device.pairs))


@pytest.mark.parametrize("device", DEVICES.values(), ids=lambda device: str(device.name))
def test_a_line_lies_on_every_device(device: Device) -> None:
    for n_wires in range(2, 13):
        assert routed(line(n_wires) * 3, n_wires, device).two_qubit_gates == 3 * (n_wires - 1)


def test_rings_lie_on_rings() -> None:
    """Check that heavy hexagons have rings of twelve qubits, squares all even rings, and all-to-all devices any ring."""
    without = {name: [n for n in range(3, 13) if routed(circle(n), n, DEVICES[name]).two_qubit_gates == n] for name in DEVICES}
    assert without["heron-r3"] == without["eagle"] == [12]
    assert without["nighthawk"] == [4, 6, 8, 10, 12]
    assert without["all-to-all"] == list(range(3, 13))


@pytest.mark.parametrize("device", CHIPS, ids=lambda device: str(device.name))
def test_gates_stay_in_order_on_neighbours(device: Device) -> None:
    pairs, on = circle(7) * 3 + [(1, 4), (4, 6)], patch(device.pairs)
    routing = routed(pairs, 7, device)
    place, executed = list(routing.layout), []
    for operation in routing.operations:
        assert operation.qubits[1] in on.neighbours[operation.qubits[0]]
        if operation.gate is not None:
            assert {place[wire] for wire in pairs[operation.gate]} == {*operation.qubits}
            executed.append(operation.gate)
        if operation.swapped:
            exchanged = dict(zip(operation.qubits, reversed(operation.qubits), strict=True))
            place = [exchanged.get(qubit, qubit) for qubit in place]
    assert sorted(executed) == list(range(len(pairs)))
    for wire in range(7):
        of_wire = [number for number in executed if wire in pairs[number]]
        assert of_wire == sorted(of_wire)


def test_the_same_answer_each_time() -> None:
    pairs, device = tuple(circle(7) * 2), DEVICES["nighthawk"]
    first = route(pairs, 7, patch(device.pairs))
    route.cache_clear()
    assert route(pairs, 7, patch(device.pairs)) == first


def circuits() -> list[Circuit]:
    """Return circuits with both topologies, embeddings and entanglers of the paper, small and large, and one with CRX."""
    shapes = [
        (5, "amplitude", "CZ", "circular", "YXY"),
        (6, "angle", "CZ", "circular", "XZZX"),
        (5, "angle", "CRX", "circular", "XZ"),
        (10, "angle", "CNOT", "circular", "XYXZ"),
        (10, "amplitude", "CNOT", "circular", "Y"),
        (3, "angle", "CNOT", "circular", "XY"),
    ]
    return [
        Circuit(
            n_qubits=n_qubits,
            embedding=Embedding(embedding),
            entangler=Entangler(entangler),
            topology=Topology(topology),
            rotations=tuple(Rotation(f"R{axis}") for axis in axes),
        )
        for n_qubits, embedding, entangler, topology, axes in shapes
    ]


@pytest.mark.parametrize("circuit", mostly_slow(circuits()), ids=str)
def test_as_few_gates_as_qiskit(circuit: Circuit) -> None:
    """Allow a tenth and three gates more than the best of three seeds at Qiskit's highest optimisation level."""
    pytest.importorskip("qiskit", reason="qiskit is not installed: pip install qiskit")
    for device in DEVICES.values():
        ours = hardware_cost(circuit, device).two_qubit_gates
        assert ours <= 1.1 * qiskit_gates(circuit, device, seeds=3) + 3, device.name
