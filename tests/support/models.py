"""Networks for tests of what follows training."""

from dataclasses import replace

import numpy as np

from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.models.trained_model import TrainedModel


def model_for(splits: DataSplits, embedding: Embedding = Embedding.AMPLITUDE) -> TrainedModel:
    """Return a network that nobody has trained."""
    circuit = Circuit(
        n_qubits=3,
        embedding=embedding,
        entangler=Entangler.CNOT,
        topology=Topology.CIRCULAR,
        rotations=(Rotation.RY, Rotation.RX),
    )
    empty = TrainedModel(
        circuit=circuit,
        parameters=np.empty(0, np.float32),
        preprocessing=splits.preprocessing,
        schema=splits.schema,
        classes=splits.classes,
    )
    return replace(empty, parameters=empty.layout.draw(np.random.default_rng(3)))
