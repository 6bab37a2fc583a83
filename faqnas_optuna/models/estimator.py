"""A hybrid network as a classifier of scikit-learn: one circuit, trained on all that it is given."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.circuits.genome import EVERY_GENE, GENES, Circuit, Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import Split
from faqnas_optuna.errors import ConfigError, GenomeError, ParameterError
from faqnas_optuna.training.engines import fit_on, predict_scores
from faqnas_optuna.training.evaluation import training_generator
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.scoring import most_likely

LARGEST_SEED = 2**32 - 1


class HQNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A quantum layer between two linear ones, trained with Adam on the negative log-likelihood.

    The first parameters are the genes of its circuit, those of layers beyond `depth` without effect, the others what a study
    calls by these names. Features enter the circuit as angles or amplitudes: scale them before, as with `StandardScaler`.

    Args:
        epochs: passes over all samples; none is kept to validate.
        learning_rate: of Adam.
        batch_size: samples in a step.
        engine: what simulates the circuit in training: "fast", but for circuits that lack a fast form, or "pennylane".
        random_state: of the initial parameters and of the order of the samples. A whole number gives the training of a search
            with that seed.

    Attributes:
        classes_: (classes,) labels, sorted.
        n_features_in_, feature_names_in_: what it was fitted on; the names if that had any.
        circuit_: the `Circuit` of the genes.
        parameters_: (P,) of the network, without the last layers of the circuit if no gate in them is live.
        loss_curve_: (epochs,) mean loss of the batches of each.
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
        engine: str = "fast",
        random_state: Any = None,
    ) -> None:
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
        self.engine = engine
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on samples `X` (samples, features) with the labels `y` (samples,).

        Raises:
            ParameterError: a parameter is wrong, or there is a single class; it is a ValueError.
            ValueError: scikit-learn refuses the data.
            TrainingError: the loss is not finite.
        """
        circuit, config = self._genome().circuit, self._config()
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ParameterError(
                f"a classifier needs samples of two classes or more; here is one class, {_plain(self.classes_[0])!r}"
            )
        part = Split(x=np.ascontiguousarray(X), y=indices.astype(np.int64))
        trained = effective_circuit(circuit)
        generator = training_generator(seed_of(self.random_state), trained, 0)
        engine, budget = config.engine, config.training
        fitted = fit_on(engine, trained, part, budget, n_classes=len(self.classes_), generator=generator)
        self.circuit_ = circuit
        self.parameters_ = fitted.parameters
        self.loss_curve_ = np.array(fitted.losses)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most likely label of each sample, (samples,)."""
        indices = most_likely(self._scores(X))
        labels: NDArray[Any] = self.classes_[indices]
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (samples, classes), in the order of `classes_`."""
        probabilities: NDArray[np.float64] = softmax(self._scores(X), axis=1)
        return probabilities

    @property
    def n_parameters_(self) -> int:
        """Trainable parameters, those of inert layers counted, as a search counts them."""
        return self._layout(self.circuit_).size

    @property
    def quantum_flops_(self) -> int:
        """Of the circuit for one sample, by the PyTorch profiler's count."""
        return profiler_flops(self.circuit_)

    def _genome(self) -> Genome:
        try:
            genes = {gene: _plain(getattr(self, gene)) for gene in EVERY_GENE}
            return Genome.from_params({gene: value for gene, value in genes.items() if value is not None or gene in GENES})
        except GenomeError as error:
            raise ParameterError(str(error)) from error

    def _config(self) -> StudyConfig:
        training = {name: getattr(self, name) for name in ("epochs", "learning_rate", "batch_size")}
        settings = {"dataset": "", "engine": self.engine, "training": training}
        try:
            return StudyConfig.from_settings(settings, source=type(self).__name__)
        except ConfigError as error:
            raise ParameterError(str(error)) from error

    def _layout(self, circuit: Circuit) -> Layout:
        return Layout.of(circuit, n_features=self.n_features_in_, n_classes=len(self.classes_))

    def _scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores (samples, classes) before the softmax."""
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=np.float32)
        trained = effective_circuit(self.circuit_)
        return predict_scores(trained, self._layout(trained), self.parameters_, x)


def seed_of(random_state: Any) -> int:
    """A seed of ours: a whole number as it is, anything else as scikit-learn takes it.

    Raises:
        ParameterError: the number is not from 0 to 2³² - 1.
    """
    state = _plain(random_state)
    if isinstance(state, int):
        if not 0 <= state <= LARGEST_SEED:
            raise ParameterError(f"random_state must be from 0 to {LARGEST_SEED}; it is {state}")
        return state
    return int(check_random_state(state).randint(LARGEST_SEED, dtype=np.uint32))


def _plain(value: Any) -> Any:
    """What numpy has made of a value, as in a grid of parameters, as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
