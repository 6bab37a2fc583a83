"""Options for the search space and the limits of `start`, `race` and `enumerate`."""

import click

from faqnas_optuna.circuits.genome import EVERY_GENE
from faqnas_optuna.cli.options import Command, option
from faqnas_optuna.cli.ranges import FloatRange, IntRange, ListOf

_QUBITS = EVERY_GENE["n_qubits"]
_DEPTHS = EVERY_GENE["depth"]


def space_options(command: Command) -> Command:
    """Add the options that narrow or widen the space, and those that limit its circuits."""
    options = (
        option("--qubits", "n_qubits", type=_numbers(_QUBITS), metavar="LIST", help="Numbers of qubits, as in 2-4,6."),
        option("--max-qubits", type=IntRange(int(_QUBITS[0]), int(_QUBITS[-1])), help="Maximum number of qubits."),
        option("--embedding", type=_names("embedding"), metavar="LIST", help=f"Embeddings: {_listed('embedding')}."),
        option("--entangler", type=_names("entangler"), metavar="LIST", help=f"Entanglers: {_listed('entangler')}."),
        option("--topology", type=_names("topology"), metavar="LIST", help=f"Topologies: {_listed('topology')}."),
        option("--depth", type=_numbers(_DEPTHS), metavar="LIST", help="Numbers of layers, as in 1-2."),
        option("--rotation", type=_names("rotation_1"), metavar="LIST", help=f"Rotations: {_listed('rotation_1')}."),
        option("--reuploading", type=ListOf(click.BOOL), metavar="LIST", help="Data re-uploading: false, true, or both."),
        option("--max-flops", type=IntRange(min=1), help="Train no circuit with more quantum FLOPs."),
        option("--max-parameters", type=IntRange(min=1), help="Train no circuit whose network has more parameters."),
    )
    # Decorators apply from the bottom up, and the last one applied is listed first.
    for decorate in reversed(options):
        command = decorate(command)
    return command


# Not for `enumerate`, whose only cost is quantum FLOPs.
max_cost_option = option(
    "--max-cost", type=FloatRange(0, min_open=True), help="Train no circuit with a higher cost, as --cost defines it."
)


def _numbers(choices: tuple[int | str, ...]) -> ListOf:
    return ListOf(IntRange(int(choices[0]), int(choices[-1])))


def _names(gene: str) -> ListOf:
    # Users write cnot for CNOT and rx for RX.
    return ListOf(click.Choice([str(value) for value in EVERY_GENE[gene]], case_sensitive=False))


def _listed(gene: str) -> str:
    return ", ".join(str(value) for value in EVERY_GENE[gene])
