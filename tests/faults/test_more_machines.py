"""Commands of the guide to several machines, run on machines that share only a database server."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import optuna
import pytest

from tests.conftest import TIMEOUT_S
from tests.support.databases import PASSWORD, PostgresServer, connections_closed
from tests.support.databases import USER as ADMINISTRATOR
from tests.support.documents import TEXTS, TINY, blocks
from tests.support.network import Machine, machines, postgres_for

pytestmark = pytest.mark.slow

LONG_S = 240
GENERATIONS = "20"
BLOCKS = [
    block for language, block in blocks(TEXTS["docs/workers.md"].partition("\n## Several machines\n")[2]) if language == "sh"
]
STEPS = [step.strip().partition("\n") for step in BLOCKS[0].split("\n\n")]
"""Comment, separator and commands of each step; the comment names the machine or the purpose."""


def commands(beginning: str) -> str:
    """Return the guide's commands under the comment with this beginning."""
    (block,) = [lines for where, _, lines in STEPS if where.startswith(f"# {beginning}")]
    return f"{block}\n"


@pytest.fixture
def server_and_machines(tmp_path: Path) -> Iterator[tuple[PostgresServer, list[Machine]]]:
    """Set up a database with the administrator's commands of the guide, and three machines."""
    with machines(3, tmp_path) as there, postgres_for(*there) as server:
        administrator = {
            "PGHOST": server.addresses[0],
            "PGPORT": str(server.port),
            "PGUSER": ADMINISTRATOR,
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": server.maintenance_database,
            "PATH": f"{server.bin_dir}{os.pathsep}{os.environ['PATH']}",
        }
        make = ["sh", "-ec", commands("on the database host")]
        subprocess.run(make, cwd=tmp_path, env=administrator, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
        yield server, there


def settings(server: PostgresServer) -> dict[str, str]:
    """Return the settings of small trials, with enough generations for all workers to join, and the server's port."""
    return {**TINY, "FAQNAS_GENERATIONS": GENERATIONS, "FAQNAS_PATIENCE": GENERATIONS, "PGPORT": str(server.port)}


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a script, check that it succeeds, and return its standard output."""
    out, err = process.communicate(timeout=LONG_S)
    assert process.returncode == 0, err
    return out


def names_of_workers(server: PostgresServer) -> list[str]:
    """Return the name of each trial's worker, which contains its host and process number."""
    study = optuna.load_study(study_name="digits", storage=server.url("studies").replace("postgresql:", "postgresql+psycopg:"))
    return [trial.user_attrs["worker"] for trial in study.get_trials()]


def test_workers_on_several_machines(server_and_machines: tuple[PostgresServer, list[Machine]]) -> None:
    server, (first, second, third) = server_and_machines
    prepare, env = commands("on each machine:"), settings(server)

    def script(machine: Machine, lines: str) -> AbstractContextManager[subprocess.Popen[str]]:
        return machine.running("sh", "-ec", prepare + lines, env=env)

    with script(first, commands("on one machine")) as create:
        finish(create)
    assert (first.directory / "storage").stat().st_mode & 0o777 == 0o600
    work = commands("on each machine, once")
    with script(first, work) as one, script(second, work) as other:
        finish(one)
        finish(other)
    with connections_closed():
        hosts = {name.partition(":")[0] for name in names_of_workers(server)}
    assert hosts == {first.name, second.name}
    look, serve = commands("on any machine").splitlines()
    with script(third, look) as looking:
        assert f"UTC: all {GENERATIONS} generations are done (" in finish(looking)
    with script(third, serve) as serving:
        assert serving.stderr is not None
        (address,) = re.findall(r"is at (http://\S+/)", serving.stderr.readline())
        fetch = f"import urllib.request as web; print(web.urlopen('{address}api/studies').read())"
        with script(third, f'python -c "{fetch}"') as fetching:
            assert '"study_name": "digits"' in finish(fetching)
    # The study is in the database only: no other file was created.
    assert {path.name for path in third.directory.iterdir()} == {"storage"}


def test_workers_on_a_dask_cluster(server_and_machines: tuple[PostgresServer, list[Machine]]) -> None:
    server, (first, *_) = server_and_machines
    # Without the command, the script would wait for a scheduler forever.
    assert shutil.which("dask", path=first.path), "the command dask is not installed in the environment of the tests"
    script = "trap 'kill $(jobs -p)' EXIT\n" + commands("on each machine:") + BLOCKS[1]
    with first.running("bash", "-ec", script, env=settings(server)) as searching:
        assert f"\nFinished: all {GENERATIONS} generations are done." in finish(searching)
    with connections_closed():
        assert len(set(names_of_workers(server))) == 2
