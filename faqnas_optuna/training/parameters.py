"""Parameters of a hybrid network as one vector, the same for every engine."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import Layer, weights_shape
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.engine.fused import ParameterBlocks
from faqnas_optuna.engine.gate_kernels import Array


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Layout of the vector: encoder weights and bias, angles, classifier weights and bias."""

    n_features: int
    n_qubits: int
    depth: int
    n_classes: int
    pairs: int = 0
    """Number of entanglers per layer that have an angle."""

    @classmethod
    def of(cls, circuit: Circuit, *, n_features: int, n_classes: int, layers: tuple[Layer, ...] | None = None) -> "Layout":
        """Return the layout of the network around a circuit, or around `layers` of it."""
        depth, width = weights_shape(circuit, layers)
        n_qubits = circuit.n_qubits
        return cls(n_features=n_features, n_qubits=n_qubits, depth=depth, n_classes=n_classes, pairs=width - n_qubits)

    @property
    def shapes(self) -> ParameterBlocks[tuple[int, ...]]:
        """Shape of each part."""
        return ParameterBlocks(
            encoder_weights=(self.n_qubits, self.n_features),
            encoder_bias=(self.n_qubits,),
            angles=(self.depth, self.n_qubits + self.pairs),
            classifier_weights=(self.n_classes, self.n_qubits),
            classifier_bias=(self.n_classes,),
        )

    @property
    def size(self) -> int:
        """Number of parameters, P."""
        return sum(math.prod(shape) for shape in self.shapes)

    def parts(self, vectors: Array) -> ParameterBlocks[Array]:
        """Return the parts of vectors (…, P), as views."""
        # `np.split` and `reshape` return views: training changes a vector in place through them.
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        pieces = np.split(vectors, ends[:-1], axis=-1)
        leading = vectors.shape[:-1]
        return ParameterBlocks(*(piece.reshape(leading + shape) for piece, shape in zip(pieces, self.shapes, strict=True)))

    def draw(self, generator: np.random.Generator) -> NDArray[np.float32]:
        """Draw initial parameters (P,): linear layers from U(±1/√inputs), like `nn.Linear`; angles from U[0, 2π), in
        radians."""
        # One call for all parameters, so that both engines consume the generator in the same way.
        vector = generator.random(self.size, np.float32)
        self.scale(vector)
        return vector

    def scale(self, vectors: NDArray[np.float32]) -> None:
        """Scale uniform numbers (…, P) from [0, 1) to the ranges of the initial parameters, in place."""
        encoder_end = self.n_qubits * (self.n_features + 1)
        angles_end = encoder_end + math.prod(self.shapes.angles)
        _scale(vectors[..., :encoder_end], 1 / math.sqrt(self.n_features))
        vectors[..., encoder_end:angles_end] *= 2 * math.pi
        _scale(vectors[..., angles_end:], 1 / math.sqrt(self.n_qubits))


def _scale(uniform: Array, bound: float) -> None:
    """Map numbers from [0, 1) to [-bound, bound), in place."""
    uniform *= 2 * bound
    uniform -= bound
