"""SQLite as a database that several processes share.

SQLite ignores `SELECT … FOR UPDATE`, by which Optuna lets only one worker take a queued trial. Here such a statement, like any
that writes, takes the write lock first (`BEGIN IMMEDIATE`), and reading takes none (write-ahead log).
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
LOCK_STEP_S = 0.0002
HAS_WRITE_LOCK = "has_write_lock"
ELSEWHERE = "name another file with --storage"
LOCAL_FILE_SYSTEMS = frozenset(
    {
        # On disks, of Linux, macOS and BSD.
        *("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "ffs", "hfs", "hfsplus", "jfs", "msdos"),
        *("nilfs2", "ntfs", "ntfs3", "reiser4", "reiserfs", "ubifs", "ufs", "vfat", "xfs", "zfs"),
        # In memory.
        *("devtmpfs", "ramfs", "rootfs", "tmpfs"),
        # Layers and ciphers of the kernel above one of those, most often of containers.
        *("aufs", "ecryptfs", "overlay", "overlayfs"),
        # By FUSE: drivers of block devices, such as ntfs-3g, and the layers of containers without root.
        *("fuseblk", "fuse.fuse-overlayfs"),
    }
)
"""File systems of one machine, as Linux and macOS name them. Of any other, locks and shared memory may not reach further than
one mount, which damages SQLite databases (https://sqlite.org/faq.html)."""


def share_between_processes(engine: Engine, file: Path) -> None:
    """Set an engine up so that many processes can read and write its database at once, as long as that is the same file."""
    opened = _OpenedFile(file)
    event.listen(engine, "do_connect", opened.check)
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin_undecided)
    event.listen(engine, "begin", opened.check_in_use)
    event.listen(engine, "before_cursor_execute", _begin_as_needed)
    # Connections that were opened before the listeners were there.
    engine.dispose()


def engine_settings(file: Path) -> dict[str, Any]:
    """What to give to SQLAlchemy's `create_engine`: where we may not write the file, that nothing is made beside it.

    SQLite would make it, as ours, and the owner of the database could write no more.
    """

    def connect() -> sqlite3.Connection:
        # Without a log nobody is at work, and all is in the file.
        alone = not beside(file, "-wal").exists()
        return sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable={alone:d}", uri=True, check_same_thread=False)

    if not file.exists() or os.access(file, os.W_OK):
        return {}
    # A connection for each reading: one of a file that is taken for immutable sees nothing of what its owner adds.
    return {"creator": connect, "poolclass": NullPool}


def beside(file: Path, suffix: str) -> Path:
    """A file that belongs to a database, as SQLite names its own: beside the file itself, whatever links lead to it."""
    itself = os.path.realpath(file)
    return Path(f"{itself}{suffix}")


class _OpenedFile:
    """A database whose file somebody may move or delete: what is written then is nowhere, or where nobody looks."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._identity = self._found()

    def check(self, *_: Any) -> None:
        """Before a connection, which would make a new file.

        Raises:
            StorageError: it is another file, or none.
        """
        found = self._found()
        self._identity = self._identity or found
        if found != self._identity:
            raise StorageError(
                f"the database {self._file} was moved or deleted meanwhile, or is another file now;"
                " put it back where it was, then resume the study"
            )

    def check_in_use(self, connection: Connection) -> None:
        """At the beginning of a transaction. What is in the log goes into the file first, wherever that is.

        Raises:
            StorageError: as above.
        """
        try:
            self.check()
        except StorageError:
            raw: Any = connection.connection.driver_connection
            with suppress(sqlite3.Error):
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raise

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


@contextmanager
def file_lock(file: Path, *, timeout_s: int = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold off all who take this lock, by a file beside the database.

    Args:
        timeout_s: so long another process may keep it.

    Raises:
        StorageBusyError: another process keeps it.
        StorageError: we may not write it.
    """
    if not file.exists():
        # As SQLite would make it, so that the lock has the same mode whatever the umask is.
        with suppress(OSError):
            file.touch(mode=0o644)
    # Whoever may write the database may lock it, as SQLite holds it with its own files.
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o600
    lock = FileLock(beside(file, ".lock"), timeout=timeout_s, mode=mode)
    try:
        lock.acquire()
    except Timeout as error:
        raise StorageBusyError(f"another process has kept {lock.lock_file} for {timeout_s} s; end it") from error
    except OSError as error:
        raise StorageError(
            f"cannot lock the database {file}: {error.strerror}: {lock.lock_file}; its owner can let you:"
            f" chmod --reference={shlex.quote(str(file))} {shlex.quote(lock.lock_file)}"
        ) from error
    try:
        yield
    finally:
        lock.release()


def file_system(file: Path) -> str:
    """The type of the file system that a file is or would be on; empty if the system does not say."""
    mounts = _mounts()
    return next((mounts[parent] for parent in file.resolve().parents if parent in mounts), "")


def _mounts() -> dict[Path, str]:
    """The types of the file systems that are mounted, by where."""
    return {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}


