"""The command `compare`: compare search algorithms on a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.cli.options import data_dir_option, data_options, is_typed, json_option, option, split_seed_option
from faqnas_optuna.cli.output import print_json, report_written
from faqnas_optuna.cli.ranges import FloatRange, IntRange
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.machine import cores
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from faqnas_optuna.comparison.benchmark import Benchmark
    from faqnas_optuna.comparison.judging import Contest
    from faqnas_optuna.comparison.replay import TrainingBudget
    from faqnas_optuna.signals import Signals

DEFAULT_TRAININGS = 160
"""Trainings of the paper's search: eight generations of twenty."""


@click.command()
@click.argument("table", metavar="TABLE")
@option(
    "--searcher",
    "names",
    multiple=True,
    metavar="NAME[:R]",
    help="Algorithm to compare, with R trainings per circuit; repeatable.",
)
@option("--trainings", type=IntRange(1, 100_000), help="Budget of each search, in trainings.  [default: 160]")
@option(
    "--seconds",
    type=FloatRange(0, min_open=True),
    help="Budget of each search, in seconds of training as stored with the table.",
)
@option("--searches", type=IntRange(2, 1000), default=20, show_default=True, help="Searches per algorithm.")
# Without a variable: FAQNAS_EPOCHS is that of a search.
@click.option("--epochs", type=IntRange(1, 100_000), default=5, show_default=True, help="Epochs of each training.")
@option("--reference", metavar="NAME", help="Algorithm that the others are compared with.  [default: the first]")
@option("--live", is_flag=True, help="Train instead of looking up; TABLE is then a data set or a data file.")
@data_options
@split_seed_option
@data_dir_option
@option("--workers", type=IntRange(1, 1024), help="Number of processes.  [default: one per core]")
# Without a variable, or every call would write the file.
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Plot the searches to FILE.png, .pdf or .svg.")
@click.option("--size", type=click.Choice([size.value for size in Size]), help="Size of the plot.  [default: page]")
@json_option
def compare(
    table: str,
    names: tuple[str, ...],
    trainings: int | None,
    seconds: float | None,
    searches: int,
    epochs: int,
    reference: str | None,
    live: bool,
    data_dir: Path | None,
    workers: int | None,
    plot: Path | None,
    size: str | None,
    as_json: bool,
    **data: Any,
) -> int:
    """Compare search algorithms on a table of all circuits.

    TABLE is a data set whose table comes with the program, or a file written by `enumerate`. Each algorithm runs twenty
    searches that look up their trainings in the table, or with --live run them. The front of a search is judged by the test
    accuracies of trainings that the search has not used. Algorithms are nsga2 (the paper's), nsga2-error, nsga2-pooled,
    random, random-pooled, random-distinct, race, tpe, nsga3 and gp; by default nsga2, nsga2-error, nsga2-pooled, random and
    tpe.
    """
    # Refusals come before the imports, which take seconds.
    if trainings and seconds:
        raise ConfigError("--trainings and --seconds each set the budget of a search; leave one of them out")
    if size and not plot:
        raise ConfigError(f"--size {size} is the size of a plot; add --plot, for instance --plot searchers.pdf")
    if plot:
        from faqnas_optuna.reporting.plotly_front import check_printed

        check_printed(plot)
    from faqnas_optuna.comparison.samplers import DEFAULT, searcher

    # Without duplicates, in the order given: the first is the default reference.
    called = list(dict.fromkeys(searcher(name).name for name in names or DEFAULT))
    reference = called[0] if reference is None else searcher(reference).name
    if reference not in called:
        raise ConfigError(
            f"--reference {reference} is not among the compared algorithms {', '.join(called)}; add --searcher {reference}"
        )
    if not live:
        _check_no_data_options(["data_dir", *data])
    # These import the engine, which is not needed to refuse a wrong name.
    benchmark = _live(table, epochs, data, data_dir) if live else _replayed(table, epochs)
    from faqnas_optuna.comparison.replay import TrainingBudget
    from faqnas_optuna.comparison.report import contest_document, write_contest_plot
    from faqnas_optuna.signals import Signals

    budget = TrainingBudget(seconds=seconds) if seconds else TrainingBudget(trainings=trainings or DEFAULT_TRAININGS)
    # Rules that need the table; those above need only the options.
    _check(benchmark, budget, called)
    with Signals().caught() as signals:
        contest = _run(benchmark, budget, called, searches, workers or cores(), signals)
    if contest is None:
        click.echo("interrupted; nothing was written", err=True)
        return signals.exit_code
    document = contest_document(contest, benchmark, budget, epochs=epochs, reference=reference)
    if plot:
        write_contest_plot(document, plot, Size(size or Size.PAGE))
        report_written(plot)
    if as_json:
        print_json(document)
    else:
        _print(document)
    return 0


