import os
from pathlib import Path

import pytest

from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "front.csv"
    path.write_text("old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["front.csv"]


def test_a_link_keeps_pointing_at_its_file(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert pipe.is_fifo()


def test_the_longest_name_a_file_system_takes_is_taken(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("path", "reason"), [("absent/x", "No such file"), ("file/x", "Not a directory"), (".", "Is a directory")]
)
def test_where_nothing_can_be_written_is_said(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match=f"cannot write .*: {reason}"):
        write_atomically(tmp_path / path, b"new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("file", "kept")]
