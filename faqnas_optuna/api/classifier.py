"""A scikit-learn classifier that searches for its circuit, confirms the front on held-out folds and trains the chosen one."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.notebook import check_result, program_hooks, using
from faqnas_optuna.api.running import Execution
from faqnas_optuna.api.search_service import SearchRequest, start_search
from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.config import SAMPLES, StudyConfig
from faqnas_optuna.confirmation.opening import search_of
from faqnas_optuna.data.preprocessing import Numbers, Preprocessing, RawFeatures
from faqnas_optuna.data.schema import Kind, Schema
from faqnas_optuna.data.splits import NAMED_LABEL, DataSplits, Split
from faqnas_optuna.errors import ConfigError, ParameterError
from faqnas_optuna.models.estimator import HQNNClassifier, seed_of
from faqnas_optuna.models.tabular import TabularPreprocessor, infer_kinds, mixed_frame
from faqnas_optuna.models.weights import weighted_rows, weighted_split
from faqnas_optuna.reporting.documents import check_successful
from faqnas_optuna.storage.opening import disconnect
from faqnas_optuna.storage.optuna_internals import storage_of
from faqnas_optuna.study.pareto import non_dominated
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import read_state
from faqnas_optuna.training.statistics import accuracy_interval

if TYPE_CHECKING:
    from pandas import DataFrame

BUDGET = ("epochs", "learning_rate", "batch_size", "engine")
"""Settings that the search, the folds and the final training share."""
STEP = HQNNClassifier.__name__.lower()
"""Name of the network in the pipeline."""
SETTINGS = (*BUDGET, "population", "generations", "patience", "repeats", "flops", "gates")
VALIDATION_SHARE = 0.25
CONFIRMATIONS = 3
"""Separates the random seeds of the folds and the final training from those of the search."""


class FAQNASClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classifier that searches for its circuit and selects one of the front by cross-validation.

    A quarter of the samples validates the search. Each circuit of its front is then cross-validated from new random
    seeds, a rule selects one by these errors, and this one is trained on all samples. Features are standardised by the samples
    of each training. Data frames may have columns of any kind and missing values (see `TabularPreprocessor`).

    Args:
        population: Successful trials per generation of the search.
        generations: Maximum number of generations.
        patience: Number of generations without improvement after which the search stops.
        epochs: Passes over the samples in every training: in the search, on the folds and on all samples.
        learning_rate: Learning rate of Adam in every training.
        batch_size: Samples per optimiser step in every training.
        class_weight: Weights of the classes in the loss of every training, as in `HQNNClassifier`.
        repeats: Trainings per circuit in the search.
        flops: Counter of quantum FLOPs: `profiler` or `analytic`.
        gates: Gates whose FLOPs are counted: `all` or `effective`.
        engine: Simulator of the circuits in training.
        space: Choices of each gene by its name; None for the paper's space.
        pick: Selection rule: `knee`, `best`, `cheapest-within:X`, `best-under:COST` or `at-least:SCORE`.
        confirm_folds: Number of folds.
        storage: URL of a database that keeps the search; None for a temporary one.
        study: Name of the search in that database.
        progress: Whether to show a progress bar; None to show it in notebooks and on terminals.
        random_state: Random seed of everything.

    Attributes:
        classes_: (classes,) sorted labels.
        n_features_in_: Number of features seen by `fit`.
        feature_names_in_: Names of the features, if they had any.
        front_: A row per circuit of the front, with its search estimate and its cross-validated accuracy.
        genome_: Genes of the selected circuit.
        best_estimator_: Pipeline of a scaler and the `HQNNClassifier` of that circuit, trained on all samples.
    """

    def __init__(
        self,
        *,
        population: int = 20,
        generations: int = 8,
        patience: int = 2,
        epochs: int = 100,
        learning_rate: float = 0.005,
        batch_size: int = 32,
        class_weight: Any = None,
        repeats: int = 1,
        flops: str = "profiler",
        gates: str = "all",
        engine: str = "fast",
        space: dict[str, Any] | None = None,
        pick: str = "knee",
        confirm_folds: int = 5,
        storage: str | None = None,
        study: str = "classifier",
        progress: bool | None = False,
        random_state: Any = None,
    ) -> None:
        # scikit-learn's `clone` needs every parameter unchanged, as an attribute of its name; `fit` checks them.
        self.population = population
        self.generations = generations
        self.patience = patience
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.class_weight = class_weight
        self.repeats = repeats
        self.flops = flops
        self.gates = gates
        self.engine = engine
        self.space = space
        self.pick = pick
        self.confirm_folds = confirm_folds
        self.storage = storage
        self.study = study
        self.progress = progress
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Search, cross-validate the front, select a circuit and train it.

        Args:
            X: (samples, features) values, or a data frame.
            y: (samples,) labels.
            sample_weight: (samples,) weights in the loss of every training, as in `HQNNClassifier`. The accuracies by which
                circuits are selected count every sample with a weight above 0 once.

        Raises:
            ParameterError: A parameter is invalid, or a class has fewer samples than there are folds; it is a ValueError.
            ValueError: Scikit-learn refuses the data.
            StudyMismatchError: The stored study has other settings or other samples.
            KeyboardInterrupt: The search was interrupted; with `storage`, the same call continues it.
        """
        config, pick = self._config()
        x, y = self._samples(X, y)
        # Refuses fractions, which would otherwise give a class for each value.
        check_classification_targets(y)
        rows, weights = weighted_rows(sample_weight, x)
        x, y = _rows(x, rows), y[rows]
        self.classes_, indices = np.unique(y, return_inverse=True)
        folds = self._folds(indices, config.seed)
        # The kinds of columns are inferred from all samples, so that they are the same in every fold.
        scaler = StandardScaler() if isinstance(x, np.ndarray) else TabularPreprocessor(kinds=infer_kinds(x))
        with self._storage() as url, using(url):
            # Samples in memory: only this process can read them, so there is one worker.
            splits = self._splits(x, indices, weights, scaler, config)
            request = SearchRequest(name=self.study, config=config, data=DataSource(samples=splits), is_measured=False)
            run = start_search(request, Execution(storage=url), program_hooks(self.progress))
            check_result(run)
            front = _finished_front(search_of(run.study))
            if self.storage is None:
                # Nothing may use the database after its temporary directory is removed.
                disconnect(storage_of(run.study.study))
        # Every circuit of the front on the same folds, so that their errors are paired.
        correct = [
            self._cross_validated(x, y, weights, self._networks(candidate, config.seed, scaler), folds) for candidate in front
        ]
        picked = _picked(front, [1 - float(hits.mean()) for hits in correct], pick)
        self.front_ = _front_frame(front, correct, picked)
        self.genome_ = picked.genome.to_params()
        # The number after those of the folds, so that no fold has the seed of the final training.
        network = self._networks(picked, config.seed, scaler)(self.confirm_folds)
        self.best_estimator_ = network.fit(x, y, **_weights_of(weights))
        return self

    def cost(self, device: str | None = None) -> dict[str, Any]:
        """Return the costs of the selected network; see `HQNNClassifier.cost`."""
        check_is_fitted(self)
        costs: dict[str, Any] = self.best_estimator_[-1].cost(device)
        return costs

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most likely label of each sample, (samples,)."""
        x = self._checked(X)
        labels: NDArray[Any] = self.best_estimator_.predict(x)
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return probabilities (samples, classes), in the order of `classes_`."""
        x = self._checked(X)
        probabilities: NDArray[np.float64] = self.best_estimator_.predict_proba(x)
        return probabilities

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return logarithms of the probabilities (samples, classes), finite even where a probability rounds to 0."""
        x = self._checked(X)
        logarithms: NDArray[np.float64] = self.best_estimator_.predict_log_proba(x)
        return logarithms

    def _samples(self, X: ArrayLike, y: ArrayLike) -> tuple[Any, NDArray[Any]]:
        """Return samples, as an array of numbers or else as a data frame, and their labels."""
        frame = mixed_frame(X)
        if frame is None:
            x, labels = validate_data(self, X, y, dtype=np.float64)
            return x, labels
        labels = validate_data(self, y=y)
        check_consistent_length(frame, labels)
        # Only sets the number and the names of the features, which the check of the labels has removed.
        validate_data(self, frame, skip_check_array=True)
        return frame, labels

    def _checked(self, X: ArrayLike) -> Any:
        check_is_fitted(self)
        if isinstance(self.best_estimator_[0], TabularPreprocessor):
            # It finds columns by name, in any order.
            return X
        checked: NDArray[np.float64] = validate_data(self, X, reset=False, dtype=np.float64)
        return checked

    def _config(self) -> tuple[StudyConfig, SelectionRule]:
        settings = {name: getattr(self, name) for name in SETTINGS} | {"seed": seed_of(self.random_state)}
        settings |= {} if self.space is None else {"space": self.space}
        try:
            resolved = resolve_settings(SAMPLES, settings, source=type(self).__name__)
            return resolved.config, SelectionRule.parse(str(self.pick))
        except ConfigError as error:
            raise ParameterError(str(error)) from error

    def _folds(self, indices: NDArray[np.int64], seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return the indices of the training and the held-out samples of each fold."""
        if self.confirm_folds < 2:
            raise ParameterError(f"confirm_folds must be at least 2; it is {self.confirm_folds}")
        counts = np.bincount(indices)
        labels = self.classes_.tolist()
        if len(counts) < 2:
            raise ParameterError(
                f"a classifier needs samples of at least two classes; these are all of one class, {labels[0]!r}"
            )
        if counts.min() < self.confirm_folds:
            raise ParameterError(
                f"each class needs a sample in each of the confirm_folds={self.confirm_folds} folds; class"
                f" {labels[counts.argmin()]!r} has {counts.min()}; lower confirm_folds or leave the class out"
            )
        # Shuffled, since neighbouring samples are often related.
        folds = StratifiedKFold(self.confirm_folds, shuffle=True, random_state=seed)
        return list(folds.split(indices, indices))

    @contextmanager
    def _storage(self) -> Iterator[str]:
        if self.storage is not None:
            yield self.storage
            return
        with TemporaryDirectory(prefix="faqnas-") as directory:
            yield f"sqlite:///{Path(directory) / 'faqnas.db'}"

    def _cross_validated(
        self,
        x: Any,
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        network: Callable[[int], Pipeline],
        folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    ) -> NDArray[np.bool_]:
        """Return whether each sample (samples,) is classified correctly by the training that did not use it."""
        correct = np.zeros(len(y), np.bool_)
        for number, (rest, held_out) in enumerate(folds):
            fitted = network(number).fit(_rows(x, rest), y[rest], **_weights_of(weights, rest))
            correct[held_out] = fitted.predict(_rows(x, held_out)) == y[held_out]
        return correct

    def _networks(self, candidate: Candidate, seed: int, scaler: Any) -> Callable[[int], Pipeline]:
        """Return a function that makes untrained networks by number, with seeds that no search and no other number has."""
        budget: dict[str, Any] = {name: getattr(self, name) for name in (*BUDGET, "class_weight")}
        genes: dict[str, Any] = candidate.genome.to_params()

        def make(number: int) -> Pipeline:
            # Numbers that differ in any entry give independent seeds, which `seed + number` would not.
            own_seed = int(np.random.SeedSequence([seed, number, CONFIRMATIONS]).generate_state(1)[0])
            # The scaler is part of the network, so each fold fits it without its held-out samples.
            return make_pipeline(clone(scaler), HQNNClassifier(**genes, **budget, random_state=own_seed))

        return make

    def _splits(
        self, x: Any, y: NDArray[np.int64], weights: NDArray[np.float64] | None, scaler: Any, config: StudyConfig
    ) -> DataSplits:
        """Split off a quarter of the samples, or at least one per class, for validation; the folds replace a test part."""
        # At least one sample per class, as a stratified split needs.
        size = max(round(VALIDATION_SHARE * len(y)), len(self.classes_))
        rows = train_test_split(np.arange(len(y)), test_size=size, stratify=y, random_state=config.seed)
        raw, preprocessing, kinds = _preprocessed(x, rows[0], scaler)
        # The test part is empty.
        train, validation, test = (Split(x=preprocessing.apply(raw.rows(part)), y=y[part]) for part in (*rows, rows[0][:0]))
        train = weighted_split(
            train.x,
            train.y,
            classes=self.classes_,
            sample_weight=None if weights is None else weights[rows[0]],
            class_weight=self.class_weight,
        )
        # The samples have no name, so the fingerprint is that of their values. Absent values add nothing to it.
        digest = hashlib.sha256()
        for part in rows:
            digest.update(np.ascontiguousarray(raw.numbers[part]).tobytes() + y[part].tobytes())
            digest.update(json.dumps(raw.texts[part].tolist()).encode() if raw.texts.size else b"")
        if weights is not None or self.class_weight is not None:
            digest.update(train.y.tobytes() + (b"" if train.weights is None else train.weights.tobytes()))
        return DataSplits(
            name=config.dataset,
            train=train,
            validation=validation,
            test=test,
            classes=tuple(self.classes_.tolist()),
            preprocessing=preprocessing,
            schema=Schema(kinds=kinds),
            fingerprint=digest.hexdigest()[:16],
            seed=config.seed,
        )


def _preprocessed(x: Any, train: NDArray[np.int64], scaler: Any) -> tuple[RawFeatures, Preprocessing, dict[str, Kind]]:
    """Return all samples before preprocessing, the preprocessing fitted on the training part, and the kinds of the columns."""
    if isinstance(x, np.ndarray):
        columns = tuple(f"x{number}" for number in range(x.shape[1]))
        kinds = dict.fromkeys(columns, Kind.NUMBER) | {NAMED_LABEL: Kind.LABEL}
        return RawFeatures.of_numbers(x), Preprocessing(numbers=Numbers.fitted(columns, x[train])), kinds
    fitted = clone(scaler).fit(_rows(x, train))
    label = NAMED_LABEL
    # The name of the class column must not be that of a feature.
    while label in fitted.schema_.kinds:
        label = f"{label}_"
    return fitted.table(x), fitted.preprocessing_, {**fitted.schema_.kinds, label: Kind.LABEL}


def _rows(x: Any, rows: NDArray[np.int64]) -> Any:
    """Return some samples of an array or a data frame."""
    return x[rows] if isinstance(x, np.ndarray) else x.iloc[rows]


def _weights_of(weights: NDArray[np.float64] | None, rows: Any = slice(None)) -> dict[str, NDArray[np.float64]]:
    """Return the arguments that give the weights of some samples to the network of a pipeline."""
    return {} if weights is None else {f"{STEP}__sample_weight": weights[rows]}


def _finished_front(search: Search) -> list[Candidate]:
    """Return the front of a search that has ended."""
    if search.metadata.stop() is None:
        raise KeyboardInterrupt(f"the search was interrupted; if storage is set, the same call continues study {search.name}")
    state = read_state(search)
    check_successful(state)
    return state.front


def _picked(front: Sequence[Candidate], errors: Sequence[float], pick: SelectionRule) -> Candidate:
    """Apply a selection rule to the circuits that are non-dominated by the cross-validated errors."""
    # Rules read the validation error, so the cross-validated error takes its place.
    confirmed = [replace(candidate, val_error=error) for candidate, error in zip(front, errors, strict=True)]
    points = np.array([(candidate.cost, candidate.val_error) for candidate in confirmed], np.float64)
    # Cross-validated errors differ from those of the search, so some circuits are dominated now.
    on_front = non_dominated(points)
    try:
        return pick.choose([candidate for candidate, is_on_front in zip(confirmed, on_front, strict=True) if is_on_front])
    except ConfigError as error:
        raise ParameterError(str(error)) from error


def _front_frame(front: Sequence[Candidate], correct: Sequence[NDArray[np.bool_]], picked: Candidate) -> "DataFrame":
    import pandas as pd

    rows = []
    for candidate, hits in zip(front, correct, strict=True):
        confirmed = float(hits.mean())
        low, high = accuracy_interval(confirmed, len(hits))
        rows.append(
            {
                "trial": candidate.trial,
                "quantum_flops": candidate.quantum_flops,
                "search_estimate": candidate.scores.val_accuracy,
                "confirmed": confirmed,
                "confirmed_low": low,
                "confirmed_high": high,
                "picked": candidate.trial == picked.trial,
                "parameters": candidate.costs.parameters,
                "circuit": str(candidate.effective_gates),
                **candidate.genome.to_params(),
            }
        )
    return pd.DataFrame(rows)
