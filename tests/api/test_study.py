import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.datasets import load_iris
from sqlalchemy.engine import make_url

import faqnas_optuna
from faqnas_optuna import Study, load_model, search
from faqnas_optuna.api import data, notebook
from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import GENES
from faqnas_optuna.config import CountedGates, StudyConfig
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import (
    ConfigError,
    DataError,
    NoSuccessfulTrialError,
    OutputError,
    StorageError,
    StudyMismatchError,
    StudyNotFoundError,
)
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study import study as studies
from faqnas_optuna.study.search import Search
from faqnas_optuna.training import pilot
from faqnas_optuna.training.evaluation import Evaluation
from faqnas_optuna.workers import loop
from faqnas_optuna.workers.loop import run
from tests.conftest import TIMEOUT_S
from tests.support.frames import mixed

SMALL: dict[str, Any] = {"population": 4, "generations": 2, "epochs": 2}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Run a search over Iris to its end and return the study."""
    return search("iris", storage=f"sqlite:///{tmp_path_factory.mktemp('found')}/faqnas.db", **SMALL)


@pytest.fixture
def confirmed_study(confirmed: Confirmation, storage_url: str) -> Study:
    """Return a study of eight trials that has a confirmation."""
    return Study.load("iris", storage=storage_url)


@pytest.mark.slow
def test_a_study_can_be_pickled(found: Study, tmp_path: Path) -> None:
    """Unpickle the study in another process with another working directory."""
    file = tmp_path / "study.pickle"
    file.write_bytes(pickle.dumps(found))
    program = "import pickle; study = pickle.load(open('study.pickle', 'rb')); print(repr(study)); print(study.front.to_json())"
    run_python = [sys.executable, "-c", program]
    process = subprocess.run(run_python, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    assert process.stdout.splitlines() == [repr(found), found.front.to_json()]


def test_a_study_of_samples_is_pickled_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = load_iris(return_X_y=True)
    study = search(x, y, storage="sqlite:///here.db", check=False, **SMALL)
    (tmp_path / "elsewhere").mkdir()
    pickled = pickle.dumps(study)
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = pickle.loads(pickled)
    assert again.front.equals(study.front)
    # An export trains on the samples, so this fails if the pickle lacks them.
    assert (again.export("model").predict(x) == study.export("other").predict(x)).all()


def test_a_pickled_study_that_was_made_anew_is_not_taken_for_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/faqnas.db"
    pickled = pickle.dumps(search("iris", storage=url, **SMALL))
    optuna.delete_study(study_name="iris", storage=open_storage(url))
    with pytest.raises(StudyNotFoundError, match="there is no study 'iris'"):
        pickle.loads(pickled)
    search("iris", storage=url, **SMALL)
    with pytest.raises(StudyNotFoundError, match="was deleted after it was pickled, and another has its name"):
        pickle.loads(pickled)


@pytest.mark.slow
def test_no_password_is_shown_by_a_study(postgres_url: str) -> None:
    study = search("iris", storage=postgres_url, **SMALL)
    again = pickle.loads(pickle.dumps(study))
    assert again.name == "iris"
    password = make_url(postgres_url).password
    assert password and not any(password in text for text in (repr(again), str(again), f"{again}"))


def test_a_search_finds_what_the_command_finds(found: Study, cli_here: Any) -> None:
    options = [text for name, value in SMALL.items() for text in (f"--{name}", str(value))]
    assert cli_here("start", "iris", *options)[0] == 0
    by_command = Study.load("iris")
    assert found.front.equals(by_command.front) and found.trials.equals(by_command.trials)
    assert found.config == by_command.config
    assert repr(found) == repr(by_command) == "<Study 'iris' over iris: 8 trials, finished>"
    # The pilot measures the same reliability as the command does.
    assert found.reliability == by_command.reliability != None  # noqa: E711


def test_its_front_and_trials_are_frames(found: Study) -> None:
    front, trials = found.front, found.trials
    genes = list(GENES)
    scores = [f"{name}{end}" for name in ("val_accuracy", "val_balanced_accuracy") for end in ("", "_low", "_high")]
    costs = ["quantum_flops", "quantum_flops_analytic", "classical_flops", "parameters", "effective_parameters"]
    assert {"trial", *costs, *scores, "val_error", "circuit", *genes} <= {*front.columns}
    assert list(trials.columns) == [*front.columns, "on_front"]
    # Along the front both cost and accuracy increase.
    assert front["quantum_flops"].is_monotonic_increasing and front["val_accuracy"].is_monotonic_increasing
    assert set(trials.loc[trials["on_front"], "trial"]) == set(front["trial"])
    for row in trials.to_dict("records"):
        stored = found.optuna.trials[row["trial"]]
        assert stored.values == [row["quantum_flops"], pytest.approx(1 - row["val_accuracy"])]
        assert {gene: row[gene] for gene in genes} == stored.params


def test_with_repeats_the_front_has_intervals(storage_url: str) -> None:
    front = search("iris", storage=storage_url, repeats=3, **SMALL).front
    assert (front["val_accuracy_low"] <= front["val_accuracy"]).all()
    assert (front["val_accuracy"] <= front["val_accuracy_high"]).all()


def test_a_rule_picks_a_circuit_of_the_front(found: Study) -> None:
    best = found.pick("best")
    assert best.val_error == pytest.approx(1 - found.front["val_accuracy"].max())
    assert found.pick().trial in set(found.front["trial"])
    assert found.pick("cheapest-within:1").quantum_flops == found.front["quantum_flops"].min()
    with pytest.raises(ConfigError, match="a rule is knee, best, .*; it is 'knees'"):
        found.pick("knees")


def test_a_finished_search_is_read_without_its_data(found: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_data(*_: object, **__: object) -> DataSplits:
        raise AssertionError("a finished search must not load its data")

    monkeypatch.setattr(data, "load_splits", no_data)
    monkeypatch.setattr(studies, "load_data", no_data)
    again = search("iris", storage=found._url, **SMALL)
    assert again.front.equals(found.front)


def test_another_study_of_the_name_is_refused(found: Study) -> None:
    with pytest.raises(StudyMismatchError, match="training.epochs: stored 2, requested 3"):
        search("iris", storage=found._url, **SMALL | {"epochs": 3})
    other = search("iris", study="longer", storage=found._url, **SMALL | {"epochs": 3})
    assert other.name == "longer" and other.config.training.epochs == 3


def test_a_study_that_was_stopped_goes_on(search_of_eight: Search, storage_url: str) -> None:
    from faqnas_optuna.study.lifecycle import stop
    from faqnas_optuna.study.stopping import StopReason

    stop(search_of_eight, StopReason.REQUESTED)
    settings = search_of_eight.config
    limits = {name: getattr(settings.search, name) for name in ("population", "generations", "patience")}
    again = search(
        "iris", storage=storage_url, epochs=settings.training.epochs, batch_size=settings.training.batch_size, **limits
    )
    stopped = search_of_eight.metadata.stop()
    assert stopped is not None and stopped.reason is not StopReason.REQUESTED
    assert len(again.optuna.trials) >= 8


def test_samples_are_searched_over_and_confirmed_as_a_data_set_is(storage_url: str, found: Study) -> None:
    x, y = load_iris(return_X_y=True, as_frame=True)
    study = search(x, y.map({0: "a", 1: "b", 2: "c"}), storage=storage_url, check=False, **SMALL)
    # The names of classes and columns do not affect the split or the results.
    assert study.name == "samples" and study.front.equals(found.front)
    assert search(x.to_numpy(), y.to_numpy(), study="arrays", storage=storage_url, check=False, **SMALL).front.equals(
        found.front
    )
    assert len(study.confirm(top=1, epochs=1, repeats=2)) == 1
    with pytest.raises(StudyMismatchError, match="study 'samples' was made with other data"):
        search(x * 2, y, storage=storage_url, **SMALL)
    with pytest.raises(DataError, match="the samples are in the memory of a Python program; continue the search there"):
        Study.load("samples", storage=storage_url).confirm(repeats=3)


X, Y = np.ones((30, 2)), np.repeat(["a", "b", "c"], 10)
SILLY: list[tuple[Any, Any, type[Exception], str]] = [
    ("iris", Y, ConfigError, r"y belongs to samples, as in search\(x, y\); for a file, target names the column of the classes"),
    (
        X,
        None,
        ConfigError,
        r"give the classes either as y, search\(x, y\), or by their column, search\(",
    ),
    (X, Y[:-1], DataError, "x has 30 samples but y 29 classes; give one class per sample"),
    (
        X * np.nan,
        Y,
        DataError,
        "column '0' holds no value; column '1' holds no value; columns are left out with --drop 0 --drop 1",
    ),
    (X * np.inf, Y, DataError, "column '0' holds an infinite number in row 1; write a finite one"),
    (X[:, 0], Y, DataError, r"samples must be an array \(samples, features\), or a data frame; they are of the shape \(30,\)"),
    (None, Y, DataError, "or a data frame; they are a NoneType"),
    (X[:, :0], Y, DataError, r"or a data frame; they are of the shape \(30, 0\)"),
    (X, X, DataError, r"y must be an array \(samples,\) of classes; it is of the shape \(30, 2\)"),
    (X * 1j, Y, DataError, "column '0' holds complex numbers"),
    (X, X[:, 0] * np.pi, DataError, "the target 'y' holds 3.141592653589793, and classes are texts or whole numbers"),
    (X, np.repeat("a", 30), DataError, "the target 'y' has one class, 'a', in all 30 rows"),
    (X, np.repeat(["a", "b"], [27, 3]), DataError, "each class needs at least 5 samples; .* 'b' has 3"),
]


@pytest.mark.parametrize(("x", "y", "error", "message"), SILLY, ids=[message for *_, message in SILLY])
def test_samples_that_cannot_be_searched_over_are_refused(
    x: Any, y: Any, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message) as refusal:
        search(x, y, **SMALL)
    assert len(str(refusal.value).splitlines()) == 1 and list(tmp_path.iterdir()) == []


def test_a_file_is_searched_over_as_by_the_command(
    tmp_path: Path, storage_url: str, cli_here: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = mixed()
    frame.to_csv(tmp_path / "my wine.csv", index=False)
    study = search(tmp_path / "my wine.csv", target="cultivar", drop=["ash"], storage=storage_url, **SMALL)
    assert study.name == "my-wine" and study.config.data.drop == ("ash",)
    code, out, err = cli_here("show", "my-wine", "--storage", storage_url, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["files"]["data"] == str(tmp_path / "my wine.csv")
    assert document["columns"]["colour"] == "category, one-hot of 2 values; 26 missing: 'light'"
    # The stored path is absolute, so another working directory must not matter.
    monkeypatch.chdir("/")
    confirmed = Study.load("my-wine", storage=storage_url).confirm(top=1, epochs=3, repeats=1)
    correct = study.export(tmp_path / "model", trial=int(confirmed["trial"][0])).predict(frame) == frame["cultivar"]
    model = json.loads((tmp_path / "model" / "model.json").read_text())
    assert model["training"] == {"of": "confirmation", "seed": 0, "epochs": 3, "as_stored": True}
    assert correct.sum() == sum(part["right"] for part in model["accuracies"].values())
    assert model["accuracies"]["test"]["accuracy"] == confirmed["test_accuracy"][0]
    # A data frame in memory gives the same results as the file.
    samples = search(frame, target="cultivar", drop=["ash"], storage=storage_url, **SMALL)
    assert samples.front.equals(study.front) and "cultivar" in frame
    with pytest.raises(DataError, match="samples: --target 'cultivr' is not a column of the data: did you mean 'cultivar'"):
        search(frame, target="cultivr", storage=storage_url, **SMALL)
    with pytest.raises(DataError, match="cannot find absent.csv in .; name its directory with --data-dir"):
        search("absent.csv", target="cultivar", storage=storage_url, **SMALL)
    with pytest.raises(ConfigError, match="data.test_file applies to data files; 'samples' is not a file"):
        search(frame, target="cultivar", test_file="x.csv", storage=storage_url, **SMALL)


def test_a_circuit_is_exported_and_loaded(found: Study, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = found.export(folder, pick="knee")
    document = json.loads((folder / "model.json").read_text())
    picked = found.pick("knee")
    assert document["trial"] == picked.trial and document["genome"] == picked.genome.to_params()
    assert document["training"] == {"of": "search", "seed": 0, "epochs": 2, "as_stored": True}
    x = load_iris(as_frame=True).data
    assert np.array_equal(load_model(folder).predict(x), model.predict(x))
    with pytest.raises(OutputError, match="model exists already; choose another folder with --out, or add --replace"):
        found.export(folder)
    other = found.export(str(folder), trial=found.pick("best").trial, qasm=2, replace=True)
    assert other.circuit == effective_circuit(found.pick("best").genome.circuit)
    assert (folder / "circuit.qasm").read_text().startswith("OPENQASM 2.0")
    with pytest.raises(ConfigError, match="pick and trial each select a circuit; leave one of them out"):
        found.export(tmp_path / "other", pick="best", trial=1)
    with pytest.raises(ConfigError, match="qasm must be 2 or 3; it is 4"):
        found.export(tmp_path / "other", qasm=4)
    with pytest.raises(StudyNotFoundError, match="has no trial 99"):
        found.export(tmp_path / "other", trial=99)


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("whine", {}, DataError, "unknown data set 'whine': did you mean 'wine'"),
    ("iris", {"epoch": 3}, ConfigError, "search: unknown setting 'epoch': did you mean 'epochs'"),
    ("iris", {"epochs": 0}, ConfigError, r"search: training.epochs: .* \(it is 0\)"),
    ("iris", {"space": {"n_qubits": [13]}}, ConfigError, "search: space.n_qubits: 13 must be one of 2, 3"),
    ("iris", {"study": "../x"}, ConfigError, "a study's name has 1 to 100 letters"),
    ("iris", {"storage": "iris.db"}, StorageError, "the storage is not a database URL; write sqlite:///FILE.db"),
]


@pytest.mark.parametrize(("data", "settings", "error", "message"), WRONG, ids=[message for *_, message in WRONG])
def test_what_cannot_be_searched_is_refused_before_anything_is_made(
    data: str, settings: dict[str, Any], error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        search(data, **settings)
    assert list(tmp_path.iterdir()) == []


def test_settings_have_the_names_of_a_study_file_and_numpy_may_give_them() -> None:
    settings = {"epochs": np.int64(3), "gates": "effective", "repeats": "auto", "space": {"n_qubits": np.array([2, 3])}}
    resolved = resolve_settings("iris", settings, source="test")
    config = resolved.config
    assert resolved.auto_repeats and config.training.epochs == 3 and config.gates is CountedGates.EFFECTIVE
    assert config.space.n_qubits == (2, 3)


def test_repeats_can_be_found(storage_url: str) -> None:
    study = search("iris", storage=storage_url, repeats="auto", **SMALL | {"generations": 1})
    reliability = study.reliability
    assert reliability is not None and study.config.training.repeats == reliability.repeats
    # A second call with "auto" accepts the stored number of repeats.
    assert search("iris", storage=storage_url, repeats="auto", **SMALL | {"generations": 1}).front.equals(study.front)


def test_what_is_confirmed_is_a_frame(confirmed_study: Study) -> None:
    frame = confirmed_study.confirm(epochs=2, repeats=3)
    assert set(frame["trial"]) == set(confirmed_study.front["trial"])
    assert (frame["optimism"] == frame["search_estimate"] - frame["test_accuracy"]).all()
    assert {"linear", "mlp", "test_accuracy_low", "effective_parameters", "message"} <= set(frame.columns)
    assert frame["message"].str.startswith("Trial ").all()


def test_more_seeds_are_trained_and_what_was_trained_is_kept(confirmed_study: Study) -> None:
    before = len(optuna.load_study(study_name="iris.confirm", storage=confirmed_study.optuna._storage).trials)
    frame = confirmed_study.confirm(pick="best", repeats=4)
    trials = optuna.load_study(study_name="iris.confirm", storage=confirmed_study.optuna._storage).trials
    assert len(trials) > before and frame["message"].str.contains("4 seeds").any()


def test_a_confirmation_can_have_another_name(confirmed_study: Study) -> None:
    frame = confirmed_study.confirm(top=1, epochs=1, repeats=2, name="short")
    assert len(frame) == 1
    assert isinstance(Study.load("short", storage=confirmed_study._url)._search, Confirmation)


def test_a_confirmation_has_no_front(confirmed_study: Study) -> None:
    confirmation = Study.load("iris.confirm", storage=confirmed_study._url)
    for use in (lambda: confirmation.front, lambda: confirmation.trials, confirmation.pick, confirmation.plot):
        with pytest.raises(ConfigError, match="study 'iris.confirm' has no front: it confirms circuits of 'iris'"):
            use()
    with pytest.raises(ConfigError, match="is a confirmation of circuits of 'iris'; confirm more of those with"):
        confirmation.confirm()


CONFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"top": 1, "pick": "knee"}, ConfigError, "top, pick and trials each select circuits; give only one of them"),
    ({"top": 0}, ConfigError, "top must be at least 1; it is 0"),
    ({"repeats": 1001}, ConfigError, "repeats must be from 1 to 1000; it is 1001"),
    ({"epochs": 7}, StudyMismatchError, "epochs: stored 2, requested 7"),
    ({"trials": [99]}, StudyNotFoundError, "has no trial 99; it has 0 to 7"),
]


@pytest.mark.parametrize(("settings", "error", "message"), CONFUSED, ids=[message for *_, message in CONFUSED])
def test_what_cannot_be_confirmed_is_refused(
    confirmed_study: Study, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        confirmed_study.confirm(**settings)


def test_a_plot_has_what_was_confirmed(confirmed_study: Study, found: Study) -> None:
    assert len(confirmed_study.plot().data) > len(found.plot().data)


def test_what_is_not_there_cannot_be_loaded(storage_url: str, found: Study) -> None:
    with pytest.raises(StorageError, match="there is no database"):
        Study.load("iris", storage=storage_url)
    with pytest.raises(StudyNotFoundError, match="there is no study 'irs': did you mean 'iris'"):
        Study.load("irs", storage=found._url)


def test_a_study_without_trials_has_no_front(new_search: Any, storage_url: str) -> None:
    new_search()
    study = Study.load("iris", storage=storage_url)
    for use in (lambda: study.front, lambda: study.trials, study.pick, study.plot, study.confirm):
        with pytest.raises(NoSuccessfulTrialError, match="has no successful trial yet"):
            use()


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Send SIGINT during the third trial of a search; yield a list with one entry per started trial."""
    started: list[int] = []

    def evaluate(*arguments: Any) -> Any:
        started.append(1)
        if len(started) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return faqnas_optuna.evaluate(*arguments)

    monkeypatch.setattr(loop, "run", lambda *arguments, **options: run(*arguments, **options, evaluate=evaluate))
    yield started


