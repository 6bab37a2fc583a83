"""Studies by balanced accuracy, on data where it ranks circuits differently from accuracy."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import SVC

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.config import Engine, Score, SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.baselines import GRID_C, GRID_GAMMA, Baseline, fit_baseline
from faqnas_optuna.confirmation.circuit_table import confirmed_frame
from faqnas_optuna.confirmation.plan import ConfirmationBudget
from faqnas_optuna.dashboard.pages import study_page
from faqnas_optuna.dashboard.watching import StudyWatcher
from faqnas_optuna.data.splits import DataSplits, Split
from faqnas_optuna.models.retraining import retrain_best
from faqnas_optuna.reporting.columns import SCORES, Output, columns
from faqnas_optuna.reporting.documents import trial_document
from faqnas_optuna.reporting.frames import front_frame
from faqnas_optuna.reporting.front_plot import FrontPlot
from faqnas_optuna.reporting.note import study_note
from faqnas_optuna.signals import Signals
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search, create, load
from faqnas_optuna.study.selection import Rule, SelectionRule
from faqnas_optuna.study.state import read_state
from faqnas_optuna.training.evaluation import evaluate, train_once
from faqnas_optuna.training.parameters import Layout
from faqnas_optuna.training.pilot import measure_reliability
from faqnas_optuna.training.training import predict
from faqnas_optuna.workers.loop import run
from tests.conftest import confirm, copy_database, load_confirmation
from tests.support.candidates import description_of, genome_of

Cli = Callable[..., tuple[int, str, str]]
TINY = ("--population", "4", "--generations", "1", "--epochs", "2")


def thinned(part: Split, *, counts: tuple[int, ...]) -> Split:
    """Return the first samples of each class, as many as `counts` says."""
    rows = np.sort(np.concatenate([np.flatnonzero(part.y == label)[:count] for label, count in enumerate(counts)]))
    return Split(x=part.x[rows], y=part.y[rows])


@pytest.fixture(scope="session")
def uneven(iris: DataSplits) -> DataSplits:
    """Return Iris with one common and two rare classes in the validation and test parts."""
    return replace(
        iris,
        train=thinned(iris.train, counts=(30, 12, 12)),
        validation=thinned(iris.validation, counts=(10, 3, 4)),
        test=thinned(iris.test, counts=(10, 2, 5)),
    )


@pytest.fixture(scope="session")
def database(empty_database: Path, uneven: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a database with a study of two trainings per circuit and the confirmation of its front."""
    file = tmp_path_factory.mktemp("score") / "faqnas.db"
    copy_database(empty_database, file)
    url = f"sqlite:///{file}"
    config = StudyConfig(
        dataset="iris",
        score=Score.BALANCED,
        search=SearchConfig(population=8, generations=2),
        training=TrainingConfig(epochs=4, learning_rate=0.02, repeats=2),
    )
    search = create(open_storage(url), "iris", config, uneven)
    run(search, uneven, Signals(), on_trial=lambda _: None)
    confirmation = confirm(search, url, read_state(search).front, ConfirmationBudget(epochs=6, repeats=3))
    run(confirmation, uneven, Signals(), on_trial=lambda _: None)
    return file


@pytest.fixture
def balanced(database: Path, tmp_path: Path, storage_url: str) -> Search:
    copy_database(database, tmp_path / "faqnas.db")
    return load(open_storage(storage_url), "iris")


def predictions_of(circuit: Any, result: Any, splits: DataSplits) -> Any:
    layout = Layout.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    return predict(circuit, layout, result.parameters, splits.validation.x).argmax(axis=1)


@pytest.mark.parametrize("engine", Engine)
def test_a_training_tells_the_score_of_its_network(engine: Engine, uneven: DataSplits) -> None:
    circuit = genome_of(2, "CNOT", "RY").circuit
    training = TrainingConfig(epochs=6, learning_rate=0.03, repeats=2)
    config = StudyConfig(dataset="iris", engine=engine, score=Score.BALANCED, training=training)
    results = [train_once(circuit, uneven, config, repeat=repeat) for repeat in range(2)]
    y = uneven.validation.y
    expected = [balanced_accuracy_score(y, predictions_of(circuit, result, uneven)) for result in results]
    assert [result.validation.balanced for result in results] == pytest.approx(expected)
    evaluation = evaluate(circuit, uneven, config)
    assert evaluation.val_balanced_accuracies == pytest.approx(tuple(expected))
    assert evaluation.scores.val_balanced_accuracy == pytest.approx(fmean(expected)) != evaluation.val_accuracy
    assert evaluation.scores.val_balanced_accuracy_std == pytest.approx(np.std(expected, ddof=1))
    flops = float(evaluation.quantum_flops_profiler)
    assert evaluation.objectives(config) == (flops, 1 - evaluation.scores.mean(Score.BALANCED))
    assert evaluation.objectives(config.model_copy(update={"score": Score.ACCURACY})) == (flops, 1 - evaluation.val_accuracy)


