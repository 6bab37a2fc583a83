"""What trials cost beside their training, in studies of several sizes, and in whole searches."""

import logging
import statistics
import tempfile
import time
from collections.abc import Iterator

from benchmarks import references
from benchmarks.measurement import Measurement, at_most, faster, seconds
from faqnas_optuna import StudyConfig
from faqnas_optuna.circuits.genome import enumerate_genomes
from faqnas_optuna.config import SearchConfig, SpaceConfig
from faqnas_optuna.data import named
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.storage.urls import is_sqlite
from faqnas_optuna.study.search import create
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study.work import WorkerAction
from faqnas_optuna.workers.loop import StudyWorker

logger = logging.getLogger(__name__)

SEARCH_TARGETS = {"wine": 12, "digits": 25, "mnist-5k": 30}
SEARCH_TRIALS = {"wine": 20, "digits": 6, "mnist-5k": 3}
REST_TARGET_MS, SERVER_TARGET_MS, GROWTH_TARGET = 6.0, 15.0, 1.5
TIMED = 40


def rest_of_a_trial(url: str, sizes: tuple[int, ...]) -> Iterator[Measurement]:
    """Trials of a circuit that was trained before: all that they cost but training and counting, while a study grows.

    Args:
        url: of a database, which keeps the study.
        sizes: of the study when trials are timed; the first is not the largest.
    """
    # A space whose circuits are soon all known.
    space = SpaceConfig(n_qubits=(2,), depth=(1,))
    config = StudyConfig(dataset="iris", search=SearchConfig(generations=100_000, patience=100_000), space=space)
    known = {genome.circuit for genome in enumerate_genomes(space.genes)}
    splits, storage = named.load("iris", seed=0), open_storage(url, create=True)
    name = f"bench-{time.time_ns()}"
    worker = StudyWorker(create(storage, name, config, splits), splits, Signals())
    assert isinstance(worker.state, SearchState)

    def trial() -> None:
        worker.look()
        worker.run_trial()

    where, limit = ("SQLite", REST_TARGET_MS) if is_sqlite(url) else ("server", SERVER_TARGET_MS)
    trials, few = 0, None
    for size in sizes:
        while trials < size or len(worker.state.by_circuit) < len(known):
            trial()
            trials += 1
        taken = 1e3 * statistics.median(seconds(trial) for _ in range(TIMED))
        trials += TIMED
        case = f"study of {size:,} trials, {where}"
        if few is None:
            yield at_most("rest of a trial", case, taken, "ms", limit)
            few = taken
        else:
            growth = taken / few
            yield Measurement(
                what="rest of a trial",
                case=case,
                value=taken,
                reference=few,
                unit="ms",
                ratio=growth,
                target=f"<= {GROWTH_TARGET:g} x as at {sizes[0]:,}",
                met=growth <= GROWTH_TARGET,
            )


def search(name: str, *, trials: int) -> Measurement:
    """Seconds per trial of a first generation, against a script that uses TorchLayer, torch.profiler and plain Optuna."""
    config = StudyConfig(dataset=name, search=SearchConfig(population=trials, generations=1))
    splits = named.load(name, seed=0)
    logger.info("searching %s: %d trials by us, then the same ones by hand", name, trials)
    with tempfile.TemporaryDirectory() as directory:
        found = create(open_storage(f"sqlite:///{directory}/ours.db", create=True), name, config, splits)
        worker = StudyWorker(found, splits, Signals())
        started = time.perf_counter()
        while worker.look() is WorkerAction.RUNNING:
            worker.run_trial()
        fast = (time.perf_counter() - started) / trials
        params = [trial.params for trial in found.study.get_trials(deepcopy=False)]
        by_hand = references.search_by_hand(f"sqlite:///{directory}/by-hand.db", params, config, splits)
        reference = seconds(by_hand) / trials
    return faster("trial of a search", name, fast, reference, "s", SEARCH_TARGETS[name])
