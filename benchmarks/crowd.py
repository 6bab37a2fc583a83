"""How many trials a crowd of workers gets done on one SQLite file. Its workers import this, so nothing heavy is needed here."""

import logging
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from benchmarks.measurement import Measurement, at_least
from faqnas_optuna import Circuit, DataSplits, Evaluation, StudyConfig
from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.config import SearchConfig
from faqnas_optuna.data import named
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import create, load
from faqnas_optuna.training.values import Costs
from faqnas_optuna.workers.loop import run

logger = logging.getLogger(__name__)

CROWD, CROWD_TARGET = 8, 120.0


def crowd(*, trials: int) -> Measurement:
    """Trials that cost nothing but themselves, by workers in processes of their own on one SQLite file."""
    logger.info("%d workers on one SQLite file", CROWD)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as processes:
        url = f"sqlite:///{Path(directory).as_posix()}/crowd.db"
        config = StudyConfig(dataset="iris", search=SearchConfig(population=trials // 10, generations=10, patience=10))
        create(open_storage(url, create=True), "crowd", config, named.load("iris", seed=0))
        program = f"from {__name__} import join_crowd; join_crowd({url!r})"
        started = [processes.enter_context(subprocess.Popen([sys.executable, "-c", program])) for _ in range(CROWD)]
        for process in started:
            if process.wait():
                raise AssertionError(f"a worker ended with exit code {process.returncode}")
        rate = throughput(url, "crowd")
    return at_least("throughput of a crowd", f"{CROWD} workers, SQLite, nothing to train", rate, "trials/s", CROWD_TARGET)


def join_crowd(url: str) -> None:
    """Be a worker of the above."""
    joined = load(open_storage(url), "crowd")
    run(joined, named.load("iris", seed=0), Signals(), on_trial=lambda _: None, evaluate=_free)


def _free(circuit: Circuit, splits: DataSplits, _config: StudyConfig) -> Evaluation:
    """Values that come from the circuit alone."""
    costs = Costs.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    score = int(effective_circuit(circuit).digest, 16) % 1000 / 1000
    return Evaluation(costs=costs, val_accuracies=(score,), val_balanced_accuracies=(score,), seconds=0.0)


def throughput(url: str, name: str) -> float:
    """Trials per second while all workers were at work: from when the last had begun to when the first left."""
    by_worker: dict[Any, list[FrozenTrial]] = {}
    trials = load(open_storage(url), name).study.get_trials(deepcopy=False)
    for trial in trials:
        by_worker.setdefault(trial.user_attrs["worker"], []).append(trial)
    begin = max(min(_time(trial.datetime_start) for trial in own) for own in by_worker.values())
    end = min(max(_time(trial.datetime_complete) for trial in own) for own in by_worker.values())
    done = sum(begin <= _time(trial.datetime_complete) <= end for trial in trials)
    return done / (end - begin)


def _time(moment: datetime | None) -> float:
    assert moment is not None
    return moment.timestamp()
