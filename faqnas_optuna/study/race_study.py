"""Races as studies: the circuits of a race with their mean scores, one trial each, which the race writes all at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.config import SearchConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.storage.opening import study_lock
from faqnas_optuna.study import checks
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.race_summary import RaceSummary
from faqnas_optuna.study.records import RaceRecord, TrialRecord
from faqnas_optuna.study.search import Search, damaged_genes
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.status import study_status
from faqnas_optuna.study.work import Evaluate, Lock, Progress, RunTrial, WorkerAction


@dataclass(frozen=True, kw_only=True)
class RacedTrial:
    """Both records of a trial of a race, for their validation in one step."""

    record: TrialRecord
    race: RaceRecord


class RaceState(SearchState):
    """Summary of the trials of a race, whose front the race has selected."""

    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        for trial in trials:
            circuit = trial.user_attrs["circuit"]
            self.by_circuit[circuit] = trial
            self.by_effective[trial.user_attrs["effective"]] = trial
            if trial.user_attrs["on_front"]:
                self._front.append(circuit)
                self.best_score = max(self.best_score or 0.0, trial.user_attrs[f"val_{self.study.config.score.key}"])

    @property
    def extent(self) -> dict[str, Any]:
        race = self.study.description.race
        assert race is not None
        return {"generations": None, "race": race.to_json()}


class RaceStudy(Search):
    """Race between the circuits of a space. No worker runs its trials."""

    @classmethod
    def of(cls, study: optuna.Study, description: Description) -> Self:
        """Return the race of an Optuna study."""
        study.sampler = RandomSampler(seed=description.config.seed)
        return cls(study=study, description=description)

    @property
    def race(self) -> RaceSummary:
        """Summary of the race when the study was loaded."""
        race = self.description.race
        assert race is not None
        return race

    def new_state(self) -> SearchState:
        return RaceState(self)

    @property
    def planned(self) -> int:
        return 0

    def damage(self, trial: FrozenTrial) -> str | None:
        required = [f"val_{self.config.score.key}", *RaceRecord.__dataclass_fields__]
        return checks.damage(trial, RacedTrial, required) or damaged_genes(trial)

    def advance(self, state: SearchState, *, lock: Lock = study_lock) -> WorkerAction:
        """Return `STOPPED`, so that workers leave: only the command `race` continues a race."""
        return WorkerAction.STOPPED

    def wants_trials(self, state: SearchState) -> bool:
        """Return False: a race has no trials that a worker could run."""
        return False

    def next_trial(self, state: SearchState, *, lock: Lock, may_begin: Callable[[], bool]) -> Trial | None:
        return None

    def objective(self, state: SearchState, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None) -> RunTrial:
        raise self._no_worker_error()

    def enqueue(self, circuit: Circuit) -> None:
        raise self._no_worker_error()

    def progress(self, state: SearchState) -> Progress:  # type: ignore[override]  # A race has no generations.
        return Progress(study=self.name, trials=state.successful, planned=state.successful)

    def status(self, state: SearchState) -> dict[str, Any]:
        own = {
            "race": self.race.to_json(),
            "best_score": state.best_score,
            "front": len(state.front),
            "hypervolume": state.hypervolume,
            "linear_hypervolume": state.linear_hypervolume,
        }
        return study_status(state, own)

    def check_resumable(self, *, generations: int | None = None, trials: int | None = None) -> SearchConfig:
        raise self._no_worker_error()

    def continuation(self) -> str:
        """Return the command that continues the race with its stored settings."""
        return f"race --study {self.name}"

    def _no_worker_error(self) -> ConfigError:
        return ConfigError(
            f"study {self.name!r} is a race, which workers cannot continue; continue it with", command=self.continuation()
        )
