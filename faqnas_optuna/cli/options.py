"""Options that several commands share. Each can also be set in the environment, as FAQNAS_ and its name."""

import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import reduce, wraps
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
    """Return a click option that also reads its value from the environment: FAQNAS_STORAGE for --storage."""
    # The name of the option, not of its parameter: users know only the option.
    variable = f"FAQNAS_{name.lstrip('-').replace('-', '_').upper()}"
    return click.option(name, *targets, envvar=variable, show_envvar=True, **settings)


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds several options, which are listed in this order."""
    # Decorators apply from the bottom up, and the last one applied is listed first.
    return lambda command: reduce(lambda command, decorate: decorate(command), reversed(options), command)


def setting_option(name: str, section: type[BaseModel], *, help: str, field: str | None = None) -> Callable[[Command], Command]:
    """Return an option for a setting of a study, a number or a choice, with the limits and the default of the setting.

    Args:
        field: Name of the setting; by default that of the option.
    """
    field = field or name.lstrip("-").replace("-", "_")
    setting = section.model_fields[field]
    if isinstance(setting.annotation, type) and issubclass(setting.annotation, StrEnum):
        choices = click.Choice([choice.value for choice in setting.annotation])
        return option(name, field, type=choices, help=f"{help}  [default: {setting.default}]")
    # pydantic keeps the limits of a field as a list of objects, one for each kind.
    limits = {name: getattr(part, name) for part in setting.metadata for name in ("ge", "gt", "le") if hasattr(part, name)}
    least = limits.get("ge", limits.get("gt"))
    most = limits["le"]
    kind = IntRange(least, most) if setting.annotation is int else FloatRange(least, most, min_open="gt" in limits)
    return option(name, field, type=kind, help=f"{help}  [default: {setting.default}]")


class _RepeatsRange(IntRange):
    """A number of repeats, or `auto`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return value if value == AUTO else super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"it must be a number from {self.min} to {self.max}, or {AUTO}; it is {value!r}.", param, ctx)


def seconds_option(name: str, *, default: int, help: str) -> Callable[[Command], Command]:
    return option(name, type=IntRange(min=SHORTEST_TIMEOUT_S), default=default, show_default=True, metavar="SECONDS", help=help)


repeats_option = option(
    "--repeats",
    type=_RepeatsRange(1, 1000),
    metavar="N|auto",
    help="Trainings per circuit, averaged; auto: enough for a reliability of 0.8, at most 50.  [default: 1]",
)
split_seed_option = option(
    "--split-seed",
    type=IntRange(0, 2**32 - 1),
    help="Random seed of the split.  [default: the seed of the study]",
)
# Without a variable: `pareto` refuses it for a search.
by_option = click.option(
    "--by",
    type=click.Choice(["entangled", "embedding", "entangler", "depth", "n_qubits"]),
    help="Compare families of circuits by the bounds of a race.",
)
fraction_option = option(
    "--fraction",
    type=FloatRange(0, 1, min_open=True),
    default=1,
    show_default=True,
    help="Share of each stratum of the space.",
)
json_option = option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
no_check_option = option("--no-check", is_flag=True, help="Do not warn about suspicious data.")
data_dir_option = option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory with the data files, if they have moved.",
)


