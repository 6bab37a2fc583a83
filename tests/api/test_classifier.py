import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from faqnas_optuna import FAQNASClassifier, HQNNClassifier, Study, TabularPreprocessor
from faqnas_optuna.api import classifier
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import DataError, FaqnasError, ParameterError, StudyMismatchError
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.workers import loop
from tests.support.estimators import NOT_EXACT, mixed

TINY: dict[str, Any] = {"population": 2, "generations": 1, "confirm_folds": 2, "random_state": 0}
SPACE = {"n_qubits": [3], "embedding": ["angle"], "entangler": ["CNOT"]}
SMALL: dict[str, Any] = {"population": 4, "generations": 2, "epochs": 30, "learning_rate": 0.02, "random_state": 0}


@pytest.fixture(scope="module")
def data(iris: DataSplits) -> tuple[Any, Any]:
    """Return Iris as a data frame in arbitrary units, with class names as labels."""
    x = pd.DataFrame(iris.train.x * 3 + 10, columns=["a", "b", "c", "d"])
    return x, np.array(["setosa", "versicolor", "virginica"])[iris.train.y]


@pytest.fixture(scope="module")
def fitted(data: tuple[Any, Any]) -> FAQNASClassifier:
    return FAQNASClassifier(**SMALL).fit(*data)


@pytest.mark.slow
# Restricted to circuits that learn within a few epochs: the checks are about the classifier, not about the search.
@parametrize_with_checks(
    [FAQNASClassifier(**TINY, epochs=40, learning_rate=0.02, space=SPACE)], expected_failed_checks=lambda _: NOT_EXACT
)  # type: ignore[untyped-decorator, unused-ignore]
def test_it_is_a_classifier_as_scikit_learn_has_them(estimator: FAQNASClassifier, check: Callable[..., None]) -> None:
    check(estimator)


def test_it_finds_a_circuit_and_tells_what_it_is_worth(fitted: FAQNASClassifier, data: tuple[Any, Any]) -> None:
    x, y = data
    assert list(fitted.feature_names_in_) == list(x.columns) and list(fitted.classes_) == sorted(set(y))
    front = fitted.front_
    assert front["quantum_flops"].is_monotonic_increasing and front["picked"].sum() == 1
    assert ((front["confirmed_low"] < front["confirmed"]) & (front["confirmed"] < front["confirmed_high"])).all()
    (picked,) = front[front["picked"]].to_dict("records")
    assert {gene: picked[gene] for gene in fitted.genome_} == fitted.genome_
    network = fitted.best_estimator_[-1]
    assert isinstance(network, HQNNClassifier) and network.circuit_ == Genome.from_params(fitted.genome_).circuit
    assert set(fitted.predict(x)) <= set(y) and fitted.score(x, y) > 0.8
    assert np.allclose(fitted.predict_proba(x).sum(axis=1), 1)
    assert np.allclose(fitted.predict_log_proba(x), np.log(fitted.predict_proba(x)))


def test_what_the_folds_say_is_what_trainings_that_have_not_seen_them_say(
    fitted: FAQNASClassifier, data: tuple[Any, Any]
) -> None:
    x, y = data[0].to_numpy(), data[1]
    entry = fitted.front_.iloc[-1]
    correct = []
    for number, (rest, held_out) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y)):
        seed = int(np.random.SeedSequence([0, number, classifier.CONFIRMATIONS]).generate_state(1)[0])
        genes = {gene: entry[gene] for gene in fitted.genome_}
        network = HQNNClassifier(**genes, epochs=30, learning_rate=0.02, random_state=seed)
        by_hand = make_pipeline(StandardScaler(), network).fit(x[rest], y[rest])
        correct.append(by_hand.predict(x[held_out]) == y[held_out])
    assert entry["confirmed"] == pytest.approx(np.concatenate(correct).mean())


