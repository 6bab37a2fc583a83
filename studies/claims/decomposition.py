"""Decomposition of the variance in accuracy by gene, circuit and random seed, and the correlation of accuracy with FLOPs.

If each genome has equal weight, the genes are independent: the share of a gene does not depend on the order of explanation, and
the shares sum to one. This is the functional analysis of variance (Hutter, Hoos & Leyton-Brown 2014, PMLR 32:754), in which the
shares of single genes are first-order Sobol indices. As a mixed model it has a fixed effect for each gene, a random effect for
each circuit and a residual for each training, the random seed.

The variance of a mean over few seeds contains a part of the seed variance and would overestimate the differences between
circuits. Each variance is therefore estimated by the covariance of trainings from different seeds, averaged over all pairs of
seeds, which is unbiased. For shares below 0.001 the jackknife's intervals are too narrow: such shares are merely negligible.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna import Circuit
from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.circuits.genome import PAPER_DEPTH, Rotation, Topology
from studies.claims.intervals import Interval, jackknife

FACTORS = ("qubits", "embedding", "entangler", "topology", "layers", "rotations")
"""Factors of the decomposition.

`layers` is the number of layers up to the last one of RX or RY, since later RZ are inert; `rotations` is what the kinds of
rotations explain beyond it.
"""
SHARES = (*FACTORS, "rest", "seed_variance")
"""Parts of the variance: the factors, `rest` (differences between circuits beyond the sum of the factors: interactions of
genes), and the random seed."""
COUNTED_GENES = ("qubits", "embedding", "entangler", "depth")
"""Genes from which the FLOPs of a circuit are counted."""
ZERO_VARIANCE = 1e-9
"""Variances up to this value are rounding errors."""
WEIGHT_TOLERANCE = 1e-12
"""Rounding error of sums of weights."""


@dataclass(frozen=True, kw_only=True)
class Genomes:
    """Search space in which each genome has equal weight."""

    circuits: NDArray[np.int64]
    """(rows,) index of the circuit of each row; circuits on two qubits have two rows, one for each topology."""
    weights: NDArray[np.float64]
    """(rows,) fraction of the genomes in each row; they sum to one."""
    groups: Mapping[str, NDArray[np.int64]]
    """(rows,) index of the value of a factor in each row, by factor."""
    log_flops: NDArray[np.float64]
    """(rows,) log₁₀ of the quantum FLOPs, as torch.profiler counts them."""

    @classmethod
    def of(cls, circuits: Sequence[Circuit], quantum_flops: NDArray[np.int64]) -> "Genomes":
        """Return the genomes of all circuits of the space.

        Args:
            quantum_flops: (circuits,) in the order of the circuits.
        """
        rows = [
            (place, topology)
            for place, circuit in enumerate(circuits)
            # On two qubits a circle is a line: both topologies of the genome give the same circuit.
            for topology in (Topology if circuit.n_qubits == 2 else [circuit.topology])
        ]
        places = np.array([place for place, _ in rows])
        row_circuits = [circuits[place] for place in places]
        values_by_factor: dict[str, Sequence[object]] = {
            "qubits": [circuit.n_qubits for circuit in row_circuits],
            "embedding": [circuit.embedding for circuit in row_circuits],
            "entangler": [circuit.entangler for circuit in row_circuits],
            "topology": [topology for _, topology in rows],
            "depth": [circuit.depth for circuit in row_circuits],
            "layers": [EffectiveGates(circuit=circuit).mixing_depth for circuit in row_circuits],
            "rotations": ["".join(circuit.rotations) for circuit in row_circuits],
            "circuit": places.tolist(),
        }
        # The rotations of layers beyond the depth are free, so several genomes give one circuit.
        counts = np.array([len(Rotation) ** (PAPER_DEPTH - circuit.depth) for circuit in row_circuits])
        return cls(
            circuits=places,
            weights=counts / counts.sum(),
            groups={name: np.unique(np.array(values), return_inverse=True)[1] for name, values in values_by_factor.items()},
            log_flops=np.log10(quantum_flops[places].astype(np.float64)),
        )

    def centred(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of all circuits (circuits, k) as (rows, k), minus their mean over the genomes."""
        rows = self.spread(values)
        centred: NDArray[np.float64] = rows - self.weights @ rows
        return centred

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of all circuits (circuits, k) as (rows, k)."""
        return values[self.circuits]

    def mean(self, rows: NDArray[np.float64], among: NDArray[np.bool_] | None = None) -> float:
        """Return the mean of values (rows,) over the genomes, by default all of them.

        Args:
            among: (rows,) rows to use.
        """
        return float(np.average(rows, weights=self.weights if among is None else self.weights * among))

    def most_expensive(self, share: float) -> NDArray[np.bool_]:
        """Return which rows (rows,) belong to the given fraction of the genomes with the most quantum FLOPs, ties included."""
        # The row at which the cumulative weight reaches the fraction sets the price; all rows of this price belong.
        order = np.argsort(-self.log_flops, kind="stable")
        last = order[np.searchsorted(np.cumsum(self.weights[order]), share - WEIGHT_TOLERANCE)]
        expensive: NDArray[np.bool_] = self.log_flops >= self.log_flops[last]
        return expensive

    def means(self, factor: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the means (groups, k) of values (rows, k) over the genomes with equal values of a factor."""
        groups = self.groups[factor]
        weighted = self.weights[:, np.newaxis] * rows
        # `bincount` takes one column at a time.
        sums = np.stack([np.bincount(groups, column) for column in weighted.T], axis=1)
        means: NDArray[np.float64] = sums / np.bincount(groups, self.weights)[:, np.newaxis]
        return means

    def scaled(self, factor: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the means (groups, k) times the root of the group's weight, so that their squares sum to a variance."""
        scale = np.sqrt(np.bincount(self.groups[factor], self.weights))
        scaled: NDArray[np.float64] = scale[:, np.newaxis] * self.means(factor, rows)
        return scaled

    def flops_beyond(self, factors: Sequence[str]) -> NDArray[np.float64]:
        """Return the residuals (rows,) of log₁₀ quantum FLOPs after the main effects of some factors."""
        residuals: NDArray[np.float64] = self.log_flops - self.weights @ self.log_flops
        # The factors are independent, so subtracting their means one after the other is the least-squares fit.
        for factor in factors:
            residuals = residuals - self.means(factor, residuals[:, np.newaxis])[self.groups[factor], 0]
        return residuals


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Decomposition of the accuracies after a number of epochs.

    A circuit's true accuracy is its expected accuracy over seeds.
    """

    shares: Mapping[str, Interval]
    """Shares of the variance of single trainings by the names in `SHARES`; they sum to one."""
    flops: Interval
    """Correlation of log₁₀ quantum FLOPs with true accuracy."""
    beyond_qubits: Interval
    """Partial correlation given the number of qubits."""
    beyond_genes: Interval
    """Partial correlation given `COUNTED_GENES`, which explain most of the FLOPs."""
    added: Interval
    """Share of the variance between circuits that FLOPs explain beyond the number of qubits."""
    rank: Interval
    """Spearman's correlation of quantum FLOPs with mean accuracies, which contain seed variance."""


def decompose(genomes: Genomes, accuracies: NDArray[np.float64]) -> Decomposition:
    """Return the decomposition of the accuracies of all circuits, with intervals over the seeds.

    Args:
        accuracies: (circuits, seeds), at least three seeds.
    """
    # (rows, seeds). All statistics are sums of products of these projections, so each is computed once, for all seeds.
    rows = genomes.centred(accuracies)
    projected = {factor: genomes.scaled(factor, rows) for factor in (*FACTORS, "depth", "circuit")}
    variances = genomes.weights @ rows**2
    lines = [_Line.of(genomes, rows, conditions) for conditions in ((), ("qubits",), COUNTED_GENES)]
    flops_ranks = _Ranks(genomes.weights, genomes.log_flops)

    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        common = {factor: pairwise_variance(values[:, seeds]) for factor, values in projected.items()}
        shares = _shares(common, float(variances[seeds].mean()))
        correlations = [line.correlation(common, seeds) for line in lines]
        added = lines[1].explained(seeds) / max(common["circuit"], ZERO_VARIANCE)
        # A difference from the mean has the same ranks as the mean itself, and so has a sum.
        rank = flops_ranks.correlation(_Ranks(genomes.weights, rows[:, seeds].sum(axis=1)))
        return np.array([*shares, *correlations, added, rank])

    intervals = jackknife(statistics, accuracies.shape[1])
    flops, beyond_qubits, beyond_genes, added, rank = intervals[len(SHARES) :]
    return Decomposition(
        shares=dict(zip(SHARES, intervals, strict=False)),
        flops=flops,
        beyond_qubits=beyond_qubits,
        beyond_genes=beyond_genes,
        added=added,
        rank=rank,
    )


def pairwise_variance(values: NDArray[np.float64]) -> float:
    """Return the sum over k of the products of values from different seeds, averaged over all pairs of seeds.

    It estimates the sum of squares of the expected values without the bias by seed variance.

    >>> pairwise_variance(np.array([[1.0, 3.0], [2.0, 2.0]]))
    7.0

    Args:
        values: (k, seeds).
    """
    seeds = values.shape[1]
    # Σ over pairs i ≠ j of vᵢ vⱼ is (Σ v)² − Σ v².
    return float(((values.sum(axis=1) ** 2).sum() - (values**2).sum()) / (seeds * (seeds - 1)))


def _shares(common: Mapping[str, float], variance: float) -> list[float]:
    """Return the shares of the variance of single trainings in the order of `SHARES`, or zeros if there is none."""
    # The kinds of rotations determine the number of effective layers, whose part is subtracted.
    parts = [common[factor] for factor in FACTORS[:-1]] + [common["rotations"] - common["layers"]]
    parts += [common["circuit"] - sum(parts), variance - common["circuit"]]
    return [part / variance if variance > ZERO_VARIANCE else 0.0 for part in parts]


@dataclass(frozen=True, kw_only=True)
class _Line:
    """Regression of accuracies on the residuals of log₁₀ quantum FLOPs given some factors."""

    conditions: tuple[str, ...]
    slopes: NDArray[np.float64]
    """(1, seeds) slopes of the accuracies on the standardised residuals; zero if all residuals are."""

    @classmethod
    def of(cls, genomes: Genomes, rows: NDArray[np.float64], conditions: tuple[str, ...]) -> "_Line":
        residuals = genomes.flops_beyond(conditions)
        variance = float(genomes.weights @ residuals**2)
        covariances = (genomes.weights * residuals) @ rows
        slopes = covariances / np.sqrt(variance) if variance > ZERO_VARIANCE else np.zeros(rows.shape[1])
        return cls(conditions=conditions, slopes=slopes[np.newaxis])

    def explained(self, seeds: NDArray[np.int64]) -> float:
        """Return the variance of true accuracy that the residuals explain."""
        return pairwise_variance(self.slopes[:, seeds])

    def correlation(self, common: Mapping[str, float], seeds: NDArray[np.int64]) -> float:
        """Return the partial correlation with true accuracy; zero if circuits do not differ beyond seed variance."""
        variance = common["circuit"] - sum(common[factor] for factor in self.conditions)
        return float(self.slopes[0, seeds].mean() / math.sqrt(variance)) if variance > ZERO_VARIANCE else 0.0


class _Ranks:
    """Weighted ranks of values (rows,); equal values share their mean rank."""

    def __init__(self, weights: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        # The values are sums of counts: smaller differences are rounding errors.
        groups = np.unique(values.round(9), return_inverse=True)[1]
        shares = np.bincount(groups, weights)
        # Rank of a group: the weight before it and half of its own.
        ranks = (np.cumsum(shares) - shares / 2)[groups]
        self._weights = weights
        self._centred = ranks - weights @ ranks

    def correlation(self, other: "_Ranks") -> float:
        """Return Spearman's correlation; zero if either ranking is constant."""
        scale = ((self._weights @ self._centred**2) * (self._weights @ other._centred**2)) ** 0.5
        return float(self._weights @ (self._centred * other._centred) / scale) if scale > ZERO_VARIANCE else 0.0
