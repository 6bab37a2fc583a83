"""The figure of an experiment."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faqnas_optuna.errors import OutputError
from faqnas_optuna.experiments.figure import MethodFronts, write_experiment_plot
from faqnas_optuna.experiments.plan import Experiment
from faqnas_optuna.reporting.sizes import Size

SETTINGS: dict[str, Any] = {
    "name": "e",
    "datasets": ["iris", "wine", "digits", "breast-cancer"],
    "splits": 3,
    "methods": {"faqnas": {}, "random": {"searcher": "random"}},
}


def fronts_of(experiment: Experiment) -> list[MethodFronts]:
    generator = np.random.default_rng(0)
    return [
        MethodFronts(
            dataset=dataset,
            method=method,
            fronts=[np.array([[100.0, 0.6], [1_000.0, generator.uniform(0.2, 0.5)]]) for _ in range(3)],
        )
        for dataset in experiment.datasets
        for method in experiment.file.methods
    ]


@pytest.mark.parametrize(("confirmed", "label"), [(False, "validation error"), (True, "test error")])
def test_each_data_set_has_a_panel_and_the_axis_says_which_error(tmp_path: Path, confirmed: bool, label: str) -> None:
    experiment = Experiment.read({**SETTINGS, "confirm": {"front": confirmed}})
    file = tmp_path / "fronts.svg"
    write_experiment_plot(experiment, fronts_of(experiment), file, size=None, origin={"settings": SETTINGS})
    text = file.read_text()
    assert all(f">{dataset}<" in text or f"<!-- {dataset} -->" in text for dataset in experiment.datasets)
    assert f">{label}<" in text or f"<!-- {label} -->" in text
    before = file.read_bytes()
    write_experiment_plot(experiment, fronts_of(experiment), file, size=None, origin={"settings": SETTINGS})
    assert file.read_bytes() == before


@pytest.mark.parametrize("size", Size)
def test_every_size_is_drawn(tmp_path: Path, size: Size) -> None:
    experiment = Experiment.read(SETTINGS)
    # Data sets without results have no panel.
    fronts = [entry for entry in fronts_of(experiment) if entry.dataset in ("iris", "wine")]
    write_experiment_plot(experiment, fronts, tmp_path / "fronts.png", size=size, origin={})
    assert (tmp_path / "fronts.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_is_refused(tmp_path: Path) -> None:
    experiment = Experiment.read(SETTINGS)
    with pytest.raises(OutputError, match=r"must end in .png, .pdf or .svg; 'fronts.html' does not"):
        write_experiment_plot(experiment, fronts_of(experiment), tmp_path / "fronts.html", size=None, origin={})