def test_the_pick_is_by_what_was_confirmed(search_of_eight: Any) -> None:
    from faqnas_optuna.study.state import read_state

    front = read_state(search_of_eight).front
    assert len(front) > 2
    # If the confirmation ranks the cheapest circuit first, every rule picks it, regardless of the search estimates.
    errors = [0.1, *(0.2 for _ in front[1:])]
    for rule in ("knee", "best", "cheapest-within:0.5"):
        assert classifier._picked(front, errors, SelectionRule.parse(rule)).trial == front[0].trial
    errors = [0.5, *(0.4 for _ in front[2:]), 0.1]
    assert classifier._picked(front, errors, SelectionRule.parse("best")).trial == front[-1].trial
    # As for any other wrong parameter, scikit-learn's tools must get a ValueError.
    with pytest.raises(ParameterError, match="at-least:0.95: the most accurate circuit of the front, trial"):
        classifier._picked(front, errors, SelectionRule.parse("at-least:0.95"))


def test_its_seed_decides(fitted: FAQNASClassifier, data: tuple[Any, Any]) -> None:
    again = clone(fitted).fit(*data)
    assert again.front_.equals(fitted.front_)
    assert np.array_equal(again.predict_proba(data[0]), fitted.predict_proba(data[0]))
    other = clone(fitted).set_params(random_state=1).fit(*data)
    assert not np.array_equal(other.predict_proba(data[0]), fitted.predict_proba(data[0]))


def test_it_leaves_nothing_behind(data: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    FAQNASClassifier(**TINY, epochs=1).fit(*data)
    assert list(tmp_path.iterdir()) == []


def test_its_search_can_be_kept_and_is_not_taken_for_that_of_other_samples(data: tuple[Any, Any], storage_url: str) -> None:
    x, y = data
    keeping = FAQNASClassifier(**TINY, epochs=1, storage=storage_url, study="kept").fit(x, y)
    study = Study.load("kept", storage=storage_url)
    assert list(study.front["trial"]) == list(keeping.front_["trial"])
    assert clone(keeping).fit(x, y).front_.equals(keeping.front_)
    with pytest.raises(StudyMismatchError, match="study 'kept' was made with other data"):
        clone(keeping).fit(x * 2, y)
    with pytest.raises(StudyMismatchError, match="training.epochs: stored 1, requested 2"):
        clone(keeping).set_params(epochs=2).fit(x, y)


def test_an_interrupted_search_is_no_classifier(
    data: tuple[Any, Any], storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "run", lambda *_, **__: None)
    stopping = FAQNASClassifier(**TINY, storage=storage_url)
    with pytest.raises(
        KeyboardInterrupt, match="the search was interrupted; if storage is set, the same call continues study classifier"
    ):
        stopping.fit(*data)
    monkeypatch.undo()
    assert stopping.fit(*data).front_.shape[0] > 0


def test_it_pickles_and_works_in_pipeline_and_cross_validation(fitted: FAQNASClassifier, data: tuple[Any, Any]) -> None:
    x, y = data
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(x), fitted.predict_proba(x))
    pipeline = make_pipeline(MinMaxScaler(), FAQNASClassifier(**TINY, epochs=40, learning_rate=0.02, space=SPACE))
    assert cross_val_score(pipeline, x, y, cv=2, error_score="raise").min() > 0.6


