"""Environment and time limit of the processes of tests."""

import os
from collections.abc import Mapping

TIMEOUT_S = 240


def cli_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command.

    It has no settings of the user, among them those of buffers. The user's cache is shared, so kernels are not compiled again.
    """
    own = ("FAQNAS_", "PYTHONUNBUFFERED")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return {**inherited, **(extra or {})}
