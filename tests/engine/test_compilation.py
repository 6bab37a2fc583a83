import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import faqnas_optuna
from faqnas_optuna.engine.compilation import kernel_cache
from tests.conftest import TIMEOUT_S, cli_environment

PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
from faqnas_optuna.config import Engine
from faqnas_optuna.engine.fused import backward, forward, load_kernels, train_epoch
from faqnas_optuna.learning.evaluation import prepare
prepare(Engine.FAST)
load_kernels()
print("torch" in sys.modules)
for kernel in (forward, backward, train_epoch):
    print(sum(kernel.stats.cache_misses.values()), sum(kernel.stats.cache_hits.values()))
"""


def start(cache: Path) -> subprocess.Popen[str]:
    environment = cli_environment({"XDG_CACHE_HOME": str(cache)})
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> list[str]:
    try:
        out, _ = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    assert process.returncode == 0
    return out.splitlines()


@pytest.mark.slow
def test_of_several_workers_on_a_cold_cache_one_compiles(tmp_path: Path) -> None:
    outputs = [finish(process) for process in [start(tmp_path) for _ in range(3)]]
    said = "compiling the fast engine, once; this takes some ten seconds"
    assert sorted(output.count(said) for output in outputs) == [0, 0, 1]
    # The second kernel is compiled in yet another process, and the FLOPs, which need torch, are counted in one.
    assert sorted(output[-4:] for output in outputs) == [["False", "0 1", "0 0", "0 1"]] * 2 + [["False", "1 0", "0 1", "1 0"]]
    assert finish(start(tmp_path)) == ["False", "0 1", "0 0", "0 1"]


def test_each_installation_has_kernels_of_its_own(tmp_path: Path) -> None:
    """Numba would compile those of another, in every worker and without a word."""

    def directory() -> str:
        program = "from faqnas_optuna.engine.compilation import kernel_cache; print(kernel_cache())"
        found = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        return found.stdout.strip()

    shutil.copytree(Path(faqnas_optuna.__file__).parent, tmp_path / "faqnas_optuna")
    first = directory()
    assert directory() == first != str(kernel_cache())
    (tmp_path / "faqnas_optuna" / "engine" / "gates.py").touch()
    assert directory() != first


def test_without_a_directory_to_write_to_it_compiles_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    program = "from faqnas_optuna.circuits.genome import *; from faqnas_optuna.engine.statevector import expectations as z\n"
    program += "import numpy as np; circuit = Circuit(n_qubits=2, embedding=Embedding.AMPLITUDE, entangler=Entangler.CZ, "
    program += "topology=Topology.LINEAR, rotations=(Rotation.RZ,)); print(z(np.eye(2), np.ones((1, 2)), circuit))"
    environment = cli_environment({"XDG_CACHE_HOME": str(tmp_path / "file"), "HOME": str(tmp_path / "file")})
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert finished.stdout.strip() == "[[ 1.  1.]\n [ 1. -1.]]"
    assert os.listdir(tmp_path) == ["file"]
