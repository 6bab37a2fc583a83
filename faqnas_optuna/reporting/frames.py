"""Results of a study as pandas data frames."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.reporting.columns import Output, values
from faqnas_optuna.reporting.documents import check_successful
from faqnas_optuna.reporting.families import Family
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.state import SearchState

if TYPE_CHECKING:
    # Importing pandas takes a second, which opening a study should not cost.
    from pandas import DataFrame


def front_frame(state: SearchState) -> "DataFrame":
    """Return a data frame with one row per circuit of the front, sorted by cost.

    Raises:
        NoSuccessfulTrialError: No trial has succeeded yet.
    """
    check_successful(state)
    return data_frame(_entry(candidate, state.study.description) for candidate in state.front)


def trials_frame(state: SearchState) -> "DataFrame":
    """Return a data frame with one row per evaluated circuit, sorted by trial.

    A circuit that several trials suggested is listed with the first of them. The column `on_front` marks the front.

    Raises:
        NoSuccessfulTrialError: No trial has succeeded yet.
    """
    check_successful(state)
    # Of equal circuits both lists hold the first trial, so trial numbers identify the circuits of the front.
    on_front = {candidate.trial for candidate in state.front}
    return data_frame(
        _entry(candidate, state.study.description) | {"on_front": candidate.trial in on_front}
        for candidate in sorted(state.candidates, key=lambda candidate: candidate.trial)
    )


def families_frame(families: Iterable[Family]) -> "DataFrame":
    """Return a data frame with one row per family and range of costs."""
    return data_frame(
        {"family": family.name, "circuits": family.circuits, **asdict(verdict)}
        for family in families
        for verdict in family.verdicts
    )


def _entry(candidate: Candidate, study: Description) -> dict[str, Any]:
    # Without the genes, which follow as columns of their own.
    circuit = candidate.genome.circuit
    effective = effective_circuit(circuit)
    return {
        "trial": candidate.trial,
        **frame_cells(values(Output.FRAME, candidate, study)),
        "circuit": str(candidate.effective_gates),
        **candidate.genome.to_params(),
        "digest": circuit.digest,
        "summary": str(circuit),
        "cheapest": str(effective),
        "cheapest_flops": candidate.costs.cheapest_flops(study.config),
        "function": str(candidate.function),
        "is_entangled": candidate.is_entangled,
        # Users see generations counted from 1; the sampler counts from 0. Times and workers are in listings of trials alone, so
        # that the frames of equal searches are equal.
        "generation": _number(None if candidate.generation is None else candidate.generation + 1),
    }


def frame_cells(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the cells of a row: intervals are split into two columns, and NaN replaces None.

    >>> frame_cells({"accuracy": 0.9, "accuracy_interval": (0.8, 0.95), "pooled": None})
    {'accuracy': 0.9, 'accuracy_low': 0.8, 'accuracy_high': 0.95, 'pooled': nan}
    """
    # Columns of tuples or of None would have the dtype object, with which pandas cannot calculate.
    cells: dict[str, float] = {}
    for name, value in values.items():
        is_interval = name.endswith(("_interval", "_wilson"))
        cells |= interval_columns(name.removesuffix("_interval"), value) if is_interval else {name: _number(value)}
    return cells


def interval_columns(name: str, interval: Iterable[float] | None) -> dict[str, float]:
    """Return the two columns of an interval; NaN if there is none."""
    low, high = interval or (None, None)
    return {f"{name}_low": _number(low), f"{name}_high": _number(high)}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def data_frame(rows: Iterable[Mapping[str, Any]]) -> "DataFrame":
    """Return a data frame of rows given as dictionaries."""
    import pandas as pd

    return pd.DataFrame(list(rows))
