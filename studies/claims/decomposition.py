"""How much of a training's accuracy is due to each gene, to the circuit, and to luck; and what its FLOPs tell of it.

Over the genomes of the space, each of which counts once, the genes are independent: what a gene explains by itself does not
depend on what was explained before, and the shares sum to one. It is the functional analysis of variance (Hutter, Hoos &
Leyton-Brown 2014, PMLR 32:754), whose shares of single genes are Sobol's indices of first order; as a mixed model it has a
fixed effect for each gene, a random one for each circuit, and luck for each training.

What luck adds to a mean over few seeds would count as a difference between circuits. So each variance is taken as the
covariance of what two trainings from different seeds have, over all pairs of seeds: luck has no part in it, and no bias is
left. Of shares below a thousandth the jackknife's intervals are too narrow: they tell that these are next to nothing, no more.
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
"""Layers are the live ones of rotations, those up to the last of RX or RY; rotations are what the kinds tell beyond that."""
SHARES = (*FACTORS, "rest", "seed_variance")
"""The rest is what sets circuits apart beyond the sum of these: how genes go together."""
GIVEN = ("qubits", "embedding", "entangler", "depth")
TELLING = 1e-9
"""Less of a variance is rounding."""
ROUNDING = 1e-12
"""Of sums of weights."""


@dataclass(frozen=True, kw_only=True)
class Genomes:
    """The space with each of its genomes counted once."""

    circuits: NDArray[np.int64]
    """(rows,) the circuit that each row stands for: those on two qubits have two rows, one for each topology."""
    weights: NDArray[np.float64]
    """(rows,) their shares of the genomes."""
    groups: Mapping[str, NDArray[np.int64]]
    """(rows,) by factor, the number of what each has of it."""
    log_flops: NDArray[np.float64]
    """(rows,) log₁₀ of the quantum FLOPs, as the profiler counts them."""

    @classmethod
    def of(cls, circuits: Sequence[Circuit], quantum_flops: NDArray[np.int64]) -> "Genomes":
        """Of all circuits of the space.

        Args:
            quantum_flops: (circuits,)
        """
        rows = [
            (place, topology)
            for place, circuit in enumerate(circuits)
            # On two qubits a circle is a line.
            for topology in (Topology if circuit.n_qubits == 2 else [circuit.topology])
        ]
        places = np.array([place for place, _ in rows])
        known = [circuits[place] for place in places]
        told: dict[str, Sequence[object]] = {
            "qubits": [circuit.n_qubits for circuit in known],
            "embedding": [circuit.embedding for circuit in known],
            "entangler": [circuit.entangler for circuit in known],
            "topology": [topology for _, topology in rows],
            "depth": [circuit.depth for circuit in known],
            "layers": [EffectiveGates(circuit=circuit).mixing_layers for circuit in known],
            "rotations": ["".join(circuit.rotations) for circuit in known],
            "circuit": places.tolist(),
        }
        # Rotations beyond the depth are anything.
        counts = np.array([len(Rotation) ** (PAPER_DEPTH - circuit.depth) for circuit in known])
        return cls(
            circuits=places,
            weights=counts / counts.sum(),
            groups={name: np.unique(np.array(values), return_inverse=True)[1] for name, values in told.items()},
            log_flops=np.log10(quantum_flops[places].astype(np.float64)),
        )

    def centred(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of all circuits (circuits, k) as (rows, k), less their mean over the genomes."""
        rows = self.spread(values)
        centred: NDArray[np.float64] = rows - self.weights @ rows
        return centred

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of all circuits (circuits, k) as (rows, k)."""
        return values[self.circuits]

    def mean(self, rows: NDArray[np.float64], among: NDArray[np.bool_] | None = None) -> float:
        """The mean of values (rows,) over all genomes, or among some of the rows."""
        return float(np.average(rows, weights=self.weights if among is None else self.weights * among))

    def dearest(self, share: float) -> NDArray[np.bool_]:
        """(rows,) which are of so large a share of the genomes, those of the most quantum FLOPs, and all that cost the same."""
        order = np.argsort(-self.log_flops, kind="stable")
        last = order[np.searchsorted(np.cumsum(self.weights[order]), share - ROUNDING)]
        dear: NDArray[np.bool_] = self.log_flops >= self.log_flops[last]
        return dear

    def means(self, factor: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """(groups, k) means of values (rows, k) over the genomes that have the same of a factor."""
        groups = self.groups[factor]
        weighted = self.weights[:, np.newaxis] * rows
        sums = np.stack([np.bincount(groups, column) for column in weighted.T], axis=1)
        found: NDArray[np.float64] = sums / np.bincount(groups, self.weights)[:, np.newaxis]
        return found

    def scaled(self, factor: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """(groups, k) the same, so that their squares sum to a variance."""
        scale = np.sqrt(np.bincount(self.groups[factor], self.weights))
        found: NDArray[np.float64] = scale[:, np.newaxis] * self.means(factor, rows)
        return found

    def flops_beyond(self, factors: Sequence[str]) -> NDArray[np.float64]:
        """(rows,) log₁₀ quantum FLOPs less their mean and what the sum of some independent genes explains of them."""
        left: NDArray[np.float64] = self.log_flops - self.weights @ self.log_flops
        for factor in factors:
            left = left - self.means(factor, left[:, np.newaxis])[self.groups[factor], 0]
        return left


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """What accuracies after some number of epochs are due to."""

    shares: Mapping[str, Interval]
    """By `SHARES`, of the variance of single trainings; they sum to one."""
    flops: Interval
    """The correlation of log₁₀ quantum FLOPs with what circuits truly are: luck is taken out."""
    beyond_qubits: Interval
    """The same given the number of qubits."""
    beyond_genes: Interval
    """The same given the genes of `GIVEN`: little is left of the FLOPs then."""
    added: Interval
    """The share of the variance between circuits that FLOPs explain beyond the number of qubits."""
    rank: Interval
    """Spearman's correlation of quantum FLOPs with the mean accuracies as they are, luck and all."""


