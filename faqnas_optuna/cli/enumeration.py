"""The command `enumerate`: train every circuit of the space and write a table."""

import hashlib
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna.api.settings import resolve_settings
from faqnas_optuna.cli.launch import dask_client
from faqnas_optuna.cli.options import (
    dask_option,
    data_dir_option,
    data_options,
    data_set_options,
    fraction_option,
    json_option,
    option,
    split_seed_option,
)
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.cli.ranges import IntRange
from faqnas_optuna.cli.space_options import space_options
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.files import check_directory
from faqnas_optuna.machine import cores
from faqnas_optuna.tables.schema import SUFFIX, seconds_file

if TYPE_CHECKING:
    from distributed import Client

    from faqnas_optuna.data.loading import Files
    from faqnas_optuna.data.splits import DataSplits
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.tables.enumeration import HandOut
    from faqnas_optuna.tables.plan import TablePlan


@click.command("enumerate")
@data_set_options
@data_options
@space_options
@split_seed_option
# Without variables: FAQNAS_EPOCHS and FAQNAS_REPEATS are settings of a search.
@click.option("--epochs", type=IntRange(1, 100_000), default=50, show_default=True, help="Passes over the training data.")
@click.option(
    "--repeats", type=IntRange(1, 1000), default=10, show_default=True, help="Trainings per circuit, each from its own seed."
)
@fraction_option
@option("--workers", type=IntRange(1, 1024), help="Number of processes, of one thread each.  [default: one per core]")
@dask_option
@option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: NAME.table.parquet]")
@data_dir_option
@json_option
def enumerate_space(
    dataset: str | None,
    epochs: int,
    repeats: int,
    fraction: float,
    workers: int | None,
    dask: str | None,
    out: Path | None,
    data_dir: Path | None,
    as_json: bool,
    **settings: Any,
) -> int:
    """Train every circuit of the space and write a table.

    The table has the scores and costs of each circuit on DATASET.

    Each circuit is trained from the same seeds and scored after 1, 2, 5, 10, 20 and 50 epochs. Circuits with the same effective
    gates are trained once. After an interruption the same command continues; the finished table does not depend on it.
    """
    # No URL: the cluster returns its results to this process and needs no database.
    client = dask_client(dask, None, processes=workers)
    from faqnas_optuna.api.data import DataSource
    from faqnas_optuna.study.study import default_name

    # Without a study there is no seed whose value the split could take.
    settings["split_seed"] = settings["split_seed"] or 0
    resolved = resolve_settings(dataset, {"epochs": epochs, **settings}, source="options")
    config = resolved.config
    file = _checked(out or Path(f"{default_name(config.dataset)}.table{SUFFIX}"), resolved.files)
    data = DataSource.located(resolved, data_dir)
    from faqnas_optuna.cli.console import messages
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.tables.enumeration import RESUME_HINT
    from faqnas_optuna.tables.plan import TablePlan, circuits_within
    from faqnas_optuna.training.limits import Limits

    with messages():
        splits = data.load(config)
        circuits = circuits_within(Limits.of(config, splits))
        plan = TablePlan.of(config, seeds=repeats, fraction=fraction, among=circuits)
        started = time.perf_counter()
        with Signals().caught() as signals:
            # The same plan continues from the parts of an earlier run.
            _make(plan, splits, file, signals, workers=workers or cores(), client=client)
        if signals.first:
            click.echo(f"interrupted. {RESUME_HINT}", err=True)
            return signals.exit_code
        _print_summary(plan, file, seconds=time.perf_counter() - started, as_json=as_json)
    return 0


def _checked(file: Path, files: "Files | None") -> Path:
    """Return the file after checking that a table can be written to it."""
    if file.suffix != SUFFIX:
        raise ConfigError(f"a table is a Parquet file, so --out must end with {SUFFIX}; it is {file}")
    check_directory(file)
    # With a data file in Parquet, `--out` could overwrite it.
    if files and files.data and file.resolve() == files.data.resolve():
        raise ConfigError(f"{file} is the data file; give another --out")
    return file


def _make(
    plan: "TablePlan", splits: "DataSplits", file: Path, signals: "Signals", *, workers: int, client: "Client | None"
) -> None:
    from faqnas_optuna.cli.console import show_work
    from faqnas_optuna.tables.enumeration import make_table

    # Both functions have one signature, so `make_table` does not know where trainings run.
    hand_out: HandOut
    if client:
        from faqnas_optuna.workers.cluster import shared_out_on

        hand_out = partial(shared_out_on, client)
    else:
        from faqnas_optuna.workers.pool import shared_out

        hand_out = partial(shared_out, processes=workers)
    # Finished trainings are in a folder beside the table, so the first signal may interrupt.
    with signals.giving_up(at_first=True), show_work(splits.name, "training", plan.trainings) as update:
        make_table(plan, splits, file, hand_out, on_done=update)


def _print_summary(plan: "TablePlan", file: Path, *, seconds: float, as_json: bool) -> None:
    """Print a summary of the table."""
    from faqnas_optuna.wording import counted

    # Read again: the digest is that of the file as it is on disk.
    content = file.read_bytes()
    document = {
        "schema_version": 1,
        "file": str(file),
        "seconds_file": str(seconds_file(file)),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "dataset": plan.config.dataset,
        "circuits": len(plan.effective_of),
        "trained": len(plan.circuits),
        "repeats": plan.seeds,
        "epochs": plan.config.training.epochs,
        "trainings": plan.trainings,
        "seconds": round(seconds, 3),
    }
    if as_json:
        print_json(document)
        return
    click.echo(
        f"{file}: {document['circuits']:,} circuits, {document['trained']:,} of them trained from {counted(plan.seeds, 'seed')}"
    )
    click.echo(f"{document['bytes']:,} bytes, SHA-256 {document['sha256']}")
