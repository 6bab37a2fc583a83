"""What a study keeps beside its trials. No other module reads or writes it.

| entry                | type                            | written by                                             | lock  |
| -------------------- | ------------------------------- | ------------------------------------------------------ | ----- |
| `faqnas`             | `Description`                   | whoever makes the study; `resume`, `confirm` extend it | study |
| `generation:N`       | `ClosedGeneration`, `closed_at` | the worker that first sees generation N closed         | study |
| `stop`               | `Stop`, or null                 | the worker that first sees a reason; `stop`; `resume`  | study |
| `resumed`            | list of `Resumption`            | `resume`                                               | study |
| `versions:DIGEST`    | versions by package             | a worker with other versions than the description's    | none  |
| `study:metric_names` | names of objectives (Optuna's)  | whoever makes the study                                | study |

Each entry is a study attribute of its own in JSON, so that writing one cannot damage another; `generation:N` is written
once, and `versions:DIGEST` is the same whoever writes it. The lock is `storage.opening.study_lock`, that of the whole storage.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Self

from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from pydantic import TypeAdapter

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.findings import Majority
from faqnas_optuna.data.loading import Files
from faqnas_optuna.errors import ConfigError, DamagedStudyError, StudyMismatchError
from faqnas_optuna.storage.attributes import get_study_user_attrs, texts_of_all_studies
from faqnas_optuna.storage.trial_statements import UNREADABLE
from faqnas_optuna.study.stopping import ClosedGeneration, Resumption, Stop
from faqnas_optuna.training.reliability import Reliability

DESCRIPTION, STOP, RESUMED, CLOSED_PREFIX, VERSIONS_PREFIX = "faqnas", "stop", "resumed", "generation:", "versions:"


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A circuit that is confirmed, as the search saw it."""

    trial: int
    genome: Genome
    quantum_flops: int
    search_estimate: tuple[float, float | None, int]
    """Mean and deviation of the scores that the search's trainings had on the validation part, and how many there were."""
    networks: Mapping[str, str]
    """What is trained for it, in words: the circuit and its controls, by kind."""
    neg_log_esp: float | None = None
    """On the search's device; None where it has none."""

    @property
    def cost(self) -> float:
        """The search's first objective."""
        return self.quantum_flops if self.neg_log_esp is None else self.neg_log_esp

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        mean, deviation, count = entry["search_estimate"]
        return cls(**{**entry, "genome": Genome.from_params(entry["genome"]), "search_estimate": (mean, deviation, count)})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "genome": self.genome.to_params(), "networks": dict(self.networks)}


@dataclass(frozen=True, kw_only=True)
class ConfirmationPlan:
    """What a confirmation confirms."""

    study: str
    """The search's."""
    created: str
    """That of the search."""
    epochs: int
    """Of the search's trainings."""
    finalists: tuple[Finalist, ...]
    baselines: tuple[str, ...]
    """What is fitted once, without seeds."""

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        finalists = tuple(Finalist.from_json(finalist) for finalist in entry["finalists"])
        return cls(**{**entry, "finalists": finalists, "baselines": tuple(entry["baselines"])})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "finalists": [finalist.to_json() for finalist in self.finalists]}

    def finalist(self, trial: int) -> Finalist | None:
        """Return the finalist that is a trial of the search; None if the trial is no finalist."""
        return next((finalist for finalist in self.finalists if finalist.trial == trial), None)

    def with_more(self, finalists: Iterable[Finalist]) -> "ConfirmationPlan":
        """The same with those finalists that it lacks."""
        known = {finalist.trial for finalist in self.finalists}
        return replace(self, finalists=(*self.finalists, *(one for one in finalists if one.trial not in known)))


