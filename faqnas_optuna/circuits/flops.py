"""Floating-point operations of a candidate: one sample, forward pass.

There are two counts of the quantum layer, which answer different questions.

`profiler_flops` is the paper's metric: the number that the PyTorch profiler reports while PennyLane simulates the layer. It
depends on the simulator. PennyLane applies a CNOT by moving indices (0 FLOPs), a CZ by a matrix product (expensive), and all
three rotations in the same way. This count therefore ranks CZ circuits as more expensive than CNOT circuits and does not
distinguish the rotations.

`analytic_flops` counts the arithmetic on a state vector of N = 2ⁿ amplitudes. It depends on every gene.

Both count the circuit as suggested, inert gates included, or only the given layers, such as those of its effective gates.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.metadata import version
from itertools import product
from pathlib import Path

from pydantic import TypeAdapter

from faqnas_optuna.cache import cached_file, in_subprocess, user_cache
from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS, PAPER_EMBEDDINGS, PAPER_ENTANGLERS
from faqnas_optuna.circuits.effective import Layer, all_layers
from faqnas_optuna.circuits.genome import EVERY_GENE, GENES, Circuit, Rotation, Topology

logger = logging.getLogger(__name__)

Counts = dict[str, dict[str, int]]
"""FLOPs by number of qubits (as a string, for JSON) and by part."""


def profiler_flops(circuit: Circuit, layers: Sequence[Layer] | None = None) -> int:
    """Return the FLOPs that `torch.profiler` reports for one sample through the PennyLane layer, as the sum over its parts.

    The FLOPs of the parts depend only on the versions of PennyLane and torch. They are counted once per installation and
    cached: first for the paper's space, and for all parts as soon as a circuit beyond it occurs.

    Args:
        layers: Layers that are applied; None for the whole circuit.
    """
    counts = profiler_counts(wider=True) if _is_beyond_the_paper(circuit) else profiler_counts()
    parts = counts[str(circuit.n_qubits)]
    entanglers = parts[f"{circuit.entangler} {circuit.topology}"]
    if layers is None:
        layers = all_layers(circuit)
    rotations = sum(parts[layer.rotation] for layer in layers if layer.rotation)
    uploads = sum(parts["upload"] for layer in layers if layer.uploaded)
    return parts[circuit.embedding] + rotations + uploads + entanglers * sum(layer.entangled for layer in layers)


def _is_beyond_the_paper(circuit: Circuit) -> bool:
    return (
        circuit.n_qubits not in GENES["n_qubits"]
        or circuit.embedding not in PAPER_EMBEDDINGS
        or circuit.entangler not in PAPER_ENTANGLERS
        or circuit.reuploading
    )


@cache
def profiler_counts(*, wider: bool = False) -> Counts:
    """Return the profiler's FLOPs of all parts of circuits for the installed versions of PennyLane and torch.

    Args:
        wider: Count all declared parts; by default those of the paper's space.
    """
    return cached_file(
        counts_file(wider=wider),
        partial(_count, wider=wider),
        read=partial(_checked_counts, wider=wider),
        write=lambda counts: json.dumps(counts, indent=1, sort_keys=True).encode(),
    )


@contextmanager
def counting_ahead() -> Iterator[None]:
    """Count the FLOPs of the paper's space in a second process while the block runs."""
    # Counting needs torch and PennyLane. The second process spares this one from importing them.
    file = counts_file()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    # In a read-only directory the second process could not hand over its counts.
    if file.exists() or not os.access(file.parent, os.W_OK):
        yield
        return
    logger.info("counting the FLOPs of PennyLane's gates, once per installation")
    with in_subprocess(profiler_counts):
        yield


def counts_file(*, wider: bool = False) -> Path:
    """Return the path of the cached counts, which names the library versions and a digest of the sources that count."""
    digest = hashlib.sha256()
    # These sources decide which parts there are and how PennyLane runs them: after a change the cache must not be used.
    for source in ("blocks.py", "genome.py", "pennylane_circuit.py", "counting.py"):
        digest.update((Path(__file__).parent / source).read_bytes())
    versions = "-".join(f"{package}-{version(package)}" for package in ("pennylane", "torch"))
    return user_cache().flops_counts(versions, digest.hexdigest()[:12], wider=wider)


def _count(*, wider: bool = False) -> Counts:
    # This import loads torch and PennyLane, which are not needed if the counts are cached.
    from faqnas_optuna.circuits.counting import count_parts

    if wider:
        logger.info("counting the FLOPs of gates beyond the paper's space, once per installation")
    qubits = (EVERY_GENE if wider else GENES)["n_qubits"]
    return {str(n_qubits): count_parts(int(n_qubits), wider=wider) for n_qubits in qubits}


