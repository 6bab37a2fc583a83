"""Genomes, their genes, and the circuits that they describe.

A *genome* is the set of genes that a search suggests: nine genes with 23,328 combinations (FAQNAS, arXiv 2511.10062). Several
genomes can describe one *circuit*, because rotations beyond `depth` are never applied and a circular topology on two qubits is
linear. `Genome.circuit` is the canonical form; 8,160 of them are distinct.

This is the paper's space, `GENES`. A study may widen it, up to `EVERY_GENE`, with more values of these genes and with more
genes: the rotations of further layers, and data re-uploading. A genome has such a gene only if the study searches it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import cached_property
from itertools import product
from typing import Self

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS, PAPER_EMBEDDINGS, PAPER_ENTANGLERS

# Re-exported: most modules need these two enums together with the genome.
from faqnas_optuna.circuits.blocks import Embedding as Embedding
from faqnas_optuna.circuits.blocks import Entangler as Entangler
from faqnas_optuna.errors import GenomeError

PAPER_DEPTH = 4
"""Maximum number of layers in the paper's space."""
MAX_DEPTH = 8
"""Maximum number of layers in any space."""


class Topology(StrEnum):
    """Arrangement of the entangled pairs of wires."""

    LINEAR = "linear"
    """(0, 1), (1, 2), …, (n-2, n-1)"""
    CIRCULAR = "circular"
    """The pairs of the linear topology and (n-1, 0)."""


class Rotation(StrEnum):
    """One-qubit gate of a layer, with a separate angle for every wire."""

    RX = "RX"
    RY = "RY"
    RZ = "RZ"


GeneValue = int | str


def _genes(qubits: int, embeddings: Iterable[str], entanglers: Iterable[str], depth: int) -> dict[str, tuple[GeneValue, ...]]:
    return {
        "n_qubits": tuple(range(2, qubits + 1)),
        "embedding": tuple(map(str, embeddings)),
        "entangler": tuple(map(str, entanglers)),
        "topology": tuple(map(str, Topology)),
        "depth": tuple(range(1, depth + 1)),
        **{f"rotation_{layer}": tuple(map(str, Rotation)) for layer in range(1, depth + 1)},
    }


