"""LaTeX table of a confirmation, for papers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import CONTROL_NAMES, SIGNIFICANT, is_significant
from faqnas_optuna.confirmation.baselines import Baseline, Model
from faqnas_optuna.confirmation.circuit_table import CircuitColumn, table_columns
from faqnas_optuna.reporting.columns import Output
from faqnas_optuna.reporting.latex import Latex, cell_of, escaped, grouped, majority_remark, table

BASELINE_NAMES = {
    Baseline.LOGISTIC: "logistic regression",
    Baseline.SVM: "support vector machine",
    Baseline.SVM_GRID: "support vector machine, tuned",
}
"""Names of the classical models in the column of circuits."""


def confirmation_table(document: Mapping[str, Any]) -> str:
    """Return a table with one row per circuit: its scores, its costs, and its differences to the controls.

    The classical models follow, a row for each.

    Args:
        document: A `confirmation_document`.
    """
    columns = table_columns(Output.LATEX, document)
    headings = [Latex(column.latex or column.heading.capitalize()) for column in columns]
    # Controls that were not chosen have no column.
    models = [
        model
        for model in CONTROL_NAMES
        if any(control["model"] == model for circuit in document["circuits"] for control in circuit["controls"])
    ]
    differences = [Latex(rf"$\Delta$ {model}") for model in models]
    rows = [_row(circuit, columns, models, document) for circuit in document["circuits"]]
    return table(
        [Latex("Trial"), *headings, *differences, Latex("Circuit")],
        [*rows, *(_baseline_row(baseline, columns, models) for baseline in document["baselines"])],
        caption=_caption(document, Score(document["score"]), models),
        label=f"confirmed-{document['confirms']}",
        origin={"study": document["study"], **document["provenance"]},
    )


def _row(
    circuit: Mapping[str, Any], columns: Iterable[CircuitColumn], models: Iterable[Model], document: Mapping[str, Any]
) -> list[Latex]:
    controls = {control["model"]: control for control in circuit["controls"]}
    return [
        Latex(str(circuit["trial"])),
        *(cell_of(column, column.read(circuit, document)) for column in columns),
        # A circuit that equals one of its controls has no difference to it.
        *(_difference(controls.get(model)) for model in models),
        escaped(circuit["effective"]),
    ]


def _baseline_row(baseline: Mapping[str, Any], columns: Iterable[CircuitColumn], models: Iterable[Model]) -> list[Latex]:
    """Return the row of a classical model, which has scores and parameters alone."""
    # The columns of both tests scores are named like the values; only parameters are not.
    values = {**baseline, "effective_parameters": baseline["parameters"]}
    return [
        Latex("--"),
        *(cell_of(column, values.get(column.name)) for column in columns),
        *(Latex("--") for _ in models),
        escaped(BASELINE_NAMES[Baseline(baseline["baseline"])]),
    ]


def _difference(control: Mapping[str, Any] | None) -> Latex:
    """Return the mean difference to a control, with a star if it is significant; a dash if there is none."""
    if control is None or control["difference"] is None:
        return Latex("--")
    # In mathematical mode the sign is a minus, not a hyphen.
    star = r"^{*}" if is_significant(control) else ""
    return Latex(f"${control['difference']:+z.3f}{star}$")


def _caption(document: Mapping[str, Any], score: Score, models: Sequence[Model]) -> Latex:
    """Return sentences that explain the columns and the rows without a trial."""
    majority = majority_remark(document["majority_score"])
    explained = ""
    if models:
        *others, last = [f"{CONTROL_NAMES[model]} ({model})" for model in models]
        controls = f"{', '.join(others)}, or {last}" if others else last
        explained = (
            f" $\\Delta$: mean paired difference to a control, which is {controls}. Star: $p < {SIGNIFICANT}$ in an exact"
            " Wilcoxon signed-rank test with Holm's correction over the circuits."
        )
    if document["baselines"]:
        explained += " The rows without a trial are classical models, which are fitted once."
    return Latex(
        f"Circuits of study {escaped(document['confirms'])}, retrained for {grouped(document['epochs'])} epochs from"
        f" {_seeds(document)} seeds: mean {score.of(accuracy='', balanced='balanced ')}accuracy on"
        f" {grouped(document['test_samples'])} test samples of {escaped(document['dataset'])} with its $t$ interval, and the"
        f" validation accuracy estimated by the search after {grouped(document['search_epochs'])} epochs.{majority}{explained}"
    )


def _seeds(document: Mapping[str, Any]) -> str:
    """Return the number of seeds per circuit; a range if the confirmation is unfinished."""
    counts = {len(circuit["test_accuracies"]) for circuit in document["circuits"]}
    least = min(counts)
    most = max(counts)
    return str(most) if least == most else f"{least} to {most}"
