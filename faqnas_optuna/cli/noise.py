"""Finalists under noise: computed when the confirmation is done, and shown below it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click

from faqnas_optuna.cli.console import show_work
from faqnas_optuna.cli.display import print_line, print_prose, print_table, shown_interval
from faqnas_optuna.config import StudyConfig, told_number
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.noise.finalists import check_noise, finalists_among, seeds_of, under_noise
from faqnas_optuna.noise.model import Noise
from faqnas_optuna.noise.report import noise_document, told_overtakings
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.signals import Signals
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.study import load_data
from faqnas_optuna.wording import counted


@dataclass(frozen=True, kw_only=True)
class NoiseEvaluation:
    """What was asked of noise."""

    search: Search
    trials: Sequence[int]
    noise: Noise
    shots: int | None
    data_dir: Path | None
    plot: Path | None
    """Where it is drawn, when it is computed."""

    @classmethod
    def checked(
        cls,
        search: Search,
        candidates: Sequence[Candidate],
        noise: Noise,
        *,
        shots: int | None,
        data_dir: Path | None,
        plot: Path | None,
    ) -> Self:
        """It can be done.

        Raises:
            ConfigError: as `check_noise`.
        """
        check_noise(candidates, noise)
        trials = [candidate.trial for candidate in candidates]
        return cls(search=search, trials=trials, noise=noise, shots=shots, data_dir=data_dir, plot=plot)

    def document(self, confirmation: Confirmation) -> dict[str, Any]:
        """Compute it. An interruption ends the command: what the confirmation has is kept, nothing of this is."""
        with Signals().caught() as signals, signals.giving_up(at_first=True):
            return self._computed(confirmation)
        kept = "the confirmation is kept, and what it is worth under noise is computed anew by the same command"
        click.echo(f"interrupted; {kept}", err=True)
        click.get_current_context().exit(signals.exit_code)

    def print(self, confirmation: Confirmation) -> None:
        """Compute it, show it to a person, and draw it."""
        document = self.document(confirmation)
        _print_noise(document, self.noise, confirmation.config)
        self.draw(document, confirmation)

    def draw(self, document: Mapping[str, Any], confirmation: Confirmation) -> None:
        """Into the file that is named for it, if one is.

        Args:
            document: of it.

        Raises:
            OutputError: it cannot be written.
        """
        if self.plot:
            from faqnas_optuna.noise.figure import write_noise_plot

            write_noise_plot(document, confirmation, self.plot)
            click.echo(f"wrote {self.plot}", err=True)

    def _computed(self, confirmation: Confirmation) -> dict[str, Any]:
        from faqnas_optuna.noise.evaluation import constant_score, noisy_samples

        splits, config = load_data(self.search, self.data_dir), confirmation.config
        planned = sum(len(seeds_of(confirmation, one)) for one in finalists_among(confirmation, self.trials))
        with show_work(f"{confirmation.name} under noise", "network", planned) as on_done:
            found = under_noise(
                confirmation,
                self.trials,
                splits,
                self.noise,
                shots=self.shots,
                engine=self.search.config.engine,
                on_done=on_done,
            )
        part = noisy_samples(splits.test, seed=config.seed)
        constant = constant_score(splits.train, part, config.score)
        return noise_document(found, self.noise, shots=self.shots, samples=len(part), constant=constant, score=config.score)


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
            row = (str(circuit["trial"]), f"{strength:g}", f"{mean:.3f}", shown_interval(interval), cost, told)
            table.rows.append(row)
    return table


def _remarks(document: Mapping[str, Any], noise: Noise) -> Iterator[str]:
    shots = "exact ⟨Z⟩" if document["shots"] is None else counted(document["shots"], "shot")
    yield (
        f"Noise: {document['noise']}, {noise.told}. Trained without noise; {shots} for each of"
        f" {document['test_samples']:,} test samples."
    )
