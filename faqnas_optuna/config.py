"""Configuration of a study, read from strict TOML and stored as JSON.

Defaults marked "paper" are those of arXiv 2511.10062; the others are ours.
"""

import json
import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config_errors import explained
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.hardware.devices import Device, device_of
from faqnas_optuna.space_config import LimitsConfig, Section, SpaceConfig


class FlopsCounter(StrEnum):
    """Count of quantum FLOPs that is the first objective; both counts are recorded with every trial."""

    PROFILER = "profiler"
    """FLOPs that the PyTorch profiler reports for the PennyLane circuit: the paper's metric."""
    ANALYTIC = "analytic"
    """Arithmetic of the state-vector simulation, counted from first principles; depends on every gene."""


class CountedGates(StrEnum):
    """Gates whose cost is the first objective."""

    ALL = "all"
    """All gates of the suggested circuit (paper)."""
    EFFECTIVE = "effective"
    """All but the inert gates (`circuits.effective`)."""


class Sampler(StrEnum):
    """Algorithm that suggests the genomes of a search, from Optuna."""

    NSGA2 = "nsga2"
    """Genetic algorithm NSGA-II (paper)."""
    NSGA3 = "nsga3"
    """Genetic algorithm NSGA-III."""
    TPE = "tpe"
    """Tree-structured Parzen estimator."""
    RANDOM = "random"
    """Random genomes."""


class Objectives(StrEnum):
    """Values by which the search selects parents; the front always has both."""

    BOTH = "flops-error"
    """Quantum FLOPs and validation error: FAQNAS (paper)."""
    ERROR = "error"
    """Validation error alone: the search that the paper compares FAQNAS with."""


class ErrorEstimate(StrEnum):
    """Estimate of the validation errors that form the front."""

    TRAINED = "trained"
    """Mean over the circuit's own trainings (paper)."""
    POOLED = "pooled"
    """Prediction of a linear model of the gates, fitted to all trainings of the study (`training.pooling`)."""


Value = TypeVar("Value")


class Score(StrEnum):
    """Score whose complement is the second objective; both scores are recorded with every trial."""

    ACCURACY = "accuracy"
    """Share of correctly classified samples (paper)."""
    BALANCED = "balanced"
    """Mean recall over the classes of a part: every class counts the same, whatever its number of samples."""

    @property
    def in_words(self) -> str:
        return self.of(accuracy="accuracy", balanced="balanced accuracy")

    @property
    def key(self) -> str:
        """Suffix of its attributes and keys, as in `val_accuracy`."""
        return self.in_words.replace(" ", "_")

    @property
    def remark(self) -> str:
        """Remark after the name of a value that does not say which score it is; empty for the paper's score."""
        return self.of(accuracy="", balanced=" (balanced)")

    def of(self, *, accuracy: Value, balanced: Value) -> Value:
        """Return the argument for this score."""
        return balanced if self is Score.BALANCED else accuracy


class Engine(StrEnum):
    """Simulator of the quantum layer in training."""

    FAST = "fast"
    """Our state-vector kernels with adjoint gradients, which agree with PennyLane to float32 accuracy.

    Circuits without a fast form run on PennyLane.
    """
    PENNYLANE = "pennylane"
    """PennyLane's `default.qubit`, differentiated by backpropagation: the reference."""

    def of(self, circuit: Circuit) -> "Engine":
        """Return the engine that runs a circuit if this one is configured."""
        return self if circuit.has_fast_form else Engine.PENNYLANE


FILE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".npz")
"""Suffixes of data files, which distinguish a file from the name of a data set."""
SAMPLES = "samples"
"""Name of a data set that consists of samples in memory."""
MOST_COMPONENTS = 1_000
FLOPS = "flops"
"""Value of `cost` for quantum FLOPs."""
HARDWARE = "hardware:"
"""Prefix of a device in the value of `cost`."""
AUTO = "auto"
"""Number of repeats that is determined from the measured reliability."""

MOST_TRIALS = 200_000
"""Maximum number of trials of a search; even with the smallest population it needs no more than 100,000 generations."""
Probability = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
# The columns and the parts of a named data set are fixed.
FOR_ANY_DATA = ("pca", "split_seed")
"""Fields of `DataConfig` that also apply to data sets known by name."""


