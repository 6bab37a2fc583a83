"""Records that are stored with successful trials, and trials read back as candidates."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Self, get_type_hints

from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.functions import function_of, is_entangled
from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import ErrorEstimate, Score, StudyConfig
from faqnas_optuna.signals import Interruption
from faqnas_optuna.storage.heartbeats import FAILURE, GIVEN_UP, MAX_RETRIES, RETRY_HISTORY
from faqnas_optuna.training.values import Costs, ValidationScores

GENERATION_KEY = "NSGAIISampler:generation"
"""Name of the system attribute in which Optuna's sampler stores the generation of a trial."""
PLACE_KEY = "faqnas:place"
"""Name of the system attribute with the place of a trial, where that is not its number."""
SOURCE = "source"
"""Name of the user attribute with the origin of a queued circuit: its trial of another study, its row of a file, or a user."""
QUEUED_BY = "queued_by"
"""Key, in that attribute, of the user who queued the circuit."""
SOURCE_SCORES = "source_scores"
"""Name of the user attribute with the scores of that trial, where they replace a training."""
INTERRUPTED = (KeyboardInterrupt.__name__, Interruption.__name__)
"""Beginnings of the reason of a trial that a signal ended."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """Result of a successful trial, stored as flat user attributes that optuna-dashboard shows."""

    circuit: str
    """Digest of the circuit."""
    summary: str
    """Readable form of the circuit."""
    effective: str
    """Digest of the effective circuit."""
    costs: Costs
    scores: ValidationScores
    seconds: float | None
    """Duration of the trainings or, if the trial reused a training, of the trial itself (close to 0); None in a race."""
    worker: str | None
    """Name of the process that ran the trial; None in a race."""
    reused_from: int | None
    """Number of the trial whose training this one reused; None if it has its own."""

    def to_attributes(self) -> dict[str, Any]:
        """Return the record as flat attributes; values of None are omitted."""
        # All fields end up on one level, so their names must be distinct.
        values = vars(self) | vars(self.costs) | vars(self.scores)
        return {name: value for name, value in values.items() if value is not None and not is_dataclass(value)}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        """Restore the record from the result of `to_attributes`; absent attributes become None."""

        def read(record_class: type[TrialRecord] | type[Costs] | type[ValidationScores]) -> dict[str, Any]:
            return {name: attributes.get(name) for name in record_class.__dataclass_fields__}

        return cls(**read(cls) | {"costs": Costs(**read(Costs)), "scores": ValidationScores(**read(ValidationScores))})


def attribute_types(record_class: Any) -> dict[str, Any]:
    """Return the types of the flat attributes of a record class by name; fields of nested dataclasses are attributes too."""
    types: dict[str, Any] = {}
    for name, field_type in get_type_hints(record_class).items():
        types |= attribute_types(field_type) if is_dataclass(field_type) else {name: field_type}
    return types


@dataclass(frozen=True, kw_only=True)
class RaceRecord:
    """Values of a circuit in a race, stored as further user attributes of its trial."""

    trainings: int
    """Number of trainings, whose mean score the trial has."""
    score_low: float
    """Lower end of the confidence interval of the mean score. The intervals of all circuits hold at once."""
    score_high: float
    """Upper end of that interval."""
    certain: float
    """Score that the front certainly reaches at the cost of the circuit."""
    possible: float
    """Highest possible mean score of a circuit at that cost."""
    on_front: bool
    """True if the circuit is on the front of the race."""

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self | None:
        """Restore the record from the attributes of a trial; None for a trial of another kind of study."""
        if "on_front" not in attributes:
            return None
        return cls(**{name: attributes[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Successful trial as a circuit with its costs and scores."""

    trial: int
    """Number of the trial."""
    place: int
    """Place of the trial, by which ties are decided."""
    generation: int | None
    """Generation of the trial, from 0; None if the sampler has not assigned one."""
    genome: Genome
    quantum_flops: int
    """Quantum FLOPs by the study's counter."""
    val_error: float
    """Validation error by which the front is selected.

    It is 1 - mean validation score of the circuit's own trainings or, with `--front pooled`, the pooled error. `of_trial`
    always reads the former.
    """
    record: TrialRecord
    race: RaceRecord | None = None
    """Values of a race; None in a search."""

    @property
    def cost(self) -> float:
        """First objective of the study: quantum FLOPs, or -ln ESP on its device."""
        return self.quantum_flops if self.costs.neg_log_esp is None else self.costs.neg_log_esp

    @property
    def costs(self) -> Costs:
        """Costs of the circuit and its network."""
        return self.record.costs

    @property
    def scores(self) -> ValidationScores:
        """Scores of the circuit on the validation part."""
        return self.record.scores

    @property
    def effective_gates(self) -> EffectiveGates:
        """Effective gates of the circuit; `str()` gives the circuit with its inert gates in brackets."""
        return EffectiveGates(circuit=self.genome.circuit)

    @property
    def function(self) -> Circuit:
        """Circuit that represents all circuits with the same function."""
        return function_of(self.genome.circuit)

    @property
    def is_entangled(self) -> bool:
        """True if the function depends on the entanglers."""
        return is_entangled(self.genome.circuit)

    def search_estimate(self, config: StudyConfig) -> float:
        """Return the search estimate: the score by which the study selected the circuit."""
        return 1 - self.val_error if config.search.front is ErrorEstimate.POOLED else self.scores.mean(config.score)

    def val_error_interval(self, score: Score, repeats: int) -> tuple[float, float] | None:
        """Return the 95 % confidence interval of 1 - mean validation score over the repeats.

        Return None with one repeat, and if all repeats are equal. The interval does not belong to a pooled error.
        """
        interval = self.scores.interval(score, repeats)
        # The error is 1 - the score, so the bounds swap.
        return interval and (1 - interval[1], 1 - interval[0])

    @classmethod
    def of_trial(cls, trial: FrozenTrial, config: StudyConfig) -> Self:
        """Return the candidate of a successful trial that has a `TrialRecord`, with the error of its own trainings."""
        record = TrialRecord.from_attributes(trial.user_attrs)
        return cls(
            trial=trial.number,
            place=place_of(trial),
            generation=generation_of(trial),
            genome=Genome.from_params(trial.params),
            # On a device, the first objective is -ln ESP.
            quantum_flops=int(trial.values[0]) if config.device is None else record.costs.quantum_flops(config),
            val_error=trial.values[1],
            record=record,
            race=RaceRecord.from_attributes(trial.user_attrs),
        )


def generation_of(trial: FrozenTrial) -> int | None:
    """Return the generation of a trial, from 0; None if the sampler has not assigned one."""
    generation: int | None = trial.system_attrs.get(GENERATION_KEY)
    return generation


def place_of(trial: FrozenTrial) -> int:
    """Return the number that a trial would have in a synchronous search without interruptions."""
    history = trial.system_attrs.get(RETRY_HISTORY, [trial.number])
    place: int = trial.system_attrs.get(PLACE_KEY, history[0])
    return place


def leaves_place(trial: FrozenTrial) -> bool:
    """Return whether a trial has ended without result by no fault of its own, so that a new trial takes its place."""
    # A requeued trial keeps its place. A genome that has ended several workers, for example by its memory, is not repeated.
    is_used_up = len(trial.system_attrs.get(RETRY_HISTORY, ())) >= MAX_RETRIES
    return trial.state is TrialState.FAIL and not is_error(trial) and not is_used_up


def is_error(trial: FrozenTrial) -> bool:
    """Return whether a failed trial ended with an error, not by a signal or the death of its worker."""
    reason: str | None = trial.user_attrs.get(FAILURE)
    return reason is not None and not reason.startswith((*INTERRUPTED, GIVEN_UP))
