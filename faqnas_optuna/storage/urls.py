"""URLs of databases: what they mean, and how to show one without its password."""

import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from faqnas_optuna.errors import StorageError

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
"""The drivers that the extras install; a plain `postgresql://` means one of them."""
HARMLESS = frozenset(
    {
        "application_name",
        "charset",
        "client_encoding",
        "connect_timeout",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "port",
        "prepare_threshold",
        "read_timeout",
        "ssl_ca",
        "ssl_cert",
        "ssl_disabled",
        "ssl_key",
        "ssl_verify_cert",
        "ssl_verify_identity",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
        "tcp_user_timeout",
        "timeout",
        "unix_socket",
        "user",
        "write_timeout",
    }
)
"""Options of drivers whose values are shown in messages. Those of all others may hold a secret."""
USER_AND_PASSWORD = re.compile(r"[^:]+://([^:/]*(:[^@]*)?@)?")
"""What comes before the host, as SQLAlchemy reads it."""
ESCAPES = "in a password, @ is written %40, / %2F, : %3A, ? %3F, and % %25"


def parse(url: str) -> URL:
    """The URL with the driver that we use.

    Raises:
        StorageError: it is none, or of another kind of database, or its password is not escaped.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The message must not repeat what may hold a password.
        raise StorageError(
            f"the storage is no database URL; write sqlite:///FILE.db or postgresql://USER:PASSWORD@HOST/DATABASE; {ESCAPES}"
        ) from error
    kind = parsed.get_backend_name()
    if kind not in ("sqlite", *DRIVERS):
        meant = "; write postgresql://" if kind in ("postgres", "pgsql") else ""
        raise StorageError(f"a storage is an SQLite, PostgreSQL or MySQL database; {kind} is none of them{meant}")
    if parsed.get_backend_name() != "sqlite" and "@" in USER_AND_PASSWORD.sub("", url, count=1):
        # A password ends at its first @: the rest would be taken for the host, and shown.
        raise StorageError(f"there is one @ too many in the URL of the storage: {ESCAPES}")
    _check_options(url)
    return _with_socket_as_option(parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername)))


def _check_options(url: str) -> None:
    """Refuse options that SQLAlchemy would silently drop, most often the rest of a path with a question mark.

    Raises:
        StorageError: an option has no value.
    """
    _, _, options = USER_AND_PASSWORD.sub("", url, count=1).partition("?")
    if any("=" not in option for option in options.split("&") if option):
        raise StorageError(
            "options after the ? in the URL of the storage are written NAME=VALUE, with & between them;"
            " a ? in a path or a password is written %3F"
        )


def _with_socket_as_option(url: URL) -> URL:
    """Return the URL with a Unix socket in the driver's option if it stands in the place of the host, as libpq allows."""
    if url.host is None or "%2f" not in url.host.lower():
        return url
    option = "host" if url.get_backend_name() == "postgresql" else "unix_socket"
    query = {**url.query, option: unquote(url.host)}
    return URL.create(url.drivername, url.username, url.password, None, url.port, url.database, query)


def masked(url: str) -> str:
    """Return the URL with *** for its password, and for whatever else may be one."""
    # SQLAlchemy quotes names in UTF-8; a path may hold other bytes.
    parsed = parse(os.fsencode(url).decode(errors="replace"))
    hidden = {name: "***" for name in parsed.query if name not in HARMLESS}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True).replace(quote_plus("***"), "***")


def secrets(url: str) -> list[str]:
    """What `masked` hides."""
    parsed = parse(url)
    values = [value for name, found in parsed.normalized_query.items() if name not in HARMLESS for value in found]
    return [secret for secret in (parsed.password, *values) if secret]


def scrubbed(reason: str, url: str) -> str:
    """What a driver says, should it repeat a secret, as it is or as a URL has it. A short one may also be part of a word."""
    for secret in sorted(secrets(url), key=len, reverse=True):
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            reason = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "***", reason)
    return reason


def is_sqlite(url: str) -> bool:
    """Whether the storage is a file, which only the processes of one machine can share."""
    return parse(url).get_backend_name() == "sqlite"


def absolute(url: str) -> str:
    """The URL as it holds in any working directory, password included."""
    parsed = parse(url)
    if is_sqlite(url):
        parsed = parsed.set(database=str(sqlite_file(parsed)))
    return parsed.render_as_string(hide_password=False)


def sqlite_file(url: URL) -> Path:
    """The file of an SQLite database, whole path.

    Raises:
        StorageError: it is none that other processes can open.
    """
    if not url.database or url.database == ":memory:":
        raise StorageError("an SQLite storage must be a file that workers can share; write sqlite:///FILE.db")
    if url.database.startswith("file:"):
        # Our lock and our checks belong to the file that is meant.
        raise StorageError(f"an SQLite storage is named by a path, not by the URI {url.database}; write sqlite:///FILE.db")
    return Path(url.database).absolute()
