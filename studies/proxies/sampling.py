"""Values of the proxies for all effective circuits of the paper's space, and the file that holds them."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.circuits.genome import Circuit, Embedding
from faqnas_optuna.files import write_atomically
from faqnas_optuna.tables.space import all_circuits, effective_circuits
from studies.proxies.expressibility import divergence, quantile_divergence
from studies.proxies.gradients import gradient_variance
from studies.proxies.states import Origin, meyer_wallach, pair_fidelities, sample_states

PAIRS = 5000
"""Number of pairs of states of each circuit and origin, that of Sim et al."""
GRADIENT_DRAWS = 256
"""Number of random inputs and angles at which the gradients of a circuit are computed."""
STREAMS = {Origin.EMBEDDED: 0, Origin.ZERO: 1}
"""Random streams of the states of a circuit; that of its gradients is the next number."""
VALUES_FILE = Path(__file__).parent / "values.parquet"
"""Values of all effective circuits."""


def trained_circuits() -> tuple[Circuit, ...]:
    """Return the effective circuits of the paper's space, in the order of the genes."""
    # A set removes the repetitions, and its order differs between processes.
    trained = set(effective_circuits(all_circuits()).values())
    return tuple(circuit for circuit in all_circuits() if circuit in trained)


def proxy_values(circuit: Circuit, *, pairs: int = PAIRS, draws: int = GRADIENT_DRAWS) -> dict[str, float]:
    """Return the values of all proxies of a circuit; they depend on the circuit and the numbers of samples alone."""
    # From |0…0⟩ the embedding is not applied, so that one computation serves the circuits that differ in it alone.
    starts = {Origin.EMBEDDED: circuit, Origin.ZERO: replace(circuit, embedding=Embedding.ANGLE)}
    values: dict[str, float] = {}
    for origin, start in starts.items():
        values |= {f"{name}_{origin}": value for name, value in _state_values(start, origin, pairs).items()}
    generator = _generator(circuit, len(STREAMS))
    return values | {"gradient_variance": gradient_variance(circuit, draws, generator)}


@cache
def _state_values(circuit: Circuit, origin: Origin, pairs: int) -> dict[str, float]:
    """Return the values that depend on the states of a circuit."""
    fidelities = []
    entanglement = 0.0
    for re, im in sample_states(circuit, origin, 2 * pairs, _generator(circuit, STREAMS[origin])):
        fidelities.append(pair_fidelities(re, im))
        entanglement += float(meyer_wallach(re, im).sum(dtype=np.float64))
    distribution = np.concatenate(fidelities).astype(np.float64)
    return {
        "expressibility": divergence(distribution, 1 << circuit.n_qubits),
        "quantile_expressibility": quantile_divergence(distribution, 1 << circuit.n_qubits),
        "entanglement": entanglement / (2 * pairs),
    }


def _generator(circuit: Circuit, stream: int) -> np.random.Generator:
    """Return the random generator of a stream of a circuit."""
    # The digest is the same in every process, which Python's hash is not.
    return np.random.default_rng([int(circuit.digest, 16), stream])


def compute(circuits: Sequence[Circuit], on_done: Callable[[int], None]) -> dict[str, list[Any]]:
    """Return the digests of circuits and the values of all proxies as columns.

    Args:
        on_done: Called with the number of circuits that are done.
    """
    # One circuit after the other: the large ones already fill a core's cache.
    rows = []
    for number, circuit in enumerate(circuits, start=1):
        rows.append({"circuit": circuit.digest} | proxy_values(circuit))
        on_done(number)
    return {name: [row[name] for row in rows] for name in rows[0]}


def write_values(columns: dict[str, list[Any]], file: Path) -> None:
    """Write the columns to a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Single precision is more than the sampling error needs, and halves the file.
    arrays = {name: pa.array(column, pa.string() if name == "circuit" else pa.float32()) for name, column in columns.items()}
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays), buffer, compression="zstd", compression_level=19)
    write_atomically(file, buffer.getvalue())


def read_values(file: Path = VALUES_FILE) -> tuple[tuple[str, ...], dict[str, NDArray[np.float64]]]:
    """Return the digests (circuits,) of a file and its other columns, (circuits,) each."""
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    columns = {name: table[name].to_numpy().astype(np.float64) for name in table.column_names if name != "circuit"}
    return tuple(table["circuit"].to_pylist()), columns
