"""Execution of the notebooks. `python -m tests.test_notebook NAME` runs one and stores its outputs."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import TIMEOUT_S

STUDIES = Path(__file__).parent.parent / "studies"
LARGEST_OUTPUT = 30_000
"""Characters; larger forms of an output are dropped, as a page that contains plotly has millions."""


def executed(file: Path, directory: Path) -> Any:
    """Run a notebook in a directory and return it with its outputs."""
    # Without the user's IPython settings and history.
    os.environ |= {"IPYTHONDIR": str(directory / "ipython"), "JUPYTER_CONFIG_DIR": str(directory / "jupyter")}
    notebook = nbformat.read(file, as_version=4)
    place = {"metadata": {"path": str(directory)}}
    NotebookClient(notebook, timeout=TIMEOUT_S, kernel_name="python3", resources=place).execute()
    return notebook


def forms(cell: Any) -> list[list[str]]:
    """Return the MIME types of each output of a cell, except progress bars and messages."""
    return [sorted(output.get("data", {"text/plain": ""})) for output in cell.outputs if output.get("name") != "stderr"]


def keep(notebook: Any, file: Path) -> None:
    """Write a notebook with its small, reproducible outputs."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            for form, content in list(output.get("data", {}).items()):
                if len(str(content)) > LARGEST_OUTPUT:
                    del output.data[form]
    nbformat.write(notebook, file)


def check_runs(file: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, *, outputs: int) -> None:
    """Run a notebook and compare the forms of its outputs, of which it has at least some number, with the stored ones."""
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR"):
        # Set here, so that the values for the kernel are undone after the test.
        monkeypatch.setenv(variable, "")
    stored, now = nbformat.read(file, as_version=4), executed(file, directory)
    count = 0
    for before, after in zip(stored.cells, now.cells, strict=True):
        assert before.source == after.source
        if before.cell_type == "code":
            assert all(output.output_type != "error" for output in after.outputs)
            assert [set(form) for form in forms(before)] <= [set(form) for form in forms(after)]
            count += len(before.outputs)
    assert count >= outputs
    assert (directory / "faqnas.db").exists()
    assert file.stat().st_size < 100_000


@pytest.mark.slow
def test_the_quickstart_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_runs(STUDIES / "quickstart.ipynb", tmp_path, monkeypatch, outputs=6)


@pytest.mark.slow
def test_the_experiment_makes_the_table_and_the_figure_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    file = STUDIES / "experiment.ipynb"
    check_runs(file, tmp_path, monkeypatch, outputs=3)
    names: dict[str, Any] = {}
    exec(nbformat.read(file, as_version=4).cells[1].source, names)
    settings = names["settings"]
    # As a TOML file, whose inline tables are written differently.
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items() if not isinstance(value, dict)]
    for section, values in settings.items():
        if isinstance(values, dict):
            entries = ", ".join(f"{name} = {json.dumps(value).replace(':', ' =')}" for name, value in values.items())
            lines.append(f"{section} = {{{entries}}}")
    (tmp_path / "notebook.toml").write_text("\n".join(lines))
    code, _, err = cli_here("experiment", "notebook.toml", "--csv", "again.csv", "--latex", "again.tex", "--plot", "again.svg")
    assert code == 0 and "notebook.iris" not in err
    for made, again in (("table.csv", "again.csv"), ("table.tex", "again.tex"), ("fronts.svg", "again.svg")):
        assert (tmp_path / made).read_bytes() == (tmp_path / again).read_bytes()


if __name__ == "__main__":
    notebook_file = STUDIES / sys.argv[1]
    with TemporaryDirectory() as name:
        keep(executed(notebook_file, Path(name)), notebook_file)
