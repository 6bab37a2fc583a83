"""Dashboards for tests, served by a thread of the test, and requests to them."""

import http.client
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from faqnas_optuna.dashboard.application import make_dashboard
from faqnas_optuna.storage.opening import open_storage
from tests.support.processes import TIMEOUT_S


@contextmanager
def served(url: str, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve a database and yield the dashboard's address."""
    with make_dashboard(open_storage(url), host=host, port=0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join(timeout=TIMEOUT_S)


def send_request(url: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Return status, headers and body, also of an error."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=TIMEOUT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, headers={name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()
