"""The command line: commands parse, call one function and print, results on stdout and progress on stderr.

Heavy libraries are imported only where a command needs them: torch, PennyLane and Optuna take seconds, `--help` must not.
"""

import click

from faqnas_optuna import __version__
from faqnas_optuna.cli.compare import compare
from faqnas_optuna.cli.confirm import confirm
from faqnas_optuna.cli.enumeration import enumerate_space
from faqnas_optuna.cli.experiment import experiment
from faqnas_optuna.cli.export import export, predict
from faqnas_optuna.cli.inspect import pareto, show
from faqnas_optuna.cli.options import HELP_SETTINGS
from faqnas_optuna.cli.race import race
from faqnas_optuna.cli.report import report
from faqnas_optuna.cli.space import space
from faqnas_optuna.cli.study import resume, start, status, stop, worker
from faqnas_optuna.cli.tools import dashboard, datasets, doctor


class _Cli(click.Group):
    """Group that lists commands in the order in which a user needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Cli, context_settings=HELP_SETTINGS)
@click.version_option(__version__, prog_name="faqnas-optuna")
def cli() -> None:
    """Find hybrid quantum neural networks that are accurate and cheap.

    A search is an Optuna study in a database. Any number of workers can join it, and it can be stopped and resumed.
    Most options can also be set in the environment: --epochs as FAQNAS_EPOCHS. An option beats the environment, which
    beats --config.
    """


# In this order in `--help`.
for command in (
    start,
    race,
    worker,
    status,
    pareto,
    show,
    confirm,
    report,
    export,
    predict,
    stop,
    resume,
    space,
    enumerate_space,
    compare,
    experiment,
    dashboard,
    datasets,
    doctor,
):
    cli.add_command(command)
