"""Elementary gates and the sources of their angles."""

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Input(NamedTuple):
    """Angle that depends on the sample."""

    number: int


class Weight(NamedTuple):
    """Trained angle."""

    layer: int
    place: int
    """Index within the layer: first the wires, then the entangled pairs."""
    share: float = 1.0
    """Factor that multiplies the trained value."""

    def radians(self, weights: NDArray[Any]) -> float:
        """Return the angle in radians, given the trained angles of the circuit (`Circuit.weights_shape`).

        >>> import numpy as np
        >>> Weight(layer=0, place=1, share=-0.5).radians(np.array([[0.25, 3.0]]))
        -1.5
        """
        return self.share * float(weights[self.layer, self.place])


class Gate(NamedTuple):
    """Elementary gate under its OpenQASM name: h, rx, ry, rz, cx or cz."""

    name: str
    wires: tuple[int, ...]
    angle: Input | Weight | None = None
