"""What a worker does in a trial of a confirmation: train one network from one seed, and judge it on the test part."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import optuna

from faqnas_optuna.circuits.flops import analytic_flops, profiler_flops
from faqnas_optuna.config import FlopsCounter
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.storage.opening import drafts
from faqnas_optuna.study.metadata import Finalist
from faqnas_optuna.study.objective import Evaluate, Objective, Outcome
from faqnas_optuna.study.state import StudyState
from faqnas_optuna.training.controls import (
    Baseline,
    Confirmed,
    Model,
    confirm_once,
    confirmation_generator,
    fit_baseline,
    layers_of,
)


def make_objective(state: StudyState, splits: DataSplits, *, worker: str, evaluate: Evaluate | None = None) -> Objective:
    """That of a search or of a confirmation; the arguments as `Objective` has them."""
    kind = ConfirmingObjective if state.search.is_confirmation else Objective
    return kind(state, splits, worker=worker, evaluate=evaluate)


class ConfirmingObjective(Objective):
    """Trains what a queued trial names."""

    def _outcome(self, trial: optuna.Trial) -> Outcome:
        finalist = trial.suggest_int("finalist", 0, 10**9)
        model = trial.suggest_categorical("model", [*Model, *Baseline])
        seed = trial.suggest_int("seed", 0, 10**9)
        trial.set_user_attr("worker", self._worker)
        drafts(trial.study).store(trial._trial_id)
        chosen = self._finalist(finalist)
        if model in list(Baseline):
            found, cost = fit_baseline(Baseline(model), self._splits, score=self._config.score), 0.0
        else:
            circuit, generator = chosen.genome.circuit, confirmation_generator(self._config.seed, seed)
            found = confirm_once(Model(model), circuit, self._splits, self._config.training, generator=generator)
            cost = self._cost(Model(model), chosen)
        return Outcome(values=(float(cost), 1 - found.test_score(self._config.score)), attributes=_attributes(found))

    def _cost(self, model: Model, finalist: Finalist) -> float:
        """What the search charges: quantum FLOPs by its counter, or -ln ESP on its device."""
        circuit, device = finalist.genome.circuit, self._config.device
        match model:
            case Model.CIRCUIT:
                return finalist.cost
            case Model.EMBEDDING | Model.SEPARABLE if device:
                return hardware_cost(circuit, device, layers_of(model, circuit)).neg_log_esp
            case Model.EMBEDDING | Model.SEPARABLE:
                count = analytic_flops if self._config.flops is FlopsCounter.ANALYTIC else profiler_flops
                return count(circuit, layers_of(model, circuit))
            case Model.LINEAR | Model.MLP:
                return 0

    def _finalist(self, number: int) -> Finalist:
        """The finalist that is a trial of the search."""
        search = self._state.search
        for description in (search.description, search.metadata.description()):
            # It may have been added since this worker came.
            assert description is not None and description.confirms is not None
            for known in description.confirms.finalists:
                if known.trial == number:
                    return known
        raise LookupError(f"trial {number} is no finalist")


def _attributes(found: Confirmed) -> Mapping[str, Any]:
    return asdict(found) | {"seconds": round(found.seconds, 6)}
