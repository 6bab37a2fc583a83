"""SQLite databases that several processes share.

SQLite ignores `SELECT … FOR UPDATE`, with which Optuna ensures that only one worker takes a queued trial. Here such a
statement, like any that writes, takes the write lock first (`BEGIN IMMEDIATE`). Reading takes no lock (write-ahead log).
"""

import os
import random
import shlex
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from filelock import FileLock, Timeout
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.selectable import GenerativeSelect

from faqnas_optuna.errors import NoStudiesError, StorageBusyError, StorageError

LOCK_TIMEOUT_S = 60
"""Time after which a lock that another process holds is an error, in seconds."""
LOCK_STEP_S = 0.0002
"""Maximum time between two attempts to take the write lock, in seconds."""
HAS_WRITE_LOCK = "has_write_lock"
"""Key of SQLAlchemy's information about a connection."""
ELSEWHERE = "name another file with --storage"
LOCAL_FILE_SYSTEMS = frozenset(
    {
        # On disks, in Linux, macOS and BSD.
        *("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "ffs", "hfs", "hfsplus", "jfs", "msdos"),
        *("nilfs2", "ntfs", "ntfs3", "reiser4", "reiserfs", "ubifs", "ufs", "vfat", "xfs", "zfs"),
        # In memory.
        *("devtmpfs", "ramfs", "rootfs", "tmpfs"),
        # Layers and encryption of the kernel on top of one of those, most often in containers.
        *("aufs", "ecryptfs", "overlay", "overlayfs"),
        # FUSE drivers of block devices, such as ntfs-3g, and the layers of containers without root.
        *("fuseblk", "fuse.fuse-overlayfs"),
    }
)
"""Local file systems, by their names in Linux and macOS.

On any other file system, locks and shared memory may not work between machines or mounts, which damages SQLite databases
(https://sqlite.org/faq.html).
"""


def share_between_processes(engine: Engine, file: Path) -> None:
    """Set up an engine so that several processes can read and write its database at the same time."""
    opened = _OpenedFile(file)
    event.listen(engine, "do_connect", opened.check)
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin_undecided)
    event.listen(engine, "begin", opened.check_in_use)
    event.listen(engine, "before_cursor_execute", _begin_as_needed)
    # Connections that were opened before the listeners existed are not prepared.
    engine.dispose()


def engine_settings(file: Path) -> dict[str, Any]:
    """Return the arguments for SQLAlchemy's `create_engine`; for a file that we may not write, those of a read-only engine."""

    def connect() -> sqlite3.Connection:
        # SQLite would create log and shared memory beside the file. They would belong to us, and the owner of the database
        # could not write any more. An immutable database needs neither; without a log, nobody is writing to it.
        is_idle = not beside(file, "-wal").exists()
        return sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable={is_idle:d}", uri=True, check_same_thread=False)

    if not file.exists() or os.access(file, os.W_OK):
        return {}
    # Every read opens its own connection, because a connection to an immutable database never sees later changes.
    return {"creator": connect, "poolclass": NullPool}


def beside(file: Path, suffix: str) -> Path:
    """Return the path of an auxiliary file of a database, with links resolved as SQLite does for its own files."""
    return Path(f"{os.path.realpath(file)}{suffix}")


