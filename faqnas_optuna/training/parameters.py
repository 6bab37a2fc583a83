"""All parameters of a hybrid network in one vector, whichever engine trains it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.effective import Layer, weights_of
from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.engine.fused import ParameterBlocks
from faqnas_optuna.engine.gate_kernels import Array


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What stands where in the vector: encoder weights and bias, angles, classifier weights and bias."""

    n_features: int
    n_qubits: int
    depth: int
    n_classes: int
    pairs: int = 0
    """Entanglers of a layer that have an angle of their own."""

    @classmethod
    def of(cls, circuit: Circuit, *, n_features: int, n_classes: int, layers: tuple[Layer, ...] | None = None) -> "Layout":
        """The layout of the network around a circuit, or around the layers that are applied instead of all of its own."""
        depth, width = weights_of(circuit, layers)
        n_qubits = circuit.n_qubits
        return cls(n_features=n_features, n_qubits=n_qubits, depth=depth, n_classes=n_classes, pairs=width - n_qubits)

    @property
    def shapes(self) -> ParameterBlocks[tuple[int, ...]]:
        """The shape of each part."""
        return ParameterBlocks(
            encoder_weights=(self.n_qubits, self.n_features),
            encoder_bias=(self.n_qubits,),
            angles=(self.depth, self.n_qubits + self.pairs),
            classifier_weights=(self.n_classes, self.n_qubits),
            classifier_bias=(self.n_classes,),
        )

    @property
    def size(self) -> int:
        """The number of parameters, P."""
        return sum(math.prod(shape) for shape in self.shapes)

    def parts(self, vector: Array) -> ParameterBlocks[Array]:
        """A vector (P,) as what it is made of: views of it."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        pieces = np.split(vector, ends[:-1])
        return ParameterBlocks(*(piece.reshape(shape) for piece, shape in zip(pieces, self.shapes, strict=True)))

    def draw(self, generator: np.random.Generator) -> NDArray[np.float32]:
        """Initial parameters (P,): linear layers as `nn.Linear` begins, U(±1/√inputs), and angles U[0, 2π) in radians."""
        vector = generator.random(self.size, np.float32)
        encoder = self.n_qubits * (self.n_features + 1)
        classifier = encoder + math.prod(self.shapes.angles)
        _spread(vector[:encoder], 1 / math.sqrt(self.n_features))
        vector[encoder:classifier] *= 2 * math.pi
        _spread(vector[classifier:], 1 / math.sqrt(self.n_qubits))
        return vector


def _spread(uniform: Array, bound: float) -> None:
    """Numbers from [0, 1) as numbers from [-bound, bound), in place."""
    uniform *= 2 * bound
    uniform -= bound
