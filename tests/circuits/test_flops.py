import json
import math
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from faqnas_optuna.circuits import flops
from faqnas_optuna.circuits.blocks import PAPER_EMBEDDINGS, PAPER_ENTANGLERS
from faqnas_optuna.circuits.counting import count
from faqnas_optuna.circuits.flops import analytic_flops, classical_flops, counts_file, profiler_counts, profiler_flops
from faqnas_optuna.circuits.genome import (
    EVERY_GENE,
    Circuit,
    Embedding,
    Entangler,
    GeneValue,
    Genome,
    Rotation,
)
from faqnas_optuna.circuits.pennylane_circuit import qnode
from faqnas_optuna.config import Engine
from faqnas_optuna.tables.space import all_circuits
from faqnas_optuna.training.model import HQNN
from tests.support.profiler import reported_by_torch_profiler
from tests.support.sampling import drawn_circuits, mostly_slow


def wider_circuits(count: int) -> list[Circuit]:
    """Return a sample of circuits beyond the paper's space, on up to five qubits."""
    genes = {**EVERY_GENE, "n_qubits": (2, 3, 5)}
    drawn = random.Random(2)
    genomes = (Genome.from_params({gene: drawn.choice(values) for gene, values in genes.items()}) for _ in range(10 * count))
    paper = {"embedding": PAPER_EMBEDDINGS, "entangler": PAPER_ENTANGLERS, "reuploading": (False,)}
    wider = {one.circuit for one in genomes if any(getattr(one, gene) not in values for gene, values in paper.items())}
    return sorted(wider, key=str)[:: len(wider) // count]


@pytest.mark.parametrize("circuit", mostly_slow([*drawn_circuits(25, seed=0), *wider_circuits(8)]), ids=str)
def test_profiler_flops_are_what_torch_profiler_reports(circuit: Circuit) -> None:
    import pennylane as qml

    # PennyLane's own TorchLayer, as a user would write it: only the circuit is this package's.
    layer = qml.qnn.TorchLayer(qnode(circuit), {"weights": circuit.weights_shape})
    sample = torch.rand(1, circuit.n_qubits) + 0.1
    assert profiler_flops(circuit) == reported_by_torch_profiler(layer, sample)


@pytest.mark.slow
def test_profiler_flops_of_parts_add_up_to_those_of_the_whole() -> None:
    """Check every frame (qubits, embedding, entangler, topology), each with random rotations and depth."""
    drawn = random.Random(1)
    frames = {replace(circuit, rotations=()) for circuit in all_circuits()}
    assert len(frames) == 9 * 8 - 4
    frames |= {replace(circuit, rotations=()) for circuit in wider_circuits(12)}
    frames |= {replace(frame, n_qubits=n_qubits) for frame in frames for n_qubits in (11, 12) if frame.n_qubits == 3}
    for frame in sorted(frames, key=str):
        circuit = replace(frame, rotations=tuple(drawn.choices(list(Rotation), k=drawn.randint(1, 4))))
        assert profiler_flops(circuit) == count(circuit), str(circuit)


@pytest.mark.slow
def test_counts_are_kept_and_made_anew_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    counted = profiler_counts.__wrapped__()
    whole = counts_file().read_text()
    assert json.loads(whole) == counted == profiler_counts()
    counts_file().write_text(whole.replace('"RX"', '"RW"', 1))
    # The first call above tests the counting itself; counting again would take a second.
    monkeypatch.setattr(flops, "_count", lambda *, wider: json.loads(whole))
    assert profiler_counts.__wrapped__() == counted
    assert "some parts have no count" in caplog.text
    assert counts_file().read_text() == whole


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"[1]", b'{"2": 3}', b'{"2": {"RX": "many"}}', b"\xff"])
def test_what_holds_no_counts_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="JSON|valid|every part"):
        flops._checked_counts(content)


def test_classical_flops_are_what_torch_profiler_reports() -> None:
    circuit = drawn_circuits(1, seed=0)[0]
    model = HQNN(circuit, n_features=13, n_classes=3, engine=Engine.PENNYLANE, generator=np.random.default_rng(0))
    reported = reported_by_torch_profiler(model.encoder, torch.rand(1, 13))
    reported += reported_by_torch_profiler(model.classifier, torch.rand(1, circuit.n_qubits))
    assert classical_flops(circuit, n_features=13, n_classes=3) == reported


class Counted:
    """Real arithmetic that counts its operations."""

    def __init__(self) -> None:
        self.operations = 0

    def __call__(self, result: float) -> float:
        self.operations += 1
        return result


