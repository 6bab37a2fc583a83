"""Options that several commands share. Each can also be set as FAQNAS_NAME in the environment."""

import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from pydantic import BaseModel

from faqnas_optuna.api.settings import DEFAULT_STORAGE, MOST_WORKERS, SHORTEST_TIMEOUT_S, WorkerTimeouts
from faqnas_optuna.cli.ranges import FloatRange, IntRange
from faqnas_optuna.config import AUTO, MOST_COMPONENTS
from faqnas_optuna.errors import ConfigError, FaqnasError
from faqnas_optuna.literals import whole_number

if TYPE_CHECKING:
    # At run time it is imported where a rule is read: most commands have none.
    from faqnas_optuna.study.selection import SelectionRule

Command = Callable[..., Any]

HELP_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
"""Context settings of a command line."""


def option(name: str, *targets: str, **settings: Any) -> Callable[[Command], Command]:
    """A click option that also reads FAQNAS_NAME."""
    variable = f"FAQNAS_{name.lstrip('-').replace('-', '_').upper()}"
    return click.option(name, *targets, envvar=variable, show_envvar=True, **settings)


def setting_option(name: str, section: type[BaseModel], *, help: str, field: str | None = None) -> Callable[[Command], Command]:
    """Return an option for a setting of a study, a number or a choice, with the limits and the default of the setting.

    Args:
        field: name of the setting; by default that of the option.
    """
    field = field or name.lstrip("-").replace("-", "_")
    setting = section.model_fields[field]
    if isinstance(setting.annotation, type) and issubclass(setting.annotation, StrEnum):
        choices = click.Choice([choice.value for choice in setting.annotation])
        return option(name, field, type=choices, help=f"{help}  [default: {setting.default}]")
    limits = {name: getattr(part, name) for part in setting.metadata for name in ("ge", "gt", "le") if hasattr(part, name)}
    least, most = limits.get("ge", limits.get("gt")), limits["le"]
    kind = IntRange(least, most) if setting.annotation is int else FloatRange(least, most, min_open="gt" in limits)
    return option(name, field, type=kind, help=f"{help}  [default: {setting.default}]")


class _RepeatsRange(IntRange):
    """A number of repeats, or what asks for one to be found."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return value if value == AUTO else super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"it is a number from {self.min} to {self.max}, or {AUTO}; it is {value!r}.", param, ctx)


def seconds_option(name: str, *, default: int, help: str) -> Callable[[Command], Command]:
    return option(name, type=IntRange(min=SHORTEST_TIMEOUT_S), default=default, show_default=True, metavar="SECONDS", help=help)


repeats_option = option(
    "--repeats",
    type=_RepeatsRange(1, 1000),
    metavar="N|auto",
    help="Trainings of a circuit, whose mean counts; auto: as many as make it reliable, at most 50.  [default: 1]",
)
split_seed_option = option(
    "--split-seed",
    type=IntRange(0, 2**32 - 1),
    help="Random seed of the split, if it is not the study's.  [default: the study's seed]",
)
json_option = option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
no_check_option = option("--no-check", is_flag=True, help="Do not warn of what is suspicious in the data.")
data_dir_option = option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the files of data, if they are not where they were.",
)


def data_options(command: Command) -> Command:
    """Which data of a file are used, and how."""
    options = (
        option("--target", metavar="COLUMN", help="The column of a file that holds the classes."),
        option("--groups", metavar="COLUMN", help="The column that tells which samples must stay together."),
        option("--test-file", metavar="FILE", help="A file with the samples of the test part."),
        option("--drop", metavar="COLUMN", multiple=True, callback=_none_if_empty, help="Leave a column out; may be repeated."),
        option(
            "--category",
            metavar="COLUMN",
            multiple=True,
            callback=_none_if_empty,
            help="Numbers of this column are codes; may be repeated.",
        ),
        option("--pca", type=IntRange(1, MOST_COMPONENTS), help="So many principal components in place of the features."),
    )
    for decorate in reversed(options):
        command = decorate(command)
    return command


def _none_if_empty(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[str] | None:
    return list(values) or None


workers_option = option(
    "--workers", type=IntRange(min=1, max=MOST_WORKERS), default=1, show_default=True, help="Processes, of one thread each."
)
dask_option = option(
    "--dask", metavar="ADDRESS", help="Run the workers on the Dask cluster of this scheduler, or scheduler file."
)


def data_set_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """For the completion of a shell: data sets that begin so."""
    from faqnas_optuna.data.named import DATASETS

    return [name for name in DATASETS if name.startswith(begun)]


def study_names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The same of studies in the database that is named on the line or in the environment; whatever is wrong, none."""
    from faqnas_optuna.storage.opening import open_storage
    from faqnas_optuna.storage.outages import DATABASE_ERRORS, silence_libraries
    from faqnas_optuna.study.metadata import our_studies

    silence_libraries()
    file, url = (context.params.get(name) for name in ("storage_file", "storage"))
    with suppress(FaqnasError, *DATABASE_ERRORS):
        studies = our_studies(open_storage(read_storage_file(Path(file)) if file else url or DEFAULT_STORAGE))
        return [name for name in studies if name.startswith(begun)]
    return []


