"""Benchmarks of `make bench`: this program against hand-written equivalents, on the user's machine.

Times are medians. Those that make up a ratio are taken in turn, so that a machine whose speed drifts slows both alike. Targets
are ratios and limits that this project has set itself; missing one is shown, not an error.
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
    """Run all measurements, one after the other; quick ones cover less and take about two minutes.

    Args:
        server: the URL of a database on a server, to measure trials there too; a study is left in it.
    """
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
        yield from trials.rest_of_a_trial(f"sqlite:///{directory}/bench.db", (200, 400) if quick else (1_000, 10_000))
    if server:
        yield from trials.rest_of_a_trial(server, (200,) if quick else (1_000,))
    yield crowd(trials=400 if quick else 2_000)
    for name in ("wine",) if quick else trials.SEARCH_TARGETS:
        yield trials.search(name, trials=10 if quick else trials.SEARCH_TRIALS[name])
    yield from commands(trials=32 if quick else 160, repeats=1 if quick else 5)
    if table := shipped().get("wine"):
        yield from lookups(table)