def test_ctrl_c_loses_nothing_and_the_same_call_goes_on(
    interrupting: list[int], storage_url: str, found: Study, caplog: pytest.LogCaptureFixture
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    study = search("iris", storage=storage_url, **SMALL)
    assert [trial.state.name for trial in study.optuna.trials] == ["COMPLETE"] * 3
    assert repr(study) == "<Study 'iris' over iris: 3 trials, not finished>"
    assert not study.front.empty and "SIGINT: finishing the running trial" in caplog.text
    assert signal.getsignal(signal.SIGINT) is handler
    again = search("iris", storage=storage_url, **SMALL)
    assert again.trials.equals(found.trials) and again.front.equals(found.front)


@pytest.mark.slow
def test_what_is_to_end_the_process_ends_it_when_the_trial_is_stored(storage_url: str, found: Study) -> None:
    program = f"""
import os, signal
from faqnas_optuna import search
from faqnas_optuna.workers import loop
from faqnas_optuna.training.evaluation import evaluate
def ending(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return evaluate(*arguments)
run = loop.run
loop.run = lambda *arguments, **named: run(*arguments, **named, evaluate=ending)
search("iris", storage={storage_url!r}, **{SMALL})
print("not reached")
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (process.returncode, process.stdout) == (-signal.SIGTERM, "")
    assert len(Study.load("iris", storage=storage_url).trials) == 1


def test_ctrl_c_before_there_is_a_study_makes_none(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(pilot, "measure_reliability", interrupted)
    with pytest.raises(KeyboardInterrupt, match="interrupted; study iris was not created"):
        search("iris", storage=storage_url, **SMALL)
    with pytest.raises(StudyNotFoundError, match="there is no study 'iris'"):
        Study.load("iris", storage=storage_url)


def test_it_runs_outside_of_the_main_thread(storage_url: str, found: Study) -> None:
    fronts = []
    thread = threading.Thread(target=lambda: fronts.append(search("iris", storage=storage_url, **SMALL).front))
    thread.start()
    thread.join(TIMEOUT_S)
    assert fronts[0].equals(found.front)


def test_a_search_says_nothing_where_no_bar_moves(storage_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        search("iris", storage=storage_url, **SMALL)
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert capfd.readouterr() == ("", "")


def test_a_bar_tells_how_far_it_is(storage_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    study = search("iris", storage=storage_url, progress=True, **SMALL)
    line = capfd.readouterr().err.rpartition("\r")[2]
    assert line.startswith("iris: 100%") and "8/8" in line
    assert f"best accuracy {study.trials['val_accuracy'].max():.3f}, front {len(study.front)}" in line


def test_failures_are_told(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Evaluation:
        raise ValueError("the training fails")

    monkeypatch.setattr(loop, "run", lambda *arguments, **named: run(*arguments, **named, evaluate=fail))
    with pytest.raises(NoSuccessfulTrialError, match="no trial of study 'iris' has succeeded"):
        search("iris", storage=storage_url, **SMALL)
    # The second call runs no trial and must fail in the same way.
    with pytest.raises(NoSuccessfulTrialError, match="no trial of study 'iris' has succeeded"):
        search("iris", storage=storage_url, **SMALL)


def test_a_config_is_that_of_the_study(found: Study) -> None:
    assert isinstance(found.config, StudyConfig) and isinstance(found.optuna, optuna.Study)


@pytest.mark.parametrize("progress", [None, True])
def test_a_process_without_stderr_searches(storage_url: str, monkeypatch: pytest.MonkeyPatch, progress: bool | None) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert len(search("iris", storage=storage_url, population=4, generations=1, epochs=1, progress=progress).front)


def test_searches_in_two_threads_leave_optunas_verbosity(storage_url: str) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        first, second = notebook.using(storage_url), notebook.using(storage_url)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert optuna.logging.get_verbosity() == optuna.logging.ERROR
        second.__exit__(None, None, None)
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(before)
