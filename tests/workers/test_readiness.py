import json
import os
from pathlib import Path

import numpy
import pytest

from faqnas_optuna.config import Engine
from faqnas_optuna.data.named import DATASETS
from faqnas_optuna.study.search import Search
from faqnas_optuna.training.evaluation import prepare
from faqnas_optuna.workers import readiness
from faqnas_optuna.workers.readiness import LackingError, check_packages, check_python, examine, look
from tests.conftest import RunCli


def test_a_machine_that_is_ready(storage_url: str) -> None:
    findings = list(examine(storage_url))
    assert [finding.check for finding in findings] == ["Python", "packages", "cache", "engine", "data", "database"]
    assert [finding.message for finding in findings if not finding.ready] == []
    messages = {finding.check: finding.message for finding in findings}
    assert messages["database"].endswith("faqnas.db, no studies yet")
    assert not os.listdir(Path(storage_url.removeprefix("sqlite:///")).parent)


def test_studies_are_counted(search_of_eight: Search, storage_url: str) -> None:
    *_, database = examine(storage_url)
    assert database.message == f"{storage_url}, 1 study"


def test_versions_are_compared() -> None:
    with pytest.raises(LackingError, match="needs Python >=4; create the environment with another Python"):
        check_python(">=4")
    needed = ["numpy>=99", "faqnas-of-nowhere", "numpy>=1; extra == 'more'", "optuna"]
    with pytest.raises(LackingError) as lacking:
        check_packages(needed)
    assert str(lacking.value) == (
        f"numpy is {numpy.__version__}, not >=99, faqnas-of-nowhere is not installed: pip install 'numpy>=99' faqnas-of-nowhere"
    )


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage_url: str) -> None:
    # Compile now, as it would take long without a cache.
    prepare((Engine.FAST,))
    # Reading the other data sets from their packages takes seconds.
    monkeypatch.setattr(readiness, "DATASETS", {"iris": DATASETS["iris"]})
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    findings = {finding.check: finding for finding in examine(storage_url)}
    assert not findings["cache"].ready
    assert "XDG_CACHE_HOME" in findings["cache"].message
    # Data can be read without a cache, only slower.
    assert findings["data"].ready


def test_a_package_that_cannot_be_loaded_is_told_in_a_line() -> None:
    def check() -> str:
        raise ImportError("libgomp.so.1:\ncannot open shared object file", name="sklearn.utils")

    finding = look("engine", check)
    assert finding.message.startswith("ImportError: libgomp.so.1: cannot open shared object file; try: ")
    assert finding.message.endswith("pip install --force-reinstall sklearn")
    assert not finding.ready


def test_the_command_says_it_with_its_exit_code(run_forked: RunCli, tmp_path: Path) -> None:
    done = run_forked("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ready"]
    lacks = run_forked("doctor", "--storage", f"sqlite:///{tmp_path}/nowhere/faqnas.db")
    assert lacks.returncode == 1
    marks = [line.split()[0] for line in lacks.stdout.splitlines()]
    assert marks == ["ok"] * 5 + ["FAIL"]
    assert "the directory" in lacks.stdout and "does not exist" in lacks.stdout
    assert "Traceback" not in lacks.stderr