def test_the_search_minimises_what_the_score_leaves(balanced: Search) -> None:
    candidates = [Candidate.of_trial(trial, balanced.config) for trial in balanced.study.get_trials(deepcopy=False)]
    records = [candidate.record for candidate in candidates]
    assert [candidate.val_error for candidate in candidates] == [1 - one.scores.mean(Score.BALANCED) for one in records]
    # The two scores rank some circuits differently, so the score affects the result.
    assert any(
        (a.mean(Score.ACCURACY) - b.mean(Score.ACCURACY)) * (a.mean(Score.BALANCED) - b.mean(Score.BALANCED)) < -1e-6
        for a, b in combinations([one.scores for one in records], 2)
    )
    # One training serves all circuits with the same effective gates.
    reused = [one for one in records if one.reused_from is not None]
    assert reused
    for one in reused:
        assert one.scores == records[one.reused_from or 0].scores
    state = read_state(balanced)
    best = max(one.scores.mean(Score.BALANCED) for one in records)
    assert state.best_score == balanced.progress(state).best_score == best
    assert SelectionRule(rule=Rule.BEST).choose(state.front).scores.val_balanced_accuracy == best
    assert balanced.study.metric_names == ["quantum FLOPs", "validation error (balanced)"]


def test_the_interval_is_that_of_the_score(balanced: Search) -> None:
    front = read_state(balanced).front
    assert any(one.scores.val_balanced_accuracy_std for one in front)
    for one in front:
        if not one.scores.val_balanced_accuracy_std:
            # The spread of equal trainings is unknown.
            assert one.scores.interval(Score.BALANCED, 2) is one.val_error_interval(Score.BALANCED, 2) is None
            continue
        low, high = one.scores.interval(Score.BALANCED, 2) or (0, 0)
        assert 0 <= low <= one.scores.mean(Score.BALANCED) <= high <= 1
        assert one.val_error_interval(Score.BALANCED, 2) == (1 - high, 1 - low)
        expected = stats.t.interval(0.95, 1, loc=one.val_error, scale=one.scores.val_balanced_accuracy_std / 2**0.5)
        assert (1 - high, 1 - low) == pytest.approx(np.clip(expected, 0, 1))


def test_reliability_is_that_of_the_score(uneven: DataSplits) -> None:
    config = StudyConfig(dataset="iris", training=TrainingConfig(epochs=1), space=SpaceConfig(n_qubits=(2,)))
    measured = [measure_reliability(uneven, config.model_copy(update={"score": score}), limit_s=None) for score in Score]
    assert all(measured) and len({one.value for one in measured if one}) == 2


def test_the_grid_is_chosen_by_the_score(uneven: DataSplits) -> None:
    validation = uneven.validation
    accuracies = {}
    for c in GRID_C:
        for multiple in GRID_GAMMA:
            model = SVC(C=c, gamma=multiple / uneven.n_features).fit(uneven.train.x, uneven.train.y)
            accuracies[c, multiple] = balanced_accuracy_score(validation.y, model.predict(validation.x))
    chosen = max(accuracies, key=lambda one: accuracies[one])
    result = fit_baseline(Baseline.SVM_GRID, uneven, score=Score.BALANCED)
    assert result.validation_balanced_accuracy == pytest.approx(accuracies[chosen])
    both = [np.concatenate([getattr(part, name) for part in (uneven.train, validation)]) for name in ("x", "y")]
    model = SVC(C=chosen[0], gamma=chosen[1] / uneven.n_features).fit(*both)
    predicted = model.predict(uneven.test.x)
    assert result.test_score(Score.BALANCED) == pytest.approx(balanced_accuracy_score(uneven.test.y, predicted))
    assert result.test_score(Score.ACCURACY) == result.test_accuracy == pytest.approx((predicted == uneven.test.y).mean())


