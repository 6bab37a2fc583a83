"""Made-up files in the format of MNIST."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from faqnas_optuna.data.idx_files import IDX_FILES


def idx_bytes(shape: tuple[int, ...], values: np.ndarray) -> bytes:
    """Return an IDX file of unsigned bytes."""
    # Magic number: two zeros, 8 for unsigned bytes, the number of dimensions; then the sizes, most significant byte first.
    return bytes((0, 0, 8, len(shape))) + np.array(shape, dtype=">u4").tobytes() + values.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def idx_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory with four files of MNIST's format and size, two of them compressed with gzip."""
    directory = tmp_path_factory.mktemp("mnist")
    random = np.random.default_rng(0)
    for name, shape in IDX_FILES.items():
        high = 256 if len(shape) == 3 else 10
        # Some random bytes, repeated: random bytes for all images would take seconds.
        values = np.resize(random.integers(0, high, 28 * 28 * 7, dtype=np.uint8), shape)
        content = idx_bytes(shape, values)
        # Both forms must be read, and the test part is the smaller one.
        if "t10k" in name:
            (directory / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
        else:
            (directory / name).write_bytes(content)
    return directory
