"""Options for the protocol of `start` and `race`, and for the search space and the limits, which `enumerate` has too."""

from collections.abc import Callable

import click

from faqnas_optuna.circuits.genome import EVERY_GENE
from faqnas_optuna.cli.options import Command, option, setting_option, together
from faqnas_optuna.cli.ranges import FloatRange, IntRange, ListOf
from faqnas_optuna.config import StudyConfig, TrainingConfig

QUBITS = IntRange(int(EVERY_GENE["n_qubits"][0]), int(EVERY_GENE["n_qubits"][-1]))
DEPTHS = IntRange(int(EVERY_GENE["depth"][0]), int(EVERY_GENE["depth"][-1]))


def _names_option(name: str, plural: str, *, gene: str) -> Callable[[Command], Command]:
    """Return an option for several values of a gene, in any case: users write cnot for CNOT and rx for RX."""
    names = [str(value) for value in EVERY_GENE[gene]]
    kind = ListOf(click.Choice(names, case_sensitive=False))
    return option(name, type=kind, metavar="LIST", help=f"{plural}: {', '.join(names)}.")


space_options = together(
    option("--qubits", "n_qubits", type=ListOf(QUBITS), metavar="LIST", help="Numbers of qubits, as in 2-4,6."),
    option("--max-qubits", type=QUBITS, help="Maximum number of qubits."),
    _names_option("--embedding", "Embeddings", gene="embedding"),
    _names_option("--entangler", "Entanglers", gene="entangler"),
    _names_option("--topology", "Topologies", gene="topology"),
    option("--depth", type=ListOf(DEPTHS), metavar="LIST", help="Numbers of layers, as in 1-2."),
    _names_option("--rotation", "Rotations", gene="rotation_1"),
    option("--reuploading", type=ListOf(click.BOOL), metavar="LIST", help="Data re-uploading: false, true, or both."),
    option("--max-flops", type=IntRange(min=1), help="Train no circuit with more quantum FLOPs."),
    option("--max-parameters", type=IntRange(min=1), help="Train no circuit whose network has more parameters."),
)
"""Options that narrow or widen the space, and those that limit its circuits."""
# Not for `enumerate`, whose only cost is quantum FLOPs, and which has another default of the epochs.
protocol_options = together(
    setting_option("--epochs", TrainingConfig, help="Passes over the training data."),
    setting_option("--lr", TrainingConfig, field="learning_rate", help="Learning rate of Adam."),
    setting_option("--batch-size", TrainingConfig, help="Samples per optimiser step."),
    option(
        "--cost",
        metavar="flops|hardware:DEVICE",
        help="Cost to minimise: quantum FLOPs, or −ln(success probability) on a device, a name or file.  [default: flops]",
    ),
    option("--max-cost", type=FloatRange(0, min_open=True), help="Train no circuit with a higher cost, as --cost defines it."),
    space_options,
    setting_option("--flops", StudyConfig, help="FLOPs counter of the cost."),
    setting_option("--gates", StudyConfig, help="Gates that the cost counts: all, or all but the inert ones."),
    setting_option("--score", StudyConfig, help="Score: accuracy, or balanced accuracy (mean recall)."),
    setting_option("--engine", StudyConfig, help="Simulator of the quantum layer."),
)