def by_hand(confusion: list[list[int]]) -> float:
    """Return scikit-learn's balanced accuracy for a confusion matrix."""
    pairs = [(y, predicted) for y, row in enumerate(confusion) for predicted, count in enumerate(row) for _ in range(count)]
    return float(balanced_accuracy_score(*zip(*pairs, strict=True)))


def test_a_confirmation_is_of_the_score(balanced: Search, uneven: DataSplits, storage_url: str) -> None:
    confirmation = load_confirmation(open_storage(storage_url), "iris.confirm")
    document, state = confirmation_document(confirmation), read_state(balanced)
    by_network: dict[str, list[float]] = {}
    for trial in confirmation.study.get_trials(deepcopy=False):
        value = by_hand(trial.user_attrs["confusion"])
        assert trial.values[1] == pytest.approx(1 - value)
        by_network.setdefault(trial.user_attrs["network"], []).append(value)
    assert confirmation.study.metric_names == ["quantum FLOPs", "test error (balanced)"]
    estimate = {one.trial: one.scores.val_balanced_accuracy for one in state.front}
    assert document["score"] == "balanced" and len(document["circuits"]) == len(estimate)
    for entry, row in zip(document["circuits"], confirmed_frame(document).to_dict("records"), strict=True):
        values = entry["test_balanced_accuracies"]
        assert entry["test_balanced_accuracy"] == pytest.approx(fmean(values)) != entry["test_accuracy"]
        # The number of samples of a class is the same in each training, so this is the mean over the classes.
        assert fmean(entry["recalls"]) == pytest.approx(fmean(values))
        assert entry["val_balanced_accuracy"] == estimate[entry["trial"]] == row["search_estimate"]
        assert entry["optimism"] == pytest.approx(row["search_estimate"] - fmean(values))
        for control in entry["controls"]:
            others = by_network[control["network"]]
            assert control["test_balanced_accuracies"] == pytest.approx(others)
            assert control["difference"] == pytest.approx(fmean(values) - fmean(others))
            assert row[control["model"]] == pytest.approx(fmean(others))
    baselines = {one["baseline"]: one["test_balanced_accuracy"] for one in document["baselines"]}
    assert baselines == {name: pytest.approx(by_network[name][0]) for name in baselines}
    # The retrained circuit uses the seed with the best validation score.
    candidate = state.front[0]
    retrained = retrain_best(balanced, candidate, uneven, confirmation)
    validation_scores = [
        trial.user_attrs["validation_balanced_accuracy"]
        for trial in confirmation.study.get_trials(deepcopy=False)
        if trial.user_attrs["network"] == str(effective_circuit(candidate.genome.circuit))
    ]
    assert retrained.confirmed and retrained.reproduced and validation_scores[retrained.seed] == max(validation_scores)
    again = retrain_best(balanced, candidate, uneven, None)
    assert again.reproduced and not again.confirmed


def test_it_is_told_which_score_it_is(balanced: Search, cli_here: Cli) -> None:
    state, view = read_state(balanced), StudyWatcher(balanced.study._storage).study("iris")
    best = state.front[-1]
    assert FrontPlot.of(state, {}).y_label == "validation error (balanced)"
    note = study_note(state)
    assert "validation error (balanced), 1 − the mean recall over the classes" in note["Objectives"]
    # Wilson's interval applies to accuracy only.
    assert "best balanced accuracy on " in note["Reliability"] and "Wilson" not in note["Reliability"]
    page = study_page(view, path="/study/iris")
    assert f"<dt>best balanced accuracy</dt><dd>{state.best_score:.3f}</dd>" in page
    assert '>accuracy</th><th class="number">balanced</th><th class="number">95 % CI</th>' in page
    assert "validation or test error (balanced)" in page
    header, *lines = cli_here("pareto", "iris")[1].splitlines()
    assert header.split()[:5] == ["trial", "accuracy", "balanced", "95", "%"]
    low, high = best.scores.interval(Score.BALANCED, 2) or (0, 0)
    cells = [f"{best.scores.val_accuracy:.3f}", f"{best.scores.val_balanced_accuracy:.3f}", f"{low:.3f}", "to", f"{high:.3f}"]
    assert any(line.split()[:6] == [str(best.trial), *cells] for line in lines)
    assert f" {state.best_score:.3f} (balanced) " in cli_here("status", "iris")[1]
    details = cli_here("show", "iris", "best")[1]
    assert "\nbalanced accuracy " in details and "\nvalidation error (balanced)  " in details
    out = cli_here("confirm", "iris")[1]
    assert out.startswith("trial  balanced test accuracy ") and out.count("balanced test accuracy") == 4
    assert "\nAccuracies are balanced: the mean recall over the classes.\n" in out
    latex = cli_here("pareto", "iris", "--latex", "-")[1]
    assert r"& Accuracy & Balanced & \shortstack" in latex
    assert "recall over the classes with its $t$ interval." in latex


