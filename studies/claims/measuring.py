"""The claims of the paper (FAQNAS, arXiv 2511.10062), their measurement on a table, and the verdict on each.

A verdict follows from a number, its 95 % interval and a bound: a claim *holds* if the whole interval satisfies the bound, *does
not hold* if no part of it does, and is *undecided* otherwise. This module defines all bounds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna import DataSplits, Table
from faqnas_optuna.comparison.judging import Contest
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.tables.space import all_circuits
from studies.claims.crossfit import Agreement, CircuitsByCost, Saturation, agreements, saturation
from studies.claims.decomposition import Decomposition, Genomes, decompose
from studies.claims.failures import Failures, failures
from studies.claims.intervals import Interval
from studies.claims.savings import Saving, saving

FEW = 5
"""Number of epochs in the paper."""
FEWER = (FEW, 20)
"""Numbers of epochs that are compared with the maximum of a table."""
FEWEST_SEEDS = 3
"""Minimum number of seeds: the jackknife leaves one out, one selects, one judges."""


class Verdict(StrEnum):
    """Verdict on a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "undecided"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Results of a table after a number of epochs."""

    epochs: int
    decomposition: Decomposition
    saturation: Saturation
    saving: Saving
    failures: Failures
    agreement: Agreement | None
    """Agreement with selections after the maximum number of epochs; None if `epochs` is the maximum."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Complete results of a table."""

    after: tuple[Measured, ...]
    agreements: Mapping[int, Agreement]
    """Agreement with selections after the maximum number of epochs, by smaller numbers."""
    prices: NDArray[np.int64]
    """(prices,) distinct quantum FLOPs of circuits, ascending: the axis of the curves in `after`."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Claim of the paper, or a consequence of one."""

    number: str
    statement: str
    rule: str
    """Condition under which it holds."""
    verdict: Callable[[Measured], Verdict | None]
    """Verdict on the results; None where the claim does not apply."""


def at_least(interval: Interval, bound: float) -> Verdict:
    """Return the verdict on `value >= bound`.

    >>> at_least(Interval(value=0.4, low=0.2, high=0.6), 0.3)
    <Verdict.OPEN: 'undecided'>
    """
    if interval.low >= bound:
        return Verdict.HOLDS
    return Verdict.FAILS if interval.high < bound else Verdict.OPEN


def at_most(interval: Interval, bound: float) -> Verdict:
    """Return the verdict on `value <= bound`."""
    # Negation swaps the ends of the interval.
    return at_least(Interval(value=-interval.value, low=-interval.high, high=-interval.low), -bound)


def below(interval: Interval, bound: float) -> Verdict:
    """Return the verdict on `value < bound`."""
    # The opposite of `at_least`.
    return {Verdict.HOLDS: Verdict.FAILS, Verdict.FAILS: Verdict.HOLDS}.get(at_least(interval, bound), Verdict.OPEN)


def all_of(*verdicts: Verdict) -> Verdict:
    """Return the verdict on all claims together."""
    # One that fails decides, whatever the open ones would turn out to be.
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    return Verdict.OPEN if Verdict.OPEN in verdicts else Verdict.HOLDS


