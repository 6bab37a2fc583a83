"""That `bench` measures what it says; how fast anything is, is not the tests' business."""

from pathlib import Path

import pytest

from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.cli.display import print_bench
from faqnas_optuna.evidence import bench
from faqnas_optuna.evidence.bench import Measurement


def check(measurement: Measurement) -> None:
    assert measurement.value > 0
    assert measurement.unit
    assert measurement.met is not None
    assert (measurement.reference is None) == (measurement.ratio is None)


def test_steps_are_measured_for_every_frame() -> None:
    measured = list(bench._steps((2,), repeats=1))
    assert len(measured) == 2 * 4
    assert {one.case for one in measured} == {f"2 qubits, {e}, {g}" for e in ("angle", "amplitude") for g in ("CNOT", "CZ")}
    for one in measured:
        check(one)
        assert one.ratio == pytest.approx((one.reference or 0) / one.value)


def test_counters_are_compared_on_the_same_circuits() -> None:
    check(bench._flops_counters(profiled=2))
    with pytest.raises(AssertionError, match="torch.profiler counts other FLOPs"):
        bench._flops_counters(profiled=1, counter=lambda circuit: profiler_flops(circuit) + 1)


def test_a_search_is_measured_against_the_same_genomes_by_hand() -> None:
    measured = bench._search("wine", trials=2)
    check(measured)
    assert measured.case == "wine"


def test_the_rest_of_a_trial_is_measured_at_several_sizes() -> None:
    first, second = bench._rest_of_a_trial((60, 200))
    check(first)
    check(second)
    assert first.ratio == 1
    assert second.reference == first.value


def test_memory_is_the_workers_own(tmp_path: Path) -> None:
    ballast = bytearray(700 * 1024**2)
    ballast[::4096] = b"x" * len(ballast[::4096])
    megabytes = bench._command(tmp_path, "iris", "--population", "2", "--generations", "1")
    assert 100 < megabytes < 700


def test_the_table_shows_every_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    print_bench(
        [
            Measurement(what="a", case="first", value=1.234, unit="ms", reference=12.34, ratio=10, target=">= 2 x", met=True),
            Measurement(what="b", case="second", value=5, unit="MB", target="< 4 MB", met=False),
        ]
    )
    header, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header == ["what", "ours", "reference", "ratio", "target", "met", "case"]
    assert first == ["a", "1.23", "ms", "12.3", "ms", "10.0", ">=", "2", "x", "yes", "first"]
    assert second == ["b", "5", "MB", "–", "–", "<", "4", "MB", "no", "second"]