def test_documents_have_both_scores(balanced: Search, cli_here: Cli) -> None:
    document, rows = json.loads(cli_here("pareto", "iris", "--json")[1]), cli_here("pareto", "iris", "--csv", "-")[1]
    frame = front_frame(read_state(balanced)).to_dict("records")
    for entry, row, framed in zip(document["front"], csv.DictReader(io.StringIO(rows)), frame, strict=True):
        scores = Candidate.of_trial(balanced.study.get_trials(deepcopy=False)[entry["trial"]], balanced.config).scores
        for score in Score:
            name, ends = f"val_{score.key}", scores.interval(score, 2) or ()
            values = [scores.mean(score), *ends]
            assert [entry[name], *(entry[f"{name}_interval"] or ())] == values
            for cells in (row, framed):
                texts = [cells[column] for column in (name, f"{name}_low", f"{name}_high")]
                assert [float(value) for value in texts if value != "" and not np.isnan(float(value))] == values
        assert entry["val_error"] == 1 - entry["val_balanced_accuracy"]
    status = json.loads(cli_here("status", "iris", "--json")[1])["studies"][0]
    assert (status["score"], status["best_score"]) == ("balanced", read_state(balanced).best_score)


def test_a_trial_of_before_it_was_kept_lacks_it(search_of_eight: Search, cli_here: Cli) -> None:
    document = trial_document(search_of_eight, 3)
    assert document["val_balanced_accuracy"] is document["val_balanced_accuracy_interval"] is None
    assert re.search(r"^balanced accuracy +–$", cli_here("show", "iris", "3")[1], re.MULTILINE)
    assert next(csv.DictReader(io.StringIO(cli_here("pareto", "iris", "--csv", "-")[1])))["val_balanced_accuracy"] == ""
    assert cli_here("pareto", "iris")[1].splitlines()[0].split()[:3] == ["trial", "accuracy", "quantum"]
    # A stored study without the setting uses the paper's accuracy.
    settings = {name: value for name, value in search_of_eight.config.model_dump(mode="json").items() if name != "score"}
    assert StudyConfig.from_settings(settings, source="stored") == search_of_eight.config


@pytest.mark.parametrize(
    ("dataset", "score", "repeats", "headings"),
    [
        ("iris", Score.ACCURACY, 1, ["accuracy"]),
        ("iris", Score.ACCURACY, 2, ["accuracy", "95 % CI"]),
        ("iris", Score.BALANCED, 1, ["accuracy", "balanced"]),
        ("iris", Score.BALANCED, 2, ["accuracy", "balanced", "95 % CI"]),
        ("own.csv", Score.ACCURACY, 1, ["accuracy", "balanced"]),
        ("own.npz", Score.ACCURACY, 2, ["accuracy", "95 % CI", "balanced"]),
    ],
)
def test_the_interval_stands_behind_the_score(dataset: str, score: Score, repeats: int, headings: list[str]) -> None:
    config = StudyConfig(dataset=dataset, score=score, training=TrainingConfig(repeats=repeats))
    study = description_of(config)
    assert [column.heading_in(study) for column in columns(Output.TABLE, study, (SCORES,))] == headings


def test_a_search_by_it_from_the_command_line(cli_here: Cli) -> None:
    code, out, err = cli_here("start", "iris", "--score", "balanced", *TINY)
    assert code == 0 and out.splitlines()[0].split()[:3] == ["trial", "accuracy", "balanced"]
    assert "best balanced accuracy " in err
    # The score is a setting of the study, which cannot continue with another one.
    message = "study 'iris' exists with other settings: score: stored balanced, requested accuracy; use the stored ones"
    for others in ((), ("--score", "accuracy")):
        code, out, err = cli_here("start", "iris", *others, *TINY)
        assert (code, out) == (3, "") and message in err
    assert cli_here("start", "iris", "--score", "balanced", *TINY)[0] == 0
    assert cli_here("start", "iris", "--score", "fair", *TINY)[0] == 2
