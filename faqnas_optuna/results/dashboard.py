"""optuna-dashboard over a study's storage, to be looked at."""

from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard
from optuna.storages import BaseStorage

from faqnas_optuna.errors import ConfigError

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class _ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the page asks for news every few seconds."""


def make_dashboard(storage: BaseStorage, *, host: str, port: int) -> WSGIServer:
    """A server of the dashboard; `serve_forever` runs it. With port 0 the system chooses one (`server_port`).

    Raises:
        ConfigError: the address is in use or not ours.
    """
    application = read_only(optuna_dashboard.wsgi(storage))
    try:
        return make_server(host, port, application, server_class=_ThreadedServer, handler_class=_QuietHandler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another with --port or --host") from error


def read_only(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Refuse whatever would change the storage: renaming or deleting a study from the page would end its workers."""

    def filtered(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in READING:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this dashboard is for looking only\n"]
        return application(environ, start_response)

    return filtered
