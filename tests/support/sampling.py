"""Samples of large grids of cases: one case in eight belongs to the quick tests, the others are slow."""

import random
from collections.abc import Iterable
from typing import Any, TypeVar

import pytest

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
    every = list(cases)
    chosen = _chosen(len(every))
    return [case for place, case in enumerate(every) if (place in chosen) is quick_share]


def mostly_slow(cases: Iterable[Any], *, tuples: bool = False) -> list[Any]:
    """Return parameters of a test, of which all but the quick share are marked as slow.

    Args:
        tuples: a case that is a tuple is one value; otherwise it has a value for each name.
    """
    every = [case if isinstance(case, tuple) and not tuples else (case,) for case in cases]
    chosen = _chosen(len(every))
    return [pytest.param(*case, marks=() if place in chosen else pytest.mark.slow) for place, case in enumerate(every)]


def _chosen(count: int) -> set[int]:
    """Return the places of the quick share, one in each run of `ONE_IN` cases: so every stretch of a grid has some."""
    draw = random.Random(SEED)
    return {min(first + draw.randrange(ONE_IN), count - 1) for first in range(0, count, ONE_IN)}
