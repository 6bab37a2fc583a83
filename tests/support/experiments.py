"""A small experiment."""

import json
from pathlib import Path
from typing import Any

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
