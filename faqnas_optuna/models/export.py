"""Export of a trained network: the documents in its folder, `model.json` and a README with instructions for loading it."""

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
    """Repeat the best training of a candidate and write the network to a folder.

    Args:
        qasm: Version of OpenQASM, 2 or 3.
        replace: Replace an existing model.

    Returns:
        The network, and its document.

    Raises:
        OutputError: The folder exists, or cannot be written.
        TrainingError: The training diverged.
    """
    confirmation = confirmation_of(search)
    # A study stores no weights. The same seed gives the same network again.
    retrained = retrain_best(search, candidate, splits, confirmation)
    document = model_document(search, candidate, splits, retrained, confirmation)
    files = circuit_files(retrained.model, splits, qasm=qasm) | {"README.md": readme(document, folder.name)}
    write(retrained.model, folder, document, files, replace=replace)
    return retrained.model, document


def model_document(
    search: Search, candidate: Candidate, splits: DataSplits, retrained: RetrainedModel, confirmation: Confirmation | None
) -> dict[str, Any]:
    """Return the origin of a network and its accuracies."""
    model = retrained.model
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
        "trained": circuit_values(model.circuit),
        "dimensions": {
            "features": splits.n_features,
            "qubits": model.circuit.n_qubits,
            "depth": model.circuit.depth,
            "classes": splits.n_classes,
            "parameters": model.layout.size,
        },
        "training": {
            "of": "confirmation" if retrained.confirmed else "search",
            "seed": retrained.seed,
            "epochs": retrained.epochs,
            "as_stored": retrained.reproduced,
        },
        **values(Output.ENTRY, candidate, search.description, (FLOPS, DEVICE)),
        "classical_flops": candidate.costs.classical_flops,
        "accuracies": {name: accuracies(model, part) for name, part in parts.items()},
        "majority": splits.majority.to_json(),
        "search_estimate": values(Output.ENTRY, candidate, search.description, (SCORES,)),
        "confirmed": _confirmation_entry(confirmation, candidate) if confirmation and retrained.confirmed else None,
        "provenance": provenance(search),
    }


def _confirmation_entry(confirmation: Confirmation, candidate: Candidate) -> dict[str, Any] | None:
    """Return the test scores of the circuit over all seeds of the confirmation; None if it is not a finalist itself."""
    # Another finalist can have the same effective circuit, whose trainings `retrain_best` then uses.
    document = confirmation_document(confirmation)
    for entry in document["circuits"]:
        if entry["trial"] == candidate.trial:
            names = [f"test_{score.key}{ending}" for score in Score for ending in ("", "_std", "_interval")]
            return {"repeats": document["repeats"], **{name: entry[name] for name in (*names, "message")}}
    return None


def circuit_files(model: TrainedModel, splits: DataSplits, *, qasm: int) -> dict[str, bytes]:
    """Return the circuit as OpenQASM and as a drawing, by file name.

    Args:
        qasm: Version of OpenQASM. Version 2 has no inputs; its circuit is applied to the first sample of the test part.
    """
    from faqnas_optuna.circuits.pennylane_circuit import draw_svg

    # The trained angles are constants in both versions.
    layers = model.layers
    if qasm == 3:
        text = openqasm3(model.circuit, layers.angles)
    else:
        encoded = splits.test.x[0] @ layers.encoder_weights.T + layers.encoder_bias
        text = openqasm2(model.circuit, layers.angles, preparation_angles(model.circuit, encoded).tolist())
    return {"circuit.qasm": text.encode(), "circuit.svg": draw_svg(model.circuit)}


def readme(document: Mapping[str, Any], name: str) -> bytes:
    """Return the README of a model's folder: a description, and five ways to load the model.

    Args:
        document: Result of `model_document`.
        name: Name of the folder.
    """
    dimensions = document["dimensions"]
    trained = document["trained"]
    # A shell command would take a name that begins with a hyphen for an option.
    folder = f"./{name}" if name.startswith("-") else name
    text = TEXT.substitute(
        dataset=on_one_line(document["dataset"]),
        circuit=document["effective"],
        study=document["study"],
        trial=document["trial"],
        sizes=f"{dimensions['features']} features, {dimensions['classes']} classes, {dimensions['parameters']} parameters",
        cost=_cost(document),
        rows="\n".join(_accuracy_rows(document)),
        confirmed=_confirmation_note(document["confirmed"]),
        folder_in_shell=shlex.quote(folder),
        folder_in_python=ascii(folder),
        entangler=ENTANGLERS[Entangler(trained["entangler"])].code,
        embedding=EMBEDDINGS[Embedding(trained["embedding"])].code,
    )
    # A path can have bytes that are not valid text.
    return text.encode(errors="surrogateescape")


