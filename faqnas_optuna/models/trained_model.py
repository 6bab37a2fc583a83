"""A trained network that can be taken away: from samples as they come to classes, here, in PyTorch and elsewhere."""

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


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainedModel:
    """A network with its parameters, and what makes its features."""

    circuit: Circuit
    """The one that was trained."""
    parameters: NDArray[np.float32]
    """(P,) in the order of `Layout`."""
    preprocessing: Preprocessing
    schema: Schema
    """Columns of the training data."""
    classes: tuple[Label, ...]

    def __repr__(self) -> str:
        dimensions = f"{self.preprocessing.n_features} features, {len(self.classes)} classes"
        return f"<{type(self).__name__} {self.circuit}: {dimensions}, {self.layout.size} parameters>"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that a sample has, in the order of the training data."""
        return self.schema.features

    @property
    def layout(self) -> Layout:
        """What stands where in the parameters."""
        return Layout.of(self.circuit, n_features=self.preprocessing.n_features, n_classes=len(self.classes))

    @property
    def layers(self) -> ParameterBlocks[NDArray[np.float32]]:
        """The parameters as what they are."""
        return self.layout.parts(self.parameters)

    def predict(self, data: Any) -> NDArray[Any]:
        """Return the most likely class of each sample (samples,).

        Args:
            data: a data frame of pandas, polars or Arrow, whose columns are found by name; an array (samples, columns) in the
                order of `columns`; or what `table` has made of either.

        Raises:
            DataError: a column is missing, or holds what it should not.
        """
        indices = self.probabilities(self.features(data)).argmax(axis=1)
        labels: NDArray[Any] = np.asarray(self.classes)[indices]
        return labels

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """Return probabilities (samples, classes) for the arguments of `predict`."""
        return self.probabilities(self.features(data))

    def features(self, data: Any) -> NDArray[np.float32]:
        """Return the features (samples, features) that the network takes, here, in PyTorch, PennyLane and Qiskit.

        The arguments are those of `predict`.
        """
        table = data if isinstance(data, RawFeatures) else self._checked(data)
        return self.preprocessing.apply(table)

    def _checked(self, data: Any) -> RawFeatures:
        """Return samples as a table, with a warning of categories that the training part did not have."""
        table = self.table(data)
        unseen = [str(entry) for entry in self.preprocessing.unfamiliar(table) if entry.is_unseen]
        if unseen:
            # The caller of `predict` or `predict_proba`.
            warnings.warn(f"{'; '.join(unseen)}: all features of such a value are 0", DataWarning, stacklevel=4)
        return table

    def table(self, data: Any, *, name: str = "samples") -> RawFeatures:
        """Return samples as the preprocessing takes them, each column read by the training data's schema.

        Args:
            data: a `Source` read from a file, or as `predict` takes it.
            name: of the samples, for errors.

        Raises:
            DataError: a column is missing, or holds what it should not.
        """
        from faqnas_optuna.data.column_kinds import read_table
        from faqnas_optuna.data.frames import as_frame
        from faqnas_optuna.data.reading import Source

        source = data if isinstance(data, Source) else Source(frame=as_frame(data, names=self.columns))
        return read_table(source, self.schema, self.preprocessing, name=name)

    def unfamiliar(self, data: Any) -> tuple[Unfamiliar, ...]:
        """Return what the training part did not have: missing values, unseen categories, numbers out of range, by column.

        The arguments are those of `predict`.
        """
        return self.preprocessing.unfamiliar(data if isinstance(data, RawFeatures) else self.table(data))

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return probabilities (samples, classes) of features (samples, features).

        Raises:
            DataError: the network has no finite output for a sample.
        """
        from scipy.special import softmax

        scores = predict_scores(self.circuit, self.layout, self.parameters, features)
        strange = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if strange.size:
            raise DataError(f"the network has no finite output for the sample in row {strange[0] + 1}; correct its values")
        shares: NDArray[np.float64] = softmax(scores, axis=1)
        return shares

    def module(self, engine: Engine = Engine.FAST) -> "HQNN":
        """The network in PyTorch, (batch, features) → log-probabilities (batch, classes)."""
        import torch

        from faqnas_optuna.training.model import HQNN

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
        from faqnas_optuna.circuits.pennylane_circuit import trained_qnode

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


def accuracies(model: TrainedModel, part: Split) -> dict[str, Any]:
    """How many samples of a part are told right, as share with Wilson's 95 % interval, and the mean of the classes' recalls."""
    predicted = most_likely(model.probabilities(part.x))
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
