"""A confirmation as a table for papers, in LaTeX."""

from collections.abc import Mapping
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import AGAINST, SIGNIFICANT, is_shown
from faqnas_optuna.reporting.latex import (
    LOST,
    Alignment,
    Latex,
    LatexColumn,
    escaped,
    fraction,
    grouped,
    majority_remark,
    span,
    table,
)


def confirmation_table(document: Mapping[str, Any]) -> str:
    """What a confirmation has shown, a row a circuit.

    Args:
        document: a `confirmation_document`.
    """
    score = Score(document["score"])
    accuracy = score.of(accuracy="Test accuracy", balanced="Balanced test accuracy")
    lost = [LOST] if _is_on_device(document) else []
    headings = ("Trial", accuracy, r"95\,\% interval", "Believed", *lost, r"$F_\mathrm{Q}$", "Parameters")
    columns = [LatexColumn(heading=Latex(heading)) for heading in headings]
    columns += [LatexColumn(heading=Latex(rf"$\Delta$ {model}")) for model in AGAINST]
    columns.append(LatexColumn(heading=Latex("Circuit"), alignment=Alignment.TEXT))
    return table(
        columns,
        [_confirmed_row(circuit, score) for circuit in document["circuits"]],
        caption=_confirmed_caption(document, score),
        label=f"confirmed-{document['confirms']}",
        told={"study": document["study"], **document["provenance"]},
    )


def _confirmed_row(circuit: Mapping[str, Any], score: Score) -> list[Latex]:
    ends, controls = circuit[f"test_{score.key}_interval"], {control["model"]: control for control in circuit["controls"]}
    return [
        Latex(str(circuit["trial"])),
        fraction(circuit[f"test_{score.key}"]),
        span(*ends) if ends else Latex("--"),
        fraction(circuit[f"val_{score.key}"]),
        *([Latex(f"{circuit['neg_log_esp']:.4f}")] if "neg_log_esp" in circuit else []),
        grouped(circuit["quantum_flops"]),
        grouped(circuit["parameters"]),
        *(_difference(controls.get(model)) for model in AGAINST),
        escaped(circuit["effective"]),
    ]


def _is_on_device(document: Mapping[str, Any]) -> bool:
    """Whether a confirmation's search was by the success on a device."""
    return any("neg_log_esp" in circuit for circuit in document["circuits"])


def _difference(control: Mapping[str, Any] | None) -> Latex:
    """What the circuit adds over a control, with a star where that is significant."""
    if control is None or control["difference"] is None:
        return Latex("--")
    star = r"^{*}" if is_shown(control) else ""
    return Latex(f"${control['difference']:+z.3f}{star}$")


def _confirmed_caption(document: Mapping[str, Any], score: Score) -> Latex:
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