def _none_if_empty(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[str] | None:
    # An empty tuple would count as a given setting and override that of a study file.
    return list(values) or None


data_options = together(
    option("--target", metavar="COLUMN", help="Column with the class labels."),
    option("--groups", metavar="COLUMN", help="Column with group labels; a group is never split."),
    option("--test-file", metavar="FILE", help="File with the samples of the test part."),
    option("--drop", metavar="COLUMN", multiple=True, callback=_none_if_empty, help="Leave a column out; repeatable."),
    option(
        "--category",
        metavar="COLUMN",
        multiple=True,
        callback=_none_if_empty,
        help="Treat the numbers of this column as categories; repeatable.",
    ),
    option("--pca", type=IntRange(1, MOST_COMPONENTS), help="Number of principal components to use instead of the features."),
)
"""Options that say which data of a file are used, and how."""
workers_option = option(
    "--workers",
    type=IntRange(min=1, max=MOST_WORKERS),
    default=1,
    show_default=True,
    help="Number of worker processes, of one thread each.",
)
dask_option = option(
    "--dask", metavar="ADDRESS", help="Run the workers on a Dask cluster: address of its scheduler, or a scheduler file."
)


def data_set_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Complete the name of a data set, for a shell."""
    from faqnas_optuna.data.named import DATASETS

    return [name for name in DATASETS if name.startswith(begun)]


def study_names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Complete the name of a study of the storage, for a shell; return nothing if the storage cannot be read."""
    from faqnas_optuna.storage.opening import open_storage
    from faqnas_optuna.storage.outages import DATABASE_ERRORS, silence_libraries
    from faqnas_optuna.study.metadata import our_studies

    silence_libraries()
    file, url = (context.params.get(name) for name in ("storage_file", "storage"))
    # A shell shows what a completion prints, so errors are silent.
    with suppress(FaqnasError, *DATABASE_ERRORS):
        studies = our_studies(open_storage(read_storage_file(Path(file)) if file else url or DEFAULT_STORAGE))
        return [name for name in studies if name.startswith(begun)]
    return []


def pick_rules(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Complete a selection rule, for a shell."""
    from faqnas_optuna.study.selection import EXAMPLES

    return [rule for rule in EXAMPLES if rule.startswith(begun)]


def _read_pick(context: click.Context, parameter: click.Parameter, rule: str | None) -> "SelectionRule | None":
    """Parse a selection rule while the command line is read, before anything is opened."""
    from faqnas_optuna.study.selection import SelectionRule

    try:
        return None if rule is None else SelectionRule.parse(rule)
    except ConfigError as error:
        raise click.BadParameter(str(error), context, parameter) from error


def _read_trial(context: click.Context, parameter: click.Parameter, text: str | None) -> "int | SelectionRule | None":
    """Parse the number of a trial, or a rule that selects one from the front."""
    if text is None:
        return None
    from faqnas_optuna.study.selection import RULES, SelectionRule

    try:
        # First: no rule is a number.
        return whole_number(text)
    except ValueError:
        pass
    try:
        return SelectionRule.parse(text)
    except ConfigError as error:
        message = f"it must be a trial number, {RULES}; it is {text!r}"
        raise click.BadParameter(message, context, parameter) from error


pick_option = option(
    "--pick",
    metavar="RULE",
    callback=_read_pick,
    shell_complete=pick_rules,
    help="Select one circuit of the front: knee, best, cheapest-within:X (above the lowest validation error),"
    " best-under:COST or at-least:SCORE.",
)
trial_argument = click.argument("trial", metavar="[TRIAL]", required=False, callback=_read_trial, shell_complete=pick_rules)
study_argument = click.argument("study", shell_complete=study_names)
studies_argument = click.argument("studies", metavar="STUDY...", nargs=-1, required=True, shell_complete=study_names)
optional_study_argument = click.argument("study", required=False, shell_complete=study_names)


class StudyCommand(click.Command):
    """A command whose first argument is a study, which may also be named as `start` does: by --study."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Replace `--study NAME` by the argument STUDY."""
        for position, argument in enumerate(args):
            # Only the first occurrence, and only with a value; click reports everything else.
            if argument == "--study" and args[position + 1 :]:
                return super().parse_args(ctx, [args[position + 1], *args[:position], *args[position + 2 :]])
            if argument.startswith("--study="):
                return super().parse_args(ctx, [argument.removeprefix("--study="), *args[:position], *args[position + 1 :]])
        return super().parse_args(ctx, args)


def is_typed(name: str) -> bool:
    """Return whether a parameter was typed; a typed one beats the environment."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def option_of(name: str) -> str:
    """Return the option of the running command that sets a parameter, as users type it."""
    parameters = click.get_current_context().command.params
    return next(parameter.opts[0] for parameter in parameters if parameter.name == name)


def data_set_options(command: Command) -> Command:
    """Add the data set, an argument or --dataset; a typed one beats the environment."""

    # The argument needs another name than the option, whose value arrives as `dataset`.
    @click.argument("name", metavar="[DATASET]", required=False, shell_complete=data_set_names)
    @option("--dataset", metavar="NAME|FILE", shell_complete=data_set_names, help="Same as the argument DATASET.")
    @wraps(command)
    def with_data_set(*arguments: Any, name: str | None, dataset: str | None, **others: Any) -> Any:
        if name is not None and is_typed("dataset") and name != dataset:
            raise ConfigError(f"two data sets are given, {name!r} and {dataset!r}; leave one of them out")
        return command(*arguments, dataset=dataset if name is None else name, **others)

    return with_data_set


def storage_options(command: Command) -> Command:
    """Add the database, as `storage`: its URL, or a file readable by nobody else that holds the URL."""

    @option("--storage", default=DEFAULT_STORAGE, show_default=True, metavar="URL", help="URL of the database.")
    @option("--storage-file", type=click.Path(path_type=Path, dir_okay=False), help="File with that URL, instead of --storage.")
    @wraps(command)
    def with_storage(*arguments: Any, storage: str, storage_file: Path | None, **others: Any) -> Any:
        # A typed option beats the environment; between equals, the file beats the URL.
        if storage_file and (is_typed("storage_file") or not is_typed("storage")):
            storage = read_storage_file(storage_file)
        try:
            return command(*arguments, storage=storage, **others)
        except FaqnasError as error:
            if error.command:
                # Only here is it known how the storage was given.
                error.command += storage_option()
            raise

    return with_storage


def typed(command: str) -> str:
    """Return a command line of this program that uses the same storage as the running command."""
    return f"faqnas-optuna {command}{storage_option()}"


def storage_option() -> str:
    """Return the option that names the storage, or "" if it is the default or in the environment."""
    from faqnas_optuna.storage.urls import secrets

    context = click.get_current_context()
    if is_typed("storage_file"):
        return f" --storage-file {shlex.quote(str(context.params['storage_file']))}"
    if not is_typed("storage"):
        return ""
    url = context.params["storage"]
    # A password must not appear in a message.
    return " --storage-file FILE_WITH_THE_URL" if secrets(url) else f" --storage {shlex.quote(url)}"


def timeout_options(command: Command) -> Command:
    """Add the limits for silent workers and unavailable databases, as `timeouts`."""

    @seconds_option(
        "--grace", default=WorkerTimeouts.grace_s, help="Requeue trials of workers that have been silent for this long."
    )
    @seconds_option(
        "--database-timeout",
        default=WorkerTimeouts.database_timeout_s,
        help="Maximum time to wait for a database that is not available.",
    )
    @wraps(command)
    def with_timeouts(*arguments: Any, grace: int, database_timeout: int, **others: Any) -> Any:
        return command(*arguments, timeouts=WorkerTimeouts(grace_s=grace, database_timeout_s=database_timeout), **others)

    return with_timeouts


def read_storage_file(file: Path) -> str:
    """Return the URL in a file that nobody else can read.

    A file that we cannot change, such as a mounted secret of a cluster, may be readable by its group.

    Raises:
        ConfigError: Others can read the file, this process cannot, or it does not hold one URL.
    """
    try:
        if file.stat().st_mode & (0o077 if os.access(file, os.W_OK) else 0o007):
            raise ConfigError(f"{file} may hold a password but others can read it; run: chmod 600 {shlex.quote(str(file))}")
        # Windows editors write a byte-order mark.
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"{file}: cannot read the storage's URL: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: cannot read the storage's URL: it is not UTF-8 text") from error
    urls = [line.strip() for line in lines if line.strip()]
    if len(urls) != 1:
        raise ConfigError(f"{file} must hold one line, the storage's URL: postgresql://USER:PASSWORD@HOST/DATABASE")
    return urls[0]
