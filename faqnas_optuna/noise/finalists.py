"""Finalists of a confirmation under noise: trained again without it, as the confirmation has, and judged with it.

A training is the same again from the same seed, so no weights are kept. Nor is anything that is found here: it is found again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import TrialState

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.config import Engine, StudyConfig
from faqnas_optuna.confirmation.baselines import Model, confirmation_generator
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.noise.model import DeviceNoise, Noise
from faqnas_optuna.study.metadata import Finalist
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.training.scoring import Scores

STRENGTHS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""How many times the noise."""
MOST_QUBITS = 10
"""So many qubits are simulated: two more take sixteen times as long."""


@dataclass(frozen=True, kw_only=True)
class UnderNoise:
    """What a finalist is worth."""

    finalist: Finalist
    n_qubits: int
    """Those that it is run on; on a device it may pass over others than its own."""
    scores: Mapping[int, tuple[float, ...]]
    """By seed, the score at each of the `STRENGTHS`."""


def check_noise(candidates: Iterable[Candidate], noise: Noise) -> None:
    """Refuse what cannot be simulated, before anything is trained.

    Raises:
        ConfigError: a circuit has more qubits than the device, or takes more of them than are simulated.
    """
    for candidate in candidates:
        circuit = effective_circuit(candidate.genome.circuit)
        fix = "choose others with --trials or --top"
        if isinstance(noise, DeviceNoise) and noise.device.qubits < circuit.n_qubits:
            device = noise.device
            told = f"trial {candidate.trial} has {circuit.n_qubits} qubits, and {device.name} has {device.qubits}"
            raise ConfigError(f"{told}; {fix}, or another device")
        if (used := noise.program(circuit, 1.0).n_qubits) > MOST_QUBITS:
            told = f"trial {candidate.trial} runs on {used} qubits of {noise.name}, with those that it is swapped over"
            raise ConfigError(f"{told}, and at most {MOST_QUBITS} are simulated; {fix}")


def under_noise(
    confirmation: Confirmation,
    trials: Sequence[int],
    splits: DataSplits,
    noise: Noise,
    *,
    shots: int | None,
    engine: Engine,
    on_done: Callable[[int], None],
) -> list[UnderNoise]:
    """Judge finalists on the test part, or as much of it as `noisy_samples` takes, at each strength.

    Args:
        trials: of the search, those that are looked at.
        shots: as `predict_noisy` has them.
        engine: that simulates the noise; the networks are trained on the confirmation's.
        on_done: called with the number of networks that are judged, at first 0.
    """
    from faqnas_optuna.training.engines import load

    found, done = [], 0
    on_done(done)
    for finalist in finalists_among(confirmation, trials):
        circuit, scores = effective_circuit(finalist.genome.circuit), {}
        load(confirmation.config.engine.of(circuit))
        for seed in seeds_of(confirmation, finalist):
            scores[seed] = _judged(confirmation.config, splits, finalist, noise, seed, shots=shots, engine=engine)
            done += 1
            on_done(done)
        found.append(UnderNoise(finalist=finalist, n_qubits=noise.program(circuit, 0.0).n_qubits, scores=scores))
    return found


def finalists_among(confirmation: Confirmation, trials: Sequence[int]) -> list[Finalist]:
    """The finalists of a confirmation that are these trials and were trained with success, the cheapest first."""
    plan = confirmation.reload().plan
    trained = (one for one in plan.finalists if one.trial in trials and seeds_of(confirmation, one))
    return sorted(trained, key=lambda one: (one.cost, one.trial))


def seeds_of(confirmation: Confirmation, finalist: Finalist) -> list[int]:
    """The seeds from which a finalist was trained with success."""
    network = finalist.networks[Model.CIRCUIT]
    trials = confirmation.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted({trial.user_attrs["seed"] for trial in trials if trial.user_attrs.get("network") == network})


def _judged(
    config: StudyConfig, splits: DataSplits, finalist: Finalist, noise: Noise, seed: int, *, shots: int | None, engine: Engine
) -> tuple[float, ...]:
    """The scores of one network, trained from one seed, at each of the `STRENGTHS`."""
    from faqnas_optuna.noise.evaluation import Network, noisy_samples, predict_noisy, shots_generator, simulator
    from faqnas_optuna.training.engines import train_on

    circuit = effective_circuit(finalist.genome.circuit)
    result = train_on(config.engine, circuit, splits, config.training, generator=confirmation_generator(config.seed, seed))
    network = Network(circuit=circuit, parameters=result.parameters, n_classes=splits.n_classes)
    part, scores = noisy_samples(splits.test, seed=config.seed), []
    for number, strength in enumerate(STRENGTHS):
        generator = shots_generator(config.seed, (finalist.trial, seed, number))
        told = predict_noisy(
            network,
            noise.program(circuit, strength),
            part.x,
            shots=shots,
            generator=generator,
            simulate=simulator(engine),
        )
        scores.append(Scores.of(part.y, told).by(config.score))
    return tuple(scores)
