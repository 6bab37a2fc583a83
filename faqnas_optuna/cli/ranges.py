"""Types of options: ranges of numbers, parsed by the strict rules of `literals`."""

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
