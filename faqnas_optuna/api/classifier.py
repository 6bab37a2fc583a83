"""A classifier of scikit-learn that finds its circuit itself: it searches, confirms on held-out folds, picks and trains."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.notebook import check_result, program_hooks, using
from faqnas_optuna.api.running import Execution
from faqnas_optuna.api.search_service import SearchRequest, start_search
from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.config import SAMPLES, StudyConfig
from faqnas_optuna.confirmation.opening import search_of
from faqnas_optuna.data.preprocessing import Numbers, Preprocessing, RawFeatures
from faqnas_optuna.data.schema import Schema
from faqnas_optuna.data.splits import NAMED_LABEL, DataSplits, Split
from faqnas_optuna.errors import ConfigError, ParameterError
from faqnas_optuna.models.estimator import HQNNClassifier, seed_of
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
"""What the search, the folds and the last training share."""
SETTINGS = (*BUDGET, "population", "generations", "patience", "repeats", "flops", "gates")
VALIDATION_SHARE = 0.25
CONFIRMATIONS = 3
"""Sets the seeds of the folds, and of the last training, apart from those of the search."""


class FAQNASClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The circuit that a search over the samples finds, chosen by what held-out folds say of its front.

    A quarter of the samples validates the search; then each circuit of its front is trained on all folds but one, from new
    seeds, and judged on that one, fold by fold; a rule picks by these errors, and the picked one is trained on all samples.
    Features are standardised within, each time by the samples that are trained on.

    Args:
        population, generations, patience: of NSGA-II.
        epochs, learning_rate, batch_size: of each training, in the search, on the folds and on all samples.
        repeats: trainings of a circuit in the search.
        flops, gates: which quantum FLOPs count.
        engine: what simulates circuits in training.
        space: genes with the values that each may have; None for all.
        pick: the rule: `knee`, `best`, or `cheapest-within:X`.
        confirm_folds: so many folds.
        storage: URL of a database that keeps the search; None for one that is removed at the end.
        study: the name of the search there.
        progress: show a bar of the search; None for where it moves.
        random_state: of everything.

    Attributes:
        classes_: (classes,) labels, sorted.
        n_features_in_, feature_names_in_: what it was fitted on; the names if that had any.
        front_: a row a circuit of the front, with what the search believed of its accuracy and what the folds have shown.
        genome_: the genes of the picked circuit.
        best_estimator_: a scaler and the `HQNNClassifier` of that, trained on all samples.
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
        self.population = population
        self.generations = generations
        self.patience = patience
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
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

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Search, confirm, pick and train on samples `X` (samples, features) with the labels `y` (samples,).

        Raises:
            ParameterError: a parameter is wrong, or a class has fewer samples than there are folds; it is a ValueError.
            ValueError: scikit-learn refuses the data.
            StudyMismatchError: a kept study has other settings or other samples.
            KeyboardInterrupt: the search was interrupted; one that is kept goes on by the same call.
        """
        config, pick = self._config()
        x, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        folds = self._folds(indices, config.seed)
        with self._storage() as url, using(url):
            splits = _splits(x, indices, tuple(self.classes_.tolist()), config)
            request = SearchRequest(name=self.study, config=config, data=DataSource(samples=splits), is_measured=False)
            run = start_search(request, Execution(storage=url), program_hooks(self.progress))
            check_result(run)
            front = _finished_front(search_of(run.study))
            if self.storage is None:
                disconnect(storage_of(run.study.study))
        told = [self._told(x, indices, candidate, folds, config.seed) for candidate in front]
        picked = _picked(front, [1 - float(right.mean()) for right in told], pick)
        self.front_ = _front_frame(front, told, picked)
        self.genome_ = picked.genome.to_params()
        self.best_estimator_ = self._network(picked, config.seed, self.confirm_folds).fit(x, y)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most likely label of each sample, (samples,)."""
        x = self._checked(X)
        labels: NDArray[Any] = self.best_estimator_.predict(x)
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (samples, classes), in the order of `classes_`."""
        x = self._checked(X)
        probabilities: NDArray[np.float64] = self.best_estimator_.predict_proba(x)
        return probabilities

    def _checked(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
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
        """Who is trained on and who is judged, fold by fold."""
        if self.confirm_folds < 2:
            raise ParameterError(f"confirm_folds must be 2 or more; it is {self.confirm_folds}")
        counts, labels = np.bincount(indices), self.classes_.tolist()
        if len(counts) < 2:
            raise ParameterError(f"a classifier needs samples of two classes or more; here is one class, {labels[0]!r}")
        if counts.min() < self.confirm_folds:
            raise ParameterError(
                f"each class needs a sample in each of confirm_folds={self.confirm_folds} folds; class"
                f" {labels[counts.argmin()]!r} has {counts.min()}: lower confirm_folds, or leave out the class"
            )
        folds = StratifiedKFold(self.confirm_folds, shuffle=True, random_state=seed)
        return list(folds.split(indices, indices))

    @contextmanager
    def _storage(self) -> Iterator[str]:
        if self.storage is not None:
            yield self.storage
            return
        with TemporaryDirectory(prefix="faqnas-") as directory:
            yield f"sqlite:///{Path(directory) / 'faqnas.db'}"

    def _told(
        self,
        x: NDArray[np.float64],
        indices: NDArray[np.int64],
        candidate: Candidate,
        folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
        seed: int,
    ) -> NDArray[np.bool_]:
        """Which samples (samples,) are told right by trainings that have not seen them."""
        right = np.zeros(len(indices), np.bool_)
        for number, (rest, held_out) in enumerate(folds):
            network = self._network(candidate, seed, number).fit(x[rest], indices[rest])
            right[held_out] = network.predict(x[held_out]) == indices[held_out]
        return right

    def _network(self, candidate: Candidate, seed: int, number: int) -> Pipeline:
        """A network to be trained, from a seed that neither the search nor another number has."""
        own_seed = int(np.random.SeedSequence([seed, number, CONFIRMATIONS]).generate_state(1)[0])
        budget: dict[str, Any] = {name: getattr(self, name) for name in BUDGET}
        genes: dict[str, Any] = candidate.genome.to_params()
        network = HQNNClassifier(**genes, **budget, random_state=own_seed)
        return make_pipeline(StandardScaler(), network)


def _splits(x: NDArray[np.float64], y: NDArray[np.int64], classes: tuple[Any, ...], config: StudyConfig) -> DataSplits:
    """A quarter to validate, or as many samples as there are classes, and none to test: that is what the folds are for."""
    size = max(round(VALIDATION_SHARE * len(y)), len(classes))
    rows = train_test_split(np.arange(len(y)), test_size=size, stratify=y, random_state=config.seed)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(values).tobytes() for part in rows for values in (x[part], y[part])))
    columns = tuple(f"x{number}" for number in range(x.shape[1]))
    preprocessing = Preprocessing(numbers=Numbers.fitted(columns, x[rows[0]]))
    train, validation, test = (
        Split(x=preprocessing.apply(RawFeatures.of_numbers(x[part])), y=y[part]) for part in (*rows, rows[0][:0])
    )
    return DataSplits(
        name=config.dataset,
        train=train,
        validation=validation,
        test=test,
        classes=classes,
        preprocessing=preprocessing,
        schema=Schema.of_numbers(columns, label=NAMED_LABEL),
        fingerprint=digest.hexdigest()[:16],
        seed=config.seed,
    )


def _finished_front(search: Search) -> list[Candidate]:
    """The front of a search that has come to its end."""
    if search.metadata.stop() is None:
        raise KeyboardInterrupt(f"the search was interrupted; study {search.name} goes on by the same call if it is kept")
    state = read_state(search)
    check_successful(state)
    return state.front


def _picked(front: Sequence[Candidate], errors: Sequence[float], pick: SelectionRule) -> Candidate:
    """What a rule takes if the errors are those that the folds have shown: by them not all need be on the front."""
    confirmed = [replace(one, val_error=error) for one, error in zip(front, errors, strict=True)]
    points = np.array([(one.cost, one.val_error) for one in confirmed], np.float64)
    return pick.choose([one for one, kept in zip(confirmed, non_dominated(points), strict=True) if kept])


def _front_frame(front: Sequence[Candidate], told: Sequence[NDArray[np.bool_]], picked: Candidate) -> "DataFrame":
    import pandas as pd

    rows = []
    for candidate, right in zip(front, told, strict=True):
        confirmed = float(right.mean())
        low, high = accuracy_interval(confirmed, len(right))
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
