"""A small experiment, and results of experiments."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faqnas_optuna.experiments.plan import Experiment
from faqnas_optuna.experiments.results import CellResult

SMALL: dict[str, Any] = {
    "name": "small",
    "datasets": ["iris", "wine"],
    "splits": 3,
    "space": {"n_qubits": [2, 3], "depth": [1], "topology": ["linear"]},
    "search": {"population": 4, "generations": 2},
    "training": {"epochs": 2},
    "methods": {"faqnas": {}, "random": {"searcher": "random"}, "race": {"searcher": "race", "trainings": 60}},
    "confirm": {"picks": ["best"], "epochs": 3, "repeats": 2},
}


def write_small(directory: Path, **changes: Any) -> Path:
    """Write the small experiment as a TOML file, with some top-level settings changed, and return its path."""
    settings = SMALL | changes
    lines = [f"{name} = {_inline(value)}" for name, value in settings.items() if not isinstance(value, dict)]
    for section, values in settings.items():
        if section == "methods":
            for method, entries in values.items():
                lines += [f"[methods.{method}]", *(f"{name} = {_inline(value)}" for name, value in entries.items())]
        elif isinstance(values, dict):
            lines += [f"[{section}]", *(f"{name} = {_inline(value)}" for name, value in values.items())]
    file = directory / "small.toml"
    file.write_text("\n".join(lines))
    return file


def _inline(value: Any) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_inline(entry)}" for name, entry in value.items()) + "}"
    return f"[{', '.join(map(_inline, value))}]" if isinstance(value, list) else json.dumps(value)


def results_with(experiment: Experiment, scores: Mapping[tuple[str, int, int], float]) -> list[CellResult]:
    """Return a result for each score by method, split and seed, beside an MLP with a score of 0.5."""
    cells = {(cell.method, cell.split, cell.seed): cell for cell in experiment.cells}
    return [
        CellResult(
            cell=cells[key],
            rule=str(experiment.rules[0]),
            test_score=score,
            search_estimate=score,
            quantum_flops=100,
            parameters=10,
            baselines={"linear": 0.5, "mlp": 0.5},
        )
        for key, score in scores.items()
    ]