class _OpenedFile:
    """Guard against a database file that is moved, deleted or replaced while it is open.

    SQLite would continue to write to the old file, where nobody looks for the results.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._identity = self._current_identity()

    def check(self, *_: Any) -> None:
        """Check the file before a connection is opened, which would create a new file.

        Raises:
            StorageError: The path leads to another file than before, or to none.
        """
        identity = self._current_identity()
        # The file may have been created since.
        self._identity = self._identity or identity
        if identity != self._identity:
            raise StorageError(
                f"the database {self._file} was moved, deleted or replaced; move it back to its place, then resume the study"
            )

    def check_in_use(self, connection: Connection) -> None:
        """Check the file at the beginning of a transaction.

        Raises:
            StorageError: The path leads to another file than before, or to none.
        """
        try:
            self.check()
        except StorageError:
            # The log is found by the old path only. Its content goes into the database file, wherever that is now, so that a
            # user who moves the file back loses nothing.
            raw: Any = connection.connection.driver_connection
            with suppress(sqlite3.Error):
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raise

    def _current_identity(self) -> tuple[int, int] | None:
        """Return device and inode of the file; None if there is no file."""
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


@contextmanager
def file_lock(file: Path, *, timeout_s: int = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold an exclusive lock, a file beside the database.

    Args:
        timeout_s: Maximum time to wait for another process, in seconds.

    Raises:
        StorageBusyError: Another process holds the lock for longer.
        StorageError: We may not write the lock file.
    """
    if not file.exists():
        # With the mode that SQLite would use. The mode of the lock is derived from it and so does not depend on the umask
        # of the process that happens to come first.
        with suppress(OSError):
            file.touch(mode=0o644)
    # As for SQLite's own files, all users who may write the database may lock it.
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o600
    lock = FileLock(beside(file, ".lock"), timeout=timeout_s, mode=mode)
    try:
        lock.acquire()
    except Timeout as error:
        raise StorageBusyError(f"another process has held {lock.lock_file} for {timeout_s} s; end that process") from error
    except OSError as error:
        raise StorageError(
            f"cannot lock the database {file}: {error.strerror}: {lock.lock_file}; its owner can allow it with"
            f" chmod --reference={shlex.quote(str(file))} {shlex.quote(lock.lock_file)}"
        ) from error
    try:
        yield
    finally:
        lock.release()


def file_system(file: Path) -> str:
    """Return the type of the file system of an existing or future file; empty if the operating system does not report it."""
    mounts = _mounts()
    # Parents come from the inside out, so the first mount point is the one that holds the file.
    return next((mounts[parent] for parent in file.resolve().parents if parent in mounts), "")


def _mounts() -> dict[Path, str]:
    """Return the types of all mounted file systems, by mount point."""
    return {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}


def check_file(file: Path, *, create: bool, kind_of: Callable[[Path], str] = file_system) -> None:
    """Refuse a path without a database, or where no database can be created.

    Args:
        create: Whether the database may be created.
        kind_of: Returns the type of the file system of a file.

    Raises:
        NoStudiesError: The file does not exist and may not be created.
        StorageError: The file cannot be created, is no database of studies, or is not on a local file system.
    """
    _check_escapes(file)
    if not file.exists() and not create:
        raise NoStudiesError(
            f"there is no database {file}: start a study with 'faqnas-optuna start --dataset wine',"
            " or name another database with --storage or FAQNAS_STORAGE"
        )
    directory = beside(file, "").parent
    if not directory.is_dir():
        raise StorageError(f"cannot create the database {file}: the directory {directory} does not exist")
    if not file.exists() and not os.access(directory, os.W_OK):
        raise StorageError(
            f"cannot create the database {file}: you may not write to {directory}; name another place with --storage"
        )
    if file.exists():
        _check_kind(file)
        _check_names(file)
        _check_content(file)
    kind = kind_of(file)
    if kind and kind not in LOCAL_FILE_SYSTEMS:
        raise StorageError(
            f"{file} is on a file system of type {kind}, which is not known to be local, and network file systems damage SQLite"
            " databases: put it on a local disk, or use PostgreSQL to share a study between machines"
        )


def _check_escapes(file: Path) -> None:
    """Refuse a path if a file has the name that the URL would have without unescaping.

    SQLAlchemy unescapes `a%20b.db` in a URL to the file name `a b.db`.
    """
    literal = file.with_name(quote(file.name))
    if literal != file and literal.exists() and not file.exists():
        raise StorageError(
            f"there is a file {literal}, but in a URL that name means {file}; write % as %25, or rename the file"
        )


