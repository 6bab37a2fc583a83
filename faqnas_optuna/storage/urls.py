"""URLs of databases: validation, drivers, and display without passwords."""

import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from faqnas_optuna.errors import StorageError

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
"""Drivers that the package's extras install, by the scheme of a URL without a driver."""
SHOWN_OPTIONS = frozenset(
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
"""Driver options whose values may be shown in messages; the value of any other option may be a secret."""
USER_AND_PASSWORD = re.compile(r"[^:]+://([^:/]*(:[^@]*)?@)?")
"""Part of a URL before the host, as SQLAlchemy splits it."""
ESCAPES = "in a password, write %40 for @, %2F for /, %3A for :, %3F for ?, and %25 for %"
"""Advice for a URL whose password is not escaped."""


def parse(url: str) -> URL:
    """Parse a URL and choose the driver.

    Raises:
        StorageError: The text is no URL, names an unsupported database, or contains an unescaped password.

    >>> parse("postgresql://me@db.example.org/studies").drivername
    'postgresql+psycopg'
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The message must not repeat the text, which may contain a password.
        raise StorageError(
            f"the storage is not a database URL; write sqlite:///FILE.db or postgresql://USER:PASSWORD@HOST/DATABASE; {ESCAPES}"
        ) from error
    kind = parsed.get_backend_name()
    if kind not in ("sqlite", *DRIVERS):
        hint = "; write postgresql://" if kind in ("postgres", "pgsql") else ""
        raise StorageError(f"the storage must be an SQLite, PostgreSQL or MySQL database; it is {kind}{hint}")
    if parsed.get_backend_name() != "sqlite" and "@" in USER_AND_PASSWORD.sub("", url, count=1):
        # SQLAlchemy ends a password at its first @. The rest of the password would become part of the host and be shown.
        raise StorageError(f"the URL of the storage contains an unescaped @: {ESCAPES}")
    _check_options(url)
    return _with_socket_as_option(parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername)))


def _check_options(url: str) -> None:
    """Refuse options without a value.

    Raises:
        StorageError: An option has no value.
    """
    # SQLAlchemy drops them silently. Most often they are the rest of a path or password that contains a question mark.
    _, _, options = USER_AND_PASSWORD.sub("", url, count=1).partition("?")
    if any("=" not in option for option in options.split("&") if option):
        raise StorageError(
            "options after the ? in the URL of the storage must be written NAME=VALUE, separated by &;"
            " a ? in a path or a password is written %3F"
        )


def _with_socket_as_option(url: URL) -> URL:
    """Return the URL with a Unix socket in place of the host, which libpq allows, moved to the driver's option for sockets."""
    if url.host is None or "%2f" not in url.host.lower():
        return url
    option = "host" if url.get_backend_name() == "postgresql" else "unix_socket"
    query = {**url.query, option: unquote(url.host)}
    return URL.create(url.drivername, url.username, url.password, None, url.port, url.database, query)


def masked_url(url: str) -> str:
    """Return the URL with *** in place of its password and of options that may hold secrets.

    >>> masked_url("mysql://me:hunter2@db.example.org/studies?charset=utf8mb4")
    'mysql+pymysql://me:***@db.example.org/studies?charset=utf8mb4'
    """
    # SQLAlchemy encodes names in UTF-8; a path may contain other bytes.
    parsed = parse(os.fsencode(url).decode(errors="replace"))
    masks = {name: "***" for name in parsed.query if name not in SHOWN_OPTIONS}
    return parsed.update_query_dict(masks).render_as_string(hide_password=True).replace(quote_plus("***"), "***")


def secrets(url: str) -> list[str]:
    """Return the texts that `masked_url` hides."""
    parsed = parse(url)
    values = [value for name, values in parsed.normalized_query.items() if name not in SHOWN_OPTIONS for value in values]
    return [secret for secret in (parsed.password, *values) if secret]


def remove_secrets(reason: str, url: str) -> str:
    """Return a driver's message with *** in place of the secrets of a URL, plain or escaped."""
    # Longest first: a short secret may be part of a longer one. As part of a word it is probably no secret.
    for secret in sorted(secrets(url), key=len, reverse=True):
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            reason = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "***", reason)
    return reason


def is_sqlite(url: str) -> bool:
    """Return whether the storage is a file, which only processes on one machine can share."""
    return parse(url).get_backend_name() == "sqlite"


def absolute(url: str) -> str:
    """Return the URL, including its password, with the absolute path of an SQLite file."""
    parsed = parse(url)
    if is_sqlite(url):
        parsed = parsed.set(database=str(sqlite_file(parsed)))
    return parsed.render_as_string(hide_password=False)


def sqlite_file(url: URL) -> Path:
    """Return the absolute path of an SQLite database.

    Raises:
        StorageError: The database is in memory, or named by a URI.
    """
    if not url.database or url.database == ":memory:":
        raise StorageError("an SQLite storage must be a file that workers can share; write sqlite:///FILE.db")
    if url.database.startswith("file:"):
        # Lock and checks need the path, which a URI may hide behind escapes and options.
        raise StorageError(f"an SQLite storage is named by a path, not by the URI {url.database}; write sqlite:///FILE.db")
    return Path(url.database).absolute()
