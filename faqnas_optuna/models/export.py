"""What is told of a trained network that is taken away: `model.json` beside its weights, and a page on how to load it."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from faqnas_optuna.circuits.blocks import EMBEDDINGS, ENTANGLERS, Embedding, Entangler
from faqnas_optuna.circuits.openqasm import openqasm2, openqasm3, preparation_angles
from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.opening import confirmation_of
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.escaping import on_one_line
from faqnas_optuna.models.folder import circuit_values, write
from faqnas_optuna.models.retraining import RetrainedModel, retrain_best
from faqnas_optuna.models.trained_model import TrainedModel, accuracies
from faqnas_optuna.reporting.columns import DEVICE, FLOPS, SCORES, Output, values
from faqnas_optuna.reporting.documents import canonical, provenance
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search


def export(
    search: Search,
    candidate: Candidate,
    splits: DataSplits,
    folder: Path,
    *,
    qasm: int = 3,
    replace: bool = False,
) -> tuple[TrainedModel, dict[str, Any]]:
    """Train a candidate again as it was, and write it as a folder.

    Args:
        qasm: the version of OpenQASM.
        replace: put it in the place of a model that is there.

    Returns:
        The network, and what is told of it.

    Raises:
        OutputError: the folder is there, or cannot be written.
        TrainingError: the training diverged.
    """
    confirmation = confirmation_of(search)
    taken = retrain_best(search, candidate, splits, confirmation)
    document = model_document(search, candidate, splits, taken, confirmation)
    files = circuit_files(taken.model, splits, qasm=qasm) | {"README.md": readme(document, folder.name)}
    write(taken.model, folder, document, files, replace=replace)
    return taken.model, document


def model_document(
    search: Search, candidate: Candidate, splits: DataSplits, taken: RetrainedModel, confirmation: Confirmation | None
) -> dict[str, Any]:
    """Where a network comes from, and what it is worth."""
    config = search.config
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        "study": search.name,
        "trial": candidate.trial,
        "dataset": config.dataset,
        "target": splits.schema.label,
        "columns": dict(splits.columns),
        "genome": candidate.genome.to_params(),
        "circuit": canonical(candidate.genome.circuit),
        "effective": str(candidate.effective_gates),
        "trained": circuit_values(taken.model.circuit),
        "dimensions": {
            "features": splits.n_features,
            "qubits": taken.model.circuit.n_qubits,
            "depth": taken.model.circuit.depth,
            "classes": splits.n_classes,
            "parameters": taken.model.layout.size,
        },
        "training": {
            "of": "confirmation" if taken.confirmed else "search",
            "seed": taken.seed,
            "epochs": taken.epochs,
            "as_stored": taken.repeated,
        },
        **values(Output.ENTRY, candidate, search.description, (FLOPS, DEVICE)),
        "classical_flops": candidate.costs.classical_flops,
        "accuracies": {name: accuracies(taken.model, part) for name, part in parts.items()},
        "majority": splits.majority.to_json(),
        "search_estimate": values(Output.ENTRY, candidate, search.description, (SCORES,)),
        "confirmed": _confirmed(confirmation, candidate) if confirmation and taken.confirmed else None,
        "provenance": provenance(search),
    }


def _confirmed(confirmation: Confirmation, candidate: Candidate) -> dict[str, Any] | None:
    """What the confirmation has shown of the circuit, over all its seeds."""
    document = confirmation_document(confirmation)
    for entry in document["circuits"]:
        if entry["trial"] == candidate.trial:
            kept = [f"test_{score.key}{ending}" for score in Score for ending in ("", "_std", "_interval")]
            return {"repeats": document["repeats"], **{name: entry[name] for name in (*kept, "message")}}
    return None


def circuit_files(model: TrainedModel, splits: DataSplits, *, qasm: int) -> dict[str, bytes]:
    """The circuit as OpenQASM of a version, and as a picture.

    Args:
        qasm: 3, or 2, which has no inputs: there it is applied to the first sample of the test part.
    """
    from faqnas_optuna.circuits.pennylane_circuit import draw_svg

    layers = model.layers
    if qasm == 3:
        text = openqasm3(model.circuit, layers.angles)
    else:
        encoded = splits.test.x[0] @ layers.encoder_weights.T + layers.encoder_bias
        text = openqasm2(model.circuit, layers.angles, preparation_angles(model.circuit, encoded).tolist())
    return {"circuit.qasm": text.encode(), "circuit.svg": draw_svg(model.circuit)}


def readme(document: Mapping[str, Any], name: str) -> bytes:
    """Return the page of a model's folder: what it is, and four ways to load it.

    Args:
        document: a `model_document`.
        name: of the folder.
    """
    dimensions, told = document["dimensions"], document["accuracies"]
    majority = document["majority"]["accuracy"]
    lines = [
        f"| {part} | {found['right']:,} of {found['samples']:,} | {found['accuracy']:.3f} |"
        f" {found['accuracy_interval'][0]:.3f} to {found['accuracy_interval'][1]:.3f} |"
        f" {majority[part]:.3f} | {found['balanced_accuracy']:.3f} |"
        for part, found in told.items()
    ]
    confirmed = document["confirmed"]
    confirmation_note = (
        ""
        if confirmed is None
        else (
            f"\nOver {confirmed['repeats']} seeds this circuit tells {confirmed['test_accuracy']:.3f} of the test part right"
            f" (balanced: {confirmed['test_balanced_accuracy']:.3f}). {confirmed['message']}\n"
        )
    )
    trained = document["trained"]
    # What begins with a hyphen would be an option.
    folder = f"./{name}" if name.startswith("-") else name
    text = TEXT.substitute(
        dataset=on_one_line(document["dataset"]),
        circuit=document["effective"],
        study=document["study"],
        trial=document["trial"],
        sizes=f"{dimensions['features']} features, {dimensions['classes']} classes, {dimensions['parameters']} parameters",
        cost=_cost(document),
        rows="\n".join(lines),
        confirmed=confirmation_note,
        folder_in_shell=shlex.quote(folder),
        folder_in_python=ascii(folder),
        entangled=ENTANGLERS[Entangler(trained["entangler"])].code,
        embedded=EMBEDDINGS[Embedding(trained["embedding"])].code,
    )
    # A path may have bytes that are no text.
    return text.encode(errors="surrogateescape")


def _cost(document: Mapping[str, Any]) -> str:
    """What the circuit costs, in words."""
    flops = f"{document['quantum_flops']:,} quantum FLOPs"
    if "neg_log_esp" not in document:
        return flops
    return f"{flops}, −ln ESP of {document['neg_log_esp']:.4f} on {document['provenance']['settings']['device']['name']}"


TEXT = Template("""# A hybrid quantum neural network for $dataset

