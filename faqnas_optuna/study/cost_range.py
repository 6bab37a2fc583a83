"""The range of costs of a search space, from which the boxes of hypervolumes follow."""

from collections.abc import Iterator
from itertools import product

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.flops import analytic_flops, profiler_flops
from faqnas_optuna.circuits.genome import Circuit, can_reupload
from faqnas_optuna.config import CountedGates, FlopsCounter, StudyConfig
from faqnas_optuna.hardware.cost import hardware_cost


def cost_range(config: StudyConfig) -> tuple[float, float]:
    """What the cheapest and the dearest circuit of the space cost, by the study's first objective.

    By either count of FLOPs, of all gates or of the live ones, a circuit costs no less than the same with fewer qubits, nor
    than the same without its last layers; and no more than the same with its first rotation repeated in further layers before
    it. So the cheapest is among the smallest circuits, and the dearest among the largest. What a layer costs depends on whether
    it is the first to make the state complex, or behind the last that mixes: between first and last layer one rotation is
    repeated.
    """
    space = config.space
    if config.device:
        # A ring of a device may hold a circle of more qubits for less. All are looked at, in seconds; of a wider space, whose
        # circuits take minutes, the two smallest sizes and the largest with the next, which leaves as much room at the ends.
        sizes = {*product(space.n_qubits, space.depth)}
        if space.is_wider:
            smallest_ones = product(space.n_qubits[:2], space.depth[:2])
            sizes = {*smallest_ones, *product(space.n_qubits[-2:], space.depth[-1:])}
        costs = [cost for n_qubits, depth in sizes for cost in _counts(config, n_qubits=n_qubits, depth=depth)]
        return min(costs), max(costs)
    smallest = _counts(config, n_qubits=min(space.n_qubits), depth=min(space.depth))
    largest = _counts(config, n_qubits=max(space.n_qubits), depth=max(space.depth))
    return min(smallest), max(largest)


def _counts(config: StudyConfig, *, n_qubits: int, depth: int) -> Iterator[float]:
    """What each circuit of this size costs."""
    space, count = config.space, analytic_flops if config.flops is FlopsCounter.ANALYTIC else profiler_flops
    layers_of = {(first, *[middle] * (depth - 2), last)[-depth:] for first, middle, last in product(space.rotation, repeat=3)}
    if config.device and not space.is_wider:
        # Gates of neighbouring layers merge, or undo each other, by which rotations they have between them.
        layers_of = {*product(space.rotation, repeat=depth)}
    elif config.device and depth == max(space.depth):
        layers_of = {(rotation,) * depth for rotation in space.rotation}
    kinds = product(space.embedding, space.entangler, space.topology, layers_of, space.reuploading)
    for embedding, entangler, topology, rotations, reuploading in kinds:
        circuit = Circuit(
            n_qubits=n_qubits,
            embedding=embedding,
            entangler=entangler,
            topology=topology,
            rotations=rotations,
            reuploading=reuploading and can_reupload(embedding, depth),
        )
        if config.device:
            yield hardware_cost(circuit, config.device).neg_log_esp
            continue
        layers = EffectiveGates(circuit=circuit).layers if config.gates is CountedGates.EFFECTIVE else None
        yield count(circuit, layers)
