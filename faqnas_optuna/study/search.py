"""The search: a study that looks for accurate and cheap circuits, generation by generation."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.loading import Files
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, GenomeError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.storage.opening import backend, batched, store_trial, study_lock
from faqnas_optuna.storage.optuna_internals import study_id_of, trial_id_of
from faqnas_optuna.study import checks
from faqnas_optuna.study.cost_range import cost_range
from faqnas_optuna.study.lifecycle import last_resumption, may_all_fail, write_stop
from faqnas_optuna.study.metadata import Description, utc_now
from faqnas_optuna.study.records import TrialRecord
from faqnas_optuna.study.sampler import SeededNSGAIISampler
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.status import study_status
from faqnas_optuna.study.stopping import Known, Stop, StopReason, decide, ready_to_close, refusal_to_resume
from faqnas_optuna.study.study import StoredStudy, create_study, stored, versions
from faqnas_optuna.study.work import Evaluate, Lock, RunTrial, SearchProgress, WorkerAction
from faqnas_optuna.study_file import differences
from faqnas_optuna.training.reliability import Reliability


class Search(StoredStudy[SearchState]):
    """A search over a data set."""

    result_attribute = "circuit"

    @classmethod
    def of(cls, study: optuna.Study, description: Description) -> Self:
        """Return a search that is ready to suggest genomes."""
        config = description.config
        study.sampler = SeededNSGAIISampler(
            config.search, config.space.genes, seed=config.seed, counts=lambda trial: cls.result_attribute in trial.user_attrs
        )
        return cls(study=study, description=description)

    def new_state(self) -> SearchState:
        return SearchState(self)

    @property
    def planned(self) -> int:
        limits = self.config.search
        return limits.population * limits.generations

    def damage(self, trial: FrozenTrial) -> str | None:
        if not self.has_result(trial):
            return checks.damage(trial, None, ())
        return checks.damage(trial, TrialRecord, [f"val_{self.config.score.key}"]) or _damaged_genes(trial)

    def subject(self, trial: FrozenTrial) -> str | None:
        if len(trial.params) < len(self.config.space.genes):
            return None
        return str(Genome.from_params(trial.params).circuit)

    def advance(self, state: SearchState, *, lock: Lock = study_lock) -> WorkerAction:
        """Close the generations that are ready, and stop the study if there is a reason."""
        state.has_stopped = bool(self.stop())
        if not state.has_stopped:
            ready = ready_to_close(
                state.generation_sizes,
                state.open_generations,
                population=self.config.search.population,
                closed=state.closed,
            )
            state.has_stopped = bool((ready or may_all_fail(state)) and self._decide(state, lock))
        if state.has_stopped:
            return WorkerAction.STOPPED
        return WorkerAction.RUNNING if self.wants_trials(state) else WorkerAction.FULL

    def wants_trials(self, state: SearchState) -> bool:
        """Whether not all generations that the study may have are full."""
        full = state.full_generations
        if full < self.config.search.generations:
            return True
        # Somebody may have raised the limit since this process came.
        description = self.metadata.description()
        return description is None or full < description.config.search.generations

    def next_trial(self, state: SearchState, *, lock: Lock, may_begin: Callable[[], bool]) -> Trial | None:
        if not self.config.search.synchronous:
            return self._ask() if may_begin() else None
        if not state.has_room:
            return None
        with lock(self.study) as is_held, self.existing():
            full = state.full_generations
            state.refresh()
            # A generation that has become full since the last look may have been the last.
            if state.full_generations > full or not state.has_room or not may_begin():
                return None
            trial = self._ask()
            # The others must see its generation when the lock is released.
            with suppress(UpdateFinishedTrialError):
                store_trial(trial)
            if is_held():
                return trial
        # This worker was suspended, or the server restarted. Others may have filled the generation since.
        backend(self.study).abandon(study_id_of(self.study), trial_id_of(trial), "its worker lost the lock of the study")
        return None

    def objective(self, state: SearchState, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None) -> RunTrial:
        # It brings numba, which readers do without.
        from faqnas_optuna.study.objective import SearchObjective

        return SearchObjective(state, splits, worker=worker, evaluate=evaluate)

    def priority(self, state: SearchState) -> tuple[int, int]:
        return state.full_generations, state.successful

    def progress(self, state: SearchState) -> SearchProgress:
        generations = self.config.search.generations
        return SearchProgress(
            study=self.name,
            generation=min(state.full_generations + 1, generations),
            generations=generations,
            trials=state.successful,
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

    def check_resumable(self, *, generations: int | None = None) -> int:
        closed = len(self.metadata.closed_generations())
        limit = generations or self.config.search.generations
        if refusal := refusal_to_resume(closed=closed, limit=limit):
            command = f"resume {self.name} --generations {closed + 4}"
            raise ConfigError(f"study {self.name!r} {refusal}: give it more with", command=command)
        return limit

    def continuation(self) -> str:
        """Return the command that goes on with the search, which needs a new limit if the old one is reached."""
        stopped = self.metadata.stop()
        is_used_up = stopped is not None and stopped.reason is StopReason.GENERATIONS
        more = f" --generations {self.config.search.generations + 4}" if is_used_up else ""
        return f"resume {self.name}{more}"

    def check_config(self, asked: StudyConfig) -> None:
        """Refuse a configuration other than the stored one.

        Raises:
            StudyMismatchError: names every setting that differs.
        """
        if lines := differences(self.config, asked):
            only_limit = [line.partition(":")[0] for line in lines] == ["search.generations"]
            raise StudyMismatchError(
                f"study {self.name!r} exists with other settings: {'; '.join(lines)};"
                " ask for the stored ones, or start another study with --study" + (", or run" if only_limit else ""),
                command=f"resume {self.name} --generations N" if only_limit else None,
            )

    def _ask(self) -> Trial:
        """Begin a trial, and have its generation numbered and its parents crossed, by what was read last."""
        with batched(self.study).as_last_read():
            trial = self.study.ask()
            _ = trial.relative_params
        return trial

    def _decide(self, state: SearchState, lock: Lock) -> Stop | None:
        """Do what is due, unless somebody else has; return why the study has stopped, if it has."""
        with lock(self.study), self.existing():
            if stopped := self.metadata.stop():
                return stopped
            # Read under the lock: meanwhile somebody may have resumed the study, with a new limit.
            known = self._known(state)
            decision = decide(known)
            for closed in decision.close:
                self.metadata.close(closed, at=utc_now())
            state.closed = len(known.closed) + len(decision.close)
            return write_stop(self, decision.stop) if decision.stop else None

    def _known(self, state: SearchState) -> Known:
        description = self.as_it_is_now().description
        return Known(
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
) -> Search:
    """Make a search. The caller holds the lock of the storage.

    Args:
        reliability: of one training, if it was measured.
        files: where the data are, if they are files.

    Raises:
        ConfigError: the name is none that every database and file system takes, or belongs to a study that is not ours.
    """
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
        schema=splits.schema.exceptions if files else {},
        majority=splits.majority,
    )
    return Search.of(create_study(storage, name, description), description)


def open_or_create(
    storage: BaseStorage,
    name: str,
    config: StudyConfig,
    splits: DataSplits,
    *,
    reliability: Reliability | None = None,
    files: Files | None = None,
) -> Search:
    """Go on with the search of this name, or make it. The caller holds the lock of the storage.

    Args:
        reliability: of one training, if it was measured.
        files: where the data are, if they are files.

    Raises:
        StudyMismatchError: it exists with other settings or other data.
    """
    search = check_existing(storage, name, config)
    if search is None:
        return create(storage, name, config, splits, reliability=reliability, files=files)
    search.check_data(splits)
    return search


def check_existing(storage: BaseStorage, name: str, config: StudyConfig, *, any_repeats: bool = False) -> Search | None:
    """The study of this name, if there is one and it agrees: known before any data are read.

    Args:
        any_repeats: whether it may have any number of repeats.

    Raises:
        StudyMismatchError: it exists with other settings, or was made by other versions.
    """
    try:
        search = load(storage, name)
    except StudyNotFoundError:
        return None
    search.check_config(config.with_repeats(search.config.training.repeats) if any_repeats else config)
    search.check_versions()
    return search


def load(storage: BaseStorage, name: str) -> Search:
    """Open a search that exists.

    Raises:
        ConfigError: no study can have this name.
        StudyNotFoundError: there is no study of this name, or it is not one of ours.
        StudyMismatchError: it is a confirmation, or another version of this package has made it.
        DamagedStudyError: its description is not what was written.
    """
    study, description = stored(storage, name)
    if description.confirms:
        raise StudyMismatchError(f"study {name!r} is a confirmation, no search; choose another name with --study")
    return Search.of(study, description)


def _damaged_genes(trial: FrozenTrial) -> str | None:
    try:
        Genome.from_params(trial.params)
    except GenomeError as error:
        return f"trial {trial.number}: {error}"
    return None
