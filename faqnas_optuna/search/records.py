"""What is kept with a trial, and a successful trial read back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from optuna.trial import FrozenTrial

from faqnas_optuna.circuits.effective import EffectiveCircuit
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.learning.statistics import mean_interval

GENERATION_KEY = "NSGAIISampler:generation"
"""Where Optuna's sampler keeps a trial's generation."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """What a trial attribute each records, in words that a reader of the dashboard understands."""

    circuit: str
    """The circuit's digest."""
    summary: str
    """The circuit in words."""
    effective: str
    """The digest of the circuit that was trained for all with the same live gates."""
    quantum_flops_profiler: int
    quantum_flops_analytic: int
    effective_flops_profiler: int
    """The same counts of the live gates alone."""
    effective_flops_analytic: int
    classical_flops: int
    parameters: int
    live_parameters: int
    val_accuracy: float
    val_accuracy_std: float | None
    """Over the repeats; None if there is one."""
    seconds: float
    """Spent by this trial: near nothing if it was reused."""
    worker: str
    reused_from: int | None
    """The trial whose training serves this one too."""

    def to_attributes(self) -> dict[str, Any]:
        """Attributes that say something: those that are None are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        """The inverse of `to_attributes`."""
        values: dict[str, Any] = {name: attributes.get(name) for name in cls.__dataclass_fields__}
        return cls(**values)


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
    record: TrialRecord

    @property
    def effective(self) -> EffectiveCircuit:
        """What is live in its circuit; as a text, the circuit with brackets around what is inert."""
        return EffectiveCircuit(circuit=self.genome.circuit)

    def val_error_interval(self, repeats: int) -> tuple[float, float] | None:
        """The 95 % t interval of its mean over the study's repeats, within 0 and 1; None of a single training."""
        if self.record.val_accuracy_std is None:
            return None
        low, high = mean_interval(self.val_error, self.record.val_accuracy_std, repeats)
        return max(low, 0.0), min(high, 1.0)

    @classmethod
    def of_trial(cls, trial: FrozenTrial) -> Self:
        """A successful trial of ours, as Optuna has it."""
        return cls(
            trial=trial.number,
            generation=generation_of(trial),
            genome=Genome.from_params(trial.params),
            quantum_flops=int(trial.values[0]),
            val_error=trial.values[1],
            record=TrialRecord.from_attributes(trial.user_attrs),
        )


def generation_of(trial: FrozenTrial) -> int | None:
    """The generation, from 0, that the sampler gave to a trial; None if it has none, or none yet."""
    generation: int | None = trial.system_attrs.get(GENERATION_KEY)
    return generation