def simulate(circuit: Circuit, inputs: list[float], weights: list[list[float]]) -> tuple[list[float], int]:
    """Simulate the circuit on lists of real and imaginary parts, one counted operation at a time.

    The imaginary part is None while the state is real.
    """
    n, size, count = circuit.n_qubits, 2**circuit.n_qubits, Counted()
    re, im = _embed_phases(inputs, count) if circuit.embedding is Embedding.IQP else (_embed(circuit, inputs, count), None)
    for layer, rotation in enumerate(circuit.rotations):
        for wire in range(n if layer and circuit.reuploading else 0):
            x, bit = inputs[wire], 1 << (n - 1 - wire)
            re, im = _rotate(Rotation.RY, re, im, bit, math.cos(x), math.sin(x), 2 * x, count)
        for wire in range(n):
            c, s = count(math.cos(weights[layer][wire] / 2)), count(math.sin(weights[layer][wire] / 2))
            bit = 1 << (n - 1 - wire)
            re, im = _rotate(rotation, re, im, bit, c, s, weights[layer][wire], count)
        for number, (control, target) in enumerate(circuit.entangled_pairs, n):
            if circuit.entangler is Entangler.ZZ:
                # diag(1, exp iθ, exp iθ, 1), which is ZZ up to a global phase
                angle, places = weights[layer][number], [1 << (n - 1 - wire) for wire in (control, target)]
                count(math.cos(angle)), count(math.sin(angle))
                bits = [(index & places[0] > 0) != (index & places[1] > 0) for index in range(size)]
                re, im = _turn(re, im, bits, angle, count)
                continue
            if circuit.entangler is Entangler.CRX:
                c, s = (count(function(weights[layer][number] / 2)) for function in (math.cos, math.sin))
                places = [1 << (n - 1 - wire) for wire in (control, target)]
                re, im = _rotate_where(places[0], re, im, places[1], c, s, count)
                continue
            re = _entangle(circuit.entangler, re, n, control, target, count)
            im = _entangle(circuit.entangler, im, n, control, target, count) if im is not None else None
    if im is None:
        probabilities = [count(a * a) for a in re]
    else:
        probabilities = [count(count(a * a) + count(b * b)) for a, b in zip(re, im, strict=True)]
    expectations = []
    for wire in range(n):
        total = probabilities[0]
        for index in range(1, size):
            total = count(total - probabilities[index] if index >> (n - 1 - wire) & 1 else total + probabilities[index])
        expectations.append(total)
    return expectations, count.operations


def _embed(circuit: Circuit, inputs: list[float], count: Counted) -> list[float]:
    n = circuit.n_qubits
    if circuit.embedding is Embedding.BASIS:
        place = int("".join("1" if count(x) > 0 else "0" for x in inputs), 2)
        return [float(index == place) for index in range(2**n)]
    if circuit.embedding is Embedding.AMPLITUDE:
        squares = [count(x * x) for x in inputs]
        total = squares[0]
        for square in squares[1:]:
            total = count(total + square)
        norm = count(math.sqrt(total))
        return [count(x / norm) for x in inputs] + [0.0] * (2**n - n)
    pairs = [(count(math.cos(x)), count(math.sin(x))) for x in inputs]
    state = list(pairs[0])
    for cosine, sine in pairs[1:]:
        state = [count(amplitude * factor) for amplitude in state for factor in (cosine, sine)]
    return state


def _embed_phases(inputs: list[float], count: Counted) -> tuple[list[float], list[float] | None]:
    """Return real and imaginary parts after IQP embedding.

    The phase -(S + S²/2)/2 with S = Σ ±x is T - T² with T = -S/2.
    """
    halves, sums = [count(-x / 2) for x in inputs], [0.0]
    for half in halves:
        sums = [count(total + sign * half) for total in sums for sign in (1, -1)]
    phases = [count(total - count(total * total)) for total in sums]
    root = math.sqrt(len(phases))
    return [count(count(math.cos(p)) / root) for p in phases], [count(count(math.sin(p)) / root) for p in phases]