def check_file(file: Path, *, create: bool, kind_of: Callable[[Path], str] = file_system) -> None:
    """Refuse a file that is not there, or where no database can be.

    Args:
        kind_of: tells the type of the file system that a file is on.

    Raises:
        NoStudiesError: it is not there.
        StorageError: it cannot be there, or something else is; both say what to do.
    """
    _check_escapes(file)
    if not file.exists() and not create:
        raise NoStudiesError(
            f"there is no database {file}: start a study with 'faqnas-optuna start --dataset wine',"
            " or name another database with --storage or FAQNAS_STORAGE"
        )
    directory = beside(file, "").parent
    if not directory.is_dir():
        raise StorageError(f"cannot make the database {file}: the directory {directory} does not exist")
    if not file.exists() and not os.access(directory, os.W_OK):
        raise StorageError(
            f"cannot make the database {file}: you may not write to {directory}; name another place with --storage"
        )
    if file.exists():
        _check_kind(file)
        _check_names(file)
        _check_content(file)
    if (kind := kind_of(file)) and kind not in LOCAL_FILE_SYSTEMS:
        raise StorageError(
            f"{file} is on a file system of type {kind}, which is not known to be local, and network file systems damage SQLite"
            " databases: put it on a local disk, or use PostgreSQL to share a study between machines"
        )


def _check_escapes(file: Path) -> None:
    """Refuse a path whose escapes were meant as they are: `a%20b.db` in a URL is the file `a b.db`."""
    literal = file.with_name(quote(file.name))
    if literal != file and literal.exists() and not file.exists():
        raise StorageError(
            f"there is a file {literal}, but in a URL that name means {file}; write % as %25, or rename the file"
        )


def _check_kind(file: Path) -> None:
    """Refuse a directory, a device or a pipe."""
    if not file.is_file():
        kind = "a directory" if file.is_dir() else "no regular file"
        raise StorageError(f"the database {file} is {kind}; {ELSEWHERE}")


def _check_content(file: Path) -> None:
    """Refuse what is no database, or another program's: tables would be put into it."""
    if not os.access(file, os.W_OK):
        return
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    try:
        # By SQLite alone: closing a file that was opened otherwise drops the locks of this process on it
        # (https://sqlite.org/howtocorrupt.html, 2.2).
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            tables = [name for (name,) in connection.execute(query)]
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise StorageError(f"{file} is no SQLite database; {ELSEWHERE}") from error
        # It is told of by whoever uses it.
        return
    if tables and "studies" not in tables:
        raise StorageError(f"{file} is the database of another program, with a table {tables[0]!r}; {ELSEWHERE}")


def _check_names(file: Path) -> None:
    """Refuse a file that has several names, none of which is a link to another.

    SQLite names its log after the database: by each name there would be another (https://sqlite.org/howtocorrupt.html, 2.4).
    """
    if not os.access(file, os.W_OK):
        return
    if (names := file.stat().st_nlink) > 1:
        raise StorageError(
            f"the database {file} is one file of {names} names, by each of which SQLite would keep another log:"
            f" remove the others, or let them be symbolic links; find DIRECTORY -samefile {shlex.quote(str(file))} tells them"
        )
    if file.resolve() in _mounts():
        raise StorageError(
            f"the database {file} is mounted without what SQLite keeps beside it, so that trials would get lost;"
            " mount its directory instead"
        )


def _prepare_connection(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: `_begin_as_needed` does.
    connection.isolation_level = None
    # For the rare moments when even reading waits: while the log is recovered after a crash.
    connection.execute(f"PRAGMA busy_timeout={1000 * LOCK_TIMEOUT_S}")
    # Of a database that we may only read it is what it is.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")
    # Nothing is added to a study or a trial that somebody has deleted.
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_undecided(connection: Connection) -> None:
    connection.info[HAS_WRITE_LOCK] = False


def _begin_as_needed(
    connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _executemany: bool
) -> None:
    """Read from a snapshot without a lock, and take the write lock before the first statement that may write.

    What was read before then may have changed meanwhile, as it may in PostgreSQL; `SELECT … FOR UPDATE` counts as a write.
    """
    raw: Any = connection.connection.dbapi_connection
    if connection.info[HAS_WRITE_LOCK]:
        return
    statement = context.compiled.statement if context.compiled else None
    if isinstance(statement, GenerativeSelect) and statement._for_update_arg is None:
        if not raw.in_transaction:
            raw.execute("BEGIN")
        return
    if raw.in_transaction:
        raw.execute("COMMIT")
    _begin_immediate(raw)
    connection.info[HAS_WRITE_LOCK] = True


def _begin_immediate(raw: Any) -> None:
    """Wait for the write lock, in steps as short as the transactions that hold it.

    SQLite's own waiting doubles up to 100 ms, after which two workers are no faster than one.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                # The lowest byte is the error, whatever is told of its cause beside it.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise OperationalError("BEGIN IMMEDIATE", None, error) from error
                time.sleep(random.uniform(LOCK_STEP_S / 2, LOCK_STEP_S))
    finally:
        raw.execute(f"PRAGMA busy_timeout={1000 * LOCK_TIMEOUT_S}")
