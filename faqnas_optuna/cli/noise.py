"""Scores of finalists under noise, computed and reported after their confirmation."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from faqnas_optuna.api.confirmation_service import ConfirmationRun, judge_under_noise
from faqnas_optuna.api.data import DataSource
from faqnas_optuna.cli.console import show_work
from faqnas_optuna.noise.model import Noise
from faqnas_optuna.noise.report import noise_report
from faqnas_optuna.reporting.report import Report
from faqnas_optuna.signals import Signals


@dataclass(frozen=True, kw_only=True)
class NoiseEvaluation:
    """A requested evaluation of finalists under noise."""

    run: ConfirmationRun
    noise: Noise
    shots: int | None
    data: DataSource
    plot: Path | None
    """File of the plot."""

    def report(self) -> Report:
        """Compute the scores and return their report."""
        document = judge_under_noise(
            self.run,
            self.noise,
            shots=self.shots,
            data=self.data,
            catch_signals=lambda: Signals().caught(),
            show_work=partial(show_work, f"{self.run.study.name} under noise", "network"),
        )
        return noise_report(document, self.noise, self.run.study.config)

    def draw(self, document: Mapping[str, Any]) -> None:
        """Plot the scores, if a file is given.

        Raises:
            OutputError: The file cannot be written.
        """
        if self.plot:
            from faqnas_optuna.noise.figure import write_noise_plot

            write_noise_plot(document, self.run.study, self.plot)
            click.echo(f"wrote {self.plot}", err=True)
