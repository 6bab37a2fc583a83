"""HTTP server of the dashboard: waitress, which serves many browsers with a few threads."""

import resource
import socket
from contextlib import suppress
from threading import Event
from typing import Any

from waitress.server import create_server

from faqnas_optuna.dashboard.filters import Application
from faqnas_optuna.dashboard.hosts import Hosts
from faqnas_optuna.errors import ConfigError

SILENCE_S = 60
"""Seconds after which a connection on which nothing happens is closed."""
THREADS = 16
"""Requests that are answered at the same time; others wait."""
CONNECTIONS = 400
"""Maximum number of open connections; others wait in the queue of the system."""
BACKLOG = 1024
"""Maximum length of that queue."""


class DashboardServer:
    """WSGI server that answers from `serve_forever` to `shutdown`.

    Args:
        listener: a listening socket, which the server closes at its end.
        hosts: names that browsers may call it by.
    """

    def __init__(self, listener: socket.socket, application: Application, hosts: Hosts) -> None:
        self.application = application
        self.hosts = hosts
        self._is_ending = False
        self._has_ended = Event()
        self._sockets: dict[int, Any] = {}
        self._server = self._made(listener)

    def _made(self, listener: socket.socket) -> Any:
        return create_server(
            lambda environ, start_response: self.application(environ, start_response),
            map=self._sockets,
            sockets=[listener],
            threads=THREADS,
            backlog=BACKLOG,
            connection_limit=_connection_limit(),
            channel_timeout=SILENCE_S,
            cleanup_interval=max(1, SILENCE_S // 6),
            # Browsers may close a connection whenever they want.
            log_socket_errors=False,
            # No answer is so large that a temporary file must hold what a slow browser has not taken yet.
            outbuf_overflow=16 * 1024**2,
            # select() cannot watch file descriptors above 1023.
            asyncore_use_poll=True,
            ident=None,
        )

    @property
    def server_port(self) -> int:
        return int(self._server.effective_port)

    def serve_forever(self) -> None:
        """Answer requests until another thread calls `shutdown`."""
        try:
            self._server.run()
        finally:
            self.close()
            self._has_ended.set()

    def shutdown(self) -> None:
        """End `serve_forever`, and wait until it has returned."""
        if not self._is_ending:
            self._is_ending = True
            # Sockets are closed by the thread that watches them; it returns when none is left. If it is awake already, it may
            # have closed them, and the trigger among them, before it is woken here.
            with suppress(OSError):
                self._server.trigger.pull_trigger(self.close)
        self._has_ended.wait()

    def close(self) -> None:
        """Stop the threads and close all sockets. Requests that take longer than a second are abandoned."""
        if self._sockets:
            self._server.task_dispatcher.shutdown(timeout=1)
        for open_socket in list(self._sockets.values()):
            open_socket.close()

    def __enter__(self) -> "DashboardServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; with port 0 the system chooses the port.

    Raises:
        ConfigError: the address is in use, or is not one of this machine.
    """
    if not host:
        raise ConfigError("--host needs an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them; it is empty")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # A port is free again as soon as its last server has ended.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another with --port or --host") from error
    return listener


def _connection_limit() -> int:
    """Return the maximum number of connections; half of the file descriptors remain for the database and for files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if limit == resource.RLIM_INFINITY else min(CONNECTIONS, limit // 2)
