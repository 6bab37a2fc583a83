"""WSGI filters in front of the dashboard's pages: access, read-only mode, and messages while the database is unavailable."""

import io
import json
import logging
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from optuna.storages import BaseStorage

from faqnas_optuna.dashboard.hosts import Hosts
from faqnas_optuna.dashboard.pages import LIST_EVERY_S, message_page
from faqnas_optuna.errors import StorageError
from faqnas_optuna.storage.outages import DATABASE_ERRORS, database_reason

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
"""A WSGI application (PEP 3333)."""

HTML = "text/html; charset=utf-8"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
CONDITIONS = frozenset({"HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE"})
"""Request headers that ask for less than the whole current content."""
BODY_HEADERS = frozenset({"content-length", "last-modified", "etag", "accept-ranges"})
"""Response headers that are wrong once the body has been changed."""
READ_ONLY = "this dashboard is read-only; change studies with faqnas-optuna or Optuna"
AWAY = "the database does not answer"
FRAMES = "frame-ancestors 'none'"
POLICY = "Content-Security-Policy"
SECURITY_HEADERS = {
    # For browsers that do not know frame-ancestors.
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # The names of studies are in the addresses of their pages.
    "Referrer-Policy": "no-referrer",
}
UNUSABLE = (*DATABASE_ERRORS, StorageError)

BANNER = f"""<style>
button:has([data-testid="AddBoxIcon"]), button:has([data-testid="EditIcon"]), button.MuiButton-outlinedError,
button[aria-label="rename study"], button[aria-label="delete study"] {{ display: none !important; }}
#read-only {{ position: fixed; right: 0; bottom: 0; z-index: 2000; padding: 4px 12px; border-radius: 6px 0 0 0;
  background: #f4f6f9; color: #222; font: 14px system-ui, sans-serif; box-shadow: 0 0 3px #999; }}
</style>
<div id="read-only" title="{READ_ONLY}">Read-only · <a href="/">the fronts of the studies</a></div>
"""
"""Addition to optuna-dashboard's page: it hides buttons whose requests would be refused, and links back to our pages."""


def answer(
    start_response: StartResponse, status: str, body: str | bytes, *, kind: str = "text/plain; charset=utf-8", **headers: str
) -> list[bytes]:
    """Send a response.

    Args:
        start_response: Function of the WSGI server.
        status: Status line, such as "200 OK".
        body: Content of the response.
        kind: Content type.
        headers: Further headers, with `_` in place of `-`.
    """
    content = body.encode() if isinstance(body, str) else body
    further_headers = [(name.replace("_", "-"), value) for name, value in headers.items()]
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(content))), *further_headers])
    return [content]


def for_known_hosts(application: Application, hosts: Hosts) -> Application:
    """Return the application with a filter that refuses requests to unknown host names (see `dashboard.hosts`)."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "")
        if hosts.allow(host):
            return application(environ, start_response)
        message = (
            f"this dashboard does not answer requests for the host {host!r}, since another site could read it that way; open it"
            " at its own address, or allow the name with: faqnas-optuna dashboard --allow-host NAME\n"
        )
        return answer(start_response, "403 Forbidden", message)

    return filtered


def read_only(application: Application) -> Application:
    """Return the application with a filter that refuses requests which could change the storage."""

    # Renaming or deleting a study in optuna-dashboard would end its workers.
    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in READING:
            return _refuse(start_response, "403 Forbidden", READ_ONLY, path=environ["PATH_INFO"])
        return application(environ, start_response)

    return filtered


def with_security_headers(application: Application) -> Application:
    """Return the application with headers that forbid frames on other sites, guessed content types, and referrers."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *error: object) -> Any:
            values = {name.title(): value for name, value in headers}
            # A policy of the application is extended, not replaced.
            policies = [values[POLICY]] if POLICY in values else []
            ours = {**SECURITY_HEADERS, POLICY: "; ".join([*policies, FRAMES])}
            others = [(name, value) for name, value in headers if name.title() not in ours]
            return start_response(status, [*others, *ours.items()], *error)

        return application(environ, start)

    return filtered


