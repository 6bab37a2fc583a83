"""Database servers for tests, in a temporary directory and on a free port of 127.0.0.1.

`postgres_url` and `mariadb_url` give each test a new database, `any_storage_url` one of each kind in turn. If a server is not
installed, its tests are skipped and name it.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from filelock import FileLock
from sqlalchemy import NullPool, Pool, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from faqnas_optuna.storage.urls import parse
from tests.support.guardian import run_directory

USER = "faqnas"
PASSWORD = "s3cret-p@ss/w:rd%41"
"""Password with the characters that a URL must escape."""
LOCAL = "127.0.0.1"
READY_S = 60
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")


class DatabaseServer(ABC):
    """Server that a test can start and stop; its databases remain.

    Args:
        bin_dir: Directory of its programs.
        directory: Empty directory that `owner` may write.
        owner: System user to run as; None for the current user.
        addresses: Addresses at which it listens; its URL has the first.
    """

    dialect: str
    """Dialect and driver of SQLAlchemy for the connections of tests."""
    scheme: str
    """Beginning of the URL as users write it."""
    maintenance_database: str
    fast: signal.Signals
    """Signal that ends all sessions and shuts down."""
    immediate: signal.Signals
    """Signal that ends the server without shutting down, like a crash."""

    def __init__(self, bin_dir: Path, directory: Path, owner: str | None, *, addresses: Sequence[str] = (LOCAL,)) -> None:
        self.bin_dir = bin_dir
        self.addresses = addresses
        self.directory = directory
        self.port = free_port()
        self.owner = owner
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def initialise(self) -> None:
        """Create the files of the server."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    def start(self) -> None:
        """Start if the server does not run, and return when it accepts connections."""
        if self._process is not None:
            return
        with (self.directory / "server.log").open("ab") as log:
            self._process = self._popen(self.command(), log.fileno())
        deadline = time.monotonic() + READY_S
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not start:\n{(self.directory / 'server.log').read_text()[-2000:]}")
            # Drivers have no call that waits for a server.
            time.sleep(0.05)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop if the server runs, and return when its process has ended."""
        if self._process is None:
            return
        self._process.send_signal(self.immediate if immediate else self.fast)
        self._process.wait(timeout=READY_S)
        self._process = None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Suspend all processes of the server until the end of the block; connections to it then hang."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        # The main process first, which would otherwise start others.
        main.suspend()
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """Return the URL of a database as users write it."""
        return self._url(database, self.scheme, password).render_as_string(hide_password=False)

    @contextmanager
    def new_database(self, options: str = "") -> Iterator[str]:
        """Create an empty database, yield its URL and drop it at the end of the block."""
        name = f"faqnas_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} {options}")
        try:
            with connections_closed():
                yield self.url(name)
        finally:
            # The test may have stopped the server.
            self.start()
            self.drop(name)

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name}")

    def execute(self, statement: str) -> None:
        engine = create_engine(
            self._url(self.maintenance_database, self.dialect), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.execute(text(statement))

    def _takes_connections(self) -> bool:
        try:
            self.execute("SELECT 1")
        except OperationalError:
            return False
        return True

    def _url(self, database: str, drivername: str, password: str = PASSWORD) -> URL:
        return URL.create(drivername, USER, password, self.addresses[0], self.port, database)

    def _make_data(self, *command: str) -> None:
        """Run the command that creates the directory `data`, or copy the one of an earlier server of this test run."""
        template = run_directory() / f"{self.scheme}-data"
        # Processes of xdist start servers at the same time.
        with FileLock(template.with_suffix(".lock")):
            if not template.exists():
                self._run(*command)
                subprocess.run(["cp", "-a", self.directory / "data", template], timeout=READY_S, check=True)
                return
        subprocess.run(["cp", "-a", template, self.directory / "data"], timeout=READY_S, check=True)

    def _run(self, *command: str) -> None:
        with (self.directory / "server.log").open("ab") as log:
            code = self._popen(list(command), log.fileno()).wait(timeout=READY_S)
        if code:
            raise RuntimeError(f"{command[0]}: exit code {code}:\n{(self.directory / 'server.log').read_text()[-2000:]}")

    def _popen(self, command: list[str], log: int) -> subprocess.Popen[bytes]:
        # A server must not keep the groups of root.
        group = None if self.owner is None else pwd.getpwnam(self.owner).pw_gid
        return subprocess.Popen(
            command,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=self.owner,
            group=group,
            extra_groups=None if self.owner is None else [],
        )


class PostgresServer(DatabaseServer):
    dialect = "postgresql+psycopg"
    scheme = "postgresql"
    maintenance_database = "postgres"
    fast = signal.SIGINT
    immediate = signal.SIGQUIT

    def initialise(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(PASSWORD)
        initdb = str(self.bin_dir / "initdb")
        secret = ("--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password_file}")
        self._make_data(initdb, "--pgdata=data", "--encoding=UTF8", "--no-locale", "--no-sync", *secret)
        with (self.directory / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")

    def command(self) -> list[str]:
        # Without fsync a crash of the server loses nothing, since the page cache survives it; only the machine's would.
        address = (
            f"port={self.port}",
            f"listen_addresses={','.join(self.addresses)}",
            f"unix_socket_directories={self.directory}",
        )
        settings = (*address, "fsync=off")
        return [str(self.bin_dir / "postgres"), "-D", "data", *(word for setting in settings for word in ("-c", setting))]

    def drop(self, name: str) -> None:
        # Workers that were killed may still have open sessions.
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def standing_by(self) -> Iterator[None]:
        """Run as a hot standby, which accepts no changes, until the end of the block."""
        signal_file = self.directory / "data" / "standby.signal"
        self.stop()
        signal_file.touch()
        if self.owner is not None:
            shutil.chown(signal_file, self.owner)
        self.start()
        try:
            yield
        finally:
            self.stop()
            signal_file.unlink()
            self.start()


class MariadbServer(DatabaseServer):
    dialect = "mysql+pymysql"
    scheme = "mysql"
    maintenance_database = "mysql"
    fast = signal.SIGTERM
    immediate = signal.SIGKILL

    def initialise(self) -> None:
        install = shutil.which("mariadb-install-db", path=search_path(self.bin_dir.parent / "bin"))
        if install is None:
            raise RuntimeError(f"mariadb-install-db is not beside {self.bin_dir}")
        self._make_data(install, *self._common(), "--auth-root-authentication-method=normal", "--skip-test-db")
        quoted = PASSWORD.replace("'", "''")
        (self.directory / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{quoted}';\n"
            f"GRANT ALL ON *.* TO {USER}@'127.0.0.1' WITH GRANT OPTION;\nALTER USER root@localhost IDENTIFIED BY '{quoted}';\n"
        )

    def command(self) -> list[str]:
        address = (f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.directory}/socket")
        return [
            str(self.bin_dir / "mariadbd"),
            *self._common(),
            *address,
            f"--pid-file={self.directory}/pid",
            f"--init-file={self.directory}/init.sql",
            "--skip-name-resolve",
            # As for PostgreSQL: commits reach the page cache, which survives a crash of the server.
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
            "--innodb-buffer-pool-size=32M",
        ]

    def _common(self) -> tuple[str, ...]:
        # The server's user may lack permission to write to the default directory of temporary files.
        places = {"basedir": self.bin_dir.parent, "datadir": self.directory / "data", "tmpdir": self.directory}
        return ("--no-defaults", *(f"--{name}={place}" for name, place in places.items()))


Server = TypeVar("Server", bound=DatabaseServer)


@contextmanager
def running_postgres(
    addresses: Sequence[str] = (LOCAL,), *, kind: type[PostgresServer] = PostgresServer
) -> Iterator[PostgresServer]:
    """Run a server until the end of the block; skip the test if PostgreSQL is not installed."""
    bin_dir = postgres_bin_dir()
    if bin_dir is None or find_spec("psycopg") is None:
        pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql; pip install '.[postgres]'")
    with _running(lambda *place: kind(bin_dir, *place, addresses=addresses), ("postgres", "nobody")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    # Debian installs servers in a directory that is not on the PATH of users.
    program = shutil.which("mariadbd", path=search_path(Path("/usr/sbin")))
    if program is None or find_spec("pymysql") is None:
        pytest.skip("MariaDB is not installed; on Debian: apt-get install mariadb-server-core; pip install '.[mysql]'")
    with _running(lambda *place: MariadbServer(Path(program).parent, *place), ("mysql", "nobody")) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a new database."""
    with postgres_server.new_database() as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> Iterator[str]:
    """URL of a new database."""
    with mariadb_server.new_database() as url:
        yield url


SERVERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("postgres", "mariadb")]


@pytest.fixture(params=["sqlite", *SERVERS])
def any_storage_url(request: pytest.FixtureRequest) -> str:
    """URL of a new database of each kind; with `indirect`, of the given kinds."""
    fixtures = {"sqlite": "storage_url", "postgres": "postgres_url", "mariadb": "mariadb_url"}
    return str(request.getfixturevalue(fixtures[request.param]))


on_sqlite = pytest.mark.parametrize("any_storage_url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("any_storage_url", ["postgres"], indirect=True)
on_servers = pytest.mark.parametrize("any_storage_url", SERVERS, indirect=True)
sqlite_and_postgres = pytest.mark.parametrize("any_storage_url", ["sqlite", SERVERS[0]], indirect=True)


@contextmanager
def connections_closed() -> Iterator[None]:
    """Close all connections of this process at the end of the block."""
    # Storages keep their connections open, and psycopg warns of a connection that is garbage-collected while open.
    connections = []

    def remember(connection: Any, _record: object) -> None:
        connections.append(connection)

    event.listen(Pool, "connect", remember)
    try:
        yield
    finally:
        event.remove(Pool, "connect", remember)
        for connection in connections:
            # pymysql raises if the connection is closed already, and every driver may if the server is gone.
            with suppress(Exception):
                connection.close()


def set_clock(url: str, *, by_s: int) -> None:
    """Change the age of all heartbeats, as setting the clock of the database forward or back would."""
    engine = create_engine(parse(url))
    earlier = {
        "sqlite": f"datetime(heartbeat, '{-by_s} seconds')",
        "postgresql": f"heartbeat - {by_s} * INTERVAL '1 second'",
        "mysql": f"heartbeat - INTERVAL {by_s} SECOND",
    }
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE trial_heartbeats SET heartbeat = {earlier[engine.dialect.name]}"))
    engine.dispose()


def postgres_bin_dir() -> Path | None:
    """Return the directory of PostgreSQL's server programs, or None if it is not installed."""
    # Debian installs them in a directory for each version, which is not on the PATH.
    candidates = []
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        result = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, timeout=READY_S, check=False)
        candidates.append(Path(result.stdout.strip()))
    if DEBIAN_POSTGRES.is_dir():
        versions = [path for path in DEBIAN_POSTGRES.iterdir() if path.name.isdigit()]
        candidates += [path / "bin" for path in sorted(versions, key=lambda path: int(path.name), reverse=True)]
    on_path = shutil.which("postgres")
    if on_path is not None:
        candidates.append(Path(on_path).resolve().parent)
    return next((path for path in candidates if (path / "initdb").is_file() and (path / "postgres").is_file()), None)


def search_path(first: Path) -> str:
    return os.pathsep.join([str(first), os.environ.get("PATH", os.defpath)])


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        # Another process could take the port before the server does, which is unlikely, since the system chooses at random.
        port: int = bound.getsockname()[1]
        return port


@contextmanager
def _running(make: Callable[[Path, str | None], Server], owners: tuple[str, ...]) -> Iterator[Server]:
    directory = Path(tempfile.mkdtemp(prefix="server-", dir=run_directory()))
    # Both servers refuse to run as root.
    owner = next(filter(_exists, owners)) if os.geteuid() == 0 else None
    if owner is not None:
        shutil.chown(directory, owner)
    server = make(directory, owner)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop(immediate=True)
        shutil.rmtree(directory, ignore_errors=True)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
