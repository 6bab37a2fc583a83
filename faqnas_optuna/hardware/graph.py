"""Graph of the qubits of a device: neighbours and distances."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

Pair = tuple[int, int]


def neighbours_of(pairs: Iterable[Pair]) -> dict[int, list[int]]:
    """Return for each qubit the qubits that it has a gate with, in ascending order."""
    neighbours = defaultdict(list)
    for first, second in pairs:
        neighbours[first].append(second)
        neighbours[second].append(first)
    return {qubit: sorted(others) for qubit, others in neighbours.items()}


def nearest_first(neighbours: Mapping[int, Sequence[int]], start: int) -> Iterator[tuple[int, int]]:
    """Yield the connected qubits with their distances from `start`, the nearest first: itself with 0."""
    distances = {start: 0}
    waiting = deque([start])
    while waiting:
        qubit = waiting.popleft()
        yield qubit, distances[qubit]
        for other in neighbours.get(qubit, ()):
            if other not in distances:
                distances[other] = distances[qubit] + 1
                waiting.append(other)
