"""Options of the search space and its limits."""

import json
from pathlib import Path
from typing import Any

import click
import pytest

from faqnas_optuna.api.race import race
from faqnas_optuna.api.search import search
from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.api.study import Study
from faqnas_optuna.cli.ranges import IntRange, ListOf
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import load
from faqnas_optuna.tables.table import Table
from tests.support.commands import SMALL, Cli
from tests.support.devices import LINE

SPACE = ("--qubits", "2-3", "--depth", "1,2", "--entangler", "cnot", "--rotation", "rx,Ry", "--topology", "Linear")
LIMITS = ("--max-flops", "200", "--max-parameters", "40", "--max-cost", "150.5")


def config_of(name: str) -> StudyConfig:
    return load(open_storage("sqlite:///faqnas.db"), name).config


@pytest.mark.parametrize(
    ("text", "values"), [("2", [2]), ("2-4", [2, 3, 4]), ("2,4,6-8", [2, 4, 6, 7, 8]), (" 3 , 5-5", [3, 5]), ("4,2", [4, 2])]
)
def test_numbers_are_listed_one_by_one_or_as_ranges(text: str, values: list[int]) -> None:
    assert ListOf(IntRange(2, 12)).convert(text, None, None) == values


@pytest.mark.parametrize("text", ["", "2,", "-", "2-", "4-2", "1-3", "2-13", "two", "2.5", "2;3", "2--4"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not"):
        ListOf(IntRange(2, 12)).convert(text, None, None)


def test_options_and_python_make_the_same_study(cli_here: Cli) -> None:
    assert cli_here("start", "iris", *SPACE, *LIMITS, "--detach", "--study", "typed")[0] == 0
    space: dict[str, Any] = {
        "n_qubits": [2, 3],
        "depth": [1, 2],
        "entangler": ["CNOT"],
        "rotation": ["RX", "RY"],
        "topology": ["linear"],
    }
    limits: dict[str, Any] = {"max_flops": 200, "max_parameters": 40, "max_cost": 150.5}
    search("iris", space=space, **limits, detach=True, study="section")
    search("iris", **space, **limits, detach=True, study="single")
    assert config_of("typed") == config_of("section") == config_of("single")
    assert config_of("typed").space.n_qubits == (2, 3)
    assert config_of("typed").limits.by_name == limits
    # The same in a study file.
    lines = ["[space]", *(f"{name} = {json.dumps(value)}" for name, value in space.items())]
    lines += ["[limits]", *(f"{name} = {value}" for name, value in limits.items())]
    Path("study.toml").write_text("\n".join(['dataset = "iris"', *lines]))
    assert cli_here("start", "--config", "study.toml", "--detach", "--study", "typed")[0] == 0


def test_options_beat_the_study_file_gene_by_gene(cli_here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("study.toml").write_text('dataset = "iris"\n[space]\nn_qubits = [2, 3]\ndepth = [1, 2]\n[limits]\nmax_flops = 90\n')
    monkeypatch.setenv("FAQNAS_MAX_PARAMETERS", "50")
    assert cli_here("start", "--config", "study.toml", "--depth", "3", "--max-flops", "300", "--detach")[0] == 0
    config = config_of("iris")
    assert (config.space.n_qubits, config.space.depth) == ((2, 3), (3,))
    assert config.limits.by_name == {"max_flops": 300, "max_parameters": 50}


def test_the_maximum_number_of_qubits_narrows_the_space_and_is_not_stored(cli_here: Cli) -> None:
    assert cli_here("start", "iris", "--qubits", "2-4,9", "--max-qubits", "3", "--detach")[0] == 0
    assert cli_here("start", "iris", "--qubits", "2,3", "--detach")[0] == 0
    code, _, err = cli_here("start", "iris", "--qubits", "5-9", "--max-qubits", "4")
    assert (code, err) == (
        2,
        "Error: options: max_qubits is 4 but the circuits of the space have at least 5 qubits; raise it, or add smaller numbers"
        " to space.n_qubits\n",
    )
    # The default space has circuits with more qubits than this device.
    values = LINE.model_dump(mode="json").items()
    Path("line.toml").write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in values if value is not None))
    with pytest.raises(
        ConfigError, match="line has 4 qubits but the space has circuits of up to 10; narrow space.n_qubits, or"
    ):
        resolve_settings("iris", {"cost": "hardware:line.toml"}, source="call")
    settings = {"cost": "hardware:line.toml", "max_qubits": 4, "space": {"depth": [1]}}
    narrowed = resolve_settings("iris", settings, source="call").config.space
    assert (narrowed.n_qubits, narrowed.depth) == ((2, 3, 4), (1,))
    with pytest.raises(ConfigError, match="max_qubits must be at least 2; it is 1"):
        search("iris", max_qubits=1)


def test_the_settings_of_a_call_are_not_changed() -> None:
    space = {"depth": [1]}
    resolve_settings("iris", {"space": space, "n_qubits": [2, 3], "max_qubits": 4}, source="call")
    assert space == {"depth": [1]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--entangler", "CNOT,SWAP"), "'SWAP' is not one of 'cnot', 'cz', 'zz', 'crx'."),
        (("--qubits", "4-2"), "'4-2' is not a range; write the lower number first, as in 2-4."),
        (("--rotation", "RX-RZ"), "'RX-RZ' is not a range; write the lower number first, as in 2-4."),
        (("--max-flops", "0"), "0 is not in the range x>=1."),
        (("--max-cost", "0"), "0.0 is not in the range x>0."),
        (("--depth", "1,1"), "space.depth: names a value twice"),
        (("--max-flops", "31"), "no circuit of the space is within the limits, max_flops 31: max_flops must be at least 32"),
    ],
)
def test_invalid_options_are_one_line_and_leave_nothing(
    cli_here: Cli, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    for command in ("start", "race", "enumerate")[: 2 if "--max-cost" in arguments else 3]:
        code, out, err = cli_here(command, "iris", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err
        assert not list(tmp_path.iterdir())


def test_other_limits_are_another_study(cli_here: Cli) -> None:
    assert cli_here("start", "iris", "--max-flops", "300", "--detach")[0] == 0
    code, _, err = cli_here("start", "iris", "--max-flops", "200")
    assert code == 3 and "other settings: limits.max_flops: stored 300, requested 200; use the stored ones" in err
    assert "limits.max_flops: stored 300, requested None" in cli_here("start", "iris")[2]
    shown = json.loads(cli_here("show", "iris", "--json")[1])["settings"]["limits"]
    assert shown == {"max_flops": 300, "max_parameters": None, "max_cost": None}
    assert "limits.max_flops" in cli_here("show", "iris")[1]


@pytest.mark.slow
def test_two_worker_processes_keep_the_limits(cli_here: Cli) -> None:
    assert cli_here("start", *SMALL, "--max-flops", "100", "--max-parameters", "27", "--workers", "2")[0] == 0
    trials = Study.load("iris", storage="sqlite:///faqnas.db").trials
    assert len(trials) > 1
    assert (trials["quantum_flops"] <= 100).all() and (trials["parameters"] <= 27).all()


@pytest.mark.slow
def test_a_race_keeps_the_limits_and_its_guarantee_names_them(cli_here: Cli) -> None:
    options = ("--epochs", "1", "--workers", "1", "--max-parameters", "23", "--max-flops", "70")
    code, out, _ = cli_here("race", "iris", *options)
    assert code == 0 and "no circuit of the space within the limits has" in " ".join(out.split())
    trials = Study.load("iris.race", storage="sqlite:///faqnas.db").trials
    assert (trials["quantum_flops"] <= 70).all() and (trials["parameters"] <= 23).all()
    # All circuits of at most 70 FLOPs and 23 parameters: two qubits, up to two layers.
    again = race("iris", epochs=1, max_parameters=23, max_flops=70)
    assert len(again.trials) == len(trials)
    code, _, err = cli_here("race", "--study", "iris.race", "--qubits", "2")
    assert (code, err) == (2, "Error: without DATASET a race continues with its stored settings; leave out --qubits\n")
    assert cli_here("race", "iris", *options[:-1], "80")[0] == 3


@pytest.mark.slow
def test_a_table_of_a_limited_space_says_so(cli_here: Cli) -> None:
    options = ("--qubits", "2", "--depth", "1-2", "--epochs", "1", "--repeats", "2", "--workers", "1", "--max-flops", "90")
    assert cli_here("enumerate", "iris", *options, "--out", "few.parquet")[0] == 0
    table = Table(Path("few.parquet"))
    assert table.document["limits"] == {"max_flops": 90}
    assert table.document["space"]["n_qubits"] == [2] and table.column("quantum_flops_profiler").max() <= 90
    code, _, err = cli_here("compare", "few.parquet")
    assert code == 2 and "few.parquet has a narrowed or limited space, but a search may suggest any circuit" in err
    code, _, err = cli_here("enumerate", "iris", *options[:-1], "80", "--out", "few.parquet")
    assert code == 3 and "is another table: limits.max_flops: stored 90, requested 80" in err
    code, _, err = cli_here("enumerate", "iris", "--embedding", "iqp")
    assert (code, err) == (
        2,
        "Error: a table has circuits of the paper's space; leave out the genes' further values, or use race\n",
    )
