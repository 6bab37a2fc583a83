"""Measurements, and the timing of alternating calls."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Line of the result."""

    what: str
    """Quantity that is measured."""
    case: str
    value: float
    unit: str
    """Unit of `value` and `reference`, such as ms, MB or trials/s."""
    reference: float | None = None
    """Value to compare with: another implementation, one worker, or a study of few trials."""
    ratio: float | None = None
    """Speed-up over the reference, or growth over it where `target` is an upper limit."""
    target: str | None = None
    met: bool | None = None
    """Whether `value` or `ratio` meets the target."""


def faster(what: str, case: str, value: float, reference: float, unit: str, target: float) -> Measurement:
    """Return a measurement whose reference should be at least `target` times as large as its value."""
    ratio = reference / value
    return Measurement(
        what=what,
        case=case,
        value=value,
        reference=reference,
        unit=unit,
        ratio=ratio,
        target=f">= {target:g} x",
        met=ratio >= target,
    )


def within(what: str, case: str, value: float, reference: float, unit: str, target: float) -> Measurement:
    """Return a measurement whose value should be at most `target` times its reference."""
    ratio = value / reference
    return Measurement(
        what=what,
        case=case,
        value=value,
        reference=reference,
        unit=unit,
        ratio=ratio,
        target=f"<= {target:g} x",
        met=ratio <= target,
    )


def at_most(what: str, case: str, value: float, unit: str, target: float) -> Measurement:
    """Return a measurement whose value should be at most `target`."""
    return Measurement(what=what, case=case, value=value, unit=unit, target=f"<= {target:g} {unit}", met=value <= target)


def at_least(what: str, case: str, value: float, unit: str, target: float) -> Measurement:
    """Return a measurement whose value should be at least `target`."""
    return Measurement(what=what, case=case, value=value, unit=unit, target=f">= {target:g} {unit}", met=value >= target)


def paired(fast: Callable[[], object], reference: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median seconds per call of two functions, which are called in turn after one call that is not timed."""
    fast()
    reference()
    # At least 2 ms per timing: neither the clock's resolution nor a cold cache at the first call matters then.
    fast_calls, reference_calls = (max(1, int(2e-3 / seconds(run))) for run in (fast, reference))
    # Pairs, not one series after the other: a drift of the machine's speed affects both in the same way.
    pairs = [(seconds(fast, fast_calls), seconds(reference, reference_calls)) for _ in range(repeats)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def seconds(run: Callable[[], object], calls: int = 1) -> float:
    """Return the mean seconds per call."""
    started = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - started) / calls
