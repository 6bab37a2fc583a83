"""Tests of the benchmarks' measurements and of their output, not of their speed."""

import json
import logging
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import commands, computing, references, suite, trials
from benchmarks import crowd as crowds
from benchmarks.command import print_bench
from benchmarks.lookups import lookups
from benchmarks.measurement import Measurement
from faqnas_optuna.circuits.blocks import PAPER_EMBEDDINGS, PAPER_ENTANGLERS
from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.circuits.genome import Embedding, Entangler
from faqnas_optuna.circuits.pennylane_circuit import lightning
from faqnas_optuna.config import Engine
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.hardware.devices import DEVICES
from faqnas_optuna.training.model import quantum_layer
from tests.support import tables
from tests.support.modules import RunModule
from tests.support.modules import module_here as module_here

FRAMES = [(embedding, entangler) for embedding in PAPER_EMBEDDINGS for entangler in PAPER_ENTANGLERS]


def check(measurement: Measurement) -> None:
    assert measurement.value > 0
    assert measurement.unit
    assert measurement.met is not None
    assert (measurement.reference is None) == (measurement.ratio is None)


def test_steps_are_measured_for_every_frame() -> None:
    measurements = list(computing.steps((2,), repeats=1))
    assert len(measurements) == 2 * 4
    assert {measurement.case for measurement in measurements} == {
        f"2 qubits, {embedding}, {entangler}" for embedding, entangler in FRAMES
    }
    for measurement in measurements:
        check(measurement)
        assert measurement.ratio == pytest.approx((measurement.reference or 0) / measurement.value)


def test_lightning_runs_the_same_circuits() -> None:
    (measurement,) = computing.against_lightning((2,), repeats=1)
    check(measurement)
    circuit, _ = computing._frame(2, Embedding.AMPLITUDE, Entangler.CZ)
    sample, weights = torch.tensor([0.3, 0.8]), torch.rand(circuit.depth, circuit.n_qubits)
    # lightning.qubit has no batches: it is called for one sample at a time.
    theirs = torch.stack(lightning(circuit)(sample, weights))
    ours = quantum_layer(circuit, Engine.FAST, weights)(sample[None])[0]
    assert theirs.detach().numpy() == pytest.approx(ours.detach().numpy(), abs=1e-6)


def test_what_the_papers_space_lacks_is_held_against_angle_embedding() -> None:
    measurements = list(computing.wider_steps((2,), repeats=1))
    assert [measurement.case.split(", ")[1] for measurement in measurements] == ["basis", "iqp", "re-uploading", "ZZ"]
    for measurement in measurements:
        check(measurement)
        assert measurement.ratio == pytest.approx(measurement.value / (measurement.reference or 0))


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed: pip install jax")
@pytest.mark.parametrize(("embedding", "entangler"), FRAMES)
def test_a_step_in_jax_comes_to_the_same(embedding: Embedding, entangler: Entangler) -> None:
    circuit, _ = computing._frame(3, embedding, entangler)
    ours, vector = computing._fused_step(circuit, *computing._batch())
    theirs = references.jax_step(circuit, *computing._batch(), computing.N_CLASSES, vector.copy())
    for _ in range(5):
        ours()
        assert np.allclose(vector, theirs(), atol=1e-5)


def test_without_jax_the_comparison_is_left_out_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(computing, "find_spec", lambda _: None)
    with caplog.at_level(logging.INFO):
        assert list(computing.against_jax((2,), repeats=1)) == []
    assert "JAX, which is not installed" in caplog.text


def test_noise_is_simulated_beside_pennylane_as_far_as_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "NOISY_TARGETS_S", {3: 1.0})
    with_reference, without_reference = computing.noisy((2, 3), repeats=1)
    check(with_reference)
    check(without_reference)
    assert (with_reference.reference is None, without_reference.reference is None) == (False, True)


@pytest.mark.skipif(find_spec("qiskit") is None, reason="qiskit is not installed: pip install qiskit")
def test_gates_are_counted_beside_qiskit_on_every_chip() -> None:
    measurements = list(computing.against_qiskit(circuits=2, seeds=1))
    assert [measurement.case.partition(",")[0] for measurement in measurements] == [
        name for name in DEVICES if name != "all-to-all"
    ]
    for measurement in measurements:
        check(measurement)
        assert measurement.reference is not None and measurement.ratio == pytest.approx(
            measurement.reference / measurement.value
        )


