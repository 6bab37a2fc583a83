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
@option("--quick", is_flag=True, help="Measure less, in about two minutes.")
@option("--server", metavar="URL", help="An empty database on a server, to measure trials there too.")
@json_option
def bench(quick: bool, server: str | None, as_json: bool) -> None:
    """Measure this program on this machine.

    Training, counting and whole searches, against what one would write with PennyLane, torch.profiler and plain Optuna, and in
    JAX if that is installed; what trials and commands take beside. Ratios depend on the machine less than times do.
    """
    # Before torch is imported: its profiler tells of its stages on stderr.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    from benchmarks.suite import measure
    from faqnas_optuna.cli.console import error_console, messages
    from faqnas_optuna.storage.outages import silence_libraries
    from faqnas_optuna.study.study import versions
    from faqnas_optuna.training.torch_training import use_one_thread

    use_one_thread()
    silence_libraries()
    measured = []
    with messages(), error_console().status("measuring; leave the machine alone meanwhile"):
        for measurement in measure(quick=quick, server=server):
            measured.append(measurement)
            click.echo(f"measured: {measurement.what}, {measurement.case}", err=True)
    if as_json:
        print_json({"schema_version": 1, "versions": versions(), "measurements": [asdict(one) for one in measured]})
    else:
        print_bench(measured)


def print_bench(measurements: Iterable["Measurement"]) -> None:
    table = TextTable(names=["what"], numbers=("ours", "reference", "ratio", "target", "met"), last="case")
    for one in measurements:
        table.rows.append(
            (
                one.what,
                f"{one.value:.3g} {one.unit}",
                "–" if one.reference is None else f"{one.reference:.3g} {one.unit}",
                "–" if one.ratio is None else f"{one.ratio:.1f}",
                one.target or "–",
                "yes" if one.met else "no",
                one.case,
            )
        )
    print_table(table)
