from collections.abc import Iterator

import click
import pytest

from faqnas_optuna.cli.program import cli
from faqnas_optuna.cli.ranges import FloatRange, IntRange
from faqnas_optuna.comparison.samplers import searcher
from faqnas_optuna.data.generated_names import Recipe
from faqnas_optuna.errors import ConfigError, DataError
from faqnas_optuna.literals import decimal_number, whole_number
from faqnas_optuna.noise.model import noise_of
from faqnas_optuna.study.selection import SelectionRule

NO_NUMBERS = ["1_0", " 10", "10 ", "+10", "\u0661\u0660", "1\n", "", "ten", "0x10", "1,0"]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1.0", "1e3"])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        whole_number(text)


@pytest.mark.parametrize("text", [*NO_NUMBERS, "nan", "inf", ".", "1.0.0", "1_0.5"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        decimal_number(text)


def test_numbers_are_read_as_they_are_written() -> None:
    assert [whole_number(text) for text in ("0", "10", "-3", "007")] == [0, 10, -3, 7]
    decimals = {"0": 0, "-3": -3, "0.5": 0.5, ".5": 0.5, "5.": 5, "1e-3": 0.001, "2.5E+2": 250}
    assert {text: decimal_number(text) for text in decimals} == decimals


def parameters(command: click.Command) -> Iterator[click.Parameter]:
    yield from command.params
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            yield from parameters(sub)


def test_every_option_of_a_number_reads_it_so() -> None:
    numbers = (click.IntRange, click.FloatRange, type(click.INT), type(click.FLOAT))
    options = [parameter for parameter in parameters(cli) if isinstance(parameter.type, numbers)]
    assert len(options) > 20
    assert [option.name for option in options if not isinstance(option.type, IntRange | FloatRange)] == []


@pytest.mark.parametrize("text", ["1_0", "+1", "\u0661"])
def test_numbers_within_texts_are_read_so(text: str) -> None:
    with pytest.raises(ConfigError, match="depolarizing"):
        noise_of(f"depolarizing:0.{text}")
    with pytest.raises(ConfigError, match="a rule is knee, best"):
        SelectionRule.parse(f"cheapest-within:0.{text}")
    with pytest.raises(ConfigError, match="the number of trainings per circuit must be"):
        searcher(f"random:{text}")
    with pytest.raises(DataError, match="features is a whole number"):
        Recipe.read(f"two-curves:features={text}")
