"""Where the wires of a circuit lie on a device, and the SWAPs that bring them together: the same answer each time.

Two wires can only be entangled where their qubits have a gate. Where all pairs of a circuit can lie on such qubits, they do,
and nothing is swapped. Else several layouts are tried, each forwards and backwards, by SABRE's search (Li, Ding and Xie,
arXiv 1809.02573): of the SWAPs next to a gate that waits, the one after which the gates that wait, and those that follow them,
are nearest. The answer with the fewest two-qubit gates is taken.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import NamedTuple

from faqnas_optuna.hardware.graph import Pair, nearest_first, neighbours_of

PATCH = 40
"""So many qubits around the middle of a device are looked at."""
TRIES, PASSES = 6, 3
LOOKAHEAD, WEIGHT = 12, 0.5
"""How many gates beyond those that wait count in the search, and how much."""
STANDALONE_SWAP_PENALTY = 0.3
"""How much nearer the gates must come by a SWAP that costs three gates than by one that costs a single one more."""
DECAY = 0.001
"""How much less a SWAP of a qubit is liked for each since the last gate."""
STEPS = 20_000
"""Of the search for a layout without SWAPs."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A connected part of a device."""

    neighbours: tuple[tuple[int, ...], ...]
    distances: tuple[tuple[int, ...], ...]
    """Gates between two qubits, at least."""

    @property
    def size(self) -> int:
        return len(self.neighbours)


