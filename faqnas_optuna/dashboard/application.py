"""Dashboard: our pages with fronts, and optuna-dashboard in read-only mode behind them."""

import gzip
import hashlib
import logging
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from threading import Lock
from urllib.parse import parse_qs

from optuna.storages import BaseStorage

from faqnas_optuna.dashboard.filters import (
    HTML,
    Application,
    Environ,
    OutageFilter,
    StartResponse,
    answer,
    for_known_hosts,
    read_only,
    with_banner,
    with_security_headers,
    without_body_for_head,
)
from faqnas_optuna.dashboard.health import HealthFilter
from faqnas_optuna.dashboard.hosts import Hosts, host_name
from faqnas_optuna.dashboard.pages import fronts_page, message_page, overview_page, study_page
from faqnas_optuna.dashboard.server import DashboardServer, listening_socket
from faqnas_optuna.dashboard.watching import StudyWatcher
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError, StudyMismatchError, StudyNotFoundError

# Pages load nothing from elsewhere. Plotly sets styles inline, and exports images through data and blob URLs.
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none';"
POLICY += " base-uri 'none'; form-action 'self'"
FRONTS = "/fronts"
"""Path of the page with the fronts of several studies."""
NOT_OURS = "The study has no page here, since it was not created by faqnas-optuna; see it in optuna-dashboard."
ASSETS = {
    "/assets/plotly.js": "text/javascript; charset=utf-8",
    "/assets/page.js": "text/javascript; charset=utf-8",
    "/assets/page.css": "text/css; charset=utf-8",
}


def make_dashboard(storage: BaseStorage, *, host: str, port: int, allowed: Iterable[str] = ()) -> DashboardServer:
    """Return a server of the dashboard, to be run by `serve_forever`.

    Args:
        storage: Storage whose studies are displayed.
        host: Name or address of this machine to listen on.
        port: Port; 0 to let the system choose a free one (see `server_port`).
        allowed: Further names of this machine in the addresses that browsers use.

    Raises:
        ConfigError: The address is in use or does not belong to this machine, or an allowed name is not a host name.
    """
    names = [host_name(name) for name in allowed]
    listener = listening_socket(host, port)
    hosts = Hosts.of(host, str(listener.getsockname()[0]), names)
    application = _with_assets(HealthFilter(OutageFilter(_all_pages(storage), storage), storage))
    return DashboardServer(listener, without_body_for_head(with_security_headers(for_known_hosts(application, hosts))), hosts)


class _OptunaDashboard:
    """Application of optuna-dashboard, created for the first request.

    Args:
        storage: Storage whose studies are displayed.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self._application: Application | None = None
        self._lock = Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # Not created with the server: importing optuna-dashboard imports scikit-learn, which takes seconds, and many users
        # only look at our pages.
        with self._lock:
            self._application = self._application or self._create()
        # optuna-dashboard fails if a request lacks this header.
        return self._application({"HTTP_ACCEPT_ENCODING": "identity"} | environ, start_response)

    def _create(self) -> Application:
        import optuna_dashboard

        # It logs every error with a traceback. The outage filter logs what matters.
        logging.getLogger(optuna_dashboard.__name__).setLevel(logging.CRITICAL)
        application: Application = optuna_dashboard.wsgi(self._storage)
        return application


def _all_pages(storage: BaseStorage) -> Application:
    """Return the application with our pages, and those of optuna-dashboard for all other paths."""
    watcher = StudyWatcher(storage)
    optuna_dashboard = with_banner(_OptunaDashboard(storage))

    def pages(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in ("", "/", FRONTS) and not path.startswith("/study/"):
            return optuna_dashboard(environ, start_response)
        if path.startswith("/study/"):
            status, page = _study(watcher, path)
        elif path == FRONTS:
            status, page = _fronts(watcher, environ.get("QUERY_STRING", ""))
        else:
            status = "200 OK"
            page = overview_page(watcher.overview(), path="/")
        # The content changes with every trial, so browsers must not store it.
        return answer(start_response, status, page, kind=HTML, Content_Security_Policy=POLICY, Cache_Control="no-store")

    return read_only(pages)


def _study(watcher: StudyWatcher, path: str) -> tuple[str, str]:
    """Return the status and the page for the path of a study."""
    # WSGI hands over paths in UTF-8 as if they were Latin-1 (PEP 3333).
    name = path.removeprefix("/study/").encode("latin-1", "replace").decode(errors="replace")
    try:
        return "200 OK", study_page(watcher.study(name), path=path)
    except (ConfigError, StudyNotFoundError, StudyMismatchError) as error:
        # A study without a page here still has one in optuna-dashboard.
        study_id = watcher.study_ids().get(name)
        if study_id is None:
            return "404 Not Found", message_page("No such study", f"There is no study {name!r} here.", path=path)
        reason = f"The study has no page here: {error}." if isinstance(error, StudyMismatchError) else NOT_OURS
        return "200 OK", message_page(name, reason, path=path, study_id=study_id)


def _fronts(watcher: StudyWatcher, query: str) -> tuple[str, str]:
    """Return the status and the page for the query of an address such as /fronts?study=a&study=b&group-by=epochs."""
    try:
        settings = parse_qs(query, keep_blank_values=True)
        names = settings.pop("study", [])
        group_by = settings.pop("group-by", [""])
        if settings or len(group_by) > 1:
            raise ConfigError("the address has other settings than study=NAME, repeatable, and one group-by=SETTING")
        if not names:
            raise ConfigError("no study is chosen; tick studies in the list")
        return "200 OK", fronts_page(watcher.fronts(names, group_by[0] or None), path=FRONTS)
    except StudyNotFoundError as error:
        return "404 Not Found", message_page("No such study", str(error), path=FRONTS)
    except (ConfigError, NoSuccessfulTrialError, StudyMismatchError) as error:
        return "400 Bad Request", message_page("No such plot", str(error), path=FRONTS)


def _with_assets(application: Application) -> Application:
    """Return the application with scripts and style sheet, which are served even while the database is unavailable."""

    def filtered(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in ASSETS:
            return application(environ, start_response)
        content, tag = _asset(path.rpartition("/")[2])
        if environ.get("HTTP_IF_NONE_MATCH") == tag:
            start_response("304 Not Modified", [("ETag", tag)])
            return []
        # Browsers may store the files, but ask each time whether the tag is still the same.
        headers = {"Cache_Control": "no-cache", "ETag": tag, "Vary": "Accept-Encoding"}
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            return answer(start_response, "200 OK", content, kind=ASSETS[path], Content_Encoding="gzip", **headers)
        return answer(start_response, "200 OK", gzip.decompress(content), kind=ASSETS[path], **headers)

    return filtered


@cache
def _asset(name: str) -> tuple[bytes, str]:
    """Return the compressed content of a file, and a tag that changes with the content."""
    # Importing Plotly takes a second, and only pages with figures ask for files.
    from plotly.offline import get_plotlyjs

    text = get_plotlyjs() if name == "plotly.js" else (files(__package__) / name).read_text()
    # Without a time, so that the tag depends on the content alone.
    content = gzip.compress(text.encode(), mtime=0)
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
