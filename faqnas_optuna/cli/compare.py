"""The command that holds searchers against each other on a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.cli.options import cores, data_dir_option, data_options, is_typed, json_option, option, split_seed_option
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.cli.ranges import FloatRange, IntRange
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.reporting.sizes import Size

if TYPE_CHECKING:
    from faqnas_optuna.comparison.benchmark import Benchmark
    from faqnas_optuna.comparison.judging import Contest
    from faqnas_optuna.comparison.replay import TrainingBudget
    from faqnas_optuna.signals import Signals

DEFAULT_TRAININGS = 160
"""Those of the paper's search: eight generations of twenty."""


@click.command()
@click.argument("table", metavar="TABLE")
@option("--searcher", "names", multiple=True, metavar="NAME[:R]", help="One of them, with R trainings a circuit; repeatable.")
@option("--trainings", type=IntRange(1, 100_000), help="What each search may spend.  [default: 160]")
@option("--seconds", type=FloatRange(0, min_open=True), help="The same in seconds of training, by the table's clock.")
@option("--searches", type=IntRange(2, 1000), default=20, show_default=True, help="Searches of each searcher.")
# Without a variable: FAQNAS_EPOCHS is that of a search.
@click.option("--epochs", type=IntRange(1, 100_000), default=5, show_default=True, help="Of each training.")
@option("--reference", metavar="NAME", help="The searcher that the others are held against.  [default: the first]")
@option("--live", is_flag=True, help="Train instead of looking up; TABLE is then any data set, or a file of data.")
@data_options
@split_seed_option
@data_dir_option
@option("--workers", type=IntRange(1, 1024), help="Processes.  [default: one for each core]")
# Without a variable: one that is set would make every call write files.
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw them to FILE.png, .pdf or .svg.")
@click.option("--size", type=click.Choice([size.value for size in Size]), help="Of the plot.  [default: page]")
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

    TABLE is a data set whose table comes with the program, or a file of `enumerate`. Each searches anew twenty times, and pays
    for the trainings that it looks up, or with --live does. The fronts that it believes in are judged by the test accuracies of
    trainings that it has not seen. Searchers are nsga2 (the paper's), nsga2-error, nsga2-pooled, random, random-pooled, random-
    distinct, tpe, nsga3 and gp; without --searcher nsga2, nsga2-error, nsga2-pooled, random and tpe.
    """
    if trainings and seconds:
        raise ConfigError("--trainings and --seconds each say what a search may spend; leave one of them out")
    if size and not plot:
        raise ConfigError(f"--size {size} is that of a figure; name its file too, as --plot searchers.pdf")
    if plot:
        from faqnas_optuna.reporting.plotly_front import check_printed

        check_printed(plot)
    from faqnas_optuna.comparison.samplers import DEFAULT, searcher

    called = list(dict.fromkeys(searcher(name).name for name in names or DEFAULT))
    reference = called[0] if reference is None else searcher(reference).name
    if reference not in called:
        raise ConfigError(f"--reference {reference} is none of the searchers {', '.join(called)}; name it with --searcher too")
    if not live:
        _check_no_data_options(["data_dir", *data])
    # They bring the engine: a wrong name is refused without.
    benchmark = _live(table, epochs, data, data_dir) if live else _replayed(table, epochs)
    from faqnas_optuna.comparison.replay import TrainingBudget
    from faqnas_optuna.comparison.report import contest_document, write_contest_plot
    from faqnas_optuna.signals import Signals

    budget = TrainingBudget(seconds=seconds) if seconds else TrainingBudget(trainings=trainings or DEFAULT_TRAININGS)
    _check(benchmark, budget, called)
    with Signals().caught() as signals:
        contest = _run(benchmark, budget, called, searches, workers or cores(), signals)
    if contest is None:
        click.echo("interrupted; nothing was written", err=True)
        return signals.exit_code
    document = contest_document(contest, benchmark, budget, epochs=epochs, reference=reference)
    if plot:
        write_contest_plot(document, plot, Size(size or Size.PAGE))
        click.echo(f"wrote {plot}", err=True)
    if as_json:
        print_json(document)
    else:
        _print(document)
    return 0


def _replayed(table: str, epochs: int) -> "Benchmark":
    """A table."""
    from faqnas_optuna.tables.loading import load_table

    found = load_table(table)
    from faqnas_optuna.comparison.tabular import TabularBenchmark

    return TabularBenchmark(found, epochs=epochs)


def _check_no_data_options(names: list[str]) -> None:
    """Refuse options that say how data are read, where nothing is trained.

    Raises:
        ConfigError: one of them was typed.
    """
    if typed := [name for name in names if is_typed(name)]:
        option = f"--{typed[0].replace('_', '-')}"
        raise ConfigError(f"{option} says how data are read, and a table has its data; leave it out, or add --live")


def _live(dataset: str, epochs: int, data: Mapping[str, Any], data_dir: Path | None) -> "Benchmark":
    """Return trainings on a data set, or on a file of data.

    Args:
        data: options that say how a file is read and split.
    """
    from faqnas_optuna.api.data import DataSource

    settings = {"epochs": epochs, **data, "split_seed": data["split_seed"] or 0}
    resolved = resolve_settings(dataset, settings, source="options")
    source = DataSource.located(resolved, data_dir)
    from faqnas_optuna.comparison.live import LiveBenchmark

    return LiveBenchmark(resolved.config, source.load(resolved.config))


def _check(benchmark: "Benchmark", budget: "TrainingBudget", names: list[str]) -> None:
    from faqnas_optuna.comparison.samplers import searcher

    if budget.seconds is not None and not benchmark.has_seconds:
        raise ConfigError("the table has no seconds beside it, in FILE.seconds.parquet; give --trainings instead")
    for name in names:
        if searcher(name).repeats >= benchmark.seeds:
            raise ConfigError(
                f"{name} takes all {benchmark.seeds} seeds of the table, and one must be left to judge by; lower it"
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
    """The searchers as a table, and the comparisons in words."""
    from faqnas_optuna.cli.display import print_line, print_prose, print_table
    from faqnas_optuna.comparison.report import sentences
    from faqnas_optuna.reporting.text_tables import TextTable
    from faqnas_optuna.wording import counted

    columns = ["hypervolume", "95 % CI", "of best", "estimated", "optimism", "best", "cheapest", "its FLOPs", "circuits"]
    table = TextTable(names=["searcher"], numbers=columns, last="description")
    for found in document["searchers"]:
        hypervolume = found["achieved_hypervolume"]
        table.rows.append(
            (
                found["name"],
                f"{hypervolume['mean']:.4f}",
                f"{hypervolume['low']:.4f} to {hypervolume['high']:.4f}",
                f"{hypervolume['mean'] / document['best']:.3f}" if document["best"] else "",
                f"{found['estimated_hypervolume']['mean']:.3f}",
                *(f"{found[name]['mean']:.3f}" for name in ("optimism", "best", "cheapest_within_tolerance")),
                f"{found['cheapest_within_tolerance_flops']['mean']:,.0f}",
                f"{found['circuits']['mean']:.0f}",
                found["description"],
            )
        )
    print_table(table)
    spent = ", ".join(f"{amount:,g} {unit}" for unit, amount in document["budget"].items())
    print_line("")
    best = f" All circuits together: {document['best']:.4f}." if document["best"] else ""
    print_prose(
        f"{document['searches']:,} searches of each with {spent}, after {counted(document['epochs'], 'epoch')},"
        f" judged by test accuracies that they have not seen.{best}"
    )
    print_line(f"Held against {document['reference']}, by Wilcoxon's test with Holm's correction:")
    for sentence in sentences(document):
        print_prose(f"  {sentence}")
