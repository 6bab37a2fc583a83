"""The dashboard: our pages of fronts, and optuna-dashboard behind them, to be looked at."""

import gzip
import hashlib
import logging
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from threading import Lock

from optuna.storages import BaseStorage

from faqnas_optuna.dashboard.filters import (
    HTML,
    Application,
    Environ,
    OutageFilter,
    StartResponse,
    answer,
    for_known_hosts,
    marked,
    read_only,
    with_security_headers,
    without_body_for_head,
)
from faqnas_optuna.dashboard.hosts import Hosts, host_name
from faqnas_optuna.dashboard.pages import message_page, overview_page, study_page
from faqnas_optuna.dashboard.server import DashboardServer, listening_socket
from faqnas_optuna.dashboard.watching import Watched
from faqnas_optuna.errors import ConfigError, StudyMismatchError, StudyNotFoundError

POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none';"
POLICY += " base-uri 'none'; form-action 'none'"
NOT_OURS = "It has no page here, as it was not made by faqnas-optuna: see it in optuna-dashboard."
ASSETS = {
    "/assets/plotly.js": "text/javascript; charset=utf-8",
    "/assets/page.js": "text/javascript; charset=utf-8",
    "/assets/page.css": "text/css; charset=utf-8",
}


def make_dashboard(storage: BaseStorage, *, host: str, port: int, allowed: Iterable[str] = ()) -> DashboardServer:
    """Return a server of the dashboard; `serve_forever` runs it. With port 0 the system chooses one (`server_port`).

    Args:
        allowed: further names of this machine that browsers may call it by.

    Raises:
        ConfigError: the address is in use or not ours, or an allowed name is not the name of a host.
    """
    names = [host_name(name) for name in allowed]
    listener = listening_socket(host, port)
    hosts = Hosts.of(host, str(listener.getsockname()[0]), names)
    application = _with_assets(OutageFilter(_all_pages(storage), storage))
    return DashboardServer(listener, without_body_for_head(with_security_headers(for_known_hosts(application, hosts))), hosts)


class _OptunaDashboard:
    """The application of that name, made for the first who asks: it brings scikit-learn, which takes seconds."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self._made: Application | None = None
        self._lock = Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            self._made = self._made or self._make()
        # It fails where a client does not say which encodings it takes.
        return self._made({"HTTP_ACCEPT_ENCODING": "identity"} | environ, start_response)

    def _make(self) -> Application:
        import optuna_dashboard

        # It tells of what goes wrong with tracebacks; what matters of that is told by the filter.
        logging.getLogger(optuna_dashboard.__name__).setLevel(logging.CRITICAL)
        made: Application = optuna_dashboard.wsgi(self._storage)
        return made


def _all_pages(storage: BaseStorage) -> Application:
    """Ours, and behind them optuna-dashboard's."""
    watched, theirs = Watched(storage), marked(_OptunaDashboard(storage))

    def pages(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in ("", "/") and not path.startswith("/study/"):
            return theirs(environ, start_response)
        if path.startswith("/study/"):
            status, page = _study(watched, path)
        else:
            status, page = "200 OK", overview_page(watched.overview(), path="/")
        return answer(start_response, status, page, kind=HTML, Content_Security_Policy=POLICY, Cache_Control="no-store")

    return read_only(pages)


def _study(watched: Watched, path: str) -> tuple[str, str]:
    # WSGI hands UTF-8 on as Latin-1.
    name = path.removeprefix("/study/").encode("latin-1", "replace").decode(errors="replace")
    try:
        return "200 OK", study_page(watched.study(name), path=path)
    except (ConfigError, StudyNotFoundError, StudyMismatchError) as error:
        number = watched.numbers().get(name)
        if number is None:
            return "404 Not Found", message_page("No such study", f"There is no study {name!r} here.", path=path)
        reason = f"It has no page here: {error}." if isinstance(error, StudyMismatchError) else NOT_OURS
        return "200 OK", message_page(name, reason, path=path, number=number)


def _with_assets(application: Application) -> Application:
    """Scripts and style, also while the database is away."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in ASSETS:
            return application(environ, start_response)
        content, tag = _asset(path.rpartition("/")[2])
        if environ.get("HTTP_IF_NONE_MATCH") == tag:
            start_response("304 Not Modified", [("ETag", tag)])
            return []
        headers = {"Cache_Control": "no-cache", "ETag": tag, "Vary": "Accept-Encoding"}
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            return answer(start_response, "200 OK", content, kind=ASSETS[path], Content_Encoding="gzip", **headers)
        return answer(start_response, "200 OK", gzip.decompress(content), kind=ASSETS[path], **headers)

    return filtered


@cache
def _asset(name: str) -> tuple[bytes, str]:
    """A file, compressed, and a tag that changes with it."""
    # It takes a second, and only pages with figures ask for it.
    from plotly.offline import get_plotlyjs

    text = get_plotlyjs() if name == "plotly.js" else (files(__package__) / name).read_text()
    content = gzip.compress(text.encode(), mtime=0)
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
