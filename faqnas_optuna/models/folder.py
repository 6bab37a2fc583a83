"""Folder format of a trained network. Folders are written atomically, and reading one executes no code from it.

| file                | content                                                                                |
| ------------------- | -------------------------------------------------------------------------------------- |
| `model.safetensors` | the parameters, float32, under the names of `HQNN`                                     |
| `model.json`        | everything else, with the SHA-256 of each other file, and of itself without that entry |
| `circuit.qasm`      | the trained circuit, for other simulators and devices                                  |
| `circuit.svg`       | a drawing of the circuit                                                               |
| `README.md`         | a description of the network, and instructions for loading it                          |
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import MAX_DEPTH, Circuit, Genome, Rotation
from faqnas_optuna.data.preprocessing import Preprocessing
from faqnas_optuna.data.schema import Schema
from faqnas_optuna.errors import DataError, GenomeError, OutputError
from faqnas_optuna.files import check_directory, write_folder
from faqnas_optuna.models.trained_model import TrainedModel

FORMAT = "faqnas-optuna model"
SCHEMA_VERSION = 1
JSON = "model.json"
WEIGHTS = "model.safetensors"
MAX_BYTES = 64 * 2**20
"""Maximum size of a file that is read."""


def write(
    model: TrainedModel, directory: Path, document: Mapping[str, Any], texts: Mapping[str, bytes], *, replace: bool
) -> None:
    """Write the folder of a model.

    Args:
        document: Entries of `model.json` beyond those of the model itself.
        texts: Contents of other files, by name.
        replace: Replace an existing folder of a model.

    Raises:
        OutputError: The folder exists already, or it cannot be written.
    """
    from safetensors.numpy import save

    # Checked again: training took a while, and another process may have written the folder meanwhile.
    check_target(directory, replace=replace)
    state = {name: np.ascontiguousarray(values) for name, values in model.state().items()}
    # safetensors rather than pickle, which could execute code on loading.
    files = {**texts, WEIGHTS: save(state)}
    entries = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        **document,
        "classes": list(model.classes),
        "schema": model.schema.to_json(),
        "preprocessing": model.preprocessing.to_json(),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    files[JSON] = json.dumps({**entries, "checksum": _checksum(entries)}, indent=1).encode()
    write_folder(directory, files)


def check_target(directory: Path, *, replace: bool) -> None:
    """Check that a folder can be written, before a model is trained for it.

    Raises:
        OutputError: The path exists already, or its parent directory does not.
    """
    # `exists` alone would be false for a symbolic link to nothing.
    if directory.exists() or directory.is_symlink():
        if not replace:
            raise OutputError(f"{directory} exists already; choose another folder with --out, or add --replace")
        # A mistyped path must not delete a folder with other contents.
        if not (directory / JSON).is_file():
            raise OutputError(
                f"{directory} exists and is not a model folder, so it is not replaced; choose another folder with --out"
            )
    check_directory(directory)


def load_model(directory: Path | str) -> TrainedModel:
    """Load a trained network from a folder that `faqnas-optuna export` wrote.

    Raises:
        DataError: The folder is not that of a model, or a file in it was changed.
    """
    return read_folder(Path(directory))[0]


def read_folder(directory: Path) -> tuple[TrainedModel, dict[str, Any]]:
    """Return the network of a folder, and the content of `model.json`.

    Raises:
        DataError: The folder is not that of a model, or a file in it was changed.
    """
    try:
        document = json.loads(_read(directory, JSON))
        entries = {name: value for name, value in document.items() if name != "checksum"}
        if document.get("format") != FORMAT:
            raise DataError(
                f"{directory / JSON} does not describe a model of faqnas-optuna; export one with: faqnas-optuna export STUDY"
            )
        if document["schema_version"] != SCHEMA_VERSION:
            raise DataError(
                f"{directory} was written by another version, with schema {document['schema_version']}; export the model again"
            )
        if document["checksum"] != _checksum(entries):
            raise DataError(f"{directory / JSON} was changed or damaged; export the model again")
        # Only the weights are verified: users may edit the other files.
        weights = _read(directory, WEIGHTS)
        if hashlib.sha256(weights).hexdigest() != document["files"][WEIGHTS]:
            raise DataError(f"{directory / WEIGHTS} was changed or damaged; export the model again")
        return _model(document, weights), document
    # The document can be any JSON: each of these exceptions means that it is not what `write` wrote.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, GenomeError) as error:
        raise DataError(f"{directory} is not a model of faqnas-optuna, or it is damaged; export the model again") from error


def _read(directory: Path, name: str) -> bytes:
    """Return the content of a file of the folder.

    Raises:
        DataError: The file does not exist, is too large, or cannot be read.
    """
    # Only the last part of the name, so that a document cannot point outside its folder.
    path = directory / Path(name).name
    try:
        # The size is checked before reading, so that a huge file cannot exhaust the memory.
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES // 2**20} MiB, which no model is; export the model again")
        if not path.is_file():
            raise DataError(f"{directory} has no {path.name}; give a folder that 'faqnas-optuna export' wrote")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _model(document: Mapping[str, Any], weights: bytes) -> TrainedModel:
    """Return the model that a document and weights describe.

    Raises:
        ValueError: The weights are damaged, or do not belong to the document.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        state = load(weights)
    except SafetensorError as error:
        raise ValueError("the weights are not in the safetensors format") from error
    # The layout of the parameters follows from the rest of the model, so they are filled in last.
    model = TrainedModel(
        circuit=_circuit(document["trained"]),
        parameters=np.empty(0, np.float32),
        preprocessing=Preprocessing.from_json(document["preprocessing"]),
        schema=Schema.from_json(document["schema"]),
        classes=tuple(document["classes"]),
    )
    # `pop` leaves only tensors that the network does not have.
    parts = [
        state.pop(name)
        for name in ("encoder.weight", "encoder.bias", "quantum.weights", "classifier.weight", "classifier.bias")
    ]
    if state or [part.shape for part in parts] != list(model.layout.shapes):
        raise ValueError("the weights belong to another network")
    parameters: NDArray[Any] = np.concatenate([part.ravel() for part in parts])
    if parameters.dtype != np.float32 or not np.isfinite(parameters).all():
        raise ValueError("the weights are not finite float32 numbers")
    return replaced(model, parameters=parameters)


def circuit_values(circuit: Circuit) -> dict[str, Any]:
    """Return the entry of a circuit in `model.json`."""
    gates = {"embedding": circuit.embedding, "entangler": circuit.entangler, "topology": circuit.topology}
    rotations = [str(rotation) for rotation in circuit.rotations]
    values = {"n_qubits": circuit.n_qubits, **{name: str(value) for name, value in gates.items()}, "rotations": rotations}
    # As in `Circuit.digest`, the default is left out.
    return values | ({"reuploading": True} if circuit.reuploading else {})


def _circuit(values: Mapping[str, Any]) -> Circuit:
    """Return the circuit whose `circuit_values` are `values`."""
    # `Genome` validates the genes. It needs a rotation for every layer, including inactive ones.
    rotations = list(values["rotations"])
    genes = {name: value for name, value in values.items() if name != "rotations"}
    layers = [*rotations, *[Rotation.RX] * MAX_DEPTH][:MAX_DEPTH]
    rotation_genes = {f"rotation_{number}": rotation for number, rotation in enumerate(layers, 1)}
    return Genome.from_params({**genes, "depth": len(rotations), **rotation_genes}).circuit


def _checksum(entries: Mapping[str, Any]) -> str:
    # Sorted keys, so that reformatting the file does not invalidate it.
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
