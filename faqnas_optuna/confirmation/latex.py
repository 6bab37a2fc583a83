"""LaTeX table of a confirmation, for papers."""

from collections.abc import Iterable, Mapping
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import CONTROL_NAMES, SIGNIFICANT, is_significant
from faqnas_optuna.confirmation.circuit_table import CircuitColumn, table_columns
from faqnas_optuna.reporting.columns import Output
from faqnas_optuna.reporting.latex import Latex, cell_of, escaped, grouped, majority_remark, table


def confirmation_table(document: Mapping[str, Any]) -> str:
    """Return a table with one row per circuit: its scores, its costs, and its differences to the controls.

    Args:
        document: A `confirmation_document`.
    """
    columns = table_columns(Output.LATEX, document)
    headings = [Latex(column.latex or column.heading.capitalize()) for column in columns]
    differences = [Latex(rf"$\Delta$ {model}") for model in CONTROL_NAMES]
    return table(
        [Latex("Trial"), *headings, *differences, Latex("Circuit")],
        [_row(circuit, columns, document) for circuit in document["circuits"]],
        caption=_caption(document, Score(document["score"])),
        label=f"confirmed-{document['confirms']}",
        origin={"study": document["study"], **document["provenance"]},
    )


def _row(circuit: Mapping[str, Any], columns: Iterable[CircuitColumn], document: Mapping[str, Any]) -> list[Latex]:
    controls = {control["model"]: control for control in circuit["controls"]}
    return [
        Latex(str(circuit["trial"])),
        *(cell_of(column, column.read(circuit, document)) for column in columns),
        # A circuit that equals one of its controls has no difference to it.
        *(_difference(controls.get(model)) for model in CONTROL_NAMES),
        escaped(circuit["effective"]),
    ]


def _difference(control: Mapping[str, Any] | None) -> Latex:
    """Return the mean difference to a control, with a star if it is significant; a dash if there is none."""
    if control is None or control["difference"] is None:
        return Latex("--")
    # In mathematical mode the sign is a minus, not a hyphen.
    star = r"^{*}" if is_significant(control) else ""
    return Latex(f"${control['difference']:+z.3f}{star}$")


def _caption(document: Mapping[str, Any], score: Score) -> Latex:
    """Return sentences that explain the columns."""
    majority = majority_remark(document["majority_score"])
    return Latex(
        f"Circuits of study {escaped(document['confirms'])}, retrained for {grouped(document['epochs'])} epochs from"
        f" {_seeds(document)} seeds: mean {score.of(accuracy='', balanced='balanced ')}accuracy on"
        f" {grouped(document['test_samples'])} test samples of {escaped(document['dataset'])} with its $t$ interval, and the"
        f" validation accuracy estimated by the search after {grouped(document['search_epochs'])} epochs.{majority}"
        " $\\Delta$: mean paired difference to a control, which is the network without a circuit (linear), the embedding alone,"
        " the circuit without entanglers (separable), or a classical network of at most the same size (mlp)."
        rf" Star: $p < {SIGNIFICANT}$ in an exact Wilcoxon signed-rank test with Holm's correction over the circuits."
    )


def _seeds(document: Mapping[str, Any]) -> str:
    """Return the number of seeds per circuit; a range if the confirmation is unfinished."""
    counts = {len(circuit["test_accuracies"]) for circuit in document["circuits"]}
    least = min(counts)
    most = max(counts)
    return str(most) if least == most else f"{least} to {most}"
