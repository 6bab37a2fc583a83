"""Throughput of many workers on one SQLite file.

The workers import this module, so it imports nothing heavy.
"""

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

CROWD = 8
"""Number of workers, more than the cores of most laptops: writers wait for each other's lock."""
CROWD_TARGET = 120.0
"""Trials per second."""


def crowd(*, trials: int) -> Measurement:
    """Measure trials without training, run by several worker processes on one SQLite file."""
    logger.info("%d workers on one SQLite file", CROWD)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as processes:
        url = f"sqlite:///{Path(directory).as_posix()}/crowd.db"
        # Ten generations: workers that find one complete begin the next, so the sampler is part of the measurement.
        config = StudyConfig(dataset="iris", search=SearchConfig(population=trials // 10, generations=10, patience=10))
        create(open_storage(url, create=True), "crowd", config, named.load("iris", seed=0))
        program = f"from {__name__} import join_crowd; join_crowd({url!r})"
        workers = [processes.enter_context(subprocess.Popen([sys.executable, "-c", program])) for _ in range(CROWD)]
        for worker in workers:
            if worker.wait():
                raise AssertionError(f"a worker ended with exit code {worker.returncode}")
        rate = throughput(url, "crowd")
    return at_least("throughput of a crowd", f"{CROWD} workers, SQLite, nothing to train", rate, "trials/s", CROWD_TARGET)


def join_crowd(url: str) -> None:
    """Run trials of the study in `url` until it ends; called in a worker process."""
    search = load(open_storage(url), "crowd")
    run(search, named.load("iris", seed=0), Signals(), on_trial=lambda _: None, evaluate=_free)


def _free(circuit: Circuit, splits: DataSplits, _config: StudyConfig) -> Evaluation:
    """Return made-up scores that depend on the circuit alone and take no time."""
    # The digest is that of the effective circuit: as in a real search, inert gates do not change the scores.
    costs = Costs.of(circuit, n_features=splits.n_features, n_classes=splits.n_classes)
    score = int(effective_circuit(circuit).digest, 16) % 1000 / 1000
    return Evaluation(costs=costs, val_accuracies=(score,), val_balanced_accuracies=(score,), seconds=0.0)


def throughput(url: str, name: str) -> float:
    """Return the trials per second from the first trial of the last worker to the last trial of the first one to leave."""
    by_worker: dict[Any, list[FrozenTrial]] = {}
    trials = load(open_storage(url), name).study.get_trials(deepcopy=False)
    for trial in trials:
        by_worker.setdefault(trial.user_attrs["worker"], []).append(trial)
    # Workers start and end at different times; only between these two moments do all of them compete for the file.
    begin = max(min(_time(trial.datetime_start) for trial in own) for own in by_worker.values())
    end = min(max(_time(trial.datetime_complete) for trial in own) for own in by_worker.values())
    completed = sum(begin <= _time(trial.datetime_complete) <= end for trial in trials)
    return completed / (end - begin)


def _time(moment: datetime | None) -> float:
    assert moment is not None
    return moment.timestamp()
