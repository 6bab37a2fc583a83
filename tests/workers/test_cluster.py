"""Searches whose workers run on a real Dask cluster of two processes on this machine."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import distributed
import pytest
from sqlalchemy.exc import OperationalError

from faqnas_optuna import search
from faqnas_optuna.config import SearchConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ClusterError, ConfigError, DataError
from faqnas_optuna.racing.plan import RacePlan, genomes_of
from faqnas_optuna.racing.running import Race
from faqnas_optuna.racing.trainer import HandOut, Job, Trainer, run_task
from faqnas_optuna.reporting.documents import pareto_document
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import batched, open_storage
from faqnas_optuna.storage.urls import absolute
from faqnas_optuna.study.lifecycle import stop
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import StudyState, read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.tables.result_folder import ResultFolder
from faqnas_optuna.training import pilot
from faqnas_optuna.workers.cluster import Assignment, DaskWorkers, dask_workers, shared_out_on, watch, work
from faqnas_optuna.workers.pool import shared_out
from faqnas_optuna.workers.scheduler import connected
from tests.conftest import TIMEOUT_S, RunCli, reason_of, run_trials, small_config, successful
from tests.support import tables
from tests.support.crew import forking, process_of, train_nothing, wait_until
from tests.support.forked import Forked, StderrReader
from tests.support.pool_tasks import add, fail
from tests.support.studies import ENDLESS, until_all_have_shared, wait_for_trials, workers_of

pytestmark = pytest.mark.slow

Fork = Callable[..., Forked]
Cli = Callable[..., tuple[int, str, str]]

WORKERS = 2
CLUSTER = ("--dask", "scheduler.json", "--workers", "2")


@contextmanager
def local_cluster() -> Iterator[str]:
    """Yield the address of a cluster of two single-threaded workers, which are killed at the end."""
    # Cluster workers are forked from our fork server, which has imported everything.
    forking()
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        # Port 0, since clusters of parallel tests would compete for the default port.
        distributed.LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as running,
    ):
        yield running.scheduler_address


def train_nothing_on(scheduler: str, trial_s: float = 0.05) -> None:
    """Let evaluations on the cluster sleep instead of training."""
    with distributed.Client(scheduler, set_as_default=False) as client:
        client.run(train_nothing, trial_s)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with local_cluster() as address:
        train_nothing_on(address)
        yield address


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def idle(scheduler: str) -> bool:
    """Wait for all tasks on the cluster to end, and return whether they did in time."""
    deadline = time.monotonic() + TIMEOUT_S
    with distributed.Client(scheduler, set_as_default=False) as client:
        while time.monotonic() < deadline:
            if not client.call_stack() and not any(client.processing().values()):
                return True
            time.sleep(0.1)
    return False


def test_python_searches_and_confirms_on_a_cluster(scheduler: str, storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot, "measure_reliability", lambda *_, **__: None)
    study = search("iris", storage=storage_url, dask=scheduler, workers=WORKERS, population=4, generations=1, epochs=1)
    confirmation = study.confirm(top=1, epochs=1, repeats=1, dask=scheduler, workers=WORKERS)
    workers = {trial.user_attrs["worker"] for trial in study.optuna.trials}
    assert study.status()["state"] == "finished" and len(confirmation) == 1
    assert not any(worker.startswith(f"{socket.gethostname()}:{os.getpid()}-") for worker in workers)


def test_both_workers_of_a_cluster_run_trials_of_one_study(
    run_forked: RunCli, fork_cli: Fork, scheduler: str, storage_url: str, tmp_path: Path
) -> None:
    # Use a scheduler file, and a relative database path, which the workers must not resolve in their own directory.
    (tmp_path / "scheduler.json").write_text(json.dumps({"address": scheduler}))
    process = fork_cli("start", *ENDLESS, *CLUSTER, "--json", trains=False)
    wait_for_trials(tmp_path, 1)
    search = load(open_storage(storage_url), "iris")
    until_all_have_shared(search, WORKERS)
    assert run_forked("stop", "iris").returncode == 0
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    trials = successful(search)
    assert len(trials) == json.loads(out)["trials"]
    # One worker may overfill each generation by the trial it had begun.
    assert all(10 <= generation.trials <= 11 for generation in search.metadata.closed_generations())
    assert pareto_document(read_state(search)).items() <= json.loads(out).items()
    assert idle(scheduler)


def test_a_time_limit_stops_a_study_on_a_cluster(run_forked: RunCli, scheduler: str, storage_url: str) -> None:
    command = ("start", *ENDLESS, "--dask", scheduler, "--workers", "2", "--seconds", "1", "--json")
    trials = []
    for _ in range(2):
        stopped = run_forked(*command, trains=False)
        assert stopped.returncode == 0, stopped.stderr
        document = json.loads(stopped.stdout)
        assert (document["state"], document["because"]) == ("stopped", "its time limit is over")
        trials.append(document["trials"])
    assert 0 < trials[0] < trials[1] == len(successful(load(open_storage(storage_url), "iris")))
    assert idle(scheduler)


def test_a_cluster_runs_a_study_to_its_end(run_forked: RunCli, scheduler: str, storage_url: str) -> None:
    command = ("start", *ENDLESS, "--generations", "3", "--dask", scheduler, "--workers", "2", "--json")
    finished = run_forked(*command, trains=False)
    assert finished.returncode == 0, finished.stderr
    trials = json.loads(finished.stdout)["trials"]
    assert 30 <= trials <= 33
    assert trials == len(successful(load(open_storage(storage_url), "iris")))
    assert idle(scheduler)
    # A finished study ends before workers begin.
    again = run_forked(*command)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["trials"] == trials
    assert idle(scheduler)


def test_a_signal_lets_remote_trials_finish_and_the_study_run_on(
    run_forked: RunCli, fork_cli: Fork, scheduler: str, storage_url: str, tmp_path: Path
) -> None:
    # Five workers for two threads: three never begin.
    process = fork_cli("start", *ENDLESS, "--dask", scheduler, "--workers", "5", trains=False)
    wait_for_trials(tmp_path, 1)
    other = fork_cli("worker", "iris", trial_s=0.05, trains=False)
    search = load(open_storage(storage_url), "iris")
    until_all_have_shared(search, WORKERS + 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, err
    assert "the Dask cluster has 2 threads for 5 workers; the remaining workers wait for a free one" in err
    assert "SIGINT: finishing the running trial" in err
    assert err.splitlines()[-1] == "interrupted; finished trials are kept. Continue with: faqnas-optuna resume iris"
    assert idle(scheduler)
    assert search.metadata.stop() is None
    assert other.poll() is None
    assert len({worker for worker in workers_of(search) if process_of(worker) != other.pid}) == WORKERS
    # The other worker continues alone.
    begun = len(search.study.get_trials(deepcopy=False))
    wait_for_trials(tmp_path, begun + 2)
    assert run_forked("stop", "iris").returncode == 0
    assert other.wait(timeout=TIMEOUT_S) == 0
    trials = search.study.get_trials(deepcopy=False)
    assert len(trials) == len(successful(search))
    assert {process_of(trial.user_attrs["worker"]) for trial in trials[begun:]} == {other.pid}


def test_the_second_signal_does_not_wait_for_remote_trials(fork_cli: Fork, tmp_path: Path) -> None:
    with local_cluster() as scheduler:
        train_nothing_on(scheduler, trial_s=600)
        process = fork_cli("start", *ENDLESS, "--dask", scheduler, "--workers", "2", trains=False)
        stderr = StderrReader(process)
        wait_for_trials(tmp_path, 2)
        process.send_signal(signal.SIGTERM)
        # Two signals at the same time count as one, so send the second one later.
        wait_until(lambda: "SIGTERM: finishing the running trial" in stderr.text, TIMEOUT_S, "the first signal is noted")
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=TIMEOUT_S) == 143, stderr.all()
    assert "Traceback" not in stderr.all()
    assert "some workers on the Dask cluster are still running a trial; they leave after it" in stderr.all()


def test_workers_that_fail_are_told_in_one_line_each_and_no_password(
    new_search: Callable[..., Search], scheduler: str, storage_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    search = new_search(small_config())
    signals = Signals()
    elsewhere = "postgresql://me:s3cret@127.0.0.1:1/db"
    with (
        connected(scheduler, storage_url=storage_url) as client,
        pytest.raises(
            ClusterError, match="no worker is left on the Dask cluster but study 'iris' is not finished; continue with"
        ),
        dask_workers(client, 2, search, signals, storage_url=elsewhere, data_dir=None, database_timeout_s=1) as crew,
    ):
        watch(crew, search, signals, on_update=lambda _: None)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("faqnas_optuna")]
    assert len(messages) == 2
    for line in messages:
        assert re.match(r"a worker on the Dask cluster failed: cannot use the database postgresql.*me:\*\*\*@.*refused", line)
    assert "s3cret" not in caplog.text
    assert search.study.get_trials(deepcopy=False) == []


def test_a_task_runs_the_study_to_its_end(new_search: Callable[..., Search], scheduler: str, storage_url: str) -> None:
    search = new_search(small_config())
    created = search.description.created
    settings: dict[str, Any] = {
        "study": "iris",
        "created": created,
        "storage_url": storage_url,
        "data_dir": None,
        "dismissal": "never",
    }
    assignment = Assignment(host=socket.gethostname(), grace_s=60, database_timeout_s=5, **settings)
    assert storage_url not in repr(assignment)
    with connected(scheduler, storage_url=storage_url) as client:
        client.submit(work, assignment, pure=False).result(timeout=TIMEOUT_S)
        assert len(successful(search)) == 8
        assert reason_of(search) == StopReason.GENERATIONS
        elsewhere = client.submit(work, replace(assignment, host="other"), pure=False)
        with pytest.raises(ConfigError, match="but the study's database is on other: SQLite works on a single machine only"):
            elsewhere.result(timeout=TIMEOUT_S)
        another = client.submit(work, replace(assignment, created="yesterday"), pure=False)
        with pytest.raises(ConfigError, match=r"sqlite:///\S+ on \S+ has another study named 'iris'"):
            another.result(timeout=TIMEOUT_S)


def test_a_dismissal_reaches_a_worker_that_waits_for_others(
    new_search: Callable[..., Search], scheduler: str, storage_url: str
) -> None:
    search = new_search(small_config(search=SearchConfig(population=4, synchronous=True)))
    for _ in range(4):
        # Running trials fill the generation.
        trial = search.study.ask()
        _ = trial.relative_params
        batched(search.study).store(trial._trial_id)
    with (
        connected(scheduler, storage_url=storage_url) as client,
        dask_workers(client, 1, search, Signals(), storage_url=storage_url, data_dir=None) as crew,
    ):
        deadline = time.monotonic() + TIMEOUT_S
        while not client.call_stack() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.call_stack()
        time.sleep(2)
        assert not crew.ended
        assert len(search.study.get_trials(deepcopy=False)) == 4
        distributed.Event(crew.futures[0].key.removesuffix("-0"), client=client).set()
        assert crew.futures[0].result(timeout=TIMEOUT_S) is None


class AwayAtFirst(Search):
    """Study whose database fails the first query."""

    query_count = 0

    @contextmanager
    def if_it_exists(self) -> Iterator[None]:
        type(self).query_count += 1
        if self.query_count == 1:
            raise OperationalError("", None, Exception("gone away"))
        with super().if_it_exists():
            yield


def test_watching_bears_with_a_database_that_is_away(
    new_search: Callable[..., Search], caplog: pytest.LogCaptureFixture
) -> None:
    search = new_search()
    stop(search, StopReason.REQUESTED)
    looks: list[StudyState] = []
    away = AwayAtFirst(study=search.study, description=search.description)
    watch(DaskWorkers([], database_timeout_s=5), away, Signals(), on_update=looks.append)
    assert len(looks) == 1
    assert AwayAtFirst.query_count == 3
    assert "the database does not answer (gone away); trying again" in caplog.text


def test_a_trial_that_fails_elsewhere_is_told_with_its_reason(
    new_search: Callable[..., Search], caplog: pytest.LogCaptureFixture
) -> None:
    search = new_search()

    def fail_and_stop(_: StudyState) -> None:
        with suppress(ZeroDivisionError):
            run_trials(search, 1, lambda _: (1 / 0, 0))
        stop(search, StopReason.REQUESTED)

    working: Any = SimpleNamespace(done=lambda: False, status="pending")
    watch(DaskWorkers([working], database_timeout_s=5), search, Signals(), on_update=fail_and_stop)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("faqnas_optuna")]
    assert messages == ["trial 0 failed: ZeroDivisionError('division by zero')"]


def test_a_scheduler_that_goes_away_ends_the_search_with_4(fork_cli: Fork, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--port", "0", "--host", "127.0.0.1"]
    with subprocess.Popen([*command, "--scheduler-file", file], stderr=subprocess.DEVNULL) as scheduler:
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not file.exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            # The cluster has no worker, so the search waits for one.
            process = fork_cli("start", *ENDLESS, "--dask", str(file), trains=False)
            assert "the Dask cluster has 0 threads for 1 workers" in process.stderr.readline()
            time.sleep(1.5)
            assert process.poll() is None
        finally:
            scheduler.kill()
        _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 4
    assert err.splitlines()[-1].startswith("Error: no worker is left on the Dask cluster but study 'iris' is not finished")
    assert "Traceback" not in err


def test_a_scheduler_that_does_not_answer_is_one_line(run_forked: RunCli, closed_port: int, tmp_path: Path) -> None:
    finished = run_forked("start", "--dataset", "iris", "--dask", f"tcp://127.0.0.1:{closed_port}")
    assert (finished.returncode, finished.stdout) == (4, "")
    assert (
        finished.stderr == f"Error: no Dask scheduler answers at tcp://127.0.0.1:{closed_port}; start one or correct --dask\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "tcp://192.0.2.1:8786",
            "tcp://192.0.2.1:8786 is on another machine but SQLite works on a single machine only; use PostgreSQL",
        ),
        ("tcp://no-such-host.invalid:8786", "is on another machine but SQLite works on a single machine only"),
        ("absent.json", "this is neither an existing scheduler file nor an address of the form tcp://HOST:PORT"),
        ("127.0.0.1", "this is neither an existing scheduler file nor an address of the form tcp://HOST:PORT"),
        ("tcp://127.0.0.1:port", "neither an existing scheduler file nor an address of the form tcp://HOST:PORT"),
        (f"tcp://{'long' * 100}", "neither an existing scheduler file nor an address of the form tcp://HOST:PORT"),
        ("broken.json", "--dask broken.json: the file cannot be read as a scheduler file; name the file that"),
        ("no-port.json", "--dask no-port.json: the file must contain an address of the form tcp://HOST:PORT, but contains"),
        ("no-text.json", "--dask no-text.json: the file must contain an address of the form tcp://HOST:PORT, but contains 5"),
        ("http://127.0.0.1:8787", "is the address of a web page; a scheduler's address begins with tcp:// or tls://"),
        ("inproc://127.0.0.1:1", "is the address of a scheduler inside another process"),
        ("nope://127.0.0.1:8786", "Dask cannot use nope:// on this machine (unknown address scheme 'nope'"),
        ("ucx://127.0.0.1:13337", "Dask cannot use ucx:// on this machine"),
        ("tls://127.0.0.1:8786", "needs certificates; set distributed.comm.tls in Dask's configuration"),
    ],
)
def test_addresses_that_are_of_no_use_are_one_line(cli_here: Cli, tmp_path: Path, address: str, message: str) -> None:
    (tmp_path / "broken.json").write_text("[]")
    (tmp_path / "no-port.json").write_text('{"address": "tcp://host"}')
    (tmp_path / "no-text.json").write_text('{"address": 5}')
    code, out, err = cli_here("start", "--dataset", "iris", "--dask", address)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "faqnas.db").exists()


def test_certificates_that_cannot_be_read_are_one_line(run_cli: RunCli, tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.pem")
    names = ("TLS__CA_FILE", "TLS__CLIENT__CERT", "TLS__CLIENT__KEY")
    done = run_cli(
        *("start", "--dataset", "iris", "--dask", "tls://127.0.0.1:8786"),
        env={f"DASK_DISTRIBUTED__COMM__{name}": absent for name in names},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: --dask tls://127.0.0.1:8786: the certificates in Dask's configuration cannot be read")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", socket.gethostname()])
def test_names_of_this_machine_are_known(host: str, closed_port: int) -> None:
    with (
        pytest.raises(ClusterError, match="no Dask scheduler answers at"),
        connected(f"tcp://{host}:{closed_port}", storage_url="sqlite:///faqnas.db", timeout_s=0.2),
    ):
        pass


def test_without_dask_the_extra_is_named(cli_here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = cli_here("start", "--dataset", "iris", "--dask", "tcp://127.0.0.1:8786")
    assert (code, err) == (2, "Error: --dask needs Dask; run: pip install 'faqnas-optuna[dask]'\n")


def test_detach_and_dask_exclude_each_other(cli_here: Cli, tmp_path: Path) -> None:
    code, out, err = cli_here("start", "--dataset", "iris", "--detach", "--dask", "tcp://127.0.0.1:8786")
    assert (code, out) == (2, "")
    assert err == "Error: --detach starts no workers but --dask says where to run them; leave one of them out\n"
    assert list(tmp_path.iterdir()) == []


def test_a_url_for_another_directory_names_the_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///faqnas.db") == f"sqlite:///{tmp_path}/faqnas.db"
    assert absolute("postgresql://me:s3cr%2Ft@host/db") == "postgresql+psycopg://me:s3cr%2Ft@host/db"


def test_a_table_is_the_same_when_a_cluster_makes_it(scheduler: str, iris: DataSplits, tmp_path: Path) -> None:
    tables.make(tmp_path / "here.parquet", iris)
    with connected(scheduler, storage_url=None) as client:
        progress = tables.make(tmp_path / "there.parquet", iris, hand_out=partial(shared_out_on, client))
    assert progress[-1] == tables.plan_of().trainings
    assert (tmp_path / "there.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()
    assert idle(scheduler)


@pytest.mark.parametrize("resplit", [False, True])
def test_a_race_has_the_same_result_on_a_cluster(scheduler: str, iris: DataSplits, tmp_path: Path, resplit: bool) -> None:
    config = small_config(space=tables.SPACE)
    plan = RacePlan.of(config, iris, genomes_of(config.space), resplit=resplit)
    job = Job.of(plan, iris)
    results = []
    with connected(scheduler, storage_url=None) as client:
        crews: dict[str, HandOut] = {
            "here": partial(shared_out, run_task, job, processes=1),
            "there": partial(shared_out_on, client, run_task, job),
        }
        for name, hand_out in crews.items():
            folder = ResultFolder(tmp_path / name, plan.document(iris), noun="race", option="--study")
            with folder.locked():
                race = Race(plan, Trainer(job, folder, hand_out))
                race.run(16 * len(plan.entries), 0.3)
            results.append(race.result())
    first, second = results
    assert first.is_complete and first.epsilon == second.epsilon <= 0.3
    for name in ("means", "trainings", "low", "high", "front"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist(), name
    assert idle(scheduler)


def test_what_a_task_raises_on_a_cluster_is_told(scheduler: str) -> None:
    with connected(scheduler, storage_url=None) as client, pytest.raises(DataError, match="there is no such thing"):
        list(shared_out_on(client, fail, {2: "refused"}, range(9)))
    assert idle(scheduler)


def test_a_cluster_that_goes_away_is_told() -> None:
    with ExitStack() as cluster:
        address = cluster.enter_context(local_cluster())
        with (
            connected(address, storage_url=None) as client,
            pytest.raises(ClusterError, match="the connection to the Dask cluster is lost; restart the cluster"),
        ):
            for _ in shared_out_on(client, add, 0, range(1_000)):
                cluster.close()
