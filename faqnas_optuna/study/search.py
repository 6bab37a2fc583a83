"""Searches: studies that look for accurate and cheap circuits, generation by generation."""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial

from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import SearchConfig, StudyConfig
from faqnas_optuna.data.loading import Files
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, GenomeError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.storage.opening import backend, batched, store_trial, study_lock
from faqnas_optuna.storage.optuna_internals import study_id_of, trial_id_of
from faqnas_optuna.study import checks
from faqnas_optuna.study.cost_range import cost_range
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.first_generation import Source, first_generation
from faqnas_optuna.study.lifecycle import author, last_resumption, may_all_fail, write_stop
from faqnas_optuna.study.metadata import utc_now
from faqnas_optuna.study.records import QUEUED_BY, SOURCE, TrialRecord
from faqnas_optuna.study.sampler import SeededSampler
from faqnas_optuna.study.state import SearchState, read_state
from faqnas_optuna.study.status import study_status
from faqnas_optuna.study.stopping import (
    SearchFacts,
    Stop,
    StopReason,
    decide,
    has_all_trials,
    is_complete,
    ready_to_close,
    refusal_to_resume,
)
from faqnas_optuna.study.study import StoredStudy, create_study, load_stored, versions
from faqnas_optuna.study.work import Evaluate, Lock, RunTrial, SearchProgress, WorkerAction
from faqnas_optuna.study_file import differences
from faqnas_optuna.training.reliability import Reliability

logger = logging.getLogger(__name__)

FURTHER = 4
"""Number of further generations that messages suggest for a search that has reached a limit."""


