"""Hostile and malformed files: one line that names the remedy, exit code 2, and no files left behind."""

import gzip
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faqnas_optuna.data import csv_files
from faqnas_optuna.data.reading import read_source
from faqnas_optuna.errors import DataError
from tests.support.bad_files import BAD, write
from tests.support.processes import TIMEOUT_S

MEMORY = 3 * 2**30
"""Bytes: more than numpy, pandas and scikit-learn reserve, and less than any of the bombs would take."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "a gzip bomb" else name for name in BAD]
)
def test_a_bad_file_is_refused_in_one_line(name: str, tmp_path: Path, cli_here: Callable[..., tuple[int, str, str]]) -> None:
    file, _, message = BAD[name]
    write(tmp_path, name)
    target = ("--target", "y") if not file.endswith(".npz") else ()
    code, out, err = cli_here("start", file, *target)
    assert (code, out) == (2, ""), err
    assert message in err and err.startswith("Error: ") and err.count("\n") == 1 and len(err) < 500
    assert {path.name for path in tmp_path.iterdir()} == {file}


def test_a_small_file_that_expands_beyond_the_maximum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the maximum, because the 513 MiB of the real bomb take over a second to expand."""
    monkeypatch.setattr(csv_files, "MAX_FILE_BYTES", 2**20)
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(bytes(2**20 + 1)))
    with pytest.raises(DataError, match="expands to more than 1 MiB"):
        read_source(tmp_path / "d.csv.gz")


def test_there_are_fifty() -> None:
    assert len(BAD) >= 50


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, cli_here: Callable[..., tuple[int, str, str]]) -> None:
    (tmp_path / "directory.csv").mkdir()
    subprocess.run(["mkfifo", tmp_path / "pipe.csv"], check=True, timeout=TIMEOUT_S)
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    for name in ("directory.csv", "pipe.csv", "device.csv"):
        code, _, err = cli_here("start", name, "--target", "y")
        assert code == 2 and "is not a regular file" in err
    code, _, err = cli_here("start", "absent.csv", "--target", "y")
    assert code == 2 and "cannot find absent.csv in" in err and "--data-dir" in err


HUGE = """
import sys
from pathlib import Path
import numpy, pandas, pyarrow, pyarrow.parquet, sklearn.model_selection
from faqnas_optuna.data.reading import read_source
from faqnas_optuna.errors import DataError
for name in sys.argv[1:]:
    try:
        read_source(Path(name))
    except DataError as error:
        print(error)
    else:
        print("read")
"""


def sparse_csv(path: Path) -> None:
    """Write a header line into a sparse file of 6 GB."""
    with path.open("wb") as file:
        file.write(b"a,b,y\n")
        file.truncate(6 * 10**9)


def dense_csv(path: Path) -> None:
    """Write hardly anything but separators: missing values in few bytes."""
    path.write_bytes(b"a,b,y\n" + b",,\n" * (130 * 2**20 // 3))


def parquet_of_one_value(path: Path) -> None:
    """Write 6·10⁷ equal samples, which take almost no space."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([("a", pyarrow.int8()), ("y", pyarrow.int8())])
    chunk = pyarrow.table({name: pyarrow.repeat(pyarrow.scalar(1, pyarrow.int8()), 10**7) for name in schema.names}, schema)
    with parquet.ParquetWriter(path, schema) as writer:
        for _ in range(6):
            writer.write_table(chunk, row_group_size=10**7)


def parquet_of_one_text(path: Path) -> None:
    """Write 4 GB of text, compressed to less than 1 MiB."""
    import pyarrow
    from pyarrow import parquet

    chunk = pyarrow.table({"a": ["x" * 10**6] * 50, "y": [0, 1] * 25})
    with parquet.ParquetWriter(path, chunk.schema, compression="zstd") as writer:
        for _ in range(80):
            writer.write_table(chunk)
    assert path.stat().st_size < 2**20


@pytest.mark.slow
def test_a_huge_file_takes_no_memory(tmp_path: Path) -> None:
    """Read all files in one process, because importing the readers takes longer than refusing a file."""
    files = {
        "sparse.csv": sparse_csv,
        "dense.csv": dense_csv,
        "value.parquet": parquet_of_one_value,
        "text.parquet": parquet_of_one_text,
    }
    for name, make in files.items():
        make(tmp_path / name)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    command = [sys.executable, "-c", HUGE, *(str(tmp_path / name) for name in files)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, preexec_fn=limit)
    *refusals, last = process.stdout.splitlines()
    assert (len(refusals), last, process.returncode) == (3, "read", 0), process.stderr
    for name, refusal in zip(files, refusals, strict=False):
        assert name in refusal and "the maximum is" in refusal
