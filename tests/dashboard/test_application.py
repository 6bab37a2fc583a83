import errno
import http.client
import itertools
import json
import logging
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna
import optuna_dashboard
import pytest

from faqnas_optuna.config import FlopsCounter
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.dashboard import server
from faqnas_optuna.dashboard.application import make_dashboard
from faqnas_optuna.dashboard.watching import Shared
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.stored_plots import store_plots
from faqnas_optuna.reporting.study_groups import group_studies, groups_figure
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, create, load
from faqnas_optuna.study.state import read_state
from tests.conftest import TIMEOUT_S, cheap_values, cli_environment, run_trials, small_config
from tests.support.crew import wait_until
from tests.support.dashboards import send_request, served
from tests.support.databases import PostgresServer


class SilentHandler(WSGIRequestHandler):
    """Handler that does not log requests."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(search_of_eight: Search, storage_url: str) -> Iterator[str]:
    with served(storage_url) as address:
        yield address


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
        text: str = response.read().decode()
        return text


def test_the_first_page_lists_the_studies(address: str) -> None:
    page = get(address)
    assert '<a href="./study/iris">iris</a>' in page
    assert '<a href="./dashboard/studies/1" class=beyond>optuna-dashboard</a>' in page


def test_a_study_has_a_page_with_its_front_and_its_note(address: str, search_of_eight: Search) -> None:
    page = get(f"{address}/study/iris")
    for candidate in read_state(search_of_eight).front:
        assert str(candidate.effective_gates) in page
    for text in ("Two values are minimised", "Adam", "Wilson 95 % CI", "by faqnas-optuna 0."):
        assert text in page


def test_the_page_of_a_study_shows_what_is_new(address: str, search_of_eight: Search) -> None:
    assert hypervolumes(get(f"{address}/study/iris")) == []
    search_of_eight.advance(read_state(search_of_eight))
    page = get(f"{address}/study/iris")
    assert hypervolumes(page) == [closed.hypervolume for closed in search_of_eight.metadata.closed_generations()]
    assert "UTC: all 2 generations are done" in page


def hypervolumes(page: str) -> list[float]:
    """Return the values shown in the second figure."""
    figure = json.loads(page.partition('data-figure="hypervolume">')[2].partition("</script>")[0])
    values: list[float] = figure["data"][0]["y"]
    return values


def test_a_study_in_the_place_of_a_deleted_one_is_another(
    address: str, storage_url: str, new_search: Callable[..., Search]
) -> None:
    assert "8, 0 running" in get(f"{address}/study/iris")
    optuna.delete_study(study_name="iris", storage=open_storage(storage_url))
    assert send_request(f"{address}/study/iris")[0] == 404
    run_trials(new_search(), 3, cheap_values)
    assert "3, 0 running" in get(f"{address}/study/iris")


def test_a_study_without_a_trial_says_so(address: str, new_search: Callable[..., Search]) -> None:
    new_search(name="young")
    assert "No trial has succeeded yet" in get(f"{address}/study/young")


def test_the_fronts_of_several_studies_are_drawn_as_by_the_command(
    address: str, new_search: Callable[..., Search], storage_url: str
) -> None:
    for number in (1, 2):
        run_trials(new_search(small_config(seed=number), name=f"iris-{number}"), 4, cheap_values)
    names = ["iris", "iris-1", "iris-2"]
    for group_by, groups in (("", ["all studies"]), ("study", names), ("seed", ["seed 0", "seed 1", "seed 2"])):
        page = get(f"{address}/fronts?study=iris&study=iris-1&study=iris-2&study=iris&group-by={group_by}")
        figure = json.loads(page.partition('data-figure="fronts">')[2].partition("</script>")[0])
        states = [read_state(load(open_storage(storage_url), name)) for name in names]
        drawn = groups_figure(group_studies(states, group_by or None))
        assert figure["data"] == json.loads(json.dumps(drawn["data"]))
        assert [trace["name"] for trace in figure["data"] if "name" in trace] == groups
        assert all(f"<td>{group}</td>" in page for group in groups)
        assert all(f'<a href="./study/{name}">{name}</a>' in page for name in names)
        assert f'<option value="{group_by}" selected>' in page


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 400, "no study is chosen; tick studies in the list"),
        ("?", 400, "no study is chosen"),
        ("?study=nope", 404, "there is no study &#x27;nope&#x27;"),
        ("?study=iris&study=nope", 404, "there is no study &#x27;nope&#x27;"),
        ("?study=", 400, "a study&#x27;s name has 1 to 100 letters"),
        ("?study=%3Cscript%3E", 400, "it is &#x27;&lt;script&gt;&#x27;"),
        ("?study=%FF", 400, "a study&#x27;s name has 1 to 100 letters"),
        (
            "?study=iris&group-by=sead",
            400,
            "&#x27;sead&#x27; is not a setting of these studies: did you mean &#x27;seed&#x27;?",
        ),
        ("?study=iris&group-by=seed&group-by=study", 400, "one group-by=SETTING"),
        ("?study=iris&by=seed", 400, "the address has other settings than study=NAME"),
        ("?study=iris&study=young", 400, "study &#x27;young&#x27; has no successful trial"),
        ("?study=iris&study=counted", 400, "one plot needs one cost and one score"),
    ],
)
def test_a_bad_address_of_fronts_is_explained(
    address: str, new_search: Callable[..., Search], query: str, status: int, message: str
) -> None:
    new_search(name="young")
    run_trials(new_search(small_config(flops=FlopsCounter.ANALYTIC), name="counted"), 4, cheap_values)
    answered, _, body = send_request(f"{address}/fronts{query}")
    assert answered == status
    assert message in body.decode() and b"<script>" not in body and b"Traceback" not in body


def test_a_confirmation_has_no_front_to_plot(confirmed: Confirmation, storage_url: str) -> None:
    with served(storage_url) as address:
        status, _, body = send_request(f"{address}/fronts?study=iris.confirm")
        assert (status, b"has no front: it confirms circuits of" in body) == (400, True)
        page = get(address)
        assert 'value="iris"' in page and 'value="iris.confirm"' not in page
        assert "<h1>iris.confirm</h1>" in get(f"{address}/study/iris.confirm")


@pytest.mark.parametrize("name", ["nope", "a/b", "%3Cscript%3E", "", "%FF", "iris/"])
def test_an_unknown_study_is_not_found(address: str, name: str) -> None:
    status, _, body = send_request(f"{address}/study/{name}")
    assert (status, b"<h1>No such study</h1>" in body, b"<script>" in body) == (404, True, False)


def test_what_others_have_made_is_named_with_the_way_there(address: str, storage_url: str) -> None:
    evil = "<script>alert(1)</script>"
    for name in ("plain", evil):
        optuna.create_study(storage=open_storage(storage_url), study_name=name)
    page = get(address)
    assert "<td>plain</td><td>not created by faqnas-optuna</td>" in page
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for name, number in (("plain", 2), (urllib.parse.quote(evil, safe=""), 3)):
        status, _, body = send_request(f"{address}/study/{name}")
        assert (status, evil.encode() in body) == (200, False)
        assert f'dashboard/studies/{number}" class=beyond'.encode() in body


def test_one_of_ours_under_a_name_that_we_refuse_is_left_out(address: str, storage_url: str) -> None:
    optuna.copy_study(
        from_study_name="iris",
        from_storage=open_storage(storage_url),
        to_storage=open_storage(storage_url),
        to_study_name="my study",
    )
    page = get(address)
    assert '<a href="./study/iris">iris</a>' in page
    assert "<td>my study</td><td>a study&#x27;s name has 1 to 100 letters" in page


def test_every_trial_is_in_optuna_dashboard(address: str) -> None:
    (summary,) = json.loads(get(f"{address}/api/studies"))["study_summaries"]
    assert (summary["study_name"], summary["directions"]) == ("iris", ["minimize", "minimize"])
    study = json.loads(get(f"{address}/api/studies/{summary['study_id']}?after=0"))
    assert len(study["trials"]) == 8
    assert study["objective_names"] == ["quantum FLOPs", "validation error"]


def test_plain_optuna_dashboard_has_the_stored_plots(search_of_eight: Search, storage_url: str) -> None:
    state = read_state(search_of_eight)
    search_of_eight.advance(state)
    store_plots(search_of_eight, lambda: state)
    with make_server("127.0.0.1", 0, optuna_dashboard.wsgi(storage_url), handler_class=SilentHandler) as plain:
        thread = threading.Thread(target=plain.serve_forever)
        thread.start()
        study = json.loads(get(f"http://127.0.0.1:{plain.server_port}/api/studies/1?after=0"))
        plain.shutdown()
        thread.join(timeout=TIMEOUT_S)
    plots = {plot["id"]: json.loads(plot["graph_object"]) for plot in study["plotly_graph_objects"]}
    assert plots.keys() == {"faqnas-front", "faqnas-hypervolume"}
    *_, front = plots["faqnas-front"]["data"]
    assert list(zip(front["x"], front["y"], strict=True)) == [(one.cost, one.val_error) for one in state.front]
    assert plots["faqnas-front"]["layout"]["xaxis"]["type"] == "log"
    assert plots["faqnas-hypervolume"]["data"][0]["y"][-1] == pytest.approx(state.hypervolume)


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/studies/1"])
def test_optuna_dashboard_leads_back(address: str, path: str) -> None:
    # A cached page must not be used instead: the request is conditional.
    status, headers, body = send_request(address + path, If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT")
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    assert b"<title>Optuna Dashboard</title>" in body
    assert b'<a href="/">the fronts of the studies</a>' in body


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH"])
def test_nothing_can_be_changed_from_the_page(address: str, method: str) -> None:
    status, _, body = send_request(f"{address}/api/studies/1", method)
    assert (status, json.loads(body)) == (
        403,
        {"reason": "this dashboard is read-only; change studies with faqnas-optuna or Optuna"},
    )
    assert send_request(address, method)[0] == 403
    assert len(json.loads(get(f"{address}/api/studies"))["study_summaries"]) == 1


@pytest.mark.parametrize("path", ["/", "/study/iris", "/fronts?study=iris", "/dashboard", "/assets/page.js"])
def test_head_is_answered_without_a_body(address: str, path: str) -> None:
    status, headers, body = send_request(address + path, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 100


@pytest.mark.parametrize("path", ["/", "/study/iris", "/api/studies", "/dashboard", "/assets/page.js"])
def test_a_foreign_name_is_refused(address: str, path: str) -> None:
    status, _, body = send_request(address + path, Host="evil.example:80")
    assert status == 403
    assert body.startswith(b"this dashboard does not answer requests for the host 'evil.example:80'")
    assert body.endswith(b"allow the name with: faqnas-optuna dashboard --allow-host NAME\n")
    assert send_request(address + path, Host="localhost")[0] == 200


def test_scripts_are_kept_by_the_browser_until_they_change(address: str) -> None:
    status, headers, body = send_request(f"{address}/assets/plotly.js", Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert 500_000 < len(body) < 2_500_000
    status, _, body = send_request(f"{address}/assets/plotly.js", If_None_Match=str(headers["ETag"]))
    assert (status, body) == (304, b"")
    assert get(f"{address}/assets/page.css").startswith("body {")


def test_a_page_of_ours_runs_no_script_but_its_own(address: str) -> None:
    _, headers, _ = send_request(f"{address}/study/iris")
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "script-src" not in headers["Content-Security-Policy"]


def test_a_connection_that_is_dropped_leaves_no_trace(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Drop connections before the request, within it and within the answer."""
    port = urllib.parse.urlsplit(address).port
    plotly = b"GET /assets/plotly.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for request in (b"", plotly[:20], plotly, plotly) * 3:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
            connection.sendall(request)
            if request == plotly:
                assert connection.recv(10)
            # With a linger time of 0 the connection is reset instead of closed.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    get(address)
    assert capfd.readouterr().err == ""


