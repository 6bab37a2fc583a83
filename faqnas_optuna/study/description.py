"""Description of a study: everything that decides its results, and the circuits that a confirmation or an experiment has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Any, Self

from pydantic import TypeAdapter

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.findings import Majority
from faqnas_optuna.data.loading import Files
from faqnas_optuna.errors import ConfigError, StudyMismatchError
from faqnas_optuna.study.race_summary import RaceSummary
from faqnas_optuna.training.limits import Limits
from faqnas_optuna.training.reliability import Reliability
from faqnas_optuna.wording import counted


@dataclass(frozen=True, kw_only=True)
class Picked:
    """Circuits of a study in an experiment, stored with the confirmation so that a table need not read the trials."""

    picks: Mapping[str, int]
    """Number of the trial that each rule selects."""
    front: Sequence[tuple[int, float, float]]
    """Trial, cost and validation error of each circuit of the front."""


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """Circuit that is confirmed, with its values in the search."""

    trial: int
    """Number of its trial in the search."""
    genome: Genome
    quantum_flops: int
    search_estimate: tuple[float, float | None, int]
    """Search estimate: validation score of the circuit, its standard deviation over the trainings, and their number.

    The deviation is None with one training, and if the score is pooled over all trainings of the search.
    """
    networks: Mapping[str, str]
    """Descriptions of the circuit and its controls, by kind; each of them is trained."""
    neg_log_esp: float | None = None
    """Cost of the circuit on the search's device; None if the search has no device."""

    @property
    def cost(self) -> float:
        """First objective of the search."""
        return self.quantum_flops if self.neg_log_esp is None else self.neg_log_esp

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Restore a finalist from the result of `to_json`."""
        mean, deviation, count = entry["search_estimate"]
        return cls(**{**entry, "genome": Genome.from_params(entry["genome"]), "search_estimate": (mean, deviation, count)})

    def to_json(self) -> dict[str, Any]:
        """Return the finalist as values for JSON."""
        return {**vars(self), "genome": self.genome.to_params(), "networks": dict(self.networks)}


@dataclass(frozen=True, kw_only=True)
class ConfirmationPlan:
    """Circuits and baselines of a confirmation."""

    study: str
    """Name of the search."""
    created: str
    """Time at which the search was created, which identifies it among searches of the same name."""
    epochs: int
    """Epochs of each training in the search."""
    finalists: tuple[Finalist, ...]
    baselines: tuple[str, ...]
    """Names of the baselines that are fitted only once, because they need no seed."""
    chosen: tuple[str, ...] | None = None
    """Names of the baselines that the user chose, some of which may be left out for their size; None for all."""

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Restore a plan from the result of `to_json`."""
        finalists = tuple(Finalist.from_json(finalist) for finalist in entry["finalists"])
        # Absent in confirmations of earlier versions, which had all baselines.
        chosen = entry.get("chosen")
        names = {"baselines": tuple(entry["baselines"]), "chosen": None if chosen is None else tuple(chosen)}
        return cls(**{**entry, "finalists": finalists, **names})

    def to_json(self) -> dict[str, Any]:
        """Return the plan as values for JSON."""
        return {**vars(self), "finalists": [finalist.to_json() for finalist in self.finalists]}

    def finalist(self, trial: int) -> Finalist | None:
        """Return the finalist with this trial number; None if that trial is not a finalist."""
        return next((finalist for finalist in self.finalists if finalist.trial == trial), None)

    def with_more(self, finalists: Iterable[Finalist]) -> "ConfirmationPlan":
        """Return the plan with additional finalists; those that it has already are left unchanged."""
        trials = {finalist.trial for finalist in self.finalists}
        new = tuple(finalist for finalist in finalists if finalist.trial not in trials)
        return replace(self, finalists=self.finalists + new)


class SourceKind(StrEnum):
    """Kind of the source of a search's first generation."""

    STUDY = "study"
    TABLE = "table"
    FILE = "file"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Study or file with known circuits."""

    kind: SourceKind
    name: str
    """Name of the study, or of the file without its directory."""
    identity: str
    """Time at which the study was created, or a hash of the file, which distinguish it from others of its name."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, kw_only=True)
class WarmStart(Origin):
    """First generation of a search from known circuits."""

    circuits: int
    """Number of circuits that were queued."""
    left_out: int
    """Number of circuits that were passed over because they are outside the space or its limits."""
    trained_because: str | None
    """Reason to train the circuits again; None if the values of the source are reused."""

    @property
    def summary(self) -> str:
        """First generation in words."""
        use = f"trained again: {self.trained_because}" if self.trained_because else "values reused"
        left_out = f"; {counted(self.left_out, 'circuit')} outside the space or its limits left out" if self.left_out else ""
        return f"{counted(self.circuits, 'circuit')} of {self}, {use}{left_out}"


