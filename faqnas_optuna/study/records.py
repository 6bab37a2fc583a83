"""What is kept with a trial, and a successful trial read back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from optuna.trial import FrozenTrial

from faqnas_optuna.circuits.effective import EffectiveCircuit
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import ErrorEstimate, FlopsCounter, FlopsOf, Score, StudyConfig
from faqnas_optuna.training.statistics import bounded_interval

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
    cheapest_flops_profiler: int
    """Those of the circuit that stands for all with the same live gates, which is the cheapest of them."""
    cheapest_flops_analytic: int
    classical_flops: int
    parameters: int
    live_parameters: int
    val_accuracy: float
    val_accuracy_std: float | None
    """Over the repeats; None if there is one."""
    val_balanced_accuracy: float | None
    """None of a trial of before it was kept; and so is its deviation."""
    val_balanced_accuracy_std: float | None
    seconds: float
    """Spent by this trial: near nothing if it was reused."""
    worker: str
    reused_from: int | None
    """The trial whose training serves this one too."""
    neg_log_esp: float | None = None
    """Of the live gates on the study's device; None where it has none, as the two that follow."""
    two_qubit_gates: int | None = None
    """On that device, SWAPs included."""
    duration_us: float | None = None
    """Of a run of the gates on it."""

    def to_attributes(self) -> dict[str, Any]:
        """Attributes that say something: those that are None are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def quantum_flops(self, config: StudyConfig) -> int:
        """What a study counts of the circuit."""
        if config.flops_of is FlopsOf.EFFECTIVE:
            by_counter = (self.effective_flops_profiler, self.effective_flops_analytic)
        else:
            by_counter = (self.quantum_flops_profiler, self.quantum_flops_analytic)
        return by_counter[config.flops is FlopsCounter.ANALYTIC]

    def cheapest_flops(self, config: StudyConfig) -> int:
        """What a study charges for the cheapest circuit that computes the same."""
        if config.flops_of is FlopsOf.EFFECTIVE:
            by_counter = (self.effective_flops_profiler, self.effective_flops_analytic)
        else:
            by_counter = (self.cheapest_flops_profiler, self.cheapest_flops_analytic)
        return by_counter[config.flops is FlopsCounter.ANALYTIC]

    def score(self, score: Score) -> float:
        """What the trial's study goes by."""
        value = score.of(accuracy=self.val_accuracy, balanced=self.val_balanced_accuracy)
        # As long as there are studies that go by it it has been kept.
        assert value is not None
        return value

    def score_std(self, score: Score) -> float | None:
        """Over the repeats; None if there is one."""
        return score.of(accuracy=self.val_accuracy_std, balanced=self.val_balanced_accuracy_std)

    def interval(self, score: Score, repeats: int) -> tuple[float, float] | None:
        """Return the 95 % t interval of the mean of a score over the study's repeats, within 0 and 1.

        Return None of a single training, and where all are equal.
        """
        deviation = self.score_std(score)
        return None if deviation is None else bounded_interval(self.score(score), deviation, repeats)

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
    """1 - the score that the study goes by, as its front is chosen by."""
    record: TrialRecord

    @property
    def cost(self) -> float:
        """The first objective of the study: quantum FLOPs, or -ln ESP on its device."""
        return self.quantum_flops if self.record.neg_log_esp is None else self.record.neg_log_esp

    @property
    def effective(self) -> EffectiveCircuit:
        """What is live in its circuit; as a text, the circuit with brackets around what is inert."""
        return EffectiveCircuit(circuit=self.genome.circuit)

    def believed(self, config: StudyConfig) -> float:
        """The score that the study believes it to have."""
        return 1 - self.val_error if config.search.front is ErrorEstimate.POOLED else self.record.score(config.score)

    def val_error_interval(self, score: Score, repeats: int) -> tuple[float, float] | None:
        """The 95 % interval of its error: that of the score which the study goes by, from the other end."""
        interval = self.record.interval(score, repeats)
        return interval and (1 - interval[1], 1 - interval[0])

    @classmethod
    def of_trial(cls, trial: FrozenTrial, config: StudyConfig) -> Self:
        """A successful trial of a study of ours, as Optuna has it."""
        record = TrialRecord.from_attributes(trial.user_attrs)
        return cls(
            trial=trial.number,
            generation=generation_of(trial),
            genome=Genome.from_params(trial.params),
            quantum_flops=int(trial.values[0]) if config.device is None else record.quantum_flops(config),
            val_error=trial.values[1],
            record=record,
        )


def generation_of(trial: FrozenTrial) -> int | None:
    """The generation, from 0, that the sampler gave to a trial; None if it has none, or none yet."""
    generation: int | None = trial.system_attrs.get(GENERATION_KEY)
    return generation
