"""Checks of the files for deployment and of the configuration of CI."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from optuna.trial import TrialState

from faqnas_optuna.cli.program import cli
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, create, load
from tests.conftest import TIMEOUT_S, cli_environment, small_config
from tests.support.crew import SOON_S, new_study, trials_of, wait_until
from tests.support.dashboards import served
from tests.support.documents import ROOT

DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CI = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
UNITS = sorted(DEPLOY.glob("*.service"))
SBATCH = DEPLOY / "worker.sbatch"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROGRAM = "/opt/faqnas/bin/faqnas-optuna"
"""Path of the program in the units."""


def instructions(name: str) -> list[str]:
    """Return the arguments of all instructions of this name in the Containerfile."""
    return re.findall(rf"^\s*{name} +(.*)$", CONTAINERFILE, re.MULTILINE)


def default_command() -> list[str]:
    """Return the arguments of the program in a container that is given none."""
    (command,) = map(json.loads, instructions("CMD"))
    assert [json.loads(entry) for entry in instructions("ENTRYPOINT")] == [["faqnas-optuna"]]
    assert isinstance(command, list)
    return command


def settings(unit: Path, name: str) -> list[str]:
    """Return the values of a setting of a unit."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield the file and the arguments of each command line of the program in `deploy/`."""
    yield "Containerfile", default_command()
    for name in ("dashboard", "worker"):
        yield f"compose.yaml {name}", COMPOSE["services"][name]["command"]
    for unit in UNITS:
        (command,) = settings(unit, "ExecStart")
        yield unit.name, shlex.split(command.removeprefix(PROGRAM))
    for file in (*UNITS, SBATCH, DEPLOY / "Containerfile", DEPLOY / "compose.yaml"):
        # Lines of scripts, and command lines in comments.
        for line in re.findall(r"(?:exec |RUN |^)faqnas-optuna (.*?)(?: &)?$", file.read_text(), re.MULTILINE):
            yield file.name, shlex.split(line)


@pytest.mark.parametrize(("file", "arguments"), [*command_lines()])
def test_command_lines_are_valid(file: str, arguments: list[str]) -> None:
    name, *options = arguments
    command = cli.commands[name]
    # Raises for an unknown option or an invalid value.
    command.make_context(name, options)


@pytest.mark.parametrize("service", ["dashboard", "worker"])
def test_the_variables_of_services_are_those_of_options(service: str) -> None:
    command = cli.commands[COMPOSE["services"][service]["command"][0]]
    variables = {parameter.envvar for parameter in command.params if isinstance(parameter, click.Option)}
    assert COMPOSE["services"][service]["environment"].keys() <= variables


def test_services_refer_to_what_the_compose_file_declares() -> None:
    for service in COMPOSE["services"].values():
        secrets = set(service["secrets"])
        assert secrets <= COMPOSE["secrets"].keys()
        mounted = re.findall(r"/run/secrets/(\w+)", " ".join(map(str, service["environment"].values())))
        assert set(mounted) == secrets
    files = [f"deploy/{secret['file']}" for secret in COMPOSE["secrets"].values()]
    assert set(files) == {"deploy/secrets/password", "deploy/secrets/storage"}
    guide = (ROOT / "docs/deploying.md").read_text()
    assert all(f"> {file.removeprefix('deploy/')}" in guide for file in files)
    # Neither passwords nor the file that compose reads may be committed.
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/deploy/secrets/", "/deploy/.env"} <= set(ignored)


def test_only_the_dashboard_is_checked_by_its_page() -> None:
    assert COMPOSE["services"]["worker"]["healthcheck"] == {"disable": True}
    assert "healthcheck" not in COMPOSE["services"]["dashboard"]
    assert COMPOSE["services"]["dashboard"]["command"] == default_command()
    # Published on this machine only: the dashboard has no password.
    assert COMPOSE["services"]["dashboard"]["ports"] == ["127.0.0.1:8080:8080"]


def test_the_health_check_of_the_image_is_that_of_a_dashboard(
    search_of_eight: Search, storage_url: str, tmp_path: Path
) -> None:
    (check,) = instructions("HEALTHCHECK")
    program, *arguments = json.loads(check.partition(" CMD ")[2])
    assert (program, "http://127.0.0.1:8080/healthz" in arguments[-1]) == ("python", True)

    def exit_code(address: str) -> int:
        script = [argument.replace("http://127.0.0.1:8080", address) for argument in arguments]
        return subprocess.run([sys.executable, *script], stderr=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False).returncode

    with served(storage_url) as address:
        assert exit_code(address) == 0
        shutil.move(tmp_path / "faqnas.db", tmp_path / "moved.db")
        assert exit_code(address) == 1
        shutil.move(tmp_path / "moved.db", tmp_path / "faqnas.db")
    assert exit_code(address) == 1


