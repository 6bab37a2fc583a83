"""Finalists of a confirmation under noise: retrained without noise from the seeds of the confirmation, and tested with noise.

Retraining from the same seed gives the same weights, so that no weights are stored. The results under noise are not stored
either; every call computes them again.
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
from faqnas_optuna.study.description import Finalist
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.training.scoring import Scores

STRENGTHS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Factors by which the noise is multiplied."""
MAX_QUBITS = 10
"""Maximum number of simulated qubits. Two more would take sixteen times as long."""


@dataclass(frozen=True, kw_only=True)
class NoisyFinalist:
    """Finalist with its scores under noise."""

    finalist: Finalist
    n_qubits: int
    """Number of qubits of the program; on a device, SWAPs may add some to the wires of the circuit."""
    scores: Mapping[int, tuple[float, ...]]
    """Score at each of the `STRENGTHS`, by seed."""


def check_noise(candidates: Iterable[Candidate], noise: Noise) -> None:
    """Check that all circuits can be simulated, before anything is trained.

    Raises:
        ConfigError: A circuit has more qubits than the device, or its program needs more than `MAX_QUBITS`.
    """
    for candidate in candidates:
        circuit = effective_circuit(candidate.genome.circuit)
        fix = "choose other trials with --trials or --top"
        if isinstance(noise, DeviceNoise) and noise.device.qubits < circuit.n_qubits:
            device = noise.device
            reason = f"trial {candidate.trial} has {circuit.n_qubits} qubits, but {device.name} has {device.qubits}"
            raise ConfigError(f"{reason}; {fix}, or another device")
        n_qubits = noise.program(circuit, 1.0).n_qubits
        if n_qubits > MAX_QUBITS:
            reason = f"trial {candidate.trial} needs {n_qubits} qubits of {noise.name}, SWAPs included"
            raise ConfigError(f"{reason}, but at most {MAX_QUBITS} can be simulated; {fix}")


def evaluate_finalists(
    confirmation: Confirmation,
    trials: Sequence[int],
    splits: DataSplits,
    noise: Noise,
    *,
    shots: int | None,
    engine: Engine,
    on_done: Callable[[int], None],
) -> list[NoisyFinalist]:
    """Test finalists on the samples of `noisy_samples` at each noise factor.

    Args:
        trials: Trials of the search to include.
        shots: Number of shots per sample; None for exact ⟨Z⟩.
        engine: Engine that simulates the noise. The networks are trained on the engine of the confirmation.
        on_done: Called with the number of networks tested so far, first with 0.
    """
    # This import loads numba, which checking the noise does not need.
    from faqnas_optuna.training.engines import load

    results = []
    n_tested = 0
    on_done(n_tested)
    for finalist in finalists_among(confirmation, trials):
        circuit = effective_circuit(finalist.genome.circuit)
        scores = {}
        # Circuits without a fast form need PennyLane even if the study uses the fast engine.
        load(confirmation.config.engine.of(circuit))
        for seed in seeds_of(confirmation, finalist):
            scores[seed] = _noisy_scores(confirmation.config, splits, finalist, noise, seed, shots=shots, engine=engine)
            n_tested += 1
            on_done(n_tested)
        results.append(NoisyFinalist(finalist=finalist, n_qubits=noise.program(circuit, 0.0).n_qubits, scores=scores))
    return results


def finalists_among(confirmation: Confirmation, trials: Sequence[int]) -> list[Finalist]:
    """Return the finalists of these trials that have at least one successful training, the cheapest first."""
    plan = confirmation.reload().plan
    finalists = (finalist for finalist in plan.finalists if finalist.trial in trials and seeds_of(confirmation, finalist))
    return sorted(finalists, key=lambda finalist: (finalist.cost, finalist.trial))


def seeds_of(confirmation: Confirmation, finalist: Finalist) -> list[int]:
    """Return the seeds from which the training of a finalist succeeded."""
    network = finalist.networks[Model.CIRCUIT]
    trials = confirmation.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted({trial.user_attrs["seed"] for trial in trials if trial.user_attrs.get("network") == network})


def _noisy_scores(
    config: StudyConfig, splits: DataSplits, finalist: Finalist, noise: Noise, seed: int, *, shots: int | None, engine: Engine
) -> tuple[float, ...]:
    """Train a finalist from one seed and return its score at each of the `STRENGTHS`."""
    from faqnas_optuna.noise.evaluation import Network, noisy_samples, predict_noisy, shots_generator, simulator
    from faqnas_optuna.training.engines import train_on

    circuit = effective_circuit(finalist.genome.circuit)
    result = train_on(config.engine, circuit, splits, config.training, generator=confirmation_generator(config.seed, seed))
    network = Network(circuit=circuit, parameters=result.parameters, n_classes=splits.n_classes)
    part = noisy_samples(splits.test, seed=config.seed)
    scores = []
    for number, strength in enumerate(STRENGTHS):
        # The seed does not depend on the other finalists, so that adding one changes no result.
        generator = shots_generator(config.seed, (finalist.trial, seed, number))
        predicted = predict_noisy(
            network,
            noise.program(circuit, strength),
            part.x,
            shots=shots,
            generator=generator,
            simulate=simulator(engine),
        )
        scores.append(Scores.of(part.y, predicted).by(config.score))
    return tuple(scores)