def decompose(genomes: Genomes, accuracies: NDArray[np.float64]) -> Decomposition:
    """What the accuracies of all circuits (circuits, seeds) are due to, with intervals over the seeds.

    Args:
        accuracies: from at least three seeds.
    """
    rows = genomes.centred(accuracies)
    projected = {factor: genomes.scaled(factor, rows) for factor in (*FACTORS, "depth", "circuit")}
    variances = genomes.weights @ rows**2
    lines = [_Line.of(genomes, rows, given) for given in ((), ("qubits",), GIVEN)]
    flops_ranks = _Ranks(genomes.weights, genomes.log_flops)

    def statistics(seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        common = {factor: in_common(values[:, seeds]) for factor, values in projected.items()}
        shares = _shares(common, float(variances[seeds].mean()))
        correlations = [line.correlation(common, seeds) for line in lines]
        added = lines[1].explained(seeds) / max(common["circuit"], TELLING)
        rank = flops_ranks.correlation(_Ranks(genomes.weights, rows[:, seeds].sum(axis=1)))
        return np.array([*shares, *correlations, added, rank])

    found = jackknife(statistics, accuracies.shape[1])
    flops, beyond_qubits, beyond_genes, added, rank = found[len(SHARES) :]
    return Decomposition(
        shares=dict(zip(SHARES, found, strict=False)),
        flops=flops,
        beyond_qubits=beyond_qubits,
        beyond_genes=beyond_genes,
        added=added,
        rank=rank,
    )


def in_common(values: NDArray[np.float64]) -> float:
    """The sum of squares that trainings from different seeds have in common: the mean over all pairs of their products.

    Args:
        values: (k, seeds).
    """
    seeds = values.shape[1]
    return float(((values.sum(axis=1) ** 2).sum() - (values**2).sum()) / (seeds * (seeds - 1)))


def _shares(common: Mapping[str, float], variance: float) -> list[float]:
    """Of the variance of single trainings, by `SHARES`; none if all are alike."""
    # Which rotations a circuit has tells how many layers are live, too.
    parts = [common[factor] for factor in FACTORS[:-1]] + [common["rotations"] - common["layers"]]
    parts += [common["circuit"] - sum(parts), variance - common["circuit"]]
    return [part / variance if variance > TELLING else 0.0 for part in parts]


@dataclass(frozen=True, kw_only=True)
class _Line:
    """The part of log₁₀ quantum FLOPs that some genes do not explain, and how accuracies go with it."""

    given: tuple[str, ...]
    along: NDArray[np.float64]
    """(1, seeds) covariance with the accuracies, over the standard deviation of that part; zero if nothing is left of it."""

    @classmethod
    def of(cls, genomes: Genomes, rows: NDArray[np.float64], given: tuple[str, ...]) -> "_Line":
        left = genomes.flops_beyond(given)
        variance = float(genomes.weights @ left**2)
        along = (genomes.weights * left) @ rows / np.sqrt(variance) if variance > TELLING else np.zeros(rows.shape[1])
        return cls(given=given, along=along[np.newaxis])

    def explained(self, seeds: NDArray[np.int64]) -> float:
        """The variance of what circuits truly are that goes with it."""
        return in_common(self.along[:, seeds])

    def correlation(self, common: Mapping[str, float], seeds: NDArray[np.int64]) -> float:
        """With what the genes leave of what circuits truly are; zero where circuits do not differ beyond luck."""
        left = common["circuit"] - sum(common[factor] for factor in self.given)
        return float(self.along[0, seeds].mean() / math.sqrt(left)) if left > TELLING else 0.0


class _Ranks:
    """Ranks of values (rows,) by weight, equal ones sharing their mean."""

    def __init__(self, weights: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        # Sums of counts: what differs by less is one value.
        groups = np.unique(values.round(9), return_inverse=True)[1]
        shares = np.bincount(groups, weights)
        ranks = (np.cumsum(shares) - shares / 2)[groups]
        self._weights, self._centred = weights, ranks - weights @ ranks

    def correlation(self, other: "_Ranks") -> float:
        """Spearman's; zero if one of the two ranks all alike."""
        scale = ((self._weights @ self._centred**2) * (self._weights @ other._centred**2)) ** 0.5
        return float(self._weights @ (self._centred * other._centred) / scale) if scale > TELLING else 0.0