GENES: Mapping[str, tuple[GeneValue, ...]] = _genes(10, PAPER_EMBEDDINGS, PAPER_ENTANGLERS, PAPER_DEPTH)
"""The nine genes of the paper's space with their values as plain types, in the order in which a trial suggests them."""
EVERY_GENE: Mapping[str, tuple[GeneValue, ...]] = {
    **_genes(12, Embedding, Entangler, MAX_DEPTH),
    "reuploading": (False, True),
}
"""All genes that a study may search, with all their values."""
ROTATION_GENES = tuple(gene for gene in EVERY_GENE if gene.startswith("rotation_"))


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """Canonical form of a genome, without inactive genes. Circuits are looked up, trained and profiled in this form."""

    n_qubits: int
    embedding: Embedding
    entangler: Entangler
    topology: Topology
    rotations: tuple[Rotation, ...]
    """Rotation of each layer; the length is the depth."""
    reuploading: bool = False
    """True if the embedding is repeated before each layer after the first (Pérez-Salinas et al., arXiv 1907.02085)."""

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.rotations)

    @property
    def genes(self) -> dict[str, GeneValue]:
        """Active genes with their values as plain types."""
        return {
            "n_qubits": self.n_qubits,
            "embedding": str(self.embedding),
            "entangler": str(self.entangler),
            "depth": self.depth,
            **dict(zip(ROTATION_GENES, map(str, self.rotations), strict=False)),
            # Last, since other values of these two may describe the same circuit.
            "topology": str(self.topology),
            "reuploading": self.reuploading,
        }

    @property
    def entangled_pairs(self) -> tuple[tuple[int, int], ...]:
        """(control, target) of every entangler of one layer, in the order of application."""
        line = tuple((wire, wire + 1) for wire in range(self.n_qubits - 1))
        # On two wires the closing pair would repeat the only pair of the line.
        if self.topology is Topology.CIRCULAR and self.n_qubits > 2:
            return (*line, (self.n_qubits - 1, 0))
        return line

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Shape (layers, angles per layer) of the trained angles.

        A layer has one angle per wire for the rotations, followed by one per entangled pair if the entangler has an angle.
        """
        pair_angles = len(self.entangled_pairs) if ENTANGLERS[self.entangler].has_angle else 0
        return self.depth, self.n_qubits + pair_angles

    @property
    def has_fast_form(self) -> bool:
        """True if the fast engine can simulate the circuit; PennyLane can simulate every circuit."""
        return ENTANGLERS[self.entangler].action is not None

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits that identify the circuit, the same in every process and version."""
        # `asdict` would deep-copy every value, which is too slow for a property that every training reads.
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        # Leaving out the default keeps the digests of the paper's circuits as they were before re-uploading was added.
        if not self.reuploading:
            del values["reuploading"]
        # Sorted keys and fixed separators: the text must not depend on the order of the fields.
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def embedding_label(self) -> str:
        """Name of the embedding, followed by "re-uploaded" if the data are uploaded before every layer."""
        return f"{self.embedding} re-uploaded" if self.reuploading else str(self.embedding)

    def __str__(self) -> str:
        rotations = " ".join(self.rotations)
        return f"{self.n_qubits} qubits, {self.embedding_label}, {rotations}, {self.entangler} {self.topology}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Genome:
    """Genes as a trial suggests them: the paper's nine, and further genes that the study searches.

    Several genomes share one circuit if they differ in inactive genes only.

    Examples:
        >>> genes = {"n_qubits": 2, "embedding": "angle", "entangler": "CZ", "depth": 1}
        >>> rotations = {f"rotation_{layer}": "RY" for layer in range(1, 5)}
        >>> line = Genome(**genes, **rotations, topology="linear")
        >>> circle = Genome(**genes, **rotations | {"rotation_4": "RX"}, topology="circular")
        >>> line.circuit == circle.circuit
        True
        >>> print(circle.circuit)
        2 qubits, angle, RY, CZ linear

    Raises:
        GenomeError: A gene has a value outside `EVERY_GENE`, or a layer has no rotation.
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
    rotation_5: Rotation | None = None
    rotation_6: Rotation | None = None
    rotation_7: Rotation | None = None
    rotation_8: Rotation | None = None
    reuploading: bool | None = None

    def __post_init__(self) -> None:
        for gene, choices in EVERY_GENE.items():
            value = getattr(self, gene)
            if value is None and gene not in GENES and gene not in ROTATION_GENES[: self.depth]:
                continue
            # `in` alone would accept True for 1 and 2.0 for 2, because they are equal.
            if value not in choices or type(value) is float or isinstance(value, bool) is not isinstance(choices[0], bool):
                names = ", ".join(str(choice) for choice in choices)
                raise GenomeError(f"gene {gene!r} must be one of {names}; it is {value!r}")
        # Plain strings (from JSON or a database) become members of their enum. The dataclass is frozen: only
        # `object.__setattr__` can replace them.
        for gene, kind in (("embedding", Embedding), ("entangler", Entangler), ("topology", Topology)):
            object.__setattr__(self, gene, kind(getattr(self, gene)))
        for gene in ROTATION_GENES:
            rotation = getattr(self, gene)
            if rotation is not None:
                object.__setattr__(self, gene, Rotation(rotation))

    @property
    def rotations(self) -> tuple[Rotation, ...]:
        """Values of all rotation genes of this genome, inactive ones included."""
        values = (getattr(self, gene) for gene in ROTATION_GENES)
        return tuple(rotation for rotation in values if rotation is not None)

    @property
    def circuit(self) -> Circuit:
        """Canonical form: no inactive rotations, and no re-uploading if the circuit cannot re-upload.

        On two qubits the topology is always linear.
        """
        return Circuit(
            n_qubits=self.n_qubits,
            embedding=self.embedding,
            entangler=self.entangler,
            topology=Topology.LINEAR if self.n_qubits == 2 else self.topology,
            rotations=self.rotations[: self.depth],
            reuploading=bool(self.reuploading) and can_reupload(self.embedding, self.depth),
        )

    def to_params(self) -> dict[str, GeneValue]:
        """Return plain values by gene, as trials and JSON store them."""
        values = {gene: value for gene, value in asdict(self).items() if value is not None}
        return {gene: value if isinstance(value, int) else str(value) for gene, value in values.items()}

    @classmethod
    def from_params(cls, params: Mapping[str, object]) -> Self:
        """Return the genome whose `to_params` equals `params`.

        Raises:
            GenomeError: A gene is missing, unknown, or has a value outside `EVERY_GENE`.
        """
        absent = GENES.keys() - params.keys()
        if absent:
            raise GenomeError(f"a genome must have all nine genes of the paper; it lacks {', '.join(sorted(absent))}")
        unknown = params.keys() - EVERY_GENE.keys()
        if unknown:
            raise GenomeError(f"unknown genes: {', '.join(sorted(unknown))}; choose from {', '.join(EVERY_GENE)}")
        return cls(**params)  # type: ignore[arg-type]  # __post_init__ checks every value

    def to_json(self) -> str:
        return json.dumps(self.to_params())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the genome whose `to_json` equals `text`.

        Raises:
            GenomeError: The text is not a JSON object of genes.
        """
        try:
            params = json.loads(text)
        except json.JSONDecodeError as error:
            raise GenomeError(f"a genome must be a JSON object of genes; the text is not JSON: {error}") from error
        if not isinstance(params, dict):
            raise GenomeError(f"a genome must be a JSON object of genes; the text is a JSON {type(params).__name__}")
        return cls.from_params(params)


def can_reupload(embedding: Embedding, depth: int) -> bool:
    """Return whether re-uploading changes the circuit: it needs a second layer and an embedding that acts on any state."""
    return depth > 1 and EMBEDDINGS[embedding].reuploads


def enumerate_genomes(genes: Mapping[str, tuple[GeneValue, ...]] = GENES) -> Iterator[Genome]:
    """Yield every genome of a space; the last gene changes fastest.

    >>> sum(1 for _ in enumerate_genomes())
    23328
    """
    for values in product(*genes.values()):
        yield Genome.from_params(dict(zip(genes, values, strict=True)))
