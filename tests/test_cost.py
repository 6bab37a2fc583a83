"""Searches by the cost of circuits on a device, from the settings to the front."""

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faqnas_optuna import search as searched
from faqnas_optuna.circuits.genome import Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.confirmation.plan import candidates_of, finalists_of
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.hardware.devices import DEVICES
from faqnas_optuna.reporting.documents import pareto_document
from faqnas_optuna.reporting.frames import front_frame
from faqnas_optuna.reporting.latex import front_table
from faqnas_optuna.reporting.note import study_note
from faqnas_optuna.reporting.plotly_front import pareto_figure
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.cost_range import cost_range
from faqnas_optuna.study.description import Finalist
from faqnas_optuna.study.metadata import metrics
from faqnas_optuna.study.pareto import non_dominated
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study_file import differences
from tests.conftest import copy_database
from tests.support.devices import OWN

Cli = Callable[..., tuple[int, str, str]]

STUDY = """
dataset = "iris"
cost = "hardware:bench.toml"
[search]
population = 6
generations = 2
[training]
epochs = 1
[space]
n_qubits = [2, 3, 4]
depth = [1, 2]
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write a study file and the device file that it names."""
    (tmp_path / "bench.toml").write_text(OWN)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the database of a finished search."""
    directory = tmp_path_factory.mktemp("cost")
    (directory / "bench.toml").write_text(OWN)
    searched(
        "iris",
        storage=f"sqlite:///{directory}/faqnas.db",
        cost=f"hardware:{directory / 'bench.toml'}",
        space={"n_qubits": [2, 3, 4], "depth": [1, 2]},
        population=6,
        generations=2,
        epochs=1,
        progress=False,
    )
    return directory / "faqnas.db"


@pytest.fixture
def search(finished: Path, tmp_path: Path) -> Search:
    """Load the finished search where its device file no longer exists."""
    copy_database(finished, tmp_path / "faqnas.db")
    return load(open_storage(f"sqlite:///{tmp_path}/faqnas.db"), "iris")


def test_settings_name_the_device_and_keep_it_whole() -> None:
    by_flops = StudyConfig.from_settings({"dataset": "wine", "cost": "flops"}, source="test")
    assert by_flops == StudyConfig(dataset="wine") and (by_flops.cost, by_flops.cost_name) == ("flops", "quantum FLOPs")
    # Settings without a device are stored without an entry for it.
    assert "device" not in by_flops.model_dump(mode="json") and "device" not in by_flops.to_json()
    config = StudyConfig.from_settings({"dataset": "wine", "cost": "hardware:heron-r3"}, source="test")
    assert config.device == DEVICES["heron-r3"] and config.cost == "hardware:heron-r3"
    assert StudyConfig.from_settings(config.model_dump(mode="json"), source="stored") == config
    assert differences(by_flops, config) == ["cost: stored flops, requested hardware:heron-r3"]
    assert differences(config, by_flops) == ["cost: stored hardware:heron-r3, requested flops"]
    changed = config.model_copy(update={"device": DEVICES["heron-r3"].model_copy(update={"t1_us": 280.0})})
    assert differences(config, changed) == ["device.t1_us: stored 299.0, requested 280.0"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cost": "hardware"}, r"cost: must be flops or hardware:DEVICE, such as hardware:heron-r3 \(it is 'hardware'\)"),
        ({"cost": 3}, r"cost: must be flops or hardware:DEVICE"),
        ({"cost": "hardware:condor"}, "unknown device 'condor'; choose from heron-r3"),
        ({"costs": "flops"}, "unknown setting 'costs': did you mean 'cost'"),
        ({"device": {"name": "x"}}, "setting 'device.date' is missing"),
    ],
)
def test_what_is_no_cost(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudyConfig.from_settings({"dataset": "wine", **settings}, source="test")


def test_a_device_has_a_qubit_for_every_wire(files: Path) -> None:
    settings = {"dataset": "wine", "cost": f"hardware:{files / 'bench.toml'}"}
    with pytest.raises(ConfigError, match="bench has 4 qubits but the space has circuits of up to 10; narrow space.n_qubits"):
        StudyConfig.from_settings(settings, source="test")
    assert StudyConfig.from_settings({**settings, "space": {"n_qubits": [2, 3, 4]}}, source="test").device


def test_a_search_by_hardware_cost(search: Search, cli_here: Cli) -> None:
    state, config = read_state(search), search.config
    assert config.device and config.cost == "hardware:bench"
    for trial in state.by_circuit.values():
        cost = hardware_cost(Genome.from_params(trial.params).circuit, config.device)
        assert trial.values[0] == trial.user_attrs["neg_log_esp"] == cost.neg_log_esp > 0
        assert trial.user_attrs["two_qubit_gates"] == cost.two_qubit_gates
        assert trial.user_attrs["duration_us"] == cost.duration_us
        assert trial.user_attrs["quantum_flops_profiler"] > 0
    points = [(one.cost, one.val_error) for one in state.front]
    assert points == sorted(points) and non_dominated(np.array(points)).all()
    cheapest, dearest = search.description.flops_range
    assert (cheapest, dearest) == cost_range(config)
    assert cheapest <= min(trial.values[0] for trial in state.by_circuit.values())
    assert dearest >= max(trial.values[0] for trial in state.by_circuit.values())
    assert 0 < state.hypervolume <= 1 and 0 < state.linear_hypervolume <= 1
    assert metrics(search.description) == ["−ln ESP on bench", "validation error"]


def test_it_goes_on_without_the_file_and_with_no_other_cost(search: Search, files: Path, cli_here: Cli) -> None:
    (files / "bench.toml").unlink()
    assert cli_here("resume", "iris", "--generations", "3")[0] == 0
    (files / "bench.toml").write_text(OWN)
    code, out, err = cli_here("start", "--config", "study.toml", "--generations", "3")
    assert code == 0, err
    assert "−ln ESP on bench" in out.splitlines()[0] and "two-qubit gates" in out.splitlines()[0]
    code, out, err = cli_here("start", "--config", "study.toml", "--cost", "flops", "--generations", "3")
    assert (code, out) == (3, "") and "cost: stored hardware:bench, requested flops" in err
    (files / "bench.toml").write_text(OWN.replace("t1_us = 100", "t1_us = 90"))
    code, out, err = cli_here("start", "--config", "study.toml", "--generations", "3")
    assert (code, out) == (3, "") and "device.t1_us: stored 100.0, requested 90.0" in err


def test_what_is_shown_of_it(search: Search, cli_here: Cli) -> None:
    document = json.loads(cli_here("pareto", "iris", "--json")[1])
    assert document["cost"] == "hardware:bench" and document["provenance"]["settings"]["device"]["name"] == "bench"
    rows = list(csv.DictReader(io.StringIO(cli_here("pareto", "iris", "--csv", "-")[1])))
    framed = front_frame(read_state(search)).to_dict("records")
    for entry, row, frame in zip(document["front"], rows, framed, strict=True):
        assert entry["neg_log_esp"] == float(row["neg_log_esp"]) == frame["neg_log_esp"]
        assert entry["quantum_flops"] == int(row["quantum_flops"]) == frame["quantum_flops"] >= 1
    why = json.loads(cli_here("pareto", "iris", "--pick", "knee", "--json")[1])["pick"]["why"]
    assert why.endswith(" −ln ESP on bench")
    state = read_state(search)
    figure = pareto_figure(state)
    assert figure.layout.xaxis.title.text == "−ln ESP on bench" and "(−ln ESP on bench)" in figure.layout.title.text
    assert f"{state.front[0].cost:.4f} −ln ESP on bench" in figure.data[1].hovertext[0]
    assert list(figure.data[1].x) == [one.cost for one in state.front]
    table = front_table(state, state.front)
    assert r"$-\ln\mathrm{ESP}$" in table and f"{state.front[0].cost:.4f}" in table
    assert (
        "(ESP) of the circuit's effective gates on bench, from its error rates and gate times of 2026-01-31"
        in study_note(state)["Objectives"]
    )


def test_a_trial_tells_its_cost_on_every_device(search: Search, cli_here: Cli) -> None:
    trial = read_state(search).front[-1].trial
    document = json.loads(cli_here("show", "iris", str(trial), "--json")[1])
    assert [entry["device"] for entry in document["hardware"]] == [*DEVICES, "bench"]
    circuit = Genome.from_params(document["genome"]).circuit
    for entry, device in zip(document["hardware"], (*DEVICES.values(), search.config.device), strict=True):
        assert device and entry["neg_log_esp"] == hardware_cost(circuit, device).neg_log_esp
        assert entry["esp"] == pytest.approx(math.exp(-entry["neg_log_esp"]))
    assert document["neg_log_esp"] == document["hardware"][-1]["neg_log_esp"]
    out = cli_here("show", "iris", str(trial))[1]
    assert "\ndevice " in out and "\nbench " in out and "−ln ESP  " in out


def test_a_finalist_keeps_what_it_costs(search: Search) -> None:
    state = read_state(search)
    numbers = [one.trial for one in state.front]
    finalists = finalists_of(candidates_of(search, numbers), config=search.config, n_features=4, n_classes=3)
    assert [one.cost for one in finalists] == [one.cost for one in state.front]
    assert [Finalist.from_json(one.to_json()) for one in finalists] == list(finalists)
    # Finalists that were stored without a device cost use quantum FLOPs.
    entries = {name: value for name, value in finalists[0].to_json().items() if name != "neg_log_esp"}
    assert Finalist.from_json(entries).cost == finalists[0].quantum_flops


def test_a_confirmation_charges_the_same(search: Search, cli_here: Cli) -> None:
    code, out, err = cli_here("confirm", "iris", "--top", "1", "--repeats", "2", "--epochs", "1")
    assert code == 0, err
    assert "−ln ESP" in out.splitlines()[0]
    confirmation = open_study(search.study._storage, "iris.confirm")
    by_model: dict[str, float] = {}
    for trial in confirmation.study.get_trials(deepcopy=False):
        by_model[trial.params["model"]] = trial.values[0]
    assert by_model["linear"] == by_model["mlp"] == 0
    assert 0 < by_model.get("embedding", 1) <= by_model["circuit"] < 1


def test_of_a_study_by_flops_nothing_is_said_of_devices(search_of_eight: Search) -> None:
    document = pareto_document(read_state(search_of_eight))
    assert document["cost"] == "flops" and not any("neg_log_esp" in entry for entry in document["front"])
