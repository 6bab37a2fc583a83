"""Coupling graph of a device: neighbours and distances of its qubits."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

Pair = tuple[int, int]


def neighbours_of(pairs: Iterable[Pair]) -> dict[int, list[int]]:
    """Return for each qubit the qubits with which it shares a two-qubit gate, in ascending order.

    >>> neighbours_of([(0, 2), (0, 1)])
    {0: [1, 2], 2: [0], 1: [0]}
    """
    neighbours = defaultdict(list)
    for first, second in pairs:
        neighbours[first].append(second)
        neighbours[second].append(first)
    return {qubit: sorted(others) for qubit, others in neighbours.items()}


def nearest_first(neighbours: Mapping[int, Sequence[int]], start: int) -> Iterator[tuple[int, int]]:
    """Yield the qubits connected to `start` with their distances, in ascending order of distance, beginning with `start`."""
    # Breadth-first search.
    distances = {start: 0}
    queue = deque([start])
    while queue:
        qubit = queue.popleft()
        yield qubit, distances[qubit]
        for other in neighbours.get(qubit, ()):
            if other not in distances:
                distances[other] = distances[qubit] + 1
                queue.append(other)
