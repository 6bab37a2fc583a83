"""Finalists under noise: computed when the confirmation is done, and shown below it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from faqnas_optuna.api.confirmation_service import ConfirmationRun, judge_under_noise
from faqnas_optuna.api.data import DataSource
from faqnas_optuna.cli.console import show_work
from faqnas_optuna.cli.display import print_line, print_prose, print_table
from faqnas_optuna.config import StudyConfig, told_number
from faqnas_optuna.noise.model import Noise
from faqnas_optuna.noise.report import told_overtakings
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.signals import Signals
from faqnas_optuna.wording import counted, interval_text


@dataclass(frozen=True, kw_only=True)
class NoiseEvaluation:
    """The scores under noise that were asked for."""

    run: ConfirmationRun
    noise: Noise
    shots: int | None
    data: DataSource
    plot: Path | None
    """File for the figure."""

    def document(self) -> dict[str, Any]:
        """Compute them."""
        return judge_under_noise(
            self.run,
            self.noise,
            shots=self.shots,
            data=self.data,
            catch_signals=lambda: Signals().caught(),
            show_work=partial(show_work, f"{self.run.study.name} under noise", "network"),
        )

    def print(self) -> None:
        """Compute them, show them to a person, and draw them."""
        document = self.document()
        _print_noise(document, self.noise, self.run.study.config)
        self.draw(document)

    def draw(self, document: Mapping[str, Any]) -> None:
        """Draw them into the file that is named for it, if one is.

        Raises:
            OutputError: the file cannot be written.
        """
        if self.plot:
            from faqnas_optuna.noise.figure import write_noise_plot

            write_noise_plot(document, self.run.study, self.plot)
            click.echo(f"wrote {self.plot}", err=True)


def _print_noise(document: Mapping[str, Any], noise: Noise, config: StudyConfig) -> None:
    """A row for each circuit and strength, and what follows.

    Args:
        document: a `noise_document`.
    """
    table = _table(document, config)
    if table.rows:
        print_line("")
        print_table(table)
        print_line("")
    for told in told_overtakings(document["overtakings"], document["noise"]):
        print_prose(told)
    for remark in _remarks(document, noise):
        print_prose(remark)


def _table(document: Mapping[str, Any], config: StudyConfig) -> TextTable:
    score = config.score
    heading = score.of(accuracy="test accuracy", balanced="balanced test accuracy")
    table = TextTable(names=["trial"], numbers=("times the noise", heading, "95 % interval", config.cost_name), last="circuit")
    name = f"test_{score.key}"
    for circuit in document["circuits"]:
        cost, told = told_number(circuit["cost"]), circuit["effective"]
        for strength, mean, interval in zip(document["strengths"], circuit[name], circuit[f"{name}_interval"], strict=True):
            row = (str(circuit["trial"]), f"{strength:g}", f"{mean:.3f}", interval_text(interval), cost, told)
            table.rows.append(row)
    return table


def _remarks(document: Mapping[str, Any], noise: Noise) -> Iterator[str]:
    shots = "exact ⟨Z⟩" if document["shots"] is None else counted(document["shots"], "shot")
    yield (
        f"Noise: {document['noise']}, {noise.told}. Trained without noise; {shots} for each of"
        f" {document['test_samples']:,} test samples."
    )
