"""Range of the costs of a search space, which determines the reference boxes of hypervolumes."""

from collections.abc import Iterator
from itertools import product

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.flops import analytic_flops, profiler_flops
from faqnas_optuna.circuits.genome import Circuit, can_reupload
from faqnas_optuna.config import CountedGates, FlopsCounter, StudyConfig
from faqnas_optuna.hardware.cost import hardware_cost


def cost_range(config: StudyConfig) -> tuple[float, float]:
    """Return the minimum and maximum of the study's first objective over all circuits of its space.

    Only a few circuits need to be counted. In quantum FLOPs, whether of all gates or of effective gates only, a circuit costs
    at least as much as the same circuit with fewer qubits or without its last layers. It costs at most as much as the same
    circuit with its first rotation repeated in additional layers at the beginning. So the cheapest circuit is among the
    smallest ones and the most expensive among the largest ones.
    """
    space = config.space
    if config.device:
        # On a device, a ring of qubits may hold a circle of more qubits at a lower cost, so all sizes are compiled. This takes
        # seconds. In a wider space it would take minutes, so only the two smallest and the two largest sizes are compiled.
        sizes = {*product(space.n_qubits, space.depth)}
        if space.is_wider:
            smallest_sizes = product(space.n_qubits[:2], space.depth[:2])
            sizes = {*smallest_sizes, *product(space.n_qubits[-2:], space.depth[-1:])}
        costs = [cost for n_qubits, depth in sizes for cost in _costs(config, n_qubits=n_qubits, depth=depth)]
        return min(costs), max(costs)
    smallest = _costs(config, n_qubits=min(space.n_qubits), depth=min(space.depth))
    largest = _costs(config, n_qubits=max(space.n_qubits), depth=max(space.depth))
    return min(smallest), max(largest)


def _costs(config: StudyConfig, *, n_qubits: int, depth: int) -> Iterator[float]:
    """Yield the costs of circuits of one size, among them the cheapest and the most expensive."""
    space = config.space
    count = analytic_flops if config.flops is FlopsCounter.ANALYTIC else profiler_flops
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
