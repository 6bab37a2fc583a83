"""The end of a run: its report is printed."""

from typing import TYPE_CHECKING

from faqnas_optuna.cli.launch import print_interruption
from faqnas_optuna.cli.options import storage_option
from faqnas_optuna.cli.output import print_json
from faqnas_optuna.errors import NoSuccessfulTrialError

if TYPE_CHECKING:
    from faqnas_optuna.api.running import StudyRun
    from faqnas_optuna.cli.noise import NoiseEvaluation
    from faqnas_optuna.reporting.report import Report


def conclude(run: "StudyRun", *, as_json: bool, is_checked: bool = False, noise: "NoiseEvaluation | None" = None) -> int:
    """Print the report of a study; return the exit code.

    Args:
        is_checked: whether the JSON document has the findings about the data.
        noise: under which its finalists are judged then.
    """
    from faqnas_optuna.reporting.documents import check_failures
    from faqnas_optuna.storage.outages import DATABASE_ERRORS

    signals = run.signals
    print_interruption(signals, run.command)
    try:
        report = _report(run, is_checked=is_checked)
    except (NoSuccessfulTrialError, *DATABASE_ERRORS):
        if signals.first:
            # Nothing to show, or no database to ask.
            return signals.exit_code
        raise
    try:
        _print(report, as_json=as_json, noise=None if signals.first else noise)
    except OSError:
        # What has interrupted us may have closed the terminal, or the reader of a pipe, too.
        if not signals.first:
            raise
    if not signals.first:
        check_failures(run.study)
    return signals.exit_code


def _report(run: "StudyRun", *, is_checked: bool) -> "Report":
    from faqnas_optuna.confirmation.report import study_report
    from faqnas_optuna.data.checks import relevant

    checks = None
    if is_checked and run.splits is not None:
        checks = [finding.to_json() for finding in relevant(run.splits.findings, run.study.config.score)]
    with run.study.existing():
        return study_report(
            run.study,
            seconds=run.seconds,
            checks=checks,
            done_before=run.done_before,
            storage_option=storage_option(),
        )


def _print(report: "Report", *, as_json: bool, noise: "NoiseEvaluation | None") -> None:
    """Print a report, and what noise does to its circuits, which is computed meanwhile."""
    from faqnas_optuna.cli.display import print_blocks

    if not as_json:
        print_blocks(report.blocks)
    under_noise = noise.report() if noise else None
    if as_json:
        print_json({**report.document, **({"noise": under_noise.document} if under_noise else {})})
    elif under_noise:
        print_blocks(under_noise.blocks)
    if noise and under_noise:
        noise.draw(under_noise.document)
