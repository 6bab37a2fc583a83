"""A confirmation as a table for papers, in LaTeX."""

from collections.abc import Iterable, Mapping
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import AGAINST, SIGNIFICANT, is_shown
from faqnas_optuna.confirmation.circuit_table import CircuitColumn, table_columns
from faqnas_optuna.reporting.columns import Output
from faqnas_optuna.reporting.latex import Latex, cell_of, escaped, grouped, majority_remark, table


def confirmation_table(document: Mapping[str, Any]) -> str:
    """What a confirmation has shown, a row a circuit.

    Args:
        document: a `confirmation_document`.
    """
    shown = table_columns(Output.LATEX, document)
    differences = [Latex(rf"$\Delta$ {model}") for model in AGAINST]
    return table(
        [
            Latex("Trial"),
            *(Latex(column.latex or column.heading.capitalize()) for column in shown),
            *differences,
            Latex("Circuit"),
        ],
        [_row(circuit, shown, document) for circuit in document["circuits"]],
        caption=_caption(document, Score(document["score"])),
        label=f"confirmed-{document['confirms']}",
        origin={"study": document["study"], **document["provenance"]},
    )


def _row(circuit: Mapping[str, Any], shown: Iterable[CircuitColumn], document: Mapping[str, Any]) -> list[Latex]:
    controls = {control["model"]: control for control in circuit["controls"]}
    return [
        Latex(str(circuit["trial"])),
        *(cell_of(column, column.read(circuit, document)) for column in shown),
        *(_difference(controls.get(model)) for model in AGAINST),
        escaped(circuit["effective"]),
    ]


def _difference(control: Mapping[str, Any] | None) -> Latex:
    """What the circuit adds over a control, with a star where that is significant."""
    if control is None or control["difference"] is None:
        return Latex("--")
    star = r"^{*}" if is_shown(control) else ""
    return Latex(f"${control['difference']:+z.3f}{star}$")


def _caption(document: Mapping[str, Any], score: Score) -> Latex:
    """What the columns are, in sentences."""
    majority = majority_remark(document["majority_score"])
    return Latex(
        f"Circuits of study {escaped(document['confirms'])}, trained anew for {grouped(document['epochs'])} epochs from"
        f" {_seeds(document)} seeds and judged on {grouped(document['test_samples'])} test samples of"
        f" {escaped(document['dataset'])}: mean and its $t$ interval, and the"
        f" {score.of(accuracy='', balanced='balanced ')}validation accuracy that the search believed after"
        f" {grouped(document['search_epochs'])} epochs.{majority} $\\Delta$ is the mean paired difference to a control: no"
        " circuit (linear), the embedding alone, the circuit without entanglers (separable), a classical network of as many"
        " parameters (mlp)."
        rf" A star: exact Wilcoxon signed-rank test, $p < {SIGNIFICANT}$ with Holm's correction over the circuits."
    )


def _seeds(document: Mapping[str, Any]) -> str:
    """From how many each circuit was trained so far."""
    counts = {len(circuit["test_accuracies"]) for circuit in document["circuits"]}
    least, most = min(counts), max(counts)
    return str(most) if least == most else f"{least} to {most}"
