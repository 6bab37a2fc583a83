"""The configuration of a study: strict TOML in, JSON out.

Where a default is the paper's (arXiv 2511.10062) it says so; the rest are ours.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
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
    Rotation,
    Topology,
)
from faqnas_optuna.config_errors import explained
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.hardware.devices import Device, device_of


class FlopsCounter(StrEnum):
    """Which count of quantum FLOPs is the first objective. Both are recorded with every trial."""

    PROFILER = "profiler"
    """What the PyTorch profiler reports for the PennyLane circuit: the paper's metric."""
    ANALYTIC = "analytic"
    """State-vector arithmetic counted from first principles; sees every gene."""


class CountedGates(StrEnum):
    """Which gates the first objective charges for."""

    ALL = "all"
    """All gates of the circuit that was suggested: the paper's."""
    EFFECTIVE = "effective"
    """Those that a measured value depends on (`circuits.effective`)."""


class Objectives(StrEnum):
    """By which of a circuit's two values the search selects parents. Both are recorded, and both make the front."""

    BOTH = "flops-error"
    """Quantum FLOPs and validation error: FAQNAS, the paper's."""
    ERROR = "error"
    """Validation error alone: the search that the paper holds FAQNAS against."""


class ErrorEstimate(StrEnum):
    """By which errors the front is chosen."""

    TRAINED = "trained"
    """Those of each circuit's own trainings: the paper's."""
    POOLED = "pooled"
    """What all trainings of the study say together of the circuit's gates (`training.pooling`)."""


Value = TypeVar("Value")


class Score(StrEnum):
    """What a network is judged by; its complement is the second objective. Both are recorded with every trial."""

    ACCURACY = "accuracy"
    """Share of the samples that is told right: the paper's."""
    BALANCED = "balanced"
    """Mean of the recalls of the classes that a part holds: each counts the same, however few samples it has."""

    @property
    def in_words(self) -> str:
        return self.of(accuracy="accuracy", balanced="balanced accuracy")

    @property
    def key(self) -> str:
        """What it is called in attributes and documents, after the part that it is of: `val_accuracy`."""
        return self.in_words.replace(" ", "_")

    @property
    def remark(self) -> str:
        """What follows the name of a value where that does not tell the score: nothing of the paper's."""
        return self.of(accuracy="", balanced=" (balanced)")

    def of(self, *, accuracy: Value, balanced: Value) -> Value:
        """The one of two things that goes with it."""
        return balanced if self is Score.BALANCED else accuracy


class Engine(StrEnum):
    """What simulates the quantum layer in training."""

    FAST = "fast"
    """Our own state-vector kernels with adjoint gradients; agrees with PennyLane to float32 accuracy. Circuits that have no
    fast form run on PennyLane."""
    PENNYLANE = "pennylane"
    """PennyLane's `default.qubit`, differentiated by backpropagation: the reference."""

    def of(self, circuit: Circuit) -> "Engine":
        """The one that runs a circuit where this one is asked for."""
        return self if circuit.has_fast_form else Engine.PENNYLANE


FILE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".npz")
"""Endings of the names of data files, by which a file differs from a data set that is known by name."""
SAMPLES = "samples"
"""What the data set is called of samples that a program has in its memory."""
MOST_COMPONENTS = 1_000
FLOPS, HARDWARE = "flops", "hardware:"
"""As the cost: quantum FLOPs, or what stands before a device."""
AUTO = "auto"
"""As the number of repeats: as many as make the values of circuits reliable."""

Probability = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
FOR_ANY_DATA = ("pca", "split_seed")
"""What `DataConfig` has that is not for files alone."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataConfig(_Section):
    """Which data of a file are used, and how: the paths of files are no part of it."""

    target: str | None = None
    """The column of the classes; a file of arrays needs none."""
    groups: str | None = None
    """The column that tells which samples belong together: no group is divided between the parts."""
    test_file: str | None = None
    """The name of the file that holds the test part."""
    drop: tuple[str, ...] = ()
    """Columns that are left out."""
    category: tuple[str, ...] = ()
    """Columns whose numbers are codes, each a category."""
    pca: Annotated[int, Field(ge=1, le=MOST_COMPONENTS)] | None = None
    """So many principal components in place of the features."""
    split_seed: Seed | None = None
    """Decides who is in which part; None for the seed of the study."""

    @field_validator("drop", "category")
    @classmethod
    def _in_order(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The same columns are always written the same way."""
        return tuple(sorted(set(columns)))


