"""A confirmation as a person sees it: tables, and a sentence for each circuit."""

from collections.abc import Mapping, Sequence
from typing import Any

from faqnas_optuna.cli.display import BRACKETS, majority_line, print_line, print_prose, print_table
from faqnas_optuna.config import Score
from faqnas_optuna.confirmation.analysis import SIGNIFICANT
from faqnas_optuna.confirmation.plan import LARGEST_SVM
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.wording import counted, interval_text, number_text


def print_confirmation(document: Mapping[str, Any]) -> None:
    """The circuits on the test part, their controls, classical models, and what follows.

    Args:
        document: a `confirmation_document`.
    """
    circuits, score = document["circuits"], Score(document["score"])
    tables = (_circuits(circuits, score), _controls(circuits, score), _baselines(document["baselines"], score))
    for table in tables:
        # One that is begun may not have come to the later ones.
        if table.rows:
            print_table(table)
            print_line("")
    if any("[" in circuit["effective"] for circuit in document["circuits"]):
        print_prose(BRACKETS)
    for circuit in document["circuits"]:
        print_prose(circuit["told"])
    for remark in remarks(document):
        print_prose(remark)


def remarks(document: Mapping[str, Any]) -> list[str]:
    """What to know of all circuits together."""
    done, seeds = document["trainings"], document["seeds"]
    told = [
        f"Trained anew for {counted(document['epochs'], 'epoch')} (the search: {document['search_epochs']}) from"
        f" {counted(seeds, 'seed')}, judged on {document['test_samples']:,} test samples, which the search has not seen."
    ]
    if document["majority_score"] is not None:
        told.append(majority_line(document["majority_score"], Score(document["score"]), "test"))
    if Score(document["score"]) is Score.BALANCED:
        told.append("Accuracies are balanced: the mean of the recalls of the classes.")
    if (tau := document["kendall_tau"]) is not None:
        told.append(
            f"The search and the confirmation rank the {len(document['circuits'])} circuits with a Kendall's tau of {tau:.2f}:"
            " 1 is the same order, 0 none in common, -1 the reverse."
        )
    if seeds > 1 and document["circuits"]:
        told.append(_smallest_p(seeds, len(document["circuits"])))
    if skipped := document["baselines_skipped"]:
        told.append(
            f"Skipped: {' and '.join(skipped)}, whose time grows with the square of the training samples; the maximum is"
            f" {LARGEST_SVM:,}."
        )
    if left := done["needed"] - done["done"] - done["failed"]:
        told.append(f"{counted(left, 'training')} of {done['needed']:,} {'is' if left == 1 else 'are'} not done yet.")
    if done["failed"]:
        told.append(f"{counted(done['failed'], 'training')} failed; the same command tries again.")
    return told


def _smallest_p(seeds: int, circuits: int) -> str:
    """What so many pairs can show at best."""
    least = 2.0 ** (1 - seeds)
    corrected = min(circuits * least, 1.0)
    correction = f"with Holm's correction over {counted(circuits, 'circuit')}"
    told = f"{seeds} seeds can give no p below {least:.4f}, and {correction} none below {corrected:.4f}"
    return f"{told}: too few to show anything, take more --seeds." if corrected >= SIGNIFICANT else f"{told}."


def _circuits(circuits: Sequence[Mapping[str, Any]], score: Score) -> TextTable:
    lost = ["−ln ESP"] if any("neg_log_esp" in circuit for circuit in circuits) else []
    columns = (_heading(score), "95 % interval", "believed", "optimism", *lost, "quantum FLOPs", "live parameters")
    table = TextTable(names=["trial"], numbers=columns, last="circuit")
    for circuit in circuits:
        table.rows.append(
            (
                str(circuit["trial"]),
                f"{circuit[f'test_{score.key}']:.3f}",
                interval_text(circuit[f"test_{score.key}_interval"]),
                f"{circuit[f'val_{score.key}']:.3f}",
                f"{circuit['optimism']:+z.3f}",
                *(f"{circuit['neg_log_esp']:.4f}" for _ in lost),
                f"{circuit['quantum_flops']:,}",
                f"{circuit['parameters']:,}",
                circuit["effective"],
            )
        )
    return table


def _controls(circuits: Sequence[Mapping[str, Any]], score: Score) -> TextTable:
    columns = (_heading(score), "circuit adds", "95 % interval", "p", "p (Holm)", "effect", "parameters")
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
    table = TextTable(names=["classical model"], numbers=(_heading(score),), last="parameters")
    for baseline in baselines:
        table.rows.append((baseline["baseline"], f"{baseline[f'test_{score.key}']:.3f}", f"{baseline['parameters']:,}"))
    return table


def _heading(score: Score) -> str:
    return score.of(accuracy="test accuracy", balanced="balanced test accuracy")
