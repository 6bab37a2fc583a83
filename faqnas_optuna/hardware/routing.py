"""Deterministic layout of the wires of a circuit on a device, and the SWAPs that bring wires together.

Two wires can only be entangled while they are on coupled qubits. If a layout exists that needs no SWAPs, it is used. Otherwise
SABRE's heuristic search (Li, Ding and Xie, arXiv 1809.02573) routes the circuit from several initial layouts, each forwards and
backwards. Among the SWAPs next to a blocked gate it picks the one that brings the blocked gates, and some gates after them,
closest to execution. The route with the fewest two-qubit gates wins.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import NamedTuple

from faqnas_optuna.hardware.graph import Pair, nearest_first, neighbours_of

# Circuits have at most 12 wires: 40 qubits leave room for detours and keep the search fast on large devices.
PATCH_SIZE = 40
"""Maximum number of qubits, around the centre of a device, that the search considers."""
TRIES = 6
"""Number of random initial layouts."""
PASSES = 3
"""Number of forward passes for each initial layout."""
LOOKAHEAD = 12
"""Number of gates after the blocked ones that count in the search."""
LOOKAHEAD_WEIGHT = 0.5
"""Weight of their mean distance, relative to the blocked gates."""
STANDALONE_SWAP_PENALTY = 0.3
"""Penalty of a SWAP that costs three gates, in units of distance, compared with a SWAP that costs one more gate."""
DECAY = 0.001
"""Relative penalty of a SWAP for each earlier SWAP of its qubits since the last gate."""
MAX_STEPS = 20_000
"""Maximum number of steps of the search for a layout without SWAPs."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Connected part of a device."""

    neighbours: tuple[tuple[int, ...], ...]
    distances: tuple[tuple[int, ...], ...]
    """Length of the shortest path between any two qubits; 1 between coupled qubits."""

    @property
    def size(self) -> int:
        return len(self.neighbours)


