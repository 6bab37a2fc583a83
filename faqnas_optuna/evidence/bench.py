"""What `faqnas-optuna bench` measures: this program against the script that one would write by hand, on the user's machine.

Times are medians. Those that make up a ratio are taken in turn, so that a machine whose speed drifts slows both alike. Targets
are ratios and limits that this project has set itself; missing one is shown, not an error.
"""

import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial
from torch import nn
from torch.profiler import ProfilerActivity, profile

from faqnas_optuna.circuits.counting import count_parts
from faqnas_optuna.circuits.flops import profiler_flops
from faqnas_optuna.circuits.genome import GENES, Circuit, Embedding, Entangler, Genome, Rotation, Topology, enumerate_genomes
from faqnas_optuna.config import Engine, SearchConfig, SpaceConfig, StudyConfig
from faqnas_optuna.data import named
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.engine.fused import load_kernels, make_optimiser, train_epoch
from faqnas_optuna.engine.normal_form import compile_circuit
from faqnas_optuna.engine.statevector import make_workspace
from faqnas_optuna.learning.evaluation import train_once
from faqnas_optuna.learning.model import HQNN, quantum_layer
from faqnas_optuna.learning.parameters import Layout
from faqnas_optuna.search.course import Course
from faqnas_optuna.search.records import GENERATION_KEY
from faqnas_optuna.search.study import create, load
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.workers.loop import Shift

logger = logging.getLogger(__name__)

BATCH = 64
N_FEATURES, N_CLASSES = 13, 3
ROTATIONS = (Rotation.RX, Rotation.RY, Rotation.RZ, Rotation.RY)
LAYER_TARGETS = {2: 30, 4: 60, 6: 60, 8: 40, 10: 25}
STEP_TARGETS = {2: 15, 4: 30, 6: 30, 8: 30, 10: 25}
SEARCH_TARGETS = {"wine": 12, "digits": 25, "mnist-5k": 30}
SEARCH_TRIALS = {"wine": 160, "digits": 24, "mnist-5k": 16}
FLOPS_TARGET_MS, REST_TARGET_MS, REST_GROWTH_TARGET, START_TARGET_S = 5.0, 30.0, 2.0, 6.0
WORKERS_TARGET, MEMORY_TARGET_MB = 1.7, 900.0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One line of the result."""

    what: str
    case: str
    value: float
    unit: str
    """Of `value` and `reference`; a power of ten of seconds, MB, or trials/s."""
    reference: float | None = None
    """The same, done by hand with PennyLane, or with one worker, or with few trials."""
    ratio: float | None = None
    """How many times better than the reference, or for a growth how many times worse."""
    target: str | None = None
    met: bool | None = None


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Run all measurements, one after the other; quick ones cover less and take half a minute rather than minutes."""
    load_kernels()
    qubits = (2, 6) if quick else tuple(LAYER_TARGETS)
    yield from _steps(qubits, repeats=3 if quick else 7)
    yield _flops_counters(profiled=5 if quick else 25)
    yield from _rest_of_a_trial((100, 1_000) if quick else (100, 1_000, 5_000))
    for name in ("wine",) if quick else SEARCH_TARGETS:
        yield _search(name, trials=20 if quick else SEARCH_TRIALS[name])
    yield from _processes(trials=40 if quick else 400)


def _steps(qubits: tuple[int, ...], *, repeats: int) -> Iterator[Measurement]:
    """The quantum layer forward and backward, and a whole training step, by either engine."""
    for n, embedding, entangler in product(qubits, Embedding, Entangler):
        circuit = Circuit(n_qubits=n, embedding=embedding, entangler=entangler, topology=Topology.CIRCULAR, rotations=ROTATIONS)
        case = f"{n} qubits, {embedding}, {entangler}"
        fast, reference = _paired(_layer_pass(circuit, Engine.FAST), _layer_pass(circuit, Engine.PENNYLANE), repeats)
        yield _ratio("quantum layer", case, fast * 1e3, reference * 1e3, "ms", LAYER_TARGETS[n])
        fast, reference = _paired(_fused_step(circuit), _torch_step(circuit), repeats)
        yield _ratio("training step", case, fast * 1e3, reference * 1e3, "ms", STEP_TARGETS[n])


