"""Made-up successful trials, without a study."""

from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.records import Candidate, TrialRecord
from faqnas_optuna.training.values import Costs, ValidationScores


def genome_of(n_qubits: int, entangler: str, *rotations: str, embedding: str = "angle", topology: str = "linear") -> Genome:
    """Return a genome with one layer for each rotation."""
    # All four genes of rotations are always set; those beyond the depth are inactive.
    unused = ["RX"] * (4 - len(rotations))
    genes = {f"rotation_{layer}": rotation for layer, rotation in enumerate((*rotations, *unused), 1)}
    shape = {"n_qubits": n_qubits, "embedding": embedding, "entangler": entangler, "topology": topology}
    return Genome.from_params({**shape, "depth": len(rotations), **genes})


def candidate(trial: int, genome: Genome, *, flops: int, error: float, deviation: float | None = None) -> Candidate:
    circuit = genome.circuit
    # The circuit counts as its own effective circuit, so that candidates differ wherever their circuits do.
    record = TrialRecord(
        circuit=circuit.digest,
        summary=str(circuit),
        effective=circuit.digest,
        costs=Costs.of(circuit, n_features=4, n_classes=3),
        scores=ValidationScores(
            val_accuracy=1 - error, val_accuracy_std=deviation, val_balanced_accuracy=None, val_balanced_accuracy_std=None
        ),
        seconds=0.0,
        worker="test:1",
        reused_from=None,
    )
    return Candidate(trial=trial, place=trial, generation=0, genome=genome, quantum_flops=flops, val_error=error, record=record)


def description_of(config: StudyConfig) -> Description:
    """Return the description of a study without data."""
    return Description(
        config=config,
        data_fingerprint="",
        sizes={"train": 90, "validation": 30, "test": 30},
        flops_range=(1, 2),
        created="2026-01-01T00:00:00+00:00",
        versions={},
    )
