"""The part of pytest's configuration by which a guardian stands beside a run."""

import subprocess

import pytest

from tests.support import guardian

GUARDIAN = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    # xdist's workers, which inherit its mark, are part of the run.
    if not hasattr(config, "workerinput"):
        config.stash[GUARDIAN] = guardian.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if GUARDIAN in config.stash:
        guardian.end(config.stash[GUARDIAN])
