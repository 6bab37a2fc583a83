"""Unusual files: each is read correctly, or refused in one line that names every problem."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from faqnas_optuna.circuits import pennylane_circuit
from faqnas_optuna.confirmation.baselines import Baseline, Model, confirm_once, confirmation_generator, fit_baseline
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.study import load_data
from tests.conftest import copy_database
from tests.support.odd_files import ODD
from tests.support.sampling import mostly_slow

Cli = Callable[..., tuple[int, str, str]]
TINY = ("--population", "3", "--generations", "1", "--epochs", "1")
CONFIRMED = ("adult", "labels true and false", "split as val", "wide", "arrays with texts and groups")
"""Files confirmed by the command itself: texts, truth values, a split, many columns, and groups."""


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
def test_an_odd_file_goes_all_the_way(
    name: str, tmp_path: Path, empty_database: Path, cli_here: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that `predict` gives as many correct predictions as `export` reports."""
    copy_database(empty_database, tmp_path / "faqnas.db")
    # Drawing the circuit does not depend on the file, and takes longer than the trainings.
    monkeypatch.setattr(pennylane_circuit, "draw_svg", lambda circuit: b"")
    odd = ODD[name]
    odd.write(tmp_path / odd.name)
    code, _, err = cli_here("start", odd.name, *odd.options, *TINY, "--study", "odd")
    assert code == 0, err
    if name in CONFIRMED:
        code, _, err = cli_here("confirm", "odd", "--top", "1", "--repeats", "2", "--epochs", "1")
        assert code == 0, err
    else:
        assert_every_model_can_be_judged(load(open_storage(f"sqlite:///{tmp_path}/faqnas.db"), "odd"))
    code, out, err = cli_here("export", "odd", "--out", "model", "--json")
    assert code == 0, err
    right = sum(part["right"] for part in json.loads(out)["accuracies"].values())
    code, out, err = cli_here("predict", "model", odd.name, "--json", "--out", "predictions.csv")
    assert code == 0, err
    assert json.loads(out)["score"]["right"] == right


def assert_every_model_can_be_judged(search: Search) -> None:
    """Train all models of a confirmation on the data it would load, without a database."""
    splits, circuit = load_data(search, None), read_state(search).front[0].genome.circuit
    generators = [confirmation_generator(0, seed) for seed in range(2)]
    judged = [
        confirm_once(model, circuit, splits, search.config.training, generator=generator)
        for model, generator in product(Model, generators)
    ]
    judged += [fit_baseline(baseline, splits, score=search.config.score) for baseline in Baseline]
    assert {sum(map(sum, result.confusion)) for result in judged} == {len(splits.test)}