@dataclass(frozen=True, kw_only=True)
class Description:
    """Everything that decides what a study finds: a worker needs no more than the storage and the study's name."""

    config: StudyConfig
    data_fingerprint: str
    sizes: Mapping[str, int]
    """Samples in the parts `train`, `validation` and `test`."""
    flops_range: tuple[float, float]
    """The first objective of the cheapest and the dearest circuit of the space, from which the boxes of hypervolumes follow:
    quantum FLOPs, or -ln ESP."""
    created: str
    """UTC, to the microsecond: it tells a study from a later one of the same name."""
    versions: Mapping[str, str]
    """Of what a result depends on, by package."""
    reliability: Reliability | None = None
    """Of one training, as measured before the search; None if it was not."""
    confirms: ConfirmationPlan | None = None
    """Of a confirmation; None of a search."""
    files: Files | None = None
    """Where the files of its data were; None of a data set that we know by name."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What was done to each column of such files, in words."""
    schema: Mapping[str, str] = field(default_factory=dict)
    """Kinds of the columns of such files that do not hold numbers (`Schema.exceptions`)."""
    majority: Majority | None = None
    """Scores of always answering the most frequent class; None of a study of an earlier version."""

    @property
    def majority_score(self) -> float | None:
        """The score of always answering the most frequent class, on the validation part, or the test part of a confirmation."""
        part = "validation" if self.confirms is None else "test"
        return None if self.majority is None else self.majority.score(self.config.score, part)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], *, study: str) -> Self:
        """The inverse of `to_json`.

        Raises:
            StudyMismatchError: another version of this package has written it, with settings that this one does not know, or
                without the range of FLOPs.
            LookupError, TypeError, ValueError: nobody has written it so.
        """
        made_by = entry["versions"]["faqnas-optuna"]
        if "flops_range" not in entry:
            raise StudyMismatchError(
                f"study {study!r} was made by an earlier faqnas-optuna, {made_by}, which measured hypervolumes otherwise:"
                " read it with that, or start another study with --study"
            )
        try:
            config = StudyConfig.from_settings(entry["config"], source=f"study {study!r}")
        except ConfigError as unknown:
            if made_by == version("faqnas-optuna"):
                raise ValueError(str(unknown)) from unknown
            raise StudyMismatchError(f"{unknown}; it was made by faqnas-optuna {made_by}: install that") from unknown
        if unknown_keys := entry.keys() - cls.__dataclass_fields__.keys():
            raise StudyMismatchError(
                f"study {study!r} has a description with {', '.join(sorted(unknown_keys))}, unknown here; it was made by"
                f" faqnas-optuna {made_by}: install that"
            )
        datetime.fromisoformat(entry["created"])
        measured, confirmed = entry.get("reliability"), entry.get("confirms")
        read = {
            "config": config,
            **{name: kind.validate_python(entry[name]) for name, kind in _PLAIN.items()},
            "sizes": {part: int(entry["sizes"][part]) for part in ("train", "validation", "test")},
            "reliability": _RELIABILITY.validate_python(measured),
            "confirms": None if confirmed is None else ConfirmationPlan.from_json(confirmed),
            "files": None if entry.get("files") is None else Files.from_json(entry["files"]),
            "majority": None if entry.get("majority") is None else Majority.from_json(entry["majority"]),
        }
        return cls(**{**entry, **read})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        reliability = None if self.reliability is None else asdict(self.reliability)
        confirms = None if self.confirms is None else self.confirms.to_json()
        return {
            **vars(self),
            "config": self.config.model_dump(mode="json"),
            "reliability": reliability,
            "confirms": confirms,
            "files": None if self.files is None else self.files.to_json(),
            "columns": dict(self.columns),
            "schema": dict(self.schema),
            "majority": None if self.majority is None else self.majority.to_json(),
        }


