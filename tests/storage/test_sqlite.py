import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import optuna
import pytest

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage import sqlite
from faqnas_optuna.storage.attributes import get_study_user_attrs
from faqnas_optuna.storage.opening import backend, number_of_studies, open_storage
from faqnas_optuna.storage.sqlite import file_lock
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from tests.conftest import cheap_values, copy_database, run_trials
from tests.support.other_user import another_user, needs_root
from tests.support.processes import TIMEOUT_S, cli_environment
from tests.support.sampling import mostly_slow


def test_sqlite_keeps_a_write_ahead_log(tmp_path: Path, storage_url: str) -> None:
    study = optuna.create_study(storage=open_storage(storage_url, create=True))
    study.set_user_attr("key", "value")
    assert (tmp_path / "faqnas.db-wal").exists()


def test_reading_waits_for_nobody_who_writes(tmp_path: Path, storage_url: str) -> None:
    study = optuna.create_study(storage=open_storage(storage_url, create=True), study_name="s")
    study.set_user_attr("key", "value")
    study.tell(study.ask(), 1.0)
    with closing(sqlite3.connect(tmp_path / "faqnas.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        # A new reader must not wait for the writer's lock; it would time out after a minute.
        reader = optuna.load_study(storage=open_storage(storage_url), study_name="s")
        assert [trial.values for trial in reader.get_trials()] == [[1.0]]
        assert get_study_user_attrs(reader, ("key",)) == {"key": "value"}


@pytest.mark.parametrize("kind", ["nfs4", "fuse.rclone", "fuse.s3fs", "virtiofs", "smbfs", "macfuse"])
def test_a_file_system_that_is_not_known_to_be_local_is_refused(tmp_path: Path, kind: str) -> None:
    # Real mounts are tested in tests/faults/test_mounts.py.
    with pytest.raises(StorageError, match=f"file system of type {kind}, which is not known to be local.*local disk"):
        sqlite.check_file(tmp_path / "faqnas.db", create=True, kind_of=lambda _: kind)


def test_the_kind_of_a_file_system_is_found(tmp_path: Path) -> None:
    expected = subprocess.run(["stat", "-f", "-c", "%T", "/proc"], capture_output=True, text=True, check=True).stdout.strip()
    assert sqlite.file_system(Path("/proc/version")) == expected == "proc"
    assert sqlite.file_system(tmp_path / "not" / "there.db") in sqlite.LOCAL_FILE_SYSTEMS


@pytest.mark.parametrize("create", [False, True])
def test_what_is_no_database_of_ours_is_refused_and_left_as_it_is(tmp_path: Path, create: bool) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0 JFIF")
    with closing(sqlite3.connect(tmp_path / "foreign")) as connection:
        connection.execute("CREATE TABLE customers (name)")
    before = sorted(path.name for path in tmp_path.iterdir())
    for name, reason in (
        ("directory", "is a directory"),
        ("picture", "is not an SQLite database"),
        ("foreign", "is the database of another program, with a table 'customers'"),
    ):
        with pytest.raises(StorageError, match=f"{name} {reason}; name another file with --storage"):
            open_storage(f"sqlite:///{tmp_path}/{name}", create=create)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "faqnas.db").touch()
    open_storage(f"sqlite:///{tmp_path}/faqnas.db", create=True)
    assert number_of_studies(f"sqlite:///{tmp_path}/faqnas.db") == 0


def test_the_lock_has_the_mode_of_the_database(tmp_path: Path) -> None:
    (tmp_path / "faqnas.db").touch()
    (tmp_path / "faqnas.db").chmod(0o664)
    with file_lock(tmp_path / "faqnas.db"):
        pass
    assert stat.S_IMODE((tmp_path / "faqnas.db.lock").stat().st_mode) == 0o664


@pytest.mark.parametrize(("umask", "mode"), mostly_slow([(0o077, 0o600), (0o022, 0o644), (0o002, 0o644)]))
def test_a_new_database_and_its_lock_have_one_mode(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        open_storage(f"sqlite:///{tmp_path}/faqnas.db", create=True)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"faqnas.db": mode, "faqnas.db.lock": mode}


def test_a_device_is_refused_and_no_lock_is_left_beside_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the database /dev/null is not a regular file; name another file with --storage"):
        open_storage("sqlite:////dev/null", create=True)
    assert not Path("/dev/null.lock").exists()
    os.mkfifo(tmp_path / "pipe.db")
    with pytest.raises(StorageError, match=r"pipe\.db is not a regular file"):
        open_storage(f"sqlite:///{tmp_path}/pipe.db", create=True)


def test_escapes_of_a_path_are_read_and_never_guessed(tmp_path: Path) -> None:
    for escaped, name in (("a%20b.db", "a b.db"), ("why%3F.db", "why?.db"), ("100%25.db", "100%.db")):
        open_storage(f"sqlite:///{tmp_path}/{escaped}", create=True)
        assert (tmp_path / name).exists()
    (tmp_path / "c%20d.db").touch()
    with pytest.raises(
        StorageError, match=r"there is a file \S+/c%20d\.db, but in a URL that name means .*/c d\.db; write % as %25"
    ):
        open_storage(f"sqlite:///{tmp_path}/c%20d.db", create=True)
    with pytest.raises(StorageError, match="a \\? in a path or a password is written %3F"):
        open_storage(f"sqlite:///{tmp_path}/with?q/f.db", create=True)
    assert not (tmp_path / "with").exists()


def test_what_lies_beside_a_database_lies_beside_the_file_that_a_link_means(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link.db").symlink_to("data/faqnas.db")
    link = f"sqlite:///{tmp_path}/link.db"
    with pytest.raises(StorageError, match=r"there is no database \S+/link\.db"):
        open_storage(link)
    optuna.create_study(storage=open_storage(link, create=True), study_name="s").set_user_attr("key", "value")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "link.db"]
    assert {"faqnas.db", "faqnas.db.lock", "faqnas.db-wal"} <= {path.name for path in (tmp_path / "data").iterdir()}
    assert number_of_studies(f"sqlite:///{tmp_path}/data/faqnas.db") == 1
    (tmp_path / "other.db").symlink_to("nowhere/faqnas.db")
    with pytest.raises(
        StorageError, match=r"cannot create the database \S+/other\.db: the directory \S+/nowhere does not exist"
    ):
        open_storage(f"sqlite:///{tmp_path}/other.db", create=True)


def test_a_link_that_is_led_elsewhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("first.db")
    optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/link.db", create=True), study_name="s")
    study = optuna.load_study(storage=open_storage(f"sqlite:///{tmp_path}/link.db"), study_name="s")
    shutil.copy(tmp_path / "first.db", tmp_path / "second.db")
    (tmp_path / "link.db").unlink()
    (tmp_path / "link.db").symlink_to("second.db")
    with pytest.raises(StorageError, match=r"the database \S+/link\.db was moved, deleted or replaced"):
        study.set_user_attr("key", "value")


def test_a_file_of_several_names_is_refused(search_of_eight: Search, tmp_path: Path) -> None:
    (tmp_path / "other.db").hardlink_to(tmp_path / "faqnas.db")
    for name in ("faqnas.db", "other.db"):
        with pytest.raises(StorageError, match=f"{name} has 2 hard links, .* remove the others"):
            open_storage(f"sqlite:///{tmp_path}/{name}")
    (tmp_path / "other.db").unlink()
    assert number_of_studies(f"sqlite:///{tmp_path}/faqnas.db") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a file")
def test_a_file_that_is_mounted_alone_is_refused(search_of_eight: Search, tmp_path: Path) -> None:
    """Mount the file alone, as `docker run --volume FILE:FILE` does: its log would stay in the container."""
    (mounted := tmp_path / "mounted.db").touch()
    subprocess.run(["mount", "--bind", str(tmp_path / "faqnas.db"), str(mounted)], check=True, timeout=TIMEOUT_S)
    try:
        with pytest.raises(StorageError, match=r"mounted\.db is mounted as a single file, .* mount its directory instead"):
            open_storage(f"sqlite:///{mounted}")
    finally:
        subprocess.run(["umount", str(mounted)], check=True, timeout=TIMEOUT_S)
    assert number_of_studies(f"sqlite:///{tmp_path}/faqnas.db") == 1


@pytest.mark.parametrize("url", ["sqlite:///file:faqnas.db", "sqlite:///file:faqnas.db?uri=true&mode=rwc"])
def test_a_uri_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match=r"named by a path, not by the URI file:faqnas\.db; write sqlite:///FILE\.db"):
        open_storage(url, create=True)