def _layer_pass(circuit: Circuit, engine: Engine) -> Callable[[], None]:
    layer = quantum_layer(circuit, engine, torch.ones(circuit.depth, circuit.n_qubits))
    inputs = torch.rand(BATCH, circuit.n_qubits, requires_grad=True)

    def run() -> None:
        layer(inputs).sum().backward()

    return run


def _torch_step(circuit: Circuit) -> Callable[[], None]:
    model = HQNN(
        circuit,
        n_features=N_FEATURES,
        n_classes=N_CLASSES,
        engine=Engine.PENNYLANE,
        generator=np.random.default_rng(0),
    )
    x, y = torch.rand(BATCH, N_FEATURES), torch.arange(BATCH) % N_CLASSES
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.nll_loss(model(x), y).backward()
        optimiser.step()

    return run


def _fused_step(circuit: Circuit) -> Callable[[], None]:
    generator = np.random.default_rng(0)
    vector = Layout.of(circuit, n_features=N_FEATURES, n_classes=N_CLASSES).draw(generator)
    x, y = generator.random((BATCH, N_FEATURES), np.float32), np.arange(BATCH) % N_CLASSES
    program, optimiser = compile_circuit(circuit), make_optimiser(vector)
    workspace, order = make_workspace(program, BATCH, np.float32), np.arange(BATCH)

    def run() -> None:
        train_epoch(x, y, order, BATCH, program, workspace, optimiser, 0, 0.003, N_CLASSES)

    return run


def _paired(fast: Callable[[], None], reference: Callable[[], None], repeats: int) -> tuple[float, float]:
    """Median seconds of a call of each, taken in turn after a call that does not count."""
    fast()
    reference()
    # So many calls of the fast one that the clock's resolution is of no account.
    calls = max(1, int(2e-3 / _seconds(fast)))
    pairs = [(_seconds(fast, calls), _seconds(reference)) for _ in range(repeats)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def _seconds(run: Callable[[], None], calls: int = 1) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - started) / calls


def _flops_counters(*, profiled: int, counter: Callable[[Circuit], int] = profiler_flops) -> Measurement:
    """Counting the profiler's FLOPs of all circuits, from the counting of their parts on, against the profiler itself."""
    circuits = sorted({genome.circuit for genome in enumerate_genomes()}, key=str)
    started = time.perf_counter()
    for n_qubits in GENES["n_qubits"]:
        count_parts(int(n_qubits))
    counted = {circuit: counter(circuit) for circuit in circuits}
    fast = (time.perf_counter() - started) / len(circuits)
    times = []
    for circuit in random.Random(0).sample(circuits, profiled):
        layer = quantum_layer(circuit, Engine.PENNYLANE, torch.ones(circuit.depth, circuit.n_qubits))
        started = time.perf_counter()
        if _profiled_flops(layer, circuit.n_qubits) != counted[circuit]:
            raise AssertionError(f"torch.profiler counts other FLOPs than we do for {circuit}; please report this")
        times.append(time.perf_counter() - started)
    reference = statistics.fmean(times)
    return Measurement(
        what="profiler FLOPs of a new circuit",
        case=f"mean of all {len(circuits):,}, equal to torch.profiler's",
        value=fast * 1e3,
        reference=reference * 1e3,
        unit="ms",
        ratio=reference / fast,
        target=f"< {FLOPS_TARGET_MS:g} ms",
        met=fast * 1e3 < FLOPS_TARGET_MS,
    )


def _profiled_flops(layer: nn.Module, n_qubits: int) -> int:
    sample = torch.ones(1, n_qubits)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiled:
        layer(sample)
    return sum(event.flops for event in profiled.key_averages() if event.flops)