def test_a_connection_on_which_nothing_happens_is_closed(
    search_of_eight: Search, storage_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SILENCE_S", 1)
    with served(storage_url) as address:
        port = urllib.parse.urlsplit(address).port
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
            assert connection.recv(10) == b""
    assert capfd.readouterr().err == ""


def is_away(address: str) -> bool:
    paths = ("/", "/study/iris", "/fronts?study=iris", "/api/studies", "/api/studies/1")
    statuses = {send_request(address + path)[0] for path in paths}
    return statuses == {503}


def check_an_outage(
    address: str, go: Callable[[], object], come: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> list[str]:
    """Take a database away, bring it back and return the log messages about it."""
    caplog.set_level(logging.INFO, logger="faqnas_optuna")
    assert send_request(f"{address}/study/iris")[0] == 200
    go()
    assert is_away(address) and is_away(address)
    assert json.loads(send_request(f"{address}/api/studies")[2]) == {"reason": "the database does not answer"}
    _, _, page = send_request(f"{address}/study/iris")
    assert b"The database does not answer." in page and b'data-every="5"' in page
    assert send_request(f"{address}/assets/page.js")[0] == 200
    come()
    wait_until(lambda: send_request(f"{address}/study/iris")[0] == 200, TIMEOUT_S, "the page is there again")
    assert send_request(f"{address}/api/studies/1")[0] == 200
    return [record.getMessage() for record in caplog.records if record.name.startswith("faqnas_optuna.dashboard")]


def test_a_database_that_is_away_is_told_once(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faqnas.db"
    messages = check_an_outage(
        address, lambda: shutil.move(file, tmp_path / "kept"), lambda: shutil.move(tmp_path / "kept", file), caplog
    )
    assert len(messages) == 2
    assert (
        messages[0].startswith("the database does not answer (the database ")
        and "was moved, deleted or replaced" in messages[0]
    )
    assert messages[1] == "the database answers again"
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_a_server_that_is_away_is_told_once(
    postgres_server: PostgresServer,
    postgres_url: str,
    iris: object,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run_trials(create(open_storage(postgres_url, create=True), "iris", small_config(), iris), 4, cheap_values)  # type: ignore[arg-type]
    capfd.readouterr()
    with served(postgres_url) as address:
        messages = check_an_outage(address, postgres_server.stop, postgres_server.start, caplog)
    assert len(messages) == 2, messages
    assert messages[0].startswith("the database does not answer (") and messages[1] == "the database answers again"
    assert capfd.readouterr().err == ""


def test_a_port_in_use_is_named(address: str, storage_url: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(
        ConfigError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port"
    ):
        make_dashboard(open_storage(storage_url), host="127.0.0.1", port=port)


def test_it_also_listens_to_version_six(search_of_eight: Search, storage_url: str) -> None:
    if not socket.has_ipv6:
        pytest.skip("Python was built without IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with make_dashboard(open_storage(storage_url), host="::1", port=0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            assert "iris" in get(f"http://[::1]:{running.server_port}/")
        finally:
            running.shutdown()
            thread.join(timeout=TIMEOUT_S)


def test_its_end_may_come_before_it_is_woken_for_it(
    search_of_eight: Search, storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reproduce a race: the serving thread, awake already, closes the trigger before the other thread pulls it."""
    with make_dashboard(open_storage(storage_url), host="127.0.0.1", port=0) as running:
        thread = threading.Thread(target=running.serve_forever)
        trigger = running._server.trigger
        pull = trigger.pull_trigger

        def pull_too_late(close: Callable[[], None]) -> None:
            pull(close)
            thread.join(timeout=TIMEOUT_S)
            raise OSError(errno.EBADF, "Bad file descriptor")

        monkeypatch.setattr(trigger, "pull_trigger", pull_too_late)
        thread.start()
        assert "iris" in get(f"http://127.0.0.1:{running.server_port}/")
        running.shutdown()
        assert not thread.is_alive()


PROGRAM = """
import sys
from faqnas_optuna.dashboard.application import make_dashboard
from faqnas_optuna.reporting.stored_plots import store_plots
from faqnas_optuna.reporting.study_groups import group_studies, groups_figure
from faqnas_optuna.storage.opening import open_storage
with make_dashboard(open_storage(sys.argv[1]), host="127.0.0.1", port=0) as server:
    for path in ("/", "/study/iris", "/fronts", "/assets/plotly.js", "/assets/page.js", "/study/nope"):
        environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "HTTP_HOST": "localhost", "QUERY_STRING": "study=iris"}
        statuses = []
        b"".join(server.application(environ, lambda status, headers: statuses.append(status)))
        assert statuses in (["200 OK"], ["404 Not Found"]), (path, statuses)
print(*[name for name in ("torch", "pennylane", "numba", "sklearn") if name in sys.modules])
"""


@pytest.mark.slow
def test_whoever_only_watches_loads_nothing_large(search_of_eight: Search, storage_url: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, storage_url], env=cli_environment(), capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "\n", "")


def test_many_may_watch_at_once(address: str) -> None:
    paths = ["/", "/study/iris", "/api/studies/1", "/assets/page.js", "/study/iris"] * 30
    get(f"{address}/api/studies")
    with ThreadPoolExecutor(len(paths)) as threads:
        all_connected = threading.Barrier(len(paths))

        def ask(path: str) -> int:
            all_connected.wait(TIMEOUT_S)
            return send_request(address + path)[0]

        assert list(threads.map(ask, paths)) == [200] * 150


def test_more_connections_than_are_open_at_once_are_answered_later(
    search_of_eight: Search, storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 5)
    monkeypatch.setattr(server, "SILENCE_S", 1)
    with served(storage_url) as address, ExitStack() as idle:
        port = urllib.parse.urlsplit(address).port
        for _ in range(10):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S))
        assert send_request(address)[0] == 200


def test_a_request_that_hangs_does_not_keep_the_server_from_its_end(search_of_eight: Search, storage_url: str) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def hang(_environ: object, _start_response: object) -> list[bytes]:
        has_begun.set()
        may_end.wait(TIMEOUT_S)
        return []

    with make_dashboard(open_storage(storage_url), host="127.0.0.1", port=0) as running:
        running.application = hang
        serving = threading.Thread(target=running.serve_forever)
        serving.start()
        with socket.create_connection(("127.0.0.1", running.server_port), timeout=TIMEOUT_S) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert has_begun.wait(TIMEOUT_S)
            running.shutdown()
            # A second signal calls shutdown again.
            running.shutdown()
            assert connection.recv(10) == b""
        may_end.set()
        serving.join(timeout=TIMEOUT_S)


PAGES = [
    "/",
    "/study/iris",
    "/study/nope",
    "/assets/page.js",
    "/dashboard",
    "/static/bundle.js",
    "/favicon.ico",
    "/api/studies",
    "/api/nothing",
]


@pytest.mark.parametrize("path", PAGES)
def test_no_answer_may_be_shown_in_a_frame_of_another_site(address: str, path: str) -> None:
    for method, host in itertools.product(["GET", "HEAD", "POST"], ["localhost", "evil.example"]):
        _, headers, _ = send_request(address + path, method, Host=host)
        (policy,) = headers.get_all("Content-Security-Policy", [])
        assert "frame-ancestors 'none'" in policy.split("; ")
        assert headers.get_all("X-Frame-Options") == ["DENY"]
        assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert headers.get_all("Referrer-Policy") == ["no-referrer"]


@pytest.mark.parametrize("path", ["/static/bundle.js", "/favicon.ico"])
def test_a_client_need_not_say_which_encodings_it_takes(address: str, path: str) -> None:
    host, port = urllib.parse.urlsplit(address).netloc.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
    connection.putrequest("GET", path, skip_accept_encoding=True)
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, response.headers["Content-Encoding"]) == (200, None)
    assert len(response.read()) > 1000
    connection.close()


def test_no_address_to_listen_on_is_refused(storage_url: str, search_of_eight: Search) -> None:
    with pytest.raises(ConfigError, match="--host needs an address of this machine, such as 127.0.0.1"):
        make_dashboard(open_storage(storage_url), host="", port=0)


def test_a_name_that_no_browser_sends_is_refused_before_listening(storage_url: str, search_of_eight: Search) -> None:
    with pytest.raises(ConfigError, match=r"--allow-host takes the name or address of one host, .* '\*' is not one"):
        make_dashboard(open_storage(storage_url), host="127.0.0.1", port=0, allowed=["*"])


def test_threads_that_ask_at_the_same_time_share_what_is_read() -> None:
    readings: list[str] = []
    first_may_end = threading.Event()

    def read(name: str) -> int:
        readings.append(name)
        if len(readings) == 1:
            first_may_end.wait(TIMEOUT_S)
        return len(readings)

    shared = Shared(read)
    with ThreadPoolExecutor(5) as threads:
        first = threads.submit(shared.get, "iris")
        wait_until(lambda: len(readings) == 1, TIMEOUT_S, "the first reading has begun")
        others = [threads.submit(shared.get, "iris") for _ in range(4)]
        wait_until(lambda: all(other.running() for other in others), TIMEOUT_S, "all have asked")
        first_may_end.set()
        assert first.result(TIMEOUT_S) == 1
        # They asked after the first reading had started, so its result may be too old for them.
        assert min(other.result(TIMEOUT_S) for other in others) == 2
    assert shared.get("iris") == len(readings)
    assert shared.get("wine") == len(readings)


def test_a_damaged_study_does_not_concern_the_others(
    search_of_eight: Search, new_search: Callable[..., Search], storage_url: str, tmp_path: Path
) -> None:
    run_trials(new_search(name="other"), 4, cheap_values)
    with closing(sqlite3.connect(tmp_path / "faqnas.db")) as connection, connection:
        connection.execute("DELETE FROM trial_values WHERE trial_id = 3")
        connection.execute("UPDATE study_system_attributes SET value_json = '{' WHERE study_id = 1")
    with served(storage_url) as address:
        assert "study &#x27;iris&#x27; is damaged in the database: trial 2 has the values None" in get(f"{address}/")
        assert "is damaged in the database" in get(f"{address}/study/iris")
        assert "<h2>Front</h2>" in get(f"{address}/study/other")
        studies = json.loads(get(f"{address}/api/studies"))["study_summaries"]
        assert [study["study_name"] for study in studies] == ["other"]
        assert len(json.loads(get(f"{address}/api/studies/2"))["trials"]) == 4
