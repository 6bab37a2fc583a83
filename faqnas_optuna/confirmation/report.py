"""Reports on a confirmation, and on a study of either kind."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import SIGNIFICANT, confirmation_document
from faqnas_optuna.confirmation.circuit_table import circuits_table, heading_of_test_score
from faqnas_optuna.confirmation.opening import search_of
from faqnas_optuna.confirmation.plan import LARGEST_SVM
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.reporting import documents
from faqnas_optuna.reporting.report import BRACKETS, Block, Report, majority_line
from faqnas_optuna.reporting.search_report import search_report
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.scoring import balanced_accuracy
from faqnas_optuna.wording import counted, interval_text, number_text

TRAINING = (
    "network",
    "test_accuracy",
    "test_balanced_accuracy",
    "validation_accuracy",
    "validation_balanced_accuracy",
    "confusion",
    "parameters",
    "seconds",
    "worker",
)
"""What is shown of a training of a confirmation."""


def trial_document(study: StoredStudy[Any], number: int) -> dict[str, Any]:
    """Return everything that is stored of a trial.

    Raises:
        StudyNotFoundError: the study has no trial of this number.
    """
    if not isinstance(study, Confirmation):
        return documents.trial_document(search_of(study), number)
    trial = study.trial(number)
    values = dict(trial.user_attrs)
    if "confusion" in values:
        values["test_balanced_accuracy"] = balanced_accuracy(values["confusion"])
    shown = {name: values[name] for name in TRAINING if name in values}
    return documents.trial_head(study, trial) | trial.params | shown


def study_report(
    study: StoredStudy[Any],
    *,
    seconds: float,
    checks: list[dict[str, Any]] | None,
    done_before: bool,
    storage_option: str,
) -> Report:
    """Return what a study has found so far; the arguments as `search_report` has them.

    Raises:
        NoSuccessfulTrialError: nothing yet.
    """
    if isinstance(study, Confirmation):
        document = confirmation_document(study) | {"seconds": round(seconds, 3)}
        return Report(document=document, blocks=list(confirmation_blocks(document)))
    state = read_state(search_of(study))
    return search_report(state, seconds=seconds, checks=checks, done_before=done_before, storage_option=storage_option)


def confirmation_blocks(document: Mapping[str, Any]) -> Iterator[Block]:
    """Return the circuits on the test part, their controls, classical models, and what follows.

    Args:
        document: a `confirmation_document`.
    """
    circuits, score = document["circuits"], Score(document["score"])
    for table in (circuits_table(document), _controls(circuits, score), _baselines(document["baselines"], score)):
        # One that is begun may not have come to the later ones.
        if table.rows:
            yield table
            yield ""
    if any("[" in circuit["effective"] for circuit in circuits):
        yield BRACKETS
    for circuit in circuits:
        yield circuit["message"]
    yield from remarks(document)


def remarks(document: Mapping[str, Any]) -> list[str]:
    """Return what to know of all circuits together."""
    done, seeds = document["trainings"], document["repeats"]
    sentences = [
        f"Trained anew for {counted(document['epochs'], 'epoch')} (the search: {document['search_epochs']}) from"
        f" {counted(seeds, 'seed')}, judged on {document['test_samples']:,} test samples, which the search has not seen."
    ]
    if document["majority_score"] is not None:
        sentences.append(majority_line(document["majority_score"], Score(document["score"]), "test"))
    if Score(document["score"]) is Score.BALANCED:
        sentences.append("Accuracies are balanced: the mean of the recalls of the classes.")
    if (tau := document["kendall_tau"]) is not None:
        sentences.append(
            f"The search and the confirmation rank the {len(document['circuits'])} circuits with a Kendall's tau of {tau:.2f}:"
            " 1 is the same order, 0 none in common, -1 the reverse."
        )
    if seeds > 1 and document["circuits"]:
        sentences.append(_smallest_p(seeds, len(document["circuits"])))
    if skipped := document["baselines_skipped"]:
        sentences.append(
            f"Skipped: {' and '.join(skipped)}, whose time grows with the square of the training samples; the maximum is"
            f" {LARGEST_SVM:,}."
        )
    if left := done["needed"] - done["done"] - done["failed"]:
        sentences.append(f"{counted(left, 'training')} of {done['needed']:,} {'is' if left == 1 else 'are'} not done yet.")
    if done["failed"]:
        sentences.append(f"{counted(done['failed'], 'training')} failed; the same command tries again.")
    return sentences


def _smallest_p(seeds: int, circuits: int) -> str:
    """Return the smallest p that a number of pairs can give."""
    least = 2.0 ** (1 - seeds)
    corrected = min(circuits * least, 1.0)
    correction = f"with Holm's correction over {counted(circuits, 'circuit')}"
    told = f"{seeds} seeds can give no p below {least:.4f}, and {correction} none below {corrected:.4f}"
    return f"{told}: too few to show anything, take more --repeats." if corrected >= SIGNIFICANT else f"{told}."


def _controls(circuits: Sequence[Mapping[str, Any]], score: Score) -> TextTable:
    columns = (heading_of_test_score(score), "circuit adds", "95 % CI", "p", "p (Holm)", "effect", "parameters")
    table = TextTable(names=["trial", "control"], numbers=columns, last="network")
    for circuit in circuits:
        for control in circuit["controls"]:
            table.rows.append(
                (
                    str(circuit["trial"]),
                    control["model"],
                    f"{control[f'test_{score.key}']:.3f}",
                    number_text(control["difference"], "+z.3f"),
                    interval_text(control["difference_interval"]),
                    number_text(control["p"], ".3f"),
                    number_text(control["p_holm"], ".3f"),
                    number_text(control["rank_biserial"], "+z.2f"),
                    f"{control['parameters']:,}",
                    control["network"],
                )
            )
    return table


def _baselines(baselines: Sequence[Mapping[str, Any]], score: Score) -> TextTable:
    table = TextTable(names=["classical model"], numbers=(heading_of_test_score(score),), last="parameters")
    for baseline in baselines:
        table.rows.append((baseline["baseline"], f"{baseline[f'test_{score.key}']:.3f}", f"{baseline['parameters']:,}"))
    return table