class SearchConfig(_Section):
    """NSGA-II and when it stops."""

    population: Annotated[int, Field(ge=2, le=10_000)] = 20
    """Successful trials in a generation. Ours: the paper's is unknown."""
    generations: Annotated[int, Field(ge=1, le=100_000)] = 8
    """At most so many generations (paper)."""
    patience: Annotated[int, Field(ge=1, le=100_000)] = 2
    """Stop after so many generations whose hypervolume did not grow (paper)."""
    objectives: Objectives = Objectives.BOTH
    """By which of the two values parents are selected (paper: both)."""
    front: ErrorEstimate = ErrorEstimate.TRAINED
    """By which errors the front is chosen (paper: trained)."""
    synchronous: bool = False
    """Workers wait for one another, so that every generation has exactly `population` successful trials (ours)."""
    crossover: Probability = 0.8
    """Chance that a child is crossed rather than cloned (paper)."""
    mutation: Probability = 0.2
    """Chance of each gene to be drawn anew (paper)."""


class TrainingConfig(_Section):
    """The training budget of a candidate."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 5
    """Passes over the training part (paper)."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.003
    """Of Adam (paper)."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """Samples in a step (paper)."""
    repeats: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Trainings from different seeds; their mean accuracy counts (ours)."""


class SpaceConfig(_Section):
    """The space that a study explores: by default the paper's, of which it may leave out, and to which it may add."""

    n_qubits: tuple[int, ...] = tuple(range(2, 11))
    embedding: tuple[Embedding, ...] = PAPER_EMBEDDINGS
    entangler: tuple[Entangler, ...] = PAPER_ENTANGLERS
    topology: tuple[Topology, ...] = tuple(Topology)
    depth: tuple[int, ...] = tuple(range(1, PAPER_DEPTH + 1))
    rotation: tuple[Rotation, ...] = tuple(Rotation)
    """The values of all rotation genes."""
    reuploading: tuple[bool, ...] = (False,)
    """Whether the data are uploaded again before each further layer; they never are in the paper's space."""

    @field_validator("*")
    @classmethod
    def _narrow(cls, values: tuple[GeneValue, ...], info: Any) -> tuple[GeneValue, ...]:
        """Values of the gene, in the gene's order: the same space is always written the same way."""
        allowed = EVERY_GENE["rotation_1" if info.field_name == "rotation" else info.field_name]
        listed = ", ".join(str(value) for value in allowed)
        if not values:
            raise ValueError(f"needs at least one of {listed}")
        if strangers := [value for value in values if value not in allowed]:
            raise ValueError(f"{strangers[0]!r} is none of {listed}")
        if len(set(values)) < len(values):
            raise ValueError("names a value twice")
        return tuple(sorted(values, key=allowed.index))

    @model_validator(mode="after")
    def _is_a_space(self) -> Self:
        if all(len(choices) == 1 for choices in self.genes.values()):
            raise ValueError("leaves a single genome, nothing to search")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings of the paper's space are stored as they were before there was another."""
        settings: dict[str, Any] = dump(self)
        if not any(self.reuploading):
            del settings["reuploading"]
        return settings

    @property
    def is_wider(self) -> bool:
        """Whether it has what the paper's has not."""
        return any(not {*values} <= {*GENES.get(gene, ())} for gene, values in self.genes.items())

    @property
    def without_fast_form(self) -> tuple[Entangler, ...]:
        """The entanglers that PennyLane alone can run."""
        return tuple(entangler for entangler in self.entangler if ENTANGLERS[entangler].action is None)

    @property
    def genes(self) -> dict[str, tuple[GeneValue, ...]]:
        """The plain choices of each gene, in the order of `EVERY_GENE`: the paper's nine, and rotations of further layers."""
        searched = {*GENES, *ROTATION_GENES[: max(self.depth)], *(["reuploading"] if any(self.reuploading) else [])}
        chosen = {
            gene: getattr(self, "rotation" if gene in ROTATION_GENES else gene) for gene in EVERY_GENE if gene in searched
        }
        return {gene: tuple(value for value in EVERY_GENE[gene] if value in values) for gene, values in chosen.items()}