def without_body_for_head(application: Application) -> Application:
    """Return the application with a filter that answers HEAD requests with the headers alone."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = application(environ, start_response)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    return filtered


class OutageFilter:
    """Filter that answers with a message while the database is unavailable, and logs the beginning and end of an outage.

    Args:
        application: Application that raises the errors of the storage, or answers with status 500.
        storage: Storage that the application reads.
    """

    def __init__(self, application: Application, storage: BaseStorage) -> None:
        self._application = application
        self._storage = storage
        self._is_away = False
        # Several threads may notice an outage at the same time; it is logged once.
        self._lock = Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        try:
            status, headers, body = collect_response(self._application, environ)
            # optuna-dashboard does not say why it could not answer, and pages that need no database say nothing about it.
            if status.startswith("500") or self._is_away:
                self._storage.get_all_studies()
        except UNUSABLE as error:
            self._log_change(error)
            return _refuse(start_response, "503 Service Unavailable", AWAY, path=path, every_s=LIST_EVERY_S)
        # An error in one page must not end the server; the log has the traceback.
        except Exception:
            logger.exception("could not answer %s", path)
            return _refuse(start_response, "500 Internal Server Error", "this page failed; see the dashboard's log", path=path)
        self._log_change(None)
        if status.startswith("500"):
            logger.warning("optuna-dashboard could not answer %s: %s", path, status)
        start_response(status, headers)
        return [body]

    def _log_change(self, error: Exception | None) -> None:
        """Log the beginning of an outage, given its error, or the end of one, given None."""
        with self._lock:
            was_away = self._is_away
            self._is_away = error is not None
        if error is not None and not was_away:
            logger.warning("the database does not answer (%s); the dashboard continues when it is back", database_reason(error))
        elif error is None and was_away:
            logger.info("the database answers again")


def with_banner(application: Application) -> Application:
    """Return optuna-dashboard's application with the banner in its pages."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # Without conditions: "304 Not Modified" would be about the page without the banner, which may have changed.
        request = {name: value for name, value in environ.items() if name not in CONDITIONS}
        # The length of the page must be known for HEAD too; a filter further out drops the body.
        if environ["REQUEST_METHOD"] == "HEAD":
            request["REQUEST_METHOD"] = "GET"
        status, headers, body = collect_response(application, request)
        if status.startswith("200") and environ["PATH_INFO"].startswith("/dashboard"):
            body = body.replace(b"</body>", BANNER.encode() + b"</body>")
            headers = [(name, value) for name, value in headers if name.lower() not in BODY_HEADERS]
            headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return [body]

    return filtered


def collect_response(application: Application, environ: Environ) -> tuple[str, Headers, bytes]:
    """Return the status, headers and whole body of an application's response."""
    head: list[Any] = []

    def start(status: str, headers: Headers, _error: object = None) -> Callable[[bytes], object]:
        # May be called again if an error occurs while the body is produced (PEP 3333); the last call counts.
        head[:] = [status, headers]
        return lambda _: None

    # Tracebacks on `wsgi.errors` are discarded: the outage filter logs what matters.
    parts = application({**environ, "wsgi.errors": io.StringIO()}, start)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close:
            close()
    status, headers = head
    return status, headers, body


def _refuse(start_response: StartResponse, status: str, reason: str, *, path: str, every_s: int = 0) -> list[bytes]:
    """Send an error: as JSON to the scripts of optuna-dashboard, which display the reason, otherwise as a page."""
    if path.startswith("/api/"):
        return answer(start_response, status, json.dumps({"reason": reason}), kind="application/json")
    page = message_page(status.partition(" ")[2], f"{reason[0].upper()}{reason[1:]}.", path=path, every_s=every_s)
    return answer(start_response, status, page, kind=HTML)
