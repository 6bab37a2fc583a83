"""Made-up results under noise."""

from collections.abc import Sequence
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.baselines import Model
from faqnas_optuna.noise.finalists import STRENGTHS, NoisyFinalist
from faqnas_optuna.noise.model import DepolarizingNoise
from faqnas_optuna.noise.report import noise_document
from faqnas_optuna.study.description import Finalist
from tests.support.candidates import genome_of

NOISE = DepolarizingNoise(probability=0.01)


def under_noise(trial: int, cost: int, *by_seed: Sequence[float]) -> NoisyFinalist:
    """Return the scores of a finalist: for each seed the given ones of the first strengths, then 0.1."""
    genome = genome_of(3, "CZ", "RX", "RY")
    networks = {str(Model.CIRCUIT): str(trial)}
    finalist = Finalist(trial=trial, genome=genome, quantum_flops=cost, search_estimate=(0.5, None, 1), networks=networks)
    scores = {seed: tuple([*values, *[0.1] * len(STRENGTHS)][: len(STRENGTHS)]) for seed, values in enumerate(by_seed)}
    return NoisyFinalist(finalist=finalist, n_qubits=3, scores=scores)


def document(*results: NoisyFinalist, score: Score = Score.ACCURACY) -> dict[str, Any]:
    return noise_document(results, NOISE, shots=1024, samples=36, constant=0.4, score=score)


CHEAP = under_noise(5, 100, (0.6, 0.6, 0.6), (0.8, 0.8, 0.7), (0.7, 0.7, 0.8))
DEAR = under_noise(3, 900, (0.9, 0.7, 0.5), (0.9, 0.9, 0.6), (0.9, 0.8, 0.8))
