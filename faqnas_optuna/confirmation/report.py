"""Report of a confirmation, and of a study that may be a search or a confirmation."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import SIGNIFICANT, confirmation_document
from faqnas_optuna.confirmation.circuit_table import circuits_table, heading_of_test_score
from faqnas_optuna.confirmation.opening import search_of
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.reporting import documents
from faqnas_optuna.reporting.report import BRACKETS, Block, Report, majority_line
from faqnas_optuna.reporting.search_report import search_report
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.study import StoredStudy
from faqnas_optuna.training.scoring import balanced_accuracy
from faqnas_optuna.wording import counted, interval_text, number_text

TRAINING_VALUES = (
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
"""Values in the listing of a confirmation's trial. Learning curves are left out: `confirm --json` has their means."""


def trial_document(study: StoredStudy[Any], number: int) -> dict[str, Any]:
    """Return the stored values of a trial of a search or confirmation.

    Raises:
        StudyNotFoundError: The study has no trial of this number.
    """
    if not isinstance(study, Confirmation):
        return documents.trial_document(search_of(study), number)
    trial = study.trial(number)
    attributes = dict(trial.user_attrs)
    # The balanced accuracy is not stored, since it follows from the confusion matrix.
    if "confusion" in attributes:
        attributes["test_balanced_accuracy"] = balanced_accuracy(attributes["confusion"])
    values = {name: attributes[name] for name in TRAINING_VALUES if name in attributes}
    return documents.trial_head(study, trial) | trial.params | values


def study_report(
    study: StoredStudy[Any],
    *,
    seconds: float,
    checks: list[dict[str, Any]] | None,
    done_before: bool,
    storage_option: str,
) -> Report:
    """Return the report of a search or confirmation, with its results so far.

    The keyword arguments are those of `search_report`.

    Raises:
        NoSuccessfulTrialError: There are no results yet.
    """
    if isinstance(study, Confirmation):
        document = confirmation_document(study) | {"seconds": round(seconds, 3)}
        return Report(document=document, blocks=list(confirmation_blocks(document)))
    state = read_state(search_of(study))
    return search_report(state, seconds=seconds, checks=checks, done_before=done_before, storage_option=storage_option)


def confirmation_blocks(document: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the tables of circuits, controls and classical models, and remarks on them.

    Args:
        document: A `confirmation_document`.
    """
    circuits = document["circuits"]
    score = Score(document["score"])
    for table in (circuits_table(document), _controls(circuits, score), _baselines(document["baselines"], score)):
        # An unfinished confirmation may lack controls or classical models.
        if table.rows:
            yield table
            yield ""
    if any("[" in circuit["effective"] for circuit in circuits):
        yield BRACKETS
    for circuit in circuits:
        yield circuit["message"]
    yield from remarks(document)


def remarks(document: Mapping[str, Any]) -> list[str]:
    """Return sentences on the protocol, the agreement with the search, and trainings that are missing."""
    trainings = document["trainings"]
    seeds = document["repeats"]
    sentences = [
        f"Retrained for {counted(document['epochs'], 'epoch')} (search: {document['search_epochs']}) from"
        f" {counted(seeds, 'new seed')} and evaluated on {document['test_samples']:,} test samples that the search did not use."
        " Optimism is the search estimate minus the test score: positive if the search overestimated the circuit."
    ]
    if document["majority_score"] is not None:
        sentences.append(majority_line(document["majority_score"], Score(document["score"]), "test"))
    if Score(document["score"]) is Score.BALANCED:
        sentences.append("Accuracies are balanced: the mean recall over the classes.")
    tau = document["kendall_tau"]
    if tau is not None:
        sentences.append(
            f"Kendall's tau between the rankings of the {len(document['circuits'])} circuits by the search and by the"
            f" confirmation is {tau:.2f} (1: same order, 0: no relation, −1: reverse order)."
        )
    # One seed gives no p at all.
    if seeds > 1 and any(circuit["controls"] for circuit in document["circuits"]):
        sentences.append(_smallest_p(seeds, len(document["circuits"])))
    by_limit: defaultdict[str, list[str]] = defaultdict(list)
    for name, limit in document["baselines_skipped"].items():
        by_limit[limit].append(name)
    sentences += [f"Skipped {' and '.join(names)}, limited to {limit}." for limit, names in by_limit.items()]
    remaining = trainings["needed"] - trainings["done"] - trainings["failed"]
    if remaining:
        verb = "is" if remaining == 1 else "are"
        sentences.append(f"{remaining:,} of {counted(trainings['needed'], 'training')} {verb} not finished yet.")
    if trainings["failed"]:
        sentences.append(f"{counted(trainings['failed'], 'training')} failed; repeat the command to retry.")
    return sentences


def _smallest_p(seeds: int, circuits: int) -> str:
    """Return a sentence on the smallest p that a number of seeds can give."""
    # The signs of n differences have 2^n equally likely outcomes under the null hypothesis; two of them are the most extreme.
    least = 2.0 ** (1 - seeds)
    # Holm multiplies the smallest of several p by their number.
    corrected = min(circuits * least, 1.0)
    correction = f"{corrected:.4f} with Holm's correction over {counted(circuits, 'circuit')}"
    limits = f"The smallest possible p with {seeds} seeds is {least:.4f}, or {correction}"
    return f"{limits}: too few for significance, use more --repeats." if corrected >= SIGNIFICANT else f"{limits}."


def _controls(circuits: Sequence[Mapping[str, Any]], score: Score) -> TextTable:
    """Return the table of controls, with the comparison of each circuit with its controls."""
    columns = (heading_of_test_score(score), "circuit − control", "95 % CI", "p", "p (Holm)", "rank-biserial", "parameters")
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
    """Return the table of classical models."""
    table = TextTable(names=["classical model"], numbers=(heading_of_test_score(score),), last="parameters")
    for baseline in baselines:
        table.rows.append((baseline["baseline"], f"{baseline[f'test_{score.key}']:.3f}", f"{baseline['parameters']:,}"))
    return table
