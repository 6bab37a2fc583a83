"""What stands before the dashboard's pages: who may ask, what may be asked, and what is said when the database is away."""

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
"""Of WSGI."""

HTML = "text/html; charset=utf-8"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
CONDITIONS = frozenset({"HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE"})
CHANGED = frozenset({"content-length", "last-modified", "etag", "accept-ranges"})
READ_ONLY = "this dashboard is read-only: studies are changed with faqnas-optuna, or with Optuna"
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

MARK = f"""<style>
button:has([data-testid="AddBoxIcon"]), button:has([data-testid="EditIcon"]), button.MuiButton-outlinedError,
button[aria-label="rename study"], button[aria-label="delete study"] {{ display: none !important; }}
#read-only {{ position: fixed; right: 0; bottom: 0; z-index: 2000; padding: 4px 12px; border-radius: 6px 0 0 0;
  background: #f4f6f9; color: #222; font: 14px system-ui, sans-serif; box-shadow: 0 0 3px #999; }}
</style>
<div id="read-only" title="{READ_ONLY}">Read-only · <a href="/">the fronts of the studies</a></div>
"""
"""What optuna-dashboard's page gets from us: its offers that would be refused are hidden, and there is a way back."""


def answer(
    start_response: StartResponse, status: str, body: str | bytes, *, kind: str = "text/plain; charset=utf-8", **headers: str
) -> list[bytes]:
    """A whole response.

    Args:
        headers: more of them, with `_` for `-`.
    """
    content = body.encode() if isinstance(body, str) else body
    more = [(name.replace("_", "-"), value) for name, value in headers.items()]
    always = [("Content-Type", kind), ("Content-Length", str(len(content)))]
    start_response(status, always + more)
    return [content]


def for_known_hosts(application: Application, hosts: Hosts) -> Application:
    """Refuse requests to another name than the server has."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        called = environ.get("HTTP_HOST", "")
        if hosts.allow(called):
            return application(environ, start_response)
        told = f"this dashboard does not answer to the name {called!r}, by which another site may read it; open it at its own"
        told += " address, or let it have this name: faqnas-optuna dashboard --allow-host NAME\n"
        return answer(start_response, "403 Forbidden", told)

    return filtered


def read_only(application: Application) -> Application:
    """Refuse whatever would change the storage: renaming or deleting a study from the page would end its workers."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in READING:
            return _refuse(start_response, "403 Forbidden", READ_ONLY, path=environ["PATH_INFO"])
        return application(environ, start_response)

    return filtered


def with_security_headers(application: Application) -> Application:
    """Forbid other sites to show our pages in a frame, and browsers to guess types or to tell where a reader comes from."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *error: object) -> Any:
            named = {name.title(): value for name, value in headers}
            policies = [named[POLICY]] if POLICY in named else []
            ours = {**SECURITY_HEADERS, POLICY: "; ".join([*policies, FRAMES])}
            others = [(name, value) for name, value in headers if name.title() not in ours]
            return start_response(status, [*others, *ours.items()], *error)

        return application(environ, start)

    return filtered


def without_body_for_head(application: Application) -> Application:
    """Answer HEAD with the headers alone."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = application(environ, start_response)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    return filtered


class OutageFilter:
    """Say that the database is away, to whoever asks and, once until it is back, in the log.

    Args:
        application: raises what the storage raises, or answers with 500.
    """

    def __init__(self, application: Application, storage: BaseStorage) -> None:
        self._application = application
        self._storage = storage
        self._is_away = False
        self._lock = Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        try:
            status, headers, body = collected(self._application, environ)
            if status.startswith("500") or self._is_away:
                # optuna-dashboard keeps to itself why it could not answer; and not every page needs the database.
                self._storage.get_all_studies()
        except UNUSABLE as error:
            self._note(error)
            return _refuse(start_response, "503 Service Unavailable", AWAY, path=path, every_s=LIST_EVERY_S)
        except Exception:
            # One faulty page must not end the server; the log has the traceback.
            logger.exception("could not answer %s", path)
            return _refuse(start_response, "500 Internal Server Error", "this page has an error of its own", path=path)
        self._note(None)
        if status.startswith("500"):
            logger.warning("optuna-dashboard could not answer %s: %s", path, status)
        start_response(status, headers)
        return [body]

    def _note(self, error: Exception | None) -> None:
        with self._lock:
            was_away, self._is_away = self._is_away, error is not None
        if error is not None and not was_away:
            logger.warning("the database does not answer (%s); the dashboard goes on when it is back", database_reason(error))
        elif error is None and was_away:
            logger.info("the database answers again")


def marked(application: Application) -> Application:
    """Put into optuna-dashboard's page what it lacks here."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # The file may be as it was, yet what is put into it is not.
        asked = {name: value for name, value in environ.items() if name not in CONDITIONS}
        if environ["REQUEST_METHOD"] == "HEAD":
            # To know how long it would be.
            asked["REQUEST_METHOD"] = "GET"
        status, headers, body = collected(application, asked)
        if status.startswith("200") and environ["PATH_INFO"].startswith("/dashboard"):
            body = body.replace(b"</body>", MARK.encode() + b"</body>")
            headers = [(name, value) for name, value in headers if name.lower() not in CHANGED]
            headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return [body]

    return filtered


def collected(application: Application, environ: Environ) -> tuple[str, Headers, bytes]:
    """The whole response of an application: status, headers, body. Its tracebacks go nowhere."""
    started: list[Any] = []

    def start(status: str, headers: Headers, _error: object = None) -> Callable[[bytes], object]:
        started[:] = [status, headers]
        return lambda _: None

    parts = application({**environ, "wsgi.errors": io.StringIO()}, start)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    status, headers = started
    return status, headers, body


def _refuse(start_response: StartResponse, status: str, reason: str, *, path: str, every_s: int = 0) -> list[bytes]:
    """In the form that whoever asks can show: a program of optuna-dashboard's, or a reader."""
    if path.startswith("/api/"):
        return answer(start_response, status, json.dumps({"reason": reason}), kind="application/json")
    page = message_page(status.partition(" ")[2], f"{reason[0].upper()}{reason[1:]}.", path=path, every_s=every_s)
    return answer(start_response, status, page, kind=HTML)
