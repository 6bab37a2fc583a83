"""Search space of a study in its configuration, its limits, and the base class of all sections of a configuration."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from faqnas_optuna.circuits.blocks import ENTANGLERS, PAPER_EMBEDDINGS, PAPER_ENTANGLERS
from faqnas_optuna.circuits.genome import (
    EVERY_GENE,
    GENES,
    PAPER_DEPTH,
    ROTATION_GENES,
    Circuit,
    Embedding,
    Entangler,
    GeneValue,
    Genome,
    Rotation,
    Topology,
)
from faqnas_optuna.errors import GenomeError


class Section(BaseModel):
    """Section of a configuration."""

    # Strict: TOML has types, and "5" is no number. Unknown keys are most often misspelt.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    later: ClassVar[tuple[str, ...]] = ()
    """Settings that earlier versions lack."""

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Omit later settings that have their defaults, so that stored configurations stay comparable."""
        settings: dict[str, Any] = dump(self)
        if not info.context:
            for name in self.later:
                if getattr(self, name) == type(self).model_fields[name].default:
                    del settings[name]
        return settings

    def whole(self) -> dict[str, Any]:
        """Return all settings as values for JSON, later ones included."""
        return self.model_dump(mode="json", context={"whole": True})


class SpaceConfig(Section):
    """Search space of a study: by default the paper's, which can be narrowed and widened."""

    later = ("reuploading",)
    n_qubits: tuple[int, ...] = tuple(range(2, 11))
    embedding: tuple[Embedding, ...] = PAPER_EMBEDDINGS
    entangler: tuple[Entangler, ...] = PAPER_ENTANGLERS
    topology: tuple[Topology, ...] = tuple(Topology)
    depth: tuple[int, ...] = tuple(range(1, PAPER_DEPTH + 1))
    rotation: tuple[Rotation, ...] = tuple(Rotation)
    """Choices of every rotation gene."""
    reuploading: tuple[bool, ...] = (False,)
    """Choices of uploading the data again before each further layer; the paper's space has none."""

    @field_validator("*")
    @classmethod
    def _narrow(cls, values: tuple[GeneValue, ...], info: Any) -> tuple[GeneValue, ...]:
        """Check the choices of a gene and sort them, so that equal spaces are stored alike."""
        # The four rotations have the same choices, under one setting.
        allowed = EVERY_GENE["rotation_1" if info.field_name == "rotation" else info.field_name]
        listed = ", ".join(str(value) for value in allowed)
        if not values:
            raise ValueError(f"needs at least one of {listed}")
        if unknown := [value for value in values if value not in allowed]:
            raise ValueError(f"{unknown[0]!r} must be one of {listed}")
        if len(set(values)) < len(values):
            raise ValueError("names a value twice")
        return tuple(sorted(values, key=allowed.index))

    @model_validator(mode="after")
    def _is_a_space(self) -> Self:
        if all(len(choices) == 1 for choices in self.genes.values()):
            raise ValueError("leaves a single genome, nothing to search")
        return self

    @property
    def is_wider(self) -> bool:
        """Whether the space has choices that the paper's lacks."""
        return any(not {*values} <= {*GENES.get(gene, ())} for gene, values in self.genes.items())

    @property
    def without_fast_form(self) -> tuple[Entangler, ...]:
        """Entanglers that only PennyLane can run."""
        return tuple(entangler for entangler in self.entangler if ENTANGLERS[entangler].action is None)

    @property
    def genes(self) -> dict[str, tuple[GeneValue, ...]]:
        """Choices of each searched gene, in the order of `EVERY_GENE`: the paper's nine, and those of a wider space."""
        searched = {*GENES, *ROTATION_GENES[: max(self.depth)], *(["reuploading"] if any(self.reuploading) else [])}
        chosen = {
            gene: getattr(self, "rotation" if gene in ROTATION_GENES else gene) for gene in EVERY_GENE if gene in searched
        }
        # In the order of `EVERY_GENE`: Optuna refuses a parameter whose choices are in another order than before.
        return {gene: tuple(value for value in EVERY_GENE[gene] if value in values) for gene, values in chosen.items()}

    def genome_of(self, circuit: Circuit) -> Genome:
        """Return the genome of the space that describes a circuit.

        Raises:
            GenomeError: The circuit is outside the space; the message names the first gene.
        """
        values = circuit.genes
        # Crossover passes on inactive genes too. Drawn by the digest, they are diverse, and equal in every process.
        drawn = int(circuit.digest, 16)
        chosen = {
            gene: values[gene] if values.get(gene) in choices else choices[(drawn >> 3 * place) % len(choices)]
            for place, (gene, choices) in enumerate(self.genes.items())
        }
        genome = Genome.from_params(chosen)
        if genome.circuit != circuit:
            outside = next(gene for gene, value in values.items() if value not in self.genes.get(gene, ()))
            choices = ", ".join(map(str, self.genes.get(outside, ()))) or "absent"
            raise GenomeError(f"circuit {circuit} is outside the space, in which {outside} is {choices}")
        return genome


class LimitsConfig(Section):
    """Limits of a study: a circuit beyond one of them is never trained. None stands for no limit."""

    max_flops: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of quantum FLOPs, by the counter and the gates of the study."""
    max_parameters: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of trained parameters of the whole network."""
    max_cost: Annotated[float, Field(gt=0)] | None = None
    """Maximum of the first objective: quantum FLOPs, or −ln ESP on a device."""

    @property
    def by_name(self) -> dict[str, float]:
        """Limits by name, without those that are not set."""
        return {name: limit for name, limit in self if limit is not None}

    def __str__(self) -> str:
        return ", ".join(f"{name} {limit:.10g}" for name, limit in self.by_name.items())