class RoutedOperation(NamedTuple):
    """What is done on two qubits."""

    gate: int | None
    """Its number in the sequence; None of a SWAP alone."""
    qubits: Pair
    swapped: bool
    """Whether they exchange their states. Behind a gate that costs one gate more, alone three."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """How a sequence of two-qubit gates is run on a device."""

    layout: tuple[int, ...]
    """The qubit of each wire in the beginning."""
    operations: tuple[RoutedOperation, ...]

    @property
    def two_qubit_gates(self) -> int:
        return sum(3 if operation.gate is None else 1 + operation.swapped for operation in self.operations)


@cache
def patch(pairs: tuple[Pair, ...]) -> Patch:
    """The middle of a device, numbered anew.

    Args:
        pairs: of the whole device.
    """
    whole = neighbours_of(pairs)
    chosen = [qubit for qubit, _ in islice(nearest_first(whole, _centre(whole)), PATCH)]
    number = {qubit: place for place, qubit in enumerate(chosen)}
    neighbours = [sorted(number[other] for other in whole[qubit] if other in number) for qubit in chosen]
    distances = [dict(nearest_first(dict(enumerate(neighbours)), start)) for start in range(len(chosen))]
    return Patch(
        neighbours=tuple(map(tuple, neighbours)),
        distances=tuple(tuple(distance for _, distance in sorted(to.items())) for to in distances),
    )


@cache
def route(pairs: tuple[Pair, ...], n_wires: int, on: Patch) -> Route:
    """The cheapest way found to run gates on these pairs of wires, in this order."""
    if layout := _without_swaps(pairs, n_wires, on):
        placed = ((layout[first], layout[second]) for first, second in pairs)
        operations = tuple(RoutedOperation(number, qubits, False) for number, qubits in enumerate(placed))
        return Route(layout=layout, operations=operations)
    best: Route | None = None
    for layout in _layouts(pairs, n_wires, on):
        for _ in range(PASSES):
            found, end = _swapped(pairs, layout, on)
            if best is None or found.two_qubit_gates < best.two_qubit_gates:
                best = found
            # From where the wires end, backwards, to where they had better begun.
            layout = _swapped(pairs[::-1], end, on)[1]
    assert best is not None
    return best


def _centre(neighbours: dict[int, list[int]]) -> int:
    """The qubit with the most others near it, of those the one with the most neighbours, then the smallest number."""

    def far(start: int) -> tuple[int, int, int]:
        distances = sum(distance for _, distance in islice(nearest_first(neighbours, start), PATCH))
        return distances, -len(neighbours[start]), start

    return min(neighbours, key=far)


def _without_swaps(pairs: Sequence[Pair], n_wires: int, on: Patch) -> tuple[int, ...] | None:
    """A layout with a gate wherever two wires are entangled; None if none was found."""
    joined: list[set[int]] = [set() for _ in range(n_wires)]
    for first, second in pairs:
        joined[first].add(second)
        joined[second].add(first)
    order = _in_order(joined)
    placed: dict[int, int] = {}
    steps = 0

    def place(position: int) -> bool:
        nonlocal steps
        if position == n_wires:
            return True
        steps += 1
        if steps > STEPS:
            return False
        wire = order[position]
        known = [placed[other] for other in joined[wire] if other in placed]
        for qubit in on.neighbours[known[0]] if known else range(on.size):
            if qubit not in placed.values() and all(qubit in on.neighbours[other] for other in known):
                placed[wire] = qubit
                if place(position + 1):
                    return True
                del placed[wire]
        return False

    return tuple(placed[wire] for wire in range(n_wires)) if place(0) else None


def _in_order(joined: Sequence[set[int]]) -> list[int]:
    """Wires, each next to one before it where it can be; those with the most others first."""
    order: list[int] = []
    while len(order) < len(joined):
        left = [wire for wire in range(len(joined)) if wire not in order]
        order.append(max(left, key=lambda wire: (len(joined[wire] & {*order}), len(joined[wire]), -wire)))
    return order


def _layouts(pairs: Sequence[Pair], n_wires: int, on: Patch) -> Iterator[tuple[int, ...]]:
    """Where to begin: the wires in a row along the smallest ring that holds them, the row folded, and any nearby."""
    if ring := _ring(n_wires, on):
        yield ring[:n_wires]
    row = _without_swaps([*pairwise(range(n_wires))], n_wires, on)
    if row:
        yield row
        # 0, n-1, 1, n-2, …: what follows one another in a circle is at most two apart.
        yield tuple(row[2 * wire if 2 * wire < n_wires else 2 * (n_wires - 1 - wire) + 1] for wire in range(n_wires))
    shuffled = random.Random(0)
    for _ in range(TRIES):
        places = list(range(n_wires))
        shuffled.shuffle(places)
        yield tuple(places)


@cache
def _ring(n_wires: int, on: Patch) -> tuple[int, ...] | None:
    """The smallest ring that holds so many wires."""
    for length in range(n_wires, min(n_wires + 8, on.size) + 1):
        if ring := _without_swaps([*pairwise(range(length)), (length - 1, 0)], length, on):
            return ring
    return None


def _swapped(pairs: Sequence[Pair], layout: tuple[int, ...], on: Patch) -> tuple[Route, tuple[int, ...]]:
    """The gates with SWAPs from a layout on, and where the wires end."""
    state = _SabreSearch(layout, on)
    left = deque(range(len(pairs)))
    while left:
        front, following = _front(pairs, left, len(layout))
        ready = [number for number in front if state.distance(pairs[number]) == 1]
        for number in ready:
            state.gate(number, pairs[number])
            left.remove(number)
        if not ready:
            state.swap(state.best_swap([pairs[number] for number in front], [pairs[number] for number in following]))
    return Route(layout=layout, operations=tuple(state.operations)), tuple(state.place)


class _SabreSearch:
    """Places of the wires in the search, and the operations so far."""

    def __init__(self, layout: Sequence[int], on: Patch) -> None:
        self.place = list(layout)
        self.operations: list[RoutedOperation] = []
        self._on = on
        self._last: dict[int, int] = {}
        """The operation in which a qubit was last used."""
        self._decays = [1.0] * on.size
        self._idle = 0
        """SWAPs since the last gate."""

    def distance(self, pair: Pair) -> int:
        """Between two wires."""
        return self._on.distances[self.place[pair[0]]][self.place[pair[1]]]

    def gate(self, number: int, pair: Pair) -> None:
        qubits = (self.place[pair[0]], self.place[pair[1]])
        self._last |= dict.fromkeys(qubits, len(self.operations))
        self.operations.append(RoutedOperation(number, qubits, False))
        self._decays, self._idle = [1.0] * self._on.size, 0

    def swap(self, qubits: Pair) -> None:
        if (behind := self._mergeable(qubits)) is not None:
            self.operations[behind] = self.operations[behind]._replace(swapped=True)
        else:
            self._last |= dict.fromkeys(qubits, len(self.operations))
            self.operations.append(RoutedOperation(None, qubits, True))
        self.place = [_exchanged(qubit, qubits) for qubit in self.place]
        for qubit in qubits:
            self._decays[qubit] += DECAY
        self._idle += 1

    def best_swap(self, front: Sequence[Pair], following: Sequence[Pair]) -> Pair:
        """The SWAP next to a gate that waits after which all are nearest."""
        if self._idle > 4 * self._on.size:
            # It goes in circles: the first gate that waits is brought together by the shortest way.
            return self._towards(*(self.place[wire] for wire in front[0]))
        near = {self.place[wire] for pair in front for wire in pair}
        candidates = {(min(qubit, other), max(qubit, other)) for qubit in near for other in self._on.neighbours[qubit]}

        def cost(qubits: Pair) -> tuple[float, Pair]:
            place, distances = [_exchanged(qubit, qubits) for qubit in self.place], self._on.distances
            waiting = sum([distances[place[first]][place[second]] for first, second in front]) / len(front)
            later = sum([distances[place[first]][place[second]] for first, second in following]) / max(len(following), 1)
            alone = 0.0 if self._mergeable(qubits) is not None else STANDALONE_SWAP_PENALTY
            return max(self._decays[qubit] for qubit in qubits) * (waiting + WEIGHT * later + alone), qubits

        return min(map(cost, candidates))[1]

    def _mergeable(self, qubits: Pair) -> int | None:
        """The operation before a SWAP on both of its qubits, if that is a gate; None else."""
        last = self._last.get(qubits[0])
        if last is None or last != self._last.get(qubits[1]) or self.operations[last].swapped:
            return None
        return last

    def _towards(self, first: int, second: int) -> Pair:
        step = min(self._on.neighbours[first], key=lambda qubit: self._on.distances[qubit][second])
        return min(first, step), max(first, step)


def _front(pairs: Sequence[Pair], left: Iterable[int], n_wires: int) -> tuple[list[int], list[int]]:
    """The gates that nothing before them holds up, and some of those behind."""
    taken: set[int] = set()
    front: list[int] = []
    following: list[int] = []
    for number in left:
        if taken.isdisjoint(pairs[number]):
            front.append(number)
        elif len(following) < LOOKAHEAD:
            following.append(number)
        taken.update(pairs[number])
        if len(taken) == n_wires and len(following) >= LOOKAHEAD:
            break
    return front, following


def _exchanged(qubit: int, qubits: Pair) -> int:
    if qubit == qubits[0]:
        return qubits[1]
    return qubits[0] if qubit == qubits[1] else qubit