class DataConfig(Section):
    """Use of the data in a file; paths of files are not part of the configuration."""

    target: str | None = None
    """Column of the class labels; None for a file of arrays."""
    groups: str | None = None
    """Column of group labels: all samples of a group are in the same part."""
    test_file: str | None = None
    """Name of the file with the test part."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    category: tuple[str, ...] = ()
    """Columns whose numbers are codes of categories."""
    pca: Annotated[int, Field(ge=1, le=MOST_COMPONENTS)] | None = None
    """Number of principal components to use instead of the features."""
    split_seed: Seed | None = None
    """Random seed of the split; None for the seed of the study."""

    @field_validator("drop", "category")
    @classmethod
    def _in_order(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Sort the columns, so that equal configurations are stored alike."""
        return tuple(sorted(set(columns)))


class SearchConfig(Section):
    """Settings of the sampler and the stopping rules."""

    later = ("sampler", "trials")
    sampler: Sampler = Sampler.NSGA2
    """Algorithm that suggests genomes (paper: nsga2)."""
    population: Annotated[int, Field(ge=2, le=10_000)] = 20
    """Successful trials per generation (ours; the paper does not state its own)."""
    generations: Annotated[int, Field(ge=1, le=100_000)] = 8
    """Maximum number of generations (paper); by default as many as `trials` needs, if that is set."""
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    """Maximum number of successful trials (ours); None for no maximum."""
    patience: Annotated[int, Field(ge=1, le=100_000)] = 2
    """Number of generations without growth of the hypervolume after which the search stops (paper)."""
    objectives: Objectives = Objectives.BOTH
    """Values by which parents are selected (paper: both)."""
    front: ErrorEstimate = ErrorEstimate.TRAINED
    """Estimate of the errors that form the front (paper: trained)."""
    synchronous: bool = False
    """Whether workers wait for each other, so that a generation has exactly `population` successful trials (ours)."""
    crossover: Probability = 0.8
    """Probability that a child is crossed over rather than cloned (paper)."""
    mutation: Probability = 0.2
    """Probability that a gene is resampled (paper)."""

    @model_validator(mode="after")
    def _selects_parents(self) -> Self:
        if self.objectives is Objectives.ERROR and self.sampler in (Sampler.TPE, Sampler.RANDOM):
            raise ValueError(f"{self.sampler} selects no parents; leave out objectives, or take the sampler nsga2 or nsga3")
        return self

    @model_validator(mode="after")
    def _has_generations_for_trials(self) -> Self:
        # Otherwise the default of the paper would end a search of 500 trials after 160.
        if self.trials is not None and "generations" not in self.model_fields_set:
            # The model is frozen for its users, not for its own validation.
            self.__dict__["generations"] = self._generations_of(self.trials)
        return self

    @property
    def planned(self) -> int:
        """Number of successful trials of a search that does not stop early."""
        planned = self.population * self.generations
        return planned if self.trials is None else min(planned, self.trials)

    def with_limits(self, *, generations: int | None, trials: int | None) -> Self:
        """Return a copy with other limits; None keeps a limit.

        Without `generations`, a new limit of trials also raises the limit of generations as far as the trials need it.
        """
        if trials is not None and generations is None:
            generations = max(self.generations, self._generations_of(trials))
        changes = {"generations": generations, "trials": trials}
        return self.model_copy(update={name: value for name, value in changes.items() if value is not None})

    def _generations_of(self, trials: int) -> int:
        return math.ceil(trials / self.population)


class TrainingConfig(Section):
    """The training budget of a candidate."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 5
    """Passes over the training part (paper)."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.003
    """Learning rate of Adam (paper)."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """Samples per optimiser step (paper)."""
    repeats: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Trainings per circuit, each from its own seed, whose mean accuracy counts (ours)."""


