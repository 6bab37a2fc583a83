"""Range of the costs of a search space, which determines the reference boxes of hypervolumes, and its cheapest circuits, which
decide whether any circuit is within the limits of a study."""

import math
from collections.abc import Iterator
from itertools import product

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.flops import analytic_flops, profiler_flops
from faqnas_optuna.circuits.genome import Circuit, can_reupload
from faqnas_optuna.config import CountedGates, FlopsCounter, StudyConfig
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.hardware.cost import hardware_cost
from faqnas_optuna.training.limits import LIMITED, Limits


def cost_range(config: StudyConfig) -> tuple[float, float]:
    """Return the minimum and maximum of the study's first objective over all circuits of its space.

    A limit of this objective replaces a higher maximum.

    Only a few circuits need to be counted. In quantum FLOPs, whether of all gates or of effective gates only, a circuit costs
    at least as much as the same circuit with fewer qubits or without its last layers. It costs at most as much as the same
    circuit with its first rotation repeated in additional layers at the beginning. So the cheapest circuit is among the
    smallest ones and the most expensive among the largest ones.
    """
    space = config.space
    if config.device:
        # On a device, a ring of qubits may hold a circle of more qubits at a lower cost, so all sizes are compiled. This takes
        # seconds. In a wider space it would take minutes, so only the two smallest and the two largest sizes are compiled.
        largest = {*product(space.n_qubits, space.depth)}
        if space.is_wider:
            largest = {*product(space.n_qubits[-2:], space.depth[-1:])}
    else:
        largest = {(max(space.n_qubits), max(space.depth))}
    sizes = {*_smallest_sizes(config), *largest}
    costs = [_cost(circuit, config) for size in sizes for circuit in _circuits(config, *size)]
    limits = [config.limits.max_cost, None if config.device else config.limits.max_flops]
    return min(costs), min([max(costs), *(limit for limit in limits if limit is not None)])


def check_limits(limits: Limits) -> None:
    """Refuse limits that exclude all circuits of the space.

    The circuits that may be the cheapest decide: a circuit with fewer qubits or layers has at most as many parameters, too.

    Raises:
        ConfigError: No circuit is within the limits; the message has the lowest value of each limited cost.
    """
    config = limits.config
    maximums = config.limits.by_name
    if not maximums:
        return
    circuits = [circuit for size in _smallest_sizes(config) for circuit in _circuits(config, *size)]
    # Most often the first circuit is within the limits.
    if any(map(limits.allow, circuits)):
        return
    lowest = {name: min(LIMITED[name](limits.costs(circuit), config) for circuit in circuits) for name in maximums}
    too_low = [f"{name} must be at least {_rounded_up(value)}" for name, value in lowest.items() if value > maximums[name]]
    remedy = "; ".join(too_low) or f"raise {' or '.join(maximums)}"
    raise ConfigError(f"no circuit of the space is within the limits, {config.limits}: {remedy}")


def _rounded_up(cost: float) -> str:
    # Rounding down would name a limit that the cheapest circuit exceeds.
    return f"{math.ceil(cost * 10_000) / 10_000:.10g}"


def _smallest_sizes(config: StudyConfig) -> list[tuple[int, int]]:
    """Return the numbers of qubits and layers that the cheapest circuit may have."""
    space = config.space
    if not config.device:
        return [(min(space.n_qubits), min(space.depth))]
    n_smallest = 2 if space.is_wider else None
    return [*product(space.n_qubits[:n_smallest], space.depth[:n_smallest])]


def _circuits(config: StudyConfig, n_qubits: int, depth: int) -> Iterator[Circuit]:
    """Yield circuits of one size, among them the cheapest and the most expensive."""
    space = config.space
    # The FLOPs of a layer depend on whether it is the first one that makes the state complex, and whether it follows the last
    # one that mixes amplitudes. Layers between the first and the last can therefore share one rotation.
    layers_of = {(first, *[middle] * (depth - 2), last)[-depth:] for first, middle, last in product(space.rotation, repeat=3)}
    if config.device and not space.is_wider:
        # On a device, gates of neighbouring layers merge or cancel, depending on the rotations between them.
        layers_of = {*product(space.rotation, repeat=depth)}
    elif config.device and depth == max(space.depth):
        # The deepest circuits of a wider space take longest to compile.
        layers_of = {(rotation,) * depth for rotation in space.rotation}
    choices = product(space.embedding, space.entangler, space.topology, layers_of, space.reuploading)
    for embedding, entangler, topology, rotations, reuploading in choices:
        yield Circuit(
            n_qubits=n_qubits,
            embedding=embedding,
            entangler=entangler,
            topology=topology,
            rotations=rotations,
            reuploading=reuploading and can_reupload(embedding, depth),
        )


def _cost(circuit: Circuit, config: StudyConfig) -> float:
    """Return the study's first objective."""
    if config.device:
        return hardware_cost(circuit, config.device).neg_log_esp
    count = analytic_flops if config.flops is FlopsCounter.ANALYTIC else profiler_flops
    return count(circuit, EffectiveGates(circuit=circuit).layers if config.gates is CountedGates.EFFECTIVE else None)
