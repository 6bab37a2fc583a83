"""PgBouncer in front of a PostgreSQL server of the tests.

In its transaction mode each transaction may get another connection to the server.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.support.databases import LOCAL, PASSWORD, READY_S, USER, PostgresServer, free_port, search_path
from tests.support.guardian import run_directory


class PgBouncer:
    """Connection pooler that a test can start and stop.

    Args:
        program: Path of PgBouncer.
        directory: Empty directory that `owner` may write.
        owner: System user to run as; None for the current user.
        server: Server that it connects to.
        pool_size: Number of connections to each database.
    """

    def __init__(self, program: str, directory: Path, owner: str | None, server: PostgresServer, *, pool_size: int) -> None:
        self.port = free_port()
        self._owner = owner
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [program, str(directory / "pgbouncer.ini")]
        (directory / "users.txt").write_text(f'"{USER}" "{PASSWORD}"\n')
        (directory / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={LOCAL} port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = {LOCAL}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {directory}/users.txt\n"
            f"pool_mode = transaction\ndefault_pool_size = {pool_size}\nserver_login_retry = 1\n"
        )

    def start(self) -> None:
        """Start, and return when the pooler accepts connections."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._owner)
        deadline = time.monotonic() + READY_S
        while True:
            try:
                # Connects through the pooler, so the server behind it is reached, too.
                psycopg.connect(host=LOCAL, port=self.port, user=USER, password=PASSWORD, dbname="postgres").close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._directory / "log").read_text()[-2000:]) from error
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop like a crash: all connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=READY_S)
            self._process = None

    def url(self, direct: str) -> str:
        """Return the URL of a database through the pooler.

        Args:
            direct: URL of the database on its server.
        """
        return make_url(direct).set(port=self.port).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def pgbouncer_before(server: PostgresServer, *, pool_size: int) -> Iterator[PgBouncer]:
    """Run a pooler until the end of the block; skip the test if PgBouncer is not installed."""
    program = shutil.which("pgbouncer", path=search_path(Path("/usr/sbin")))
    if program is None:
        pytest.skip("PgBouncer is not installed; on Debian: apt-get install pgbouncer")
    directory = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir=run_directory()))
    try:
        if server.owner is not None:
            shutil.chown(directory, server.owner)
        with PgBouncer(program, directory, server.owner, server, pool_size=pool_size) as bouncer:
            yield bouncer
    finally:
        shutil.rmtree(directory, ignore_errors=True)