@dataclass(frozen=True, kw_only=True)
class Description:
    """Everything that decides the results of a study.

    A worker on another machine needs only the storage, the name of the study and the data.
    """

    config: StudyConfig
    data_fingerprint: str
    sizes: Mapping[str, int]
    """Number of samples in the parts `train`, `validation` and `test`."""
    flops_range: tuple[float, float]
    """First objective, quantum FLOPs or -ln ESP, of the cheapest and of the most expensive circuit of the space.

    It determines the reference box of hypervolumes.
    """
    created: str
    """Time of creation in UTC, to the microsecond; it distinguishes the study from a later one of the same name."""
    versions: Mapping[str, str]
    """Versions that may affect results, by package."""
    reliability: Reliability | None = None
    """Reliability of a single training, measured before the search; None if it was not measured."""
    confirms: ConfirmationPlan | None = None
    """Plan of a confirmation; None for other studies."""
    race: RaceSummary | None = None
    """Summary of a race; None for other studies."""
    files: Files | None = None
    """Paths of the data files when the study was created; None for a named data set."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Description of the treatment of each column of the data files."""
    schema: Mapping[str, str] = field(default_factory=dict)
    """Kinds of the columns of the data files that do not hold numbers (`Schema.non_numeric`)."""
    n_features: int | None = None
    """Number of features; None, like that of classes, for a study of an earlier version, which has no limits."""
    n_classes: int | None = None
    majority: Majority | None = None
    """Scores of always predicting the most frequent class; None for a study of an earlier version."""

    warm_start: WarmStart | None = None
    """Source of the first generation; None if the sampler suggested it."""

    @property
    def majority_score(self) -> float | None:
        """Score of always predicting the most frequent class, on the validation part or, for a confirmation, the test part."""
        part = "validation" if self.confirms is None else "test"
        return None if self.majority is None else self.majority.score(self.config.score, part)

    @property
    def limits(self) -> Limits:
        """Limits on the circuits of the study."""
        # Studies of earlier versions lack the numbers, but have no limits that depend on them.
        return Limits(config=self.config, n_features=self.n_features or 1, n_classes=self.n_classes or 2)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], *, study: str) -> Self:
        """Restore a description from the result of `to_json`.

        Args:
            study: Name of the study, for errors.

        Raises:
            StudyMismatchError: Another version of this package wrote the description, with entries or settings that this one
                does not know, or without the range of costs.
            LookupError, TypeError, ValueError: the description is damaged.
        """
        # The version comes first, because every message below names it.
        made_by = entry["versions"]["faqnas-optuna"]
        if "flops_range" not in entry:
            raise StudyMismatchError(
                f"study {study!r} was made by an earlier faqnas-optuna, {made_by}, which defined hypervolumes"
                " differently: read it with that version, or start another study with --study"
            )
        try:
            config = StudyConfig.from_settings(entry["config"], source=f"study {study!r}")
        except ConfigError as error:
            # This version would never have written settings that it refuses, so they are damaged.
            if made_by == version("faqnas-optuna"):
                raise ValueError(str(error)) from error
            raise StudyMismatchError(f"{error}; it was made by faqnas-optuna {made_by}: install that version") from error
        unknown_keys = entry.keys() - cls.__dataclass_fields__.keys()
        if unknown_keys:
            raise StudyMismatchError(
                f"study {study!r} has a description with {', '.join(sorted(unknown_keys))}, unknown here; it was made by"
                f" faqnas-optuna {made_by}: install that version"
            )
        if config.limits.by_name and None in (entry.get("n_features"), entry.get("n_classes")):
            raise ValueError("the study has limits, but not the numbers of features and classes")
        # Raises ValueError if it is no time.
        datetime.fromisoformat(entry["created"])
        values = {
            "config": config,
            **{name: kind.validate_python(entry.get(name)) for name, kind in _PLAIN.items()},
            "sizes": {part: int(entry["sizes"][part]) for part in ("train", "validation", "test")},
            "reliability": _RELIABILITY.validate_python(entry.get("reliability")),
            "confirms": None if entry.get("confirms") is None else ConfirmationPlan.from_json(entry["confirms"]),
            "race": None if entry.get("race") is None else RaceSummary.from_json(entry["race"]),
            "files": None if entry.get("files") is None else Files.from_json(entry["files"]),
            "majority": None if entry.get("majority") is None else Majority.from_json(entry["majority"]),
            "warm_start": _WARM_START.validate_python(entry.get("warm_start")),
        }
        return cls(**{**entry, **values})

    def to_json(self) -> dict[str, Any]:
        """Return the description as values for JSON."""
        reliability = None if self.reliability is None else asdict(self.reliability)
        confirms = None if self.confirms is None else self.confirms.to_json()
        return {
            **vars(self),
            "config": self.config.model_dump(mode="json"),
            "reliability": reliability,
            "confirms": confirms,
            "race": None if self.race is None else self.race.to_json(),
            "files": None if self.files is None else self.files.to_json(),
            "columns": dict(self.columns),
            "schema": dict(self.schema),
            "majority": None if self.majority is None else self.majority.to_json(),
            "warm_start": None if self.warm_start is None else asdict(self.warm_start),
        }


# Built once: the creation of an adapter takes longer than a validation.
_PLAIN: dict[str, TypeAdapter[Any]] = {
    "data_fingerprint": TypeAdapter(str),
    "flops_range": TypeAdapter(tuple[float, float]),
    "n_features": TypeAdapter(int | None),
    "n_classes": TypeAdapter(int | None),
    "versions": TypeAdapter(dict[str, str]),
}
_RELIABILITY = TypeAdapter(Reliability | None)
_WARM_START = TypeAdapter(WarmStart | None)