WRONG = [
    ({"population": 1}, r"FAQNASClassifier: search.population: .*\(it is 1\)"),
    ({"pick": "knees"}, "a rule is knee, best, .*; it is 'knees'"),
    ({"confirm_folds": 1}, "confirm_folds must be at least 2; it is 1"),
    ({"confirm_folds": 40}, "each class needs a sample in each of the confirm_folds=40 folds; class 'setosa' has 30; lower"),
    ({"space": {"depth": [9]}}, "FAQNASClassifier: space.depth: 9 must be one of 1, 2, 3, 4"),
    ({"random_state": 2**32}, "random_state must be an integer from 0 to 4294967295; it is 4294967296"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[str(settings) for settings, _ in WRONG])
def test_wrong_parameters_are_refused_when_it_is_fitted(data: tuple[Any, Any], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        FAQNASClassifier(**settings).fit(*data)
    assert isinstance(error.value, FaqnasError)


def test_one_class_is_refused(data: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="a classifier needs samples of at least two classes; these are all of one class, 'a'"):
        FAQNASClassifier().fit(data[0], ["a"] * len(data[0]))


def test_what_is_not_fitted_does_not_predict(data: tuple[Any, Any]) -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        FAQNASClassifier().predict(data[0])


def test_its_weights_are_those_of_every_training(data: tuple[Any, Any], storage_url: str) -> None:
    x, y = data
    weights = np.random.default_rng(0).choice([0.0, 0.5, 4.0], len(y))
    weighing = FAQNASClassifier(**SMALL, class_weight={"setosa": 3}, storage=storage_url, study="weighed")
    weighing.fit(x, y, weights)
    rows = weights > 0
    kept, labels, shares = x.to_numpy()[rows], y[rows], weights[rows]
    entry = weighing.front_.iloc[-1]
    genes = {gene: entry[gene] for gene in weighing.genome_}
    budget: dict[str, Any] = {"epochs": 30, "learning_rate": 0.02, "class_weight": {"setosa": 3}}
    correct = []
    for number, (rest, held_out) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(kept, labels)):
        seed = int(np.random.SeedSequence([0, number, classifier.CONFIRMATIONS]).generate_state(1)[0])
        network = make_pipeline(StandardScaler(), HQNNClassifier(**genes, **budget, random_state=seed))
        network.fit(kept[rest], labels[rest], hqnnclassifier__sample_weight=shares[rest])
        correct.append(network.predict(kept[held_out]) == labels[held_out])
    assert entry["confirmed"] == pytest.approx(np.concatenate(correct).mean())
    # The search has trained with the weights, so its study is not that of other weights.
    again = clone(weighing)
    assert again.fit(x, y, weights * 2).front_.equals(weighing.front_)
    for other in (None, weights[::-1]):
        with pytest.raises(StudyMismatchError, match="study 'weighed' was made with other data"):
            again.fit(x, y, other)
    with pytest.raises(StudyMismatchError, match="study 'weighed' was made with other data"):
        again.set_params(class_weight=None).fit(x, y, weights)


def test_equal_weights_change_nothing(fitted: FAQNASClassifier, data: tuple[Any, Any]) -> None:
    again = clone(fitted).set_params(class_weight="balanced").fit(*data, np.full(len(data[1]), 2))
    assert np.array_equal(again.best_estimator_[-1].parameters_, fitted.best_estimator_[-1].parameters_)
    assert fitted.score(*data, np.ones(len(data[1]))) == fitted.score(*data)


def test_its_cost_is_that_of_the_selected_network(fitted: FAQNASClassifier) -> None:
    (picked,) = fitted.front_[fitted.front_["picked"]].to_dict("records")
    cost = fitted.cost("heron-r3")
    assert (cost["quantum_flops_profiler"], cost["parameters"]) == (picked["quantum_flops"], picked["parameters"])
    assert 0 < cost["esp"] < 1
    with pytest.raises(NotFittedError, match="not fitted yet"):
        FAQNASClassifier().cost()


def test_it_learns_from_frames_with_columns_of_any_kind(storage_url: str) -> None:
    frame, y = mixed()
    searching = FAQNASClassifier(**TINY, epochs=40, learning_rate=0.02, space=SPACE, storage=storage_url, study="mixed")
    searching.fit(frame, y)
    assert searching.score(frame, y) > 0.7 and list(searching.feature_names_in_) == list(frame)
    assert isinstance(searching.best_estimator_[0], TabularPreprocessor)
    probabilities = searching.predict_proba(frame)
    assert np.array_equal(searching.predict_proba(frame[list(frame)[::-1]]), probabilities)
    polars = clone(searching).fit(pl.from_pandas(frame), pl.Series(y))
    assert np.array_equal(polars.predict_proba(pl.from_pandas(frame)), probabilities)
    assert searching.cost()["classical_flops"] > 0
    with pytest.raises(StudyMismatchError, match="study 'mixed' was made with other data"):
        clone(searching).fit(frame.assign(ward=frame["ward"].to_numpy()[::-1]), y)
    with pytest.raises(DataError, match="column 'ward' missing"):
        searching.predict(frame.drop(columns="ward"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(searching).fit(frame, y[1:])
