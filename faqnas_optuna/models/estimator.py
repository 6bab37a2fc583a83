"""Hybrid network with one circuit as a scikit-learn classifier, trained on all samples passed to `fit`."""

from dataclasses import asdict
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.circuits.genome import EVERY_GENE, GENES, Circuit, Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.errors import ConfigError, GenomeError, ParameterError
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import device_of
from faqnas_optuna.models.weights import weighted_rows, weighted_split
from faqnas_optuna.training.engines import fit_on, predict_scores
from faqnas_optuna.training.evaluation import training_generator
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import most_likely
from faqnas_optuna.training.values import Costs

MAX_SEED = 2**32 - 1


class HQNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classifier with a quantum layer between two linear layers, trained with Adam on the negative log-likelihood.

    The first parameters are the genes of the circuit; rotations of layers beyond `depth` have no effect. The other parameters
    have the meaning of a study's settings with the same names. Features become angles or amplitudes: scale them first, for
    example with `StandardScaler`, or with `TabularPreprocessor` if they are not all numbers.

    Args:
        epochs: Number of passes over all samples. No samples are set aside for validation.
        learning_rate: Learning rate of Adam.
        batch_size: Number of samples per step.
        class_weight: Weights of the classes in the loss: `balanced`, inversely proportional to their frequencies; a dictionary;
            or None for equal weights.
        engine: Engine that simulates the circuit in training: "fast" (PennyLane for circuits without a fast form) or
            "pennylane".
        random_state: Randomness of the initial parameters and of the order of the samples. An integer gives the training of a
            search with that seed.

    Attributes:
        classes_: (classes,) sorted labels.
        n_features_in_: Number of features seen by `fit`.
        feature_names_in_: Names of the features, if they had any.
        circuit_: `Circuit` of the genes.
        parameters_: (P,) parameters of the network with the effective circuit.
        loss_curve_: (epochs,) mean loss over the batches of each epoch.
    """

    def __init__(
        self,
        *,
        n_qubits: int = 4,
        embedding: str = "angle",
        entangler: str = "CNOT",
        topology: str = "circular",
        depth: int = 2,
        rotation_1: str = "RY",
        rotation_2: str = "RX",
        rotation_3: str = "RY",
        rotation_4: str = "RX",
        rotation_5: str | None = None,
        rotation_6: str | None = None,
        rotation_7: str | None = None,
        rotation_8: str | None = None,
        reuploading: bool | None = None,
        epochs: int = 100,
        learning_rate: float = 0.005,
        batch_size: int = 32,
        class_weight: Any = None,
        engine: str = "fast",
        random_state: Any = None,
    ) -> None:
        # scikit-learn's `clone` requires that parameters are stored unchanged; `fit` checks them.
        self.n_qubits = n_qubits
        self.embedding = embedding
        self.entangler = entangler
        self.topology = topology
        self.depth = depth
        self.rotation_1 = rotation_1
        self.rotation_2 = rotation_2
        self.rotation_3 = rotation_3
        self.rotation_4 = rotation_4
        self.rotation_5 = rotation_5
        self.rotation_6 = rotation_6
        self.rotation_7 = rotation_7
        self.rotation_8 = rotation_8
        self.reuploading = reuploading
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.class_weight = class_weight
        self.engine = engine
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on samples `X` (samples, features) with the labels `y` (samples,).

        The loss of a batch is the mean of −ln(probability of the label), weighted by `sample_weight` (samples,) times the
        weights of the classes and divided by the sum of these weights. Equal weights change nothing, and a weight of 0 leaves
        a sample out.

        Raises:
            ParameterError: A parameter is invalid, or there is only one class. It is a ValueError.
            ValueError: Scikit-learn rejects the data.
            TrainingError: The loss is not finite.
        """
        circuit = self._genome().circuit
        config = self._config()
        # scikit-learn's checks also set `n_features_in_` and `feature_names_in_`.
        x, labels = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(labels)
        rows, weights = weighted_rows(sample_weight, x)
        self.classes_, indices = np.unique(labels[rows], return_inverse=True)
        # scikit-learn's estimator checks require the words "one class" in this message.
        if len(self.classes_) < 2:
            raise ParameterError(
                f"a classifier needs samples of at least two classes; these are all of one class, {_plain(self.classes_[0])!r}"
            )
        part = weighted_split(
            np.ascontiguousarray(x[rows]),
            indices.astype(np.int64),
            classes=self.classes_,
            sample_weight=weights,
            class_weight=self.class_weight,
        )
        # As in a search, the effective circuit is trained.
        effective = effective_circuit(circuit)
        generator = training_generator(seed_of(self.random_state), effective, 0)
        result = fit_on(config.engine, effective, part, config.training, n_classes=len(self.classes_), generator=generator)
        self.circuit_ = circuit
        self.parameters_ = result.parameters
        self.loss_curve_ = np.array(result.losses)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most likely label of each sample, (samples,)."""
        indices = most_likely(self._scores(X))
        labels: NDArray[Any] = self.classes_[indices]
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return probabilities (samples, classes), in the order of `classes_`."""
        probabilities: NDArray[np.float64] = softmax(self._scores(X), axis=1)
        return probabilities

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return logarithms of the probabilities (samples, classes), finite even where a probability rounds to 0."""
        # The logarithm of a probability that has rounded to 0 would be infinite.
        logarithms: NDArray[np.float64] = log_softmax(self._scores(X), axis=1)
        return logarithms

    @property
    def n_parameters_(self) -> int:
        """Number of trainable parameters. As in a search, those of inert layers count."""
        return self._layout(self.circuit_).size

    @property
    def quantum_flops_(self) -> int:
        """Quantum FLOPs of the circuit for one sample, by the PyTorch profiler's count."""
        return profiler_flops(self.circuit_)

    def cost(self, device: str | None = None) -> dict[str, Any]:
        """Return the costs of the network for one sample: quantum and classical FLOPs, parameters and, on a device, −ln ESP.

        Args:
            device: Name of a device, or path of a TOML file that describes one; None to leave out the costs on a device.

        Raises:
            ConfigError: The device is unknown, or has fewer qubits than the circuit.
        """
        check_is_fitted(self)
        costs = Costs.of(self.circuit_, n_features=self.n_features_in_, n_classes=len(self.classes_))
        values = {name: value for name, value in asdict(costs).items() if value is not None}
        if device is None:
            return values
        on = device_of(device)
        if on.qubits < self.circuit_.n_qubits:
            raise ConfigError(
                f"{on.name} has {on.qubits} qubits but the circuit {self.circuit_.n_qubits}; choose another device"
            )
        hardware = hardware_cost(self.circuit_, on)
        return values | {"device": on.name, "esp": hardware.esp} | asdict(hardware)

    def _genome(self) -> Genome:
        try:
            # None stands for a gene that the genome does not have, except among the paper's nine, where it is an error.
            genes = {gene: _plain(getattr(self, gene)) for gene in EVERY_GENE}
            return Genome.from_params({gene: value for gene, value in genes.items() if value is not None or gene in GENES})
        except GenomeError as error:
            raise ParameterError(str(error)) from error

    def _config(self) -> StudyConfig:
        training = {name: getattr(self, name) for name in ("epochs", "learning_rate", "batch_size")}
        # A study's settings validate these parameters. The name of the data set does not matter.
        settings = {"dataset": "", "engine": self.engine, "training": training}
        try:
            return StudyConfig.from_settings(settings, source=type(self).__name__)
        except ConfigError as error:
            raise ParameterError(str(error)) from error

    def _layout(self, circuit: Circuit) -> Layout:
        return Layout.of(circuit, n_features=self.n_features_in_, n_classes=len(self.classes_))

    def _scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores (samples, classes) before the softmax."""
        # `reset=False` compares the features with those of `fit`.
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=np.float32)
        effective = effective_circuit(self.circuit_)
        return predict_scores(effective, self._layout(effective), self.parameters_, x)


def seed_of(random_state: Any) -> int:
    """Return the seed of a training: an integer as it is; otherwise one drawn by scikit-learn's rules for random states.

    Raises:
        ParameterError: An integer is not from 0 to 2³² - 1.
    """
    state = _plain(random_state)
    if isinstance(state, int):
        if not 0 <= state <= MAX_SEED:
            raise ParameterError(f"random_state must be an integer from 0 to {MAX_SEED}; it is {state}")
        return state
    return int(check_random_state(state).randint(MAX_SEED, dtype=np.uint32))


def _plain(value: Any) -> Any:
    """Return a numpy scalar as a Python object, and any other value as it is."""
    # Grids of parameters in numpy arrays give numpy scalars, which the checks of genes and settings refuse.
    return value.item() if isinstance(value, np.generic) else value
