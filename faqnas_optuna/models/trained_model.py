"""Trained network that is independent of its study: predictions for raw samples, and conversion to other libraries."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.circuits.openqasm import openqasm3
from faqnas_optuna.config import Engine
from faqnas_optuna.data.preprocessing import Preprocessing, RawFeatures, Unfamiliar
from faqnas_optuna.data.schema import Schema
from faqnas_optuna.data.splits import Label, Split
from faqnas_optuna.engine.fused import ParameterBlocks
from faqnas_optuna.errors import ConfigError, DataError, DataWarning
from faqnas_optuna.training.engines import predict_scores
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import balanced_accuracy, confusion, most_likely
from faqnas_optuna.training.statistics import accuracy_interval

if TYPE_CHECKING:
    import pennylane as qml
    from qiskit import QuantumCircuit

    from faqnas_optuna.training.model import HQNN


# `repr=False`, because the generated text would list all parameters.
@dataclass(frozen=True, kw_only=True, repr=False)
class TrainedModel:
    """Trained network with its preprocessing."""

    circuit: Circuit
    """Circuit that was trained, an effective circuit."""
    parameters: NDArray[np.float32]
    """(P,) parameters in the order of `Layout`."""
    preprocessing: Preprocessing
    schema: Schema
    """Columns of the training data."""
    classes: tuple[Label, ...]

    def __repr__(self) -> str:
        dimensions = f"{self.preprocessing.n_features} features, {len(self.classes)} classes"
        return f"<{type(self).__name__} {self.circuit}: {dimensions}, {self.layout.size} parameters>"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of a sample, in the order of the training data."""
        return self.schema.features

    @property
    def layout(self) -> Layout:
        """Layout of the parameters."""
        return Layout.of(self.circuit, n_features=self.preprocessing.n_features, n_classes=len(self.classes))

    @property
    def layers(self) -> ParameterBlocks[NDArray[np.float32]]:
        """Parameters by layer, as views."""
        return self.layout.parts(self.parameters)

    def predict(self, data: Any) -> NDArray[Any]:
        """Return the most likely class of each sample, (samples,).

        Args:
            data: A data frame of pandas, polars or Arrow with the columns of the training data in any order; an array
                (samples, columns) in the order of `columns`; or the result of `table` for either.

        Raises:
            DataError: A column is missing or has invalid values.
        """
        # `most_likely` is not needed here: `probabilities` refuses values that are not finite.
        indices = self.probabilities(self.features(data)).argmax(axis=1)
        labels: NDArray[Any] = np.asarray(self.classes)[indices]
        return labels

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """Return probabilities (samples, classes) for the arguments of `predict`."""
        return self.probabilities(self.features(data))

    def predict_log_proba(self, data: Any) -> NDArray[np.float64]:
        """Return logarithms of the probabilities (samples, classes), finite even where a probability rounds to 0."""
        from scipy.special import log_softmax

        logarithms: NDArray[np.float64] = log_softmax(self._scores(self.features(data)), axis=1)
        return logarithms

    def features(self, data: Any) -> NDArray[np.float32]:
        """Return the features (samples, features) of samples, the input of the network here and in other libraries.

        For the arguments see `predict`.
        """
        table = data if isinstance(data, RawFeatures) else self._table_with_warning(data)
        return self.preprocessing.apply(table)

    def _table_with_warning(self, data: Any) -> RawFeatures:
        """Return samples as a table, with a warning about categories that the training part did not have."""
        table = self.table(data)
        unseen = [str(entry) for entry in self.preprocessing.unfamiliar(table) if entry.is_unseen]
        if unseen:
            # Level 4 is the caller of `predict` or `predict_proba`.
            warnings.warn(f"{'; '.join(unseen)}: all features of such values are 0", DataWarning, stacklevel=4)
        return table

    def table(self, data: Any, *, name: str = "samples") -> RawFeatures:
        """Return samples in the form that the preprocessing accepts, with columns read by the schema of the training data.

        Args:
            data: A `Source` read from a file, or any data that `predict` accepts.
            name: Name of the samples in errors.

        Raises:
            DataError: A column is missing or has invalid values.
        """
        # These imports load pandas, which `probabilities` does not need.
        from faqnas_optuna.data.column_kinds import read_table
        from faqnas_optuna.data.frames import as_frame
        from faqnas_optuna.data.reading import Source

        source = data if isinstance(data, Source) else Source(frame=as_frame(data, names=self.columns))
        return read_table(source, self.schema, self.preprocessing, name=name)

    def unfamiliar(self, data: Any) -> tuple[Unfamiliar, ...]:
        """Return the values that the training part did not have, by column: missing, unseen categories, numbers out of range.

        For the arguments see `predict`.
        """
        return self.preprocessing.unfamiliar(data if isinstance(data, RawFeatures) else self.table(data))

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return probabilities (samples, classes) for features (samples, features).

        Raises:
            DataError: The network has no finite output for a sample.
        """
        from scipy.special import softmax

        probabilities: NDArray[np.float64] = softmax(self._scores(features), axis=1)
        return probabilities

    def _scores(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the scores (samples, classes) before the softmax.

        Raises:
            DataError: The network has no finite output for a sample.
        """
        scores = predict_scores(self.circuit, self.layout, self.parameters, features)
        # Finite features can overflow in the network if they are far outside the range of the training data.
        rows = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if rows.size:
            raise DataError(
                f"the network's output for the sample in row {rows[0] + 1} is not finite; correct the values of the sample"
            )
        return scores

    def module(self, engine: Engine = Engine.FAST) -> "HQNN":
        """Return the network as a PyTorch module, (batch, features) → log-probabilities (batch, classes)."""
        import torch

        from faqnas_optuna.training.model import HQNN

        # The generator draws initial parameters, which the state replaces.
        sizes = {"n_features": self.preprocessing.n_features, "n_classes": len(self.classes)}
        module = HQNN(self.circuit, **sizes, engine=Engine(engine), generator=np.random.default_rng(0))
        module.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in self.state().items()})
        return module

    def state(self) -> dict[str, NDArray[np.float32]]:
        """Return the parameters under the names of `HQNN`'s state dict."""
        layers = self.layers
        return {
            "encoder.weight": layers.encoder_weights,
            "encoder.bias": layers.encoder_bias,
            "quantum.weights": layers.angles,
            "classifier.weight": layers.classifier_weights,
            "classifier.bias": layers.classifier_bias,
        }

    def to_pennylane(self) -> "qml.QNode":
        """Return the trained circuit: encoder outputs (n_qubits,) or (batch, n_qubits) → ⟨Z⟩ of every wire."""
        from faqnas_optuna.circuits.pennylane_circuit import trained_qnode

        return trained_qnode(self.circuit, self.layers.angles.astype(np.float64))

    def to_qiskit(self) -> "QuantumCircuit":
        """Return the trained circuit with parameters a0, a1, …, the `circuits.openqasm.preparation_angles` of encoder outputs.

        Raises:
            ConfigError: Qiskit is not installed.
        """
        try:
            from qiskit import qasm3

            return qasm3.loads(openqasm3(self.circuit, self.layers.angles))
        except ImportError as error:
            raise ConfigError("Qiskit is not installed; run: pip install 'faqnas-optuna[qiskit]'") from error


def accuracies(model: TrainedModel, part: Split) -> dict[str, Any]:
    """Return the accuracy of a model on a part, with Wilson's 95 % confidence interval, and its balanced accuracy."""
    predicted = most_likely(model.probabilities(part.x))
    return accuracies_of(part.y, predicted, len(model.classes))


def accuracies_of(y: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int) -> dict[str, Any]:
    """Return the values of `accuracies` for class indices (samples,), true and predicted."""
    n_correct = int((predicted == y).sum())
    n_samples = len(y)
    return {
        "accuracy": n_correct / n_samples,
        "accuracy_interval": [round(bound, 4) for bound in accuracy_interval(n_correct / n_samples, n_samples)],
        "balanced_accuracy": balanced_accuracy(confusion(y, predicted, n_classes=n_classes)),
        "right": n_correct,
        "samples": n_samples,
    }
