"""Complete searches in separate processes, as a user runs them."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import Engine, SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.confirmation.baselines import Model, confirm_once, confirmation_generator
from faqnas_optuna.data import named
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.reporting.documents import pareto_document
from faqnas_optuna.signals import Signals
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.records import GENERATION_KEY
from faqnas_optuna.study.search import create, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.training import torch_training
from faqnas_optuna.training.model import HQNN
from faqnas_optuna.training.pilot import measure_reliability
from faqnas_optuna.workers.loop import run
from tests.conftest import TIMEOUT_S, RunCli, successful
from tests.support.forked import Forked
from tests.support.mnist import idx_dir as idx_dir  # a fixture, which pytest looks up in this module
from tests.support.profiler import reported_by_torch_profiler
from tests.support.sampling import mostly_slow
from tests.support.studies import ENDLESS, until_all_have_shared, wait_for_trials

Fork = Callable[..., Forked]

SMALL = ("--dataset", "iris", "--population", "5", "--generations", "3", "--epochs", "1")


def history(url: str, study: str) -> list[Any]:
    """Return the trials of a study without times and workers."""
    trials = load(open_storage(url), study).study.get_trials(deepcopy=False)
    return [(trial.number, trial.params, trial.values, trial.system_attrs.get(GENERATION_KEY)) for trial in trials]


@pytest.mark.slow
def test_start_prints_the_front_and_its_flops_are_the_profilers(run_forked: RunCli) -> None:
    finished = run_forked("start", *SMALL, "--json")
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)
    assert document["schema_version"] == 1
    assert (document["study"], document["dataset"], document["generations"]) == ("iris", "iris", 3)
    assert document["stop_reason"] in ("generations", "stagnation")
    assert document["trials"] == document["trained"] + document["reused"] == 15
    assert "iris: generation 2/3 · 5 trials" in finished.stderr
    assert json.loads(run_forked("pareto", "iris", "--json").stdout).items() <= document.items()
    for entry in document["front"]:
        assert entry["quantum_flops"] == reported_by_torch_profiler(*_by_hand(entry["genome"]))


def _by_hand(genes: dict[str, Any]) -> tuple[torch.nn.Module, torch.Tensor]:
    """Build the circuit of nine genes with PennyLane only, independently of the program."""
    n, wires = genes["n_qubits"], range(genes["n_qubits"])

    def circuit(inputs: Any, weights: Any) -> Any:
        if genes["embedding"] == "angle":
            qml.AngleEmbedding(2 * inputs, wires=wires, rotation="Y")
        else:
            qml.AmplitudeEmbedding(inputs, wires=wires, pad_with=0.0, normalize=True)
        for layer in range(genes["depth"]):
            for wire in wires:
                getattr(qml, genes[f"rotation_{layer + 1}"])(weights[layer, wire], wires=wire)
            for wire in range(n - 1):
                getattr(qml, genes["entangler"])(wires=[wire, wire + 1])
            if genes["topology"] == "circular" and n > 2:
                getattr(qml, genes["entangler"])(wires=[n - 1, 0])
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    node = qml.QNode(circuit, qml.device("default.qubit", wires=n), interface="torch", diff_method="backprop")
    return qml.qnn.TorchLayer(node, {"weights": (genes["depth"], n)}), torch.rand(1, n) + 0.1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials_interrupted_or_not(
    run_forked: RunCli, fork_cli: Fork, tmp_path: Path, storage_url: str
) -> None:
    assert run_forked("start", *SMALL, "--study", "first").returncode == 0
    # Eleven trials of one second each remain when the signal is sent.
    process = fork_cli("start", *SMALL, "--study", "second", trial_s=1)
    wait_for_trials(tmp_path, 15 + 4)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert "SIGINT: finishing the running trial" in err
    assert err.splitlines()[-1] == "interrupted; finished trials are kept. Continue with: faqnas-optuna resume second"
    interrupted = history(storage_url, "second")
    assert 4 <= len(interrupted) < 15
    assert all(values is not None for _, _, values, _ in interrupted)
    assert run_forked("resume", "second").returncode == 0
    assert history(storage_url, "second") == history(storage_url, "first")


@pytest.mark.slow
def test_workers_attach_to_a_running_study_and_share_its_work(
    run_forked: RunCli, fork_cli: Fork, tmp_path: Path, storage_url: str
) -> None:
    first = fork_cli("start", *ENDLESS, trial_s=0.1)
    wait_for_trials(tmp_path, 1)
    others = [fork_cli("worker", "iris", trial_s=0.1), fork_cli("worker", "--until-idle", trial_s=0.1)]
    search = load(open_storage(storage_url), "iris")
    until_all_have_shared(search, 3)
    assert run_forked("stop", "iris").returncode == 0
    outputs = [process.communicate(timeout=TIMEOUT_S) for process in (first, *others)]
    assert [process.returncode for process in (first, *others)] == [0, 0, 0], outputs
    trials = successful(search)
    assert len(search.study.get_trials(deepcopy=False)) == len(trials)
    # Each generation of ten may be overfilled by the trials that the two other workers had begun.
    assert all(10 <= generation.trials <= 12 for generation in search.metadata.closed_generations())
    # A circuit is trained twice only if two workers began it at the same time.
    trained = [trial for trial in trials if "reused_from" not in trial.user_attrs]
    for again in trained:
        earlier = [other for other in trained if other.user_attrs["circuit"] == again.user_attrs["circuit"]]
        assert all(one.datetime_start < two.datetime_complete for one in earlier for two in earlier)  # type: ignore[operator]


@pytest.mark.slow
def test_start_runs_several_workers(run_forked: RunCli, fork_cli: Fork, tmp_path: Path, storage_url: str) -> None:
    process = fork_cli("start", *ENDLESS, "--workers", "2", "--json", trial_s=0.1)
    wait_for_trials(tmp_path, 1)
    search = load(open_storage(storage_url), "iris")
    until_all_have_shared(search, 2)
    assert run_forked("stop", "iris").returncode == 0
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    assert json.loads(out)["trials"] == len(successful(search))
    assert all(10 <= generation.trials <= 11 for generation in search.metadata.closed_generations())


@pytest.mark.slow
def test_synchronous_workers_do_what_one_worker_would(run_forked: RunCli, fork_cli: Fork, storage_url: str) -> None:
    options = (*ENDLESS, "--population", "8", "--synchronous")
    assert run_forked("start", *options, "--study", "three", "--detach").returncode == 0
    workers = [fork_cli("worker", "three", trial_s=0.1) for _ in range(3)]
    search = load(open_storage(storage_url), "three")
    until_all_have_shared(search, 3)
    assert run_forked("stop", "three").returncode == 0
    outputs = [process.communicate(timeout=TIMEOUT_S) for process in workers]
    assert [process.returncode for process in workers] == [0, 0, 0], outputs
    closed = len(search.metadata.closed_generations())
    finished = run_forked("start", *options, "--generations", str(closed), "--study", "one")
    assert finished.returncode == 0, finished.stderr
    one, three = history(storage_url, "one"), history(storage_url, "three")[: 8 * closed]
    assert [generation for *_, generation in three] == [number // 8 for number in range(8 * closed)]
    assert three == one


def test_stop_ends_a_worker_elsewhere(run_forked: RunCli, fork_cli: Fork, tmp_path: Path) -> None:
    process = fork_cli("start", *ENDLESS)
    wait_for_trials(tmp_path, 3)
    assert "Continue with: faqnas-optuna resume iris" in run_forked("stop", "iris").stdout
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    assert "\nStopped: a user requested it." in out


def test_a_study_in_which_nothing_succeeds_ends_with_5(run_forked: RunCli) -> None:
    finished = run_forked("start", *SMALL, fault="nan")
    assert finished.returncode == 5
    assert "trial 0 failed: TrainingError: the objectives must be finite" in finished.stderr
    assert finished.stderr.splitlines()[-1].startswith("Error: no trial of study 'iris' has succeeded")
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("name", mostly_slow(name for name in named.DATASETS if name != "fashion-mnist"))
def test_every_data_set_runs_a_short_search(name: str, storage_url: str, idx_dir: Path) -> None:
    config = StudyConfig(
        dataset=name,
        search=SearchConfig(population=2, generations=1),
        training=TrainingConfig(epochs=1, batch_size=1_000),
        space=SpaceConfig(n_qubits=(2, 3), depth=(1,)),
    )
    splits = named.load(name, seed=0, data_dir=idx_dir)
    search = create(open_storage(storage_url, create=True), name, config, splits)
    run(search, splits, Signals(), on_trial=lambda _: None)
    document = pareto_document(read_state(search))
    assert document["generations"] == 1
    for entry in document["front"]:
        assert entry["classical_flops"] == 2 * entry["genome"]["n_qubits"] * (splits.n_features + splits.n_classes)
        assert 0 <= entry["val_accuracy"] <= 1
        assert Genome.from_params(entry["genome"]).circuit.digest == entry["circuit"]


@pytest.mark.slow
def test_a_confirmation_is_what_others_come_to(run_forked: RunCli, iris: DataSplits) -> None:
    """Confirm the two best circuits of a search, and compare with scikit-learn and with training by PennyLane."""
    assert run_forked("start", *SMALL).returncode == 0
    finished = run_forked("confirm", "iris", "--top", "2", "--repeats", "3", "--epochs", "5", "--json")
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)
    front = json.loads(run_forked("pareto", "iris", "--json").stdout)["front"]
    best = sorted(front, key=lambda entry: (entry["val_error"], entry["quantum_flops"]))[:2]
    assert {entry["trial"] for entry in document["circuits"]} == {entry["trial"] for entry in best}
    assert document["trainings"]["done"] == document["trainings"]["needed"]
    x, y = iris.test.x, iris.test.y
    logistic = LogisticRegression(max_iter=1_000).fit(iris.train.x, iris.train.y)
    baselines = {one["baseline"]: one["test_accuracy"] for one in document["baselines"]}
    assert baselines["logistic"] == pytest.approx(logistic.score(x, y))
    entry = min(document["circuits"], key=lambda entry: entry["canonical"]["n_qubits"])
    genome = next(Genome.from_params(one["genome"]) for one in front if one["trial"] == entry["trial"])
    for seed, accuracy in enumerate(entry["test_accuracies"]):
        generator = confirmation_generator(0, seed)
        circuit = effective_circuit(genome.circuit)
        model = HQNN(circuit, n_features=4, n_classes=3, engine=Engine.PENNYLANE, generator=generator)
        torch_training.train(model, iris, TrainingConfig(epochs=5), generator=generator)
        # Rounding may decide the class of a sample between two classes.
        assert accuracy == pytest.approx(np.mean(torch_training.predict(model, iris.test) == y), abs=1.01 / len(y))


def test_a_search_does_not_see_the_test_part(storage_url: str, iris: DataSplits) -> None:
    config = StudyConfig(dataset="iris", search=SearchConfig(population=4, generations=2), space=SpaceConfig(n_qubits=(2, 3)))
    garbage = replace(iris, test=replace(iris.test, x=np.full_like(iris.test.x, 1e6), y=iris.test.y[::-1].copy()))
    outcomes = []
    for name, splits in (("seen", iris), ("unseen", garbage)):
        reliability = measure_reliability(splits, config, limit_s=None)
        search = create(open_storage(storage_url, create=True), name, config, splits, reliability=reliability)
        run(search, splits, Signals(), on_trial=lambda _: None)
        outcomes.append((reliability, history(storage_url, name)))
    assert outcomes[0] == outcomes[1]
    assert len({tuple(values) for *_, values, _ in outcomes[0][1]}) > 3
    # Evaluation on the test part does notice the difference.
    circuit, training = Genome.from_params(outcomes[0][1][0][1]).circuit, TrainingConfig(epochs=20, learning_rate=0.03)
    judged = [
        confirm_once(Model.CIRCUIT, circuit, splits, training, generator=confirmation_generator(0, 0)).confusion
        for splits in (iris, garbage)
    ]
    assert judged[0] != judged[1]