def _check_kind(file: Path) -> None:
    """Refuse a directory, a device or a pipe."""
    if not file.is_file():
        kind = "a directory" if file.is_dir() else "not a regular file"
        raise StorageError(f"the database {file} is {kind}; {ELSEWHERE}")


def _check_content(file: Path) -> None:
    """Refuse a file that is no database, or the database of another program, before tables are added to it."""
    if not os.access(file, os.W_OK):
        return
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    try:
        # The file must be read with SQLite: closing a file that was opened in another way drops all locks of this process on
        # that file (https://sqlite.org/howtocorrupt.html, section 2.2).
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            tables = [name for (name,) in connection.execute(query)]
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise StorageError(f"{file} is not an SQLite database; {ELSEWHERE}") from error
        # Any other error is reported when the database is used.
        return
    if tables and "studies" not in tables:
        raise StorageError(f"{file} is the database of another program, with a table {tables[0]!r}; {ELSEWHERE}")


def _check_names(file: Path) -> None:
    """Refuse a file with several hard links, and a file that is mounted by itself."""
    if not os.access(file, os.W_OK):
        return
    # SQLite names its log after the database, so each name would have a log of its own
    # (https://sqlite.org/howtocorrupt.html, section 2.4).
    names = file.stat().st_nlink
    if names > 1:
        raise StorageError(
            f"the database {file} has {names} hard links, and SQLite would write a separate log for each: remove the others, or"
            f" replace them by symbolic links; find DIRECTORY -samefile {shlex.quote(str(file))} lists them"
        )
    if file.resolve() in _mounts():
        raise StorageError(
            f"the database {file} is mounted as a single file, without SQLite's log beside it, so that trials would be lost;"
            " mount its directory instead"
        )


def _prepare_connection(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions on its own; `_begin_as_needed` does.
    connection.isolation_level = None
    # Even a read waits while another process recovers the log after a crash.
    connection.execute(f"PRAGMA busy_timeout={1000 * LOCK_TIMEOUT_S}")
    # The journal mode of a database that we may only read cannot be changed.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")
    # Without this, SQLite would add rows to a study or trial that another process has deleted.
    connection.execute("PRAGMA foreign_keys=ON")
    # With a write-ahead log, a power failure can lose the last transactions but cannot damage the database.
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_undecided(connection: Connection) -> None:
    connection.info[HAS_WRITE_LOCK] = False


def _begin_as_needed(
    connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _executemany: bool
) -> None:
    """Begin a transaction without a lock for a read, and with the write lock for any other statement.

    `SELECT … FOR UPDATE` counts as a write.
    """
    raw: Any = connection.connection.dbapi_connection
    if connection.info[HAS_WRITE_LOCK]:
        return
    statement = context.compiled.statement if context.compiled else None
    if isinstance(statement, GenerativeSelect) and statement._for_update_arg is None:
        if not raw.in_transaction:
            raw.execute("BEGIN")
        return
    # SQLite cannot upgrade a read transaction whose snapshot is outdated, so the write begins a new transaction. Rows read
    # before may have changed since, as in PostgreSQL's default isolation level.
    if raw.in_transaction:
        raw.execute("COMMIT")
    _begin_immediate(raw)
    connection.info[HAS_WRITE_LOCK] = True


def _begin_immediate(raw: Any) -> None:
    """Wait for the write lock.

    Raises:
        OperationalError: The lock was not free for `LOCK_TIMEOUT_S`, or SQLite failed.
    """
    # Attempts are as frequent as transactions are short. SQLite's own delays grow to 100 ms, with which two workers would
    # be no faster than one.
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                # The lowest byte is the primary error code; the others extend it with the cause.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise OperationalError("BEGIN IMMEDIATE", None, error) from error
                # Random, so that waiting processes do not try at the same moments.
                time.sleep(random.uniform(LOCK_STEP_S / 2, LOCK_STEP_S))
    finally:
        raw.execute(f"PRAGMA busy_timeout={1000 * LOCK_TIMEOUT_S}")
