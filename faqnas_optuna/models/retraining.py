"""Retraining of a circuit: the training with the best validation score, chosen without the test part."""

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
    """Trained network, with the training that it comes from."""

    model: TrainedModel
    seed: int
    """Seed of the confirmation, or number of the repeat of the search, from 0."""
    epochs: int
    confirmed: bool
    """True if the training is one of the confirmation, False if it is one of the search."""
    reproduced: bool
    """True if the score equals the stored one. On another processor it may differ."""


def retrain_best(search: Search, candidate: Candidate, splits: DataSplits, confirmation: Confirmation | None) -> RetrainedModel:
    """Repeat the best training of a candidate, from the confirmation if it has trained the circuit, else from the search.

    The best training has the highest validation score, and on a tie the lowest seed. The same seed gives the same network.

    Raises:
        TrainingError: The training diverged.
    """
    prepare(search.config.engines)
    circuit = effective_circuit(candidate.genome.circuit)
    seed_scores = {} if confirmation is None else _confirmation_scores(confirmation, candidate)
    if confirmation is not None and seed_scores:
        seed = max(seed_scores, key=lambda seed: (seed_scores[seed], -seed))
        config = confirmation.config
        result = train_from(confirmation_generator(config.seed, seed), circuit, splits, config)
        reproduced = result.validation.by(config.score) == seed_scores[seed]
    else:
        # A search stores only the mean over the repeats, so that all have to be trained to find the best.
        config = search.config
        results = [train_once(circuit, splits, config, repeat=repeat) for repeat in range(config.training.repeats)]
        scores = [result.validation.by(config.score) for result in results]
        # `index` finds the first of equal scores.
        seed = scores.index(max(scores))
        result = results[seed]
        reproduced = fmean(scores) == candidate.scores.mean(config.score)
    model = TrainedModel(
        circuit=circuit,
        parameters=result.parameters,
        preprocessing=splits.preprocessing,
        schema=splits.schema,
        classes=splits.classes,
    )
    confirmed = bool(seed_scores)
    return RetrainedModel(model=model, seed=seed, epochs=config.training.epochs, confirmed=confirmed, reproduced=reproduced)


def _confirmation_scores(confirmation: Confirmation, candidate: Candidate) -> dict[int, float]:
    """Return the validation score of each training of the circuit in a confirmation, by seed."""
    effective = effective_circuit(candidate.genome.circuit)
    attribute = f"validation_{confirmation.config.score.key}"
    # Several finalists can have the same effective circuit, and with it the same trainings.
    networks = {
        finalist.networks[Model.CIRCUIT]
        for finalist in confirmation.plan.finalists
        if effective_circuit(finalist.genome.circuit) == effective
    }
    return {
        trial.user_attrs["seed"]: trial.user_attrs[attribute]
        for trial in confirmation.study.get_trials(deepcopy=False)
        if trial.user_attrs.get("network") in networks and attribute in trial.user_attrs
    }
