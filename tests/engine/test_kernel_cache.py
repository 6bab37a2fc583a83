import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faqnas_optuna.circuits.genome import Circuit, Embedding, Entangler, Rotation, Topology
from faqnas_optuna.engine import kernel_cache
from faqnas_optuna.engine.kernel_cache import KERNELS, kernel, kernels_digest
from faqnas_optuna.engine.statevector import expectations
from tests.support.forked import ForkedCall
from tests.support.processes import TIMEOUT_S, cli_environment
from tests.support.sampling import mostly_slow


@pytest.mark.parametrize("file", KERNELS)
def test_an_edit_of_any_kernel_asks_for_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    engine = Path(kernel_cache.__file__).parent
    shutil.copytree(engine, tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kernel_cache, "__file__", str(tmp_path / "engine" / "kernel_cache.py"))
    # Numba itself checks only the file of the outermost function. The digest is cached per process: bypass that.
    uncached_digest = kernels_digest.__wrapped__
    assert uncached_digest() == kernels_digest()
    with (tmp_path / "engine" / file).open("a") as source:
        source.write("\n")
    assert uncached_digest() != kernels_digest()


def test_every_file_with_kernels_is_part_of_the_digest() -> None:
    sources = Path(kernel_cache.__file__).parent.glob("*.py")
    assert {path.name for path in sources if re.search(r"^@(jit|kernel)$", path.read_text(), re.MULTILINE)} == {*KERNELS}


def test_another_processor_asks_for_another_cache() -> None:
    program = "from faqnas_optuna.engine.kernel_cache import kernels_digest; print(kernels_digest())"
    environment = cli_environment({"NUMBA_CPU_NAME": "generic"})
    process = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert process.stdout.strip() != str(kernels_digest())


def twice(x: Any) -> Any:
    """Return twice a number; a kernel that compiles quickly."""
    return 2 * x


def call_twice() -> tuple[list[float], int, list[str]]:
    """Call the kernel twice and return its values, the number of cache hits, and the log messages."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(kernel_cache.__name__).addHandler(handler)
    compiled: Any = kernel(twice)
    values = [float(compiled(np.float32(21))) for _ in range(2)]
    return values, sum(compiled.stats.cache_hits.values()), messages


def warm(cache: Path) -> tuple[bool, list[str]]:
    """Return whether a new process finds the kernel in a cache directory, and its log messages."""
    values, hits, messages = ForkedCall(call_twice, env=cli_environment({"XDG_CACHE_HOME": str(cache)})).result()
    assert values == [42, 42]
    return bool(hits), messages


@pytest.mark.parametrize("damage", mostly_slow([b"half", b"", None]))
def test_damaged_machine_code_is_compiled_anew(tmp_path: Path, damage: bytes | None) -> None:
    assert warm(tmp_path) == (False, [])
    (file,) = tmp_path.rglob("*.kernel")
    whole = file.read_bytes()
    # Without `damage` a single bit is flipped.
    file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:] if damage is None else damage)
    assert warm(tmp_path) == (False, [f"{file} is damaged; compiling it again"])
    assert warm(tmp_path) == (True, [])


def test_where_nothing_can_be_written_it_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    is_found, messages = warm(tmp_path / "file")
    assert not is_found
    (message,) = messages
    assert "cannot store the compiled engine" in message and "XDG_CACHE_HOME" in message
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_what_another_user_has_compiled_is_used(open_directory: Path) -> None:
    assert warm(open_directory) == (False, [])
    environment = cli_environment({"XDG_CACHE_HOME": str(open_directory), "HOME": "/"})
    assert ForkedCall(call_twice_as, 65534, env=environment).result() == ([42, 42], 1, [])


def call_twice_as(user: int) -> tuple[list[float], int, list[str]]:
    """Call the kernel twice as another user."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    return call_twice()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a small file system")
def test_a_full_disk_is_told_and_does_no_harm(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(tmp_path)], check=True, timeout=TIMEOUT_S)
    try:
        is_found, messages = warm(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True, timeout=TIMEOUT_S)
    assert not is_found
    (message,) = messages
    assert message.startswith("cannot store the compiled engine") and "No space left on device" in message


@pytest.mark.slow
def test_without_a_directory_to_write_to_it_compiles_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    # The optimisation level, low to compile quickly, does not affect the values.
    changes = {"XDG_CACHE_HOME": str(tmp_path / "file"), "HOME": str(tmp_path / "file"), "NUMBA_OPT": "0"}
    assert ForkedCall(expectations_of_both_bits, env=cli_environment(changes)).result() == [[1, 1], [1, -1]]
    assert os.listdir(tmp_path) == ["file"]


def expectations_of_both_bits() -> list[list[float]]:
    """Return ⟨Z⟩ of the first two basis states of two qubits."""
    circuit = Circuit(
        n_qubits=2,
        embedding=Embedding.AMPLITUDE,
        entangler=Entangler.CZ,
        topology=Topology.LINEAR,
        rotations=(Rotation.RZ,),
    )
    values: list[list[float]] = expectations(np.eye(2), np.ones((1, 2)), circuit).tolist()
    return values
