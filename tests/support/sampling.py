"""Samples of large grids of cases, of which one in eight belongs to the quick tests, and of the paper's search space."""

import random
from collections.abc import Iterable
from itertools import product
from typing import Any, TypeVar

import pytest

from faqnas_optuna.circuits.genome import GENES, Circuit, Genome

ONE_IN = 8
SEED = 0
"""Fixed, so that the same cases are quick in every run."""
Case = TypeVar("Case")

in_shares = pytest.mark.parametrize(
    "quick_share", [pytest.param(True, id="quick share"), pytest.param(False, id="other cases", marks=pytest.mark.slow)]
)
"""Run a test over the quick share of its cases, and as a slow test over all others; see `share`."""


def share(cases: Iterable[Case], quick_share: bool) -> list[Case]:
    """Return the quick share of the cases, or the others, in their order."""
    all_cases = list(cases)
    quick_places = _quick_places(len(all_cases))
    return [case for place, case in enumerate(all_cases) if (place in quick_places) is quick_share]


def mostly_slow(cases: Iterable[Any], *, tuples: bool = False) -> list[Any]:
    """Return parameters of a test; all except the quick share are marked as slow.

    Args:
        tuples: Whether a tuple is one value; otherwise it has a value for each name.
    """
    all_cases = [case if isinstance(case, tuple) and not tuples else (case,) for case in cases]
    quick_places = _quick_places(len(all_cases))
    return [
        pytest.param(*case, marks=() if place in quick_places else pytest.mark.slow) for place, case in enumerate(all_cases)
    ]


def drawn_circuits(count: int, *, seed: int, max_qubits: int = 10) -> list[Circuit]:
    """Draw circuits of genomes of the paper's space without making all 23,328 genomes.

    Args:
        max_qubits: Maximum number of qubits.
    """
    # The number of qubits is the first gene.
    pool = list(product([n for n in GENES["n_qubits"] if int(n) <= max_qubits], *list(GENES.values())[1:]))
    drawn = random.Random(seed).sample(pool, count)
    return [Genome.from_params(dict(zip(GENES, genes, strict=True))).circuit for genes in drawn]


def _quick_places(count: int) -> set[int]:
    """Return the places of the quick share."""
    # One in each run of `ONE_IN` cases, so that no part of a grid is left out.
    draw = random.Random(SEED)
    return {min(first + draw.randrange(ONE_IN), count - 1) for first in range(0, count, ONE_IN)}
