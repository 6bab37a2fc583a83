"""PgBouncer before a PostgreSQL server of the tests, in transaction mode: each transaction may get another connection."""

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
    """A pooler that is started and stopped at will.

    Args:
        program: its path.
        directory: an empty one, which `owner` may write.
        owner: the system user to run as; None for the present one.
        server: the server behind it.
        pool_size: its connections to each database.
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
        """Start, and return when connections are taken."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._owner)
        deadline = time.monotonic() + READY_S
        while True:
            try:
                psycopg.connect(host=LOCAL, port=self.port, user=USER, password=PASSWORD, dbname="postgres").close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._directory / "log").read_text()[-2000:]) from error
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop as by a crash: all connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=READY_S)
            self._process = None

    def url(self, direct: str) -> str:
        """The URL of a database by way of the pooler, from its own."""
        return make_url(direct).set(port=self.port).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def pgbouncer_before(server: PostgresServer, *, pool_size: int) -> Iterator[PgBouncer]:
    """A pooler until the end of the block; where it is not installed the test is skipped."""
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
