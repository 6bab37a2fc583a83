"""The command `space`: costs of every circuit of the space, in FLOPs and on devices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.cli.options import data_dir_option, data_options, data_set_options, fraction_option, is_typed, json_option
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.files import check_directory

SUFFIXES = (".parquet", ".csv")


@click.command()
@data_set_options
@data_options
@fraction_option
# Without a variable, or every call would write the file.
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a row per circuit to FILE.parquet or FILE.csv."
)
@data_dir_option
@json_option
def space(
    dataset: str | None,
    fraction: float,
    out: Path | None,
    data_dir: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compare the costs of all circuits, in FLOPs and on devices.

    Nothing is trained. With a data set, the costs of the whole networks are included.
    """
    if out and out.suffix not in SUFFIXES:
        raise ConfigError(f"costs are written as Parquet or CSV, so --out must end with .parquet or .csv; it is {out}")
    if out:
        check_directory(out)
    if not dataset and (data_options := [option for option in settings if is_typed(option)]):
        name = data_options[0].replace("_", "-")
        raise ConfigError(f"--{name} needs a data set; add one, as in 'faqnas-optuna space wine'")
    # Before the imports below: a wrong data set is refused at once.
    sizes = _sizes(dataset, data_dir, settings) if dataset else None
    from faqnas_optuna.cli.console import messages, show_work
    from faqnas_optuna.files import write_atomically
    from faqnas_optuna.tables.costs import space_costs, space_document
    from faqnas_optuna.tables.space import all_circuits, sample

    # A sample has the same circuits in every run.
    circuits = all_circuits() if fraction == 1 else sample(all_circuits(), fraction)
    with messages(), show_work("space", "circuit", len(circuits)) as update:
        costs = space_costs(circuits, sizes=sizes, on_done=update)
    if out:
        write_atomically(out, costs.file(out.suffix))
    document = space_document(costs, dataset=dataset, file=None if out is None else str(out))
    print_json(document) if as_json else _print(document)


def _sizes(dataset: str, data_dir: Path | None, settings: Mapping[str, Any]) -> tuple[int, int]:
    """Return the numbers of features and classes of a data set."""
    from faqnas_optuna.api.data import DataSource

    resolved = resolve_settings(dataset, settings, source="options")
    splits = DataSource.located(resolved, data_dir).load(resolved.config)
    return splits.n_features, splits.n_classes


def _print(document: Mapping[str, Any]) -> None:
    from faqnas_optuna.cli.display import print_line, print_prose, print_table
    from faqnas_optuna.config import cost_text
    from faqnas_optuna.reporting.text_tables import TextTable
    from faqnas_optuna.tables.costs import FLOPS, neg_log_esp_column
    from faqnas_optuna.wording import number_text

    table = TextTable(names=["cost"], numbers=("least", "median"), last="most")
    for name, costs in document["costs"].items():
        table.rows.append((_label(name), *(cost_text(costs[which]) for which in ("least", "median", "most"))))
    print_table(table)
    print_line("")
    # By group of circuits, count of FLOPs, and cost on a device.
    taus = {(entry["group"], entry["a"], entry["b"]): entry["tau"] for entry in document["kendall_tau"]}
    groups = list(dict.fromkeys(group for group, _, _ in taus))
    devices = list(document["devices"])
    agreement = TextTable(names=["Kendall's tau of", "circuits"], numbers=devices[:-1], last=devices[-1])
    for name in FLOPS:
        # By number of qubits only for the paper's count; JSON has all.
        for group in groups if name == next(iter(FLOPS)) else [group for group in groups if "qubits" not in group]:
            values = [taus[group, name, neg_log_esp_column(device)] for device in devices]
            agreement.rows.append((FLOPS[name], group, *(number_text(tau, ".2f") for tau in values)))
    print_table(agreement)
    print_prose(
        "Correlation with −ln ESP on each device: 1 means the same order of the circuits, 0 no relation, −1 the reverse order."
    )


def _label(name: str) -> str:
    """Return the label of a column."""
    from faqnas_optuna.tables.costs import FLOPS

    for prefix, label in (("neg_log_esp_", "−ln ESP, "), ("two_qubit_gates_", "two-qubit gates, ")):
        if name.startswith(prefix):
            return label + name.removeprefix(prefix)
    return FLOPS.get(name) or name.replace("_flops", " FLOPs").replace("_", " ")
