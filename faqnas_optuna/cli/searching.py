"""The search that `start`, `resume` and `confirm` run, in this process, beside others or on a cluster, and its end."""

import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.cli.options import WorkerTimeouts, storage_option
from faqnas_optuna.errors import NoSuccessfulTrialError

if TYPE_CHECKING:
    from distributed import Client

    from faqnas_optuna.cli.noise import NoiseEvaluation
    from faqnas_optuna.data.splits import DataSplits
    from faqnas_optuna.signals import Signals
    from faqnas_optuna.study.study import StoredStudy

from faqnas_optuna.cli.launch import at_work, print_json, reporting


def run_search(
    search: "StoredStudy[Any]",
    splits: "DataSplits",
    url: str,
    survival: WorkerTimeouts,
    *,
    workers: int,
    client: "Client | None",
    data_dir: Path | None,
    as_json: bool,
    is_checked: bool = False,
    noise: "NoiseEvaluation | None" = None,
) -> int:
    """Run workers of the study, this process among them or all on a cluster, until it stops; then print what was found.

    Args:
        is_checked: whether the JSON document has the findings about the data.
        noise: under which its finalists are judged then.
    """
    from faqnas_optuna.data.checks import relevant

    started = time.perf_counter()
    with at_work(search.continuation(), url, study=search.name) as signals:
        if client is None:
            _run_here(search, splits, url, survival, signals, workers=workers, data_dir=data_dir)
        else:
            _run_on_cluster(search, url, survival, signals, workers=workers, client=client, data_dir=data_dir)
    seconds = time.perf_counter() - started
    checks = [finding.to_json() for finding in relevant(splits.findings, search.config.score)] if is_checked else None
    return conclude(search, signals, seconds=seconds, as_json=as_json, checks=checks, noise=noise)


def _run_here(
    search: "StoredStudy[Any]",
    splits: "DataSplits",
    url: str,
    survival: WorkerTimeouts,
    signals: "Signals",
    *,
    workers: int,
    data_dir: Path | None,
) -> None:
    """Run trials in this process, and in those of the other workers."""
    from faqnas_optuna.cli.console import error_console, is_moving_terminal, print_message, show_progress
    from faqnas_optuna.workers.extra import extra_workers
    from faqnas_optuna.workers.loop import run

    # The URL may hold a password, which the arguments of a process would show to every user of the machine.
    environment = {"FAQNAS_STORAGE": url, "FAQNAS_STORAGE_FILE": "", **survival.environment}
    if data_dir:
        environment["FAQNAS_DATA_DIR"] = str(data_dir)
    # Around a bar that moves, not through it. A file gets what they say even after the end of this process.
    say = print_message if is_moving_terminal(error_console()) else None
    work = partial(_run_beside, search.name, splits, url, survival)
    with (
        # Before the bar: its thread would rule out a fork.
        extra_workers(workers - 1, search, signals, work=work, environment=environment, on_message=say),
        show_progress() as update,
    ):
        run(
            search,
            splits,
            signals,
            on_trial=lambda state: update(search.progress(state)),
            database_timeout_s=survival.database_timeout_s,
        )


def _run_beside(name: str, splits: "DataSplits", url: str, survival: WorkerTimeouts, file: int) -> int:
    """Run trials in a process forked from that of `_run_here`, as `worker --quiet --listen` does in one started anew.

    Args:
        file: the descriptor by which that process reports its signals.

    Returns:
        The exit code.
    """
    from faqnas_optuna.cli.console import forget_console
    from faqnas_optuna.cli.exits import exit_code_of
    from faqnas_optuna.confirmation.opening import open_study
    from faqnas_optuna.signals import AskedToLeaveError
    from faqnas_optuna.storage.opening import disconnect, open_for_work
    from faqnas_optuna.workers.loop import run

    forget_console()

    def work() -> int:
        with (
            reporting(url, quiet=True),
            at_work(f"worker {name}", url, study=name, quiet=True) as signals,
            suppress(AskedToLeaveError),
        ):
            signals.listen(file)
            opened = open_for_work(url, signals, timeout_s=survival.database_timeout_s, grace_s=survival.grace_s)
            search = open_study(opened, name)
            try:
                run(search, splits, signals, on_trial=lambda _: None, database_timeout_s=survival.database_timeout_s)
            finally:
                # A forked process ends without the interpreter's clearing up.
                disconnect(search.study)
        return signals.exit_code

    return exit_code_of(work)


def _run_on_cluster(
    search: "StoredStudy[Any]",
    url: str,
    survival: WorkerTimeouts,
    signals: "Signals",
    *,
    workers: int,
    client: "Client",
    data_dir: Path | None,
) -> None:
    """Run trials on a Dask cluster, and follow them from this process."""
    from faqnas_optuna.cli.console import show_progress
    from faqnas_optuna.signals import AskedToLeaveError
    from faqnas_optuna.workers.cluster import dask_workers, watch

    settings = {"storage_url": url, "data_dir": data_dir, **asdict(survival)}
    with (
        show_progress() as update,
        dask_workers(client, workers, search, signals, **settings) as crew,
        suppress(AskedToLeaveError),
    ):
        watch(crew, search, signals, on_look=lambda state: update(search.progress(state)))


def conclude(
    search: "StoredStudy[Any]",
    signals: "Signals",
    *,
    seconds: float = 0,
    done_before: bool = False,
    as_json: bool,
    checks: list[dict[str, Any]] | None = None,
    noise: "NoiseEvaluation | None" = None,
) -> int:
    """Print what was found; the exit code.

    Args:
        seconds: what was spent on it now.
        done_before: whether it had ended before.
        checks: the findings about the data; None if they were not checked.
        noise: as `run_search` has it.
    """
    from faqnas_optuna.cli.confirmation_tables import print_confirmation
    from faqnas_optuna.cli.display import print_front, print_outlook
    from faqnas_optuna.confirmation.analysis import confirmation_document
    from faqnas_optuna.confirmation.study import Confirmation
    from faqnas_optuna.reporting.documents import check_failures, start_document
    from faqnas_optuna.storage.outages import DATABASE_ERRORS
    from faqnas_optuna.study.state import read_state

    try:
        with search.existing():
            state = read_state(search)
            if isinstance(search, Confirmation):
                document = confirmation_document(search) | {"seconds": round(seconds, 3)}
            else:
                document = start_document(state, seconds=seconds, checks=checks)
    except (NoSuccessfulTrialError, *DATABASE_ERRORS):
        if signals.first:
            # Nothing to show, or no database to ask.
            return signals.exit_code
        raise
    try:
        if signals.first:
            noise = None
        if as_json and noise and isinstance(search, Confirmation):
            under_noise = noise.document(search)
            print_json(document | {"noise": under_noise})
            noise.draw(under_noise, search)
        elif as_json:
            print_json(document)
        elif isinstance(search, Confirmation):
            print_confirmation(document)
            if noise:
                noise.print(search)
        else:
            print_front(state.front, config=search.config, majority_score=document["majority_score"])
            print_outlook(state, document, done_before=done_before, storage_option=storage_option())
    except OSError:
        # What has interrupted us may have closed the terminal, or the reader of a pipe, too.
        if not signals.first:
            raise
    if not signals.first:
        check_failures(search)
    return signals.exit_code
