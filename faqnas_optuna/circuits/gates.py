"""An elementary gate, and where its angle comes from."""

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Input(NamedTuple):
    """An angle that prepares a sample."""

    number: int


class Weight(NamedTuple):
    """A trained angle."""

    layer: int
    place: int
    """Of the layer's angles: those of its wires, then those of its pairs."""
    share: float = 1.0
    """By what it is multiplied."""

    def among(self, weights: NDArray[Any]) -> float:
        """The angle in radians, of a circuit's (`weights_shape`)."""
        return self.share * float(weights[self.layer, self.place])


class Gate(NamedTuple):
    """A gate as OpenQASM calls it: h, rx, ry, rz, cx or cz."""

    name: str
    wires: tuple[int, ...]
    angle: Input | Weight | None = None