class StudyMetadata:
    """The entries of one study. Each is read from the database when it is asked for."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def is_blank(self) -> bool:
        """Whether nothing is kept, as in a study that is just being made."""
        return not self._study.user_attrs

    def description(self) -> Description | None:
        """What decides the study; None if it is not one of ours, or was deleted.

        Raises:
            StudyMismatchError: another version of this package has made it, whose description this one does not understand.
        """
        entry = self._read(DESCRIPTION)
        with self._understood(DESCRIPTION):
            return None if entry is None else Description.from_json(entry, study=self._study.study_name)

    def created_and_stop(self) -> tuple[str | None, Stop | None]:
        """When the study was made, None if it was deleted, and why it has stopped: in one statement, asked for every trial."""
        entries = get_study_user_attrs(self._study, (DESCRIPTION, STOP))
        description = entries.get(DESCRIPTION)
        with self._understood(f"{DESCRIPTION} or {STOP}"):
            return description and str(description["created"]), _stop(entries.get(STOP))

    def describe(self, description: Description) -> None:
        """Write down what decides the study, which makes it one of ours."""
        with warnings.catch_warnings():
            # Marked experimental since Optuna 3.2; the dashboard labels its axes with it.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._study.set_metric_names(metrics(description))
        self._write(DESCRIPTION, description.to_json())

    def raise_limit(self, generations: int) -> Description:
        """Write down a new limit of generations; the sampler knows nothing of it."""
        description = self.description()
        assert description is not None
        limits = description.config.search.model_copy(update={"generations": generations})
        changed = replace(description, config=description.config.model_copy(update={"search": limits}))
        self._write(DESCRIPTION, changed.to_json())
        return changed

    def extend(self, finalists: Iterable[Finalist], *, repeats: int | None) -> Description:
        """Write down what a confirmation has to do more than before."""
        description = self.description()
        assert description is not None and description.confirms is not None
        config = description.config if repeats is None else description.config.with_repeats(repeats)
        changed = replace(description, config=config, confirms=description.confirms.with_more(finalists))
        if changed != description:
            self._write(DESCRIPTION, changed.to_json())
        return changed

    def closed_generations(self) -> list[ClosedGeneration]:
        """By number."""
        found = []
        for name, entry in self._with_prefix(CLOSED_PREFIX).items():
            with self._understood(name):
                found.append(_CLOSED.validate_python({k: v for k, v in entry.items() if k != "closed_at"}))
        return sorted(found, key=lambda closed: closed.generation)

    def closing_times(self) -> dict[int, str]:
        """When each closed generation was seen to be so, UTC, by number."""
        with self._understood(CLOSED_PREFIX):
            entries = self._with_prefix(CLOSED_PREFIX).values()
            return {int(entry["generation"]): _checked_time(entry["closed_at"]) for entry in entries}

    def close(self, closed: ClosedGeneration, *, at: str) -> None:
        """Write down what is kept of a generation."""
        self._write(f"{CLOSED_PREFIX}{closed.generation}", {**asdict(closed), "closed_at": at})

    def stop(self) -> Stop | None:
        """Why the study has stopped; None while it runs."""
        entry = self._read(STOP)
        with self._understood(STOP):
            return _stop(entry)

    def write_stop(self, stop: Stop) -> None:
        """Tell all workers to leave."""
        self._write(STOP, asdict(stop))

    def resumptions(self) -> list[Resumption]:
        """In order."""
        entries = self._read(RESUMED) or []
        with self._understood(RESUMED):
            return _RESUMPTIONS.validate_python(entries)

    def resume(self, resumption: Resumption) -> None:
        """Write down that the study goes on, and take the stop away."""
        self._write(RESUMED, [asdict(one) for one in (*self.resumptions(), resumption)])
        self._write(STOP, None)

    def note_versions(self, versions: Mapping[str, str]) -> None:
        """Keep the versions of a worker, once for all who have the same."""
        digest = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:8]
        self._write(f"{VERSIONS_PREFIX}{digest}", dict(versions))

    def noted_versions(self) -> list[dict[str, str]]:
        """Those of workers that had others than the description's."""
        return list(self._with_prefix(VERSIONS_PREFIX).values())

    @contextmanager
    def _understood(self, entry: str) -> Iterator[None]:
        """Report an entry that holds something else than was written as damage of the study."""
        try:
            yield
        except UNREADABLE as error:
            raise DamagedStudyError.of(self._study.study_name, f"its attribute {entry!r} holds {error!r}") from error

    def _with_prefix(self, prefix: str) -> dict[str, Any]:
        return {name: value for name, value in self._study.user_attrs.items() if name.startswith(prefix)}

    def _read(self, entry: str) -> Any:
        return get_study_user_attrs(self._study, (entry,)).get(entry)

    def _write(self, entry: str, value: Any) -> None:
        self._study.set_user_attr(entry, value)


def metrics(description: Description) -> list[str]:
    """What the two objectives of a study are called."""
    part = "validation" if description.confirms is None else "test"
    return [description.config.cost_name, f"{part} error{description.config.score.remark}"]


def our_studies(storage: BaseStorage) -> dict[str, bool]:
    """Whether each study of a storage that is ours has stopped, by name in order."""
    # As text: whether a study can be read is seen when it is loaded, and does not concern the others.
    texts = texts_of_all_studies(storage, (DESCRIPTION, STOP))
    return {name: _has_stopped(texts[name].get(STOP)) for name in sorted(texts) if DESCRIPTION in texts[name]}


def _has_stopped(text: str | None) -> bool:
    try:
        return bool(text and json.loads(text))
    except ValueError:
        # Whoever takes the study up then sees what is wrong with it.
        return False


def other_studies(storage: BaseStorage) -> list[str]:
    """Names of the studies of a storage that are not ours."""
    texts = texts_of_all_studies(storage, (DESCRIPTION,))
    return [name for name in texts if DESCRIPTION not in texts[name]]


def utc_now() -> str:
    """The time as entries have it, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


_PLAIN: dict[str, TypeAdapter[Any]] = {
    "data_fingerprint": TypeAdapter(str),
    "flops_range": TypeAdapter(tuple[float, float]),
    "versions": TypeAdapter(dict[str, str]),
}
_RELIABILITY = TypeAdapter(Reliability | None)
_CLOSED = TypeAdapter(ClosedGeneration)
_STOP = TypeAdapter(Stop | None)
_RESUMPTIONS = TypeAdapter(list[Resumption])


def _stop(entry: Mapping[str, Any] | None) -> Stop | None:
    stop = _STOP.validate_python(entry)
    if stop:
        _checked_time(stop.at)
    return stop


def _checked_time(text: str) -> str:
    """Return a time as it is written.

    Raises:
        ValueError: it is none.
    """
    datetime.fromisoformat(text)
    return text
