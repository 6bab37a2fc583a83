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
from faqnas_optuna.engine.fused import load_kernels, train_epoch
load_kernels()
load_kernels()
from faqnas_optuna.engine import fused
fused._warm_up()
print("misses", sum(train_epoch.stats.cache_misses.values()))
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
    said = "compiling the fast engine, once; this takes about half a minute"
    assert sorted(output.count(said) for output in outputs) == [0, 0, 1]
    assert sorted(output[-1] for output in outputs) == ["misses 0", "misses 0", "misses 1"]
    assert finish(start(tmp_path)) == ["misses 0"]


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
    program = "from faqnas_optuna.engine.gates import collect_z; import numpy as np; w = np.zeros((1, 2)); "
    program += "collect_z(np.array([[3.0, 1], [1, 2]]), w); print(w)"
    environment = cli_environment({"XDG_CACHE_HOME": str(tmp_path / "file"), "HOME": str(tmp_path / "file")})
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert finished.stdout.strip() == "[[ 2. -1.]]"
    assert os.listdir(tmp_path) == ["file"]
