"""Exit codes of commands, and the error line on stderr."""

from collections.abc import Callable
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from faqnas_optuna.cli.failure import fail
from faqnas_optuna.errors import FaqnasError
from faqnas_optuna.machine import limit_reached


def exit_code_of(command: Callable[[], Any]) -> int:
    """Run a command and return its exit code; report an expected error in one line."""
    try:
        code = command()
    # Its message is the whole help text, which is no error line.
    except NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except (FaqnasError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        return fail(message, error.exit_code)
    except OSError as error:
        # Reported by the caller, which knows the message for limits of the system.
        if limit_reached(error):
            raise
        reason = error.strerror or str(error) or type(error).__name__
        return fail(f"{reason}: {error.filename}" if error.filename else reason, 1)
    # click raises this when the reader of a pipe has left.
    except SystemExit as left:
        return int(left.code or 0)
    # click raises this for Ctrl-C, in the place of KeyboardInterrupt.
    except click.Abort:
        return 130
    # Commands without an exit code of their own return None.
    return code if isinstance(code, int) else 0
