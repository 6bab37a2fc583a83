"""Wording of numbers in messages and tables."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 trial`, `2,000 trials`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