LOCKED = "import sys; from pathlib import Path; from faqnas_optuna.storage.sqlite import file_lock\n\
with file_lock(Path(sys.argv[1])): print('locked')"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to be another user")
def test_a_lock_of_another_says_what_its_owner_can_do(open_directory: Path) -> None:
    for name in ("faqnas.db", "faqnas.db.lock"):
        (open_directory / name).touch(mode=0o644)
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command = [*other, sys.executable, "-c", LOCKED, str(open_directory / "faqnas.db")]
    done = subprocess.run(command, env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S)
    assert f"chmod --reference={open_directory}/faqnas.db {open_directory}/faqnas.db.lock" in done.stderr.splitlines()[-1]
    assert "StorageError" in done.stderr


def read_again_and_again(url: str, answers: Connection) -> None:
    """Send the number of successful trials, at first and again for each message received."""
    state = read_state(load(open_storage(url), "iris"))
    answers.send(state.successful)
    with suppress(EOFError):
        while answers.recv():
            state.refresh()
            answers.send(state.successful)


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize(("mode", "name"), [(0o755, "faqnas.db"), (0o1777, "faqnas.db"), (0o755, "link.db")])
def test_another_user_reads_and_leaves_nothing_behind(
    database_of_eight: Path, open_directory: Path, mode: int, name: str
) -> None:
    """Check the owners of all files: a file made by the other user beside the database would block the owner's writes."""
    copy_database(database_of_eight, open_directory / "faqnas.db")
    (open_directory / "link.db").symlink_to("faqnas.db")
    open_directory.chmod(mode)
    search = load(open_storage(f"sqlite:///{open_directory}/faqnas.db"), "iris")
    url = f"sqlite:///{open_directory}/{name}"

    def read() -> int:
        with another_user(read_again_and_again, url) as reader:
            return int(reader.recv())

    # While the owner's process is open, new trials are in the log beside the file.
    run_trials(search, 1, cheap_values)
    assert (open_directory / "faqnas.db-wal").exists()
    assert read() == 9
    backend(search.study).engine.dispose()
    assert not (open_directory / "faqnas.db-wal").exists()
    assert read() == 9
    assert not [path for path in open_directory.iterdir() if path.stat().st_uid != 0]
    with another_user(read_again_and_again, url) as reader:
        assert reader.recv() == 9
        # An open reader sees new trials, while the owner's process runs and after it has ended.
        for count, has_left in ((10, False), (11, True)):
            run_trials(search, 1, cheap_values)
            if has_left:
                backend(search.study).engine.dispose()
            reader.send("again")
            assert reader.recv() == count
    assert not [path for path in open_directory.iterdir() if path.stat().st_uid != 0]


def test_opening_it_again_drops_no_lock(search_of_eight: Search, tmp_path: Path, storage_url: str) -> None:
    """Check that the log survives: without this process's locks another process would delete it."""
    run_trials(search_of_eight, 1, cheap_values)
    open_storage(storage_url)
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM studies').fetchall(); c.close()"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "faqnas.db")], check=True, timeout=TIMEOUT_S)
    assert (tmp_path / "faqnas.db-wal").exists()
