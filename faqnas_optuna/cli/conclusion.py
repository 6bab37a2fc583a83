"""Messages about the data at the beginning of a command; at its end, the report and the command that continues it."""

from typing import TYPE_CHECKING, Any

import click

from faqnas_optuna.cli.options import storage_option, typed
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.errors import NoSuccessfulTrialError
from faqnas_optuna.signals import Signals

if TYPE_CHECKING:
    from faqnas_optuna.api.running import StudyRun
    from faqnas_optuna.cli.noise import NoiseEvaluation
    from faqnas_optuna.data.splits import DataSplits
    from faqnas_optuna.reporting.report import Report
    from faqnas_optuna.study.stopping import Stop
    from faqnas_optuna.study.study import StoredStudy


def conclude(run: "StudyRun", *, as_json: bool, is_checked: bool = False, noise: "NoiseEvaluation | None" = None) -> int:
    """Print the report of a study; return the exit code.

    Args:
        is_checked: Whether the JSON document has the findings about the data.
        noise: Evaluation of the finalists under noise, to be added to the report.
    """
    from faqnas_optuna.reporting.documents import check_failures
    from faqnas_optuna.storage.outages import DATABASE_ERRORS

    signals = run.signals
    # Before the report: reading it may take seconds, or fail with the database.
    print_interruption(signals, run.command)
    try:
        report = _report(run, is_checked=is_checked)
    except (NoSuccessfulTrialError, *DATABASE_ERRORS):
        if signals.first:
            # After an early interruption there is nothing to show, or no database to ask.
            return signals.exit_code
        raise
    try:
        _print(report, as_json=as_json, noise=None if signals.first else noise)
    except OSError:
        # The same event may have closed the terminal or the reader of a pipe.
        if not signals.first:
            raise
    if not signals.first:
        check_failures(run.study)
    return signals.exit_code


def _report(run: "StudyRun", *, is_checked: bool) -> "Report":
    from faqnas_optuna.confirmation.report import study_report
    from faqnas_optuna.data.findings import relevant

    checks = None
    if is_checked and run.splits is not None:
        checks = [finding.to_json() for finding in relevant(run.splits.findings, run.study.config.score)]
    # Another user may have deleted the study meanwhile.
    with run.study.existing():
        return study_report(
            run.study,
            seconds=run.seconds,
            checks=checks,
            done_before=run.done_before,
            storage_option=storage_option(),
        )


def _print(report: "Report", *, as_json: bool, noise: "NoiseEvaluation | None") -> None:
    """Print a report and then, once computed, the scores under noise."""
    from faqnas_optuna.cli.display import print_blocks

    if not as_json:
        print_blocks(report.blocks)
    # Computed after the report is printed, since it takes minutes; JSON is one document and waits for it.
    under_noise = noise.report() if noise else None
    if as_json:
        print_json({**report.document, **({"noise": under_noise.document} if under_noise else {})})
    elif under_noise:
        print_blocks(under_noise.blocks)
    if noise and under_noise:
        noise.draw(under_noise.document)


def print_findings(config: StudyConfig, splits: "DataSplits", *, is_checked: bool) -> None:
    """Print the findings about data that matter to a study, on stderr."""
    from faqnas_optuna.cli.display import warning
    from faqnas_optuna.data.findings import relevant

    if is_checked:
        for finding in relevant(splits.findings, config.score):
            click.echo(warning(finding.message), err=True)


def print_interruption(signals: Signals, command: str) -> None:
    """Print the command that continues, if a signal ended the work."""
    if signals.first:
        click.echo(f"interrupted; finished trials are kept. Continue with: {typed(command)}", err=True)


def ended(study: "StoredStudy[Any]", stopped: "Stop") -> str:
    """Return a sentence on why a study stopped."""
    from faqnas_optuna.study.stopping import StopReason

    reason = stopped.reason
    verb = "has" if reason is StopReason.FAILURES else "is"
    return f"study {study.name} {verb} {reason.state}: {reason.in_words(study.config.search)}"


def print_detached(study: "StoredStudy[Any]", *, as_json: bool) -> int:
    """Print the command by which workers attach to a study; return the exit code."""
    from faqnas_optuna.confirmation.opening import status_document
    from faqnas_optuna.storage.optuna_internals import storage_of

    # On stderr, so that stdout has nothing but the document.
    click.echo(f"study {study.name} is waiting for workers: {typed(f'worker {study.name}')}", err=True)
    if as_json:
        print_json(status_document(storage_of(study.study), study.name))
    return 0