def _replayed(table: str, epochs: int) -> "Benchmark":
    """Return the benchmark of a table."""
    from faqnas_optuna.tables.loading import load_table

    # A wrong name is refused before the next import, which loads the engine.
    loaded = load_table(table)
    from faqnas_optuna.comparison.tabular import TabularBenchmark

    return TabularBenchmark(loaded, epochs=epochs)


def _check_no_data_options(names: list[str]) -> None:
    """Refuse options that say how data are read.

    Raises:
        ConfigError: One of them was typed.
    """
    # Options from the environment may be meant for other commands, so they are ignored.
    if typed := [name for name in names if is_typed(name)]:
        option = f"--{typed[0].replace('_', '-')}"
        raise ConfigError(f"{option} says how data are read but a table needs no data; leave it out or add --live")


def _live(dataset: str, epochs: int, data: Mapping[str, Any], data_dir: Path | None) -> "Benchmark":
    """Return the benchmark that trains on a data set or a data file.

    Args:
        data: Options that say how a file is read and split.
    """
    from faqnas_optuna.api.data import DataSource

    # There is no study whose seed the split could take.
    settings = {"epochs": epochs, **data, "split_seed": data["split_seed"] or 0}
    resolved = resolve_settings(dataset, settings, source="options")
    source = DataSource.located(resolved, data_dir)
    from faqnas_optuna.comparison.live import LiveBenchmark

    return LiveBenchmark(resolved.config, source.load(resolved.config))


def _check(benchmark: "Benchmark", budget: "TrainingBudget", names: list[str]) -> None:
    from faqnas_optuna.comparison.samplers import searcher

    if budget.seconds is not None and not benchmark.has_seconds:
        raise ConfigError(
            "the table has no file of training times, FILE.seconds.parquet; give --trainings instead of --seconds"
        )
    for name in names:
        if searcher(name).sampler is None and budget.trainings is None:
            raise ConfigError(f"{name} needs a budget of trainings; give --trainings instead of --seconds, or leave it out")
        # A circuit is judged by trainings that the search has not used.
        if searcher(name).repeats > benchmark.max_trainings:
            raise ConfigError(
                f"{name} uses all {benchmark.seeds} seeds of the table but one must be left to judge with; lower its number"
            )


def _run(
    benchmark: "Benchmark",
    budget: "TrainingBudget",
    names: list[str],
    searches: int,
    processes: int,
    signals: "Signals",
) -> "Contest | None":
    """Run all searches, with progress; return None if a signal ends them."""
    from faqnas_optuna.cli.console import show_work
    from faqnas_optuna.comparison.judging import run_contest

    with signals.giving_up(at_first=True), show_work("compare", "replay", len(names) * searches) as update:
        return run_contest(names, benchmark, budget, searches=searches, processes=processes, on_done=update)
    return None


def _print(document: dict[str, Any]) -> None:
    """Print a table of the algorithms and a sentence for each comparison."""
    from faqnas_optuna.cli.display import print_line, print_prose, print_table
    from faqnas_optuna.comparison.report import sentences
    from faqnas_optuna.reporting.text_tables import TextTable
    from faqnas_optuna.wording import counted

    columns = ["hypervolume", "95 % CI", "of best", "estimated", "optimism", "best", "cheapest", "its FLOPs", "circuits"]
    table = TextTable(names=["searcher"], numbers=columns, last="description")
    for entry in document["searchers"]:
        hypervolume = entry["achieved_hypervolume"]
        table.rows.append(
            (
                entry["name"],
                f"{hypervolume['mean']:.4f}",
                f"{hypervolume['low']:.4f} to {hypervolume['high']:.4f}",
                # A live benchmark has no table of all circuits, so its best possible value is unknown.
                f"{hypervolume['mean'] / document['best']:.3f}" if document["best"] else "",
                f"{entry['estimated_hypervolume']['mean']:.3f}",
                *(f"{entry[name]['mean']:.3f}" for name in ("optimism", "best", "cheapest_within_tolerance")),
                f"{entry['cheapest_within_tolerance_flops']['mean']:,.0f}",
                f"{entry['circuits']['mean']:.0f}",
                entry["description"],
            )
        )
    print_table(table)
    spent = ", ".join(f"{amount:,g} {unit}" for unit, amount in document["budget"].items())
    print_line("")
    best = f" Best possible: {document['best']:.4f}." if document["best"] else ""
    print_prose(
        f"{document['searches']:,} searches per algorithm with a budget of {spent} of {counted(document['epochs'], 'epoch')},"
        f" judged by the test accuracies of trainings that they did not use.{best}"
    )
    print_line(f"Compared with {document['reference']}, by Wilcoxon's signed-rank test with Holm's correction:")
    for sentence in sentences(document):
        print_prose(f"  {sentence}")