def _rest_of_a_trial(sizes: tuple[int, ...]) -> Iterator[Measurement]:
    """Trials that reuse a circuit: all that a trial costs but training and counting, in studies of several sizes."""
    few = None
    for size in sizes:
        milliseconds = 1e3 * _reused_trial_seconds(size)
        few = few or milliseconds
        growth = milliseconds / few
        in_time = size > 1_000 or milliseconds < REST_TARGET_MS
        yield Measurement(
            what="rest of a trial",
            case=f"study of {size:,} trials, SQLite",
            value=milliseconds,
            reference=few,
            unit="ms",
            ratio=growth,
            target=f"< {REST_TARGET_MS:g} ms at 1,000"
            if size <= 1_000
            else f"at most {REST_GROWTH_TARGET:g} x as at {sizes[0]}",
            met=in_time and growth <= REST_GROWTH_TARGET,
        )


def _reused_trial_seconds(size: int) -> float:
    """Median over trials of a study in which every circuit of a small space has been trained."""
    config = StudyConfig(
        dataset="iris",
        search=SearchConfig(generations=10_000, patience=10_000),
        space=SpaceConfig(n_qubits=(2,), depth=(1,)),
    )
    splits = named.load("iris", seed=0)
    with tempfile.TemporaryDirectory() as directory:
        search = create(open_storage(f"sqlite:///{directory}/bench.db", create=True), "bench", config, splits)
        shift = Shift(search, splits, Signals())
        genomes = list(enumerate_genomes(config.space.genes))
        population = config.search.population
        while len(shift.standing.by_circuit) < len({genome.circuit for genome in genomes}):
            shift.look()
            shift.run_trial()
        done = search.study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        search.study.add_trials([_copy(done[n % len(done)], n // population) for n in range(len(done), size)])
        shift.look()
        times = []
        for _ in range(40):
            started = time.perf_counter()
            shift.look()
            shift.run_trial()
            times.append(time.perf_counter() - started)
        return statistics.median(times)


def _copy(trial: FrozenTrial, generation: int) -> FrozenTrial:
    return optuna.create_trial(
        params=trial.params,
        distributions=trial.distributions,
        values=trial.values,
        user_attrs=trial.user_attrs,
        system_attrs={GENERATION_KEY: generation},
    )


def _search(name: str, *, trials: int) -> Measurement:
    """Seconds per trial of a first generation, against a script that uses TorchLayer, torch.profiler and plain Optuna."""
    config = StudyConfig(dataset=name, search=SearchConfig(population=trials, generations=1))
    splits = named.load(name, seed=0)
    logger.info("searching %s: %d trials by us, then the same ones by hand", name, trials)
    with tempfile.TemporaryDirectory() as directory:
        search = create(open_storage(f"sqlite:///{directory}/ours.db", create=True), name, config, splits)
        shift = Shift(search, splits, Signals())
        started = time.perf_counter()
        while shift.look() is Course.RUNNING:
            shift.run_trial()
        fast = (time.perf_counter() - started) / trials
        by_hand = optuna.create_study(
            storage=f"sqlite:///{directory}/by-hand.db",
            directions=["minimize", "minimize"],
            sampler=optuna.samplers.NSGAIISampler(population_size=trials),
        )
        for trial in search.study.get_trials(deepcopy=False):
            by_hand.enqueue_trial(trial.params)
        started = time.perf_counter()
        by_hand.optimize(lambda trial: _objective_by_hand(trial, config, splits), n_trials=trials)
        reference = (time.perf_counter() - started) / trials
    return _ratio("trial of a search", name, fast, reference, "s", SEARCH_TARGETS[name])


def _objective_by_hand(trial: optuna.Trial, config: StudyConfig, splits: DataSplits) -> tuple[float, float]:
    genes = {gene: trial.suggest_categorical(gene, choices) for gene, choices in config.space.genes.items()}
    circuit = Genome.from_params(genes).circuit
    result = train_once(circuit, splits, config.model_copy(update={"engine": Engine.PENNYLANE}), repeat=0)
    layer = quantum_layer(circuit, Engine.PENNYLANE, torch.ones(circuit.depth, circuit.n_qubits))
    return float(_profiled_flops(layer, circuit.n_qubits)), 1 - result.validation_accuracy


def _processes(*, trials: int) -> Iterator[Measurement]:
    """Whole processes: start-up, memory, and the throughput of one and two workers on Digits."""
    with tempfile.TemporaryDirectory() as directory:
        yield _start_up(Path(directory))
        megabytes = _command(Path(directory), "mnist-5k", "--population", "8", "--generations", "1")
        yield Measurement(
            what="peak memory of a worker",
            case="mnist-5k",
            value=megabytes,
            unit="MB",
            target=f"< {MEMORY_TARGET_MB:g} MB",
            met=megabytes < MEMORY_TARGET_MB,
        )
    rates = {}
    for workers in (1, 2):
        logger.info("searching digits with %d workers", workers)
        with tempfile.TemporaryDirectory() as directory:
            options = ("--population", str(trials), "--generations", "1", "--workers", str(workers))
            _command(Path(directory), "digits", *options)
            rates[workers] = _throughput(f"sqlite:///{directory}/faqnas.db", "digits")
    ratio = rates[2] / rates[1]
    yield Measurement(
        what="throughput of two workers",
        case="digits, SQLite, against one worker",
        value=rates[2],
        reference=rates[1],
        unit="trials/s",
        ratio=ratio,
        target=f">= {WORKERS_TARGET:g} x",
        met=ratio >= WORKERS_TARGET,
    )


def _start_up(directory: Path) -> Measurement:
    """From the command to the start of the first trial."""
    started = datetime.now()
    _command(directory, "wine", "--population", "2", "--generations", "1")
    first = load(open_storage(f"sqlite:///{directory}/faqnas.db"), "wine").study.get_trials(deepcopy=False)[0]
    assert first.datetime_start is not None
    seconds = (first.datetime_start - started).total_seconds()
    return Measurement(
        what="command to first trial",
        case="wine",
        value=seconds,
        unit="s",
        target=f"< {START_TARGET_S:g} s",
        met=seconds < START_TARGET_S,
    )


MEASURED = "import os, subprocess, sys; child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)\n\
_, status, usage = os.wait4(child.pid, 0); print(usage.ru_maxrss); sys.exit(os.waitstatus_to_exitcode(status))"
"""Runs a command and prints its peak memory. A child of this process would count what we ourselves have used."""


def _command(directory: Path, dataset: str, *options: str) -> float:
    """Run `start` as a process; megabytes of memory at its peak."""
    command = [sys.executable, "-m", "faqnas_optuna", "start", "--dataset", dataset, "--json", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAQNAS_")}
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # Linux counts kilobytes, macOS bytes.
    return float(finished.stdout) / (1024**2 if sys.platform == "darwin" else 1024)


def _throughput(url: str, name: str) -> float:
    """Trials per second while all workers were at work: from when the last had begun to when the first left."""
    trials = load(open_storage(url), name).study.get_trials(deepcopy=False)
    by_worker: dict[Any, list[FrozenTrial]] = {}
    for trial in trials:
        by_worker.setdefault(trial.user_attrs["worker"], []).append(trial)
    begin = max(min(_time(trial.datetime_start) for trial in own) for own in by_worker.values())
    end = min(max(_time(trial.datetime_complete) for trial in own) for own in by_worker.values())
    done = sum(begin <= _time(trial.datetime_complete) <= end for trial in trials)
    return done / (end - begin)


def _time(moment: datetime | None) -> float:
    assert moment is not None
    return moment.timestamp()


def _ratio(what: str, case: str, value: float, reference: float, unit: str, target: float) -> Measurement:
    ratio = reference / value
    return Measurement(
        what=what,
        case=case,
        value=value,
        reference=reference,
        unit=unit,
        ratio=ratio,
        target=f">= {target:g} x",
        met=ratio >= target,
    )