def _checked_counts(content: bytes, *, wider: bool = False) -> Counts:
    genes = EVERY_GENE if wider else GENES
    entanglers = {f"{entangler} {topology}" for entangler, topology in product(genes["entangler"], Topology)}
    uploads = {"upload"} if wider else set()
    expected = {*genes["embedding"], *Rotation, *entanglers, *uploads}

    counts = TypeAdapter(Counts).validate_json(content, strict=True)
    # Valid JSON need not be complete. `cached_file` counts again if this function raises.
    if {*counts} != {*map(str, genes["n_qubits"])} or any({*parts} != expected for parts in counts.values()):
        raise ValueError("some parts have no count")
    return counts


def analytic_flops(circuit: Circuit, layers: Sequence[Layer] | None = None) -> int:
    """Return the number of state-vector operations for one sample, derived from first principles.

    Args:
        layers: Layers that are applied; None for the whole circuit.

    One operation is one addition, multiplication, division, comparison, root, sine or cosine of real numbers, or one sign
    change or move of a real number. Amplitudes start real, except with IQP embedding, and stay real until the first RX, RZ, ZZ
    or CRX; from then on each has two real components. With N = 2ⁿ amplitudes:

    | part                   | real     | complex  | why                                                              |
    | ---------------------- | -------- | -------- | ---------------------------------------------------------------- |
    | angle embedding        | 2n+2N-4  |          | cos and sin of n values; each further wire doubles the products  |
    | amplitude embedding    | 3n       |          | n squares, n-1 sums, a root, n divisions                         |
    | basis embedding        | n        |          | n comparisons say which amplitude is 1                           |
    | IQP embedding          |          | n+8N-2   | N sums of ±x/2 by doubling; φ + φ², its cos and sin, scaled by √N |
    | RX on a wire           | 2+2N     | 2+6N     | cos a - i sin b: 2 products; complex: 4 products, 2 sums         |
    | RY on a wire           | 2+3N     | 2+6N     | cos a - sin b: 2 products, 1 sum, for each component             |
    | RZ on a wire           | 2+N      | 2+3N     | diag(1, exp iθ) touches half of the amplitudes: as RX does      |
    | data on a wire, again  | 3N       | 6N       | RY, whose cos and sin are those of the embedding                 |
    | CNOT                   | N/2      | N        | half of the amplitudes move                                      |
    | CZ                     | N/4      | N/2      | a quarter of the amplitudes changes sign                         |
    | ZZ                     | 2+N      | 2+3N     | diag(1, exp iθ, exp iθ, 1) touches half of the amplitudes        |
    | CRX                    | 2+N      | 2+3N     | RX on half of the amplitudes                                     |
    | probabilities          | N        | 3N       | squared moduli                                                   |
    | ⟨Z⟩ of n wires         | n(N-1)   | n(N-1)   | signed sums of the probabilities                                 |
    """
    n = circuit.n_qubits
    size: int = 2**n
    total = EMBEDDINGS[circuit.embedding].flops(n)
    entangler = ENTANGLERS[circuit.entangler]
    real = not EMBEDDINGS[circuit.embedding].is_complex
    for layer in all_layers(circuit) if layers is None else layers:
        # The cosines and sines of the data are already counted with the embedding.
        total += n * _ROTATION_FLOPS[Rotation.RY][real] * size * layer.uploaded
        for _ in range(n if layer.rotation else 0):
            # Two operations for cos and sin of the angle. The count uses the state before the gate.
            total += 2 + _ROTATION_FLOPS[layer.rotation][real] * size
            real = real and layer.rotation is Rotation.RY
        for _ in circuit.entangled_pairs if layer.entangled else ():
            total += entangler.flops(size, real)
            # All declared entanglers with an angle have complex entries.
            real = real and not entangler.has_angle
    probabilities = size if real else 3 * size
    expectations = n * (size - 1)
    return total + probabilities + expectations


_ROTATION_FLOPS: dict[Rotation | None, dict[bool, int]] = {
    Rotation.RX: {True: 2, False: 6},
    Rotation.RY: {True: 3, False: 6},
    Rotation.RZ: {True: 1, False: 3},
}
"""Operations per amplitude, for real (True) and complex (False) states."""


def classical_flops(circuit: Circuit, *, n_features: int, n_classes: int) -> int:
    """Return the FLOPs of the two linear layers: 2·inputs·outputs each. Like the PyTorch profiler, ignore the biases."""
    return 2 * circuit.n_qubits * (n_features + n_classes)