def pick_rules(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The same of rules that pick a circuit."""
    from faqnas_optuna.study.selection import EXAMPLES

    return [rule for rule in EXAMPLES if rule.startswith(begun)]


def _read_pick(context: click.Context, parameter: click.Parameter, rule: str | None) -> "SelectionRule | None":
    """Checked as the line is read, before anything is opened."""
    from faqnas_optuna.study.selection import SelectionRule

    try:
        return None if rule is None else SelectionRule.parse(rule)
    except ConfigError as error:
        raise click.BadParameter(str(error), context, parameter) from error


def _read_trial(context: click.Context, parameter: click.Parameter, text: str | None) -> "int | SelectionRule | None":
    """The number of a trial, or a rule that takes one from the front."""
    if text is None:
        return None
    from faqnas_optuna.study.selection import SelectionRule

    try:
        return whole_number(text)
    except ValueError:
        pass
    try:
        return SelectionRule.parse(text)
    except ConfigError as error:
        told = f"it is the number of a trial, or knee, best, cheapest-within:X with X from 0 to 1; it is {text!r}"
        raise click.BadParameter(told, context, parameter) from error


pick_option = option(
    "--pick",
    metavar="RULE",
    callback=_read_pick,
    shell_complete=pick_rules,
    help="Of the front take one circuit: knee, best, or cheapest-within:X, X above the lowest validation error.",
)
trial_argument = click.argument("trial", metavar="[TRIAL]", required=False, callback=_read_trial, shell_complete=pick_rules)
study_argument = click.argument("study", shell_complete=study_names)
optional_study_argument = click.argument("study", required=False, shell_complete=study_names)


class StudyCommand(click.Command):
    """A command whose first argument is a study. Who names it as `start` does, by --study, is understood."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments with `--study NAME` in the place of STUDY."""
        for position, argument in enumerate(args):
            if argument == "--study" and args[position + 1 :]:
                return super().parse_args(ctx, [args[position + 1], *args[:position], *args[position + 2 :]])
            if argument.startswith("--study="):
                return super().parse_args(ctx, [argument.removeprefix("--study="), *args[:position], *args[position + 1 :]])
        return super().parse_args(ctx, args)


def is_typed(name: str) -> bool:
    """Return whether a parameter is in the command itself, which beats the environment."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def data_set_options(command: Command) -> Command:
    """The data set, as `dataset`, by itself or by --dataset; the one on the line, if the other is in the environment."""

    @click.argument("name", metavar="[DATASET]", required=False, shell_complete=data_set_names)
    @option("--dataset", metavar="NAME|FILE", shell_complete=data_set_names, help="The same as DATASET.")
    @wraps(command)
    def with_data_set(*arguments: Any, name: str | None, dataset: str | None, **others: Any) -> Any:
        if name is not None and is_typed("dataset") and name != dataset:
            raise ConfigError(f"two data sets are named, {name!r} and {dataset!r}; leave one of them out")
        return command(*arguments, dataset=dataset if name is None else name, **others)

    return with_data_set


def storage_options(command: Command) -> Command:
    """The database, as `storage`: its URL, or that in a file which nobody else can read."""

    @option("--storage", default=DEFAULT_STORAGE, show_default=True, metavar="URL", help="Database of the studies.")
    @option("--storage-file", type=click.Path(path_type=Path, dir_okay=False), help="File that holds the URL instead.")
    @wraps(command)
    def with_storage(*arguments: Any, storage: str, storage_file: Path | None, **others: Any) -> Any:
        if storage_file and (is_typed("storage_file") or not is_typed("storage")):
            storage = read_storage_file(storage_file)
        try:
            return command(*arguments, storage=storage, **others)
        except FaqnasError as error:
            if error.command:
                error.command += storage_option()
            raise

    return with_storage


def typed(command: str) -> str:
    """A command of ours, to be typed after this one: it finds the same storage."""
    return f"faqnas-optuna {command}{storage_option()}"


def storage_option() -> str:
    """What such a command needs beside its name: nothing, if the storage is the default or in the environment."""
    from faqnas_optuna.storage.urls import secrets

    context = click.get_current_context()
    if is_typed("storage_file"):
        return f" --storage-file {shlex.quote(str(context.params['storage_file']))}"
    if not is_typed("storage"):
        return ""
    url = context.params["storage"]
    # What must not be shown cannot be repeated.
    return " --storage-file FILE_WITH_THE_URL" if secrets(url) else f" --storage {shlex.quote(url)}"


def timeout_options(command: Command) -> Command:
    """How long to bear with silent workers and absent databases, as `timeouts`."""

    @seconds_option("--grace", default=WorkerTimeouts.grace_s, help="Give up a trial whose worker is silent for so long.")
    @seconds_option(
        "--database-timeout",
        default=WorkerTimeouts.database_timeout_s,
        help="Maximum time to wait for a database that is away or not up yet.",
    )
    @wraps(command)
    def with_timeouts(*arguments: Any, grace: int, database_timeout: int, **others: Any) -> Any:
        return command(*arguments, timeouts=WorkerTimeouts(grace_s=grace, database_timeout_s=database_timeout), **others)

    return with_timeouts


def read_storage_file(file: Path) -> str:
    """The URL in a file that nobody else can read; where it cannot be changed, as a secret of a cluster, its group may.

    Raises:
        ConfigError: others can read it, we cannot, or it holds something else.
    """
    try:
        if file.stat().st_mode & (0o077 if os.access(file, os.W_OK) else 0o007):
            raise ConfigError(f"{file} may hold a password, and others can read it; run: chmod 600 {shlex.quote(str(file))}")
        # Editors of Windows begin a file with a mark.
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"{file}: cannot read the storage's URL: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: cannot read the storage's URL: it is not UTF-8 text") from error
    urls = [line.strip() for line in lines if line.strip()]
    if len(urls) != 1:
        raise ConfigError(f"{file} must hold one line, the storage's URL: postgresql://USER:PASSWORD@HOST/DATABASE")
    return urls[0]


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
