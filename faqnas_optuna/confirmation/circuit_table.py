"""Confirmed circuits as a table: one list of columns for terminal, LaTeX and data frames."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import Score
from faqnas_optuna.reporting.columns import BY_NAME, Output, ResultColumn, Value, columns_among
from faqnas_optuna.reporting.frames import data_frame, frame_cells
from faqnas_optuna.reporting.text_tables import TextTable

if TYPE_CHECKING:
    # At run time it would take a second of whoever only opens a study.
    from pandas import DataFrame

Document = Mapping[str, Any]
CircuitColumn = ResultColumn[Document, Document]
"""A column whose rows are the circuits of a `confirmation_document`."""


TABLES = Output.TABLE | Output.LATEX


def _test_columns(score: Score) -> tuple[CircuitColumn, ...]:
    name = f"test_{score.key}"

    def is_of_study(document: Document) -> bool:
        return bool(document["score"] == score)

    def interval(circuit: Document, document: Document) -> Value:
        ends: list[float] | None = circuit[f"{name}_interval"]
        return None if ends is None else (ends[0], ends[1])

    return (
        CircuitColumn(
            name=name,
            heading=score.of(accuracy="test accuracy", balanced="balanced test accuracy"),
            outputs=TABLES | Output.FRAME,
            read=lambda circuit, document: circuit[name],
            is_in_tables=is_of_study,
        ),
        CircuitColumn(
            name=f"{name}_interval",
            heading="95 % interval",
            latex=BY_NAME["val_accuracy_interval"].latex,
            outputs=TABLES | Output.FRAME,
            read=interval,
            is_in_tables=is_of_study,
        ),
    )


SCORES = (
    *_test_columns(Score.ACCURACY),
    *_test_columns(Score.BALANCED),
    CircuitColumn(
        name="believed",
        heading="believed",
        outputs=TABLES | Output.FRAME,
        read=lambda circuit, document: circuit[f"val_{Score(document['score']).key}"],
    ),
    CircuitColumn(
        name="optimism",
        heading="optimism",
        is_difference=True,
        outputs=Output.TABLE | Output.FRAME,
        read=lambda circuit, document: circuit["optimism"],
    ),
)
DEVICE = (
    CircuitColumn(
        name="neg_log_esp",
        heading="−ln ESP",
        latex=BY_NAME["neg_log_esp"].latex,
        digits=4,
        outputs=TABLES | Output.FRAME,
        read=lambda circuit, document: circuit["neg_log_esp"],
        is_there=lambda document: any("neg_log_esp" in circuit for circuit in document["circuits"]),
    ),
)
FLOPS = (
    CircuitColumn(
        name="quantum_flops",
        heading="quantum FLOPs",
        latex=BY_NAME["quantum_flops"].latex,
        digits=0,
        outputs=TABLES | Output.FRAME,
        read=lambda circuit, document: circuit["quantum_flops"],
    ),
)
NETWORK = (
    CircuitColumn(
        name="live_parameters",
        heading="live parameters",
        latex="Parameters",
        digits=0,
        outputs=TABLES | Output.FRAME,
        read=lambda circuit, document: circuit["parameters"],
    ),
)


def table_columns(output: Output, document: Document) -> list[CircuitColumn]:
    """Return the columns of a table of a confirmation, in the terminal or in LaTeX."""
    return columns_among((SCORES, DEVICE, FLOPS, NETWORK), output, document)


def circuits_table(document: Document) -> TextTable:
    """Return a row for each circuit of a `confirmation_document`."""
    shown = table_columns(Output.TABLE, document)
    table = TextTable(names=["trial"], numbers=[column.heading for column in shown], last="circuit")
    for circuit in document["circuits"]:
        cells = [column.text(column.read(circuit, document)) for column in shown]
        table.rows.append((str(circuit["trial"]), *cells, circuit["effective"]))
    return table


def confirmed_frame(document: Document) -> "DataFrame":
    """Return a row for each circuit of a `confirmation_document`, by cost.

    The score of each control on the test part, by the study's score, has a column too.
    """
    return data_frame(_frame_row(circuit, document) for circuit in document["circuits"])


def _frame_row(circuit: Document, document: Document) -> dict[str, Any]:
    shown = columns_among((FLOPS, DEVICE, SCORES, NETWORK), Output.FRAME, document)
    score = Score(document["score"])
    return {
        "trial": circuit["trial"],
        **frame_cells({column.name: column.read(circuit, document) for column in shown}),
        **{control["model"]: control[f"test_{score.key}"] for control in circuit["controls"]},
        "circuit": circuit["effective"],
        "told": circuit["told"],
    }
