"""The paper's claims (FAQNAS, arXiv 2511.10062), measured on a table, and what may be said of each.

A verdict follows from a number, its 95 % interval and a bound: the claim *holds* where the whole interval keeps to the bound,
it *does not hold* where no part of it does, and else it *cannot be told*. The bounds stand here and nowhere else.
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
"""The paper's epochs."""
FEWER = (FEW, 20)
"""Those held against the most that a table has."""
FEWEST_SEEDS = 3
"""One is left out, one chooses, one judges."""


class Verdict(StrEnum):
    """What may be said of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "cannot be told"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A table after so many epochs."""

    epochs: int
    decomposition: Decomposition
    saturation: Saturation
    saving: Saving
    failures: Failures
    agreement: Agreement | None
    """With what the most epochs choose; None of these themselves."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All numbers of a table."""

    after: tuple[Measured, ...]
    agreements: Mapping[int, Agreement]
    """With what the most epochs choose, by fewer of them."""
    prices: NDArray[np.int64]
    """The quantum FLOPs that circuits have, from the cheapest: of the curves in `after`."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the paper says, or what would have to be so if it were right."""

    number: str
    statement: str
    rule: str
    """When it holds."""
    verdict: Callable[[Measured], Verdict | None]
    """None where it says nothing."""


def at_least(interval: Interval, bound: float) -> Verdict:
    """Whether a value is no less than a bound."""
    if interval.low >= bound:
        return Verdict.HOLDS
    return Verdict.FAILS if interval.high < bound else Verdict.OPEN


def at_most(interval: Interval, bound: float) -> Verdict:
    """Whether a value is no more than a bound."""
    return at_least(Interval(value=-interval.value, low=-interval.high, high=-interval.low), -bound)


def below(interval: Interval, bound: float) -> Verdict:
    """Whether a value is less than a bound."""
    return {Verdict.HOLDS: Verdict.FAILS, Verdict.FAILS: Verdict.HOLDS}.get(at_least(interval, bound), Verdict.OPEN)


def all_of(*verdicts: Verdict) -> Verdict:
    """Whether all of several hold."""
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    return Verdict.OPEN if Verdict.OPEN in verdicts else Verdict.HOLDS


CLAIMS = (
    Claim(
        number="1a",
        statement="Circuits of more quantum FLOPs are more accurate",
        rule="the correlation of log₁₀ FLOPs with true accuracy is at least 0.3",
        verdict=lambda found: at_least(found.decomposition.flops, 0.3),
    ),
    Claim(
        number="1b",
        statement="… also among circuits of equally many qubits",
        rule="the same given the qubits is at least 0.1",
        verdict=lambda found: at_least(found.decomposition.beyond_qubits, 0.1),
    ),
    Claim(
        number="1c",
        statement="FLOPs tell more of accuracy than the genes from which they are counted",
        rule="the same given qubits, embedding, entangler and depth is at least 0.1",
        verdict=lambda found: at_least(found.decomposition.beyond_genes, 0.1),
    ),
    Claim(
        number="2",
        statement="Classical FLOPs stay fixed while quantum FLOPs buy accuracy",
        rule="the dearest circuit of a front has at most 1.1 times the classical FLOPs of the cheapest",
        verdict=lambda found: at_most(found.saturation.classical_ratio, 1.1),
    ),
    Claim(
        number="3",
        statement="To know the FLOPs saves cost at equal accuracy",
        rule="the FLOPs ratio is below 1 and the accuracy at most 0.01 lower",
        verdict=lambda found: all_of(below(found.saving.flops_ratio, 1.0), at_least(found.saving.accuracy, -0.01)),
    ),
    Claim(
        number="4",
        statement="There is a threshold of quantum FLOPs beyond which accuracy gains nothing",
        rule="up to it accuracy rises by at least 0.01, beyond it by at most 0.01, and it is at most half the dearest circuit",
        verdict=lambda found: all_of(
            at_least(found.saturation.rise, 0.01),
            at_most(found.saturation.beyond, 0.01),
            at_most(found.saturation.flops_share, 0.5),
        ),
    ),
    Claim(
        number="5",
        statement="So few epochs choose circuits as good as the most epochs do",
        rule="what they choose is at most 0.01 less accurate after the most epochs",
        verdict=lambda found: None if found.agreement is None else at_most(found.agreement.regret, 0.01),
    ),
    Claim(
        number="6a",
        statement="Circuits of many quantum FLOPs fail more often than others",
        rule="the share of trainings at chance is at least 0.01 higher among the dearest quarter",
        verdict=lambda found: at_least(found.failures.more_if_dear, 0.01),
    ),
    Claim(
        number="6b",
        statement="Fronts collapse to one circuit",
        rule="those of at least a quarter of the searches do",
        verdict=lambda found: at_least(found.saving.collapsed, 0.25),
    ),
)


def check_table(table: Table) -> None:
    """Refuse a table that cannot tell of the claims.

    Raises:
        ConfigError: it has a sample of the space, too few seeds, or other epochs.
    """
    if table.document["fraction"] < 1:
        raise ConfigError(f"{table.file.name} has a sample of the space, and claims are of all of it; make all of it")
    if len(table.seeds) < FEWEST_SEEDS:
        raise ConfigError(f"{table.file.name} has {len(table.seeds)} of the {FEWEST_SEEDS} seeds that intervals need at least")
    if FEW not in table.epochs:
        raise ConfigError(f"{table.file.name} was not looked at after {FEW} epochs, the paper's; make one of at least {FEW}")


def epochs_of(table: Table) -> tuple[int, ...]:
    """After how many epochs claims are measured: the paper's, and the most that the table has."""
    return tuple(dict.fromkeys((FEW, table.epochs[-1])))


def measure(table: Table, splits: DataSplits, contests: Mapping[int, Contest]) -> Findings:
    """All numbers of a table.

    Args:
        splits: its data.
        contests: by `epochs_of`, searches of both kinds of `savings` on it.
    """
    circuits, by_cost = {circuit.digest: circuit for circuit in all_circuits()}, CircuitsByCost(table)
    genomes = Genomes.of([circuits[digest] for digest in table.circuits], table.column("quantum_flops_profiler"))
    most = table.epochs[-1]
    agreed = agreements(by_cost, [epochs for epochs in FEWER if epochs in table.epochs and epochs < most], most)

    def after(epochs: int) -> Measured:
        accuracies = table.right("test", epochs) / table.document["sizes"]["test"]
        return Measured(
            epochs=epochs,
            decomposition=decompose(genomes, accuracies),
            saturation=saturation(by_cost, table, epochs),
            saving=saving(contests[epochs]),
            failures=failures(genomes, table, splits, epochs),
            agreement=agreed.get(epochs),
        )

    return Findings(after=tuple(after(epochs) for epochs in epochs_of(table)), agreements=agreed, prices=by_cost.flops)
