"""Connections to servers: encryption on request, and our default settings unless the URL overrides them."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from optuna.storages import BaseStorage, _CachedStorage
from optuna.trial import TrialState
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.engine import make_url

from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage.heartbeats import HeartbeatStorage
from faqnas_optuna.storage.opening import open_storage, storage_lock
from faqnas_optuna.study.search import create, load
from tests.conftest import cheap_values, run_trials, small_config
from tests.support.databases import LOCAL, MariadbServer, PostgresServer, running_postgres

pytestmark = pytest.mark.slow


class EncryptedPostgresServer(PostgresServer):
    """PostgreSQL server with a self-signed certificate."""

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
        # Locks use separate connections.
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
        assert "certificate verify failed; check the encryption options in the URL, and the files" in err
        assert err.count("\n") == 1


def settings_in_force(url: str) -> dict[str, str]:
    """Return the settings of the driver and of the session."""
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
SESSION = {
    "datestyle": "ISO, MDY",
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "lock_timeout": "1min",
    "idle_in_transaction_session_timeout": "1min",
}


def test_connections_have_our_settings(postgres_server: PostgresServer, postgres_url: str) -> None:
    # Use a time zone with daylight saving time.
    postgres_server.execute(f"ALTER DATABASE {make_url(postgres_url).database} SET timezone = 'America/New_York'")
    assert settings_in_force(postgres_url) == DRIVER | SESSION


@pytest.mark.parametrize("setting", ["DateStyle = 'SQL, DMY'", "DateStyle = 'German'", "client_encoding = 'SQL_ASCII'"])
def test_settings_of_a_database_do_not_hinder_a_study(
    postgres_server: PostgresServer, postgres_url: str, iris: DataSplits, setting: str
) -> None:
    postgres_server.execute(f"ALTER DATABASE {make_url(postgres_url).database} SET {setting}")
    assert_works(postgres_url, iris)


@pytest.mark.parametrize(("name", "value"), [("PGDATESTYLE", "SQL"), ("PGCLIENTENCODING", "SQL_ASCII"), ("PGTZ", "Asia/Tokyo")])
def test_variables_of_libpq_do_not_hinder_a_study(
    postgres_url: str, iris: DataSplits, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert_works(postgres_url, iris)


def test_a_database_without_an_encoding_can_be_used(postgres_server: PostgresServer, iris: DataSplits) -> None:
    with postgres_server.new_database("ENCODING 'SQL_ASCII' TEMPLATE template0") as url:
        assert_works(url, iris)


def assert_works(url: str, iris: DataSplits) -> None:
    """Check that a study of two trials can be stored and read again."""
    search = create(open_storage(url, create=True), "s", small_config(), iris)
    search.study.set_user_attr("text", "Prüfung – 検査")
    run_trials(search, 2, cheap_values)
    study = load(open_storage(url), "s").study
    assert study.user_attrs["text"] == "Prüfung – 検査"
    assert [trial.state for trial in study.get_trials()] == [TrialState.COMPLETE] * 2
    assert all(trial.datetime_complete is not None for trial in study.get_trials())


@pytest.mark.parametrize("option", ["host=/{directory}", "prepare_threshold=None", "client_encoding=latin1"])
def test_options_of_the_url_reach_the_driver(postgres_server: PostgresServer, postgres_url: str, option: str) -> None:
    chosen = option.format(directory=str(postgres_server.directory).lstrip("/"))
    url = make_url(postgres_url)
    if option.startswith("host"):
        url = url._replace(host=None)
    open_storage(f"{url.render_as_string(hide_password=False)}?{chosen}", create=True)


def test_a_socket_can_stand_in_the_place_of_the_host(postgres_server: PostgresServer, postgres_url: str) -> None:
    escaped = quote(str(postgres_server.directory), safe="")
    url = postgres_url.replace("127.0.0.1", escaped)
    assert_is_local = "SELECT inet_server_addr() IS NULL"
    assert answer(engine_of(open_storage(url, create=True)), assert_is_local) is True
    with storage_lock(url) as is_held:
        assert is_held()


def test_a_socket_of_mysql(mariadb_server: MariadbServer, mariadb_url: str) -> None:
    socket = mariadb_server.directory / "socket"
    mariadb_server.execute("CREATE OR REPLACE USER here@localhost IDENTIFIED BY 'pass'")
    mariadb_server.execute(f"GRANT ALL ON {make_url(mariadb_url).database}.* TO here@localhost")
    database = make_url(mariadb_url).database
    for url in (
        f"mysql://here:pass@{quote(str(socket), safe='')}/{database}",
        f"mysql://here:pass@/{database}?unix_socket={socket}",
    ):
        assert engine_of(open_storage(url, create=True)).dialect.name == "mysql"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "postgresql://me:s3cret@127.0.0.1:1/db?prepare_threshold=0",
            "so that PgBouncer can be used; remove prepare_threshold=0",
        ),
        ("postgresql://me:s3cret@127.0.0.1:1/db?prepare_threshold=often", "remove prepare_threshold=often from the URL"),
        (
            "postgresql://me:s3cret@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/no/ca.pem",
            "sslrootcert .* names the file /no/ca.pem",
        ),
        ("mysql://me:s3cret@127.0.0.1:1/db?ssl_ca=/no/ca.pem", "ssl_ca in .* names the file /no/ca.pem, which does not exist"),
        ("mysql://me:s3cret@127.0.0.1:1/db?ssl_disabled=no", "ssl_disabled in .* must be true or false; it is 'no'"),
        ("mysql://me:s3cret@127.0.0.1:1/db?connect_timeout=long", "connect_timeout=long: .*long"),
    ],
)
def test_values_of_options_that_cannot_be_used_are_refused_in_one_line(url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message) as refused:
        open_storage(url, create=True)
    assert "s3cret" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("password", ["pässwörd", "€uro", "日本語", "plain"])
def test_passwords_of_mysql_need_not_be_ascii(mariadb_server: MariadbServer, mariadb_url: str, password: str) -> None:
    mariadb_server.execute(f"CREATE OR REPLACE USER worker@'127.0.0.1' IDENTIFIED BY '{password}'")
    mariadb_server.execute(f"GRANT ALL ON {make_url(mariadb_url).database}.* TO worker@'127.0.0.1'")
    url = make_url(mariadb_url).set(username="worker", password=password)
    open_storage(url.render_as_string(hide_password=False), create=True)
    with pytest.raises(StorageError, match="; check user and password$"):
        open_storage(url.set(password=f"{password}!").render_as_string(hide_password=False))


def engines_of_tables(url: str) -> set[str]:
    engine = create_engine(make_url(url).set(drivername="mysql+pymysql"), poolclass=NullPool)
    query = "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = DATABASE()"
    with engine.connect() as connection:
        return set(connection.scalars(text(query)))


def test_tables_of_mysql_have_transactions_whatever_its_default_is(mariadb_server: MariadbServer, mariadb_url: str) -> None:
    mariadb_server.execute("SET GLOBAL default_storage_engine = MyISAM")
    try:
        open_storage(mariadb_url, create=True)
    finally:
        mariadb_server.execute("SET GLOBAL default_storage_engine = InnoDB")
    assert engines_of_tables(mariadb_url) == {"InnoDB"}


def test_tables_without_transactions_are_refused(mariadb_url: str, cli_here: Callable[..., tuple[int, str, str]]) -> None:
    pattern = (
        r"table studies of the database faqnas_\w+ has the storage engine MyISAM, which has no transactions.* an empty database"
    )
    with pytest.raises(StorageError, match=pattern):
        # Create the tables with another storage engine, as other tools may do.
        open_storage(f"{mariadb_url}?init_command={quote('SET default_storage_engine = MyISAM')}", create=True)
    for command, exit_code in ((("status",), 4), (("worker",), 4), (("start", "iris"), 4), (("doctor",), 1)):
        code, out, err = cli_here(*command, "--storage", mariadb_url)
        assert code == exit_code
        assert re.search(pattern.replace("table studies", r"table \w+"), out + err)


def test_settings_of_the_url_beat_ours(postgres_url: str) -> None:
    others = {name: str(int(value) + 1) for name, value in DRIVER.items()}
    options = "&".join(f"{name}={value}" for name, value in others.items())
    assert settings_in_force(f"{postgres_url}?{options}") == others | SESSION