CLAIMS = (
    Claim(
        number="1a",
        statement="Circuits with more quantum FLOPs are more accurate",
        rule="the correlation of log₁₀ FLOPs with true accuracy is at least 0.3",
        verdict=lambda measured: at_least(measured.decomposition.flops, 0.3),
    ),
    Claim(
        number="1b",
        statement="… also among circuits with the same number of qubits",
        rule="the partial correlation given the number of qubits is at least 0.1",
        verdict=lambda measured: at_least(measured.decomposition.beyond_qubits, 0.1),
    ),
    Claim(
        number="1c",
        statement="FLOPs predict accuracy beyond the genes from which they are counted",
        rule="the partial correlation given qubits, embedding, entangler and depth is at least 0.1",
        verdict=lambda measured: at_least(measured.decomposition.beyond_genes, 0.1),
    ),
    Claim(
        number="2",
        statement="Classical FLOPs stay fixed while quantum FLOPs raise accuracy",
        rule="the most expensive circuit of a front has at most 1.1 times the classical FLOPs of the cheapest",
        verdict=lambda measured: at_most(measured.saturation.classical_ratio, 1.1),
    ),
    Claim(
        number="3",
        statement="Knowing the FLOPs saves cost at equal accuracy",
        rule="the FLOPs ratio is below 1 and accuracy is at most 0.01 lower",
        verdict=lambda measured: all_of(below(measured.saving.flops_ratio, 1.0), at_least(measured.saving.accuracy, -0.01)),
    ),
    Claim(
        number="4",
        statement="Accuracy does not increase beyond a threshold of quantum FLOPs",
        rule="accuracy rises by at least 0.01 up to the threshold and by at most 0.01 beyond it, "
        "and the threshold is at most half the FLOPs of the most expensive circuit",
        verdict=lambda measured: all_of(
            at_least(measured.saturation.rise, 0.01),
            at_most(measured.saturation.beyond, 0.01),
            at_most(measured.saturation.flops_share, 0.5),
        ),
    ),
    Claim(
        number="5",
        statement="Few epochs select circuits that are as good as those that the most epochs select",
        rule="after the most epochs, the circuits that few epochs select are at most 0.01 less accurate",
        verdict=lambda measured: None if measured.agreement is None else at_most(measured.agreement.regret, 0.01),
    ),
    Claim(
        number="6a",
        statement="Circuits with many quantum FLOPs fail more often than others",
        rule="the fraction of trainings at chance is at least 0.01 higher in the most expensive quarter of the genomes",
        verdict=lambda measured: at_least(measured.failures.more_if_dear, 0.01),
    ),
    Claim(
        number="6b",
        statement="Fronts collapse to one circuit",
        rule="at least a quarter of the fronts have one circuit",
        verdict=lambda measured: at_least(measured.saving.collapsed, 0.25),
    ),
)


def check_table(table: Table) -> None:
    """Refuse a table on which the claims cannot be measured.

    Raises:
        ConfigError: The table has a sample of the space, too few seeds, or no results after `FEW` epochs.
    """
    if table.document["fraction"] < 1:
        raise ConfigError(
            f"claims need a table of the whole space; {table.file.name} has a sample; use `enumerate` without --fraction"
        )
    if len(table.seeds) < FEWEST_SEEDS:
        raise ConfigError(
            f"intervals need at least {FEWEST_SEEDS} seeds; {table.file.name} has {len(table.seeds)}; use more --repeats"
        )
    if FEW not in table.epochs:
        raise ConfigError(f"claims need results after {FEW} epochs; {table.file.name} has none; use --epochs {FEW} or more")


def epochs_of(table: Table) -> tuple[int, ...]:
    """Return the numbers of epochs after which claims are measured: that of the paper and the maximum of the table."""
    # A dictionary drops the second if both are equal, and keeps the order.
    return tuple(dict.fromkeys((FEW, table.epochs[-1])))


def measure(table: Table, splits: DataSplits, contests: Mapping[int, Contest]) -> Findings:
    """Return all results of a table.

    Args:
        splits: Data of the table.
        contests: Searches of both kinds of `savings` on the table, by the numbers of `epochs_of`.
    """
    circuits = {circuit.digest: circuit for circuit in all_circuits()}
    by_cost = CircuitsByCost(table)
    # Rows of the table in its own order, so that its columns need no reordering.
    genomes = Genomes.of([circuits[digest] for digest in table.circuits], table.column("quantum_flops_profiler"))
    maximum = table.epochs[-1]
    # A table of fewer epochs lacks some of the checkpoints.
    fewer = [epochs for epochs in FEWER if epochs in table.epochs and epochs < maximum]
    agreements_by_epochs = agreements(by_cost, fewer, maximum)

    def after(epochs: int) -> Measured:
        # (circuits, seeds), from the numbers of correct answers.
        accuracies = table.right("test", epochs) / table.document["sizes"]["test"]
        return Measured(
            epochs=epochs,
            decomposition=decompose(genomes, accuracies),
            saturation=saturation(by_cost, table, epochs),
            saving=saving(contests[epochs]),
            failures=failures(genomes, table, splits, epochs),
            agreement=agreements_by_epochs.get(epochs),
        )

    return Findings(
        after=tuple(after(epochs) for epochs in epochs_of(table)), agreements=agreements_by_epochs, prices=by_cost.flops
    )
