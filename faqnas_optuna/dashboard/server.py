"""HTTP server of the dashboard. Waitress serves many browsers with a few threads."""

import logging
import resource
import socket
from contextlib import suppress
from threading import Event
from typing import Any

from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

from faqnas_optuna.dashboard.filters import Application
from faqnas_optuna.dashboard.health import HEALTH
from faqnas_optuna.dashboard.hosts import Hosts
from faqnas_optuna.errors import ConfigError

SILENCE_S = 60
"""Seconds without activity after which a connection is closed."""
THREADS = 16
"""Number of requests that are answered at the same time."""
CHECK_THREADS = 4
"""Number of health checks that are answered at the same time, beside these requests."""
CONNECTIONS = 400
"""Maximum number of open connections; further ones wait in the queue of the system."""
BACKLOG = 1024
"""Maximum length of that queue."""


class _Dispatcher:
    """Distributor of requests to threads, some of which are reserved for health checks.

    While a database hangs, its readers may occupy all other threads.

    Args:
        others: Threads for all other requests.
    """

    def __init__(self, others: Any) -> None:
        self._others = others
        self._checks = ThreadedTaskDispatcher()
        # Checks are frequent, so that one which waits for a thread is not reported.
        self._checks.queue_logger = logging.Logger(HEALTH, logging.ERROR)
        self._checks.set_thread_count(CHECK_THREADS)

    def add_task(self, channel: Any) -> None:
        """Queue the next request of a connection."""
        # A malformed request has no path, but must be answered too.
        threads = self._checks if getattr(channel.requests[0], "path", None) == HEALTH else self._others
        threads.add_task(channel)

    def shutdown(self, timeout: float = 5) -> None:
        """Stop the threads, and abandon requests that take longer than the timeout in seconds."""
        self._checks.shutdown(timeout=timeout)
        self._others.shutdown(timeout=timeout)


class DashboardServer:
    """WSGI server that answers requests between `serve_forever` and `shutdown`.

    Args:
        listener: Listening socket, which the server closes at its end.
        application: WSGI application.
        hosts: Names of the server in requests that it answers.
    """

    def __init__(self, listener: socket.socket, application: Application, hosts: Hosts) -> None:
        self.application = application
        self.hosts = hosts
        self._is_ending = False
        self._has_ended = Event()
        self._sockets: dict[int, Any] = {}
        self._server = self._create_server(listener)

    def _create_server(self, listener: socket.socket) -> Any:
        server = create_server(
            # The attribute is looked up for each request, so that the application can be replaced.
            lambda environ, start_response: self.application(environ, start_response),
            map=self._sockets,
            sockets=[listener],
            threads=THREADS,
            backlog=BACKLOG,
            connection_limit=_connection_limit(),
            channel_timeout=SILENCE_S,
            cleanup_interval=max(1, SILENCE_S // 6),
            # Browsers close connections at any time, which is no error.
            log_socket_errors=False,
            # In bytes; larger than any response, so that slow browsers cause no temporary files.
            outbuf_overflow=16 * 1024**2,
            # select() cannot watch file descriptors above 1023.
            asyncore_use_poll=True,
            ident=None,
        )
        server.task_dispatcher = _Dispatcher(server.task_dispatcher)
        return server

    @property
    def server_port(self) -> int:
        """Port that the server listens on."""
        return int(self._server.effective_port)

    def serve_forever(self) -> None:
        """Answer requests until another thread calls `shutdown`."""
        try:
            self._server.run()
        finally:
            self.close()
            self._has_ended.set()

    def shutdown(self) -> None:
        """End `serve_forever` from another thread, and wait until it has returned."""
        if not self._is_ending:
            self._is_ending = True
            # The serving thread must close the sockets itself, and returns once all are closed; the trigger wakes it. If it is
            # awake already, it may have closed them, and the trigger among them, before it is pulled here.
            with suppress(OSError):
                self._server.trigger.pull_trigger(self.close)
        self._has_ended.wait()

    def close(self) -> None:
        """Stop the threads and close all sockets. Requests that take longer than a second are abandoned."""
        # Without sockets the server is closed already: this may be called twice.
        if self._sockets:
            self._server.task_dispatcher.shutdown(timeout=1)
        # A copy, since closing a socket removes it from the dictionary.
        for open_socket in list(self._sockets.values()):
            open_socket.close()

    def __enter__(self) -> "DashboardServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Args:
        host: Name or address of this machine.
        port: Port; 0 to let the system choose a free one.

    Raises:
        ConfigError: The address is in use, or does not belong to this machine.
    """
    if not host:
        raise ConfigError("--host needs an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them; it is empty")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # Otherwise the port of a server that has just ended would be refused for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another with --port or --host") from error
    return listener


def _connection_limit() -> int:
    """Return the maximum number of connections."""
    # Half of the file descriptors remain for the database and for files.
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if limit == resource.RLIM_INFINITY else min(CONNECTIONS, limit // 2)
