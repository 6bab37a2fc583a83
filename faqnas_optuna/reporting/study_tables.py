"""Tables of a study's settings and columns, and of the costs of a circuit on devices."""

from collections.abc import Iterable, Mapping
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.reporting.text_tables import TextTable


def study_fields(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a `study_document`, and the data that they apply to, as text by name."""
    settings = document["settings"]
    plain = {name: value for name, value in settings.items() if not isinstance(value, Mapping)}
    # Nested settings by their dotted names, as in messages about differences.
    inner = {
        f"{section}.{name}": value
        for section, values in settings.items()
        if isinstance(values, Mapping)
        for name, value in values.items()
        if value not in (None, [])
    }
    fields = {"study": document["study"], "state": document["state"] or "running", "created": document["created"]}
    if document["warm_start"]:
        fields["first generation"] = document["warm_start"]["summary"]
    fields |= plain | inner | {"data fingerprint": document["data_fingerprint"]}
    fields |= {f"samples of {part}": f"{count:,}" for part, count in document["sizes"].items()}
    if document["majority"]:
        rates = document["majority"][Score(settings["score"]).key]
        fields |= {f"majority class, {part}": f"{rate:.3f}" for part, rate in rates.items()}
    fields |= {f"{name} file": path for name, path in (document["files"] or {}).items() if path}
    return {name: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in fields.items()}


def columns_table(columns: Mapping[str, str]) -> TextTable:
    """Return the table of the use of each column of the data."""
    table = TextTable(names=["column"], numbers=(), last="use")
    table.rows.extend(columns.items())
    return table


def hardware_table(costs: Iterable[Mapping[str, Any]]) -> TextTable:
    """Return the table of a circuit's costs on devices.

    Args:
        costs: A `hardware_document`.
    """
    numbers = ("−ln ESP", "ESP", "two-qubit gates", "pulses", "µs", "s per prediction")
    table = TextTable(names=["device"], numbers=numbers, last="calibrated")
    for cost in costs:
        table.rows.append(
            (
                cost["device"],
                f"{cost['neg_log_esp']:.4f}",
                f"{cost['esp']:.3f}",
                str(cost["two_qubit_gates"]),
                str(cost["one_qubit_pulses"]),
                f"{cost['duration_us']:,.1f}",
                f"{cost['seconds_per_prediction']:,.1f}",
                cost["date"],
            )
        )
    return table