class StudyConfig(_Section):
    """Everything that decides what a study finds, but for the data itself."""

    dataset: str
    seed: Seed = 0
    engine: Engine = Engine.FAST
    flops: FlopsCounter = FlopsCounter.PROFILER
    gates: CountedGates = CountedGates.ALL
    device: Device | None = None
    """Whose success probability is the cost; None where that is quantum FLOPs. In settings it is named by `cost`."""
    score: Score = Score.ACCURACY
    data: DataConfig = DataConfig()
    search: SearchConfig = SearchConfig()
    training: TrainingConfig = TrainingConfig()
    space: SpaceConfig = SpaceConfig()

    @model_validator(mode="after")
    def _device_fits(self) -> Self:
        most = max(self.space.n_qubits)
        if self.device and self.device.qubits < most:
            raise ValueError(
                f"{self.device.name} has {self.device.qubits} qubits; its circuits have up to {most}, so narrow space.n_qubits"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_nothing(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A study by FLOPs is written as before there were devices."""
        plain: dict[str, Any] = serialize(self)
        return plain if self.device else {name: value for name, value in plain.items() if name != "device"}

    @model_validator(mode="after")
    def _data_fit(self) -> Self:
        own = [name for name in DataConfig.model_fields if name not in FOR_ANY_DATA]
        given = [name for name in (["test_file"] if self.dataset == SAMPLES else own) if getattr(self.data, name)]
        if self.dataset and given and not is_file(self.dataset):
            raise ValueError(f"data.{given[0]} is for data in a file; {self.dataset!r} is none")
        if is_file(self.dataset) and self.dataset != Path(self.dataset).name:
            raise ValueError(f"dataset is the name of a file, without its directory; it is {self.dataset!r}")
        return self

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Those that its circuits are trained on."""
        slow = self.space.without_fast_form
        return tuple(sorted({Engine.PENNYLANE if entangler in slow else self.engine for entangler in self.space.entangler}))

    @property
    def cost(self) -> str:
        """The first objective as it is typed."""
        return f"{HARDWARE}{self.device.name}" if self.device else FLOPS

    @property
    def cost_name(self) -> str:
        """The first objective in words."""
        return f"−ln ESP on {self.device.name}" if self.device else "quantum FLOPs"

    def told_cost(self, cost: float) -> str:
        """A value of the first objective with its name."""
        return f"{told_number(cost)} {self.cost_name}"

    @property
    def split_seed(self) -> int:
        """What decides the split."""
        return self.seed if self.data.split_seed is None else self.data.split_seed

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, source: str) -> Self:
        """Check nested settings as TOML or JSON gives them.

        Args:
            settings: plain values by section.
            source: what to name in an error: a file, or where else they come from.

        Raises:
            ConfigError: a setting is unknown, missing, or has an impossible value.
        """
        settings = _with_device(settings, source)
        try:
            # By way of JSON, strict mode takes a list for a tuple and a text for an enum, and nothing laxer.
            return cls.model_validate_json(json.dumps(settings, default=_plain))
        except ValidationError as error:
            raise ConfigError(f"{source}: {'; '.join(explained(detail, _settings_of) for detail in error.errors())}") from error

    @property
    def tells_balanced(self) -> bool:
        """Whether tables have the balanced accuracy too: where it is the score, and of data of one's own."""
        return self.score is Score.BALANCED or is_file(self.dataset)

    def with_repeats(self, repeats: int) -> Self:
        """The same with another number of trainings of each circuit."""
        return self.model_copy(update={"training": self.training.model_copy(update={"repeats": repeats})})

    def to_json(self) -> str:
        return self.model_dump_json()


def told_number(cost: float) -> str:
    """Return a cost as tables show it: FLOPs are whole numbers, or halves in a median, −ln ESP is a small fraction."""
    if float(cost).is_integer():
        return f"{cost:,.0f}"
    return f"{cost:,.1f}" if cost >= 100 else f"{cost:.4f}"


def _with_device(settings: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Settings with the device that their cost names.

    Raises:
        ConfigError: the cost is none, or there is no such device.
    """
    settings = dict(settings)
    cost = settings.pop("cost", None)
    if cost is None or cost == FLOPS:
        return settings
    if not isinstance(cost, str) or not cost.startswith(HARDWARE):
        raise ConfigError(f"{source}: cost: is {FLOPS} or {HARDWARE}DEVICE, as hardware:heron-r3 (it is {cost!r})")
    return settings | {"device": device_of(cost.removeprefix(HARDWARE)).model_dump(mode="json")}


def is_file(dataset: str) -> bool:
    """Whether a data set is a file, rather than one that we know by name."""
    return file_suffix(dataset) is not None


def file_suffix(name: str) -> str | None:
    """Return which of `FILE_SUFFIXES` a name ends with, in any case; None for any other name."""
    return next((suffix for suffix in FILE_SUFFIXES if name.lower().endswith(suffix)), None)


def _plain(value: object) -> object:
    """A number or an array of numpy as Python's own, anything else that JSON has no word for as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _settings_of(section: list[str]) -> Iterable[str]:
    if not section:
        # Of a device a study file has the name.
        return ["cost" if name == "device" else name for name in StudyConfig.model_fields]
    model = getattr(StudyConfig.model_fields.get(section[0]), "annotation", None)
    return model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else ()
