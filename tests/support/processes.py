"""What processes of tests are given, and what they may take."""

import os
from collections.abc import Mapping

TIMEOUT_S = 240


def cli_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: nothing of ours from outside, and the cache of this user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAQNAS_")}
    return {**kept, **(extra or {})}
