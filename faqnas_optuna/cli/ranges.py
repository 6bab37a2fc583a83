"""Types of options: ranges of numbers, parsed by the strict rules of `literals`, and lists."""

from typing import Any

import click

from faqnas_optuna.literals import decimal_number, whole_number


class IntRange(click.IntRange):
    """A range of whole numbers."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the number and check its range."""
        try:
            number = whole_number(value) if isinstance(value, str) else value
        except ValueError:
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return super().convert(number, param, ctx)


class FloatRange(click.FloatRange):
    """A range of numbers."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the number and check its range."""
        try:
            number = decimal_number(value) if isinstance(value, str) else value
        except ValueError:
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return super().convert(number, param, ctx)


class ListOf(click.ParamType):  # type: ignore[type-arg]  # It is generic only in recent versions of click.
    """A list of values separated by commas; whole numbers may be given as ranges, such as 2-4.

    Args:
        kind: Type of each value.
    """

    name = "list"

    def __init__(self, kind: "click.ParamType[Any]") -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the values one by one."""
        values: list[Any] = []
        for part in value.split(","):
            first, dash, last = part.strip().partition("-")
            low = self._kind.convert(first, param, ctx)
            if not dash:
                values.append(low)
                continue
            high = self._kind.convert(last, param, ctx)
            # Truth values are of a subtype of `int`.
            if type(high) is not int or low > high:
                self.fail(f"{part!r} is not a range; write the lower number first, as in 2-4.", param, ctx)
            values += range(low, high + 1)
        return values
