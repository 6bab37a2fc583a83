"""The error line on stderr; needs no library, since the failure may be that none can be loaded."""

import sys


def fail(message: str, code: int) -> int:
    """Print an error on stderr, if the process has one, and return the exit code."""
    if sys.stderr:
        print(f"Error: {' '.join(message.split())}", file=sys.stderr)
    return code
