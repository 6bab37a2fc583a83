"""Table of an experiment: on the terminal, as a data frame, as LaTeX and as values for JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from faqnas_optuna.confirmation.analysis import SIGNIFICANT
from faqnas_optuna.confirmation.baselines import Baseline
from faqnas_optuna.experiments.results import CLASSICAL_CONTROL, Difference, ExperimentResults, Row
from faqnas_optuna.reporting.documents import SCHEMA_VERSION
from faqnas_optuna.reporting.frames import data_frame, interval_columns
from faqnas_optuna.reporting.latex import Latex, escaped, grouped, table
from faqnas_optuna.reporting.report import Block
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.wording import MISSING, counted, interval_text, number_text

if TYPE_CHECKING:
    # Importing pandas takes a second.
    from pandas import DataFrame


def experiment_document(results: ExperimentResults, *, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table as values for JSON.

    Args:
        origin: Settings of the experiment and the provenance of its studies.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": results.experiment.name,
        "score": results.score,
        "unit": results.unit,
        "reference": results.experiment.reference,
        "rows": [_plain_row(row) for row in results.rows],
        **origin,
    }


def _plain_row(row: Row) -> dict[str, Any]:
    return {
        **{name: value for name, value in asdict(row).items() if name != "differences"},
        "values": list(row.values),
        "interval": None if row.interval is None else list(row.interval),
        "test_score": row.test_score,
        "differences": [_plain_difference(difference) for difference in row.differences],
    }


def _plain_difference(difference: Difference) -> dict[str, Any]:
    values = asdict(difference.comparison)
    ends = values.pop("interval")
    return {
        "other": difference.other,
        **values,
        "interval": None if ends is None else list(ends),
        "p_holm": difference.p_holm,
        "smallest_p_holm": difference.smallest_p_holm,
    }


def experiment_frame(results: ExperimentResults) -> "DataFrame":
    """Return a data frame with one row per data set, method and rule."""
    # Columns of all rows: a baseline that only some data sets have is NaN for the others.
    baselines = list(dict.fromkeys(name for row in results.rows for name in row.baselines))
    return data_frame(
        {
            "dataset": row.dataset,
            "method": row.method,
            "pick": row.rule,
            "studies": row.studies,
            "test_score": row.test_score,
            **interval_columns("test_score", row.interval),
            "search_estimate": row.search_estimate,
            "quantum_flops": row.quantum_flops,
            "parameters": row.parameters,
            # As in the frame of a confirmation: attributes of a frame cannot have hyphens.
            **{name.replace("-", "_"): row.baselines.get(name, float("nan")) for name in baselines},
            **_difference_columns("reference", row.difference(results.experiment.reference)),
            **_difference_columns(str(CLASSICAL_CONTROL), row.difference(CLASSICAL_CONTROL)),
        }
        for row in results.rows
    )


def _difference_columns(name: str, difference: Difference | None) -> dict[str, float]:
    nan = float("nan")
    return {
        f"minus_{name}": difference.comparison.difference if difference else nan,
        **interval_columns(f"minus_{name}", difference.comparison.interval if difference else None),
        f"minus_{name}_p": difference.comparison.p if difference else nan,
        f"minus_{name}_p_holm": difference.p_holm if difference else nan,
    }


def experiment_blocks(results: ExperimentResults) -> list[Block]:
    """Return the table with its explanation, as text for people."""
    experiment = results.experiment
    reference = experiment.reference
    has_reference = len(experiment.file.methods) > 1
    numbers = [f"test {results.score}", "95 % CI", "quantum FLOPs", "parameters", "logistic", "mlp", "minus mlp", "p"]
    if has_reference:
        numbers += [f"minus {reference}", "p"]
    table = TextTable(names=("data set", "method", "pick"), numbers=numbers, last="studies")
    for row in results.rows:
        cells = [
            f"{row.test_score:.3f}",
            interval_text(row.interval),
            f"{row.quantum_flops:,.0f}",
            f"{row.parameters:,.0f}",
            number_text(row.baselines.get(Baseline.LOGISTIC)),
            number_text(row.baselines.get(CLASSICAL_CONTROL)),
            *_difference_cells(row.difference(CLASSICAL_CONTROL)),
        ]
        if has_reference:
            cells += _difference_cells(row.difference(reference))
        table.rows.append((row.dataset, row.method, row.rule, *cells, f"{row.studies} of {row.planned}"))
    return [table, _explanation(results), *_remarks(results)]


def _difference_cells(difference: Difference | None) -> list[str]:
    # The reference method is not compared with itself.
    if difference is None:
        return [MISSING, MISSING]
    # Uncorrected p values are in CSV and JSON.
    return [f"{difference.comparison.difference:+z.3f}", f"{difference.p_holm:.3f}"]


def _explanation(results: ExperimentResults) -> str:
    """Return what the columns mean, without markup."""
    confirm = results.experiment.file.confirm
    file = results.experiment.file
    scope = "the searches of one split" if file.splits == 1 else f"{file.splits} splits, each the mean of its searches"
    return (
        f"Test {results.score} of the picked circuit, trained for {counted(confirm.epochs, 'epoch')} from"
        f" {counted(confirm.repeats, 'random seed')} per study; t intervals over {scope}. logistic: logistic regression."
        " mlp: classical network of at most the size of the circuit's network. p: exact Wilcoxon signed-rank test"
        " of the paired differences, with Holm's correction over the whole table."
    )


def _remarks(results: ExperimentResults) -> list[str]:
    """Return remarks on what the table cannot show."""
    # Each remark names the setting that changes it.
    remarks = []
    file = results.experiment.file
    if file.splits == 1:
        remarks.append("With a single split, the results are valid for this split alone; set splits to at least 2.")
    done = sum(row.studies for row in results.rows)
    planned = len(results.experiment.cells) * len(results.experiment.rules)
    if done < planned:
        # The missing studies will change what can be significant.
        return [*remarks, f"The experiment is unfinished: {done:,} of {planned:,} results."]
    differences = [difference for row in results.rows for difference in row.differences]
    smallest = min((difference.smallest_p_holm for difference in differences), default=0.0)
    if smallest >= SIGNIFICANT:
        pairs = counted(max(difference.comparison.pairs for difference in differences), results.unit)
        remarks.append(
            f"No difference of this table can be significant: with {pairs} the smallest corrected p is {smallest:.3f}."
            f" More {results.unit}s make it smaller."
        )
    return remarks


def experiment_latex(results: ExperimentResults, *, origin: Mapping[str, Any]) -> str:
    """Return the table as LaTeX, typeset with booktabs."""
    experiment = results.experiment
    headings = [f"Test {results.score}", r"95\,\% CI", r"$F_\mathrm{Q}$", "Parameters", "logistic", "mlp", r"$\Delta$ mlp"]
    has_reference = len(experiment.file.methods) > 1
    if has_reference:
        headings.append(rf"$\Delta$ {escaped(experiment.reference)}")
    rows = []
    for row in results.rows:
        cells = [
            f"{row.test_score:.3f}",
            "--" if row.interval is None else f"{row.interval[0]:.3f}--{row.interval[1]:.3f}",
            grouped(round(row.quantum_flops)),
            grouped(round(row.parameters)),
            *(number_text(row.baselines.get(name)).replace(MISSING, "--") for name in (Baseline.LOGISTIC, CLASSICAL_CONTROL)),
            _latex_difference(row.difference(CLASSICAL_CONTROL)),
        ]
        if has_reference:
            cells.append(_latex_difference(row.difference(experiment.reference)))
        rows.append([escaped(f"{row.dataset}, {row.method}, {row.rule}"), *map(Latex, cells)])
    return table(
        [Latex("Data set, method, circuit"), *map(Latex, headings)],
        rows,
        text_first=True,
        caption=_caption(results),
        label=f"experiment-{experiment.name}",
        origin={"experiment": experiment.name, **origin},
    )


def _latex_difference(difference: Difference | None) -> str:
    if difference is None:
        return "--"
    # In mathematical mode the sign is a minus, not a hyphen.
    star = r"^{*}" if difference.p_holm < SIGNIFICANT else ""
    return f"${difference.comparison.difference:+z.3f}{star}$"


def _caption(results: ExperimentResults) -> Latex:
    text = " ".join([_explanation(results).replace(" p: exact", " Star: p below 0.05 in an exact"), *_remarks(results)])
    return Latex(escaped(text) + r" $F_\mathrm{Q}$: quantum FLOPs of the forward pass of one sample.")
