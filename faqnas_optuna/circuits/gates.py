"""An elementary gate, and where its angle comes from."""

from typing import NamedTuple


class Input(NamedTuple):
    """An angle that prepares a sample."""

    number: int


class Weight(NamedTuple):
    """A trained angle."""

    layer: int
    place: int
    """Of the layer's angles: those of its wires, then those of its pairs."""


class Gate(NamedTuple):
    """A gate as OpenQASM calls it: h, rx, ry, rz, cx or cz."""

    name: str
    wires: tuple[int, ...]
    angle: Input | Weight | None = None
