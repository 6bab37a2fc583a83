"""A trained network as a folder, written whole or not at all, and read again without executing anything.

| file                | what it holds                                                                          |
| ------------------- | -------------------------------------------------------------------------------------- |
| `model.safetensors` | the parameters, float32, under the names of `HQNN`                                     |
| `model.json`        | everything else, with the SHA-256 of each other file, and of itself without that entry |
| `circuit.qasm`      | the trained circuit, for other simulators and devices                                  |
| `circuit.svg`       | a picture of it                                                                        |
| `README.md`         | what it is, and how it is loaded                                                       |
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

FORMAT, SCHEMA_VERSION = "faqnas-optuna model", 1
JSON, WEIGHTS = "model.json", "model.safetensors"
LARGEST = 64 * 2**20
"""Bytes of a file that is read."""


def write(
    model: TrainedModel, directory: Path, document: Mapping[str, Any], texts: Mapping[str, bytes], *, replace: bool
) -> None:
    """Write a folder.

    Args:
        document: what `model.json` is to hold beside what the model holds itself.
        texts: the content of other files, by name.
        replace: put it in the place of a folder that is there.

    Raises:
        OutputError: there is a folder already, or it cannot be written.
    """
    from safetensors.numpy import save

    check_target(directory, replace=replace)
    state = {name: np.ascontiguousarray(values) for name, values in model.state().items()}
    files = {**texts, WEIGHTS: save(state)}
    held = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        **document,
        "classes": list(model.classes),
        "schema": model.schema.to_json(),
        "preprocessing": model.preprocessing.to_json(),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    files[JSON] = json.dumps({**held, "checksum": _checksum(held)}, indent=1).encode()
    write_folder(directory, files)


def check_target(directory: Path, *, replace: bool) -> None:
    """Refuse a folder that cannot be written, before anything is trained for it.

    Raises:
        OutputError: there is one already, or something else, or no directory to put it in.
    """
    if directory.exists() or directory.is_symlink():
        if not replace:
            raise OutputError(f"{directory} is there already; name another folder with --out, or add --replace")
        if not (directory / JSON).is_file():
            raise OutputError(f"{directory} is no folder of a model, and is not replaced; name another one with --out")
    check_directory(directory)


def load_model(directory: Path | str) -> TrainedModel:
    """A trained network from the folder that `faqnas-optuna export` has written.

    Raises:
        DataError: it is no such folder, or a file in it is not as it was written.
    """
    return read_folder(Path(directory))[0]


def read_folder(directory: Path) -> tuple[TrainedModel, dict[str, Any]]:
    """The network, and what `model.json` holds.

    Raises:
        DataError: it is no such folder, or a file in it is not as it was written.
    """
    try:
        document = json.loads(_read(directory, JSON))
        held = {name: value for name, value in document.items() if name != "checksum"}
        if document.get("format") != FORMAT:
            raise DataError(
                f"{directory / JSON} describes no model of faqnas-optuna; export one with: faqnas-optuna export STUDY"
            )
        if document["schema_version"] != SCHEMA_VERSION:
            raise DataError(
                f"{directory} was written by another version, of schema {document['schema_version']}; export it anew"
            )
        if document["checksum"] != _checksum(held):
            raise DataError(f"{directory / JSON} is not as it was written; export the model anew")
        # The other files are for people and other programs, who may add to them.
        weights = _read(directory, WEIGHTS)
        if hashlib.sha256(weights).hexdigest() != document["files"][WEIGHTS]:
            raise DataError(f"{directory / WEIGHTS} is not as it was written; export the model again")
        return _model(document, weights), document
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, GenomeError) as error:
        raise DataError(f"{directory} is no model of faqnas-optuna, or a damaged one; export it anew") from error


def _read(directory: Path, name: str) -> bytes:
    path = directory / Path(name).name
    try:
        if path.is_file() and path.stat().st_size > LARGEST:
            raise DataError(f"{path} has more than {LARGEST // 2**20} MiB, which no model has; export it anew")
        if not path.is_file():
            raise DataError(f"{directory} lacks {path.name}; name a folder that 'faqnas-optuna export' has written")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _model(document: Mapping[str, Any], weights: bytes) -> TrainedModel:
    """What the files hold, if it fits together."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        state = load(weights)
    except SafetensorError as error:
        raise ValueError("no safetensors") from error
    classes = tuple(document["classes"])
    model = TrainedModel(
        circuit=_circuit(document["trained"]),
        parameters=np.empty(0, np.float32),
        preprocessing=Preprocessing.from_json(document["preprocessing"]),
        schema=Schema.from_json(document["schema"]),
        classes=classes,
    )
    parts = [
        state.pop(name)
        for name in ("encoder.weight", "encoder.bias", "quantum.weights", "classifier.weight", "classifier.bias")
    ]
    if state or [part.shape for part in parts] != list(model.layout.shapes):
        raise ValueError("the weights are those of another network")
    parameters: NDArray[Any] = np.concatenate([part.ravel() for part in parts])
    if parameters.dtype != np.float32 or not np.isfinite(parameters).all():
        raise ValueError("the weights are no finite float32 numbers")
    return replaced(model, parameters=parameters)


def circuit_values(circuit: Circuit) -> dict[str, Any]:
    """A circuit as `model.json` has it."""
    gates = {"embedding": circuit.embedding, "entangler": circuit.entangler, "topology": circuit.topology}
    rotations = [str(rotation) for rotation in circuit.rotations]
    values = {"n_qubits": circuit.n_qubits, **{name: str(value) for name, value in gates.items()}, "rotations": rotations}
    return values | ({"reuploading": True} if circuit.reuploading else {})


def _circuit(values: Mapping[str, Any]) -> Circuit:
    """The inverse of `circuit_values`: a genome checks what each gene may be."""
    rotations = list(values["rotations"])
    genes = {name: value for name, value in values.items() if name != "rotations"}
    layers = [*rotations, *[Rotation.RX] * MAX_DEPTH][:MAX_DEPTH]
    named = {f"rotation_{number}": rotation for number, rotation in enumerate(layers, 1)}
    return Genome.from_params({**genes, "depth": len(rotations), **named}).circuit


def _checksum(held: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
