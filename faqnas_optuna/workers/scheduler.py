"""Connections to the scheduler of a Dask cluster."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from faqnas_optuna.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 4
"""Maximum time for a scheduler to answer."""
OTHER_ADDRESSES = {"http": "a web page", "https": "a web page", "inproc": "a scheduler inside another process"}
"""Kinds of addresses that Dask prints but that are not addresses of a scheduler on the network, by protocol."""
SQLITE_IS_LOCAL = "SQLite works on a single machine only; use PostgreSQL: --storage postgresql://USER:PASSWORD@HOST/DATABASE"


@contextmanager
def connected(address: str, *, storage_url: str | None, timeout_s: float = CONNECT_S) -> Iterator["Client"]:
    """Connect to a cluster.

    Args:
        address: Address of its scheduler, `tcp://HOST:8786`, or the path of its scheduler file.
        storage_url: URL of the database that the workers must reach; None if they need none.
        timeout_s: Maximum time for the scheduler to answer.

    Raises:
        ConfigError: Dask is not installed, the address is invalid, or other machines cannot reach the storage.
        ClusterError: No scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError("--dask needs Dask; run: pip install 'faqnas-optuna[dask]'") from error
    from faqnas_optuna.storage.urls import is_sqlite

    scheduler = _scheduler(address)
    if storage_url and is_sqlite(storage_url) and not _is_local(scheduler):
        raise ConfigError(f"the Dask scheduler {scheduler} is on another machine but {SQLITE_IS_LOCAL}")
    _check_protocol(scheduler)
    for name in ("distributed", "distributed.client"):
        # This module reports Dask's failures in one line each; Dask would add tracebacks.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # Not the default client: a user's notebook may have its own.
        client = Client(scheduler, timeout=timeout_s, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(f"no Dask scheduler answers at {scheduler}; start one or correct --dask") from error
    with client:
        yield client


def _scheduler(address: str) -> str:
    """Return the address of the scheduler, reading it from a scheduler file if one is given.

    Raises:
        ConfigError: There is no such file and no such form of an address, or the file contains no valid address.
    """
    try:
        is_file = Path(address).is_file()
    except OSError:
        # For example, the text is too long for a file name.
        is_file = False
    if not is_file:
        if not _is_address(address):
            raise ConfigError(
                f"--dask {address}: this is neither an existing scheduler file nor an address of the form tcp://HOST:PORT;"
                " correct it, for example to tcp://HOST:8786"
            )
        return address
    try:
        scheduler = json.loads(Path(address).read_text())["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--dask {address}: the file cannot be read as a scheduler file; name the file that"
            " `dask scheduler --scheduler-file` writes, or an address such as tcp://HOST:8786"
        ) from error
    if not (isinstance(scheduler, str) and _is_address(scheduler)):
        raise ConfigError(
            f"--dask {address}: the file must contain an address of the form tcp://HOST:PORT, but contains {scheduler!r}; let"
            " `dask scheduler --scheduler-file` write it again"
        )
    return scheduler


def _is_address(text: str) -> bool:
    """Return whether a text has a protocol, a host and a port."""
    try:
        parts = urlsplit(text)
        return bool(parts.scheme and parts.hostname and parts.port)
    except ValueError:
        return False


def _check_protocol(scheduler: str) -> None:
    """Refuse an address whose protocol Dask cannot use on this machine.

    This check comes before `Client`, which would start its thread, fail, and fail again when it is deleted.

    Raises:
        ConfigError: The address is that of a web page, its protocol is unknown or not installed, or certificates are missing.
    """
    from distributed import Security
    from distributed.comm.registry import get_backend

    protocol = urlsplit(scheduler).scheme
    if other := OTHER_ADDRESSES.get(protocol):
        raise ConfigError(f"--dask {scheduler} is the address of {other}; a scheduler's address begins with tcp:// or tls://")
    try:
        get_backend(protocol).get_connector()
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        raise ConfigError(
            f"--dask {scheduler}: Dask cannot use {protocol}:// on this machine ({error}); use tcp:// or tls://"
        ) from error
    if protocol not in ("tls", "wss"):
        return
    try:
        context = Security().get_connection_args("client")["ssl_context"]
    except OSError as error:
        raise ConfigError(f"--dask {scheduler}: the certificates in Dask's configuration cannot be read: {error}") from error
    if context is None:
        raise ConfigError(f"--dask {scheduler} needs certificates; set distributed.comm.tls in Dask's configuration")


def _is_local(address: str) -> bool:
    """Return whether an address belongs to this machine, that is, whether a socket can be bound to it."""
    try:
        addresses = socket.getaddrinfo(urlsplit(address).hostname, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, protocol, _, endpoint in addresses:
        with suppress(OSError), socket.socket(family, kind, protocol) as probe:
            probe.bind(endpoint)
            return True
    return False
