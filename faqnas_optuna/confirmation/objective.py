"""Objective of a confirmation: train one network from one seed, and judge it on the test part."""

from collections.abc import Callable
from dataclasses import asdict

import optuna

from faqnas_optuna.circuits.flops import analytic_flops, profiler_flops
from faqnas_optuna.config import FlopsCounter, StudyConfig
from faqnas_optuna.confirmation.baselines import (
    Baseline,
    Model,
    confirm_once,
    confirmation_generator,
    fit_baseline,
    layers_of,
)
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.storage.opening import store_trial
from faqnas_optuna.study.description import Finalist
from faqnas_optuna.study.objective import Objective
from faqnas_optuna.study.work import TrialOutcome


class ConfirmationObjective(Objective):
    """Objective that runs the training described by a queued trial.

    Args:
        config: Settings of the confirmation.
        splits: Data of the confirmation.
        finalist: Function that returns a finalist by the number of its trial in the search.
        worker: Name of this process, stored with the trial.
    """

    def __init__(self, config: StudyConfig, splits: DataSplits, *, finalist: Callable[[int], Finalist], worker: str) -> None:
        self._config = config
        self._splits = splits
        self._finalist = finalist
        self._worker = worker

    def _outcome(self, trial: optuna.Trial) -> TrialOutcome:
        # Queued trials have fixed parameters; Optuna returns those here, and the ranges only have to contain them.
        number = trial.suggest_int("finalist", 0, 10**9)
        model = trial.suggest_categorical("model", [*Model, *Baseline])
        seed = trial.suggest_int("seed", 0, 10**9)
        trial.set_user_attr("worker", self._worker)
        # Stored before the training, so that `status` can say who runs what.
        store_trial(trial)
        finalist = self._finalist(number)
        if model in list(Baseline):
            # Classical models have no quantum cost.
            cost = 0.0
            result = fit_baseline(Baseline(model), self._splits, score=self._config.score)
        else:
            cost = float(self._cost(Model(model), finalist))
            generator = confirmation_generator(self._config.seed, seed)
            circuit = finalist.genome.circuit
            result = confirm_once(Model(model), circuit, self._splits, self._config.training, generator=generator)
        attributes = asdict(result) | {"seconds": round(result.seconds, 6)}
        return TrialOutcome(values=(cost, 1 - result.test_score(self._config.score)), attributes=attributes)

    def _cost(self, model: Model, finalist: Finalist) -> float:
        """Return the first objective of the search for a network: quantum FLOPs by its counter, or -ln ESP on its device."""
        circuit = finalist.genome.circuit
        device = self._config.device
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
