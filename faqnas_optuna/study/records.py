"""The record that is stored with a successful trial, and the trial read back as a candidate."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Self, get_type_hints

from optuna.trial import FrozenTrial

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import ErrorEstimate, Score, StudyConfig
from faqnas_optuna.training.values import Costs, ValidationScores

GENERATION_KEY = "NSGAIISampler:generation"
"""Where Optuna's sampler keeps a trial's generation."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """The record of a trial. It is stored as flat user attributes, which a reader of optuna-dashboard sees."""

    circuit: str
    """The circuit's digest."""
    summary: str
    """The circuit in words."""
    effective: str
    """The effective circuit's digest."""
    costs: Costs
    scores: ValidationScores
    seconds: float
    """Spent by this trial: near nothing if it was reused."""
    worker: str
    reused_from: int | None
    """The trial whose training serves this one too."""

    def to_attributes(self) -> dict[str, Any]:
        """Return the flat attributes, without those that are None."""
        values = vars(self) | vars(self.costs) | vars(self.scores)
        return {name: value for name, value in values.items() if value is not None and not is_dataclass(value)}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        """Return the record of `to_attributes`; what is missing is None."""

        def read(kind: type[TrialRecord] | type[Costs] | type[ValidationScores]) -> dict[str, Any]:
            return {name: attributes.get(name) for name in kind.__dataclass_fields__}

        return cls(**read(cls) | {"costs": Costs(**read(Costs)), "scores": ValidationScores(**read(ValidationScores))})


def attribute_types(record: Any) -> dict[str, Any]:
    """Return the types of the flat attributes of a record by name; a nested dataclass gives those of its fields."""
    types: dict[str, Any] = {}
    for name, kind in get_type_hints(record).items():
        types |= attribute_types(kind) if is_dataclass(kind) else {name: kind}
    return types


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A successful trial."""

    trial: int
    generation: int | None
    """None of a trial that NSGA-II did not suggest."""
    genome: Genome
    quantum_flops: int
    """By the study's counter."""
    val_error: float
    """1 - the score that the study goes by, as its front is chosen by."""
    record: TrialRecord

    @property
    def cost(self) -> float:
        """The first objective of the study: quantum FLOPs, or -ln ESP on its device."""
        return self.quantum_flops if self.costs.neg_log_esp is None else self.costs.neg_log_esp

    @property
    def costs(self) -> Costs:
        """The costs of the circuit and its network."""
        return self.record.costs

    @property
    def scores(self) -> ValidationScores:
        """The scores of the circuit on the validation part."""
        return self.record.scores

    @property
    def effective_gates(self) -> EffectiveGates:
        """The effective gates of the circuit; as text, the circuit with brackets around its inert gates."""
        return EffectiveGates(circuit=self.genome.circuit)

    def search_estimate(self, config: StudyConfig) -> float:
        """The score that the study believes it to have."""
        return 1 - self.val_error if config.search.front is ErrorEstimate.POOLED else self.scores.mean(config.score)

    def val_error_interval(self, score: Score, repeats: int) -> tuple[float, float] | None:
        """The 95 % interval of its error: that of the score which the study goes by, from the other end."""
        interval = self.scores.interval(score, repeats)
        return interval and (1 - interval[1], 1 - interval[0])

    @classmethod
    def of_trial(cls, trial: FrozenTrial, config: StudyConfig) -> Self:
        """A successful trial of a study of ours, as Optuna has it."""
        record = TrialRecord.from_attributes(trial.user_attrs)
        return cls(
            trial=trial.number,
            generation=generation_of(trial),
            genome=Genome.from_params(trial.params),
            quantum_flops=int(trial.values[0]) if config.device is None else record.costs.quantum_flops(config),
            val_error=trial.values[1],
            record=record,
        )


def generation_of(trial: FrozenTrial) -> int | None:
    """The generation, from 0, that the sampler gave to a trial; None if it has none, or none yet."""
    generation: int | None = trial.system_attrs.get(GENERATION_KEY)
    return generation
