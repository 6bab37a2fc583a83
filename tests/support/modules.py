"""Runs of `python -m MODULE` in the process of the tests."""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RunModule = Callable[..., tuple[int, str, str]]


@pytest.fixture
def module_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunModule:
    """Function that runs `python -m MODULE` in this process and the test's directory: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("FAQNAS_")]:
        monkeypatch.delenv(name)

    def run(module: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        # Commands end by SystemExit, also when they succeed.
        with pytest.raises(SystemExit, match=r"^\d+$") as exited:
            runpy.run_module(module, run_name="__main__")
        captured = capsys.readouterr()
        return int(exited.value.code or 0), captured.out, captured.err

    return run
