"""A trained network that can be taken away: from samples as they come to classes, here, in PyTorch and elsewhere."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.circuits.openqasm import openqasm3
from faqnas_optuna.config import Engine
from faqnas_optuna.data.preprocessing import Preprocessing, Table
from faqnas_optuna.data.splits import Label, Split
from faqnas_optuna.engine.fused import Layers
from faqnas_optuna.errors import ConfigError, DataError
from faqnas_optuna.learning.engines import predict_anyhow
from faqnas_optuna.learning.parameters import Layout
from faqnas_optuna.learning.scoring import balanced_accuracy, confusion
from faqnas_optuna.learning.statistics import accuracy_interval

if TYPE_CHECKING:
    import pandas as pd
    import pennylane as qml
    from qiskit import QuantumCircuit

    from faqnas_optuna.learning.model import HQNN


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainedModel:
    """A network with its parameters, and what makes its features."""

    circuit: Circuit
    """The one that was trained."""
    parameters: NDArray[np.float32]
    """(P,) in the order of `Layout`."""
    preprocessing: Preprocessing
    classes: tuple[Label, ...]

    def __repr__(self) -> str:
        dimensions = f"{self.preprocessing.n_features} features, {len(self.classes)} classes"
        return f"<{type(self).__name__} {self.circuit}: {dimensions}, {self.layout.size} parameters>"

    @property
    def columns(self) -> tuple[str, ...]:
        """What a sample is made of: the names of numbers, then of categories."""
        return (*self.preprocessing.numbers.names, *(category.name for category in self.preprocessing.categories))

    @property
    def layout(self) -> Layout:
        """What stands where in the parameters."""
        return Layout.of(self.circuit, n_features=self.preprocessing.n_features, n_classes=len(self.classes))

    @property
    def layers(self) -> Layers[NDArray[np.float32]]:
        """The parameters as what they are."""
        return self.layout.parts(self.parameters)

    def predict(self, data: "Table | NDArray[Any] | pd.DataFrame") -> NDArray[Any]:
        """The most likely class of each sample (samples,).

        Args:
            data: by name from a data frame; an array (samples, columns) in the order of `columns`, if all are numbers.

        Raises:
            DataError: a column is missing, or holds what it should not.
        """
        labels: NDArray[Any] = np.asarray(self.classes)[self.predict_proba(data).argmax(axis=1)]
        return labels

    def predict_proba(self, data: "Table | NDArray[Any] | pd.DataFrame") -> NDArray[np.float64]:
        """Probabilities (samples, classes); the arguments as `predict` has them."""
        table = data if isinstance(data, Table) else self._table(data)
        return self.probabilities(self.preprocessing.apply(table))

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities (samples, classes) of what the preprocessing has made (samples, features)."""
        scores = predict_anyhow(self.circuit, self.layout, self.parameters, features)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
        return shares

    def module(self, engine: Engine = Engine.FAST) -> "HQNN":
        """The network in PyTorch, (batch, features) → log-probabilities (batch, classes)."""
        import torch

        from faqnas_optuna.learning.model import HQNN

        sizes = {"n_features": self.preprocessing.n_features, "n_classes": len(self.classes)}
        module = HQNN(self.circuit, **sizes, engine=Engine(engine), generator=np.random.default_rng(0))
        module.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in self.state().items()})
        return module

    def state(self) -> dict[str, NDArray[np.float32]]:
        """The parameters under the names that `HQNN` gives them."""
        layers = self.layers
        return {
            "encoder.weight": layers.encoder_weights,
            "encoder.bias": layers.encoder_bias,
            "quantum.weights": layers.angles,
            "classifier.weight": layers.classifier_weights,
            "classifier.bias": layers.classifier_bias,
        }

    def to_pennylane(self) -> "qml.QNode":
        """The trained circuit: inputs (n_qubits,) or (batch, n_qubits), what the encoder gives, → ⟨Z⟩ of every wire."""
        from faqnas_optuna.circuits.reference import trained_qnode

        return trained_qnode(self.circuit, self.layers.angles.astype(np.float64))

    def to_qiskit(self) -> "QuantumCircuit":
        """The trained circuit with the parameters a0, a1, …: `circuits.openqasm.preparation_angles` of what the encoder gives.

        Raises:
            ConfigError: Qiskit is not installed.
        """
        try:
            from qiskit import qasm3

            return qasm3.loads(openqasm3(self.circuit, self.layers.angles))
        except ImportError as error:
            raise ConfigError("Qiskit is not installed; run: pip install 'faqnas-optuna[qiskit]'") from error

    def _table(self, data: "NDArray[Any] | pd.DataFrame") -> Table:
        if hasattr(data, "columns"):
            from faqnas_optuna.data.columns import read_table

            return read_table(data, self.preprocessing)
        numbers = np.asarray(data)
        if self.preprocessing.categories:
            raise DataError(f"columns of this model are texts, as {self.preprocessing.categories[0].name!r}; give a data frame")
        if numbers.ndim != 2 or numbers.shape[1] != len(self.columns):
            raise DataError(f"samples must be (samples, {len(self.columns)}); they are {numbers.shape}")
        return self.preprocessing.checked(Table.of_numbers(numbers.astype(np.float64)))


def accuracies(model: TrainedModel, part: Split) -> dict[str, Any]:
    """How many samples of a part are told right, as share with Wilson's 95 % interval, and the mean of the classes' recalls."""
    predicted = model.probabilities(part.x).argmax(axis=1)
    return counted(part.y, predicted, len(model.classes))


def counted(y: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int) -> dict[str, Any]:
    """The same of class indices (samples,), true and told."""
    right, samples = int((predicted == y).sum()), len(y)
    return {
        "accuracy": right / samples,
        "accuracy_interval": [round(bound, 4) for bound in accuracy_interval(right / samples, samples)],
        "balanced_accuracy": balanced_accuracy(confusion(y, predicted, n_classes=n_classes)),
        "right": right,
        "samples": samples,
    }
