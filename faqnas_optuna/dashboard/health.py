"""Health check of the dashboard, for containers, service managers and monitoring."""

import json
from collections.abc import Iterable
from concurrent.futures import Future
from threading import Lock, Thread

from optuna.storages import BaseStorage

from faqnas_optuna.dashboard.filters import Application, Environ, StartResponse, answer
from faqnas_optuna.storage.activity import Activity, read_activity
from faqnas_optuna.study.metadata import DESCRIPTION

HEALTH = "/healthz"
"""Path of the health check."""
TIMEOUT_S = 5.0
"""Time after which a database that does not answer counts as unavailable."""


class HealthFilter:
    """Filter that answers health checks and passes other requests on.

    Args:
        application: Application for other requests.
        storage: Storage whose database is checked.
    """

    def __init__(self, application: Application, storage: BaseStorage) -> None:
        self._application = application
        self._storage = storage
        self._lock = Lock()
        self._reading: Future[Activity] | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != HEALTH or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._application(environ, start_response)
        status = "200 OK"
        document: dict[str, object]
        try:
            activity = self._current_reading().result(TIMEOUT_S)
            silent_s = activity.silent_s and round(activity.silent_s, 1)
            document = {"status": "ok", "database": "reachable"}
            document |= {"studies": activity.studies, "seconds_since_last_trial": silent_s}
        # Every error means that pages fail too. It is not logged, since checks are frequent.
        except Exception as error:
            is_late = isinstance(error, TimeoutError)
            reason = f"the database has not answered for {TIMEOUT_S:g} s" if is_late else str(error)
            status = "503 Service Unavailable"
            document = {"status": "unavailable", "database": reason}
        return answer(start_response, status, json.dumps(document), kind="application/json", Cache_Control="no-store")

    def _current_reading(self) -> Future[Activity]:
        """Return the reading in progress, or a new one."""
        # One reading at most: each check of a database that hangs would otherwise leave a thread and a connection behind.
        with self._lock:
            if self._reading is None or self._reading.done():
                self._reading = Future()
                # No thread of an executor, for whose end the process would wait.
                Thread(target=self._read, args=(self._reading,), daemon=True, name="health").start()
            return self._reading

    def _read(self, reading: Future[Activity]) -> None:
        try:
            reading.set_result(read_activity(self._storage, DESCRIPTION))
        except Exception as error:
            reading.set_exception(error)
