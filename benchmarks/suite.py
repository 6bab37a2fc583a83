"""Benchmarks of `make bench`: this program compared with hand-written equivalents on the user's machine.

Times are medians. The two times of a ratio are measured in turn, so that a drift of the machine's speed affects both. Targets
are limits that this project sets itself; the result shows whether they are met, and a missed target is no error.
"""

import tempfile
from collections.abc import Iterator

from benchmarks import computing, trials
from benchmarks.commands import commands
from benchmarks.crowd import crowd
from benchmarks.lookups import lookups
from benchmarks.measurement import Measurement
from faqnas_optuna.config import Engine
from faqnas_optuna.tables.loading import shipped
from faqnas_optuna.training.evaluation import prepare


def measure(*, quick: bool, server: str | None = None) -> Iterator[Measurement]:
    """Run all measurements, one after the other.

    Args:
        quick: Measure fewer sizes with fewer repeats, in about two minutes.
        server: URL of a database on a server, in which trials are measured too. The study remains there.
    """
    # Compilation is measured by itself, below; here it would count as part of the first step.
    prepare((Engine.FAST,))
    yield from computing.steps((2, 6) if quick else tuple(computing.STEP_TARGETS), repeats=3 if quick else 5)
    yield from computing.against_lightning((2, 6, 10), repeats=3)
    yield from computing.against_jax((2, 6, 10), repeats=3)
    yield from computing.noisy((2, 5) if quick else (2, 5, 7, 8, 9, 10), repeats=3)
    yield from computing.against_qiskit(circuits=2 if quick else 150, seeds=1 if quick else 5)
    yield from computing.wider_steps((6, 10), repeats=20)
    yield computing.flops_counters(profiled=5 if quick else 25)
    names = ("wine",) if quick else tuple(computing.TRAINING_TARGETS_MS)
    yield from computing.trainings(names, circuits=50 if quick else 200)
    if not quick:
        yield computing.whole_space()
    with tempfile.TemporaryDirectory() as directory:
        yield from trials.trial_overhead(f"sqlite:///{directory}/bench.db", (200, 400) if quick else (1_000, 10_000))
    if server:
        yield from trials.trial_overhead(server, (200,) if quick else (1_000,))
    yield crowd(trials=400 if quick else 2_000)
    for name in ("wine",) if quick else trials.SEARCH_TARGETS:
        yield trials.search(name, trials=10 if quick else trials.SEARCH_TRIALS[name])
    yield from commands(trials=32 if quick else 160, repeats=1 if quick else 5)
    table = shipped().get("wine")
    if table:
        yield from lookups(table)
