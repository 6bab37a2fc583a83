"""Measurements of trials: their overhead in studies of several sizes, and whole searches."""

import logging
import statistics
import tempfile
import time
from collections.abc import Iterator

from benchmarks import references
from benchmarks.measurement import Measurement, at_most, faster, seconds
from faqnas_optuna import StudyConfig
from faqnas_optuna.circuits.genome import enumerate_genomes
from faqnas_optuna.config import SearchConfig
from faqnas_optuna.data import named
from faqnas_optuna.signals import Signals
from faqnas_optuna.space_config import SpaceConfig
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.storage.urls import is_sqlite
from faqnas_optuna.study.search import create
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.work import WorkerAction
from faqnas_optuna.workers.loop import StudyWorker

logger = logging.getLogger(__name__)

SEARCH_TARGETS = {"wine": 12, "digits": 25, "mnist-5k": 30}
SEARCH_TRIALS = {"wine": 20, "digits": 6, "mnist-5k": 3}
REST_TARGET_MS = 6.0
SERVER_TARGET_MS = 15.0
GROWTH_TARGET = 1.5
"""Overhead of a trial in the largest study, divided by that in the smallest."""
TIMED_TRIALS = 40


def trial_overhead(url: str, sizes: tuple[int, ...]) -> Iterator[Measurement]:
    """Measure the overhead of a trial while a study grows, in trials of circuits that were evaluated before.

    Args:
        url: URL of a database, in which the study remains.
        sizes: Numbers of trials at which trials are timed, in ascending order.
    """
    # All circuits of this space are soon evaluated: from then on a trial costs neither training nor counting.
    space = SpaceConfig(n_qubits=(2,), depth=(1,))
    # No limit ends the study before the last size is reached.
    config = StudyConfig(dataset="iris", search=SearchConfig(generations=100_000, patience=100_000), space=space)
    circuits = {genome.circuit for genome in enumerate_genomes(space.genes)}
    splits = named.load("iris", seed=0)
    storage = open_storage(url, create=True)
    # A database on a server may hold the studies of earlier runs.
    name = f"bench-{time.time_ns()}"
    worker = StudyWorker(create(storage, name, config, splits), splits, Signals())
    assert isinstance(worker.state, SearchState)

    def trial() -> None:
        worker.look()
        worker.run_trial()

    where, limit = ("SQLite", REST_TARGET_MS) if is_sqlite(url) else ("server", SERVER_TARGET_MS)
    trials = 0
    smallest = None
    for size in sizes:
        while trials < size or len(worker.state.by_circuit) < len(circuits):
            trial()
            trials += 1
        duration_ms = 1e3 * statistics.median(seconds(trial) for _ in range(TIMED_TRIALS))
        trials += TIMED_TRIALS
        case = f"study of {size:,} trials, {where}"
        if smallest is None:
            yield at_most("overhead of a trial", case, duration_ms, "ms", limit)
            smallest = duration_ms
        else:
            growth = duration_ms / smallest
            yield Measurement(
                what="overhead of a trial",
                case=case,
                value=duration_ms,
                reference=smallest,
                unit="ms",
                ratio=growth,
                target=f"<= {GROWTH_TARGET:g} x that at {sizes[0]:,}",
                met=growth <= GROWTH_TARGET,
            )


def search(name: str, *, trials: int) -> Measurement:
    """Compare the seconds per trial of a first generation with those of a script on TorchLayer, torch.profiler and Optuna."""
    config = StudyConfig(dataset=name, search=SearchConfig(population=trials, generations=1))
    splits = named.load(name, seed=0)
    logger.info("search on %s: %d trials by this program, then the same trials by the script", name, trials)
    with tempfile.TemporaryDirectory() as directory:
        study = create(open_storage(f"sqlite:///{directory}/ours.db", create=True), name, config, splits)
        worker = StudyWorker(study, splits, Signals())
        started = time.perf_counter()
        while worker.look() is WorkerAction.RUNNING:
            worker.run_trial()
        fast = (time.perf_counter() - started) / trials
        # The script evaluates the genomes that were suggested here, so both train the same circuits.
        params = [trial.params for trial in study.study.get_trials(deepcopy=False)]
        by_hand = references.search_by_hand(f"sqlite:///{directory}/by-hand.db", params, config, splits)
        reference = seconds(by_hand) / trials
    return faster("trial of a search", name, fast, reference, "s", SEARCH_TARGETS[name])
