"""Odd files: each is read right, or refused in one line that names every problem."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.odd_files import ODD
from tests.support.sampling import mostly_slow

Cli = Callable[..., tuple[int, str, str]]
TINY = ("--population", "3", "--generations", "1", "--epochs", "1")


@pytest.mark.parametrize("name", mostly_slow(ODD))
def test_an_odd_file_is_described_right_or_refused(name: str, tmp_path: Path, cli_here: Cli) -> None:
    odd = ODD[name]
    odd.write(tmp_path / odd.name)
    code, out, err = cli_here("datasets", odd.name, *odd.options, "--json")
    if odd.refused:
        assert (code, out) == (2, "") and odd.refused in err and err.count("\n") == 1, err
        return
    assert code == 0, err
    described = json.loads(out)["columns"]
    for column, kind in odd.kinds.items():
        words = {"split": "part of each sample", "label": "label"}.get(kind, kind)
        assert described[column].startswith(words), described


@pytest.mark.parametrize("name", mostly_slow(name for name, odd in ODD.items() if not odd.refused))
def test_an_odd_file_goes_all_the_way(name: str, tmp_path: Path, cli_here: Cli) -> None:
    """`predict` must find as many samples right as the export did."""
    odd = ODD[name]
    odd.write(tmp_path / odd.name)
    code, _, err = cli_here("start", odd.name, *odd.options, *TINY, "--study", "odd")
    assert code == 0, err
    code, _, err = cli_here("confirm", "odd", "--top", "1", "--repeats", "2", "--epochs", "1")
    assert code == 0, err
    code, out, err = cli_here("export", "odd", "--out", "model", "--json")
    assert code == 0, err
    right = sum(part["right"] for part in json.loads(out)["accuracies"].values())
    code, out, err = cli_here("predict", "model", odd.name, "--json", "--out", "predictions.csv")
    assert code == 0, err
    assert json.loads(out)["score"]["right"] == right
