"""Inferred kinds of columns, and columns that are refused because their kind would be a guess."""

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from faqnas_optuna.data.cells import TEXT, numbers, texts
from faqnas_optuna.data.column_kinds import infer_kind, read_column
from faqnas_optuna.data.schema import Kind
from faqnas_optuna.errors import DataError

DAYS = ("2024-01-05", "5.1.2024", "05/01/24", "5-Jan-2024", "January 5, 2024") + (
    "Fri, 5 Jan 2024",
    "2024-01-05T10:15:00Z",
    "10:15",
)
KINDS: dict[str, tuple[list[Any], Kind]] = {
    "numbers": (["1", "2.5", "-3e2", "+4", ".5", "", "?"], Kind.NUMBER),
    "codes with a leading zero": (["007", "012", "12"] * 3, Kind.CATEGORY),
    "truth values": (["true", "False", "TRUE", ""], Kind.BOOLEAN),
    "truth values and a word": (["true", "false", "unknown"] * 3, Kind.CATEGORY),
    "words": (["a", "b", "b "] * 3, Kind.CATEGORY),
    "a word and a missing value with spaces": (["a", "? ", " a"], Kind.CATEGORY),
    "a different text in each row": ([f"patient {row}" for row in range(40)], Kind.IDENTIFIER),
    "long codes": ([f"{row:05}" for row in range(60)], Kind.IDENTIFIER),
    "whole numbers as objects": ([*range(37), None, 3], Kind.NUMBER),
    "decimals": ([decimal.Decimal("1.5"), decimal.Decimal(2), None], Kind.NUMBER),
    "truth values as objects": ([True, None, False], Kind.BOOLEAN),
    "days as objects": ([datetime.date(2024, 1, row) for row in range(1, 9)], Kind.DATE),
    **{f"days as {day}": ([day] * 6, Kind.DATE) for day in DAYS},
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_columns(name: str) -> None:
    cells, kind = KINDS[name]
    assert infer_kind(pd.Series(cells, dtype=object), decimal_comma=False) is kind


@pytest.mark.parametrize(
    ("series", "kind"),
    [
        (pd.Series([1, 2, 3]), Kind.NUMBER),
        (pd.Series([1, 2, 3], dtype="Int64"), Kind.NUMBER),
        (pd.Series([True, False]), Kind.BOOLEAN),
        (pd.Series([1, 2, 1], dtype="category"), Kind.CATEGORY),
        (pd.to_datetime(pd.Series(["2024-01-05"])), Kind.DATE),
        (pd.to_timedelta(pd.Series([3])), Kind.DATE),
    ],
)
def test_a_type_decides(series: "pd.Series[Any]", kind: Kind) -> None:
    assert infer_kind(series, decimal_comma=False) is kind


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["12%", "5"], "a percent sign, such as '12%'"),
        (["€5", "7 €"], "a currency sign, such as '€5'"),
        (["0x1F", "0x2"], "hexadecimal digits"),
        (["26,678", "1"], "a comma, which may mean thousands or a decimal point"),
        (["1 000", "20"], "points or spaces between thousands"),
        (["1", "2", "none of it"], "holds numbers, and 'none of it' in row 3"),
        (["", "?", None], "holds no value"),
        ([[1], [2]], "holds values of the type list"),
        (["Train", "TEST", "val"], "names parts"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        infer_kind(pd.Series(cells, dtype=object), decimal_comma=False)


def test_decimal_commas_are_read_where_the_file_has_another_separator() -> None:
    cells = pd.Series(["0,5", "26,678", "3"], dtype=TEXT)
    assert infer_kind(cells, decimal_comma=True) is Kind.NUMBER
    assert read_column("a", Kind.NUMBER, cells, decimal_comma=True).values.tolist() == [0.5, 26.678, 3.0]
    with pytest.raises(DataError, match="mixes decimal commas and points, such as '0,5' and '0.7'"):
        infer_kind(pd.Series(["0,5", "0.7"], dtype=TEXT), decimal_comma=True)
    with pytest.raises(DataError, match="points or spaces between thousands, such as '1.234,5'"):
        infer_kind(pd.Series(["1.234,5", "3"], dtype=TEXT), decimal_comma=True)


def test_numbers_are_parsed_to_the_nearest_double() -> None:
    values = np.random.default_rng(0).normal(size=2_000) * 10.0 ** np.arange(-100, 100).repeat(10)
    cells = pd.Series([repr(float(value)) for value in values], dtype=TEXT)
    assert np.array_equal(numbers(cells), values)


@pytest.mark.parametrize("text", ["1_000", "١", "0x10", "1,5", "true"])
def test_python_s_own_numbers_are_no_numbers_of_a_file(text: str) -> None:
    with pytest.raises(DataError, match="must hold numbers; row 2"):
        numbers(pd.Series(["1", text], dtype=TEXT))


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([7, 8]),
        pd.Series([7.0, 8.0]),
        pd.Series([7, 8], dtype="category"),
        pd.Series(["7", " 8"]),
        pd.Series(["7.0", "8.0"]),
        pd.Series(["7.0", 8], dtype=object),
    ],
)
def test_a_number_has_one_text_whatever_its_type(series: "pd.Series[Any]") -> None:
    assert texts(series).tolist() == ["7", "8"]


def test_other_numbers_keep_the_text_that_they_were_given() -> None:
    cells = ["007.0", "7.00", "1.10", "1.0.0"]
    assert texts(pd.Series(cells)).tolist() == cells


def test_truth_values_are_read_from_any_spelling() -> None:
    for cells in (["True", "false", None], [True, False, None], [1, 0, None], ["1", "0", ""]):
        values = read_column("a", Kind.BOOLEAN, pd.Series(cells, dtype=object)).values
        assert values[:2].tolist() == [1.0, 0.0] and np.isnan(values[2])
    with pytest.raises(DataError, match="must hold true or false; row 1 has 'maybe'"):
        read_column("a", Kind.BOOLEAN, pd.Series(["maybe"]))
