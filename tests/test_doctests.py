"""The examples in docstrings."""

import doctest
from importlib import import_module

import pytest

from tests.support.documents import ROOT

MODULES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for folder in ("faqnas_optuna", "benchmarks", "studies")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if ">>>" in file.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_give_what_they_show(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