def test_the_image_has_all_files_of_the_package() -> None:
    sources = {source for line in instructions("COPY") for source in line.split()[:-1]}
    hatch = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    project = PROJECT["project"]
    files = {*hatch["packages"], *hatch["force-include"], project["readme"], *project["license-files"]}
    assert sources == files | {"pyproject.toml", "constraints.txt"}
    assert all((ROOT / source).exists() for source in sources)
    extras = {extra for names in re.findall(r"'\.\[([\w,]+)\]'", CONTAINERFILE) for extra in names.split(",")}
    assert extras and extras <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_systemd_accepts_the_units(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    # The program must exist.
    text = unit.read_text()
    assert text.count(PROGRAM) == 1
    (copy := tmp_path / unit.name).write_text(text.replace(PROGRAM, "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(copy)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("Restart=", "Restarts="))
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert "'Restarts'" in result.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_units_count_a_requested_end_as_success(unit: Path) -> None:
    (codes,) = settings(unit, "SuccessExitStatus")
    assert set(codes.split()) == {str(128 + number) for number in (signal.SIGINT, signal.SIGTERM)}
    assert settings(unit, "RestartPreventExitStatus") == [str(ConfigError.exit_code)]
    (name,) = settings(unit, "LoadCredential")
    assert f"${{CREDENTIALS_DIRECTORY}}/{name.partition(':')[0]}" in settings(unit, "ExecStart")[0]


@pytest.fixture
def cluster(tmp_path: Path, storage_url: str) -> Mapping[str, str]:
    """Environment with a stand-in for `sbatch`, which runs the tasks of an array one after another, and the program."""
    programs = tmp_path / "bin"
    programs.mkdir()
    stand_ins = {
        "faqnas-optuna": f'exec {shlex.quote(sys.executable)} -m faqnas_optuna "$@"',
        "sbatch": 'range=${1#--array=}\nfor task in $(seq "${range%-*}" "${range#*-}"); do\n'
        '    SLURM_ARRAY_TASK_ID=$task "$2" || exit\ndone',
    }
    for name, script in stand_ins.items():
        (programs / name).write_text(f"#!/bin/bash\n{script}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "faqnas-storage").write_text(f"{storage_url}\n")
    (tmp_path / "faqnas-storage").chmod(0o600)
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    return cli_environment({"PATH": path, "FAQNAS_STORAGE_FILE": str(tmp_path / "faqnas-storage"), "PYTHONPATH": str(ROOT)})


@pytest.mark.slow
def test_a_job_array_runs_studies_until_none_is_left(
    cluster: Mapping[str, str], storage_url: str, iris: Any, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        create(open_storage(storage_url, create=True), name, small_config(), iris)
    (script := tmp_path / "worker.sbatch").write_text(SBATCH.read_text())
    script.chmod(0o755)
    subprocess.run(["sbatch", "--array=1-2", script], env=cluster, cwd=tmp_path, timeout=TIMEOUT_S, check=True)
    for name in ("one", "two"):
        search = load(open_storage(storage_url), name)
        assert search.metadata.stop() is not None
        assert {trial.state for trial in trials_of(search)} == {TrialState.COMPLETE}


@pytest.mark.slow
def test_a_job_finishes_its_trial_when_its_time_is_nearly_over(
    cluster: Mapping[str, str], storage_url: str, tmp_path: Path
) -> None:
    (when,) = re.findall(r"^#SBATCH --signal=B:USR1@(\d+)$", SBATCH.read_text(), re.MULTILINE)
    assert int(when) >= 60
    search = new_study(storage_url, "iris")
    # `B:` signals the process of the script.
    job = subprocess.Popen(["bash", SBATCH], env=cluster, cwd=tmp_path)
    try:
        wait_until(lambda: len(trials_of(search)) > 2, SOON_S, "trials run")
        job.send_signal(signal.SIGUSR1)
        # SLURM shows a job with another exit code as FAILED.
        assert job.wait(TIMEOUT_S) == 0
    finally:
        job.kill()
        job.wait()
    assert {trial.state for trial in trials_of(search)} == {TrialState.COMPLETE}


def test_linters_have_the_versions_of_the_constraints() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    versions = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    revisions = {repository["repo"].rpartition("/")[2]: repository["rev"] for repository in hooks if "rev" in repository}
    assert revisions == {"ruff-pre-commit": f"v{versions['ruff']}"}
    # All others are run from the environment that `make` installs.
    local = [hook for repository in hooks if repository["repo"] == "local" for hook in repository["hooks"]]
    assert [hook["entry"] for hook in local] == [".venv/bin/mypy"]


def test_ci_runs_targets_that_exist_on_python_versions_that_are_supported() -> None:
    steps = [step for job in CI["jobs"].values() for step in job["steps"]]
    targets = {run.split()[1] for step in steps if (run := step.get("run", "")).startswith("make ")}
    assert targets == {"lint", "quick", "docs"}
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    versions = CI["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f">={versions[0]}" == PROJECT["project"]["requires-python"]
    (image,) = instructions("FROM")
    assert re.search(r"python:([\d.]+)", image)[1] in versions  # type: ignore[index]
