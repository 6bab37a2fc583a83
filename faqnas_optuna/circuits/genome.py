"""The genome, its genes, and the circuit that a genome describes.

A *genome* is what the search suggests: nine genes, 23,328 combinations (FAQNAS, arXiv 2511.10062). Several genomes can
describe one *circuit*: rotations beyond `depth` are never applied, and on two qubits a circle is a line. `Genome.circuit`
gives that canonical form; 8,160 of them are distinct.

That is the paper's space, `GENES`. A study may ask for more, up to `EVERY_GENE`: further values of these genes, and further
genes, which a genome has only where they say something: rotations of more layers, and whether the data are uploaded again.
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
from faqnas_optuna.circuits.blocks import Embedding as Embedding
from faqnas_optuna.circuits.blocks import Entangler as Entangler
from faqnas_optuna.errors import GenomeError

PAPER_DEPTH, MAX_DEPTH = 4, 8
"""The most layers of the paper's space, and of any."""


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
"""The nine genes of the paper's space with their plain values, in the order in which a trial suggests them."""
EVERY_GENE: Mapping[str, tuple[GeneValue, ...]] = {
    **_genes(12, Embedding, Entangler, MAX_DEPTH),
    "reuploading": (False, True),
}
"""All genes that a study may ask for, with all their values."""
ROTATION_GENES = tuple(gene for gene in EVERY_GENE if gene.startswith("rotation_"))


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """A genome without its inactive genes: what is looked up, trained and counted."""

    n_qubits: int
    embedding: Embedding
    entangler: Entangler
    topology: Topology
    rotations: tuple[Rotation, ...]
    """The rotation of each layer; its length is the depth."""
    reuploading: bool = False
    """The embedding again before each further layer (Pérez-Salinas et al., arXiv 1907.02085)."""

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

    @property
    def weights_shape(self) -> tuple[int, int]:
        """(layers, angles of each): those of the rotations by wire, then those of the entanglers, if they have any, by pair."""
        of_pairs = len(self.entangled_pairs) if ENTANGLERS[self.entangler].has_angle else 0
        return self.depth, self.n_qubits + of_pairs

    @property
    def has_fast_form(self) -> bool:
        """Whether the fast engine can run it; PennyLane can in any case."""
        return ENTANGLERS[self.entangler].action is not None

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name this circuit, the same in every process and version."""
        # Not `asdict`, which copies every value at length: this is asked for with every training.
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        # The paper's circuits have the names that they had before there were others.
        if not self.reuploading:
            del values["reuploading"]
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def embedded(self) -> str:
        """How the values enter, in words."""
        return f"{self.embedding} re-uploaded" if self.reuploading else str(self.embedding)

    def __str__(self) -> str:
        rotations = " ".join(self.rotations)
        return f"{self.n_qubits} qubits, {self.embedded}, {rotations}, {self.entangler} {self.topology}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Genome:
    """The genes as suggested: the paper's nine, and those beyond it that are searched.

    Raises:
        GenomeError: a gene has a value outside `EVERY_GENE`, or a layer has no rotation.
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
            # A bool equals 0 or 1 and a float may equal an int: neither is another gene's value.
            if value not in choices or type(value) is float or isinstance(value, bool) is not isinstance(choices[0], bool):
                listed = ", ".join(str(choice) for choice in choices)
                raise GenomeError(f"gene {gene!r} must be one of {listed}; it is {value!r}")
        # Plain strings (from JSON or a database) become members of their enum.
        for gene, kind in (("embedding", Embedding), ("entangler", Entangler), ("topology", Topology)):
            object.__setattr__(self, gene, kind(getattr(self, gene)))
        for gene in ROTATION_GENES:
            if (rotation := getattr(self, gene)) is not None:
                object.__setattr__(self, gene, Rotation(rotation))

    @property
    def rotations(self) -> tuple[Rotation, ...]:
        """The rotation genes that there are, the inactive ones too."""
        return tuple(rotation for gene in ROTATION_GENES if (rotation := getattr(self, gene)) is not None)

    @property
    def circuit(self) -> Circuit:
        """The canonical form: without inactive rotations, and without re-uploading where there is nothing to upload again.

        On two qubits a circle is a line.
        """
        return Circuit(
            n_qubits=self.n_qubits,
            embedding=self.embedding,
            entangler=self.entangler,
            topology=Topology.LINEAR if self.n_qubits == 2 else self.topology,
            rotations=self.rotations[: self.depth],
            reuploading=bool(self.reuploading) and uploads_again(self.embedding, self.depth),
        )

    def to_params(self) -> dict[str, GeneValue]:
        """Plain values by gene: what a trial stores, and what JSON carries."""
        told = {gene: value for gene, value in asdict(self).items() if value is not None}
        return {gene: value if isinstance(value, int) else str(value) for gene, value in told.items()}

    @classmethod
    def from_params(cls, params: Mapping[str, object]) -> Self:
        """The inverse of `to_params`.

        Raises:
            GenomeError: a gene is missing, unknown, or has a value outside `EVERY_GENE`.
        """
        if missing := GENES.keys() - params.keys():
            raise GenomeError(f"a genome lacks genes: {', '.join(sorted(missing))}")
        if unknown := params.keys() - EVERY_GENE.keys():
            raise GenomeError(f"a genome has no such genes: {', '.join(sorted(unknown))}")
        return cls(**params)  # type: ignore[arg-type]  # __post_init__ checks every value

    def to_json(self) -> str:
        return json.dumps(self.to_params())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`.

        Raises:
            GenomeError: the text is no JSON object of genes.
        """
        try:
            params = json.loads(text)
        except json.JSONDecodeError as error:
            raise GenomeError(f"a genome is a JSON object of genes; this is no JSON: {error}") from error
        if not isinstance(params, dict):
            raise GenomeError(f"a genome is a JSON object of genes; this is a {type(params).__name__}")
        return cls.from_params(params)


def uploads_again(embedding: Embedding, depth: int) -> bool:
    """Whether re-uploading means anything: there is a further layer, and data that can be turned into any state."""
    return depth > 1 and EMBEDDINGS[embedding].reuploads


def enumerate_genomes(genes: Mapping[str, tuple[GeneValue, ...]] = GENES) -> Iterator[Genome]:
    """Every genome of a space, the last gene changing fastest."""
    for values in product(*genes.values()):
        yield Genome.from_params(dict(zip(genes, values, strict=True)))