Trial $trial of the study $study: $circuit; $sizes, $cost. Made by faqnas-optuna.

| part | right | accuracy | 95 % CI | majority class | balanced |
| --- | --- | --- | --- | --- | --- |
$rows
$confirmed
The training was chosen by the validation part; the interval (Wilson's) is of so many samples, not of other trainings.
`model.json` holds what decided these numbers: settings, versions, fingerprint of the data, and how features are made.

## Load it

From the command line, with classes and probabilities on stdout:

    faqnas-optuna predict $folder_in_shell data.csv

In Python, from a data frame with the same columns:

    from faqnas_optuna import load_model
    model = load_model($folder_in_python)
    labels = model.predict(frame)

In PyTorch, from features as `model.preprocessing` makes them: `model.module()` is a `torch.nn.Module`.
In Qiskit: `model.to_qiskit()`, or `circuit.qasm` in any reader of OpenQASM.

With PennyLane alone, from features:

```python
import json

import numpy as np
import pennylane as qml
from safetensors.numpy import load_file

folder = $folder_in_python
weights, about = load_file(f"{folder}/model.safetensors"), json.load(open(f"{folder}/model.json"))
circuit, angles = about["trained"], weights["quantum.weights"]
n = circuit["n_qubits"]
pairs = [(wire, wire + 1) for wire in range(n - 1)]
if circuit["topology"] == "circular" and n > 2:
    pairs.append((n - 1, 0))


@qml.qnode(qml.device("default.qubit", wires=n))
def quantum(x):
    $embedded
    for number, (rotation, layer) in enumerate(zip(circuit["rotations"], angles)):
        if number and circuit.get("reuploading"):
            $embedded
        for wire in range(n):
            getattr(qml, rotation)(layer[wire], wires=wire)
        for place, pair in enumerate(pairs):
            $entangled
    return [qml.expval(qml.PauliZ(wire)) for wire in range(n)]


def predict(features):
    encoded = np.asarray(features, np.float64) @ weights["encoder.weight"].T + weights["encoder.bias"]
    measured = np.array([quantum(x) for x in encoded])
    scores = measured @ weights["classifier.weight"].T + weights["classifier.bias"]
    return [about["classes"][index] for index in scores.argmax(axis=1)]
```
""")