def test_without_qiskit_the_comparison_is_left_out_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(computing, "find_spec", lambda _: None)
    with caplog.at_level(logging.INFO):
        assert list(computing.against_qiskit(circuits=1, seeds=1)) == []
    assert "Qiskit, which is not installed" in caplog.text


def test_a_training_takes_more_than_its_kernels() -> None:
    whole, around = computing.trainings(("iris",), circuits=20)
    check(whole)
    assert 0 < around.value < whole.value
    assert (whole.case, around.case) == ("iris, mean of 20 circuits",) * 2


@pytest.mark.slow
def test_counters_are_compared_on_the_same_circuits() -> None:
    check(computing.flops_counters(profiled=2))
    with pytest.raises(AssertionError, match="must give the same FLOPs"):
        computing.flops_counters(profiled=1, counter=lambda circuit: profiler_flops(circuit) + 1)


def test_a_search_is_measured_against_the_same_genomes_by_hand() -> None:
    measurement = trials.search("wine", trials=2)
    check(measurement)
    assert measurement.case == "wine"


@pytest.mark.slow
def test_the_overhead_of_a_trial_is_measured_while_a_study_grows(storage_url: str) -> None:
    first, second = trials.trial_overhead(storage_url, (60, 150))
    check(first)
    check(second)
    assert first.ratio is None
    assert second.reference == first.value


@pytest.mark.slow
def test_a_crowd_works_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "CROWD", 2)
    measurement = crowds.crowd(trials=100)
    check(measurement)
    assert measurement.unit == "trials/s"


@pytest.mark.slow
def test_memory_is_the_workers_own(tmp_path: Path) -> None:
    # Memory of this process must not be counted as the worker's; touching each page makes it resident.
    ballast = bytearray(700 * 1024**2)
    ballast[::4096] = b"x" * len(ballast[::4096])
    megabytes = commands.start(tmp_path, "iris", "--population", "2", "--generations", "1")
    assert 100 < megabytes < 700


def test_the_table_shows_every_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    print_bench(
        [
            Measurement(what="a", case="first", value=1.234, unit="ms", reference=12.34, ratio=10, target=">= 2 x", met=True),
            Measurement(what="b", case="second", value=5, unit="MB", target="< 4 MB", met=False),
        ]
    )
    header, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header == ["measurement", "value", "reference", "ratio", "target", "met", "case"]
    assert first == ["a", "1.23", "ms", "12.3", "ms", "10.0", ">=", "2", "x", "yes", "first"]
    assert second == ["b", "5", "MB", "–", "–", "<", "4", "MB", "no", "second"]


@pytest.mark.slow
def test_loading_a_table_and_asking_it_are_measured(iris: DataSplits, tmp_path: Path) -> None:
    tables.make(tmp_path / "iris.parquet", iris)
    measurements = list(lookups(tmp_path / "iris.parquet"))
    assert [measurement.what for measurement in measurements] == ["loading a table", "a query of a table"]
    for measurement in measurements:
        check(measurement)


def test_the_command_prints_what_was_measured(module_here: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    measurement = Measurement(what="a", case="first", value=1.234, unit="ms", target="<= 2 ms", met=True)

    def measure(*, quick: bool, server: str | None) -> list[Measurement]:
        assert quick and server is None
        return [measurement]

    monkeypatch.setattr(suite, "measure", measure)
    code, out, err = module_here("benchmarks", "--quick", "--json")
    assert code == 0 and "measured: a, first\n" in err
    assert json.loads(out)["measurements"] == [asdict(measurement)] and json.loads(out)["schema_version"] == 1
    code, out, _ = module_here("benchmarks", "--quick")
    assert code == 0 and out.splitlines()[1].split()[:3] == ["a", "1.23", "ms"]


def test_an_unknown_option_is_refused(module_here: RunModule) -> None:
    assert module_here("benchmarks", "--bogus") == (2, "", "Error: No such option '--bogus'.\n")