class Search(StoredStudy[SearchState]):
    """Search for the non-dominated circuits of a data set."""

    result_attribute = "circuit"

    @classmethod
    def of(cls, study: optuna.Study, description: Description) -> Self:
        """Return the search of an Optuna study, whose sampler is replaced by ours."""
        config = description.config
        # Trials that other programs have added must not become parents: they may lack genes, or have other values.
        study.sampler = SeededSampler(
            config.search,
            config.space.genes,
            seed=config.seed,
            counts=lambda trial: cls.result_attribute in trial.user_attrs,
            allow=description.limits.allow if config.limits.by_name else None,
        )
        return cls(study=study, description=description)

    def new_state(self) -> SearchState:
        return SearchState(self)

    @property
    def planned(self) -> int:
        return self.config.search.planned

    def damage(self, trial: FrozenTrial) -> str | None:
        # A running or failed trial has no result, only the attributes that its worker has stored so far.
        if not self.has_result(trial):
            return checks.damage(trial, None, ())
        return checks.damage(trial, TrialRecord, [f"val_{self.config.score.key}"]) or damaged_genes(trial)

    def subject(self, trial: FrozenTrial) -> str | None:
        # A trial has no genes until its worker has stored them.
        if len(trial.params) < len(self.config.space.genes):
            return None
        return str(Genome.from_params(trial.params).circuit)

    def advance(self, state: SearchState, *, lock: Lock = study_lock) -> WorkerAction:
        """Close the generations that are ready, and stop the study if there is a reason to."""
        state.has_stopped = bool(self.stop())
        if not state.has_stopped:
            # After most trials nothing is due, and the lock is not needed.
            ready = ready_to_close(
                state.generation_sizes,
                state.open_generations,
                population=self.config.search.population,
                closed=state.closed,
            )
            is_due = ready or has_all_trials(state.generation_sizes, self._limits(state)) or may_all_fail(state)
            state.has_stopped = bool(is_due and self._decide(state, lock))
        if state.has_stopped:
            return WorkerAction.STOPPED
        return WorkerAction.RUNNING if self.wants_trials(state) else WorkerAction.FULL

    def wants_trials(self, state: SearchState) -> bool:
        """Return whether the search needs further successful trials."""
        return not is_complete(state.generation_sizes, self._limits(state))

    def next_trial(self, state: SearchState, *, lock: Lock, may_begin: Callable[[], bool]) -> Trial | None:
        limits = self.config.search
        if not limits.synchronous and limits.trials is None:
            return self._ask() if may_begin() else None
        if not self._has_room(state):
            return None
        # Workers begin trials one at a time, so that no generation of a synchronous search gets more trials than the
        # population, and no search more than its limit of trials.
        with lock(self.study) as is_held, self.existing():
            full = state.full_generations
            state.refresh()
            # If a generation has become full since the last reading, it may have been the last one; `advance` decides.
            is_undecided = limits.synchronous and state.full_generations > full
            if is_undecided or not self._has_room(state) or not may_begin():
                return None
            trial = self._ask()
            # Other workers must find the generation of this trial as soon as the lock is released.
            with suppress(UpdateFinishedTrialError):
                store_trial(trial)
            if is_held():
                return trial
        # This worker was suspended, or the server was restarted. Other workers may have taken the room since then.
        backend(self.study).abandon(study_id_of(self.study), trial_id_of(trial), "its worker lost the lock of the study")
        return None

    def objective(self, state: SearchState, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None) -> RunTrial:
        # Imported late because this module imports numba, which commands that only read a study must not import.
        from faqnas_optuna.study.objective import SearchObjective

        return SearchObjective(state, splits, worker=worker, evaluate=evaluate)

    def priority(self, state: SearchState) -> tuple[int, int]:
        # The number of trials decides between studies with equally many full generations.
        return state.full_generations, state.successful

    def progress(self, state: SearchState) -> SearchProgress:
        generations = self.config.search.generations
        return SearchProgress(
            study=self.name,
            generation=min(state.full_generations + 1, generations),
            generations=generations,
            trials=state.successful,
            # A search may stop early; its bar is then full.
            planned=state.successful if state.has_stopped else self.planned,
            best_score=state.best_score,
            front=state.front_size,
            hypervolume=state.hypervolume,
            score=self.config.score,
        )

    def status(self, state: SearchState) -> dict[str, Any]:
        own = {
            "generations_closed": state.full_generations,
            "generations": self.config.search.generations,
            "population": self.config.search.population,
            "best_score": state.best_score,
            "front": len(state.front),
            "hypervolume": state.hypervolume,
            "linear_hypervolume": state.linear_hypervolume,
        }
        return study_status(state, own)

    def check_resumable(self, *, generations: int | None = None, trials: int | None = None) -> SearchConfig:
        closed = len(self.metadata.closed_generations())
        limits = self.config.search.with_limits(generations=generations, trials=trials)
        sizes = read_state(self).generation_sizes
        refusal = refusal_to_resume(closed=closed, sizes=sizes, limits=limits)
        if refusal:
            option = f"--generations {closed + FURTHER}"
            if has_all_trials(sizes, limits):
                option = f"--trials {sizes.total() + FURTHER * limits.population}"
            raise ConfigError(f"study {self.name!r} {refusal}: raise the limit with", command=f"resume {self.name} {option}")
        return limits

    def continuation(self) -> str:
        """Return the command that resumes the search, with a new limit if the old one is reached."""
        last_stop = self.metadata.stop()
        limits = self.config.search
        option = ""
        if last_stop and last_stop.reason is StopReason.GENERATIONS:
            option = f" --generations {limits.generations + FURTHER}"
        elif last_stop and last_stop.reason is StopReason.TRIALS and limits.trials is not None:
            option = f" --trials {limits.trials + FURTHER * limits.population}"
        return f"resume {self.name}{option}"

    def enqueue(self, circuit: Circuit) -> None:
        """Queue a circuit, which the next free worker trains.

        Raises:
            ConfigError: The study has stopped.
            GenomeError: The circuit is outside the space, or beyond a limit.
        """
        genome = self.description.limits.genome_of(circuit)
        # Under the lock, so that the study cannot stop between the check and the queueing.
        with study_lock(self.study), self.existing():
            if self.metadata.stop():
                raise ConfigError(f"study {self.name!r} has stopped; continue it first with", command=self.continuation())
            self.study.enqueue_trial(genome.to_params(), user_attrs={SOURCE: {QUEUED_BY: author()}})

    def check_config(self, config: StudyConfig) -> None:
        """Refuse a configuration that differs from the stored one.

        Raises:
            StudyMismatchError: Settings differ; the message lists them.
        """
        lines = differences(self.config, config)
        if lines:
            # The limits are the only settings that `resume` can change. One of trials comes with one of generations.
            names = {line.partition(":")[0] for line in lines}
            only_limits = names <= {"search.trials", "search.generations"}
            option = "--trials" if "search.trials" in names else "--generations"
            raise StudyMismatchError(
                f"study {self.name!r} exists with other settings: {'; '.join(lines)};"
                " use the stored ones, or start another study with --study" + (", or run" if only_limits else ""),
                command=f"resume {self.name} {option} N" if only_limits else None,
            )

    def _limits(self, state: SearchState) -> SearchConfig:
        """Return the limits of the search."""
        limits = self.config.search
        if not is_complete(state.generation_sizes, limits):
            return limits
        # A limit that is reached may have been raised since this process loaded the study.
        description = self.metadata.description()
        return limits if description is None else description.config.search

    def _has_room(self, state: SearchState) -> bool:
        """Return whether a further trial may begin, by the trials as of the last reading."""
        limits = self._limits(state)
        if limits.trials is not None and state.generation_sizes.total() + len(state.running) >= limits.trials:
            return False
        return state.has_room or not limits.synchronous

    def _ask(self) -> Trial:
        """Begin a trial whose generation and genes follow from the trials as of the last reading."""
        with batched(self.study).cached_reads():
            trial = self.study.ask()
            # Optuna suggests genes only when they are needed; this assigns the generation and crosses the parents now.
            _ = trial.relative_params
        return trial

    def _decide(self, state: SearchState, lock: Lock) -> Stop | None:
        """Close generations and stop the study under its lock, unless it has stopped already; return the stop, if any."""
        with lock(self.study), self.existing():
            earlier_stop = self.metadata.stop()
            if earlier_stop:
                return earlier_stop
            # The facts are read under the lock, because the study may have been resumed with a new limit in the meantime.
            facts = self._facts(state)
            decision = decide(facts)
            # Generations before the stop: after an interruption, the next worker still finds the reason to stop.
            for closed in decision.close:
                self.metadata.close(closed, at=utc_now())
            state.closed = len(facts.closed) + len(decision.close)
            return write_stop(self, decision.stop) if decision.stop else None

    def _facts(self, state: SearchState) -> SearchFacts:
        description = self.reload().description
        return SearchFacts(
            limits=description.config.search,
            flops_range=description.flops_range,
            circuits=state.circuits,
            sizes=state.generation_sizes,
            open_generations=state.open_generations,
            closed=self.metadata.closed_generations(),
            resumed=last_resumption(self),
            failing=state.failures,
            running_workers=state.running_workers,
        )


