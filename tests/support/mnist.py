"""Files of MNIST's form, with images that are made up."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from faqnas_optuna.data.idx_files import IDX_FILES


def written(shape: tuple[int, ...], values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    return bytes((0, 0, 8, len(shape))) + np.array(shape, dtype=">u4").tobytes() + values.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def idx_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files of MNIST's form and size, with made-up images; two of them gzipped."""
    directory = tmp_path_factory.mktemp("mnist")
    random = np.random.default_rng(0)
    for name, shape in IDX_FILES.items():
        high = 256 if len(shape) == 3 else 10
        # One random image or ten labels, repeated: random bytes for all would take seconds.
        values = np.resize(random.integers(0, high, 28 * 28 * 7, dtype=np.uint8), shape)
        content = written(shape, values)
        if "t10k" in name:
            (directory / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
        else:
            (directory / name).write_bytes(content)
    return directory
