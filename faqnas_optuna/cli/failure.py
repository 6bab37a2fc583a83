"""One line on stderr that says why a command failed. It needs no library: the failure may be that none can be loaded."""

import sys


def fail(message: str, code: int) -> int:
    """Print an error on stderr, if there is one, and return the exit code."""
    if sys.stderr:
        print(f"Error: {' '.join(message.split())}", file=sys.stderr)
    return code
