"""Connections to PostgreSQL: encrypted if one asks for it, and with settings of ours unless one has others."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from optuna.storages import BaseStorage, _CachedStorage
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from faqnas_optuna.storage.heartbeats import HeartbeatStorage
from faqnas_optuna.storage.opening import open_storage, storage_lock
from tests.faults.databases import LOCAL, PostgresServer, running_postgres

pytestmark = pytest.mark.slow


class EncryptedPostgresServer(PostgresServer):
    """With a certificate of its own, which is also the authority that has signed it."""

    def initialise(self) -> None:
        super().initialise()
        self.certify("server")
        with (self.directory / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"ssl = on\nssl_cert_file = '{self.certificate}'\nssl_key_file = '{self.directory}/server.key'\n")

    @property
    def certificate(self) -> Path:
        return self.directory / "server.crt"

    def certify(self, name: str) -> Path:
        """Make a key, readable by its owner only, and a certificate for it."""
        request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={LOCAL}")
        files = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
        self._run(*request, "-addext", f"subjectAltName=IP:{LOCAL}", *files)
        return self.directory / f"{name}.crt"


@pytest.fixture(scope="module")
def encrypted_server() -> Iterator[EncryptedPostgresServer]:
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with openssl; on Debian: apt-get install openssl")
    with running_postgres(kind=EncryptedPostgresServer) as server:
        assert isinstance(server, EncryptedPostgresServer)
        yield server


@pytest.fixture
def encrypted_url(encrypted_server: EncryptedPostgresServer) -> Iterator[str]:
    with encrypted_server.new_database() as url:
        yield url


def engine_of(storage: BaseStorage) -> Engine:
    assert isinstance(storage, _CachedStorage) and isinstance(storage._backend, HeartbeatStorage)
    return storage._backend.engine


def answer(engine: Engine, query: str) -> object:
    with engine.connect() as connection:
        return connection.scalar(text(query))


def test_what_a_url_says_of_encryption_holds(encrypted_server: EncryptedPostgresServer, encrypted_url: str) -> None:
    verified = f"{encrypted_url}?sslmode=verify-full&sslrootcert={encrypted_server.certificate}"
    for url, expected in ((verified, True), (f"{encrypted_url}?sslmode=disable", False)):
        engine = engine_of(open_storage(url, create=True))
        assert answer(engine, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is expected
        # Locks have connections of their own.
        with storage_lock(url):
            holder = "SELECT ssl FROM pg_stat_ssl JOIN pg_locks USING (pid) WHERE locktype = 'advisory'"
            assert answer(engine, holder) is expected


def test_a_server_with_a_certificate_of_somebody_else_is_refused(
    encrypted_server: EncryptedPostgresServer, encrypted_url: str, cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    other = encrypted_server.certify("other")
    for command in (("status",), ("start", "--dataset", "iris")):
        code, out, err = cli_here(*command, "--storage", f"{encrypted_url}?sslmode=verify-full&sslrootcert={other}")
        assert (code, out) == (4, "")
        assert err.startswith("Error: cannot use the database postgresql+psycopg://faqnas:***@127.0.0.1:")
        assert err.endswith("certificate verify failed\n")
        assert err.count("\n") == 1


def settings_in_force(url: str) -> dict[str, str]:
    """Of the driver, and of the session."""
    with engine_of(open_storage(url, create=True)).connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        session = {name: str(connection.scalar(text(f"SHOW {name}"))) for name in SESSION}
        return {name: value for name, value in driver.info.get_parameters().items() if name in DRIVER} | session


DRIVER = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
SESSION = {"timezone": "UTC", "lock_timeout": "1min", "idle_in_transaction_session_timeout": "1min"}


def test_connections_have_our_settings(postgres_server: PostgresServer, postgres_url: str) -> None:
    # With a time zone that has summer time.
    postgres_server.execute(f"ALTER DATABASE {make_url(postgres_url).database} SET timezone = 'America/New_York'")
    assert settings_in_force(postgres_url) == DRIVER | SESSION


def test_settings_of_the_url_beat_ours(postgres_url: str) -> None:
    others = {name: str(int(value) + 1) for name, value in DRIVER.items()}
    options = "&".join(f"{name}={value}" for name, value in others.items())
    assert settings_in_force(f"{postgres_url}?{options}") == others | SESSION
