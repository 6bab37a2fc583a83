"""Networks for tests of predictions, folders and exports."""

import dataclasses
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.models.folder import circuit_values, write
from faqnas_optuna.models.trained_model import TrainedModel


def model_for(splits: DataSplits, embedding: Embedding = Embedding.AMPLITUDE) -> TrainedModel:
    """Return an untrained network with random parameters."""
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
    return dataclasses.replace(empty, parameters=empty.layout.draw(np.random.default_rng(3)))


def written(directory: Path, model: TrainedModel, *, replace: bool = False) -> Path:
    """Write a network, and return its folder."""
    document = {"trained": circuit_values(model.circuit)}
    write(model, directory, document, {"circuit.qasm": b"// a circuit\n"}, replace=replace)
    return directory


def keep_writing(directory: Path, splits: DataSplits, began: Connection) -> None:
    """Write a network again and again, until this process is killed."""
    model = model_for(splits)
    began.send(None)
    while True:
        written(directory, model, replace=True)
