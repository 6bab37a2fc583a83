"""Which training of a circuit is taken away: the one that the validation part finds best, never the test part."""

from dataclasses import dataclass
from statistics import fmean

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.confirmation.baselines import Model, confirmation_generator
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.models.trained_model import TrainedModel
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.training.evaluation import prepare, train_from, train_once


@dataclass(frozen=True, kw_only=True)
class RetrainedModel:
    """A trained network, and which training it comes from."""

    model: TrainedModel
    seed: int
    """Of the confirmation, or the number of the repeat of the search, from 0."""
    epochs: int
    confirmed: bool
    """Whether it is a training of the confirmation."""
    repeated: bool
    """Whether it has come to the score that is stored: on another processor it may not."""


def retrain_best(search: Search, candidate: Candidate, splits: DataSplits, confirmation: Confirmation | None) -> RetrainedModel:
    """Train a candidate as its search did, or as its confirmation has, if that has: from the same seed, so to the same network.

    Of several trainings it is that of the highest score on the validation part; of equals the first.

    Raises:
        TrainingError: the training diverged.
    """
    prepare(search.config.engines)
    circuit = effective_circuit(candidate.genome.circuit)
    seeds = {} if confirmation is None else _confirmed(confirmation, candidate)
    if confirmation is not None and seeds:
        seed = max(seeds, key=lambda one: (seeds[one], -one))
        config = confirmation.config
        result = train_from(confirmation_generator(config.seed, seed), circuit, splits, config)
        repeated = result.validation.by(config.score) == seeds[seed]
    else:
        config = search.config
        results = [train_once(circuit, splits, config, repeat=repeat) for repeat in range(config.training.repeats)]
        seed = max(range(len(results)), key=lambda one: (results[one].validation.by(config.score), -one))
        result = results[seed]
        score = config.score
        repeated = fmean(one.validation.by(score) for one in results) == candidate.scores.mean(score)
    model = TrainedModel(
        circuit=circuit,
        parameters=result.parameters,
        preprocessing=splits.preprocessing,
        schema=splits.schema,
        classes=splits.classes,
    )
    return RetrainedModel(model=model, seed=seed, epochs=config.training.epochs, confirmed=bool(seeds), repeated=repeated)


def _confirmed(confirmation: Confirmation, candidate: Candidate) -> dict[int, float]:
    """The score on the validation part of each training of the circuit in a confirmation, by seed."""
    effective, kept = effective_circuit(candidate.genome.circuit), f"validation_{confirmation.config.score.key}"
    networks = {
        finalist.networks[Model.CIRCUIT]
        for finalist in confirmation.plan.finalists
        if effective_circuit(finalist.genome.circuit) == effective
    }
    return {
        trial.user_attrs["seed"]: trial.user_attrs[kept]
        for trial in confirmation.study.get_trials(deepcopy=False)
        if trial.user_attrs.get("network") in networks and kept in trial.user_attrs
    }
