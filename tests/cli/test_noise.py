"""The command `confirm --noise`."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.noise import finalists as noisy
from faqnas_optuna.noise import reference as mixed
from faqnas_optuna.noise.finalists import STRENGTHS
from faqnas_optuna.noise.model import NoisyProgram
from faqnas_optuna.noise.report import overtaking_sentences
from tests.conftest import successful

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stored(confirmed: Confirmation, cli_here: Cli) -> Cli:
    """Return the command line, next to a study and its finished confirmation."""
    return cli_here


REFUSED = {
    (
        "--noise",
        "heron",
    ): "unknown noise 'heron'; choose depolarizing:0.01, heron-r3, eagle, nighthawk, all-to-all, or the path",
    ("--noise", "depolarizing:0"): r"depolarizing:P needs a probability above 0 and at most 0\.75; it is '0'",
    ("--noise", "eagle", "--shots", "0"): "--shots.*0 is not in the range",
    ("--shots", "1024"): "--shots needs --noise; add it, for instance --noise depolarizing:0.01",
    (
        "--noise",
        "eagle",
        "--detach",
    ): "--noise is computed by this process after the trainings, which --detach leaves to others",
    ("--plot", "front.html"): r"must end in \.png, \.pdf or \.svg; 'front\.html' does not",
    ("--size", "column"): "--size column is the size of a plot of test scores; add --plot without --noise",
    ("--noise", "eagle", "--plot", "n.svg", "--size", "slide"): "--size slide is the size of a plot of test scores",
    ("--detach", "--plot", "front.svg"): "--detach trains nothing but --plot shows trained circuits",
    ("--csv", "-"): "--csv -: stdout already has the results; give a file name",
    ("--noise", "eagle", "--plot", "noise.html"): r"must end in \.png, \.pdf or \.svg; 'noise\.html' does not",
    ("--noise", "eagle", "--plot", "no/where.svg"): "no/where.svg: directory no does not exist; create it first",
    ("--noise", "eagle", "--dask", "tcp://127.0.0.1:1"): "which --dask leaves to others; leave one of them out",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_cannot_be_computed_is_one_line(stored: Cli, arguments: tuple[str, ...]) -> None:
    code, out, err = stored("confirm", "iris", *arguments)
    assert (code, out) == (2, "")
    assert re.search(REFUSED[arguments], err.splitlines()[-1])


def test_a_device_that_is_too_small_is_refused_before_anything_is_trained(stored: Cli, tmp_path: Path) -> None:
    figures = {"one_qubit_error": 0.01, "two_qubit_error": 0.1, "readout_error": 0.2, "t1_us": 10.0, "t2_us": 5.0}
    figures |= {"one_qubit_ns": 10.0, "two_qubit_ns": 100.0, "readout_ns": 1000.0, "qubits": 2}
    texts = {"name": "small", "date": "2026-01-01", "source": "nobody", "coupling": "all-to-all", "two_qubit_gate": "cz"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in (texts | figures).items()]
    (tmp_path / "small.toml").write_text("\n".join(lines))
    code, out, err = stored("confirm", "iris", "--trials", "5", "--name", "new", "--noise", "small.toml")
    assert (code, out) == (2, "")
    message = "trial 5 has 3 qubits, but small has 2; choose other trials with --trials or --top, or another device"
    assert err == f"Error: {message}\n"
    assert "new" not in stored("status")[1]


def test_what_takes_too_many_qubits_is_refused(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noisy, "MAX_QUBITS", 2)
    code, out, err = stored("confirm", "iris", "--trials", "5", "--noise", "heron-r3")
    assert (code, out) == (2, "")
    message = "trial 5 needs 3 qubits of heron-r3, SWAPs included, but at most 2 can be simulated;"
    assert message in err


@pytest.mark.slow
def test_finalists_of_wine_are_judged_under_noise(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text('dataset = "wine"\n[space]\nn_qubits = [2, 3, 4]\n')
    small = ("--population", "4", "--generations", "1", "--epochs", "1")
    assert cli_here("start", "--config", "small.toml", *small)[0] == 0
    arguments = ("--trials", "0,1", "--epochs", "2", "--repeats", "2", "--noise", "eagle", "--shots", "100", "--json")
    code, out, err = cli_here("confirm", "wine", *arguments)
    assert code == 0, err
    assert re.search("^wine.confirm under noise: 4 of 4 networks$", err, re.MULTILINE)
    document = json.loads(out)
    assert document["schema_version"] == 1
    noise = document["noise"]
    assert (noise["noise"], noise["shots"], noise["test_samples"]) == ("eagle", 100, 36)
    assert [entry["trial"] for entry in noise["circuits"]] == [entry["trial"] for entry in document["circuits"]]
    for entry in noise["circuits"]:
        assert len(entry["test_accuracies"]) == len(STRENGTHS) == len(noise["strengths"])
        assert {len(values) for values in entry["test_accuracies"]} == {2}
    # The shots are seeded, so a repeated call gives the same result, without training again.
    code, out, err = cli_here("confirm", "wine", *arguments, "--plot", "noise.svg")
    assert json.loads(out)["noise"] == noise
    assert code == 0 and err.splitlines()[-1] == "wrote noise.svg"
    assert "noise factor (eagle)" in (tmp_path / "noise.svg").read_text()
    exact = json.loads(cli_here("confirm", "wine", *(one for one in arguments if one not in ("--shots", "100")))[1])
    assert exact["noise"]["shots"] is None
    for entry, confirmed in zip(exact["noise"]["circuits"], exact["circuits"], strict=True):
        assert entry["test_accuracies"][0] == confirmed["test_accuracies"]
    assert exact["noise"]["circuits"] != noise["circuits"]


def noise_of_two(stored: Cli, *more: str) -> dict[str, Any]:
    code, out, err = stored("confirm", "iris", "--trials", "4,5", "--noise", "depolarizing:0.1", *more)
    assert code == 0, err
    result: dict[str, Any] = json.loads(out)["noise"] if "--json" in more else {"text": out}
    return result


def test_a_person_sees_it_below_the_confirmation(stored: Cli, confirmed: Confirmation) -> None:
    plain = stored("confirm", "iris")[1]
    document, text = noise_of_two(stored, "--json"), noise_of_two(stored, "--plot", "noise.pdf")["text"]
    assert Path("noise.pdf").read_bytes().startswith(b"%PDF-")
    assert text.startswith(plain)
    header, *lines = text.removeprefix(plain).strip().splitlines()
    assert re.split(r" {2,}", header) == [
        "trial",
        "noise factor",
        "test accuracy",
        "95 % CI",
        "quantum FLOPs",
        "circuit",
    ]
    rows = [re.split(r" {2,}", line) for line in lines[: 2 * len(STRENGTHS)]]
    expected = [
        [str(entry["trial"]), f"{strength:g}", f"{mean:.3f}"]
        for entry in document["circuits"]
        for strength, mean in zip(document["strengths"], entry["test_accuracy"], strict=True)
    ]
    assert [row[:3] for row in rows] == expected
    assert lines[-1].startswith(
        "Noise: depolarizing:0.1, depolarizing probability 0.1 on each qubit after a two-qubit gate and 0.01 after other gates"
    )
    assert lines[-1].endswith(
        "readout error 0. The networks were trained without noise; exact ⟨Z⟩ for each of 30 test samples."
    )
    sentences = list(overtaking_sentences(document["overtakings"], "depolarizing:0.1"))
    assert lines[2 * len(STRENGTHS) : -1] == ["", *sentences]
    # At noise factor 0 the accuracies are those of the confirmation; nothing is stored.
    confirmed_circuits = {entry["trial"]: entry for entry in confirmation_document(confirmed)["circuits"]}
    for entry in document["circuits"]:
        assert entry["test_accuracies"][0] == confirmed_circuits[entry["trial"]]["test_accuracies"]
    assert len(successful(confirmed)) == 45


def test_ctrl_c_keeps_the_confirmation(stored: Cli, monkeypatch: pytest.MonkeyPatch, confirmed: Confirmation) -> None:
    def interrupting(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("SIGINT was ignored")

    monkeypatch.setattr(noisy, "_noisy_scores", interrupting)
    code, out, err = stored("confirm", "iris", "--noise", "eagle")
    assert code == 130
    assert out.startswith("trial  test accuracy")
    assert err.splitlines()[-1] == (
        "interrupted; the confirmation is kept, and the same command computes the scores under noise again"
    )
    assert stored("confirm", "iris", "--noise", "eagle", "--json")[:2] == (130, "")
    assert len(successful(confirmed)) == 45


@pytest.mark.slow
def test_a_search_on_pennylane_has_its_noise_from_there(cli_here: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text('dataset = "iris"\n[space]\nn_qubits = [2]\n')
    small = ("--population", "2", "--generations", "1", "--epochs", "1", "--engine", "pennylane")
    assert cli_here("start", "--config", "two.toml", *small)[0] == 0
    simulated, defined = [], mixed.probabilities

    def counting(program: NoisyProgram, inputs: NDArray[np.float64], weights: NDArray[Any]) -> NDArray[np.float64]:
        simulated.append(program)
        return defined(program, inputs, weights)

    monkeypatch.setattr(mixed, "probabilities", counting)
    arguments = ("--trials", "0", "--epochs", "1", "--repeats", "1", "--noise", "depolarizing:0.1")
    code, _, err = cli_here("confirm", "iris", *arguments)
    assert code == 0, err
    assert len(simulated) == len(STRENGTHS)
