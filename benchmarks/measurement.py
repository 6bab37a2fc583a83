"""What a benchmark gives: a line of figures, by medians of calls that are taken in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One line of the result."""

    what: str
    case: str
    value: float
    unit: str
    """Of `value` and `reference`; a power of ten of seconds, MB, or trials/s."""
    reference: float | None = None
    """The same, done by other means, or with one worker, or with few trials."""
    ratio: float | None = None
    """How many times better than the reference, or for a growth how many times worse."""
    target: str | None = None
    met: bool | None = None


def faster(what: str, case: str, value: float, reference: float, unit: str, target: float) -> Measurement:
    """A time, or a count, against that of a reference, which is to be so many times longer."""
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
    """A time that is to be at most so many times that of a reference."""
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
    """A figure and its limit."""
    return Measurement(what=what, case=case, value=value, unit=unit, target=f"<= {target:g} {unit}", met=value <= target)


def at_least(what: str, case: str, value: float, unit: str, target: float) -> Measurement:
    """A figure that is better the larger it is."""
    return Measurement(what=what, case=case, value=value, unit=unit, target=f">= {target:g} {unit}", met=value >= target)


def paired(fast: Callable[[], object], reference: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median seconds of a call of each, taken in turn after a call that does not count."""
    fast()
    reference()
    # So many calls that the clock's resolution is of no account, nor that the first of them meets a cold cache.
    many, few = (max(1, int(2e-3 / seconds(run))) for run in (fast, reference))
    pairs = [(seconds(fast, many), seconds(reference, few)) for _ in range(repeats)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def seconds(run: Callable[[], object], calls: int = 1) -> float:
    """What a call takes."""
    started = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - started) / calls
