"""The genome, its nine genes, and the circuit that a genome describes.

A *genome* is what the search suggests: nine genes, 23,328 combinations (FAQNAS, arXiv 2511.10062). Several genomes can
describe one *circuit*: rotations beyond `depth` are never applied, and on two qubits a circle is a line. `Genome.circuit`
gives that canonical form; 8,160 of them are distinct.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import cached_property
from itertools import product
from typing import Self

from faqnas_optuna.errors import GenomeError

MAX_DEPTH = 4


class Embedding(StrEnum):
    """How the classical values enter the quantum state."""

    ANGLE = "angle"
    """One qubit per value: cos(x)|0⟩ + sin(x)|1⟩."""
    AMPLITUDE = "amplitude"
    """The normalised values, padded with zeros, are the first amplitudes."""


class Entangler(StrEnum):
    """The two-qubit gate of every layer."""

    CNOT = "CNOT"
    CZ = "CZ"


class Topology(StrEnum):
    """Which pairs of wires are entangled."""

    LINEAR = "linear"
    """(0, 1), (1, 2), …, (n-2, n-1)"""
    CIRCULAR = "circular"
    """The line, closed by (n-1, 0)."""


class Rotation(StrEnum):
    """The one-qubit gate of a layer, with its own angle on every wire."""

    RX = "RX"
    RY = "RY"
    RZ = "RZ"


GeneValue = int | str

GENES: Mapping[str, tuple[GeneValue, ...]] = {
    "n_qubits": tuple(range(2, 11)),
    "embedding": tuple(member.value for member in Embedding),
    "entangler": tuple(member.value for member in Entangler),
    "topology": tuple(member.value for member in Topology),
    "depth": tuple(range(1, MAX_DEPTH + 1)),
    **{f"rotation_{layer}": tuple(member.value for member in Rotation) for layer in range(1, MAX_DEPTH + 1)},
}
"""Every gene with its plain values, in the order in which a trial suggests them."""


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """A genome without its inactive genes: what is looked up, trained and counted."""

    n_qubits: int
    embedding: Embedding
    entangler: Entangler
    topology: Topology
    rotations: tuple[Rotation, ...]
    """The rotation of each layer; its length is the depth."""

    @property
    def depth(self) -> int:
        return len(self.rotations)

    @property
    def entangled_pairs(self) -> tuple[tuple[int, int], ...]:
        """(control, target) of every entangler of one layer, in the order of application. A circle of two is a line."""
        line = tuple((wire, wire + 1) for wire in range(self.n_qubits - 1))
        if self.topology is Topology.CIRCULAR and self.n_qubits > 2:
            return (*line, (self.n_qubits - 1, 0))
        return line

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name this circuit, the same in every process and version."""
        # Not `asdict`, which copies every value at length: this is asked for with every training.
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        rotations = " ".join(self.rotations)
        return f"{self.n_qubits} qubits, {self.embedding}, {rotations}, {self.entangler} {self.topology}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Genome:
    """The nine genes as suggested.

    Raises:
        GenomeError: a gene has a value outside `GENES`.
    """

    n_qubits: int
    embedding: Embedding
    entangler: Entangler
    topology: Topology
    depth: int
    rotation_1: Rotation
    rotation_2: Rotation
    rotation_3: Rotation
    rotation_4: Rotation

    def __post_init__(self) -> None:
        for gene, choices in GENES.items():
            value = getattr(self, gene)
            # A bool equals 0 or 1 and a float may equal an int: neither is a gene's value.
            if value not in choices or isinstance(value, bool | float):
                listed = ", ".join(str(choice) for choice in choices)
                raise GenomeError(f"gene {gene!r} must be one of {listed}; it is {value!r}")
        # Plain strings (from JSON or a database) become members of their enum.
        for gene, kind in (("embedding", Embedding), ("entangler", Entangler), ("topology", Topology)):
            object.__setattr__(self, gene, kind(getattr(self, gene)))
        for layer in range(1, MAX_DEPTH + 1):
            object.__setattr__(self, f"rotation_{layer}", Rotation(getattr(self, f"rotation_{layer}")))

    @property
    def rotations(self) -> tuple[Rotation, ...]:
        """All four rotation genes, the inactive ones too."""
        return (self.rotation_1, self.rotation_2, self.rotation_3, self.rotation_4)

    @property
    def circuit(self) -> Circuit:
        """The canonical form: inactive rotations dropped, and on two qubits a circle is a line."""
        return Circuit(
            n_qubits=self.n_qubits,
            embedding=self.embedding,
            entangler=self.entangler,
            topology=Topology.LINEAR if self.n_qubits == 2 else self.topology,
            rotations=self.rotations[: self.depth],
        )

    def to_params(self) -> dict[str, GeneValue]:
        """Plain values by gene: what a trial stores, and what JSON carries."""
        return {gene: value if isinstance(value, int) else str(value) for gene, value in asdict(self).items()}

    @classmethod
    def from_params(cls, params: Mapping[str, object]) -> Self:
        """The inverse of `to_params`.

        Raises:
            GenomeError: a gene is missing, unknown, or has a value outside `GENES`.
        """
        known = {field.name for field in fields(cls)}
        if missing := known - params.keys():
            raise GenomeError(f"a genome has nine genes; missing: {', '.join(sorted(missing))}")
        if unknown := params.keys() - known:
            raise GenomeError(f"a genome has nine genes; unknown: {', '.join(sorted(unknown))}")
        return cls(**params)  # type: ignore[arg-type]  # __post_init__ checks every value

    def to_json(self) -> str:
        return json.dumps(self.to_params())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`.

        Raises:
            GenomeError: the text is no JSON object of nine genes.
        """
        try:
            params = json.loads(text)
        except json.JSONDecodeError as error:
            raise GenomeError(f"a genome is a JSON object of nine genes; this is no JSON: {error}") from error
        if not isinstance(params, dict):
            raise GenomeError(f"a genome is a JSON object of nine genes; this is a {type(params).__name__}")
        return cls.from_params(params)


def enumerate_genomes(genes: Mapping[str, tuple[GeneValue, ...]] = GENES) -> Iterator[Genome]:
    """Every genome of a space, the last gene changing fastest."""
    for values in product(*genes.values()):
        yield Genome.from_params(dict(zip(genes, values, strict=True)))