class StudyConfig(Section):
    """Everything that determines the results of a study, except the data themselves."""

    later = ("device", "limits")
    dataset: str
    seed: Seed = 0
    engine: Engine = Engine.FAST
    flops: FlopsCounter = FlopsCounter.PROFILER
    gates: CountedGates = CountedGates.ALL
    device: Device | None = None
    """Device whose success probability is the cost; None if the cost is quantum FLOPs. The setting `cost` names it."""
    score: Score = Score.ACCURACY
    data: DataConfig = DataConfig()
    search: SearchConfig = SearchConfig()
    training: TrainingConfig = TrainingConfig()
    space: SpaceConfig = SpaceConfig()
    limits: LimitsConfig = LimitsConfig()

    @model_validator(mode="after")
    def _device_fits(self) -> Self:
        most = max(self.space.n_qubits)
        if self.device and self.device.qubits < most:
            raise ValueError(
                f"{self.device.name} has {self.device.qubits} qubits but the space has circuits of up to {most};"
                " narrow space.n_qubits, or set max_qubits"
            )
        return self

    @model_validator(mode="after")
    def _data_fit(self) -> Self:
        # Samples in memory have no file for the test part; other settings apply to their columns.
        own = [name for name in DataConfig.model_fields if name not in FOR_ANY_DATA]
        settings = [name for name in (["test_file"] if self.dataset == SAMPLES else own) if getattr(self.data, name)]
        if self.dataset and settings and not is_file(self.dataset):
            raise ValueError(f"data.{settings[0]} applies to data files; {self.dataset!r} is not a file")
        if is_file(self.dataset) and self.dataset != Path(self.dataset).name:
            raise ValueError(f"dataset must be a file name without a directory; it is {self.dataset!r}")
        return self

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Engines that train the circuits of the space."""
        slow = self.space.without_fast_form
        return tuple(sorted({Engine.PENNYLANE if entangler in slow else self.engine for entangler in self.space.entangler}))

    @property
    def cost(self) -> str:
        """First objective, as typed for --cost."""
        return f"{HARDWARE}{self.device.name}" if self.device else FLOPS

    @property
    def cost_name(self) -> str:
        """First objective, as a heading."""
        return f"−ln ESP on {self.device.name}" if self.device else "quantum FLOPs"

    def cost_with_name(self, cost: float) -> str:
        """Format a value of the first objective with its name."""
        return f"{cost_text(cost)} {self.cost_name}"

    @property
    def split_seed(self) -> int:
        """Random seed of the split."""
        return self.seed if self.data.split_seed is None else self.data.split_seed

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, source: str) -> Self:
        """Check nested settings from TOML or JSON.

        Args:
            settings: Plain values by section.
            source: Origin of the settings for error messages: a file, or "options".

        Raises:
            ConfigError: A setting is unknown, missing or has an invalid value.
        """
        settings = _with_device(settings, source)
        try:
            # Validating JSON instead of Python values lets strict mode accept lists as tuples and texts as enums, but no more.
            return cls.model_validate_json(json.dumps(settings, default=_plain))
        except ValidationError as error:
            raise ConfigError(f"{source}: {'; '.join(explained(detail, _settings_of) for detail in error.errors())}") from error

    @property
    def shows_balanced(self) -> bool:
        """Whether tables also show the balanced accuracy: if it is the score, and for data files."""
        return self.score is Score.BALANCED or is_file(self.dataset)

    def with_repeats(self, repeats: int) -> Self:
        """Return a copy with another number of trainings per circuit."""
        return self.model_copy(update={"training": self.training.model_copy(update={"repeats": repeats})})

    def to_json(self) -> str:
        return self.model_dump_json()


def cost_text(cost: float) -> str:
    """Format a cost for tables: FLOPs are whole numbers, or halves in a median; −ln ESP is a small fraction.

    >>> cost_text(38997), cost_text(0.12345)
    ('38,997', '0.1235')
    """
    if float(cost).is_integer():
        return f"{cost:,.0f}"
    return f"{cost:,.1f}" if cost >= 100 else f"{cost:.4f}"


def _with_device(settings: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Replace the setting `cost` by the device that it names.

    Raises:
        ConfigError: The cost is invalid, or the device unknown.
    """
    # A copy, since `cost` is removed from it.
    settings = dict(settings)
    cost = settings.pop("cost", None)
    if cost is None or cost == FLOPS:
        return settings
    if not isinstance(cost, str) or not cost.startswith(HARDWARE):
        raise ConfigError(f"{source}: cost: must be {FLOPS} or {HARDWARE}DEVICE, such as hardware:heron-r3 (it is {cost!r})")
    # The figures of the device are stored, not its name: a later calibration must not change a study.
    return settings | {"device": device_of(cost.removeprefix(HARDWARE)).model_dump(mode="json")}


def is_file(dataset: str) -> bool:
    """Return whether a data set is a file rather than a known name."""
    return file_suffix(dataset) is not None


def file_suffix(name: str) -> str | None:
    """Return which of `FILE_SUFFIXES` a name ends with, in any case; None for any other name."""
    return next((suffix for suffix in FILE_SUFFIXES if name.lower().endswith(suffix)), None)


def _plain(value: object) -> object:
    """Convert a number or array of numpy to Python's own, and any other value to text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _settings_of(section: list[str]) -> Iterable[str]:
    if not section:
        # A study file names the device in `cost`.
        return ["cost" if name == "device" else name for name in StudyConfig.model_fields]
    model = getattr(StudyConfig.model_fields.get(section[0]), "annotation", None)
    return model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else ()
