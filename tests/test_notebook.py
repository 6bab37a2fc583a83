"""Execution of the notebook. `python -m tests.test_notebook` runs it and stores its outputs."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import TIMEOUT_S

NOTEBOOK = Path(__file__).parent.parent / "studies/quickstart.ipynb"
LARGEST_OUTPUT = 30_000
"""Characters; larger forms of an output are dropped, as a page that contains plotly has millions."""


def executed(directory: Path) -> Any:
    """Run the notebook in a directory and return it with its outputs."""
    # Without the user's IPython settings and history.
    os.environ |= {"IPYTHONDIR": str(directory / "ipython"), "JUPYTER_CONFIG_DIR": str(directory / "jupyter")}
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(directory)}}
    NotebookClient(notebook, timeout=TIMEOUT_S, kernel_name="python3", resources=place).execute()
    return notebook


def forms(cell: Any) -> list[list[str]]:
    """Return the MIME types of each output of a cell, except progress bars and messages."""
    return [sorted(output.get("data", {"text/plain": ""})) for output in cell.outputs if output.get("name") != "stderr"]


def keep(notebook: Any) -> None:
    """Write the notebook with its small, reproducible outputs."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            for form, content in list(output.get("data", {}).items()):
                if len(str(content)) > LARGEST_OUTPUT:
                    del output.data[form]
    nbformat.write(notebook, NOTEBOOK)


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR"):
        # Set here, so that the values for the kernel are undone after the test.
        monkeypatch.setenv(variable, "")
    stored, now = nbformat.read(NOTEBOOK, as_version=4), executed(tmp_path)
    count = 0
    for before, after in zip(stored.cells, now.cells, strict=True):
        assert before.source == after.source
        if before.cell_type == "code":
            assert all(output.output_type != "error" for output in after.outputs)
            assert [set(form) for form in forms(before)] <= [set(form) for form in forms(after)]
            count += len(before.outputs)
    assert count >= 6
    assert (tmp_path / "faqnas.db").exists()
    assert NOTEBOOK.stat().st_size < 100_000


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        keep(executed(Path(name)))
