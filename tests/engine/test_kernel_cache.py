import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import faqnas_optuna
from faqnas_optuna.engine.kernel_cache import kernels_digest
from tests.conftest import TIMEOUT_S, cli_environment

PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
from faqnas_optuna.config import Engine
from faqnas_optuna.engine.fused import backward, forward, load_kernels, train_epoch
from faqnas_optuna.training.evaluation import prepare
prepare((Engine.FAST,))
load_kernels()
print("torch" in sys.modules)
for kernel in (forward, backward, train_epoch):
    print(sum(kernel.stats.cache_misses.values()), sum(kernel.stats.cache_hits.values()))
"""


def start(cache: Path) -> subprocess.Popen[str]:
    # Who compiles and who waits does not depend on how well: without optimization it takes less.
    environment = cli_environment({"XDG_CACHE_HOME": str(cache), "NUMBA_OPT": "0"})
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
    # That one has others do it, whatever it is; and the FLOPs, which need torch, are counted in one.
    assert [output[-4:] for output in outputs] == [["False", "0 1", "0 0", "0 1"]] * 3
    assert finish(start(tmp_path)) == ["False", "0 1", "0 0", "0 1"]


def test_an_edit_of_any_kernel_asks_for_another_cache(tmp_path: Path) -> None:
    """Numba would look at the file of the outermost function alone."""

    def directory() -> str:
        program = "from faqnas_optuna.engine.kernel_cache import kernels_digest; print(kernels_digest())"
        found = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        return found.stdout.strip()

    shutil.copytree(Path(faqnas_optuna.__file__).parent, tmp_path / "faqnas_optuna")
    assert directory() == str(kernels_digest())
    with (tmp_path / "faqnas_optuna" / "engine" / "gate_kernels.py").open("a") as source:
        source.write("\n")
    assert directory() != str(kernels_digest())


def test_another_processor_asks_for_another_cache() -> None:
    program = "from faqnas_optuna.engine.kernel_cache import kernels_digest; print(kernels_digest())"
    environment = cli_environment({"NUMBA_CPU_NAME": "generic"})
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert found.stdout.strip() != str(kernels_digest())


WARM = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
import numpy as np
from faqnas_optuna.engine.kernel_cache import kernel

@kernel
def twice(x):
    return 2 * x

for _ in range(2):
    print(twice(np.float32(21)))
print(sum(twice.stats.cache_hits.values()))
"""


def warm(cache: Path) -> tuple[str, str]:
    """What a program with one small kernel prints, and what it says."""
    environment = cli_environment({"XDG_CACHE_HOME": str(cache)})
    done = subprocess.run(
        [sys.executable, "-c", WARM], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    return done.stdout, done.stderr


FOUND, COMPILED = "42.0\n42.0\n1\n", "42.0\n42.0\n0\n"


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"half", b"", None])
def test_damaged_machine_code_is_compiled_anew(tmp_path: Path, damage: bytes | None) -> None:
    assert warm(tmp_path) == (COMPILED, "")
    (kept,) = tmp_path.rglob("*.kernel")
    whole = kept.read_bytes()
    # Not only cut off: one bit of it may be another.
    kept.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:] if damage is None else damage)
    out, err = warm(tmp_path)
    assert (out, err) == (COMPILED, f"{kept} is damaged; compiling it anew\n")
    assert warm(tmp_path) == (FOUND, "")


@pytest.mark.slow
def test_where_nothing_can_be_written_it_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out, err = warm(tmp_path / "file")
    assert out == COMPILED
    assert err.count("\n") == 1
    assert "cannot keep the compiled engine" in err and "XDG_CACHE_HOME" in err
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to be another user")
def test_what_another_user_has_compiled_is_used(open_directory: Path) -> None:
    assert warm(open_directory) == (COMPILED, "")
    environment = cli_environment({"XDG_CACHE_HOME": str(open_directory), "HOME": "/"})
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*other, sys.executable, "-c", WARM], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert (done.stdout, done.stderr) == (FOUND, "")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a small file system")
def test_a_full_disk_is_told_and_does_no_harm(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(tmp_path)], check=True, timeout=TIMEOUT_S)
    try:
        out, err = warm(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True, timeout=TIMEOUT_S)
    assert out == COMPILED
    assert err.count("cannot keep the compiled engine") == 1
    assert "No space left on device" in err


@pytest.mark.slow
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