def _rotate(
    rotation: Rotation, re: list[float], im: list[float] | None, bit: int, c: float, s: float, angle: float, count: Counted
) -> tuple[list[float], list[float] | None]:
    real = im is None
    old_re, old_im = re, im if im is not None else [0.0] * len(re)
    new_re, new_im = list(old_re), list(old_im)
    for index in range(len(re)):
        other = index ^ bit
        a, b, x, y = old_re[index], old_im[index], old_re[other], old_im[other]
        if rotation is Rotation.RX:
            # cos a - i sin x, for real and imaginary parts alike
            new_re[index] = count(c * a) if real else count(count(c * a) + count(s * y))
            new_im[index] = count(-s * x) if real else count(count(c * b) - count(s * x))
        elif rotation is Rotation.RY:
            sign = 1 if index & bit else -1
            new_re[index] = count(count(c * a) + count(sign * s * x))
            if not real:
                new_im[index] = count(count(c * b) + count(sign * s * y))
    if rotation is Rotation.RZ:
        # diag(1, exp iθ), which is RZ up to a global phase
        return _turn(re, im, [index & bit > 0 for index in range(len(re))], angle, count)
    return new_re, None if real and rotation is Rotation.RY else new_im


def _rotate_where(
    control: int, re: list[float], im: list[float] | None, bit: int, c: float, s: float, count: Counted
) -> tuple[list[float], list[float]]:
    """Apply RX to the amplitudes whose control bit is 1, a state of half the size."""
    inside = [index for index in range(len(re)) if index & control]
    half = _rotate(
        Rotation.RX,
        [re[index] for index in inside],
        None if im is None else [im[index] for index in inside],
        bit if bit < control else bit >> 1,
        c,
        s,
        0.0,
        count,
    )
    new_re, new_im = list(re), list(im) if im is not None else [0.0] * len(re)
    for place, index in enumerate(inside):
        assert half[1] is not None
        new_re[index], new_im[index] = half[0][place], half[1][place]
    return new_re, new_im


def _turn(
    re: list[float], im: list[float] | None, turned: list[bool], angle: float, count: Counted
) -> tuple[list[float], list[float]]:
    """Multiply selected amplitudes by exp iθ, whose cos and sin are counted elsewhere."""
    new_re, new_im, c, s = list(re), list(im) if im else [0.0] * len(re), math.cos(angle), math.sin(angle)
    for index in range(len(re)):
        if turned[index]:
            a, b = re[index], new_im[index]
            new_re[index] = count(a * c) if im is None else count(count(a * c) - count(b * s))
            new_im[index] = count(a * s) if im is None else count(count(a * s) + count(b * c))
    return new_re, new_im


def _entangle(gate: Entangler, values: list[float], n: int, control: int, target: int, count: Counted) -> list[float]:
    control_bit, target_bit = 1 << (n - 1 - control), 1 << (n - 1 - target)
    result = list(values)
    for index in range(len(values)):
        if gate is Entangler.CNOT and index & control_bit:
            result[index] = count(values[index ^ target_bit])
        elif gate is Entangler.CZ and index & control_bit and index & target_bit:
            result[index] = count(-values[index])
    return result


@pytest.mark.parametrize("circuit", [*drawn_circuits(60, seed=0, max_qubits=5), *wider_circuits(24)], ids=str)
def test_analytic_flops_are_those_of_a_simulation_that_counts(circuit: Circuit) -> None:
    random_numbers = random.Random(circuit.digest)
    inputs = [random_numbers.uniform(0.1, 2) for _ in range(circuit.n_qubits)]
    weights = [[random_numbers.uniform(0, 6) for _ in range(circuit.weights_shape[1])] for _ in circuit.rotations]
    expectations, operations = simulate(circuit, inputs, weights)
    expected = qnode(circuit)(torch.tensor(inputs, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64))
    assert expectations == pytest.approx([float(value) for value in expected], abs=1e-6)
    assert analytic_flops(circuit) == operations


def test_analytic_flops_see_every_gene() -> None:
    genome = Genome.from_params(
        {
            "n_qubits": 4,
            "embedding": "angle",
            "entangler": "CNOT",
            "topology": "linear",
            "depth": 4,
            **{f"rotation_{layer}": "RY" for layer in range(1, 5)},
        }
    )
    rotated = [{f"rotation_{layer}": rotation} for layer in range(1, 5) for rotation in ("RX", "RZ")]
    changes: list[Mapping[str, GeneValue]] = [
        {"n_qubits": 5},
        {"embedding": "amplitude"},
        {"entangler": "CZ"},
        {"topology": "circular"},
        {"depth": 3},
        *rotated,
    ]
    counts = [analytic_flops(Genome.from_params({**genome.to_params(), **change}).circuit) for change in [{}, *changes]]
    assert len(set(counts)) == len(counts)
