"""`enumerate` as a process: interrupted, killed and refused."""

import hashlib
import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from faqnas_optuna.cli.console import show_work
from faqnas_optuna.tables.schema import read_document
from tests.conftest import TIMEOUT_S, RunCli
from tests.support.crew import wait_until
from tests.support.forked import Forked

Cli = Callable[..., tuple[int, str, str]]

SMALL = ("enumerate", "iris", "--fraction", "0.001", "--repeats", "2", "--workers", "1")


@pytest.mark.slow
def test_a_table_is_made_once(cli_here: Cli, tmp_path: Path) -> None:
    code, out, err = cli_here(*SMALL, "--epochs", "2")
    file = tmp_path / "iris.table.parquet"
    content = file.read_bytes()
    assert code == 0 and "iris: 288 of 288 trainings" in err
    assert out.splitlines() == [
        "iris.table.parquet: 316 circuits, 144 of them trained from 2 seeds",
        f"{len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}",
    ]
    assert read_document(file)["protocol"]["split_seed"] == 0
    code, out, err = cli_here(*SMALL, "--epochs", "2", "--json")
    document = json.loads(out)
    assert code == 0 and err == "" and file.read_bytes() == content
    assert document["sha256"] == hashlib.sha256(content).hexdigest() and document["trainings"] == 288
    code, _, err = cli_here(*SMALL, "--epochs", "2", "--split-seed", "1")
    assert code == 3 and "iris.table.parquet is another table: data_fingerprint: stored " in err


def has_parts(folder: Path, count: int) -> bool:
    """Return whether at least `count` parts are stored."""
    return len([*folder.glob("*.npz")]) >= count


@pytest.mark.slow
def test_it_survives_ctrl_c_and_kills(fork_cli: Callable[..., Forked], run_forked: RunCli, tmp_path: Path) -> None:
    """Check that repeating the command continues and writes the same file as an uninterrupted run."""
    whole, broken = (("--epochs", "5", "--out", f"{name}.parquet") for name in ("whole", "broken"))
    assert run_forked(*SMALL, *whole).returncode == 0
    parts = tmp_path / "broken.parquet.parts"
    for number, count in ((signal.SIGINT, 3), (signal.SIGKILL, 9)):
        process = fork_cli(*SMALL, *broken)
        wait_until(partial(has_parts, parts, count), TIMEOUT_S, f"{count} parts")
        process.send_signal(number)
        _, err = process.communicate(timeout=TIMEOUT_S)
        if number == signal.SIGINT:
            assert process.returncode == 130
            assert "SIGINT: leaving\ninterrupted. Finished trainings are kept; repeat the command to resume\n" in err
            assert not [*parts.glob("*.tmp")]
    # A kill during a write may leave a temporary file, which is deleted with the folder at the end.
    assert not (tmp_path / "broken.parquet").exists()
    finished = run_forked(*SMALL, *broken)
    assert finished.returncode == 0 and "iris: 0 of" not in finished.stderr
    assert (tmp_path / "broken.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not parts.exists()


REFUSED = [
    (["whine"], 2, "unknown data set 'whine': did you mean 'wine'?"),
    (["iris", "--out", "iris.csv"], 2, "a table is a Parquet file, so --out must end with .parquet; it is iris.csv"),
    (["iris", "--out", "absent/iris.parquet"], 2, "absent/iris.parquet: directory absent does not exist; create it first"),
    (["mine.parquet", "--target", "y", "--out", "mine.parquet"], 2, "mine.parquet is the data file; give another --out"),
    (["iris", "--dask", "tcp://127.0.0.1:1", "--workers", "2"], 2, "--dask uses all threads of its cluster"),
    (["iris", "--fraction", "0"], 2, "0.0 is not in the range 0<x<=1"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_cannot_be_made_is_refused(arguments: list[str], code: int, message: str, cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.parquet").write_text("")
    exit_code, out, err = cli_here("enumerate", *arguments)
    assert (exit_code, out) == (code, "") and message in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.parquet"]


def test_how_far_it_is_and_when_it_ends_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = iter([0.0, 10.0, 12.0, 7_220.0, 7_230.0])
    monkeypatch.setattr("faqnas_optuna.cli.console.time.monotonic", lambda: next(clock))
    with (tmp_path / "err").open("w") as file, show_work("wine", "training", 3_000, console=Console(file=file)) as update:
        for count in (1_000, 1_500, 1_600, 2_000, 3_000):
            update(count)
    lines = (tmp_path / "err").read_text().splitlines()
    assert [line.partition(" · ends at ")[0] for line in lines] == [
        f"wine: {count} of 3,000 trainings" for count in ("1,000", "1,500", "2,000", "3,000")
    ]
    assert ["ends at" in line for line in lines] == [False, True, True, False]
