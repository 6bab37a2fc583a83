import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit
from faqnas_optuna.data.splits import DataSplits
from studies.claims.measuring import CLAIMS, Verdict
from tests.support.benchmarks import made_up_table
from tests.support.modules import ROOT, RunModule
from tests.support.modules import module_here as module_here
from tests.support.processes import TIMEOUT_S, cli_environment

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def claims(module_here: RunModule) -> Cli:
    """Run `python -m studies.claims` in this process."""
    return partial(module_here, "studies.claims")


@pytest.fixture(scope="module")
def file(iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a made-up table of the whole space, in which accuracy grows with the number of qubits."""

    def right(circuits: Sequence[Circuit], shape: tuple[int, ...]) -> NDArray[Any]:
        qubits = np.array([circuit.n_qubits for circuit in circuits])
        return qubits[:, np.newaxis, np.newaxis, np.newaxis] * 2 + np.random.default_rng(0).integers(0, 9, shape)

    return made_up_table(tmp_path_factory.mktemp("tables") / "iris.parquet", iris, right, seeds=4, epochs=10).file


@pytest.mark.slow
def test_claims_are_measured_and_written(file: Path, claims: Cli, tmp_path: Path) -> None:
    code, out, err = claims(str(file), "--searches", "2", "--out", "claims.md", "--json")
    assert code == 0 and "wrote claims.md and 6 figures in claims" in err, err
    document = json.loads(out)
    (table,) = document["tables"]
    assert document["schema_version"] == 1 and [one["epochs"] for one in table["after"]] == [5, 10]
    assert set(table["after"][0]["verdicts"]) == {claim.number for claim in CLAIMS}
    assert table["after"][0]["verdicts"]["1a"] == Verdict.HOLDS
    assert set(table["agreements"]) == {"5"} and len(table["prices"]) == len(table["after"][0]["saturation"]["curve"])

    text = (tmp_path / "claims.md").read_text()
    correlation = table["after"][0]["decomposition"]["flops"]
    assert f"| iris | 5 | {correlation['value']:.2f} ({correlation['low']:.2f} to {correlation['high']:.2f}) |" in text
    assert (
        "Written by `python -m studies.claims " in text
        and "| 1a | Circuits with more quantum FLOPs are more accurate | **holds** |" in text
    )
    figures = {path.name: path.read_bytes() for path in (tmp_path / "claims").iterdir()}
    assert all(f"](claims/{name})" in text for name in figures) and len(figures) == 6

    for name, figure in figures.items():
        assert outside(figure) == [], name

    # A run in one process must write the same bytes.
    code, out, err = claims(str(file), "--searches", "2", "--workers", "1", "--out", "again.md")
    assert code == 0 and "After 5 epochs" in out and "does not hold" in out
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == figures
    assert (tmp_path / "again.md").read_text().split("\n## 1.")[1].replace("(again/", "(claims/") == text.split("\n## 1.")[1]


def outside(figure: bytes) -> list[str]:
    """Return the texts of an SVG figure that start outside of it, or end outside by a generous estimate of their width."""
    root = ElementTree.fromstring(figure)
    _, _, width, _ = map(float, root.attrib["viewBox"].split())
    cut = []
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        place = re.search(r"translate\(([-\d.]+) ", element.attrib.get("transform", ""))
        start = float(place[1]) if place else float(element.attrib.get("x", 0))
        text = "".join(element.itertext())
        if not 0 <= start <= width - 3 * len(text) and "rotate(-90)" not in element.attrib.get("transform", ""):
            cut.append(text)
    return cut


REFUSED: dict[tuple[str, ...], str] = {
    ("--out", "claims.txt"): "--out must end with .md, since the report is Markdown; it is claims.txt",
    ("--out", "absent/claims.md"): "absent/claims.md: directory absent does not exist; create it first",
}


@pytest.mark.slow
@pytest.mark.parametrize("options", REFUSED, ids=" ".join)
def test_what_cannot_be_written_is_refused(options: tuple[str, ...], file: Path, claims: Cli) -> None:
    code, out, err = claims(str(file), *options)
    assert (code, out) == (2, "") and REFUSED[options] in err and len(err.splitlines()) == 1


def test_other_tables_are_refused(claims: Cli) -> None:
    code, _, err = claims("absent")
    assert code == 2 and "there is no bundled table of 'absent'" in err


@pytest.mark.slow
def test_a_file_in_the_place_of_the_figures_is_told_before_anything_is_done(file: Path, claims: Cli, tmp_path: Path) -> None:
    (tmp_path / "claims").touch()
    code, out, err = claims(str(file), "--out", "claims.md")
    assert (code, out) == (2, "") and "its figures need a directory claims, but a file has that name" in err


@pytest.mark.slow
def test_the_command_of_the_documents_runs(claims: Cli, tmp_path: Path) -> None:
    (command,) = re.findall(r"^\$ python -m studies.claims (.*)$", (ROOT / "docs/tables.md").read_text(), re.MULTILINE)
    code, _, err = claims(*shlex.split(command))
    assert code == 0, err
    assert (tmp_path / "claims.md").exists()


@pytest.mark.slow
def test_a_signal_ends_it_and_nothing_is_written(file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "studies.claims", str(file), "--searches", "1000", "--out", str(tmp_path / "claims.md")]
    with subprocess.Popen(
        command, cwd=ROOT, env=cli_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == "claims: 0 of 4,000 replays\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "") and err.endswith("interrupted; nothing was written\n")
    assert not (tmp_path / "claims.md").exists() and not (tmp_path / "claims").exists()


PROGRAM = """
import os, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__")
finally:
    print(os.environ["OMP_NUM_THREADS"], *(name for name in ("torch", "numba", "sklearn") if name in sys.modules))
"""
"""Program that runs a module as a command, then prints the number of threads and the large packages imported."""


@pytest.mark.parametrize("arguments", [("whine",), ("--out", "claims.txt"), ("--help",)], ids=" ".join)
def test_refusals_set_one_thread_and_load_nothing_large(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", PROGRAM, "studies.claims", *arguments]
    environment = {name: value for name, value in cli_environment().items() if name != "OMP_NUM_THREADS"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0 if "--help" in arguments else 2, "1")
