import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from faqnas_optuna.errors import OutputError
from faqnas_optuna.files import write_atomically, write_folder
from tests.support.processes import TIMEOUT_S


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "front.csv"
    path.write_text("old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["front.csv"]


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the order of writing: otherwise a power failure could leave an empty file or part of a folder under the name."""
    synced: list[int] = []

    def checked(rename: Callable[[Path, Path], None], old: Path, new: Path) -> None:
        assert {entry.stat().st_ino for entry in (old, *old.rglob("*"))} <= {*synced}
        rename(old, new)

    monkeypatch.setattr(os, "replace", partial(checked, os.replace))
    monkeypatch.setattr(os, "rename", partial(checked, os.rename))
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    write_atomically(tmp_path / "front.csv", b"new")
    assert synced[-1] == tmp_path.stat().st_ino
    synced.clear()
    write_folder(tmp_path / "model", {"model.json": b"{}", "README.md": b"a model"})
    assert synced[-1] == tmp_path.stat().st_ino
    assert {entry.name: entry.read_bytes() for entry in (tmp_path / "model").iterdir()} == {
        "model.json": b"{}",
        "README.md": b"a model",
    }


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


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_what_is_open_already_is_written_at_its_position(tmp_path: Path, name: str) -> None:
    """Write to a file, which is neither replaced nor truncated, and to a pipe."""
    program = (
        "import sys; from pathlib import Path; from faqnas_optuna.files import write_atomically\nprint('before', flush=True)\n"
    )
    program += f"write_atomically(Path({name!r}), b'in between\\n')\nprint('after')"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, timeout=TIMEOUT_S, check=True)
    piped = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert (tmp_path / "out").read_text() == piped.stdout == "before\nin between\nafter\n"


def test_a_pipe_of_the_shell_is_written(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from faqnas_optuna.files import write_atomically; "
    program += "write_atomically(Path(sys.argv[1]), b'new')"
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} >(cat > {shlex.quote(str(tmp_path / 'out'))}); wait $!"
    subprocess.run(["bash", "-c", line], timeout=TIMEOUT_S, check=True)
    assert (tmp_path / "out").read_text() == "new"


def test_a_file_keeps_its_mode_and_group(tmp_path: Path) -> None:
    path = tmp_path / "front.csv"
    path.write_text("old")
    path.chmod(0o664)
    groups = [group for group in os.getgroups() if group != path.stat().st_gid] or [path.stat().st_gid]
    os.chown(path, -1, groups[0])
    write_atomically(path, b"new")
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o664, groups[0])


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
