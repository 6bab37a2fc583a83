"""The end of a run: what it has found is printed."""

from typing import TYPE_CHECKING

from faqnas_optuna.cli.launch import print_interruption, print_json
from faqnas_optuna.cli.options import storage_option
from faqnas_optuna.errors import NoSuccessfulTrialError

if TYPE_CHECKING:
    from faqnas_optuna.api.running import StudyRun
    from faqnas_optuna.cli.noise import NoiseEvaluation


def conclude(run: "StudyRun", *, as_json: bool, is_checked: bool = False, noise: "NoiseEvaluation | None" = None) -> int:
    """Print what was found; the exit code.

    Args:
        is_checked: whether the JSON document has the findings about the data.
        noise: under which its finalists are judged then.
    """
    from faqnas_optuna.cli.confirmation_tables import print_confirmation
    from faqnas_optuna.cli.display import print_front, print_outlook
    from faqnas_optuna.confirmation.analysis import confirmation_document
    from faqnas_optuna.confirmation.study import Confirmation
    from faqnas_optuna.data.checks import relevant
    from faqnas_optuna.reporting.documents import check_failures, start_document
    from faqnas_optuna.storage.outages import DATABASE_ERRORS
    from faqnas_optuna.study.state import read_state

    study, signals = run.study, run.signals
    print_interruption(signals, run.command)
    checks = None
    if is_checked and run.splits is not None:
        checks = [finding.to_json() for finding in relevant(run.splits.findings, study.config.score)]
    try:
        with study.existing():
            state = read_state(study)
            if isinstance(study, Confirmation):
                document = confirmation_document(study) | {"seconds": round(run.seconds, 3)}
            else:
                document = start_document(state, seconds=run.seconds, checks=checks)
    except (NoSuccessfulTrialError, *DATABASE_ERRORS):
        if signals.first:
            # Nothing to show, or no database to ask.
            return signals.exit_code
        raise
    try:
        if signals.first:
            noise = None
        if as_json and noise:
            under_noise = noise.document()
            print_json(document | {"noise": under_noise})
            noise.draw(under_noise)
        elif as_json:
            print_json(document)
        elif isinstance(study, Confirmation):
            print_confirmation(document)
            if noise:
                noise.print()
        else:
            print_front(state.front, study.description)
            print_outlook(state, document, done_before=run.done_before, storage_option=storage_option())
    except OSError:
        # What has interrupted us may have closed the terminal, or the reader of a pipe, too.
        if not signals.first:
            raise
    if not signals.first:
        check_failures(study)
    return signals.exit_code
