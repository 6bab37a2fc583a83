import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage import sqlite
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.storage.trials import get_study_user_attrs


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
        # By another process, with nothing read before. It would wait for a minute and fail.
        reader = optuna.load_study(storage=open_storage(storage_url), study_name="s")
        assert [trial.values for trial in reader.get_trials()] == [[1.0]]
        assert get_study_user_attrs(reader, ("key",)) == {"key": "value"}


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    # No test can mount one; that the kind of a real file system is found is tested below.
    with pytest.raises(StorageError, match=r"network file system \(nfs4\).*local disk, or use PostgreSQL"):
        sqlite.check_file(tmp_path / "faqnas.db", create=True, kind_of=lambda _: "nfs4")


def test_the_kind_of_a_file_system_is_found(tmp_path: Path) -> None:
    expected = subprocess.run(["stat", "-f", "-c", "%T", "/proc"], capture_output=True, text=True, check=True).stdout.strip()
    assert sqlite.file_system(Path("/proc/version")) == expected == "proc"
    assert sqlite.file_system(tmp_path / "not" / "there.db") not in sqlite.NETWORK_FILE_SYSTEMS