def create(
    storage: BaseStorage,
    name: str,
    config: StudyConfig,
    splits: DataSplits,
    *,
    reliability: Reliability | None = None,
    files: Files | None = None,
    source: Source | None = None,
) -> Search:
    """Create a search. The caller holds the lock of the storage.

    Args:
        reliability: Reliability of a single training; None if it was not measured.
        files: Paths of the data files; None for a named data set.
        source: Source of the first generation; None to let the sampler suggest it.

    Raises:
        ConfigError: The name is invalid, or belongs to a study that this package did not create.
    """
    warm_start, queued = first_generation(source, config, splits) if source else (None, [])
    description = Description(
        config=config,
        data_fingerprint=splits.fingerprint,
        sizes={part: len(getattr(splits, part)) for part in ("train", "validation", "test")},
        flops_range=cost_range(config),
        created=datetime.now(UTC).isoformat(),
        versions=versions(),
        reliability=reliability,
        files=files and files.absolute,
        columns=splits.columns,
        # The columns of named data sets never change.
        schema=splits.schema.non_numeric if files else {},
        n_features=splits.n_features,
        n_classes=splits.n_classes,
        majority=splits.majority,
        warm_start=warm_start,
    )
    study = create_study(storage, name, description, queued)
    if warm_start:
        logger.info("First generation: %s", warm_start.summary)
    return Search.of(study, description)


def open_or_create(
    storage: BaseStorage,
    name: str,
    config: StudyConfig,
    splits: DataSplits,
    *,
    reliability: Reliability | None = None,
    files: Files | None = None,
    source: Source | None = None,
) -> Search:
    """Open the search of this name, or create it. The caller holds the lock of the storage.

    The optional arguments are those of `create`.

    Raises:
        StudyMismatchError: The search exists with other settings or other data.
    """
    # Settings are compared before data, because their differences explain more than different fingerprints.
    search = check_existing(storage, name, config)
    if search is None:
        return create(storage, name, config, splits, reliability=reliability, files=files, source=source)
    search.check_data(splits)
    return search


def check_existing(storage: BaseStorage, name: str, config: StudyConfig, *, any_repeats: bool = False) -> Search | None:
    """Return the search of this name if it exists and agrees with a configuration; None if it does not exist.

    Args:
        any_repeats: Whether the number of repeats may differ.

    Raises:
        StudyMismatchError: The search exists with other settings, or was created by other versions.
    """
    try:
        search = load(storage, name)
    except StudyNotFoundError:
        return None
    search.check_config(config.with_repeats(search.config.training.repeats) if any_repeats else config)
    search.check_versions()
    return search


def load(storage: BaseStorage, name: str) -> Search:
    """Load an existing search.

    Raises:
        ConfigError: The name is invalid.
        StudyNotFoundError: No study has this name, or this package did not create it.
        StudyMismatchError: The study is not a search, or another version of this package created it.
        DamagedStudyError: The description of the study is damaged.
    """
    study, description = load_stored(storage, name)
    if description.confirms or description.race:
        kind = "confirmation" if description.confirms else "race"
        raise StudyMismatchError(f"study {name!r} is a {kind}, not a search; choose another name with --study")
    return Search.of(study, description)


def damaged_genes(trial: FrozenTrial) -> str | None:
    """Describe the damage of a trial whose parameters are no genome; return None if they are one."""
    try:
        Genome.from_params(trial.params)
    except GenomeError as error:
        return f"trial {trial.number}: {error}"
    return None