def _accuracy_rows(document: Mapping[str, Any]) -> list[str]:
    """Return the rows of the README's table, one per part."""
    majority = document["majority"]["accuracy"]
    return [
        f"| {part} | {values['right']:,} of {values['samples']:,} | {values['accuracy']:.3f} |"
        f" {values['accuracy_interval'][0]:.3f} to {values['accuracy_interval'][1]:.3f} |"
        f" {majority[part]:.3f} | {values['balanced_accuracy']:.3f} |"
        for part, values in document["accuracies"].items()
    ]


def _confirmation_note(confirmed: Mapping[str, Any] | None) -> str:
    """Return the paragraph of the README on the confirmation; empty if there is none."""
    if confirmed is None:
        return ""
    return (
        f"\nRetrained from {confirmed['repeats']} seeds, this circuit has a mean test accuracy of"
        f" {confirmed['test_accuracy']:.3f} (balanced: {confirmed['test_balanced_accuracy']:.3f}). {confirmed['message']}\n"
    )


def _cost(document: Mapping[str, Any]) -> str:
    """Return the costs of the circuit as text."""
    flops = f"{document['quantum_flops']:,} quantum FLOPs"
    if "neg_log_esp" not in document:
        return flops
    return f"{flops}, −ln ESP of {document['neg_log_esp']:.4f} on {document['provenance']['settings']['device']['name']}"


# A `string.Template`, because the Python code in the text contains braces.
TEXT = Template("""# A hybrid quantum neural network for $dataset

Trial $trial of the study $study: $circuit; $sizes, $cost. Made by faqnas-optuna.

| part | correct | accuracy | 95 % CI | majority class | balanced accuracy |
| --- | --- | --- | --- | --- | --- |
$rows
$confirmed
The training with the best validation score was chosen. The confidence interval (Wilson's) covers the sampling error of each
part, not the variance between trainings. `model.json` records what determines these numbers: settings, versions, a fingerprint
of the data, and the preprocessing.

## Load it

On the command line, with classes and probabilities on stdout:

    faqnas-optuna predict $folder_in_shell data.csv

In Python, from a data frame with the same columns:

    from faqnas_optuna import load_model
    model = load_model($folder_in_python)
    labels = model.predict(frame)

In PyTorch, `model.module()` is a `torch.nn.Module`; its input is `model.features(frame)`.
In Qiskit, `model.to_qiskit()` is the circuit. Other readers of OpenQASM can load `circuit.qasm`.

With PennyLane alone, for the same features:

```python
import json

import numpy as np
import pennylane as qml
from safetensors.numpy import load_file

folder = $folder_in_python
weights = load_file(f"{folder}/model.safetensors")
document = json.load(open(f"{folder}/model.json"))
circuit = document["trained"]
angles = weights["quantum.weights"]
n = circuit["n_qubits"]
pairs = [(wire, wire + 1) for wire in range(n - 1)]
if circuit["topology"] == "circular" and n > 2:
    pairs.append((n - 1, 0))


@qml.qnode(qml.device("default.qubit", wires=n))
def quantum(x):
    $embedding
    for number, (rotation, layer) in enumerate(zip(circuit["rotations"], angles)):
        if number and circuit.get("reuploading"):
            $embedding
        for wire in range(n):
            getattr(qml, rotation)(layer[wire], wires=wire)
        for place, pair in enumerate(pairs):
            $entangler
    return [qml.expval(qml.PauliZ(wire)) for wire in range(n)]


def predict(features):
    encoded = np.asarray(features, np.float64) @ weights["encoder.weight"].T + weights["encoder.bias"]
    measured = np.array([quantum(x) for x in encoded])
    scores = measured @ weights["classifier.weight"].T + weights["classifier.bias"]
    return [document["classes"][index] for index in scores.argmax(axis=1)]
```
""")