class RoutedOperation(NamedTuple):
    """Gate, SWAP, or gate followed by a SWAP, on two qubits."""

    gate: int | None
    """Index of the gate in the sequence; None for a SWAP alone."""
    qubits: Pair
    swapped: bool
    """True if the qubits exchange their states. This costs one more gate after a gate, and three gates alone."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """Execution of a sequence of two-qubit gates on a device."""

    layout: tuple[int, ...]
    """Initial qubit of each wire."""
    operations: tuple[RoutedOperation, ...]

    @property
    def two_qubit_gates(self) -> int:
        return sum(3 if operation.gate is None else 1 + operation.swapped for operation in self.operations)


@cache
def patch(pairs: tuple[Pair, ...]) -> Patch:
    """Return the qubits around the centre of a device, renumbered from 0.

    Args:
        pairs: Coupled pairs of the whole device.
    """
    whole = neighbours_of(pairs)
    qubits = [qubit for qubit, _ in islice(nearest_first(whole, _centre(whole)), PATCH_SIZE)]
    number = {qubit: place for place, qubit in enumerate(qubits)}
    neighbours = [sorted(number[other] for other in whole[qubit] if other in number) for qubit in qubits]
    distances = [dict(nearest_first(dict(enumerate(neighbours)), start)) for start in range(len(qubits))]
    return Patch(
        neighbours=tuple(map(tuple, neighbours)),
        distances=tuple(tuple(distance for _, distance in sorted(to.items())) for to in distances),
    )


@cache
def route(pairs: tuple[Pair, ...], n_wires: int, on: Patch) -> Route:
    """Return the cheapest route of the search for gates on these pairs of wires, in this order."""
    layout = _without_swaps(pairs, n_wires, on)
    if layout:
        qubit_pairs = ((layout[first], layout[second]) for first, second in pairs)
        operations = tuple(RoutedOperation(number, qubits, False) for number, qubits in enumerate(qubit_pairs))
        return Route(layout=layout, operations=operations)
    best: Route | None = None
    for layout in _layouts(n_wires, on):
        for _ in range(PASSES):
            candidate, end = _route_from(pairs, layout, on)
            if best is None or candidate.two_qubit_gates < best.two_qubit_gates:
                best = candidate
            # SABRE's reverse traversal: routing the reversed circuit from the final places leads to an initial layout that
            # suits the first gates.
            layout = _route_from(pairs[::-1], end, on)[1]
    assert best is not None
    return best


def _centre(neighbours: dict[int, list[int]]) -> int:
    """Return the qubit whose patch is the most compact; on a tie that with the most neighbours, then the smallest number."""

    def key(start: int) -> tuple[int, int, int]:
        distances = sum(distance for _, distance in islice(nearest_first(neighbours, start), PATCH_SIZE))
        return distances, -len(neighbours[start]), start

    return min(neighbours, key=key)


def _without_swaps(pairs: Sequence[Pair], n_wires: int, on: Patch) -> tuple[int, ...] | None:
    """Return a layout in which all pairs of wires are coupled; None if the backtracking search does not find one."""
    partners: list[set[int]] = [set() for _ in range(n_wires)]
    for first, second in pairs:
        partners[first].add(second)
        partners[second].add(first)
    order = _placement_order(partners)
    layout: dict[int, int] = {}
    steps = 0

    def place(position: int) -> bool:
        """Place the wires from this position of the order on; return whether that succeeds."""
        nonlocal steps
        if position == n_wires:
            return True
        # The search is exponential if there is no such layout.
        steps += 1
        if steps > MAX_STEPS:
            return False
        wire = order[position]
        occupied = [layout[other] for other in partners[wire] if other in layout]
        for qubit in on.neighbours[occupied[0]] if occupied else range(on.size):
            if qubit not in layout.values() and all(qubit in on.neighbours[other] for other in occupied):
                layout[wire] = qubit
                if place(position + 1):
                    return True
                del layout[wire]
        return False

    return tuple(layout[wire] for wire in range(n_wires)) if place(0) else None


def _placement_order(partners: Sequence[set[int]]) -> list[int]:
    """Return the wires in the order in which to place them: those with the most placed partners, then the most partners."""
    order: list[int] = []
    while len(order) < len(partners):
        remaining = [wire for wire in range(len(partners)) if wire not in order]
        order.append(max(remaining, key=lambda wire: (len(partners[wire] & {*order}), len(partners[wire]), -wire)))
    return order


def _layouts(n_wires: int, on: Patch) -> Iterator[tuple[int, ...]]:
    """Yield initial layouts: along the smallest ring that has room, along a row, along a folded row, and random ones."""
    ring = _ring(n_wires, on)
    if ring:
        yield ring[:n_wires]
    row = _without_swaps([*pairwise(range(n_wires))], n_wires, on)
    if row:
        yield row
        # Wires in the order 0, n-1, 1, n-2, …: neighbours in a circular topology are at most two qubits apart.
        yield tuple(row[2 * wire if 2 * wire < n_wires else 2 * (n_wires - 1 - wire) + 1] for wire in range(n_wires))
    # A fixed seed: the cost of a circuit must not depend on the worker that computes it.
    generator = random.Random(0)
    for _ in range(TRIES):
        qubits = list(range(n_wires))
        generator.shuffle(qubits)
        yield tuple(qubits)


@cache
def _ring(n_wires: int, on: Patch) -> tuple[int, ...] | None:
    """Return the smallest ring of qubits with room for `n_wires` wires; None if there is none."""
    # Heavy hexagons have rings of 12 qubits and of larger unions only, hence the search over up to 8 spare qubits.
    for length in range(n_wires, min(n_wires + 8, on.size) + 1):
        ring = _without_swaps([*pairwise(range(length)), (length - 1, 0)], length, on)
        if ring:
            return ring
    return None


def _route_from(pairs: Sequence[Pair], layout: tuple[int, ...], on: Patch) -> tuple[Route, tuple[int, ...]]:
    """Return SABRE's route from an initial layout, and the final qubit of each wire."""
    search = _SabreSearch(layout, on)
    remaining = deque(range(len(pairs)))
    while remaining:
        front, following = _front(pairs, remaining, len(layout))
        executable = [number for number in front if search.distance(pairs[number]) == 1]
        for number in executable:
            search.gate(number, pairs[number])
            remaining.remove(number)
        if not executable:
            search.swap(search.best_swap([pairs[number] for number in front], [pairs[number] for number in following]))
    return Route(layout=layout, operations=tuple(search.operations)), tuple(search.place)


