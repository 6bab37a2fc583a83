"""Attributes of a study. No other module reads or writes them.

| entry                | type                            | written by                                              | lock  |
| -------------------- | ------------------------------- | ------------------------------------------------------- | ----- |
| `faqnas`             | `Description`                   | creation of the study; `resume`, `confirm` and `race`   | study |
| `generation:N`       | `ClosedGeneration`, `closed_at` | the first worker to find generation N complete          | study |
| `stop`               | `Stop`, or null                 | the first worker to find a reason; `stop`; `resume`     | study |
| `resumed`            | list of `Resumption`            | `resume`                                                | study |
| `versions:DIGEST`    | versions by package             | a worker with other versions than the description's     | none  |
| `experiment`         | `Picked`                        | `experiment`, in a confirmation that is complete        | none  |
| `plots`              | extent of the stored plots      | a worker that finds the plots outdated; `race`          | none  |
| `dashboard:…`        | plots (optuna-dashboard's)      | as `plots`, in one transaction                          | none  |
| `study:metric_names` | names of objectives (Optuna's)  | creation of the study                                   | study |

Each entry is a separate study attribute in JSON, so that writing one cannot damage another. `generation:N` is written only
once, and all workers with the same versions write the same `versions:DIGEST`. The lock is `storage.opening.study_lock`, which
the whole storage shares.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from pydantic import TypeAdapter

from faqnas_optuna.config import SearchConfig
from faqnas_optuna.errors import DamagedStudyError
from faqnas_optuna.storage.attributes import get_study_user_attrs, texts_of_all_studies
from faqnas_optuna.storage.bulk_trials import NewTrial, queue_trials, replace_trials
from faqnas_optuna.storage.plots import replace_plots
from faqnas_optuna.storage.trial_reading import UNREADABLE
from faqnas_optuna.study.description import Description, Finalist, Picked
from faqnas_optuna.study.race_summary import RaceSummary
from faqnas_optuna.study.stopping import ClosedGeneration, Resumption, Stop

DESCRIPTION = "faqnas"
STOP = "stop"
RESUMED = "resumed"
CLOSED_PREFIX = "generation:"
VERSIONS_PREFIX = "versions:"
PLOTS = "plots"
EXPERIMENT = "experiment"


class StudyMetadata:
    """Access to the entries of one study. Every call reads from or writes to the database."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def is_blank(self) -> bool:
        """Return whether the study has no entries, as when its creation was interrupted."""
        return not self._study.user_attrs

    def description(self) -> Description | None:
        """Return the description of the study; None if this package did not create the study, or if it was deleted.

        Raises:
            StudyMismatchError: Another version of this package wrote the description, and this one cannot read it.
            DamagedStudyError: The description is damaged.
        """
        entry = self._read(DESCRIPTION)
        with self._report_damage(DESCRIPTION):
            return None if entry is None else Description.from_json(entry, study=self._study.study_name)

    def created_and_stop(self) -> tuple[str | None, Stop | None]:
        """Return when the study was created, None if it was deleted, and the stop, None while it runs."""
        # One statement for both, because workers need them for every trial.
        entries = get_study_user_attrs(self._study, (DESCRIPTION, STOP))
        description = entries.get(DESCRIPTION)
        with self._report_damage(f"{DESCRIPTION} or {STOP}"):
            return description and str(description["created"]), _stop(entries.get(STOP))

    def describe(self, description: Description, queued: Sequence[NewTrial] = ()) -> None:
        """Write the description, which makes the study one of this package, and queue its first trials."""
        with warnings.catch_warnings():
            # Optuna has called metric names experimental since version 3.2. The dashboard labels its axes with them.
            warnings.simplefilter("ignore", ExperimentalWarning)
            # The objectives of a confirmation are measured on the test part, so the names depend on the description.
            self._study.set_metric_names(metrics(description))
        # Last: an interruption before leaves a study that counts as not created yet.
        # With the description, so that no worker finds a study without its first trials, and no crash leaves one.
        queue_trials(self._study, queued, {DESCRIPTION: description.to_json()})

    def change_limits(self, limits: SearchConfig) -> Description:
        """Write settings with other limits of generations and trials, and return the new description."""
        # Genomes do not depend on the limits, so the sampler need not be changed.
        description = self.description()
        assert description is not None
        changed = replace(description, config=description.config.model_copy(update={"search": limits}))
        self._write(DESCRIPTION, changed.to_json())
        return changed

    def extend(self, finalists: Iterable[Finalist], *, repeats: int | None) -> Description:
        """Add finalists to a confirmation, or raise its number of trainings per circuit, and return the new description."""
        description = self.description()
        assert description is not None and description.confirms is not None
        config = description.config if repeats is None else description.config.with_repeats(repeats)
        changed = replace(description, config=config, confirms=description.confirms.with_more(finalists))
        if changed != description:
            self._write(DESCRIPTION, changed.to_json())
        return changed

    def store_race(
        self, race: RaceSummary, stop: Stop | None, trials: Sequence[NewTrial], distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Replace the trials, the summary and the stop of a race in one transaction."""
        description = self.description()
        assert description is not None
        changed = replace(description, race=race)
        started = datetime.fromisoformat(description.created).astimezone(UTC).replace(tzinfo=None)
        completed = datetime.now(UTC).replace(tzinfo=None)
        attributes = {DESCRIPTION: changed.to_json(), STOP: stop and asdict(stop)}
        replace_trials(self._study, trials, distributions, attributes, started=started, completed=completed)

    def closed_generations(self) -> list[ClosedGeneration]:
        """Return the closed generations, sorted by number."""
        return [closed for closed, _ in self.timed_generations()]

    def timed_generations(self) -> list[tuple[ClosedGeneration, str]]:
        """Return the closed generations, sorted by number, each with the time in UTC at which it was closed."""
        generations = []
        for name, entry in self._with_prefix(CLOSED_PREFIX).items():
            with self._report_damage(name):
                closed = _CLOSED.validate_python({k: v for k, v in entry.items() if k != "closed_at"})
                generations.append((closed, _check_time(entry["closed_at"])))
        return sorted(generations, key=lambda timed: timed[0].generation)

    def close(self, closed: ClosedGeneration, *, at: str) -> None:
        """Write a closed generation.

        Args:
            at: Present time in UTC.
        """
        self._write(f"{CLOSED_PREFIX}{closed.generation}", {**asdict(closed), "closed_at": at})

    def plotted_extent(self) -> int:
        """Return the number of trials of a search, or of trainings of a race, in the stored plots."""
        extent = self._read(PLOTS)
        with self._report_damage(PLOTS):
            return int(extent or 0)

    def store_plots(self, plots: Mapping[str, str], *, extent: int) -> None:
        """Replace the plots that optuna-dashboard displays, and the `plotted_extent`, in one transaction.

        Args:
            plots: Plots as Plotly's JSON, by id.
        """
        replace_plots(self._study, plots, {PLOTS: extent})

    def stop(self) -> Stop | None:
        """Return when and why the study has stopped; None while it runs."""
        entry = self._read(STOP)
        with self._report_damage(STOP):
            return _stop(entry)

    def write_stop(self, stop: Stop) -> None:
        """Write a stop, after which workers leave the study."""
        self._write(STOP, asdict(stop))

    def resumptions(self) -> list[Resumption]:
        """Return all resumptions in the order of time."""
        entries = self._read(RESUMED) or []
        with self._report_damage(RESUMED):
            return _RESUMPTIONS.validate_python(entries)

    def resume(self, resumption: Resumption) -> None:
        """Add a resumption, and remove the stop."""
        # In this order, an interruption between the two leaves the study stopped.
        self._write(RESUMED, [asdict(entry) for entry in (*self.resumptions(), resumption)])
        self._write(STOP, None)

    def record_versions(self, versions: Mapping[str, str]) -> None:
        """Write the versions of a worker; workers with equal versions share one entry."""
        digest = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:8]
        self._write(f"{VERSIONS_PREFIX}{digest}", dict(versions))

    def worker_versions(self) -> list[dict[str, str]]:
        """Return the distinct versions of workers that differ from those of the description."""
        return list(self._with_prefix(VERSIONS_PREFIX).values())

    def picked(self) -> Picked | None:
        """Return the circuits that an experiment has picked; None if the study is not a confirmation of an experiment."""
        entry = self._read(EXPERIMENT)
        with self._report_damage(EXPERIMENT):
            return None if entry is None else _PICKED.validate_python(entry)

    def write_picked(self, picked: Picked) -> None:
        """Write the circuits that an experiment has picked."""
        self._write(EXPERIMENT, asdict(picked))

    @contextmanager
    def _report_damage(self, entry: str) -> Iterator[None]:
        """Translate errors about the contents of an entry to `DamagedStudyError`."""
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
    """Return the names of the two objectives of a study, which optuna-dashboard shows."""
    part = "validation" if description.confirms is None else "test"
    return [description.config.cost_name, f"{part} error{description.config.score.remark}"]


def our_studies(storage: BaseStorage) -> dict[str, bool]:
    """Return the studies of this package in a storage, sorted by name, with whether each has stopped."""
    # The attributes are not interpreted: a damaged study is reported when it is loaded, and must not hide the others.
    texts = texts_of_all_studies(storage, (DESCRIPTION, STOP))
    return {name: _has_stopped(texts[name].get(STOP)) for name in sorted(texts) if DESCRIPTION in texts[name]}


def confirmed_searches(storage: BaseStorage) -> dict[str, tuple[str, str]]:
    """Return the name of the search that each confirmation is of, and when that was created, by name of the confirmation."""
    searches = {}
    for name, texts in sorted(texts_of_all_studies(storage, (DESCRIPTION,)).items()):
        # Other studies have no plan, and damaged ones must not hide the others.
        with suppress(*UNREADABLE):
            plan = json.loads(texts[DESCRIPTION])["confirms"]
            searches[name] = (str(plan["study"]), str(plan["created"]))
    return searches


def _has_stopped(text: str | None) -> bool:
    try:
        return bool(text and json.loads(text))
    except ValueError:
        # As a running study it will be loaded, which reports the damage.
        return False


def other_studies(storage: BaseStorage) -> list[str]:
    """Return the names of the studies in a storage that this package did not create."""
    texts = texts_of_all_studies(storage, (DESCRIPTION,))
    return [name for name in texts if DESCRIPTION not in texts[name]]


def utc_now() -> str:
    """Return the present time in UTC as entries store it, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# Built once: the creation of an adapter takes longer than a validation.
_CLOSED = TypeAdapter(ClosedGeneration)
_STOP = TypeAdapter(Stop | None)
_PICKED = TypeAdapter(Picked)
_RESUMPTIONS = TypeAdapter(list[Resumption])


def _stop(entry: Mapping[str, Any] | None) -> Stop | None:
    """Return the stop of an entry, after checking its time."""
    stop = _STOP.validate_python(entry)
    if stop:
        _check_time(stop.at)
    return stop


def _check_time(text: str) -> str:
    """Return a time in ISO format unchanged.

    Raises:
        ValueError: The text is not such a time.
    """
    datetime.fromisoformat(text)
    return text
