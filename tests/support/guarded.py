"""Hooks of pytest that start a guardian beside each test run."""

import subprocess

import pytest

from tests.support import guardian

GUARDIAN = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    # The workers of xdist are part of the run: they inherit its mark and need no guardian themselves.
    if not hasattr(config, "workerinput"):
        config.stash[GUARDIAN] = guardian.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if GUARDIAN in config.stash:
        guardian.end(config.stash[GUARDIAN])
