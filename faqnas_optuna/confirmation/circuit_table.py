"""Table of confirmed circuits, with one list of columns for terminal, LaTeX and data frames."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.baselines import Model
from faqnas_optuna.reporting.columns import BY_NAME, Output, ResultColumn, columns_among
from faqnas_optuna.reporting.frames import data_frame, frame_cells
from faqnas_optuna.reporting.text_tables import TextTable

if TYPE_CHECKING:
    # Importing pandas takes a second, which opening a study should not cost.
    from pandas import DataFrame

Document = Mapping[str, Any]
CircuitColumn = ResultColumn[Document, Document]
"""A column for the circuits of a `confirmation_document`."""
# JSON documents contain the entries of circuits as they are.
EVERYWHERE = Output.TABLE | Output.LATEX | Output.FRAME
"""All outputs that are made from columns."""


def _column(name: str, key: str | None = None, *, outputs: Output = EVERYWHERE, **settings: Any) -> CircuitColumn:
    """Return a column for a value in the entries of circuits.

    Args:
        name: Name of the column in data frames.
        key: Key of the value; None if it equals `name`.
    """
    return CircuitColumn(name=name, outputs=outputs, read=lambda circuit, document: circuit[key or name], **settings)


def heading_of_test_score(score: Score) -> str:
    """Return the name of a score on the test part, for headings and axes."""
    return score.of(accuracy="test accuracy", balanced="balanced test accuracy")


def _test_columns(score: Score) -> tuple[CircuitColumn, ...]:
    """Return the columns for a score on the test part; tables contain the study's score alone."""

    def is_of_study(document: Document) -> bool:
        return bool(document["score"] == score)

    name = f"test_{score.key}"
    interval_latex = BY_NAME["val_accuracy_interval"].latex
    return (
        _column(name, heading=heading_of_test_score(score), is_in_tables=is_of_study),
        _column(f"{name}_std", outputs=Output.FRAME),
        _column(f"{name}_interval", heading="95 % CI", latex=interval_latex, is_in_tables=is_of_study),
    )


def _has_device(document: Document) -> bool:
    return any("neg_log_esp" in circuit for circuit in document["circuits"])


SCORES = (
    *_test_columns(Score.ACCURACY),
    *_test_columns(Score.BALANCED),
    CircuitColumn(
        name="search_estimate",
        heading="search estimate",
        outputs=EVERYWHERE,
        read=lambda circuit, document: circuit[f"val_{Score(document['score']).key}"],
    ),
    CircuitColumn(
        name="search_estimate_interval",
        outputs=Output.FRAME,
        read=lambda circuit, document: circuit[f"val_{Score(document['score']).key}_interval"],
    ),
    # LaTeX tables have columns for the differences to controls instead, and readers can subtract two columns.
    _column("optimism", heading="optimism", is_difference=True, outputs=Output.TABLE | Output.FRAME),
)
ESP_LATEX = BY_NAME["neg_log_esp"].latex
DEVICE = (_column("neg_log_esp", heading="−ln ESP", latex=ESP_LATEX, digits=4, is_there=_has_device),)
FLOPS = (_column("quantum_flops", heading="quantum FLOPs", latex=BY_NAME["quantum_flops"].latex, digits=0),)
NETWORK = (_column("effective_parameters", "parameters", heading="effective parameters", latex="Parameters", digits=0),)


CONTROLS = tuple(str(model) for model in Model if model is not Model.CIRCUIT)
"""Networks that a circuit is compared with."""
COMPARED = ("difference", "difference_interval", "p", "p_holm", "rank_biserial", "parameters")
"""Values of a control that data frames contain beside its test score."""


def table_columns(output: Output, document: Document) -> list[CircuitColumn]:
    """Return the columns of a confirmation's table, in the terminal or in LaTeX."""
    return columns_among((SCORES, DEVICE, FLOPS, NETWORK), output, document)


def circuits_table(document: Document) -> TextTable:
    """Return a table with one row per circuit of a `confirmation_document`."""
    columns = table_columns(Output.TABLE, document)
    table = TextTable(names=["trial"], numbers=[column.heading for column in columns], last="circuit")
    for circuit in document["circuits"]:
        cells = [column.text(column.read(circuit, document)) for column in columns]
        table.rows.append((str(circuit["trial"]), *cells, circuit["effective"]))
    return table


def confirmed_frame(document: Document) -> "DataFrame":
    """Return a data frame with one row per circuit of a `confirmation_document`, sorted by cost.

    The mean test score of each control is in a column named after the control, followed by the comparison of the circuit with
    it; both are NaN for a control that equals the circuit. The test score of each classical model, which is the same for all
    circuits, is in a column named after the model.
    """
    return data_frame(_frame_row(circuit, document) for circuit in document["circuits"])


def confirmed_csv(document: Document) -> str:
    """Return the rows of `confirmed_frame` as CSV."""
    text: str = confirmed_frame(document).to_csv(index=False)
    return text


def _frame_row(circuit: Document, document: Document) -> dict[str, Any]:
    columns = columns_among((FLOPS, DEVICE, SCORES, NETWORK), Output.FRAME, document)
    score = Score(document["score"])
    return {
        "trial": circuit["trial"],
        **frame_cells({column.name: column.read(circuit, document) for column in columns}),
        **_control_cells(circuit, document),
        **_baseline_cells(document, score),
        "circuit": circuit["effective"],
        "message": circuit["message"],
    }


def _control_cells(circuit: Document, document: Document) -> dict[str, float]:
    """Return the test score of each control, and the values of the paired comparison of the circuit with it."""
    key = f"test_{Score(document['score']).key}"
    controls = {control["model"]: control for control in circuit["controls"]}
    cells: dict[str, float] = {}
    # Also of controls that are not trained because they equal the circuit: programs rely on the columns.
    for model in CONTROLS:
        if model in document["baselines_chosen"]:
            control = controls.get(model, {})
            cells |= frame_cells({model: control.get(key), **{f"{model}_{name}": control.get(name) for name in COMPARED}})
    return cells


def _baseline_cells(document: Document, score: Score) -> dict[str, float]:
    """Return the test score and the parameters of each classical model."""
    cells: dict[str, float] = {}
    for baseline in document["baselines"]:
        # Hyphens would keep the column from being used as an attribute.
        name = baseline["baseline"].replace("-", "_")
        cells |= {name: baseline[f"test_{score.key}"], f"{name}_parameters": baseline["parameters"]}
    return cells