class _SabreSearch:
    """Current places of the wires, and the operations of the route so far."""

    def __init__(self, layout: Sequence[int], on: Patch) -> None:
        self.place = list(layout)
        """Qubit of each wire."""
        self.operations: list[RoutedOperation] = []
        self._on = on
        self._last: dict[int, int] = {}
        """Index of the last operation on each qubit."""
        self._decays = [1.0] * on.size
        self._idle = 0
        """Number of SWAPs since the last gate."""

    def distance(self, pair: Pair) -> int:
        """Return the distance between the qubits of two wires."""
        return self._on.distances[self.place[pair[0]]][self.place[pair[1]]]

    def gate(self, number: int, pair: Pair) -> None:
        """Execute a gate."""
        qubits = (self.place[pair[0]], self.place[pair[1]])
        self._last |= dict.fromkeys(qubits, len(self.operations))
        self.operations.append(RoutedOperation(number, qubits, False))
        self._decays = [1.0] * self._on.size
        self._idle = 0

    def swap(self, qubits: Pair) -> None:
        """Execute a SWAP, as part of the previous gate if that acts on the same qubits."""
        gate = self._mergeable_gate(qubits)
        if gate is not None:
            self.operations[gate] = self.operations[gate]._replace(swapped=True)
        else:
            self._last |= dict.fromkeys(qubits, len(self.operations))
            self.operations.append(RoutedOperation(None, qubits, True))
        self.place = [_exchanged(qubit, qubits) for qubit in self.place]
        for qubit in qubits:
            self._decays[qubit] += DECAY
        self._idle += 1

    def best_swap(self, front: Sequence[Pair], following: Sequence[Pair]) -> Pair:
        """Return the SWAP next to a gate of the front that brings the gates closest together."""
        # SABRE can go in circles. After many SWAPs without a gate, move the first gate together along a shortest path.
        if self._idle > 4 * self._on.size:
            return self._towards(*(self.place[wire] for wire in front[0]))
        front_qubits = {self.place[wire] for pair in front for wire in pair}
        candidates = {(min(qubit, other), max(qubit, other)) for qubit in front_qubits for other in self._on.neighbours[qubit]}

        def cost(qubits: Pair) -> tuple[float, Pair]:
            """Return SABRE's cost of a SWAP. The qubits break ties, so that the order of the set does not matter."""
            place = [_exchanged(qubit, qubits) for qubit in self.place]
            distances = self._on.distances
            blocked = sum([distances[place[first]][place[second]] for first, second in front]) / len(front)
            later = sum([distances[place[first]][place[second]] for first, second in following]) / max(len(following), 1)
            penalty = 0.0 if self._mergeable_gate(qubits) is not None else STANDALONE_SWAP_PENALTY
            return max(self._decays[qubit] for qubit in qubits) * (blocked + LOOKAHEAD_WEIGHT * later + penalty), qubits

        return min(map(cost, candidates))[1]

    def _mergeable_gate(self, qubits: Pair) -> int | None:
        """Return the index of the last operation on both qubits if a SWAP can be merged into it, else None."""
        last = self._last.get(qubits[0])
        if last is None or last != self._last.get(qubits[1]) or self.operations[last].swapped:
            return None
        return last

    def _towards(self, first: int, second: int) -> Pair:
        """Return the SWAP that moves the state of the first qubit one step closer to the second."""
        step = min(self._on.neighbours[first], key=lambda qubit: self._on.distances[qubit][second])
        return min(first, step), max(first, step)


def _front(pairs: Sequence[Pair], remaining: Iterable[int], n_wires: int) -> tuple[list[int], list[int]]:
    """Return the gates that no earlier remaining gate blocks, and up to `LOOKAHEAD` of the gates after them."""
    used_wires: set[int] = set()
    front: list[int] = []
    following: list[int] = []
    for number in remaining:
        if used_wires.isdisjoint(pairs[number]):
            front.append(number)
        elif len(following) < LOOKAHEAD:
            following.append(number)
        used_wires.update(pairs[number])
        # Once every wire is used, no later gate can belong to the front.
        if len(used_wires) == n_wires and len(following) >= LOOKAHEAD:
            break
    return front, following


def _exchanged(qubit: int, qubits: Pair) -> int:
    if qubit == qubits[0]:
        return qubits[1]
    return qubits[0] if qubit == qubits[1] else qubit
