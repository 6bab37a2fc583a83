"""The command that runs the measurements."""

import os
from collections.abc import Iterable
from dataclasses import asdict

import click

from benchmarks.measurement import Measurement
from faqnas_optuna.cli.display import print_table
from faqnas_optuna.cli.options import HELP_SETTINGS, json_option, option
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.reporting.text_tables import TextTable


@click.command(context_settings=HELP_SETTINGS)
@option("--quick", is_flag=True, help="Run fewer measurements, in about two minutes.")
@option("--server", metavar="URL", help="Also measure trials in this database on a server, which must be empty.")
@json_option
def bench(quick: bool, server: str | None, as_json: bool) -> None:
    """Measure this program on this machine.

    Training, FLOP counting and whole searches are compared with PennyLane, torch.profiler and plain Optuna, and with JAX and
    Qiskit if they are installed. The overhead of trials and commands is measured too. Ratios depend less on the machine than
    times do.
    """
    # The profiler of torch reads the level once, at import; below 6 it logs its stages on stderr.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    # These modules import torch and PennyLane, which neither `--help` nor a refusal needs.
    from benchmarks.suite import measure
    from faqnas_optuna.cli.console import error_console, messages
    from faqnas_optuna.storage.outages import silence_libraries
    from faqnas_optuna.study.study import versions
    from faqnas_optuna.training.torch_training import use_one_thread

    use_one_thread()
    silence_libraries()
    measurements = []
    # Measurements take minutes: each is reported when it is done, and the table follows at the end.
    with messages(), error_console().status("measuring; avoid other load on this machine"):
        for measurement in measure(quick=quick, server=server):
            measurements.append(measurement)
            click.echo(f"measured: {measurement.what}, {measurement.case}", err=True)
    if as_json:
        print_json({"schema_version": 1, "versions": versions(), "measurements": [asdict(each) for each in measurements]})
    else:
        print_bench(measurements)


def print_bench(measurements: Iterable["Measurement"]) -> None:
    table = TextTable(names=["measurement"], numbers=("value", "reference", "ratio", "target", "met"), last="case")
    for measurement in measurements:
        table.rows.append(
            (
                measurement.what,
                f"{measurement.value:.3g} {measurement.unit}",
                "–" if measurement.reference is None else f"{measurement.reference:.3g} {measurement.unit}",
                "–" if measurement.ratio is None else f"{measurement.ratio:.1f}",
                measurement.target or "–",
                "yes" if measurement.met else "no",
                measurement.case,
            )
        )
    print_table(table)
